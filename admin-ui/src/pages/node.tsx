// One node: its state, what it uses, and what it is set to.

import { del, path, put, query } from "../api";
import { Chart, type Details, RangePicker, useHistory } from "../components/chart";
import { confirm } from "../components/dialog";
import { Form, Input } from "../components/form";
import { Table } from "../components/list";
import { attempt, Failure, tell } from "../components/notices";
import { Badge, Facts, Page, Panel, Panels } from "../components/page";
import { bytes, duration, number } from "../format";
import { usePoll } from "../poll";
import { may } from "../session";
import { Configuration, Features, LoginAttempts, Memory } from "./node-parts";
import { NodeState } from "./node-state";
import { Alarms, Meter, type NodeData } from "./overview";
import "./admin.css";

interface Kind {
  name: string;
  description: string;
}

interface FullNode extends NodeData {
  rates_mode: string;
  fd_used_details?: Details;
  sockets_used_details?: Details;
  exchange_types: Kind[];
  auth_mechanisms: Kind[];
  applications: { name: string; version: string }[];
}

interface Listener {
  node: string;
  protocol: string;
  ip_address: string;
  port: number;
}

export function Node({ parts: [name = ""] }: { parts: string[] }) {
  const histories = useHistory(["node_stats"], false);
  const { data: node, error } = usePoll<FullNode>(query(path`nodes/${name}`, histories));
  const { data: overview, refresh } = usePoll<{ cluster_name: string; listeners?: Listener[] }>("overview?columns=cluster_name,listeners");
  const listeners = overview?.listeners?.filter((listener) => listener.node === name);
  const reset = async () => {
    const body = <p>Rates and the histories behind the charts begin anew. Messages, queues and counters for Prometheus are not touched.</p>;
    if (!(await confirm({ title: "Reset the statistics?", body, action: "Reset" }))) return;
    await attempt("The statistics begin anew.", () => del(path`reset/${name}`));
  };
  return (
    <Page
      title={name}
      kind={{ label: "Nodes", href: "#/nodes" }}
      badges={node && <NodeState node={node} />}
      actions={<><RangePicker isOfOneThing={false} /><a class="button" href="#/health">Health checks</a>{may("administrator") && <button type="button" class="danger" onClick={reset}>Reset the statistics</button>}</>}
    >
      {error && <Failure error={error} />}
      {node && (
        <>
          <Alarms node={node} />
          <Panels>
            <Panel title="Node">
              <Facts
                of={[
                  ["Up for", duration(node.uptime)],
                  ["Version", node.applications.map((part) => `${part.name} ${part.version}`).join(", ")],
                  ["Cluster", overview?.cluster_name],
                  ["Memory", <Meter used={node.mem_used} of={node.mem_limit} words={`${bytes(node.mem_used)} of ${bytes(node.mem_limit)}`} />, "Publishers wait when the limit is reached."],
                  ["Free disk space", bytes(node.disk_free), `Publishers wait below ${bytes(node.disk_free_limit)}.`],
                  ["File descriptors", <Meter used={node.fd_used} of={node.fd_total} words={`${number(node.fd_used)} of ${number(node.fd_total)}`} />],
                  ["Connections", <Meter used={node.sockets_used} of={node.sockets_total} words={`${number(node.sockets_used)} of ${number(node.sockets_total)}`} />],
                  ["Processors", number(node.processors)],
                  ["Process", node.os_pid],
                  ["Data directory", <code>{node.db_dir}</code>],
                ]}
              />
            </Panel>
            <Memory node={node} />
            <Panel title="Disk over time">
              <Chart title="Disk" format={bytes} lines={[{ label: "Free", details: node.disk_free_details, now: node.disk_free }]} />
            </Panel>
            <Panel title="Connections and files over time">
              <Chart title="Open" format={number} lines={[{ label: "Connections", details: node.sockets_used_details, now: node.sockets_used }, { label: "File descriptors", details: node.fd_used_details, now: node.fd_used }]} />
            </Panel>
            {listeners && (
              <Panel title="Listeners" hint="Where clients can connect.">
                <Table<Listener>
                  caption="Listeners"
                  rows={listeners}
                  rowKey={(row) => `${row.protocol} ${row.ip_address} ${row.port}`}
                  columns={[{ id: "protocol", title: "Protocol", cell: (row) => row.protocol }, { id: "address", title: "Address", cell: (row) => row.ip_address }, { id: "port", title: "Port", isNumber: true, cell: (row) => row.port || "–" }]}
                />
              </Panel>
            )}
            <LoginAttempts node={name} />
            <Kinds title="Exchange types" of={node.exchange_types} />
            <Features />
            <Kinds title="Ways to log in" of={node.auth_mechanisms} />
            {may("administrator") && overview && (
              <Panel title="Name of the cluster" hint="What tools and dashboards call this broker. The node keeps its name.">
                <Form
                  action="Rename"
                  onSubmit={async (values) => {
                    await put("cluster-name", { name: values.text("cluster") });
                    tell("done", "The cluster is renamed.");
                    refresh();
                  }}
                >
                  <Input label="Name" name="cluster" required value={overview.cluster_name} />
                </Form>
              </Panel>
            )}
          </Panels>
          {may("administrator") && <Configuration />}
        </>
      )}
    </Page>
  );
}

function Kinds({ title, of }: { title: string; of: Kind[] }) {
  return (
    <Panel title={title}>
      <ul class="plain">
        {of.map((kind) => <li key={kind.name}><Badge>{kind.name}</Badge> <small>{kind.description}</small></li>)}
      </ul>
    </Panel>
  );
}
