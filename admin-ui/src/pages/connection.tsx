// One connection: who is there, what it said of itself, what goes over it.

import type { ComponentChildren } from "preact";
import { type Page as ListPage, path, query } from "../api";
import { Chart, type Details, RangePicker, useHistory } from "../components/chart";
import { ChannelLink, SessionLink, UserLink, VhostLink } from "../components/links";
import { type Column, Table } from "../components/list";
import { Empty, Failure } from "../components/notices";
import { type Fact, Facts, Page, Panel, Panels } from "../components/page";
import { bytes, duration, number, rate, time, yesNo } from "../format";
import { usePoll } from "../poll";
import { go } from "../router";
import { CHANNEL_COLUMNS, type Channel } from "./channels";
import { askAndClose, closeAllOf, type Connection as Data, clientOf, isMqtt, octetRate, State } from "./connections";
import { type Consumer, CONSUMER_COLUMNS } from "./consumers";
import { may, user } from "../session";

const KIND = { label: "Connections", href: "#/connections" };

export function Connection({ parts: [name = ""] }: { parts: string[] }) {
  const histories = useHistory(["data_rates", "msg_rates"]);
  const { data, error } = usePoll<Data>(query(path`connections/${name}`, histories));
  const close = async () => {
    if (await askAndClose(name, name)) go("#/connections");
  };
  const closeAll = async (of: string) => {
    if (await closeAllOf(of)) go("#/connections");
  };
  const isOwn = data?.user === user.value?.name;
  return (
    <Page
      title={name}
      kind={KIND}
      badges={data && <State of={data} />}
      actions={
        <>
          <RangePicker />
          {data && (isOwn || may("administrator")) && (
            <>
              <button type="button" class="danger" onClick={close}>Close</button>
              <button type="button" class="danger" onClick={() => closeAll(data.user)}>Close all of {data.user}</button>
            </>
          )}
        </>
      }
    >
      {error && ("status" in error && error.status === 404 ? <Gone what="connection" list="#/connections" /> : <Failure error={error} />)}
      {data && (
        <Panels>
          <Panel title="Traffic"><Octets of={data} /></Panel>
          <Panel title="Messages"><Messages of={data.message_stats} /></Panel>
          <Panel title="Connection"><Facts of={facts(data)} /></Panel>
          <Panel title="What the client says of itself"><Tree of={data.client_properties} /></Panel>
          {!isMqtt(data) && <Channels name={name} />}
          <Consumers name={name} vhost={data.vhost} />
        </Panels>
      )}
    </Page>
  );
}

/** Stands on the page of something that was closed in the meantime. */
export function Gone({ what, list }: { what: string; list: string }) {
  return <Empty><p><b>This {what} is not there any more.</b> It was closed, or its client went away. <a href={list}>To those that are there</a></p></Empty>;
}

function facts(data: Data): (Fact | false | undefined)[] {
  const clientId = data.variable_map?.client_id;
  const kept = Date.now() - data.connected_at;
  const silence = data.timeout ? `${number(data.timeout)} s` : "none: a client that has vanished is not noticed before something is sent to it";
  return [
    ["Name that the client chose", data.user_provided_name],
    ["Client", clientOf(data)],
    ["User", <UserLink key="user" name={data.user} />],
    ["Virtual host", <VhostLink key="vhost" name={data.vhost} />],
    clientId !== undefined && ["MQTT session", <SessionLink key="session" clientId={clientId} />],
    ["Protocol", data.protocol],
    ["Connected since", `${time(data.connected_at)}${kept > 0 ? `, for ${duration(kept)}` : ""}`],
    ["From", `${data.peer_host}${data.peer_port ? ` port ${data.peer_port}` : ""}`],
    ["To", `${data.host}${data.port ? ` port ${data.port}` : ""}`],
    ["Node", data.node],
    ["TLS", yesNo(data.ssl), data.ssl ? undefined : "What is sent is not encrypted, unless a proxy does it."],
    ["Login by", data.auth_mechanism],
    [isMqtt(data) ? "Keep alive" : "Heartbeat", silence],
    data.frame_max > 0 && ["Largest frame", bytes(data.frame_max)],
    data.channel_max > 0 && ["Channels", `${number(data.channels)} open, ${number(data.channel_max)} at the most`],
    data.state === "blocked" && ["State", "blocked", "It has published during an alarm and is not read from before that is over. The overview says what helps."],
  ];
}

