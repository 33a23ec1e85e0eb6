import { useState } from "preact/hooks";
import { del, get, path, put } from "../api";
import type { Details } from "../components/chart";
import { confirm } from "../components/dialog";
import { Check, Form, Input } from "../components/form";
import { VhostLink } from "../components/links";
import { type Column, List } from "../components/list";
import { attempt } from "../components/notices";
import { Badge, Fold, Page } from "../components/page";
import { number, plural, rate } from "../format";
import { go, link } from "../router";
import { may } from "../session";
import { setVhost, vhost as chosen } from "../settings";

export interface VhostData {
  name: string;
  description: string;
  tags: string[];
  default_queue_type: string;
  tracing: boolean;
  protected_from_deletion: boolean;
  messages: number;
  messages_ready: number;
  messages_unacknowledged: number;
  messages_details?: Details;
  messages_ready_details?: Details;
  messages_unacknowledged_details?: Details;
  message_stats: Record<string, number | Details | undefined>;
}

const perSecond = (row: VhostData, name: string) => rate((row.message_stats[`${name}_details`] as Details | undefined)?.rate);

function columns(): Column<VhostData>[] {
  return [
    { id: "name", title: "Name", sort: "name", cell: (row) => <>{may("administrator") ? <VhostLink name={row.name} /> : row.name} <Marks of={row} /></> },
    { id: "description", title: "Description", sort: "description", cell: (row) => row.description },
    { id: "tags", title: "Tags", cell: (row) => row.tags.join(", ") },
    { id: "ready", title: "Ready", sort: "messages_ready", isNumber: true, cell: (row) => number(row.messages_ready) },
    { id: "unacked", title: "Unacknowledged", sort: "messages_unacknowledged", isNumber: true, cell: (row) => number(row.messages_unacknowledged) },
    { id: "messages", title: "Messages", sort: "messages", isNumber: true, cell: (row) => number(row.messages) },
    { id: "in", title: "Published", sort: "message_stats.publish_details.rate", isNumber: true, cell: (row) => perSecond(row, "publish") },
    { id: "out", title: "Delivered", sort: "message_stats.deliver_get_details.rate", isNumber: true, cell: (row) => perSecond(row, "deliver_get") },
    { id: "type", title: "Default queue type", isExtra: true, cell: (row) => row.default_queue_type },
  ];
}

export function Marks({ of }: { of: VhostData }) {
  return (
    <>
      {of.protected_from_deletion && <Badge tone="good" title="It cannot be deleted before the protection is taken off.">protected</Badge>}{" "}
      {of.tracing && <Badge tone="warn" title="Copies of all messages go to amq.rabbitmq.trace.">traced</Badge>}
    </>
  );
}

export function Vhosts() {
  const [version, setVersion] = useState(0);
  return (
    <Page title="Virtual hosts">
      <List<VhostData>
        id="vhosts"
        caption="virtual hosts"
        target="vhosts"
        columns={columns()}
        rowKey={(row) => row.name}
        rowName={(row) => row.name}
        sort="name"
        version={version}
        empty={<p>A virtual host holds queues, exchanges and permissions apart from those of others. Your user may use none: an administrator can give it permissions in one.</p>}
      />
      {may("administrator") && (
        <Fold title="Add a virtual host">
          <Form
            action="Add the virtual host"
            onSubmit={async (values) => {
              const name = values.text("name");
              if (await get(path`vhosts/${name}`).then(() => true, () => false)) throw new Error(`There is a virtual host ${name} already. Open its page to change it.`);
              await put(path`vhosts/${name}`, factsOf(values));
              setVersion((version) => version + 1);
              go(link`vhosts/${name}`);
            }}
          >
            <p class="hint">It begins with the predeclared exchanges. You get all permissions in it.</p>
            <Input label="Name" name="name" required hint="Clients name it when they connect, as in amqp://host/name. MQTT clients are in the virtual host /." />
            <VhostFields />
            <Check label="Protected from deletion" name="protected_from_deletion" />
          </Form>
        </Fold>
      )}
    </Page>
  );
}

export function VhostFields({ of }: { of?: VhostData }) {
  return (
    <>
      <Input label="Description" name="description" value={of?.description} />
      <Input label="Tags" name="tags" value={of?.tags.join(", ")} hint="With commas between them; for people and tools." />
      <Check label="Trace" name="tracing" checked={of?.tracing ?? false} hint="Sends a copy of every message that is published and delivered to the exchange amq.rabbitmq.trace. It costs what the copies cost, and ends with the broker." />
    </>
  );
}

export function factsOf(values: { text: (name: string) => string; isSet: (name: string) => boolean }) {
  const facts: Record<string, unknown> = {
    description: values.text("description"),
    tags: values.text("tags").split(",").map((tag) => tag.trim()).filter(Boolean),
    tracing: values.isSet("tracing"),
  };
  if (values.isSet("protected_from_deletion")) facts.protected_from_deletion = true;
  return facts;
}

/** Asks with all that is lost, and deletes. */
export async function removeVhost(of: VhostData, queues: number | undefined, exchanges: number | undefined): Promise<void> {
  const body = (
    <p>
      With it go {queues === undefined ? "all its queues" : plural(queues, "queue")} with {plural(of.messages, "message")}, {exchanges === undefined ? "all its exchanges" : plural(exchanges, "exchange")}, its bindings, policies, limits
      and permissions. Its connections are closed. It cannot be undone.
    </p>
  );
  if (!(await confirm({ title: `Delete the virtual host ${of.name}?`, body, action: "Delete", typed: of.name }))) return;
  if (await attempt(`The virtual host ${of.name} is deleted.`, () => del(path`vhosts/${of.name}`))) {
    if (chosen.value === of.name) setVhost("");
    go("#/vhosts");
  }
}
