// The forms of the MQTT client: connect, subscribe, publish.

import { useState } from "preact/hooks";
import { ArgumentsInput, parsePairs } from "../components/arguments";
import { Check, Form, Input, Select, TextArea, type Values } from "../components/form";
import { octets } from "../components/octets";
import { timeOfDay } from "../format";
import type { Publish, Qos, Subscription } from "../mqtt/packets";
import type { Properties } from "../mqtt/properties";
import { user } from "../session";

/** What was asked for at the last connection; the password is not among it. */
export interface Wish {
  clientId: string;
  user: string;
  cleanStart: boolean;
  keepAliveS: number;
  sessionExpiryS: number;
}

export function ConnectForm({ wish, onConnect }: { wish: Wish | null; onConnect: (wish: Wish, password: string) => void }) {
  const connect = (values: Values) => {
    const chosen = {
      clientId: values.text("client_id"),
      user: values.text("user"),
      cleanStart: values.isSet("clean_start"),
      keepAliveS: values.number("keep_alive") ?? 0,
      sessionExpiryS: values.number("session_expiry") ?? 0,
    };
    onConnect(chosen, values.text("password"));
  };
  return (
    <Form action="Connect" onSubmit={connect}>
      <div class="columns">
        <Input label="MQTT user" name="user" value={wish?.user ?? user.value?.name} hint="Empty connects without a login, if the broker lets such clients in." />
        <Input label="MQTT password" name="password" type="password" autocomplete="off" />
        <Input label="Client identifier" name="client_id" value={wish?.clientId ?? suggestedId()} hint="Empty lets the broker choose one. Who connects with one that is in use takes its session over." />
        <Input label="Keep alive" name="keep_alive" type="number" min={0} max={65535} value={wish?.keepAliveS ?? 60} hint="Seconds; 0 is none." />
        <Input label="Keep the session" name="session_expiry" type="number" min={0} max={4294967295} value={wish?.sessionExpiryS ?? 0} hint="Seconds after the connection has ended; 4294967295 is for ever." />
      </div>
      <Check label="Clean start" name="clean_start" checked={wish?.cleanStart ?? true} hint="Begins without the subscriptions and messages that the session had." />
    </Form>
  );
}

const suggestedId = () => `browser-${crypto.getRandomValues(new Uint32Array(1))[0]?.toString(36)}`;

const QOS = [
  { value: "0", label: "0: at most once" },
  { value: "1", label: "1: at least once" },
  { value: "2", label: "2: exactly once" },
];

export function SubscribeForm({ filter, onSubscribe }: { filter: string; onSubscribe: (subscription: Subscription) => Promise<string> }) {
  const [outcome, say] = useState("");
  const subscribe = async (values: Values) => {
    say("");
    const subscription = {
      filter: values.text("filter"),
      qos: Number(values.text("qos")) as Qos,
      noLocal: values.isSet("no_local"),
      retainAsPublished: values.isSet("retain_as_published"),
      retainHandling: Number(values.text("retain_handling")),
    };
    say(`${subscription.filter}: ${await onSubscribe(subscription)}`);
  };
  return (
    <>
      <Form action="Subscribe" onSubmit={subscribe}>
        <Input label="Topic filter" name="filter" required value={filter} placeholder="sensors/+/temp" hint="+ is any level, # at the end all that follow; $share/NAME/… shares the messages with others." />
        <div class="columns">
          <Select label="QoS at the most" name="qos" value="1" options={QOS} />
          <Select label="Retained messages" name="retain_handling" options={[{ value: "0", label: "are sent" }, { value: "1", label: "are sent if the subscription is new" }, { value: "2", label: "are not sent" }]} />
        </div>
        <Check label="No local" name="no_local" hint="Not what this client publishes itself." />
        <Check label="Retain as published" name="retain_as_published" hint="Messages keep their retain flag." />
      </Form>
      <p role="status" class="hint">{outcome}</p>
    </>
  );
}

export function PublishForm({ onPublish }: { onPublish: (message: Publish) => Promise<string> }) {
  const [outcome, say] = useState("");
  const publish = async (values: Values) => {
    say("");
    const topic = values.text("topic");
    if (/[+#]/.test(topic)) throw new Error("A message goes to one topic: + and # are for subscriptions.");
    const words = await onPublish({
      topic,
      payload: payload(values),
      qos: Number(values.text("qos")) as Qos,
      retain: values.isSet("retain"),
      properties: properties(values),
    });
    say(`${topic}, ${timeOfDay(Date.now())}: ${words}`);
  };
  return (
    <>
      <Form action="Publish" onSubmit={publish}>
        <Input label="Topic" name="topic" required placeholder="sensors/kitchen/temp" />
        <TextArea label="Payload" name="payload" rows={3} />
        <div class="columns">
          <Select label="QoS" name="qos" value="1" options={QOS} />
          <Select label="The payload is" name="encoding" options={[{ value: "string", label: "text" }, { value: "base64", label: "base64 of octets" }]} />
        </div>
        <Check label="Retain" name="retain" hint="It stays as the value of the topic; an empty one clears it." />
        <details class="more">
          <summary>Properties</summary>
          <div class="columns">
            <Input label="Content type" name="content_type" list={["application/json", "text/plain"]} />
            <Input label="Expires after" name="expiry" type="number" min={1} max={4294967295} hint="Seconds; empty is never." />
            <Input label="Response topic" name="response_topic" />
            <Input label="Correlation data" name="correlation_data" />
          </div>
          <ArgumentsInput name="user_properties" label="User properties" isText />
        </details>
      </Form>
      <p role="status" class="hint">{outcome}</p>
    </>
  );
}

function payload(values: Values): Uint8Array {
  try {
    return octets(values.text("payload"), values.text("encoding"));
  } catch {
    throw new Error("The payload is no base64.");
  }
}

function properties(values: Values): Properties {
  const correlation = values.text("correlation_data");
  return {
    contentType: values.text("content_type") || undefined,
    messageExpiry: values.number("expiry"),
    responseTopic: values.text("response_topic") || undefined,
    correlationData: correlation ? new TextEncoder().encode(correlation) : undefined,
    userProperties: parsePairs(values.text("user_properties")),
  };
}
