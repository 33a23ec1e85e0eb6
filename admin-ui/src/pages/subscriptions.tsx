// Subscriptions of MQTT clients: all of them, or those of one session.

import { path } from "../api";
import { SessionLink } from "../components/links";
import { type Column, List } from "../components/list";
import { Badge, Page } from "../components/page";
import { number } from "../format";

interface Subscription {
  client_id: string;
  topic_filter: string;
  qos: number;
  no_local: boolean;
  retain_as_published: boolean;
  subscription_id: number | null;
}

export function Subscriptions() {
  return (
    <Page title="MQTT subscriptions">
      <SubscriptionList />
    </Page>
  );
}

/** The list of all subscriptions, or of those of one client. */
export function SubscriptionList({ clientId }: { clientId?: string }) {
  return (
    <List
      id={clientId === undefined ? "subscriptions" : "session-subscriptions"}
      caption="Subscriptions"
      target={clientId === undefined ? "mqtt/subscriptions" : path`mqtt/sessions/${clientId}/subscriptions`}
      columns={clientId === undefined ? COLUMNS : COLUMNS.filter(({ id }) => id !== "client")}
      rowKey={(row) => `${row.client_id} ${row.topic_filter}`}
      rowName={(row) => row.topic_filter}
      empty={
        clientId === undefined
          ? <p><b>Nobody has subscribed.</b> MQTT clients subscribe to filters such as <code>sensors/+/temp</code> (<code>+</code> is any level, <code>#</code> at the end all that follow) and get what is published to topics that match. Try it with the <a href="#/mqtt/client">MQTT client</a>.</p>
          : <p>This client has subscribed to nothing, so it gets nothing.</p>
      }
    />
  );
}

const COLUMNS: Column<Subscription>[] = [
  { id: "filter", title: "Topic filter", sort: "topic_filter", cell: (row) => <Filter text={row.topic_filter} /> },
  { id: "client", title: "Session", sort: "client_id", cell: (row) => <SessionLink clientId={row.client_id} /> },
  { id: "qos", title: "QoS", sort: "qos", isNumber: true, cell: (row) => row.qos },
  { id: "options", title: "Options", cell: (row) => <Options of={row} /> },
  { id: "id", title: "Subscription id", sort: "subscription_id", isNumber: true, isExtra: true, cell: (row) => number(row.subscription_id) },
];

/** A filter, and whether it is shared. */
function Filter({ text }: { text: string }) {
  const share = /^\$share\/([^/]*)\//.exec(text);
  return <><code>{text}</code>{share && <> <Badge title={`Each message goes to one of the clients that share the name ${share[1]}.`}>shared</Badge></>}</>;
}

function Options({ of }: { of: Subscription }) {
  return (
    <>
      {of.no_local && <Badge title="The client does not get what it has published itself.">no local</Badge>}{" "}
      {of.retain_as_published && <Badge title="Messages keep the retain flag that they were published with.">retain as published</Badge>}
    </>
  );
}
