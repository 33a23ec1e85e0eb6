// Lists that the broker filters, sorts and cuts into pages; what the user chose stands in the address.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Page, query } from "../api";
import { number, plural } from "../format";
import { usePoll } from "../poll";
import { place, setParameters } from "../router";
import { recall, store } from "../settings";
import { useTyped } from "../typed";
import { confirm } from "./dialog";
import { Empty, explain, Failure, tell } from "./notices";

export interface Column<T> {
  id: string;
  title: string;
  /** The key by which the broker sorts. */
  sort?: string;
  isNumber?: boolean;
  /** Not shown before the user wants it. */
  isExtra?: boolean;
  cell: (row: T) => ComponentChildren;
}

/** Something that can be done with rows that were chosen. */
export interface RowAction<T> {
  label: string;
  /** The question before it, for so many rows. */
  question: (rows: T[]) => { title: string; body: ComponentChildren };
  run: (row: T) => Promise<unknown>;
}

interface ListProps<T> {
  /** Names the list in the browser's memory, and to screen readers. */
  id: string;
  caption: string;
  /** The list in the API. */
  target: string;
  columns: Column<T>[];
  rowKey: (row: T) => string;
  rowName: (row: T) => string;
  empty: ComponentChildren;
  actions?: RowAction<T>[];
  /** The sorting before the user chooses one. */
  sort?: string;
  isDescending?: boolean;
  /** Changes when something was done that the list should show at once. */
  version?: number;
}

const PAGE_SIZES = ["25", "100", "500"];
/** The pause in typing after which the broker is asked. */
const TYPING_MS = 250;

