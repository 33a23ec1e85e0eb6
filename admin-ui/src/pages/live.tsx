// The live view: copies of what goes through an exchange, or to topics of MQTT, while it happens.

import { useState } from "preact/hooks";
import { path, query } from "../api";
import { NameInput } from "../components/bindings";
import { Dialog } from "../components/dialog";
import { Form, Input, Select, type Values } from "../components/form";
import { DEFAULT_EXCHANGE } from "../components/links";
import { type Column, Table } from "../components/list";
import { MessageView, propertiesOf } from "../components/message";
import { Empty, Failure } from "../components/notices";
import { Badge, Page, Panel } from "../components/page";
import { startVhost, VhostSelect } from "../components/vhost-select";
import { bytes, number, plural, timeOfDay } from "../format";
import { place } from "../router";
import { type Feed, ROWS_MAX, type Seen, type State, useFeed } from "./live-feed";
import "./live.css";

const RATES = ["10", "50", "200", "1000"];

export function Live() {
  const feed = useFeed();
  const [vhost, setVhost] = useState(place.value.parameters.get("vhost") ?? startVhost());
  // Of what is shown, whatever the form says by now.
  const [watched, setWatched] = useState(vhost);
  const [opened, setOpened] = useState<Seen | null>(null);
  const columns: Column<Seen>[] = [
    { id: "time", title: "Time", cell: (row) => timeOfDay(row.at) },
    { id: "key", title: "Routing key or topic", cell: (row) => <button type="button" class="bare link" onClick={() => setOpened(row)}>{nameOf(row)}</button> },
    { id: "size", title: "Size", isNumber: true, cell: (row) => bytes(row.message.payload_bytes) },
    { id: "type", title: "Content type", cell: (row) => propertiesOf(row.message).content_type },
    { id: "body", title: "Body", cell: (row) => <span class="glimpse mono">{glimpse(row)}</span> },
  ];
  return (
    <Page title="Live view" badges={<Badge tone={feed.state === "live" ? "good" : feed.state === "stopped" ? undefined : "warn"}>{STATES[feed.state]}</Badge>}>
      <p class="hint">Copies of what clients publish to an exchange or a topic, while it happens; what comes to an exchange by a binding is seen where it was published. Queues and consumers notice nothing. Who watches needs the permission to read from the exchange.</p>
      <Panel title="What to watch" wide>
        <Choice feed={feed} vhost={vhost} onVhost={setVhost} onStart={setWatched} />
      </Panel>
      {feed.error && <Failure error={feed.error} />}
      <span class="unseen" role="status">{STATES[feed.state]}</span>
      <Panel title="Messages" wide actions={<Tools feed={feed} />}>
        {feed.rows.length > 0
          ? <Table caption="Messages" columns={columns} rows={feed.rows} rowKey={(row) => String(row.id)} />
          : <Empty><p>{feed.state === "live" ? "Nothing has gone through since you began to watch. Messages appear here the moment they are published." : "Choose what to watch, and start. Only what goes through from then on is seen: what waits in a queue is on the page of the queue."}</p></Empty>}
      </Panel>
      {opened && (
        <Dialog title={nameOf(opened)} onClose={() => setOpened(null)}>
          <MessageView message={opened.message} vhost={watched} />
        </Dialog>
      )}
    </Page>
  );
}

/** Where all topics are. */
const MQTT_VHOST = "/";

const STATES: Record<State, string> = { stopped: "stopped", connecting: "connecting…", live: "live", paused: "paused" };

interface ChoiceProps {
  feed: Feed;
  vhost: string;
  onVhost: (vhost: string) => void;
  /** Told the virtual host of what is watched from now on. */
  onStart: (vhost: string) => void;
}

function Choice({ feed, vhost, onVhost, onStart }: ChoiceProps) {
  const { parameters } = place.value;
  const [by, setBy] = useState(parameters.has("filter") ? "filter" : "exchange");
  const start = (values: Values) => {
    const rate = values.text("rate");
    feed.clear();
    onStart(by === "filter" ? MQTT_VHOST : vhost);
    if (by === "filter") return feed.start(query("mqtt/tap", { filter: values.text("filter"), rate }));
    const exchange = values.text("exchange") || DEFAULT_EXCHANGE;
    feed.start(query(`${path`exchanges/${vhost}/${exchange}`}/tap`, { routing_key: values.text("key"), rate }));
  };
  const isOn = feed.state !== "stopped";
  return (
    <Form action={isOn ? "Start anew" : "Start"} onSubmit={start} buttons={isOn && <button type="button" onClick={feed.stop}>Stop</button>}>
      <div class="columns">
        <Select label="Watch" name="by" value={by} onChange={setBy} options={[{ value: "exchange", label: "an exchange" }, { value: "filter", label: "topics of MQTT" }]} />
        {by === "filter"
          ? <Input label="Filter" name="filter" required value={parameters.get("filter") ?? "#"} hint="As in a subscription: + is one level, # is all that follows." />
          : (
            <>
              <VhostSelect name="vhost" value={vhost} onChange={onVhost} />
              <NameInput label="Exchange" name="exchange" vhost={vhost} of="exchanges" value={given(parameters.get("exchange"))} hint="Empty is the default exchange." />
              <Input label="Routing key" name="key" value={parameters.get("key") ?? "#"} hint="A pattern, whatever the type of the exchange: * is one word, # any number of them." />
            </>
          )}
        <Select label="At the most" name="rate" value="50" options={RATES.map((value) => ({ value, label: `${value} messages per second` }))} hint="What is more is counted, and left out." />
      </div>
    </Form>
  );
}

function given(exchange: string | null): string {
  return exchange === null ? "amq.topic" : exchange === DEFAULT_EXCHANGE ? "" : exchange;
}

function Tools({ feed }: { feed: Feed }) {
  return (
    <>
      <span class="soft">
        {plural(feed.received, "message")}{feed.skipped > 0 && `, ${number(feed.skipped)} left out`}{feed.received > ROWS_MAX && `; the newest ${number(ROWS_MAX)} are kept`}
      </span>
      {(feed.state === "live" || feed.state === "paused") && (
        <button type="button" onClick={() => feed.pause(feed.state === "live")}>{feed.state === "live" ? "Pause" : "Go on"}</button>
      )}
      <button type="button" disabled={feed.received === 0} onClick={feed.clear}>Clear</button>
    </>
  );
}

function nameOf({ message }: Seen): string {
  return message.topic ?? (message.routing_key || "(empty)");
}

/** The beginning of a body. */
const GLIMPSE_CHARS = 200;

function glimpse({ message }: Seen): string {
  return message.payload_encoding === "base64" ? `base64: ${message.payload.slice(0, GLIMPSE_CHARS)}` : message.payload.slice(0, GLIMPSE_CHARS);
}
