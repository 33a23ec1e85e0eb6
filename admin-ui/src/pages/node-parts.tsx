// Parts of a node's page that have calls of their own.

import { useState } from "preact/hooks";
import { del, path } from "../api";
import { Chart } from "../components/chart";
import { confirm } from "../components/dialog";
import { Table } from "../components/list";
import { attempt, Failure } from "../components/notices";
import { Badge, Fold, Panel } from "../components/page";
import { bytes, number } from "../format";
import { usePoll } from "../poll";
import type { NodeData } from "./overview";

/** What parts of the memory are called in the API, in words. */
const PARTS: Record<string, string> = {
  binary: "Messages",
  other_system: "Everything else",
  connection_readers: "Connections, reading",
  connection_writers: "Connections, writing",
  connection_channels: "Channels",
  connection_other: "Connections, otherwise",
  queue_procs: "Queues",
  quorum_queue_procs: "Quorum queues",
  metadata_store: "Topology",
  metrics: "Metrics",
  mgmt_db: "Statistics",
  msg_index: "Index of messages",
  code: "Code",
  allocated_unused: "Allocated, not used",
  reserved_unallocated: "Reserved, not allocated",
};

export function Memory({ node: { name, mem_limit, mem_used, mem_used_details } }: { node: NodeData }) {
  const { data, error } = usePoll<{ memory: Record<string, number> & { total: { rss: number } } }>(path`nodes/${name}/memory`);
  const { total, ...parts } = data?.memory ?? { total: { rss: 0 } };
  const rows = Object.entries(parts).filter((part): part is [string, number] => typeof part[1] === "number" && part[1] > 0).sort((a, b) => b[1] - a[1]);
  return (
    <Panel title="Memory by use" hint="What the operating system counts for the process, by what it holds.">
      {error && <Failure error={error} />}
      {data && (
        <>
          <Table
            caption="Memory by use"
            rows={rows}
            rowKey={([name]) => name}
            columns={[
              { id: "part", title: "Part", cell: ([name]) => PARTS[name] ?? name },
              { id: "share", title: "Share", cell: ([, size]) => <Share of={size} in={total.rss} /> },
              { id: "size", title: "Size", isNumber: true, cell: ([, size]) => bytes(size) },
            ]}
          />
          <p class="hint">{bytes(total.rss)} together, {bytes(mem_limit)} at most.</p>
        </>
      )}
      <Chart title="Memory over time" format={bytes} lines={[{ label: "Used", details: mem_used_details, now: mem_used }]} />
    </Panel>
  );
}

function Share({ of, in: whole }: { of: number; in: number }) {
  const words = `${Math.round((of * 100) / Math.max(1, whole))} %`;
  return <><meter min={0} max={whole || 1} value={of} aria-label={words} /> {words}</>;
}

interface Attempts {
  protocol: string;
  auth_attempts: number;
  auth_attempts_failed: number;
  auth_attempts_succeeded: number;
}

export function LoginAttempts({ node }: { node: string }) {
  const target = path`auth/attempts/${node}`;
  const { data, error, refresh } = usePoll<Attempts[]>(target);
  const reset = async () => {
    if (!(await confirm({ title: "Count login attempts anew?", body: <p>The numbers shown here begin at 0. Metrics for Prometheus go on.</p>, action: "Reset" }))) return;
    await attempt("Login attempts are counted anew.", () => del(target));
    refresh();
  };
  return (
    <Panel title="Login attempts" hint="Many that fail are a client with an old password, or somebody who guesses." actions={<button type="button" onClick={reset}>Reset<span class="unseen"> the login attempts</span></button>}>
      {error && <Failure error={error} />}
      {data && (
        <Table<Attempts>
          caption="Login attempts"
          rows={data}
          rowKey={(row) => row.protocol}
          columns={[
            { id: "protocol", title: "Protocol", cell: (row) => row.protocol },
            { id: "all", title: "All", isNumber: true, cell: (row) => number(row.auth_attempts) },
            { id: "succeeded", title: "Succeeded", isNumber: true, cell: (row) => number(row.auth_attempts_succeeded) },
            { id: "failed", title: "Failed", isNumber: true, cell: (row) => (row.auth_attempts_failed > 0 ? <Badge tone="warn">{number(row.auth_attempts_failed)}</Badge> : "0") },
          ]}
        />
      )}
    </Panel>
  );
}

interface Feature {
  name: string;
  desc: string;
  state: string;
}

export function Features() {
  const { data } = usePoll<Feature[]>("feature-flags");
  if (!data) return null;
  return (
    <Panel title="Feature flags" hint="For tools that ask; all of them are always on.">
      <ul class="plain">
        {data.map((flag) => <li key={flag.name}><code>{flag.name}</code> <Badge tone={flag.state === "enabled" ? "good" : undefined}>{flag.state}</Badge> <small>{flag.desc}</small></li>)}
      </ul>
    </Panel>
  );
}

export function Configuration() {
  const { data, error } = usePoll<string>("config/effective");
  const [wanted, setWanted] = useState("");
  const rows = (data ?? "").split("\n").filter(Boolean).map(split);
  const shown = rows.filter(({ name, value }) => `${name} ${value}`.toLowerCase().includes(wanted.toLowerCase()));
  return (
    <Fold title="Effective configuration">
      <p class="hint">What holds after the file, the environment and the command line. Changes need a restart.</p>
      {error && <Failure error={error} />}
      <div class="list-tools">
        <input type="search" aria-label="Filter settings" placeholder="Filter" spellcheck={false} value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
        <span class="count" role="status">{number(shown.length)} of {number(rows.length)}</span>
      </div>
      <Table
        caption="Settings"
        rows={shown}
        rowKey={(row) => row.name}
        columns={[{ id: "name", title: "Setting", cell: (row) => <code>{row.name}</code> }, { id: "value", title: "Value", cell: (row) => (row.value === "" ? <span class="soft">empty</span> : <code>{row.value}</code>) }]}
      />
    </Fold>
  );
}

/** A line `name = "value"`. */
function split(line: string): { name: string; value: string } {
  const [name = "", text = ""] = line.split(/ = (.*)/s);
  try {
    return { name, value: String(JSON.parse(text)) };
  } catch {
    return { name, value: text };
  }
}
