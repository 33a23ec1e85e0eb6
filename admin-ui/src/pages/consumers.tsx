// Consumers of all kinds: the list, and its columns for tables elsewhere.

import { ShortArguments } from "../components/arguments";
import { ChannelLink, ConnectionLink, listOf, QueueLink, SessionLink, VhostLink } from "../components/links";
import { type Column, List } from "../components/list";
import { Badge, Page } from "../components/page";
import { duration, number } from "../format";

export interface Consumer {
  consumer_tag: string;
  queue: { name: string; vhost: string };
  channel_details: { name: string; number: number; connection_name: string; user: string };
  ack_required: boolean;
  active: boolean;
  activity_status: string;
  arguments: Record<string, unknown>;
  exclusive: boolean;
  prefetch_count: number;
  consumer_timeout: number;
}

export function Consumers() {
  return (
    <Page title="Consumers">
      <List
        id="consumers"
        caption="Consumers"
        target={listOf("consumers")}
        columns={CONSUMER_COLUMNS}
        rowKey={(row) => `${row.channel_details.name} ${row.consumer_tag}`}
        rowName={(row) => row.consumer_tag}
        empty={<p><b>Nobody consumes.</b> An AMQP client that calls <code>basic.consume</code> for a queue appears here, and so does each MQTT client with its session. Messages wait in their queues meanwhile.</p>}
      />
    </Page>
  );
}

/** Those of MQTT sessions have no channel: it is given as 0. */
const isSession = (row: Consumer) => row.channel_details.number === 0;

export const CONSUMER_COLUMNS: Column<Consumer>[] = [
  { id: "tag", title: "Consumer", sort: "consumer_tag", cell: (row) => (isSession(row) ? <><SessionLink clientId={row.consumer_tag} /> <Badge>MQTT</Badge></> : row.consumer_tag) },
  { id: "queue", title: "Queue", sort: "queue.name", cell: (row) => <QueueLink vhost={row.queue.vhost} name={row.queue.name} /> },
  { id: "vhost", title: "Virtual host", sort: "queue.vhost", cell: (row) => <VhostLink name={row.queue.vhost} /> },
  {
    id: "channel",
    title: "Channel",
    sort: "channel_details.name",
    cell: ({ channel_details: of }) => <div class="name">{of.number === 0 ? <ConnectionLink name={of.connection_name} /> : <ChannelLink name={of.name} />}</div>,
  },
  { id: "status", title: "State", sort: "activity_status", cell: (row) => <Status of={row} /> },
  { id: "ack", title: "Acknowledges", sort: "ack_required", cell: (row) => (row.ack_required ? "yes" : <Badge tone="warn" title="A message counts as done once it is sent. What the client does not handle is lost.">no</Badge>) },
  { id: "prefetch", title: "Prefetch", sort: "prefetch_count", isNumber: true, cell: (row) => (row.prefetch_count > 0 ? number(row.prefetch_count) : "no limit") },
  { id: "exclusive", title: "Exclusive", sort: "exclusive", cell: (row) => (row.exclusive ? "yes" : "no") },
  { id: "timeout", title: "Cut off after", sort: "consumer_timeout", isNumber: true, isExtra: true, cell: (row) => (row.consumer_timeout > 0 ? duration(row.consumer_timeout) : "never") },
  { id: "arguments", title: "Arguments", cell: (row) => <ShortArguments of={row.arguments} /> },
];

function Status({ of }: { of: Consumer }) {
  switch (of.activity_status) {
    case "single_active":
      return <Badge tone="good" title="The queue serves one consumer at a time, and this is the one.">the active one</Badge>;
    case "waiting":
      return <Badge tone="warn" title="The queue serves one consumer at a time; this one takes over when that goes.">waiting</Badge>;
    default:
      return <Badge tone="good">served</Badge>;
  }
}
