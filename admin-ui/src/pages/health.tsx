// All health checks, run and told in words.

import { useEffect, useState } from "preact/hooks";
import { get, path } from "../api";
import { Table } from "../components/list";
import { explain } from "../components/notices";
import { Badge, Page } from "../components/page";
import { plural, time } from "../format";
import { vhost as chosen } from "../settings";
import "./admin.css";

interface Check {
  target: string;
  asks: string;
  /** What to do if it fails. */
  help: string;
}

type Result = { is: "running" } | { is: "ok" } | { is: "failed"; reason: string };

/** Those that change nothing, so that they run by themselves. */
const CHECKS: Check[] = [
  { target: "health/checks/is-in-service", asks: "The broker is in service", help: "It is starting or stopping. See its log." },
  { target: "health/checks/ready-to-serve-clients", asks: "Clients can connect", help: "It is starting or stopping, or has all the connections that it may." },
  { target: "health/checks/alarms", asks: "No alarm is in effect", help: "Publishers wait. The page of the node says what is short, and what helps." },
  { target: "health/checks/local-alarms", asks: "No alarm is in effect on this node", help: "Publishers wait. The page of the node says what is short, and what helps." },
  { target: "health/checks/below-node-connection-limit", asks: "There is room for more connections", help: "Raise connections_max, or close connections that are not needed." },
  { target: "health/checks/protocol-listener/amqp", asks: "AMQP clients are listened for", help: "Set amqp_port to one that is free." },
  { target: "health/checks/protocol-listener/mqtt", asks: "MQTT clients are listened for", help: "Set mqtt_port to one that is free." },
  { target: "health/checks/virtual-hosts", asks: "All virtual hosts are up", help: "See the log of the broker." },
  { target: "health/checks/metadata-store/initialized/with-data", asks: "Virtual hosts, users and queues are loaded", help: "There is no virtual host: add one." },
  { target: "health/checks/certificate-expiration/1/months", asks: "No certificate expires within a month", help: "Renew it." },
  { target: "health/checks/quorum-queues-without-elected-leaders/all-vhosts", asks: "All quorum queues have a leader", help: "See the log of the broker." },
  { target: "health/checks/node-is-quorum-critical", asks: "The node can be stopped without a loss of quorum", help: "Start the other nodes first." },
  { target: "health/checks/reached-target-cluster-size", asks: "The cluster has all its nodes", help: "Start the other nodes." },
];

export function Health() {
  const [results, setResults] = useState<Record<string, Result>>({});
  const [ranAt, setRanAt] = useState<number | undefined>(undefined);
  const vhost = chosen.value || "/";
  const alive: Check = { target: path`aliveness-test/${vhost}`, asks: `A message goes through the virtual host ${vhost}`, help: "Your user needs all permissions for the queue aliveness-test there." };
  const run = async (targets: string[]) => {
    const now = (of: (target: string) => Result) => setResults((before) => ({ ...before, ...Object.fromEntries(targets.map((target) => [target, of(target)])) }));
    now(() => ({ is: "running" }));
    const found = new Map(await Promise.all(targets.map(async (target): Promise<[string, Result]> => [target, await get(target).then((): Result => ({ is: "ok" }), (error): Result => ({ is: "failed", reason: explain(error) }))])));
    now((target) => found.get(target) ?? { is: "running" });
    setRanAt(Date.now());
  };
  const runAll = () => void run(CHECKS.map(({ target }) => target));
  useEffect(runAll, []);
  const failed = Object.values(results).filter((result) => result.is === "failed").length;
  const isRunning = Object.values(results).some((result) => result.is === "running");
  return (
    <Page title="Health checks" actions={<button type="button" class="primary" disabled={isRunning} onClick={runAll}>Run again</button>}>
      <p class="hint" role="status">
        {isRunning ? "Running…" : failed === 0 ? `All checks that ran are fine.` : `${plural(failed, "check")} failed.`}
        {ranAt !== undefined && !isRunning && ` ${time(ranAt)}`}
      </p>
      <Table<Check>
        caption="health checks"
        rows={[...CHECKS, alive]}
        rowKey={(check) => check.target}
        columns={[
          { id: "result", title: "Result", cell: ({ target }) => (target === alive.target && !results[target] ? <span class="row-actions"><button type="button" title="It declares the queue aliveness-test and sends a message through it." onClick={() => void run([target])}>Run<span class="unseen"> the test with a message</span></button></span> : <Mark of={results[target]} />) },
          { id: "asks", title: "Check", cell: (check) => <Told of={check} result={results[check.target]} /> },
          { id: "target", title: "For scripts", cell: ({ target }) => <code>/api/{target}</code> },
        ]}
      />
    </Page>
  );
}

function Mark({ of }: { of: Result | undefined }) {
  if (of?.is === "ok") return <Badge tone="good">ok</Badge>;
  if (of?.is === "failed") return <Badge tone="bad">failed</Badge>;
  return <Badge>running</Badge>;
}

function Told({ of, result }: { of: Check; result: Result | undefined }) {
  return (
    <>
      {of.asks}
      {result?.is === "failed" && <><br /><b>{result.reason}</b> {of.help}</>}
    </>
  );
}
