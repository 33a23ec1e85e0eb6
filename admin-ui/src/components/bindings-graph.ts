// Bindings as boxes and lines of a graph.

import { link } from "../router";
import type { Binding } from "./bindings";
import type { GraphEdge, GraphNode } from "./graph";
import { DEFAULT_EXCHANGE } from "./links";

export const idOf = (kind: "exchange" | "queue", name: string) => `${kind} ${name}`;

/** Boxes and lines of bindings. */
export function drawing(bindings: Binding[]): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const nodes = new Map<string, GraphNode>();
  const add = (vhost: string, kind: "exchange" | "queue", name: string) => {
    const id = idOf(kind, name);
    const href = kind === "queue" ? link`queues/${vhost}/${name}` : link`exchanges/${vhost}/${name || DEFAULT_EXCHANGE}`;
    nodes.set(id, { id, kind, label: name || "(default exchange)", href });
    return id;
  };
  const edges = bindings.map((binding) => ({
    from: add(binding.vhost, "exchange", binding.source),
    to: add(binding.vhost, binding.destination_type, binding.destination),
    label: labelOf(binding),
  }));
  return { nodes: [...nodes.values()], edges };
}

/** What takes this way: the key, or the headers. */
export function labelOf({ routing_key, arguments: given }: Pick<Binding, "routing_key" | "arguments">): string {
  const conditions = Object.entries(given).filter(([name]) => !name.startsWith("x-")).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [routing_key, ...conditions].filter(Boolean).join(" ");
}
