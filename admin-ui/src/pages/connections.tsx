// Clients that are connected now: the list, and how their connections are closed.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { call, path } from "../api";
import type { Details } from "../components/chart";
import { confirm } from "../components/dialog";
import { Input } from "../components/form";
import { clientsOf, ConnectionLink, UserLink, VhostLink } from "../components/links";
import { type Column, List, type RowAction } from "../components/list";
import { attempt } from "../components/notices";
import { Badge, Page } from "../components/page";
import { bytes, number, plural, rate, time } from "../format";
import { may, user } from "../session";
import "./clients.css";

export interface Connection {
  name: string;
  user_provided_name?: string;
  vhost: string;
  user: string;
  protocol: string;
  state: string;
  channels: number;
  connected_at: number;
  host: string;
  port: number;
  peer_host: string;
  peer_port: number;
  ssl: boolean;
  auth_mechanism: string;
  timeout: number;
  frame_max: number;
  channel_max: number;
  node: string;
  client_properties: Record<string, unknown>;
  variable_map?: { client_id?: string };
  recv_oct: number;
  send_oct: number;
  recv_oct_details?: Details;
  send_oct_details?: Details;
  message_stats?: Record<string, number | Details | undefined>;
}

export const isMqtt = ({ protocol }: Connection) => protocol.includes("MQTT");

export function Connections() {
  const [version, setVersion] = useState(0);
  const close: RowAction<Connection> = {
    label: "Close connections",
    question: (rows) => ({ title: `Close ${plural(rows.length, "connection")}?`, body: askForReason(WHAT_CLOSING_DOES) }),
    run: ({ name }) => closeConnection(name),
  };
  const closeAll = async (name: string) => {
    if (await closeAllOf(name)) setVersion(version + 1);
  };
  return (
    <Page title="Connections" actions={<CloseAll onChosen={closeAll} />}>
      <List
        id="connections"
        caption="Connections"
        target={clientsOf("connections")}
        columns={COLUMNS}
        rowKey={(row) => row.name}
        rowName={(row) => row.name}
        actions={[close]}
        version={version}
        empty={
          <>
            <p><b>Nobody is connected.</b> A connection appears here as soon as a client has logged in, over AMQP 0.9.1 or MQTT, by TCP or WebSocket.</p>
            <p>The <a href="#/">overview</a> has the ports that clients can use, and the <a href="#/mqtt/client">MQTT client</a> connects from this browser.</p>
          </>
        }
      />
    </Page>
  );
}

const COLUMNS: Column<Connection>[] = [
  {
    id: "name",
    title: "Name",
    sort: "name",
    cell: (row) => <div class="name"><ConnectionLink name={row.name} />{row.user_provided_name && <small class="second">{row.user_provided_name}</small>}</div>,
  },
  { id: "vhost", title: "Virtual host", sort: "vhost", cell: (row) => <VhostLink name={row.vhost} /> },
  { id: "user", title: "User", sort: "user", cell: (row) => <UserLink name={row.user} /> },
  { id: "protocol", title: "Protocol and client", sort: "protocol", cell: (row) => <>{row.protocol}<small class="second">{clientOf(row)}</small></> },
  { id: "client", title: "Client", sort: "client_properties.product", isExtra: true, cell: (row) => clientOf(row) },
  { id: "state", title: "State", sort: "state", cell: (row) => <State of={row} /> },
  { id: "channels", title: "Channels", sort: "channels", isNumber: true, cell: (row) => (isMqtt(row) ? "" : number(row.channels)) },
  { id: "recv", title: "From client", sort: "recv_oct_details.rate", isNumber: true, cell: (row) => octetRate(row.recv_oct_details?.rate) },
  { id: "send", title: "To client", sort: "send_oct_details.rate", isNumber: true, cell: (row) => octetRate(row.send_oct_details?.rate) },
  { id: "since", title: "Connected since", sort: "connected_at", cell: (row) => time(row.connected_at) },
  { id: "recv_all", title: "From client in all", sort: "recv_oct", isNumber: true, isExtra: true, cell: (row) => bytes(row.recv_oct) },
  { id: "send_all", title: "To client in all", sort: "send_oct", isNumber: true, isExtra: true, cell: (row) => bytes(row.send_oct) },
  { id: "published", title: "Published", sort: "message_stats.publish_details.rate", isNumber: true, isExtra: true, cell: (row) => rate((row.message_stats?.publish_details as Details | undefined)?.rate) },
  { id: "delivered", title: "Delivered", sort: "message_stats.deliver_get_details.rate", isNumber: true, isExtra: true, cell: (row) => rate((row.message_stats?.deliver_get_details as Details | undefined)?.rate) },
  { id: "heartbeat", title: "Heartbeat", sort: "timeout", isNumber: true, isExtra: true, cell: (row) => (row.timeout ? `${number(row.timeout)} s` : "none") },
  { id: "mechanism", title: "Login by", sort: "auth_mechanism", isExtra: true, cell: (row) => row.auth_mechanism },
  { id: "peer", title: "Address", sort: "peer_host", isExtra: true, cell: (row) => row.peer_host },
];

