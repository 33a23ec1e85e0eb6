// One MQTT session: its client, what waits for it, what it has subscribed to.

import { path } from "../api";
import { ConnectionLink, QueueLink, UserLink } from "../components/links";
import { Failure } from "../components/notices";
import { type Fact, Facts, Page, Panel, Panels } from "../components/page";
import { bytes, number, time, yesNo } from "../format";
import { usePoll } from "../poll";
import { go } from "../router";
import { may } from "../session";
import { Gone } from "./connection";
import { askAndEnd, kept, Presence, type Session } from "./sessions";
import { SubscriptionList } from "./subscriptions";

export function MqttSession({ parts: [clientId = ""] }: { parts: string[] }) {
  const { data, error } = usePoll<Session>(path`mqtt/sessions/${clientId}`);
  const end = async () => {
    if (data && (await askAndEnd(data))) go("#/mqtt/sessions");
  };
  return (
    <Page
      title={clientId}
      kind={{ label: "MQTT sessions", href: "#/mqtt/sessions" }}
      badges={data && <Presence of={data} />}
      actions={data && may("administrator") && <button type="button" class="danger" onClick={end}>End session</button>}
    >
      {error && ("status" in error && error.status === 404 ? <Gone what="session" list="#/mqtt/sessions" /> : <Failure error={error} />)}
      {data && (
        <>
          <Panels>
            <Panel title="Client"><Facts of={client(data)} /></Panel>
            <Panel title="Messages"><Facts of={messages(data)} /></Panel>
          </Panels>
          <Panel title="Subscriptions" wide><SubscriptionList clientId={clientId} /></Panel>
        </>
      )}
    </Page>
  );
}

function client(data: Session): (Fact | false)[] {
  const { connection } = data;
  const facts: (Fact | false)[] = [
    ["Connected", data.connected ? "yes" : `no, away since ${time(data.away_since)}`],
    ["Kept without its client", kept(data), data.expiry_interval === 0 ? "Its messages and subscriptions go with the connection." : "After that, its messages and subscriptions are gone."],
    ["Survives a restart", yesNo(data.durable)],
    ["Will", data.has_will ? "yes" : "no", data.has_will ? "A message that is published for the client if it vanishes." : undefined],
  ];
  if (connection) {
    facts.push(
      ["Connection", <ConnectionLink key="connection" name={connection.name} />],
      ["User", <UserLink key="user" name={connection.user} />],
      ["Protocol", connection.protocol],
      ["Connected since", time(connection.connected_at)],
      ["From", `${connection.peer_host}${connection.peer_port ? ` port ${connection.peer_port}` : ""}`],
      ["Keep alive", connection.keep_alive ? `${number(connection.keep_alive)} s` : "none: a client that has vanished is not noticed before something is sent to it"],
      ["Began", connection.clean_start ? "anew, without what it had before" : "with what it had before, if there was anything"],
    );
  }
  return facts;
}

function messages(data: Session): Fact[] {
  return [
    ["Waiting", number(data.messages_ready), "They are sent as soon as the client is there and takes them."],
    ["In flight", number(data.messages_in_flight), "Sent with QoS 1 or 2, and not acknowledged yet."],
    ["Size", bytes(data.message_bytes)],
    ["Queue", <QueueLink key="queue" vhost={data.vhost} name={data.queue} />, "Its messages can be looked at there; policies and limits of queues hold for it as well."],
  ];
}
