// Bindings: their columns in lists, how one is removed, and the field that suggests what can be bound.

import { useEffect, useState } from "preact/hooks";
import { del, get, type Page, path, query } from "../api";
import { useTyped } from "../typed";
import { ShortArguments } from "./arguments";
import { Input } from "./form";
import { DEFAULT_EXCHANGE, ExchangeLink, QueueLink } from "./links";
import type { Column, RowAction } from "./list";

export interface Binding {
  source: string;
  vhost: string;
  destination: string;
  destination_type: "queue" | "exchange";
  routing_key: string;
  arguments: Record<string, unknown>;
  properties_key: string;
}

export const BINDING_COLUMNS = {
  vhost: { id: "vhost", title: "Virtual host", sort: "vhost", cell: (row) => row.vhost },
  source: { id: "source", title: "From", sort: "source", cell: (row) => <ExchangeLink vhost={row.vhost} name={row.source} /> },
  key: { id: "routing_key", title: "Routing key", sort: "routing_key", cell: (row) => (row.routing_key ? <code>{row.routing_key}</code> : <span class="soft">empty</span>) },
  destination: { id: "destination", title: "To", sort: "destination", cell: (row) => (row.destination_type === "queue" ? <QueueLink vhost={row.vhost} name={row.destination} /> : <ExchangeLink vhost={row.vhost} name={row.destination} />) },
  kind: { id: "destination_type", title: "Kind", sort: "destination_type", cell: (row) => row.destination_type },
  arguments: { id: "arguments", title: "Arguments", cell: (row) => <ShortArguments of={row.arguments} /> },
} satisfies Record<string, Column<Binding>>;

export const bindingKey = (row: Binding) => JSON.stringify([row.vhost, row.source, row.destination_type, row.destination, row.properties_key]);
export const bindingName = (row: Binding) => `${row.source || "(default exchange)"} → ${row.destination}${row.routing_key && ` by ${row.routing_key}`}`;

export function unbind(row: Binding): Promise<void> {
  if (row.source === "") throw new Error("The default exchange keeps its binding to a queue for as long as the queue is there.");
  const kind = row.destination_type === "queue" ? "q" : "e";
  return del(path`bindings/${row.vhost}/e/${row.source}/${kind}/${row.destination || DEFAULT_EXCHANGE}/${row.properties_key}`);
}

export const UNBIND: RowAction<Binding> = {
  label: "Unbind",
  question: (rows) => ({
    title: rows.length === 1 ? "Remove this binding?" : `Remove ${rows.length} bindings?`,
    body: (
      <>
        <p>New messages do not go this way any more; those that are in queues stay there. An exchange or a queue that is deleted with its last binding or consumer goes as well.</p>
        <ul>{rows.slice(0, 8).map((row) => <li key={bindingKey(row)}><code>{bindingName(row)}</code></li>)}</ul>
        {rows.length > 8 && <p>… and {rows.length - 8} more.</p>}
      </>
    ),
  }),
  run: unbind,
};

/** The pause in typing after which the broker is asked. */
const TYPING_MS = 250;
const SUGGESTIONS_MAX = 20;

interface NameInputProps {
  label: string;
  name: string;
  vhost: string;
  of: "queues" | "exchanges";
  hint?: string;
  value?: string;
  required?: boolean;
  onInput?: (value: string) => void;
}

/** A field for the name of a queue or an exchange, which suggests those that have the text in their names. */
export function NameInput({ vhost, of, value = "", onInput, ...rest }: NameInputProps) {
  const [text, setText] = useTyped(value);
  const [names, setNames] = useState<string[]>([]);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      const target = query(path`${of}/${vhost}`, { page: 1, page_size: SUGGESTIONS_MAX, name: text, sort: "name", columns: "name", disable_stats: true });
      // Without suggestions one can still type.
      const found = await get<Page<{ name: string }>>(target, abort.signal).catch(() => undefined);
      if (found) setNames(found.items.map(({ name }) => name).filter(Boolean));
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, vhost, of]);
  return <Input {...rest} value={text} list={names} onInput={(text) => {
    setText(text);
    onInput?.(text);
  }} />;
}
