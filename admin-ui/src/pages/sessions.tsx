// MQTT sessions: the list, and how one is ended.

import { del, path } from "../api";
import { confirm } from "../components/dialog";
import { ConnectionLink, QueueLink, SessionLink } from "../components/links";
import { type Column, List, type RowAction } from "../components/list";
import { attempt } from "../components/notices";
import { Badge, Page } from "../components/page";
import { bytes, duration, number, plural, time } from "../format";
import { may } from "../session";

export interface Session {
  client_id: string;
  connected: boolean;
  queue: string;
  vhost: string;
  durable: boolean;
  /** In seconds; `null` is for ever. */
  expiry_interval: number | null;
  has_will: boolean;
  away_since: number | null;
  subscriptions: number;
  messages: number;
  messages_ready: number;
  messages_in_flight: number;
  message_bytes: number;
  connection: { name: string; user: string; protocol: string; keep_alive: number; clean_start: boolean; connected_at: number; peer_host: string; peer_port: number } | null;
}

export function Sessions() {
  const end: RowAction<Session> = {
    label: "End",
    question: (rows) => ({ title: `End ${plural(rows.length, "session")}?`, body: <p>{whatIsLost(rows)}</p> }),
    run: ({ client_id: clientId }) => del(path`mqtt/sessions/${clientId}`),
  };
  return (
    <Page title="MQTT sessions">
      <List
        id="sessions"
        caption="MQTT sessions"
        target="mqtt/sessions"
        columns={COLUMNS}
        rowKey={(row) => row.client_id}
        rowName={(row) => row.client_id}
        actions={may("administrator") ? [end] : []}
        empty={
          <>
            <p><b>There is no session.</b> Each MQTT client has one, named by its client identifier. It holds its subscriptions and, if the client asked for it, the messages that come while it is away.</p>
            <p>The <a href="#/mqtt/client">MQTT client</a> begins one from this browser.</p>
          </>
        }
      />
    </Page>
  );
}

const COLUMNS: Column<Session>[] = [
  { id: "client_id", title: "Client identifier", sort: "client_id", cell: (row) => <SessionLink clientId={row.client_id} /> },
  { id: "connected", title: "State", sort: "connected", cell: (row) => <Presence of={row} /> },
  { id: "user", title: "User", sort: "connection.user", cell: (row) => row.connection?.user },
  { id: "protocol", title: "Protocol", sort: "connection.protocol", cell: (row) => row.connection?.protocol },
  { id: "subscriptions", title: "Subscriptions", sort: "subscriptions", isNumber: true, cell: (row) => number(row.subscriptions) },
  { id: "ready", title: "Waiting", sort: "messages_ready", isNumber: true, cell: (row) => number(row.messages_ready) },
  { id: "flight", title: "In flight", sort: "messages_in_flight", isNumber: true, cell: (row) => number(row.messages_in_flight) },
  { id: "bytes", title: "Bytes", sort: "message_bytes", isNumber: true, cell: (row) => bytes(row.message_bytes) },
  { id: "expiry", title: "Kept", sort: "expiry_interval", cell: kept },
  { id: "since", title: "Away since", sort: "away_since", cell: (row) => (row.away_since ? time(row.away_since) : "") },
  { id: "queue", title: "Queue", sort: "queue", isExtra: true, cell: (row) => <QueueLink vhost={row.vhost} name={row.queue} /> },
  { id: "connection", title: "Connection", sort: "connection.name", isExtra: true, cell: (row) => row.connection && <ConnectionLink name={row.connection.name} /> },
  { id: "will", title: "Will", sort: "has_will", isExtra: true, cell: (row) => (row.has_will ? "yes" : "no") },
];

export function Presence({ of }: { of: Session }) {
  return of.connected ? <Badge tone="good">connected</Badge> : <Badge tone="warn" title="Its subscriptions go on and its messages wait.">away</Badge>;
}

/** For how long a session outlives its connection. */
export function kept({ expiry_interval: seconds }: Session): string {
  if (seconds === null) return "for ever";
  return seconds === 0 ? "while connected" : duration(seconds * 1000);
}

function whatIsLost(sessions: Session[]): string {
  const sum = (of: (session: Session) => number) => sessions.reduce((total, session) => total + of(session), 0);
  const connected = sum((session) => Number(session.connected));
  const lost = `${plural(sum((session) => session.messages), "message")} and ${plural(sum((session) => session.subscriptions), "subscription")} are lost`;
  return `${lost}${connected > 0 ? `, and ${plural(connected, "client")} are disconnected; a will is published` : ""}. A client that comes back begins with an empty session.`;
}

/** Asks, ends a session, and says whether it did. */
export async function askAndEnd(session: Session): Promise<boolean> {
  const isSure = await confirm({ title: `End the session of ${session.client_id}?`, body: <p>{whatIsLost([session])}</p>, action: "End session" });
  return isSure && attempt(`Ended the session of ${session.client_id}.`, () => del(path`mqtt/sessions/${session.client_id}`));
}
