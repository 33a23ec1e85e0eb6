// All queues, what can be done with many of them at once, and the form that declares one.

import { useState } from "preact/hooks";
import { del, path, put } from "../api";
import { ArgumentsInput, parseArguments, QUEUE_ARGUMENTS } from "../components/arguments";
import { Check, Form, Input, Select, type Values } from "../components/form";
import { ConnectionLink, listOf, QueueLink } from "../components/links";
import { type Column, List, type RowAction } from "../components/list";
import { tell } from "../components/notices";
import { Badge, Fold, Page } from "../components/page";
import { bytes, number, plural, rate, time } from "../format";
import { usePoll } from "../poll";
import { vhost as chosenVhost } from "../settings";
import { features, lossOf, type QueueData, rateOf } from "./queue-data";
import "./queues.css";

export function Queues() {
  const [version, setVersion] = useState(0);
  return (
    <Page title="Queues">
      <List
        id="queues"
        caption="Queues"
        target={listOf("queues")}
        columns={chosenVhost.value ? COLUMNS.filter(({ id }) => id !== "vhost") : COLUMNS}
        rowKey={(queue) => `${queue.vhost}\n${queue.name}`}
        rowName={(queue) => queue.name}
        sort="name"
        actions={ACTIONS}
        version={version}
        empty={
          <>
            <p>There are no queues here. A queue keeps messages until a consumer has dealt with them.</p>
            <p>Clients declare the queues that they need; you can declare one below, or with <code>curl -u USER -X PUT {location.origin}/api/queues/%2F/orders -d '{"{"}"durable": true{"}"}'</code>. Each MQTT session has a queue as well.</p>
          </>
        }
      />
      <Fold title="Declare a queue">
        <Declare onDeclared={() => setVersion((version) => version + 1)} />
      </Fold>
    </Page>
  );
}

const COLUMNS: Column<QueueData>[] = [
  { id: "vhost", title: "Virtual host", sort: "vhost", cell: (queue) => queue.vhost },
  { id: "name", title: "Name", sort: "name", cell: (queue) => <div class="queue-name"><QueueLink vhost={queue.vhost} name={queue.name} /></div> },
  { id: "type", title: "Type", sort: "type", isExtra: true, cell: (queue) => queue.type },
  { id: "features", title: "Features", cell: (queue) => <Features of={queue} /> },
  { id: "policy", title: "Policy", sort: "policy", cell: (queue) => queue.policy && <Badge title="The policy that is in force">{queue.policy}</Badge> },
  { id: "operator_policy", title: "Operator policy", sort: "operator_policy", isExtra: true, cell: (queue) => queue.operator_policy },
  { id: "state", title: "State", sort: "idle_since", cell: (queue) => (queue.idle_since ? <span class="soft" title={`Since ${time(queue.idle_since)}`}>idle</span> : <Badge tone="good">in use</Badge>) },
  { id: "consumers", title: "Consumers", sort: "consumers", isNumber: true, cell: (queue) => number(queue.consumers) },
  { id: "ready", title: "Ready", sort: "messages_ready", isNumber: true, cell: (queue) => number(queue.messages_ready) },
  { id: "unacked", title: "Unacked", sort: "messages_unacknowledged", isNumber: true, cell: (queue) => number(queue.messages_unacknowledged) },
  { id: "total", title: "Total", sort: "messages", isNumber: true, cell: (queue) => number(queue.messages) },
  { id: "bytes", title: "Size", sort: "message_bytes", isNumber: true, cell: (queue) => bytes(queue.message_bytes) },
  { id: "ram", title: "In memory", sort: "message_bytes_ram", isNumber: true, isExtra: true, cell: (queue) => bytes(queue.message_bytes_ram) },
  { id: "in", title: "In", sort: "message_stats.publish_details.rate", isNumber: true, cell: (queue) => rate(rateOf(queue, "publish")) },
  { id: "out", title: "Out", sort: "message_stats.deliver_get_details.rate", isNumber: true, cell: (queue) => rate(rateOf(queue, "deliver_get")) },
  { id: "ack", title: "Acked", sort: "message_stats.ack_details.rate", isNumber: true, cell: (queue) => rate(rateOf(queue, "ack")) },
  { id: "redelivered", title: "Redelivered", sort: "message_stats.redeliver_details.rate", isNumber: true, isExtra: true, cell: (queue) => rate(rateOf(queue, "redeliver")) },
  { id: "idle_since", title: "Idle since", sort: "idle_since", isExtra: true, cell: (queue) => queue.idle_since && time(queue.idle_since) },
  { id: "owner", title: "Owner", isExtra: true, cell: (queue) => queue.owner_pid_details && <ConnectionLink name={queue.owner_pid_details.name} /> },
  { id: "node", title: "Node", isExtra: true, cell: (queue) => queue.node },
];

export function Features({ of }: { of: QueueData }) {
  return <span class="badges">{features(of).map(({ word, title }) => <Badge key={word} title={title}>{word}</Badge>)}</span>;
}

const ACTIONS: RowAction<QueueData>[] = [
  {
    label: "Purge",
    question: (rows) => ({ title: `Purge ${plural(rows.length, "queue")}?`, body: <p>{lossOf(rows, false)}</p> }),
    run: (queue) => del(path`queues/${queue.vhost}/${queue.name}/contents`),
  },
  {
    label: "Delete",
    question: (rows) => ({ title: `Delete ${plural(rows.length, "queue")}?`, body: <p>{lossOf(rows, true)}</p> }),
    run: (queue) => del(path`queues/${queue.vhost}/${queue.name}`),
  },
];

function Declare({ onDeclared }: { onDeclared: () => void }) {
  const { data: vhosts } = usePoll<{ name: string }[]>(chosenVhost.value ? null : "vhosts?columns=name");
  // The field of arguments keeps its rows: a new one has none.
  const [turn, setTurn] = useState(0);
  const declare = async (values: Values) => {
    const [vhost, name] = [chosenVhost.value || values.text("vhost"), values.text("name")];
    await put(path`queues/${vhost}/${name}`, {
      durable: values.isSet("durable"),
      auto_delete: values.isSet("auto_delete"),
      arguments: parseArguments(values.text("arguments")),
    });
    tell("done", `The queue ${name} is there.`);
    setTurn((turn) => turn + 1);
    onDeclared();
  };
  return (
    <Form key={turn} action="Declare queue" onSubmit={declare}>
      <div class="columns">
        {!chosenVhost.value && <Select label="Virtual host" name="vhost" options={(vhosts ?? []).map(({ name }) => name)} />}
        <Input label="Name" name="name" required />
      </div>
      <Check label="Durable" name="durable" checked hint="The queue outlives a restart of the broker, and so do its persistent messages." />
      <Check label="Auto-delete" name="auto_delete" hint="The queue goes when its last consumer does." />
      <ArgumentsInput name="arguments" label="Arguments" suggestions={QUEUE_ARGUMENTS} />
    </Form>
  );
}
