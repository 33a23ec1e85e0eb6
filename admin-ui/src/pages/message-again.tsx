// Publishes a message that was seen once more, to any queue or exchange; the one that was seen stays.

import { useState } from "preact/hooks";
import { path, post } from "../api";
import { NameInput } from "../components/bindings";
import { Check, Form, Input, Select, type Values } from "../components/form";
import { DEFAULT_EXCHANGE } from "../components/links";
import { type Message, propertiesOf, type Properties } from "../components/message";
import { tell } from "../components/notices";
import { user } from "../session";

const OF_DEATH = /^x-(death|(first|last)-death-.*)$/;

export function Again({ message, vhost, onDone }: { message: Message; vhost: string; onDone: () => void }) {
  const [target, setTarget] = useState("queue");
  const properties = propertiesOf(message);
  const hasDied = Object.keys(properties.headers ?? {}).some((name) => OF_DEATH.test(name));
  const isOfOther = properties.user_id !== undefined && properties.user_id !== user.value?.name;
  const publish = async (values: Values) => {
    const exchange = target === "queue" ? DEFAULT_EXCHANGE : values.text("exchange");
    const key = target === "queue" ? values.text("queue") : values.text("routing_key");
    const { routed } = await post<{ routed: boolean }>(path`exchanges/${vhost}/${exchange}/publish`, {
      routing_key: key,
      payload: message.payload,
      payload_encoding: message.payload_encoding,
      properties: sent(properties, values.isSet("forgets_deaths"), isOfOther),
    });
    const to = target === "queue" ? key : exchange;
    if (!routed) throw new Error(target === "queue" ? `There is no queue ${to}: the copy is gone. The message is still where it was.` : `${to} has no binding that takes the key ${key || "(empty)"}: the copy is gone. The message is still where it was.`);
    tell("done", `Published to ${to}. The message is still here as well.`);
    onDone();
  };
  return (
    <Form action="Publish copy" onSubmit={publish}>
      <Select label="To" name="target" value={target} options={[{ value: "queue", label: "a queue" }, { value: "exchange", label: "an exchange" }]} onChange={setTarget} />
      {target === "queue"
        ? <NameInput key="queue" label="Queue" name="queue" required vhost={vhost} of="queues" />
        : (
          <>
            <NameInput key="exchange" label="Exchange" name="exchange" required value={message.exchange ?? ""} vhost={vhost} of="exchanges" />
            <Input key="key" label="Routing key" name="routing_key" value={message.routing_key} />
          </>
        )}
      {hasDied && <Check label="Without its death history" name="forgets_deaths" checked hint="With it, a queue that it died in may refuse it as a dead letter that goes in a circle." />}
      {isOfOther && <p class="hint">It says that it is of the user {String(properties.user_id)}. The copy will not: only a client of that user may say so.</p>}
    </Form>
  );
}

function sent(properties: Properties, forgetsDeaths: boolean, forgetsUser: boolean): Properties {
  const copy = { ...properties };
  if (forgetsUser) delete copy.user_id;
  if (forgetsDeaths && copy.headers) copy.headers = Object.fromEntries(Object.entries(copy.headers).filter(([name]) => !OF_DEATH.test(name)));
  return copy;
}
