// What can be done with a whole queue: purge it, move what it holds, delete it.

import { useState } from "preact/hooks";
import { del, path, post, query } from "../api";
import { NameInput } from "../components/bindings";
import { confirm } from "../components/dialog";
import { Check, Form, Input, type Values } from "../components/form";
import { QueueLink } from "../components/links";
import { attempt, tell } from "../components/notices";
import { plural } from "../format";
import { go } from "../router";
import { lossOf, type QueueData } from "./queue-data";

export async function purge(queue: QueueData): Promise<void> {
  const isAgreed = await confirm({ title: `Purge ${queue.name}?`, body: <p>{lossOf([queue], false)}</p>, action: "Purge" });
  if (isAgreed) await attempt(`${queue.name} is purged.`, () => del(path`queues/${queue.vhost}/${queue.name}/contents`));
}

export function Delete({ queue }: { queue: QueueData }) {
  const remove = async (values: Values) => {
    const only = { "if-empty": values.isSet("if_empty"), "if-unused": values.isSet("if_unused") };
    const isAgreed = await confirm({ title: `Delete ${queue.name}?`, body: <p>{lossOf([queue], true)}</p>, action: "Delete" });
    if (!isAgreed) return;
    await del(query(path`queues/${queue.vhost}/${queue.name}`, only));
    tell("done", `The queue ${queue.name} is deleted.`);
    go("#/queues");
  };
  return (
    <Form action="Delete queue" destroys onSubmit={remove}>
      <Check label="Only if it is empty" name="if_empty" />
      <Check label="Only if nobody consumes" name="if_unused" />
    </Form>
  );
}

interface Outcome {
  moved: number;
  /** Why it ended before all were moved. */
  reason: string | null;
  to: string;
}

export function Move({ queue: { vhost, name }, onMoved }: { queue: QueueData; onMoved: () => void }) {
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const move = async (values: Values) => {
    const [to, count] = [values.text("destination"), values.number("count")];
    const what = count === undefined ? "All messages that wait" : `The first ${plural(count, "message")}`;
    const isAgreed = await confirm({ title: `Move messages to ${to}?`, body: <p>{what} in <b>{name}</b> will be at the end of <b>{to}</b>. They cannot be told from its own afterwards.</p>, action: "Move" });
    if (!isAgreed) return;
    setOutcome(null);
    const { moved, reason } = await post<Omit<Outcome, "to">>(path`queues/${vhost}/${name}/move`, { destination: to, ...(count !== undefined && { count }) });
    setOutcome({ moved, reason, to });
    onMoved();
  };
  return (
    <>
      <p class="hint">A message leaves this queue once its copy is safe in the other one: none is lost, and after a crash one may be in both.</p>
      <Form action="Move messages" onSubmit={move}>
        <div class="columns">
          <NameInput label="To the queue" name="destination" required vhost={vhost} of="queues" />
          <Input label="How many" name="count" type="number" min={1} hint="All, if this is empty." />
        </div>
      </Form>
      <p role="status">{outcome && <>{plural(outcome.moved, "message")} moved to <QueueLink vhost={vhost} name={outcome.to} />.{outcome.reason && ` Then it ended: ${outcome.reason}.`}</>}</p>
    </>
  );
}
