// Parameters of components, and global ones.

import { useState } from "preact/hooks";
import { del, path, put } from "../api";
import { Form, Input, Select, TextArea } from "../components/form";
import { type Column, List } from "../components/list";
import { tell } from "../components/notices";
import { Fold, Page, Panel } from "../components/page";
import { plural } from "../format";
import { link } from "../router";
import { may } from "../session";
import { vhost as chosen } from "../settings";
import { Some } from "./some";
import { useVhostNames } from "./vhost-names";

export interface Parameter {
  component: string;
  vhost: string;
  name: string;
  value: unknown;
}

/** Components that take new parameters. What others have was imported. */
const COMPONENTS = ["operator_policy", "vhost-limits"];

const COLUMNS: Column<Parameter>[] = [
  { id: "component", title: "Component", sort: "component", cell: (row) => row.component },
  { id: "vhost", title: "Virtual host", sort: "vhost", cell: (row) => row.vhost },
  { id: "name", title: "Name", sort: "name", cell: (row) => <a href={link`parameters/${row.component}/${row.vhost}/${row.name}`}>{row.name}</a> },
  { id: "value", title: "Value", cell: (row) => <Short of={row.value} /> },
];

const GLOBAL: Column<Parameter>[] = [
  { id: "name", title: "Name", cell: (row) => <a href={link`global-parameters/${row.name}`}>{row.name}</a> },
  { id: "value", title: "Value", cell: (row) => <Short of={row.value} /> },
];

function Short({ of }: { of: unknown }) {
  const text = JSON.stringify(of);
  return <code class="clip wide-clip" title={text}>{text}</code>;
}

/** What a text field holds as JSON. Throws with words for the user. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`The value is no valid JSON: ${error instanceof Error ? error.message : error}. Texts need quotes: "text".`);
  }
}

export function Parameters() {
  const [version, setVersion] = useState(0);
  const vhosts = useVhostNames();
  const done = (text: string) => {
    tell("done", text);
    setVersion((version) => version + 1);
  };
  return (
    <Page title="Parameters">
      <List<Parameter>
        id="parameters"
        caption="parameters"
        target="parameters"
        columns={COLUMNS}
        rowKey={(row) => `${row.component}\n${row.vhost}\n${row.name}`}
        rowName={(row) => row.name}
        version={version}
        empty={<p>Parameters belong to a component of the broker and a virtual host: limits of virtual hosts and operator policies are kept here as well, in the form that tools for RabbitMQ know. There are none.</p>}
        actions={[{
          label: "Delete",
          question: (rows) => ({ title: `Delete ${plural(rows.length, "parameter")}?`, body: <p>What they set does not hold any more: limits and operator policies end at once.</p> }),
          run: (row) => del(path`parameters/${row.component}/${row.vhost}/${row.name}`),
        }]}
      />
      <Fold title="Set a parameter">
        <Form
          action="Set the parameter"
          onSubmit={async (values) => {
            const [component, vhost, name] = [values.text("component"), values.text("vhost"), values.text("name")];
            await put(path`parameters/${component}/${vhost}/${name}`, { value: readJson(values.text("value")) });
            done(`The parameter ${name} is set.`);
          }}
        >
          <p class="hint">For scripts’ sake; <a href="#/limits">limits</a> and <a href="#/operator-policies">operator policies</a> have pages that are easier to use.</p>
          <div class="columns">
            <Input label="Component" name="component" required list={COMPONENTS} value="vhost-limits" />
            <Select label="Virtual host" name="vhost" options={vhosts} value={chosen.value || vhosts[0]} />
            <Input label="Name" name="name" required value="limits" />
          </div>
          <TextArea label="Value (JSON)" name="value" rows={4} required placeholder={'{"max-queues": 1000}'} />
        </Form>
      </Fold>
      <Panel title="Global parameters" hint="Of the broker as a whole, for tools that keep something here. cluster_name is the name of the cluster.">
        <Some<Parameter> caption="global parameters" target="global-parameters" columns={GLOBAL} rowKey={(row) => row.name} version={version} empty="There are none." />
      </Panel>
      {may("administrator") && (
        <Fold title="Set a global parameter">
          <Form
            action="Set the global parameter"
            resets
            onSubmit={async (values) => {
              const name = values.text("name");
              await put(path`global-parameters/${name}`, { value: readJson(values.text("value")) });
              done(`The global parameter ${name} is set.`);
            }}
          >
            <Input label="Name" name="name" required />
            <TextArea label="Value (JSON)" name="value" rows={4} required placeholder={'{"team": "payments"}'} />
          </Form>
        </Fold>
      )}
    </Page>
  );
}