function Octets({ of }: { of: Data }) {
  return (
    <>
      <Chart title="Bytes per second" format={octetRate} lines={[{ label: "From the client", details: of.recv_oct_details, isCounter: true }, { label: "To the client", details: of.send_oct_details, isCounter: true }]} />
      <Facts of={[["From the client in all", bytes(of.recv_oct)], ["To the client in all", bytes(of.send_oct)]]} />
    </>
  );
}

const COUNTERS: [label: string, name: string][] = [
  ["Published", "publish"],
  ["Confirmed", "confirm"],
  ["Delivered and got", "deliver_get"],
  ["Acknowledged", "ack"],
  ["Redelivered", "redeliver"],
  ["Unroutable, returned", "return_unroutable"],
  ["Unroutable, dropped", "drop_unroutable"],
];

/** The messages of a client as a chart, and how many there were in all. */
export function Messages({ of }: { of: Record<string, number | Details | undefined> | undefined }) {
  const lines = COUNTERS.map(([label, name]) => ({ label, details: of?.[`${name}_details`] as Details | undefined, isCounter: true }));
  const totals = COUNTERS.filter(([, name]) => of?.[name]).map(([label, name]) => `${label.toLowerCase()} ${number(of?.[name] as number)}`);
  return (
    <>
      <Chart title="Messages per second" format={rate} lines={lines} />
      {totals.length > 0 && <p class="hint">In all: {totals.join(", ")}.</p>}
    </>
  );
}

/** A table of a client as a list of lists. */
export function Tree({ of }: { of: Record<string, unknown> }) {
  const entries = Object.entries(of);
  if (entries.length === 0) return <p class="soft">nothing</p>;
  return <ul class="tree">{entries.map(([key, value]) => <li key={key}><b>{key}</b> {branch(value)}</li>)}</ul>;
}

function branch(value: unknown): ComponentChildren {
  if (typeof value === "boolean") return yesNo(value);
  if (typeof value !== "object" || value === null) return <span class="mono">{String(value)}</span>;
  return <Tree of={value as Record<string, unknown>} />;
}

function Channels({ name }: { name: string }) {
  const { data, error } = usePoll<Channel[]>(path`connections/${name}/channels`);
  return (
    <Panel title="Channels" wide>
      {error && !data && <Failure error={error} />}
      {data?.length === 0 && <p class="hint">This client has opened no channel. It publishes and consumes over channels, so it does neither.</p>}
      {data && data.length > 0 && <Table caption="Channels" columns={CHANNELS} rows={data} rowKey={(row) => row.name} />}
    </Panel>
  );
}

/** Without what is the same for all channels of a connection. */
const CHANNELS: Column<Channel>[] = [
  { id: "number", title: "Channel", cell: (row) => <ChannelLink name={row.name} label={`Channel ${row.number}`} /> },
  ...CHANNEL_COLUMNS.filter(({ id }) => !["name", "vhost", "user"].includes(id)),
];
const CONSUMERS = CONSUMER_COLUMNS.filter(({ id }) => id !== "vhost" && id !== "timeout");

/** Those that are shown: as many as a page of the API holds. */
const CONSUMERS_MAX = 500;

function Consumers({ name, vhost }: { name: string; vhost: string }) {
  // The API has no list of the consumers of a connection, but finds them by a part of its name.
  const { data, error } = usePoll<ListPage<Consumer>>(query(path`consumers/${vhost}`, { page: 1, page_size: CONSUMERS_MAX, name }));
  const theirs = data?.items.filter((row) => row.channel_details.connection_name === name);
  return (
    <Panel title="Consumers" wide>
      {error && !data && <Failure error={error} />}
      {theirs?.length === 0 && <p class="hint">This client consumes from no queue.</p>}
      {theirs && theirs.length > 0 && <Table caption="Consumers" columns={CONSUMERS} rows={theirs} rowKey={(row) => `${row.channel_details.name} ${row.consumer_tag}`} />}
      {data && data.page_count > 1 && <p class="hint">These are not all: <a href={query("#/consumers", { name })}>all consumers of this connection</a></p>}
    </Panel>
  );
}
