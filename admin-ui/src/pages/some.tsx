// A short table of what may be many: the first rows, and a filter once there are more.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Page, query } from "../api";
import { type Column, Table } from "../components/list";
import { Failure } from "../components/notices";
import { number } from "../format";
import { usePoll } from "../poll";

const ROWS = 50;

interface SomeProps<T> {
  caption: string;
  target: string;
  columns: Column<T>[];
  rowKey: (row: T) => string;
  empty: ComponentChildren;
  /** Changes when the rows have. */
  version?: number;
}

export function Some<T>({ caption, target, columns, rowKey, empty, version }: SomeProps<T>) {
  const [name, setName] = useState("");
  const { data: fresh, error, refresh } = usePoll<Page<T>>(query(target, { page: 1, page_size: ROWS, name }));
  useEffect(refresh, [version]);
  // While others are fetched, the last rows stay.
  const last = useRef(fresh);
  last.current = fresh ?? last.current;
  const data = last.current;
  const isLong = data && data.total_count > ROWS;
  return (
    <>
      {isLong && (
        <div class="list-tools">
          <input type="search" aria-label={`Filter ${caption}`} placeholder="Filter" spellcheck={false} value={name} onInput={(event) => setName(event.currentTarget.value)} />
          {data && <span class="count" role="status">{number(data.items.length)} of {number(data.total_count)}</span>}
        </div>
      )}
      {error && <Failure error={error} />}
      {data && (data.items.length > 0
        ? <Table caption={caption} columns={columns} rows={data.items} rowKey={rowKey} />
        : <p class="hint">{name ? <>Nothing matches <q>{name}</q>.</> : empty}</p>)}
    </>
  );
}

/** How many rows a list has. */
export function useCount(target: string | null): number | undefined {
  const { data } = usePoll<Page<unknown>>(target && query(target, { page: 1, page_size: 1, columns: "name" }));
  return data?.total_count;
}
