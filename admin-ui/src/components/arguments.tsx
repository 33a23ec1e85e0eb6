// Arguments of queues and exchanges, and keys of policies: in words when they are shown, with suggestions when
// they are entered.

import { useState } from "preact/hooks";
import { bytes, duration, number } from "../format";

type Json = unknown;

/** What a known argument means, given its value. */
const MEANINGS: Record<string, (value: Json) => string> = {
  "alternate-exchange": (name) => `What no binding takes goes to the exchange ${name}.`,
  "dead-letter-exchange": (name) => `What is rejected, expires or finds no room goes to ${name ? `the exchange ${name}` : "the default exchange"}.`,
  "dead-letter-routing-key": (key) => `Dead letters get the routing key ${key} instead of their own.`,
  "dead-letter-strategy": (value) => `Dead letters leave ${value}.`,
  "delivery-limit": (count) => `A message that was delivered more than ${number(Number(count))} times is a dead letter.`,
  expires: (ms) => `The queue is deleted when nobody has used it for ${duration(Number(ms))}.`,
  "message-ttl": (ms) => `Messages expire after ${duration(Number(ms))}.`,
  "max-length": (count) => `Holds ${number(Number(count))} messages at the most.`,
  "max-length-bytes": (size) => `Holds ${bytes(Number(size))} of message bodies at the most.`,
  overflow: (mode) =>
    mode === "reject-publish" ? "When it is full, new messages are refused."
    : mode === "reject-publish-dlx" ? "When it is full, new messages are refused and become dead letters."
    : "When it is full, the oldest messages make room.",
  "max-priority": (max) => `Messages with a higher priority come first; there are ${number(Number(max))} levels above 0.`,
  "queue-type": (type) => `The queue was asked for as ${type}.`,
  "queue-mode": (mode) => `Accepted for the sake of clients (${mode}); backlogs are always on disk.`,
  "single-active-consumer": (on) => (on ? "One consumer at a time gets messages; the next takes over when it goes." : "All consumers get messages in turn."),
  "consumer-timeout": (ms) => `A consumer that holds a message for longer than ${duration(Number(ms))} is cut off.`,
  "delayed-type": (type) => `After their delay, messages are routed as by a ${type} exchange.`,
  "hash-header": (name) => `Messages are spread by the header ${name}.`,
  "hash-property": (name) => `Messages are spread by the property ${name}.`,
  "recent-history-length": (count) => `New bindings get the last ${number(Number(count))} messages.`,
  "message-deduplication": (on) => (on ? "Messages that were seen before are dropped." : "Duplicates are kept."),
  "cache-size": (count) => `Remembers ${number(Number(count))} messages to find duplicates.`,
  "cache-ttl": (ms) => `Duplicates are found for ${duration(Number(ms))}.`,
  match: (how) => (how === "any" || how === "any-with-x" ? "One header that matches is enough." : "All headers have to match."),
};

export function meaning(key: string, value: Json): string | undefined {
  return MEANINGS[key.replace(/^x-/, "")]?.(value);
}

/** Arguments as they are, each with what it means. */
export function Arguments({ of }: { of: Record<string, Json> | undefined }) {
  const entries = Object.entries(of ?? {});
  if (entries.length === 0) return <span class="soft">none</span>;
  return (
    <ul class="arguments">
      {entries.map(([key, value]) => (
        <li key={key}>
          <code>{key} = {typeof value === "string" ? value : JSON.stringify(value)}</code>
          {meaning(key, value) && <small>{meaning(key, value)}</small>}
        </li>
      ))}
    </ul>
  );
}

