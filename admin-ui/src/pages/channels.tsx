// AMQP channels: the list, and its columns for tables elsewhere.

import type { Details } from "../components/chart";
import { ChannelLink, clientsOf, UserLink, VhostLink } from "../components/links";
import { type Column, List } from "../components/list";
import { Badge, Page } from "../components/page";
import { number, rate } from "../format";
import type { Consumer } from "./consumers";

export interface Channel {
  name: string;
  number: number;
  node: string;
  vhost: string;
  user: string;
  state: string;
  confirm: boolean;
  transactional: boolean;
  consumer_count: number;
  messages_unacknowledged: number;
  messages_unconfirmed: number;
  messages_uncommitted: number;
  acks_uncommitted: number;
  prefetch_count: number;
  global_prefetch_count: number;
  connection_details: { name: string; peer_host: string; peer_port: number };
  message_stats?: Record<string, number | Details | undefined>;
  consumer_details?: Consumer[];
}

export function Channels() {
  return (
    <Page title="Channels">
      <List
        id="channels"
        caption="Channels"
        target={clientsOf("channels")}
        columns={CHANNEL_COLUMNS}
        rowKey={(row) => row.name}
        rowName={(row) => row.name}
        empty={
          <>
            <p><b>No channel is open.</b> AMQP clients publish and consume over channels, of which a connection may have many. One appears here as soon as a client has opened it.</p>
            <p>MQTT clients have none; see their <a href="#/mqtt/sessions">sessions</a>.</p>
          </>
        }
      />
    </Page>
  );
}

const perSecond = (row: Channel, name: string) => rate((row.message_stats?.[`${name}_details`] as Details | undefined)?.rate);

export const CHANNEL_COLUMNS: Column<Channel>[] = [
  { id: "name", title: "Name", sort: "name", cell: (row) => <div class="name"><ChannelLink name={row.name} /></div> },
  { id: "vhost", title: "Virtual host", sort: "vhost", cell: (row) => <VhostLink name={row.vhost} /> },
  { id: "user", title: "User", sort: "user", cell: (row) => <UserLink name={row.user} /> },
  { id: "mode", title: "Mode", sort: "confirm", cell: (row) => <Mode of={row} /> },
  { id: "consumers", title: "Consumers", sort: "consumer_count", isNumber: true, cell: (row) => number(row.consumer_count) },
  { id: "prefetch", title: "Prefetch", sort: "prefetch_count", isNumber: true, cell: prefetch },
  { id: "unacked", title: "Unacknowledged", sort: "messages_unacknowledged", isNumber: true, cell: (row) => number(row.messages_unacknowledged) },
  { id: "unconfirmed", title: "Unconfirmed", sort: "messages_unconfirmed", isNumber: true, cell: (row) => number(row.messages_unconfirmed) },
  { id: "publish", title: "Publish", sort: "message_stats.publish_details.rate", isNumber: true, cell: (row) => perSecond(row, "publish") },
  { id: "deliver", title: "Deliver and get", sort: "message_stats.deliver_get_details.rate", isNumber: true, cell: (row) => perSecond(row, "deliver_get") },
  { id: "ack", title: "Acknowledge", sort: "message_stats.ack_details.rate", isNumber: true, cell: (row) => perSecond(row, "ack") },
];

/** How the channel publishes, as badges. */
export function Mode({ of }: { of: Channel }) {
  return (
    <>
      {of.confirm && <Badge title="The broker confirms what is published.">confirms</Badge>}
      {of.transactional && <Badge title="Publishes and acknowledgements count once they are committed.">transactions</Badge>}
    </>
  );
}

function prefetch(row: Channel) {
  const parts = [row.prefetch_count > 0 && number(row.prefetch_count), row.global_prefetch_count > 0 && `${number(row.global_prefetch_count)} in all`];
  return parts.filter(Boolean).join(", ") || "no limit";
}
