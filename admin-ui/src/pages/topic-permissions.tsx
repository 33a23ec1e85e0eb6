// What users may do with single topics of a topic exchange, and so of MQTT.

import { useState } from "preact/hooks";
import { del, path, put } from "../api";
import { confirm } from "../components/dialog";
import { Form, Input, Select } from "../components/form";
import { ExchangeLink, UserLink, VhostLink } from "../components/links";
import type { Column } from "../components/list";
import { attempt, tell } from "../components/notices";
import { Panel } from "../components/page";
import { EditFold } from "./edit-fold";
import { PatternInput, PatternText } from "./pattern-input";
import { matchesTopic } from "./patterns";
import { Verdict } from "./permissions";
import { Some } from "./some";
import { useVhostNames } from "./vhost-names";

interface TopicPermission {
  user: string;
  vhost: string;
  exchange: string;
  write: string;
  read: string;
}

export function TopicPermissionsPanel({ user, vhost }: { user?: string; vhost?: string }) {
  const [version, setVersion] = useState(0);
  const [edited, setEdited] = useState<TopicPermission | null>(null);
  const changed = () => {
    setVersion((version) => version + 1);
    setEdited(null);
  };
  const remove = async (row: TopicPermission) => {
    const body = <p>{row.user} may then use every topic of {row.exchange} that its permissions allow, if no other topic permission is left.</p>;
    if (!(await confirm({ title: `Remove the topic permission of ${row.user} for ${row.exchange}?`, body, action: "Remove" }))) return;
    await attempt(`The topic permission for ${row.exchange} is gone.`, () => del(path`topic-permissions/${row.vhost}/${row.user}/${row.exchange}`));
    changed();
  };
  const columns: Column<TopicPermission>[] = [
    user === undefined
      ? { id: "user", title: "User", cell: (row) => <UserLink name={row.user} /> }
      : { id: "vhost", title: "Virtual host", cell: (row) => <VhostLink name={row.vhost} /> },
    { id: "exchange", title: "Exchange", cell: (row) => <ExchangeLink vhost={row.vhost} name={row.exchange} /> },
    { id: "write", title: "Publish", cell: (row) => <PatternText of={row.write} /> },
    { id: "read", title: "Subscribe", cell: (row) => <PatternText of={row.read} /> },
    {
      id: "actions",
      title: "Actions",
      cell: (row) => (
        <span class="row-actions">
          <button type="button" onClick={() => setEdited(row)}>Edit<span class="unseen"> {row.exchange}, {user === undefined ? row.user : row.vhost}</span></button>
          <button type="button" class="danger" onClick={() => remove(row)}>Remove<span class="unseen"> {row.exchange}, {user === undefined ? row.user : row.vhost}</span></button>
        </span>
      ),
    },
  ];
  return (
    <Panel title="Topic permissions" wide hint="Narrow the permissions down to single routing keys of a topic exchange. Topics of MQTT are routing keys of amq.topic, with dots for their slashes.">
      <Some<TopicPermission>
        caption="topic permissions"
        target={user === undefined ? path`vhosts/${vhost ?? ""}/topic-permissions` : path`users/${user}/topic-permissions`}
        columns={columns}
        rowKey={(row) => `${row.vhost}\n${row.user}\n${row.exchange}`}
        version={version}
        empty="There are none: every topic may be used that the permissions allow."
      />
      <EditFold title={edited ? `Topics of ${edited.exchange} for ${edited.user} in ${edited.vhost}` : "Add a topic permission"} edits={edited !== null}>
        <TopicForm key={edited ? `${edited.vhost}\n${edited.user}\n${edited.exchange}` : ""} user={user ?? edited?.user} vhost={vhost ?? edited?.vhost} edited={edited} onDone={changed} />
      </EditFold>
    </Panel>
  );
}

function TopicForm({ user, vhost, edited, onDone }: { user: string | undefined; vhost: string | undefined; edited: TopicPermission | null; onDone: () => void }) {
  const [write, setWrite] = useState(edited?.write ?? ".*");
  const [read, setRead] = useState(edited?.read ?? ".*");
  const vhosts = useVhostNames();
  return (
    <>
      <Form
        action="Set topic permission"
        buttons={edited && <button type="button" onClick={onDone}>Cancel</button>}
        onSubmit={async (values) => {
          const [inVhost, ofUser] = [vhost ?? values.text("vhost"), user ?? values.text("user")];
          const exchange = values.text("exchange");
          await put(path`topic-permissions/${inVhost}/${ofUser}`, { exchange, write, read });
          tell("done", `The topic permission of ${ofUser} for ${exchange} is set.`);
          onDone();
        }}
      >
        <div class="columns">
          {user === undefined && <Input label="User" name="user" required />}
          {vhost === undefined && <Select label="Virtual host" name="vhost" options={vhosts} />}
          <Input label="Exchange" name="exchange" required value={edited?.exchange ?? "amq.topic"} />
          <PatternInput ofTopics label="Publish" hint="Routing keys. {username}, {vhost} and {client_id} stand for those of the client." value={write} onInput={setWrite} />
          <PatternInput ofTopics label="Subscribe" hint="Binding keys; for MQTT, filters." value={read} onInput={setRead} />
        </div>
      </Form>
      <TopicTester write={write} read={read} user={user ?? ""} vhost={vhost ?? ""} />
    </>
  );
}

function TopicTester({ write, read, user, vhost }: { write: string; read: string; user: string; vhost: string }) {
  const [key, setKey] = useState("");
  const [clientId, setClientId] = useState("");
  const judge = (pattern: string) => matchesTopic(pattern, key, { username: user, vhost, client_id: clientId });
  return (
    <div class="tester">
      <div class="columns">
        <Input label="Try a routing key" name="tried-key" value={key} onInput={setKey} placeholder="sensors.kitchen.temperature" />
        <Input label="as the MQTT client" name="tried-client" value={clientId} onInput={setClientId} placeholder="client identifier" hint="Only for patterns with {client_id}." />
      </div>
      {key && (
        <ul class="plain" role="status">
          <li><Verdict of={judge(write)} /> publish with {key}</li>
          <li><Verdict of={judge(read)} /> bind and subscribe with {key}</li>
        </ul>
      )}
    </div>
  );
}
