// What is bound from and to an exchange: as a picture and as tables.

import { useEffect, useState } from "preact/hooks";
import { get, type Page, path, query } from "../api";
import { BINDING_COLUMNS, type Binding, bindingKey, bindingName, UNBIND, unbind } from "../components/bindings";
import { drawing, idOf } from "../components/bindings-graph";
import { confirm } from "../components/dialog";
import { Graph } from "../components/graph";
import { DEFAULT_EXCHANGE } from "../components/links";
import { type Column, List, Table } from "../components/list";
import { attempt, Failure } from "../components/notices";
import { Panel } from "../components/page";
import { number } from "../format";
import { interval, usePoll } from "../poll";

interface Of {
  vhost: string;
  name: string;
  /** Changes when something was done. */
  version: number;
}

const { source, key, destination, kind, arguments: given } = BINDING_COLUMNS;
const COLUMNS_FROM: Column<Binding>[] = [key, destination, kind, given];

function bindingsOf(vhost: string, name: string, end: "source" | "destination"): string {
  return `${path`exchanges/${vhost}/${name || DEFAULT_EXCHANGE}`}/bindings/${end}`;
}

export function BindingsFrom({ vhost, name, version, onChange }: Of & { onChange: () => void }) {
  const isDefault = name === "";
  const actions = isDefault ? [] : [{ ...UNBIND, run: (row: Binding) => unbind(row).finally(onChange) }];
  return (
    <Panel title="Bindings from here" wide>
      <List<Binding>
        id="bindings-from"
        caption="Bindings from here"
        target={bindingsOf(vhost, name, "source")}
        columns={COLUMNS_FROM}
        rowKey={bindingKey}
        rowName={bindingName}
        actions={actions}
        version={version}
        empty={isDefault
          ? <p>There is no queue in this virtual host. Each gets a binding here when it is declared.</p>
          : <p>Nothing is bound to this exchange, so every message that is published to it is dropped or goes to the alternate exchange. Bind a queue to it below.</p>}
      />
    </Panel>
  );
}

/** An exchange has few that send to it. */
const SHOWN_MAX = 100;

export function BindingsTo({ vhost, name, version, onChange }: Of & { onChange: () => void }) {
  const { data, error, refresh } = usePoll<Page<Binding>>(query(bindingsOf(vhost, name, "destination"), { page: 1, page_size: SHOWN_MAX }));
  useEffect(refresh, [version]);
  if (error) return <Failure error={error} />;
  if (!data || data.items.length === 0) return null;
  const remove = async (row: Binding) => {
    if (!(await confirm({ ...UNBIND.question([row]), action: UNBIND.label }))) return;
    if (await attempt("The binding is gone.", async () => unbind(row))) onChange();
  };
  const columns: Column<Binding>[] = [source, key, given, {
    id: "unbind",
    title: "Remove",
    cell: (row) => <button type="button" class="danger" aria-label={`Unbind ${bindingName(row)}`} onClick={() => void remove(row)}>Unbind</button>,
  }];
  return (
    <Panel title="Bindings to here" hint="Other exchanges pass messages on to this one." wide>
      <Table caption="Bindings to here" columns={columns} rows={data.items} rowKey={bindingKey} />
      {data.total_count > SHOWN_MAX && <p class="hint">The first {number(SHOWN_MAX)} of {number(data.total_count)}; the list of all <a href="#/bindings">bindings</a> has the rest.</p>}
    </Panel>
  );
}

/** Bindings drawn of one exchange, and exchanges whose bindings are looked up. */
const DRAWN_MAX = 30;
const EXCHANGES_MAX = 12;

/** The picture of what comes to an exchange, and where it goes from there. */
export function Flow({ vhost, name, version }: Of) {
  const [flow, setFlow] = useState<Followed | null>(null);
  const seconds = interval.value;
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const look = async () => {
      // The tables say what is wrong, if something is.
      const found = await follow(vhost, name, abort.signal).catch(() => undefined);
      if (abort.signal.aborted) return;
      if (found) setFlow(found);
      // It is several requests, and seldom changes.
      if (seconds > 0) timer = window.setTimeout(look, Math.max(seconds, SLOWLY_S) * 1000);
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [vhost, name, version, seconds]);
  if (!flow || flow.bindings.length === 0) return null;
  return (
    <Panel title="Where messages go" wide hint={flow.isCut && `Drawn are the first ${DRAWN_MAX} bindings of each exchange; the lists have all.`}>
      <Graph title={`Bindings around ${name || "the default exchange"}`} {...drawing(flow.bindings)} focus={idOf("exchange", name)} />
    </Panel>
  );
}

const SLOWLY_S = 15;

interface Followed {
  bindings: Binding[];
  isCut: boolean;
}

/** What is bound to an exchange, and from it on through further exchanges. */
async function follow(vhost: string, name: string, signal: AbortSignal): Promise<Followed> {
  let isCut = false;
  const few = async (of: string, end: "source" | "destination") => {
    const { items, total_count } = await get<Page<Binding>>(query(bindingsOf(vhost, of, end), { page: 1, page_size: DRAWN_MAX }), signal);
    isCut ||= total_count > items.length;
    return items;
  };
  const found = name === "" ? [] : await few(name, "destination");
  const known = new Set([name]);
  for (const exchange of known) {
    const next = await few(exchange, "source");
    found.push(...next);
    for (const { destination, destination_type } of next) {
      if (destination_type === "exchange" && known.size < EXCHANGES_MAX) known.add(destination);
    }
  }
  return { bindings: [...new Map(found.map((binding) => [bindingKey(binding), binding])).values()], isCut };
}
