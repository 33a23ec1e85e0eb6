// Retained messages: the last value of each topic, as a list, and how one is set or cleared.

import { useState } from "preact/hooks";
import { del, path, query } from "../api";
import { Dialog } from "../components/dialog";
import { type Column, List, type RowAction } from "../components/list";
import type { Message } from "../components/message";
import { Page } from "../components/page";
import { bytes, plural, time } from "../format";
import { link, place, setParameters } from "../router";
import { RetainedForm } from "./retained-form";

export interface Retained extends Message {
  topic: string;
  payload_bytes: number;
  qos: number;
  published_at: number;
  expires_at: number | null;
}

export function RetainedTopics() {
  const [isOpen, setOpen] = useState(false);
  const [version, setVersion] = useState(0);
  const filter = place.value.parameters.get("filter") ?? "";
  const clear: RowAction<Retained> = {
    label: "Clear",
    question: (rows) => ({ title: `Clear ${plural(rows.length, "topic")}?`, body: <p>Their values are lost: clients that subscribe from now on get none. Nothing changes for those that have subscribed already.</p> }),
    run: ({ topic }) => del(path`mqtt/retained/${topic}`),
  };
  return (
    <Page title="Retained topics" actions={<button type="button" class="primary" onClick={() => setOpen(true)}>Set a value…</button>}>
      {isOpen && (
        <Dialog title="Set the value of a topic" onClose={() => setOpen(false)}>
          <RetainedForm
            onDone={() => {
              setOpen(false);
              setVersion(version + 1);
            }}
          />
        </Dialog>
      )}
      <FilterForm filter={filter} />
      <List
        id="retained"
        caption="Retained topics"
        target={query("mqtt/retained", { filter })}
        columns={COLUMNS}
        rowKey={(row) => row.topic}
        rowName={(row) => row.topic}
        actions={[clear]}
        version={version}
        empty={filter
          ? <p>No topic with a value matches <code>{filter}</code>. <button type="button" onClick={() => setParameters({ filter: "", page: "" })}>Show all topics</button></p>
          : <p><b>No topic has a value.</b> A message that is published with the retain flag stays as the value of its topic, and whoever subscribes later gets it at once. Set one with the button above, or publish one with the <a href="#/mqtt/client">MQTT client</a>.</p>}
      />
    </Page>
  );
}

const COLUMNS: Column<Retained>[] = [
  { id: "topic", title: "Topic", sort: "topic", cell: (row) => <a href={link`mqtt/retained/${row.topic}`}>{row.topic}</a> },
  { id: "value", title: "Value", cell: (row) => <Value of={row} /> },
  { id: "size", title: "Size", sort: "payload_bytes", isNumber: true, cell: (row) => bytes(row.payload_bytes) },
  { id: "qos", title: "QoS", sort: "qos", isNumber: true, cell: (row) => row.qos },
  { id: "published", title: "Published", sort: "published_at", cell: (row) => time(row.published_at) },
  { id: "expires", title: "Expires", sort: "expires_at", cell: (row) => (row.expires_at ? time(row.expires_at) : "never") },
];

/** What of a value a row shows, in characters. */
const SHOWN_MAX = 100;

function Value({ of }: { of: Retained }) {
  if (of.payload_encoding === "base64") return <span class="soft">not text</span>;
  return <code>{of.payload.slice(0, SHOWN_MAX)}{of.payload.length > SHOWN_MAX && "…"}</code>;
}

/** Topics of a filter with `+` and `#`, as subscriptions have it. */
function FilterForm({ filter }: { filter: string }) {
  return (
    <form
      class="inline above"
      role="search"
      aria-label="Topic filter"
      onSubmit={(event) => {
        event.preventDefault();
        const entered = new FormData(event.currentTarget).get("filter");
        setParameters({ filter: String(entered ?? "").trim(), page: "" });
      }}
    >
      <label>Topic filter <input key={filter} name="filter" defaultValue={filter} placeholder="sensors/+/temp" spellcheck={false} autocapitalize="off" autocomplete="off" /></label>
      <button type="submit">Show</button>
      {filter && <button type="button" onClick={() => setParameters({ filter: "", page: "" })}>All topics</button>}
    </form>
  );
}