/** What the client says it is. */
export function clientOf({ client_properties: { product, version } }: Connection): string {
  return [product, version].filter((part) => typeof part === "string").join(" ");
}

export function octetRate(value: number | undefined): string {
  return value === undefined ? "–" : `${bytes(value)}/s`;
}

export function State({ of }: { of: Connection }) {
  return of.state === "blocked"
    ? <Badge tone="bad" title="It has published during an alarm and is not read from before that is over.">blocked</Badge>
    : <Badge tone="good">{of.state}</Badge>;
}

const WHAT_CLOSING_DOES = "Its channels, consumers and exclusive queues go with it, what it has not acknowledged goes back to the queues, and a transaction is undone. Most clients connect again by themselves.";

/** The reason that was entered last, while the question is open. */
let reason = "";

function askForReason(words: ComponentChildren) {
  reason = "";
  return (
    <>
      <p>{words}</p>
      <Input label="Reason" name="reason" placeholder="Closed via management API" hint="The client is told, and the log has it. ASCII, at most 200 characters." onInput={(text) => (reason = text)} />
    </>
  );
}

async function closeWith(target: string): Promise<void> {
  const text = reason.trim();
  // What HTTP takes in a header.
  if (!/^[ -~]{0,200}$/.test(text)) throw new Error("The reason may have at most 200 characters, all of them ASCII: letters without accents, digits and punctuation.");
  await call("DELETE", target, undefined, undefined, text ? { "X-Reason": text } : {});
}

const closeConnection = (name: string) => closeWith(path`connections/${name}`);

/** Asks, closes a connection, and says whether it did. */
export async function askAndClose(name: string, label: string): Promise<boolean> {
  const isSure = await confirm({ title: `Close the connection ${label}?`, body: askForReason(WHAT_CLOSING_DOES), action: "Close connection" });
  return isSure && attempt(`Closed ${label}.`, () => closeConnection(name));
}

/** Asks, closes all connections of a user, and says whether it did. */
export async function closeAllOf(name: string): Promise<boolean> {
  const isSure = await confirm({
    title: `Close all connections of ${name}?`,
    body: askForReason(`All connections of the user ${name}, in all virtual hosts, are closed. ${WHAT_CLOSING_DOES}`),
    action: "Close all of them",
  });
  return isSure && attempt(`Closed the connections of ${name}.`, () => closeWith(path`connections/username/${name}`));
}

function CloseAll({ onChosen }: { onChosen: (name: string) => void }) {
  const own = user.value?.name ?? "";
  if (!may("administrator")) return <button type="button" class="danger" onClick={() => onChosen(own)}>Close all of mine</button>;
  return (
    <form
      class="inline"
      onSubmit={(event) => {
        event.preventDefault();
        const name = new FormData(event.currentTarget).get("user");
        if (typeof name === "string" && name) onChosen(name);
      }}
    >
      <input name="user" aria-label="User whose connections are closed" placeholder="user" required spellcheck={false} autocapitalize="off" autocomplete="off" />
      <button type="submit" class="danger">Close all of this user</button>
    </form>
  );
}
