// What comes into a queue: its bindings drawn, as a list, and the form that adds one.

import { useEffect, useState } from "preact/hooks";
import { ApiError, get, type Page, path, post, query } from "../api";
import { Arguments, ArgumentsInput, parseArguments } from "../components/arguments";
import { BINDING_COLUMNS, type Binding, bindingKey, bindingName, NameInput, UNBIND, unbind } from "../components/bindings";
import { drawing, idOf } from "../components/bindings-graph";
import { Form, Input, type Values } from "../components/form";
import { Graph, type GraphEdge, type GraphNode } from "../components/graph";
import { DEFAULT_EXCHANGE } from "../components/links";
import { type Column, List } from "../components/list";
import { tell } from "../components/notices";
import { Fold, Panel } from "../components/page";
import { link } from "../router";
import { clientOf, type QueueData } from "./queue-data";

export function QueueBindings({ queue }: { queue: QueueData }) {
  const [version, setVersion] = useState(0);
  const changed = () => setVersion((version) => version + 1);
  const { vhost, name } = queue;
  return (
    <Panel title="Bindings" hint="What brings messages here: exchanges, each with the key that they have to have." wide>
      <Sources queue={queue} version={version} />
      <List
        id="queue-bindings"
        caption="Bindings"
        target={path`queues/${vhost}/${name}/bindings`}
        columns={COLUMNS}
        rowKey={bindingKey}
        rowName={bindingName}
        {...(!queue.exclusive && { actions: [{ ...UNBIND, run: (row: Binding) => unbind(row).then(changed) }] })}
        version={version}
        empty={<p>Nothing is bound to this queue.</p>}
      />
      {!queue.exclusive && <Fold title="Bind to an exchange"><Bind queue={queue} onBound={changed} /></Fold>}
    </Panel>
  );
}

const COLUMNS: Column<Binding>[] = [
  BINDING_COLUMNS.source,
  BINDING_COLUMNS.key,
  { ...BINDING_COLUMNS.arguments, cell: (row) => (row.source === "" ? <span class="soft">Every queue is bound to the default exchange, by its name.</span> : Object.keys(row.arguments).length > 0 ? <Arguments of={row.arguments} /> : null) },
];

function Bind({ queue: { vhost, name }, onBound }: { queue: QueueData; onBound: () => void }) {
  const [turn, setTurn] = useState(0);
  const bind = async (values: Values) => {
    const source = values.text("source");
    const binding = { routing_key: values.text("routing_key"), arguments: parseArguments(values.text("arguments")) };
    await post(path`bindings/${vhost}/e/${source}/q/${name}`, binding).catch((error) => {
      throw error instanceof ApiError && error.status === 404 ? new Error(`There is no exchange ${source} in this virtual host.`) : error;
    });
    tell("done", `${name} gets messages from ${source}.`);
    setTurn((turn) => turn + 1);
    onBound();
  };
  return (
    <Form key={turn} action="Bind" onSubmit={bind}>
      <div class="columns">
        <NameInput label="Exchange" name="source" required vhost={vhost} of="exchanges" />
        <Input label="Routing key" name="routing_key" hint="A topic exchange takes patterns: * is one word, # any number of them." />
      </div>
      <ArgumentsInput name="arguments" label="Arguments" suggestions={[{ key: "x-match", type: "string", placeholder: "all or any, for a headers exchange" }]} />
    </Form>
  );
}

/** The exchanges that reach the queue, and those that reach them. */
function Sources({ queue, version }: { queue: QueueData; version: number }) {
  const [bindings, setBindings] = useState<Binding[]>([]);
  const { vhost, name } = queue;
  useEffect(() => {
    const abort = new AbortController();
    walk(vhost, name, abort.signal).then(setBindings, () => {
      // The list below says what is wrong.
    });
    return () => abort.abort();
  }, [vhost, name, version]);
  const { nodes, edges } = picture(queue, bindings);
  return edges.length > 0 ? <Graph title={`What sends to ${name}`} nodes={nodes} edges={edges} focus={idOf("queue", name)} /> : null;
}

/** Bindings that are asked for at each end, and exchanges that are looked behind. */
const BINDINGS_MAX = 100;
const EXCHANGES_MAX = 25;

async function walk(vhost: string, name: string, signal: AbortSignal): Promise<Binding[]> {
  const first = (target: string) => get<Page<Binding>>(query(target, { page: 1, page_size: BINDINGS_MAX }), signal);
  const found = (await first(path`queues/${vhost}/${name}/bindings`)).items.filter(({ source }) => source !== "");
  const seen = new Set(found.map(({ source }) => source));
  let looked = 0;
  for (const exchange of seen) {
    if ((looked += 1) > EXCHANGES_MAX) break;
    const into = (await first(path`exchanges/${vhost}/${exchange}/bindings/destination`)).items;
    found.push(...into);
    for (const { source } of into) seen.add(source);
  }
  return found;
}

function picture(queue: QueueData, bindings: Binding[]): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const { vhost, name } = queue;
  const here = idOf("queue", name);
  const { nodes, edges } = drawing(bindings);
  const found = new Map(nodes.map((node) => [node.id, node]));
  found.set(here, { id: here, label: name, ...(clientOf(queue) === undefined ? { kind: "queue" } : { kind: "session", note: "MQTT session" }) });
  const deadLetters = queue.arguments["x-dead-letter-exchange"] ?? queue.effective_policy_definition["dead-letter-exchange"];
  if (typeof deadLetters === "string") {
    const id = idOf("exchange", deadLetters);
    if (!found.has(id)) found.set(id, { id, kind: "exchange", label: deadLetters || "(default exchange)", href: link`exchanges/${vhost}/${deadLetters || DEFAULT_EXCHANGE}` });
    edges.push({ from: here, to: id, label: "dead letters" });
  }
  return { nodes: [...found.values()], edges };
}
