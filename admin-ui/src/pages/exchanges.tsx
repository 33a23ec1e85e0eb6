// The list of exchanges, and the form that declares one.

import { useState } from "preact/hooks";
import { del, path, put } from "../api";
import { ArgumentsInput, EXCHANGE_ARGUMENTS, parseArguments, ShortArguments } from "../components/arguments";
import type { Details } from "../components/chart";
import { Check, Form, Input, Select, type Values } from "../components/form";
import { DEFAULT_EXCHANGE, ExchangeLink, listOf } from "../components/links";
import { type Column, List, type RowAction } from "../components/list";
import { attempt, tell } from "../components/notices";
import { Badge, Fold, Page } from "../components/page";
import { VhostSelect } from "../components/vhost-select";
import { number, rate } from "../format";
import { link } from "../router";
import { type Exchange, isBuiltIn, ofType, TYPE_NAMES } from "./exchange-types";

const stat = (row: Exchange, name: string) => row.message_stats?.[name] as number | undefined;
const rateOf = (row: Exchange, name: string) => (row.message_stats?.[`${name}_details`] as Details | undefined)?.rate;

const COLUMNS: Column<Exchange>[] = [
  { id: "vhost", title: "Virtual host", sort: "vhost", cell: (row) => row.vhost },
  { id: "name", title: "Name", sort: "name", cell: (row) => <ExchangeLink vhost={row.vhost} name={row.name} /> },
  { id: "type", title: "Type", sort: "type", cell: (row) => <span title={ofType(row.type)?.routes}>{row.type}</span> },
  { id: "features", title: "Features", cell: (row) => <Features of={row} /> },
  { id: "policy", title: "Policy", sort: "policy", cell: (row) => row.policy },
  { id: "in", title: "Messages in", isNumber: true, sort: "message_stats.publish_in_details.rate", cell: (row) => rate(rateOf(row, "publish_in")) },
  { id: "out", title: "Messages out", isNumber: true, sort: "message_stats.publish_out_details.rate", cell: (row) => rate(rateOf(row, "publish_out")) },
  { id: "in_all", title: "All in", isNumber: true, isExtra: true, sort: "message_stats.publish_in", cell: (row) => number(stat(row, "publish_in")) },
  { id: "out_all", title: "All out", isNumber: true, isExtra: true, sort: "message_stats.publish_out", cell: (row) => number(stat(row, "publish_out")) },
  { id: "delayed", title: "Delayed", isNumber: true, isExtra: true, sort: "messages_delayed", cell: (row) => number(row.messages_delayed) },
  { id: "arguments", title: "Arguments", isExtra: true, cell: (row) => <ShortArguments of={row.arguments} /> },
];

/** What is special about an exchange, in letters with a title. */
export function Features({ of }: { of: Exchange }) {
  return (
    <>
      {of.durable ? <Badge title="Durable: it outlives a restart of the broker">D</Badge> : <Badge title="Transient: a restart of the broker ends it">T</Badge>}
      {of.auto_delete && <> <Badge title="Auto-delete: it goes with its last binding">AD</Badge></>}
      {of.internal && <> <Badge title="Internal: clients cannot publish to it, other exchanges can">I</Badge></>}
      {"alternate-exchange" in of.arguments && <> <Badge title="Alternate exchange: what nothing matches goes there">AE</Badge></>}
    </>
  );
}

const DELETE: RowAction<Exchange> = {
  label: "Delete",
  question: (rows) => ({
    title: rows.length === 1 ? `Delete the exchange ${rows[0]?.name}?` : `Delete ${rows.length} exchanges?`,
    body: (
      <>
        <p>All bindings from and to {rows.length === 1 ? "it" : "them"} go as well. Who publishes to {rows.length === 1 ? "it" : "them"} then gets an error. Queues keep the messages that they have.</p>
        <ul>{rows.slice(0, 8).map((row) => <li key={`${row.vhost}\n${row.name}`}><code>{row.name}</code></li>)}</ul>
        {rows.length > 8 && <p>… and {rows.length - 8} more.</p>}
      </>
    ),
  }),
  run: (row) => {
    if (isBuiltIn(row.name)) throw new Error("It is one of the broker's own exchanges, which stay.");
    return del(path`exchanges/${row.vhost}/${row.name}`);
  },
};

export function Exchanges() {
  const [version, setVersion] = useState(0);
  return (
    <Page title="Exchanges">
      <List<Exchange>
        id="exchanges"
        caption="Exchanges"
        target={listOf("exchanges")}
        columns={COLUMNS}
        rowKey={(row) => JSON.stringify([row.vhost, row.name])}
        rowName={(row) => row.name || "(default exchange)"}
        actions={[DELETE]}
        sort="name"
        version={version}
        empty={<p>Clients publish to exchanges, which pass messages on to queues. There is none that you may see: every virtual host begins with some, so you may lack the right to a virtual host.</p>}
      />
      <Fold title="Declare an exchange">
        <Declare onDone={() => setVersion((version) => version + 1)} />
      </Fold>
    </Page>
  );
}

function Declare({ onDone }: { onDone: () => void }) {
  const [type, setType] = useState("direct");
  const declare = async (values: Values) => {
    const [vhost, name] = [values.text("vhost"), values.text("name")];
    await put(path`exchanges/${vhost}/${name}`, {
      type: values.text("type"),
      durable: values.isSet("durable"),
      auto_delete: values.isSet("auto_delete"),
      internal: values.isSet("internal"),
      arguments: parseArguments(values.text("arguments")),
    });
    tell("done", `The exchange ${name} is there.`);
    onDone();
  };
  return (
    <Form action="Declare exchange" onSubmit={declare}>
      <div class="columns">
        <VhostSelect name="vhost" />
        <Input label="Name" name="name" required hint="Names that begin with amq. are the broker's." />
        <Select label="Type" name="type" value={type} options={TYPE_NAMES} onChange={setType} hint={ofType(type)?.routes} />
      </div>
      <div class="columns">
        <Check label="Durable" name="durable" checked hint="It outlives a restart of the broker." />
        <Check label="Auto-delete" name="auto_delete" hint="It goes with the last binding from it." />
        <Check label="Internal" name="internal" hint="Only other exchanges can pass messages to it." />
      </div>
      <ArgumentsInput name="arguments" label="Arguments" suggestions={EXCHANGE_ARGUMENTS} />
    </Form>
  );
}

/** Asks, deletes, and says whether the exchange is gone. */
export async function deleteExchange({ vhost, name }: { vhost: string; name: string }, ifUnused: boolean): Promise<boolean> {
  const target = path`exchanges/${vhost}/${name || DEFAULT_EXCHANGE}`;
  return attempt(`The exchange ${name} is gone.`, () => del(ifUnused ? `${target}?if-unused=true` : target));
}

export const EXCHANGES = { label: "Exchanges", href: link`exchanges` };