/** Arguments for a list, without the explanation. */
export function ShortArguments({ of }: { of: Record<string, Json> | undefined }) {
  const text = Object.entries(of ?? {}).map(([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
  return <span class="clip" title={text}>{text}</span>;
}

interface Suggestion {
  key: string;
  type: "number" | "string" | "boolean" | "json";
  placeholder?: string;
}

export const QUEUE_ARGUMENTS: Suggestion[] = [
  { key: "x-message-ttl", type: "number", placeholder: "milliseconds" },
  { key: "x-expires", type: "number", placeholder: "milliseconds" },
  { key: "x-max-length", type: "number", placeholder: "messages" },
  { key: "x-max-length-bytes", type: "number", placeholder: "bytes" },
  { key: "x-overflow", type: "string", placeholder: "drop-head, reject-publish or reject-publish-dlx" },
  { key: "x-dead-letter-exchange", type: "string", placeholder: "name of an exchange" },
  { key: "x-dead-letter-routing-key", type: "string" },
  { key: "x-max-priority", type: "number", placeholder: "1 to 255" },
  { key: "x-single-active-consumer", type: "boolean", placeholder: "true" },
  { key: "x-consumer-timeout", type: "number", placeholder: "milliseconds" },
  { key: "x-queue-type", type: "string", placeholder: "classic or quorum" },
  { key: "x-delivery-limit", type: "number", placeholder: "deliveries" },
  { key: "x-message-deduplication", type: "boolean", placeholder: "true" },
];

export const EXCHANGE_ARGUMENTS: Suggestion[] = [
  { key: "alternate-exchange", type: "string", placeholder: "name of an exchange" },
  { key: "x-delayed-type", type: "string", placeholder: "direct, fanout, topic or headers" },
  { key: "hash-header", type: "string", placeholder: "name of a header" },
  { key: "hash-property", type: "string", placeholder: "message_id, correlation_id or timestamp" },
  { key: "x-recent-history-length", type: "number", placeholder: "messages" },
];

export const POLICY_KEYS: Suggestion[] = [
  { key: "message-ttl", type: "number", placeholder: "milliseconds" },
  { key: "expires", type: "number", placeholder: "milliseconds" },
  { key: "max-length", type: "number", placeholder: "messages" },
  { key: "max-length-bytes", type: "number", placeholder: "bytes" },
  { key: "overflow", type: "string", placeholder: "drop-head, reject-publish or reject-publish-dlx" },
  { key: "dead-letter-exchange", type: "string", placeholder: "name of an exchange" },
  { key: "dead-letter-routing-key", type: "string" },
  { key: "delivery-limit", type: "number", placeholder: "deliveries" },
  { key: "consumer-timeout", type: "number", placeholder: "milliseconds" },
  { key: "alternate-exchange", type: "string", placeholder: "name of an exchange" },
];

interface Row {
  key: string;
  type: Suggestion["type"];
  value: string;
}

/** A field of arguments; its value goes into a hidden input as JSON, read by {@link parseArguments}. With `isText` nothing else is entered. */
export function ArgumentsInput(props: { name: string; label: string; suggestions?: Suggestion[]; value?: Record<string, Json>; onChange?: (text: string) => void; isText?: boolean }) {
  const [rows, setAll] = useState<Row[]>(() => Object.entries(props.value ?? {}).map(([key, value]) => toRow(key, value)));
  const setRows = (rows: Row[]) => {
    setAll(rows);
    props.onChange?.(JSON.stringify(rows));
  };
  const change = (at: number, changes: Partial<Row>) => setRows(rows.map((row, n) => (n === at ? { ...row, ...changes } : row)));
  const rename = (at: number, key: string) => {
    const known = props.suggestions?.find((suggestion) => suggestion.key === key);
    change(at, known ? { key, type: known.type } : { key });
  };
  const unused = (props.suggestions ?? []).filter(({ key }) => !rows.some((row) => row.key === key));
  return (
    <fieldset class="arguments-input">
      <legend>{props.label}</legend>
      <input type="hidden" name={props.name} value={JSON.stringify(rows)} />
      {rows.map((row, n) => {
        const known = props.suggestions?.find((suggestion) => suggestion.key === row.key);
        const explained = row.value && meaning(row.key, row.type === "boolean" ? row.value === "true" : row.value);
        return (
          <div class={props.isText ? "row text" : "row"} key={n}>
            <input aria-label={`${props.label}: name ${n + 1}`} value={row.key} placeholder="name" spellcheck={false} onInput={(event) => rename(n, event.currentTarget.value)} />
            {!props.isText && (
              <select aria-label={`${props.label}: type of ${row.key || n + 1}`} value={row.type} onChange={(event) => change(n, { type: event.currentTarget.value as Row["type"] })}>
                <option value="string">text</option>
                <option value="number">number</option>
                <option value="boolean">true/false</option>
                <option value="json">JSON</option>
              </select>
            )}
            <input aria-label={`${props.label}: value of ${row.key || n + 1}`} value={row.value} placeholder={known?.placeholder ?? "value"} spellcheck={false} onInput={(event) => change(n, { value: event.currentTarget.value })} />
            <button type="button" class="bare" aria-label={`Remove ${row.key || "this row"}`} onClick={() => setRows(rows.filter((_, at) => at !== n))}>✕</button>
            {explained && <small>{explained}</small>}
          </div>
        );
      })}
      <div class="add">
        {unused.map(({ key, type }) => (
          <button key={key} type="button" class="chip" onClick={() => setRows([...rows, { key, type, value: type === "boolean" ? "true" : "" }])}>{key}</button>
        ))}
        <button type="button" class="chip" onClick={() => setRows([...rows, { key: "", type: "string", value: "" }])}>{props.suggestions ? "other…" : "add…"}</button>
      </div>
    </fieldset>
  );
}

function toRow(key: string, value: Json): Row {
  switch (typeof value) {
    case "string":
      return { key, type: "string", value };
    case "number":
      return { key, type: "number", value: String(value) };
    case "boolean":
      return { key, type: "boolean", value: String(value) };
    default:
      return { key, type: "json", value: JSON.stringify(value) };
  }
}

/** What an {@link ArgumentsInput} holds. Throws with words for the user if a value is not of its type. */
export function parseArguments(text: string): Record<string, Json> {
  const result: Record<string, Json> = {};
  for (const { key, type, value } of JSON.parse(text) as Row[]) {
    if (key.trim() === "") continue;
    result[key.trim()] = parseValue(key, type, value);
  }
  return result;
}

/** What an {@link ArgumentsInput} holds, as pairs of texts: the user properties of MQTT are nothing else. */
export function parsePairs(text: string): [string, string][] {
  return (JSON.parse(text) as Row[]).filter(({ key }) => key !== "").map(({ key, value }) => [key, value]);
}

function parseValue(key: string, type: Row["type"], value: string): Json {
  switch (type) {
    case "number":
      if (value.trim() === "" || !Number.isFinite(Number(value))) throw new Error(`${key} has to be a number.`);
      return Number(value);
    case "boolean":
      if (value !== "true" && value !== "false") throw new Error(`${key} has to be true or false.`);
      return value === "true";
    case "json":
      try {
        return JSON.parse(value);
      } catch {
        throw new Error(`${key} is no valid JSON.`);
      }
    default:
      return value;
  }
}
