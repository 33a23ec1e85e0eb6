// What the MQTT client has received, the newest first; one of them is opened at a time.

import { useState } from "preact/hooks";
import { type Message, MessageView, type Properties as Shown } from "../components/message";
import { toBase64, toText } from "../components/octets";
import { Badge, Panel } from "../components/page";
import { bytes, number, plural, timeOfDay } from "../format";
import type { Arrived } from "../mqtt/received";
import { link } from "../router";

interface MessagesProps {
  seen: number;
  messages: Arrived[];
  hasSubscribed: boolean;
  onClear: () => void;
}

export function Messages({ seen, messages, hasSubscribed, onClear }: MessagesProps) {
  const [opened, open] = useState(0);
  const isCut = messages.length < seen;
  return (
    <Panel title="Messages" wide actions={seen > 0 && <button type="button" onClick={onClear}>Clear the list</button>}>
      <p class="hint" role="status">
        {seen === 0 ? (hasSubscribed ? "Nothing has arrived yet." : "Subscribe to a topic filter, and what arrives is shown here.") : `${plural(seen, "message")} received${isCut ? `; the newest ${number(messages.length)} are shown` : ""}.`}
      </p>
      <ol class="arrivals" reversed start={seen}>
        {messages.map((message) => (
          <li key={message.number}>
            <button type="button" class="bare arrival" aria-expanded={opened === message.number} onClick={() => open(opened === message.number ? 0 : message.number)}>
              <span class="soft">{timeOfDay(message.at)}</span> <b>{message.topic}</b> <span class="clip">{beginning(message)}</span>
              {message.retain && <Badge title="The value of the topic from before the subscription, or published with the flag.">retained</Badge>}
              <Badge>QoS {message.qos}</Badge> <span class="soft">{bytes(message.payload.length)}</span>
            </button>
            {opened === message.number && <MessageView message={shown(message)} vhost="/" actions={message.retain && <a href={link`mqtt/retained/${message.topic}`} target="_blank" rel="noopener">The value of the topic</a>} />}
          </li>
        ))}
      </ol>
    </Panel>
  );
}

/** What of a payload stands in its row, in bytes. */
const BEGINNING_BYTES = 120;

function beginning({ payload }: Arrived): string {
  const start = payload.subarray(0, BEGINNING_BYTES);
  return toText(start, payload.length > start.length) ?? "(not text)";
}

/** As the API would tell it. */
function shown({ topic, payload, qos, retain, properties }: Arrived): Message {
  const text = toText(payload, false);
  const { contentType, responseTopic, correlationData, messageExpiry, userProperties, subscriptionIds, payloadFormat } = properties;
  const described: Shown = {
    content_type: contentType,
    reply_to: responseTopic,
    correlation_id: correlationData && (toText(correlationData, false) ?? toBase64(correlationData)),
    expiration: messageExpiry === undefined ? undefined : String(messageExpiry * 1000),
    "Subscription ids": subscriptionIds?.join(", "),
    "Payload format": payloadFormat === 1 ? "text" : undefined,
    headers: headers(userProperties),
  };
  return { topic, qos, retain, payload: text ?? toBase64(payload), payload_encoding: text === undefined ? "base64" : "string", properties: described };
}

/** User properties, of which several may have the same name. */
function headers(pairs: [string, string][] | undefined): Record<string, unknown> | undefined {
  if (!pairs) return undefined;
  const grouped = new Map<string, string[]>();
  for (const [name, value] of pairs) grouped.set(name, [...(grouped.get(name) ?? []), value]);
  return Object.fromEntries([...grouped].map(([name, values]) => [name, values.length === 1 ? values[0] : values]));
}
