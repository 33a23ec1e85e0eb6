// What goes on: rates, depths, the state of the node in words.

import { query } from "../api";
import { Chart, type Details, RangePicker, useHistory } from "../components/chart";
import { type Column, Table } from "../components/list";
import { Failure } from "../components/notices";
import { Badge, type Fact, Facts, Page, Panel, Panels } from "../components/page";
import { bytes, duration, number, rate } from "../format";
import { usePoll } from "../poll";
import { may } from "../session";

type Numbers = Record<string, number | Details | undefined>;

interface Listener {
  protocol: string;
  ip_address: string;
  port: number;
}

interface OverviewData {
  cluster_name: string;
  node: string;
  product_name: string;
  product_version: string;
  rabbitmq_version: string;
  message_stats: Numbers;
  queue_totals: Numbers;
  churn_rates: Numbers;
  object_totals: Record<string, number>;
  listeners?: Listener[];
}

export interface NodeData {
  name: string;
  uptime: number;
  os_pid: string;
  processors: number;
  mem_used: number;
  mem_limit: number;
  mem_alarm: boolean;
  mem_used_details?: Details;
  disk_free: number;
  disk_free_limit: number;
  disk_free_alarm: boolean;
  disk_free_details?: Details;
  fd_used: number;
  fd_total: number;
  sockets_used: number;
  sockets_total: number;
  db_dir: string;
}

const details = (numbers: Numbers | undefined, name: string) => numbers?.[`${name}_details`] as Details | undefined;
const value = (numbers: Numbers | undefined, name: string) => numbers?.[name] as number | undefined;

export function Overview() {
  const histories = useHistory(["lengths", "msg_rates"], false);
  const { data, error } = usePoll<OverviewData>(query("overview", histories));
  const ofNode = useHistory(["node_stats"], false);
  const { data: nodes } = usePoll<NodeData[]>(may("monitoring") ? query("nodes", ofNode) : null);
  const messages = data?.message_stats;
  const waiting = data?.queue_totals;
  const churn = data?.churn_rates;
  const counter = (label: string, name: string) => ({ label, details: details(messages, name), isCounter: true });
  const depth = (label: string, name: string) => ({ label, details: details(waiting, name), now: value(waiting, name) });
  const come = (label: string, name: string) => ({ label, details: details(churn, name), isCounter: true });
  return (
    <Page title="Overview" actions={<RangePicker isOfOneThing={false} />}>
      {error && <Failure error={error} />}
      {nodes?.map((node) => <Alarms key={node.name} node={node} />)}
      {data && (
        <>
          <ul class="totals" aria-label="Totals">
            {TOTALS.map(([key, label, href]) => (
              <li key={key}><a href={href}><b>{number(data.object_totals[key])}</b> {label}</a></li>
            ))}
            <li><span><b>{number(value(waiting, "messages"))}</b> messages</span></li>
          </ul>
          <Panels>
            <Panel title="Message rates">
              <Chart
                title="Messages per second"
                format={rate}
                lines={[counter("Published", "publish"), counter("Delivered", "deliver_get"), counter("Acknowledged", "ack"), counter("Confirmed", "confirm"), counter("Redelivered", "redeliver"), counter("Unroutable, returned", "return_unroutable"), counter("Unroutable, dropped", "drop_unroutable")]}
              />
            </Panel>
            <Panel title="Messages in queues">
              <Chart title="Messages" format={number} lines={[depth("All", "messages"), depth("Ready", "messages_ready"), depth("Unacknowledged", "messages_unacknowledged")]} />
            </Panel>
            <Panel title="Coming and going">
              <Chart title="Per second" format={rate} lines={[come("Connections opened", "connection_created"), come("Connections closed", "connection_closed"), come("Channels opened", "channel_created"), come("Queues declared", "queue_declared"), come("Queues deleted", "queue_deleted")]} />
            </Panel>
            {nodes?.map((node) => <NodePanel key={node.name} node={node} />)}
            <Panel title="Broker">
              <Facts of={[["Version", `${data.product_name} ${data.product_version}`], ["Speaks like", `RabbitMQ ${data.rabbitmq_version}`, "The version that clients are told, so that they know what they may use."], ["Cluster", data.cluster_name], ["Node", data.node]]} />
            </Panel>
            {data.listeners && (
              <Panel title="Listeners" hint="Where clients can connect.">
                <Table caption="Listeners" columns={LISTENERS} rows={data.listeners} rowKey={(row) => `${row.protocol} ${row.ip_address} ${row.port}`} />
              </Panel>
            )}
          </Panels>
        </>
      )}
    </Page>
  );
}

const TOTALS: [key: string, label: string, href: string][] = [
  ["connections", "connections", "#/connections"],
  ["channels", "channels", "#/channels"],
  ["exchanges", "exchanges", "#/exchanges"],
  ["queues", "queues", "#/queues"],
  ["consumers", "consumers", "#/consumers"],
];

const LISTENERS: Column<Listener>[] = [
  { id: "protocol", title: "Protocol", cell: (row) => row.protocol },
  { id: "address", title: "Address", cell: (row) => row.ip_address },
  { id: "port", title: "Port", isNumber: true, cell: (row) => row.port || "–" },
];

/** Alarms in words: what has stopped, and what makes it go on. */
export function Alarms({ node }: { node: NodeData }) {
  return (
    <>
      {node.mem_alarm && (
        <p class="alarm" role="alert"><b>Memory alarm.</b> {node.name} uses {bytes(node.mem_used)} of the {bytes(node.mem_limit)} that it may. Publishers wait until it uses less: consume or purge queues, close connections that are not needed, or raise <code>memory_max</code>.</p>
      )}
      {node.disk_free_alarm && (
        <p class="alarm" role="alert"><b>Disk alarm.</b> {node.name} has {bytes(node.disk_free)} of free disk space and needs {bytes(node.disk_free_limit)}. Publishers wait until there is more: consume or purge queues, free disk space, or lower <code>disk_free_min</code>.</p>
      )}
    </>
  );
}

function NodePanel({ node }: { node: NodeData }) {
  const state: Fact = ["State", node.mem_alarm || node.disk_free_alarm ? <Badge tone="bad">publishers wait</Badge> : <Badge tone="good">running, no alarms</Badge>];
  return (
    <Panel title={`Node ${node.name}`}>
      <Facts
        of={[
          state,
          ["Up for", duration(node.uptime)],
          ["Memory", <Meter key="m" used={node.mem_used} of={node.mem_limit} words={`${bytes(node.mem_used)} of ${bytes(node.mem_limit)}`} />],
          ["Free disk space", `${bytes(node.disk_free)}, publishers wait below ${bytes(node.disk_free_limit)}`],
          ["File descriptors", <Meter key="f" used={node.fd_used} of={node.fd_total} words={`${number(node.fd_used)} of ${number(node.fd_total)}`} />],
          ["Connections", <Meter key="c" used={node.sockets_used} of={node.sockets_total} words={`${number(node.sockets_used)} of ${number(node.sockets_total)}`} />],
          ["Processors", number(node.processors)],
          ["Data directory", <code key="d">{node.db_dir}</code>],
        ]}
      />
      <Chart title="Memory" format={bytes} lines={[{ label: "Used", details: node.mem_used_details, now: node.mem_used }]} />
    </Panel>
  );
}

export function Meter({ used, of, words }: { used: number; of: number; words: string }) {
  return <><meter min={0} max={of || 1} high={(of || 1) * 0.8} value={used} aria-label={words} /> {words}</>;
}
