import { Table } from "../components/list";
import { Failure } from "../components/notices";
import { Page } from "../components/page";
import { bytes, duration, number } from "../format";
import { usePoll } from "../poll";
import { link } from "../router";
import { NodeState } from "./node-state";
import { Meter, type NodeData } from "./overview";

export function Nodes() {
  const { data, error } = usePoll<NodeData[]>("nodes");
  return (
    <Page title="Nodes">
      {error && <Failure error={error} />}
      {data && (
        <Table<NodeData>
          caption="nodes"
          rows={data}
          rowKey={(row) => row.name}
          columns={[
            { id: "name", title: "Node", cell: (row) => <a href={link`nodes/${row.name}`}>{row.name}</a> },
            { id: "state", title: "State", cell: (row) => <NodeState node={row} /> },
            { id: "uptime", title: "Up for", cell: (row) => duration(row.uptime) },
            { id: "memory", title: "Memory", cell: (row) => <Meter used={row.mem_used} of={row.mem_limit} words={`${bytes(row.mem_used)} of ${bytes(row.mem_limit)}`} /> },
            { id: "disk", title: "Free disk space", cell: (row) => bytes(row.disk_free) },
            { id: "fd", title: "File descriptors", cell: (row) => <Meter used={row.fd_used} of={row.fd_total} words={`${number(row.fd_used)} of ${number(row.fd_total)}`} /> },
            { id: "sockets", title: "Connections", cell: (row) => number(row.sockets_used) },
          ]}
        />
      )}
    </Page>
  );
}
