// What comes into a queue: its bindings drawn, as a list, and the form that adds one.

import { useEffect, useState } from "preact/hooks";
import { ApiError, del, get, type Page, path, post, query } from "../api";
import { Arguments, ArgumentsInput, parseArguments } from "../components/arguments";
import { Form, Input, type Values } from "../components/form";
import { Graph, type GraphEdge, type GraphNode } from "../components/graph";
import { ExchangeLink } from "../components/links";
import { type Column, List, type RowAction } from "../components/list";
import { tell } from "../components/notices";
import { useNames } from "../components/names";
import { Fold, Panel } from "../components/page";
import { plural } from "../format";
import { link } from "../router";
import { clientOf, type QueueData } from "./queue-data";

interface Binding {
  vhost: string;
  source: string;
  destination: string;
  destination_type: "queue" | "exchange";
  routing_key: string;
  arguments: Record<string, unknown>;
  properties_key: string;
}

export function QueueBindings({ queue }: { queue: QueueData }) {
  const [version, setVersion] = useState(0);
  const changed = () => setVersion((version) => version + 1);
  const { vhost, name } = queue;
  const removal: RowAction<Binding> = {
    label: "Unbind",
    question: (rows) => ({ title: `Remove ${plural(rows.length, "binding")}?`, body: <p>Messages that came this way will not come to <b>{name}</b> any more. Those that are there stay.</p> }),
    run: async (binding) => {
      if (binding.source === "") throw new Error("The default exchange reaches each queue by its name. That binding cannot be removed.");
      await del(path`bindings/${vhost}/e/${binding.source}/q/${name}/${binding.properties_key}`);
      changed();
    },
  };
  return (
    <Panel title="Bindings" hint="What brings messages here: exchanges, each with the key that they have to have." wide>
      <Sources queue={queue} version={version} />
      <List
        id="queue-bindings"
        caption="Bindings"
        target={path`queues/${vhost}/${name}/bindings`}
        columns={COLUMNS}
        rowKey={(row) => `${row.source}\n${row.properties_key}`}
        rowName={(row) => `${row.source || "the default exchange"} with ${row.routing_key || "an empty key"}`}
        {...(!queue.exclusive && { actions: [removal] })}
        version={version}
        empty={<p>Nothing is bound to this queue.</p>}
      />
      {!queue.exclusive && <Fold title="Bind to an exchange"><Bind queue={queue} onBound={changed} /></Fold>}
    </Panel>
  );
}

const COLUMNS: Column<Binding>[] = [
  { id: "source", title: "From exchange", sort: "source", cell: (row) => <ExchangeLink vhost={row.vhost} name={row.source} /> },
  { id: "key", title: "Routing key", sort: "routing_key", cell: (row) => (row.routing_key ? <code>{row.routing_key}</code> : <span class="soft">(empty)</span>) },
  { id: "arguments", title: "Arguments", cell: (row) => (Object.keys(row.arguments).length > 0 ? <Arguments of={row.arguments} /> : row.source === "" ? <span class="soft">Every queue is bound to the default exchange, by its name.</span> : null) },
];

function Bind({ queue: { vhost, name }, onBound }: { queue: QueueData; onBound: () => void }) {
  const exchanges = useNames(path`exchanges/${vhost}`);
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
        <Input label="Exchange" name="source" required list={exchanges.filter(Boolean)} />
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
  return edges.length > 0 ? <Graph title={`What sends to ${name}`} nodes={nodes} edges={edges} focus={`queue ${name}`} /> : null;
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
  const nodes = new Map<string, GraphNode>();
  const exchange = (label: string) => {
    const id = `exchange ${label}`;
    nodes.set(id, { id, kind: "exchange", label: label || "(default exchange)", href: link`exchanges/${vhost}/${label || "amq.default"}` });
    return id;
  };
  const here = `queue ${name}`;
  nodes.set(here, { id: here, kind: clientOf(queue) === undefined ? "queue" : "session", label: name, note: clientOf(queue) === undefined ? "queue" : "MQTT session" });
  const edges = bindings.map((binding): GraphEdge => ({
    from: exchange(binding.source),
    to: binding.destination_type === "exchange" ? exchange(binding.destination) : here,
    label: binding.routing_key || inWords(binding.arguments),
  }));
  const deadLetters = queue.effective_policy_definition["dead-letter-exchange"] ?? queue.arguments["x-dead-letter-exchange"];
  if (typeof deadLetters === "string") edges.push({ from: here, to: exchange(deadLetters), label: "dead letters" });
  return { nodes: [...nodes.values()], edges };
}

function inWords(of: Record<string, unknown>): string {
  return Object.entries(of).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ");
}
