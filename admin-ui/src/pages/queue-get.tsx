// Getting messages as a client would, which changes the queue: what comes is shown, and may be gone afterwards.

import { useState } from "preact/hooks";
import { path, post } from "../api";
import { confirm } from "../components/dialog";
import { Form, Input, Select, type Values } from "../components/form";
import { type Message, MessageView } from "../components/message";
import { plural } from "../format";
import { link } from "../router";
import type { QueueData } from "./queue-data";

const MODES = [
  { value: "ack_requeue_true", label: "go back to their places, marked as redelivered" },
  { value: "ack_requeue_false", label: "are removed from the queue" },
  { value: "reject_requeue_false", label: "are rejected: dead letters, or gone" },
];

const COUNT_MAX = 100;
/** What is fetched of bodies that stay; those that go are shown whole, as it is the last time. */
const BODY_BYTES_MAX = 64 * 1024;

interface Got extends Message {
  message_count: number;
}

export function Get({ queue: { vhost, name }, onGot }: { queue: QueueData; onGot: () => void }) {
  const [got, setGot] = useState<Got[] | null>(null);
  const take = async (values: Values) => {
    const [mode, count] = [values.text("ackmode"), values.number("count") ?? 1];
    const isRejected = mode === "reject_requeue_false";
    const stays = mode === "ack_requeue_true";
    const isAgreed = stays || (await confirm({
      title: `${isRejected ? "Reject" : "Remove"} up to ${plural(count, "message")}?`,
      body: <p>The first {count === 1 ? "message" : `${count} messages`} of <b>{name}</b> will be {isRejected ? "dead letters if the queue has a place for them, and lost otherwise" : "gone from it; this page will be the last to show them"}.</p>,
      action: isRejected ? "Reject" : "Remove",
    }));
    if (!isAgreed) return;
    setGot(await post<Got[]>(path`queues/${vhost}/${name}/get`, { count, ackmode: mode, encoding: "auto", ...(stays && { truncate: BODY_BYTES_MAX }) }));
    onGot();
  };
  return (
    <>
      <p class="hint">This is what a client would do, and it changes the queue. <a href={link`queues/${vhost}/${name}/messages`}>Look at messages</a> changes nothing.</p>
      <Form action="Get messages" onSubmit={take}>
        <div class="columns">
          <Input label="How many" name="count" type="number" min={1} max={COUNT_MAX} value={1} required />
          <Select label="Afterwards they" name="ackmode" options={MODES} />
        </div>
      </Form>
      <div role="status">{got && <p>{got.length === 0 ? "No message waits." : `${plural(got.length, "message")}; ${plural(got.at(-1)?.message_count ?? 0, "message")} waited behind.`}</p>}</div>
      {got?.map((message, n) => (
        <details key={n} class="got" open={n === 0}>
          <summary>Message {n + 1}, key <code>{message.routing_key || "(empty)"}</code></summary>
          <MessageView message={message} vhost={vhost} />
        </details>
      ))}
    </>
  );
}
