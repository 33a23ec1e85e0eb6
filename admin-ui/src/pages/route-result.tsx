// The ways of a message: drawn, and step by step with the reason for each.

import { labelOf } from "../components/bindings-graph";
import { Graph, type GraphEdge, type GraphNode } from "../components/graph";
import { DEFAULT_EXCHANGE, QueueLink, SessionLink } from "../components/links";
import { type Column, Table } from "../components/list";
import { Badge, Panel } from "../components/page";
import { link } from "../router";
import "./routes.css";

interface Step {
  source: string;
  destination: string;
  destination_type: "queue" | "exchange";
  routing_key: string;
  arguments: Record<string, unknown>;
  reason: string;
}

interface Target {
  queue: string;
  vhost: string;
  client_id?: string;
  /** The shared subscriptions of which this session is a member. */
  shares?: string[];
  via: Step[];
}

export interface Route {
  targets: Target[];
  truncated: boolean;
}

const COLUMNS: Column<Target>[] = [
  {
    id: "target",
    title: "Gets it",
    cell: (row) => (
      <>
        {row.client_id === undefined ? <QueueLink vhost={row.vhost} name={row.queue} /> : <>session <SessionLink clientId={row.client_id} /></>}
        {row.shares?.map((share) => <> <Badge key={share} title={`One member of the group ${share} gets the message`}>shared: {share}</Badge></>)}
      </>
    ),
  },
  {
    id: "why",
    title: "Why",
    cell: (row) => (
      <ol class="why">
        {row.via.map((step) => (
          <li key={JSON.stringify(step)}>
            <span>{step.source || "(default exchange)"} → {step.destination}</span>: {step.reason}
          </li>
        ))}
      </ol>
    ),
  },
];

export function Routes({ of: { targets, truncated } }: { of: Route }) {
  return (
    <>
      <Panel title="The way it takes" wide>
        <Graph title="The way of the message" {...drawing(targets)} />
      </Panel>
      <Panel title="Who gets it, and why" wide hint={truncated && "There are more than are shown here."}>
        <Table caption="Who gets it, and why" columns={COLUMNS} rows={targets} rowKey={(row) => `${row.vhost}\n${row.queue}`} />
      </Panel>
    </>
  );
}

function drawing(targets: Target[]): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const nodes = new Map<string, GraphNode>();
  const edges = new Map<string, GraphEdge>();
  const exchange = (vhost: string, name: string) => {
    const id = `exchange ${name}`;
    nodes.set(id, { id, kind: "exchange", label: name || "(default exchange)", href: link`exchanges/${vhost}/${name || DEFAULT_EXCHANGE}` });
    return id;
  };
  const queue = ({ vhost, queue, client_id }: Target) => {
    const id = `queue ${queue}`;
    nodes.set(id, client_id === undefined
      ? { id, kind: "queue", label: queue, href: link`queues/${vhost}/${queue}` }
      : { id, kind: "session", note: "MQTT session", label: client_id, href: link`mqtt/sessions/${client_id}` });
    return id;
  };
  for (const target of targets) {
    for (const step of target.via) {
      const from = exchange(target.vhost, step.source);
      const to = step.destination_type === "queue" ? queue(target) : exchange(target.vhost, step.destination);
      const edge = { from, to, label: step.reason.endsWith("its alternate exchange gets it") ? "as nothing matches" : labelOf(step) };
      edges.set(JSON.stringify(edge), edge);
    }
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}
