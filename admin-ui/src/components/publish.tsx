// A form that publishes a message with all its properties, and says whether any queue got it.

import { useState } from "preact/hooks";
import { path, post, query } from "../api";
import { timeOfDay } from "../format";
import { link } from "../router";
import { ArgumentsInput, parseArguments } from "./arguments";
import { Check, Form, Input, Select, TextArea, type Values } from "./form";
import { DEFAULT_EXCHANGE } from "./links";
import "./publish.css";

/** A message as the API shows it, to begin with. */
export interface Draft {
  payload?: string;
  payload_encoding?: string;
  properties?: Record<string, unknown>;
}

interface PublishProps {
  vhost: string;
  /** Empty for the default exchange. */
  exchange: string;
  routingKey?: string;
  /** The routing key is not asked for: the message is for one queue. */
  isForQueue?: boolean;
  draft?: Draft;
  onPublished?: () => void;
}

interface Sent {
  isRouted: boolean;
  key: string;
  count: number;
  at: number;
}

export function Publish({ vhost, exchange, routingKey = "", isForQueue, draft = {}, onPublished }: PublishProps) {
  const [sent, setSent] = useState<Sent | null>(null);
  const given = draft.properties ?? {};
  const text = (name: string) => (given[name] === undefined ? "" : String(given[name]));
  const isOpen = Object.keys(given).some((name) => name !== "delivery_mode" && name !== "content_type" && name !== "headers");
  const publish = async (values: Values) => {
    const key = isForQueue ? routingKey : values.text("routing_key");
    setSent(null);
    const { routed } = await post<{ routed: boolean }>(path`exchanges/${vhost}/${exchange || DEFAULT_EXCHANGE}/publish`, {
      routing_key: key,
      properties: properties(values),
      payload: values.text("payload"),
      payload_encoding: values.text("payload_encoding"),
    });
    setSent({ isRouted: routed, key, count: (sent?.key === key ? sent.count : 0) + 1, at: Date.now() });
    onPublished?.();
  };
  return (
    <div class="publish">
      <Form action="Publish message" onSubmit={publish}>
        {!isForQueue && <Input label="Routing key" name="routing_key" value={routingKey} hint="Which bindings it takes depends on the type of the exchange." />}
        <TextArea label="Body" name="payload" rows={5} value={draft.payload ?? ""} />
        <div class="columns">
          <Select label="The body is" name="payload_encoding" value={draft.payload_encoding ?? "string"} options={[{ value: "string", label: "text" }, { value: "base64", label: "base64 of octets" }]} />
          <Input label="Content type" name="content_type" value={text("content_type")} list={["application/json", "text/plain", "application/octet-stream"]} />
        </div>
        <Check label="Persistent" name="persistent" checked={given.delivery_mode === undefined || given.delivery_mode === 2} hint="In a durable queue it outlives a restart of the broker." />
        <ArgumentsInput
          name="headers"
          label="Headers"
          value={given.headers as Record<string, unknown>}
          suggestions={[{ key: "x-delay", type: "number", placeholder: "milliseconds" }, { key: "CC", type: "json", placeholder: '["another.key"]' }]}
        />
        <details class="more" open={isOpen}>
          <summary>More properties</summary>
          <div class="columns">
            {PROPERTIES.map(({ name, label, hint, isNumber, max }) => (
              <Input key={name} label={label} name={name} value={text(name)} type={isNumber ? "number" : "text"} {...(isNumber && { min: 0 })} {...(max && { max })} hint={hint} />
            ))}
          </div>
        </details>
      </Form>
      <div role="status">{sent && <Outcome sent={sent} vhost={vhost} exchange={exchange} />}</div>
    </div>
  );
}

function Outcome({ sent, vhost, exchange }: { sent: Sent; vhost: string; exchange: string }) {
  const count = sent.count > 1 ? ` ${sent.count} messages so far.` : "";
  if (sent.isRouted) return <p class="outcome good">Routed: at least one queue got it, {timeOfDay(sent.at)}.{count}</p>;
  const tester = query(link`routes`, { vhost, exchange: exchange || DEFAULT_EXCHANGE, key: sent.key });
  return <p class="outcome warn">Not routed: no queue got it, so it is gone, {timeOfDay(sent.at)}.{count} <a href={tester}>See why</a></p>;
}

interface Property {
  name: string;
  label: string;
  hint?: string;
  isNumber?: boolean;
  max?: number;
}

const PROPERTIES: Property[] = [
  { name: "priority", label: "Priority", isNumber: true, max: 255, hint: "For queues with priorities; more is sooner." },
  { name: "expiration", label: "Expires after", isNumber: true, hint: "Milliseconds." },
  { name: "message_id", label: "Message id" },
  { name: "correlation_id", label: "Correlation id" },
  { name: "reply_to", label: "Reply to", hint: "The queue that an answer should go to." },
  { name: "type", label: "Type" },
  { name: "app_id", label: "Application" },
  { name: "user_id", label: "User", hint: "Only your own name is taken." },
  { name: "timestamp", label: "Timestamp", isNumber: true, hint: "Seconds since 1970." },
  { name: "content_encoding", label: "Content encoding", hint: "For example gzip; the body is sent as it is." },
];

/** Those that were filled in, each as its type. */
function properties(values: Values): Record<string, unknown> {
  const given: Record<string, unknown> = { delivery_mode: values.isSet("persistent") ? 2 : 1 };
  const contentType = values.text("content_type").trim();
  if (contentType) given.content_type = contentType;
  for (const { name, isNumber } of PROPERTIES) {
    const text = values.text(name);
    // AMQP has the expiration as a text.
    if (text !== "") given[name] = isNumber && name !== "expiration" ? Number(text) : text;
  }
  const headers = parseArguments(values.text("headers"));
  if (Object.keys(headers).length > 0) given.headers = headers;
  return given;
}