export function List<T>(props: ListProps<T>) {
  const { parameters } = place.value;
  const name = parameters.get("name") ?? "";
  const isRegex = parameters.get("use_regex") === "true";
  const sort = parameters.get("sort") ?? props.sort ?? "";
  const isDescending = parameters.has("sort") ? parameters.get("sort_reverse") === "true" : (props.isDescending ?? false);
  const [size, setSize] = useState(recall(`${props.id}.size`, "100"));
  const page = Number(parameters.get("page") ?? "1") || 1;
  const target = query(props.target, { page, page_size: size, name, use_regex: isRegex, sort, sort_reverse: isDescending });
  const { data: fresh, error, refresh } = usePoll<Page<T>>(target);
  // While another page is fetched, the last one stays.
  const [last, setLast] = useState<{ of: string; data: Page<T> } | null>(null);
  useEffect(() => {
    if (fresh) setLast({ of: props.target, data: fresh });
  }, [fresh]);
  useEffect(refresh, [props.version]);
  const isGone = error && page > 1 && "kind" in error && error.kind === "page_out_of_range";
  useEffect(() => {
    if (isGone) setParameters({ page: "" });
  }, [isGone]);
  const data = fresh ?? (last?.of === props.target ? last.data : undefined);
  const [shown, toggle] = useColumns(props.id, props.columns);
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const hasActions = Boolean(props.actions?.length);
  const chosenRows = (data?.items ?? []).filter((row) => chosen.has(props.rowKey(row)));

  const sortBy = (key: string) => {
    const isSame = key === sort;
    setParameters({ sort: key, sort_reverse: isSame && !isDescending ? "true" : "", page: "" });
  };
  const choose = (keys: string[], isChosen: boolean) => {
    const next = new Set(chosen);
    for (const key of keys) {
      if (isChosen) next.add(key);
      else next.delete(key);
    }
    setChosen(next);
  };
  const run = async (action: RowAction<T>) => {
    if (!(await confirm({ ...action.question(chosenRows), action: action.label }))) return;
    let done = 0;
    try {
      for (const row of chosenRows) {
        await action.run(row);
        done += 1;
      }
      tell("done", `${action.label}: ${plural(done, "row")} done.`);
    } catch (error) {
      const row = chosenRows[done];
      tell("failed", `${action.label}: stopped at ${row && props.rowName(row)} after ${done} of ${chosenRows.length}. ${explain(error)}`);
    }
    setChosen(new Set());
    refresh();
  };

  const isFiltered = name !== "";
  return (
    <div class="list">
      <div class="list-tools">
        <Filter name={name} isRegex={isRegex} label={`Filter ${props.caption}`} />
        {hasActions && chosenRows.length > 0 && props.actions?.map((action) => (
          <button key={action.label} type="button" class="danger" onClick={() => run(action)}>{action.label} ({chosenRows.length})</button>
        ))}
        <span class="count" role="status">
          {data && (isFiltered ? `${number(data.filtered_count)} of ${number(data.total_count)}` : number(data.total_count))}
        </span>
        <details class="menu">
          <summary>Columns</summary>
          <div>
            {props.columns.map((column) => (
              <label key={column.id}>
                <input type="checkbox" checked={shown.includes(column)} onChange={() => toggle(column.id)} /> {column.title}
              </label>
            ))}
            <label>Rows <select value={size} onChange={(event) => {
              setSize(event.currentTarget.value);
              store(`${props.id}.size`, event.currentTarget.value);
              setParameters({ page: "" });
            }}>{PAGE_SIZES.map((size) => <option key={size}>{size}</option>)}</select></label>
          </div>
        </details>
      </div>
      {error && !isGone && <Failure error={error} />}
      {data && data.items.length === 0 && (isFiltered
        ? <Empty><p>Nothing matches <q>{name}</q>. <button type="button" onClick={() => setParameters({ name: "", use_regex: "", page: "" })}>Clear the filter</button></p></Empty>
        : <Empty>{props.empty}</Empty>)}
      {data && data.items.length > 0 && (
        <div class="table-frame" tabIndex={0} role="group" aria-label={props.caption}>
          <table>
            <caption class="unseen">{props.caption}</caption>
            <thead>
              <tr>
                {hasActions && (
                  <th class="choice">
                    <input
                      type="checkbox"
                      aria-label="Choose all rows of this page"
                      checked={chosenRows.length === data.items.length}
                      onChange={(event) => choose(data.items.map(props.rowKey), event.currentTarget.checked)}
                    />
                  </th>
                )}
                {shown.map((column) => (
                  <th key={column.id} scope="col" class={column.isNumber ? "number" : ""} aria-sort={column.sort === sort && sort ? (isDescending ? "descending" : "ascending") : undefined}>
                    {column.sort
                      ? <button type="button" class="bare sort" onClick={() => sortBy(column.sort ?? "")}>{column.title}<span aria-hidden="true">{column.sort === sort ? (isDescending ? " ▾" : " ▴") : ""}</span></button>
                      : column.title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {data.items.map((row) => {
                const key = props.rowKey(row);
                return (
                  <tr key={key} class={chosen.has(key) ? "chosen" : ""}>
                    {hasActions && (
                      <td class="choice">
                        <input type="checkbox" aria-label={`Choose ${props.rowName(row)}`} checked={chosen.has(key)} onChange={(event) => choose([key], event.currentTarget.checked)} />
                      </td>
                    )}
                    {shown.map((column) => <td key={column.id} class={column.isNumber ? "number" : ""}>{column.cell(row)}</td>)}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {data && data.page_count > 1 && <Pages page={data.page} count={data.page_count} />}
    </div>
  );
}

function Filter({ name, isRegex, label }: { name: string; isRegex: boolean; label: string }) {
  const [text, setText] = useTyped(name);
  useEffect(() => {
    if (text === name) return;
    const timer = setTimeout(() => setParameters({ name: text, page: "" }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <div class="filter" role="search">
      <input type="search" data-filter aria-label={label} placeholder="Filter  ( / )" spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      <label><input type="checkbox" checked={isRegex} onChange={(event) => setParameters({ use_regex: event.currentTarget.checked ? "true" : "", page: "" })} /> Regex</label>
    </div>
  );
}

function Pages({ page, count }: { page: number; count: number }) {
  const to = (page: number) => () => setParameters({ page: page > 1 ? String(page) : "" });
  return (
    <nav class="pages" aria-label="Pages of the list">
      <button type="button" disabled={page <= 1} onClick={to(1)}>First</button>
      <button type="button" disabled={page <= 1} onClick={to(page - 1)}>Previous</button>
      <span>Page {number(page)} of {number(count)}</span>
      <button type="button" disabled={page >= count} onClick={to(page + 1)}>Next</button>
      <button type="button" disabled={page >= count} onClick={to(count)}>Last</button>
    </nav>
  );
}

/** The columns that are shown; the user's choice is kept in the browser. */
function useColumns<T>(id: string, columns: Column<T>[]): [Column<T>[], (column: string) => void] {
  const key = `${id}.columns`;
  // Those that differ from what is shown by default.
  const [toggled, setToggled] = useState(() => new Set(recall(key, "").split(",").filter(Boolean)));
  const toggle = (column: string) => {
    const next = new Set(toggled);
    if (!next.delete(column)) next.add(column);
    setToggled(next);
    store(key, [...next].join(","));
  };
  return [columns.filter((column) => Boolean(column.isExtra) === toggled.has(column.id)), toggle];
}

/** A short table of things that are all there, as on a detail page. */
export function Table<T>(props: { caption: string; columns: Column<T>[]; rows: T[]; rowKey: (row: T) => string }) {
  return (
    <div class="table-frame" tabIndex={0} role="group" aria-label={props.caption}>
      <table>
        <caption class="unseen">{props.caption}</caption>
        <thead>
          <tr>{props.columns.map((column) => <th key={column.id} scope="col" class={column.isNumber ? "number" : ""}>{column.title}</th>)}</tr>
        </thead>
        <tbody>
          {props.rows.map((row) => (
            <tr key={props.rowKey(row)}>
              {props.columns.map((column) => <td key={column.id} class={column.isNumber ? "number" : ""}>{column.cell(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
