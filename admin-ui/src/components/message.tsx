// One message in full: where it comes from, its properties and headers, what it went through, and its body.

import type { ComponentChildren } from "preact";
import { duration, time } from "../format";
import { Body } from "./body";
import { Deaths, deathsOf } from "./deaths";
import { ExchangeLink } from "./links";
import { type Fact, Facts } from "./page";
import "./message.css";

/** A message as `get`, `peek` and the taps of the API tell it; what one of them does not tell is absent. */
export interface Message {
  payload: string;
  payload_encoding: string;
  /** Its whole length; the payload may be cut off. */
  payload_bytes?: number;
  /** An empty list stands for none, in RabbitMQ's manner. */
  properties?: Properties | unknown[];
  exchange?: string;
  routing_key?: string;
  redelivered?: boolean;
  topic?: string;
  qos?: number;
  retain?: boolean;
}

export interface Properties {
  content_type?: string;
  content_encoding?: string;
  headers?: Record<string, unknown>;
  delivery_mode?: number;
  timestamp?: number;
  expiration?: string;
  [name: string]: unknown;
}

export function propertiesOf(message: Message): Properties {
  return message.properties && !Array.isArray(message.properties) ? message.properties : {};
}

interface MessageViewProps {
  message: Message;
  vhost: string;
  /** Where it waits, for the end of its history. */
  queue?: string;
  actions?: ComponentChildren;
}

export function MessageView({ message, vhost, queue, actions }: MessageViewProps) {
  const properties = propertiesOf(message);
  const headers = Object.entries(properties.headers ?? {}).filter(([name]) => !ABOUT_DEATH.test(name));
  const deaths = deathsOf(properties.headers);
  return (
    <div class="message">
      {actions && <div class="actions">{actions}</div>}
      <Body
        payload={message.payload}
        encoding={message.payload_encoding}
        length={message.payload_bytes}
        contentType={properties.content_type}
        contentEncoding={properties.content_encoding}
        name={fileName(properties)}
      />
      <div class="columns">
        <section aria-label="Properties">
          <h3>Properties</h3>
          <Facts of={[...origin(message, vhost), ...described(properties)]} />
        </section>
        <section aria-label="Headers">
          <h3>Headers</h3>
          {headers.length > 0 ? <Headers of={headers} /> : <p class="soft">none</p>}
        </section>
      </div>
      {deaths.length > 0 && (
        <section aria-label="Death history">
          <h3>Death history</h3>
          <Deaths of={deaths} vhost={vhost} now={queue} />
        </section>
      )}
    </div>
  );
}

/** Headers that the timeline tells. */
const ABOUT_DEATH = /^x-(death|(first|last)-death-(queue|reason|exchange))$/;

function origin(message: Message, vhost: string): (Fact | false)[] {
  const { exchange, routing_key: key, topic, qos, redelivered, retain } = message;
  return [
    topic !== undefined && ["Topic", <code key="topic">{topic}</code>],
    exchange !== undefined && ["Exchange", <ExchangeLink key="exchange" vhost={vhost} name={exchange} />],
    key !== undefined && ["Routing key", <code key="key">{key || "(empty)"}</code>],
    ["QoS", qos],
    ["Retained", retain ? "yes" : undefined],
    ["Redelivered", redelivered ? "yes" : undefined, "Somebody had it before, and did not acknowledge it."],
  ];
}

const NAMES: Record<string, string> = {
  content_type: "Content type",
  content_encoding: "Content encoding",
  delivery_mode: "Delivery mode",
  priority: "Priority",
  correlation_id: "Correlation id",
  reply_to: "Reply to",
  expiration: "Expires after",
  message_id: "Message id",
  timestamp: "Timestamp",
  type: "Type",
  user_id: "User",
  app_id: "Application",
  cluster_id: "Cluster",
};

function described(properties: Properties): Fact[] {
  const known = Object.keys(NAMES);
  const others = Object.keys(properties).filter((name) => name !== "headers" && !known.includes(name));
  return [...known, ...others].flatMap((name): Fact[] => {
    const value = properties[name];
    return value === undefined ? [] : [[NAMES[name] ?? name, inWords(name, value)]];
  });
}

function inWords(name: string, value: unknown): ComponentChildren {
  switch (name) {
    case "delivery_mode":
      return value === 2 ? "2: persistent" : `${String(value)}: not persistent, a restart of the broker loses it`;
    case "expiration":
      return duration(Number(value));
    case "timestamp":
      return time(Number(value) * 1000);
    default:
      return <code>{written(value)}</code>;
  }
}

function Headers({ of }: { of: [string, unknown][] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof value === "object" && value !== null ? <pre>{JSON.stringify(value, null, 2)}</pre> : <><code>{written(value)}</code>{typeof value !== "string" && <span class="soft"> {value === null ? "" : typeof value}</span>}</>}</dd>
        </div>
      ))}
    </dl>
  );
}

function written(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

const ENDINGS: Record<string, string> = { "application/json": "json", "text/plain": "txt", "text/csv": "csv", "application/xml": "xml", "application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg" };

function fileName({ message_id: id, content_type: type }: Properties): string {
  const name = typeof id === "string" ? id.replace(/[^\w.-]+/g, "_").slice(0, 80) : "";
  return `${name.replace(/^\.+/, "") || "message"}.${ENDINGS[String(type).split(";")[0] ?? ""] ?? "bin"}`;
}
