// What users may do in virtual hosts: patterns of names, for configuring, writing and reading.

import { useState } from "preact/hooks";
import { del, path, put } from "../api";
import { confirm } from "../components/dialog";
import { Form, Input, Select } from "../components/form";
import { UserLink, VhostLink } from "../components/links";
import type { Column } from "../components/list";
import { attempt, tell } from "../components/notices";
import { Badge, Panel } from "../components/page";
import { EditFold } from "./edit-fold";
import { PatternInput, PatternText } from "./pattern-input";
import { matches } from "./patterns";
import { Some } from "./some";
import { useVhostNames } from "./vhost-names";
import "./admin.css";

interface Permission {
  user: string;
  vhost: string;
  configure: string;
  write: string;
  read: string;
}

type Patterns = Pick<Permission, "configure" | "write" | "read">;

const EVERYTHING: Patterns = { configure: ".*", write: ".*", read: ".*" };

/** Of one user in all virtual hosts, or of all users in one. */
export function PermissionsPanel({ user, vhost }: { user?: string; vhost?: string }) {
  const [version, setVersion] = useState(0);
  const [edited, setEdited] = useState<Permission | null>(null);
  const changed = () => {
    setVersion((version) => version + 1);
    setEdited(null);
  };
  const remove = async (row: Permission) => {
    const body = <p>{row.user} can do nothing in {row.vhost} any more, and cannot connect to it. Open connections stay until they do something.</p>;
    if (!(await confirm({ title: `Take the permissions of ${row.user} in ${row.vhost} away?`, body, action: "Take them away" }))) return;
    await attempt(`The permissions of ${row.user} in ${row.vhost} are gone.`, () => del(path`permissions/${row.vhost}/${row.user}`));
    changed();
  };
  const columns: Column<Permission>[] = [
    user === undefined
      ? { id: "user", title: "User", cell: (row) => <UserLink name={row.user} /> }
      : { id: "vhost", title: "Virtual host", cell: (row) => <VhostLink name={row.vhost} /> },
    { id: "configure", title: "Configure", cell: (row) => <PatternText of={row.configure} /> },
    { id: "write", title: "Write", cell: (row) => <PatternText of={row.write} /> },
    { id: "read", title: "Read", cell: (row) => <PatternText of={row.read} /> },
    {
      id: "actions",
      title: "Actions",
      cell: (row) => (
        <span class="row-actions">
          <button type="button" onClick={() => setEdited(row)}>Edit<span class="unseen"> {user === undefined ? row.user : row.vhost}</span></button>
          <button type="button" class="danger" onClick={() => remove(row)}>Remove<span class="unseen"> {user === undefined ? row.user : row.vhost}</span></button>
        </span>
      ),
    },
  ];
  return (
    <Panel title="Permissions" wide hint="Regular expressions that are searched in the names of queues and exchanges: ^ and $ tie them to the beginning and the end. An empty one allows nothing.">
      <Some<Permission>
        caption="permissions"
        target={user === undefined ? path`vhosts/${vhost ?? ""}/permissions` : path`users/${user}/permissions`}
        columns={columns}
        rowKey={(row) => `${row.vhost}\n${row.user}`}
        version={version}
        empty={user === undefined ? "No user can connect to this virtual host." : "The user cannot connect to any virtual host. Give it permissions in one."}
      />
      <EditFold title={edited ? `Permissions of ${edited.user} in ${edited.vhost}` : "Give permissions"} edits={edited !== null}>
        <PermissionForm key={edited ? `${edited.vhost}\n${edited.user}` : ""} user={user ?? edited?.user} vhost={vhost ?? edited?.vhost} edited={edited} onDone={changed} />
      </EditFold>
    </Panel>
  );
}

function PermissionForm({ user, vhost, edited, onDone }: { user: string | undefined; vhost: string | undefined; edited: Permission | null; onDone: () => void }) {
  const [now, setNow] = useState<Patterns>(edited ?? EVERYTHING);
  const vhosts = useVhostNames();
  return (
    <>
      <Form
        action="Set permissions"
        buttons={edited && <button type="button" onClick={onDone}>Cancel</button>}
        onSubmit={async (values) => {
          const [inVhost, ofUser] = [vhost ?? values.text("vhost"), user ?? values.text("user")];
          const { configure, write, read } = now;
          await put(path`permissions/${inVhost}/${ofUser}`, { configure, write, read });
          tell("done", `The permissions of ${ofUser} in ${inVhost} are set.`);
          onDone();
        }}
      >
        <div class="columns">
          {user === undefined && <Input label="User" name="user" required />}
          {vhost === undefined && <Select label="Virtual host" name="vhost" options={vhosts} />}
          <PatternInput label="Configure" hint="Declare and delete." value={now.configure} onInput={(configure) => setNow({ ...now, configure })} />
          <PatternInput label="Write" hint="Publish to exchanges; bind queues and exchanges to others." value={now.write} onInput={(write) => setNow({ ...now, write })} />
          <PatternInput label="Read" hint="Consume, get and purge; bind others to an exchange." value={now.read} onInput={(read) => setNow({ ...now, read })} />
        </div>
      </Form>
      <Tester patterns={now} />
    </>
  );
}

const QUESTIONS: { right: keyof Patterns; words: string; of: "exchange" | "queue" }[] = [
  { of: "exchange", right: "write", words: "publish to it" },
  { of: "exchange", right: "read", words: "bind queues and exchanges to it" },
  { of: "exchange", right: "configure", words: "declare and delete it" },
  { of: "queue", right: "read", words: "consume, get, purge" },
  { of: "queue", right: "write", words: "bind it to an exchange" },
  { of: "queue", right: "configure", words: "declare and delete it" },
];

/** Says what patterns allow with a name. */
function Tester({ patterns }: { patterns: Patterns }) {
  const [name, setName] = useState("");
  const rows = (kind: "exchange" | "queue") => QUESTIONS.filter(({ of }) => of === kind).map(({ right, words }) => (
    <li key={words}><Verdict of={matches(patterns[right], name)} /> {words}</li>
  ));
  return (
    <div class="tester">
      <Input label="Try a name" name="tried" value={name} onInput={setName} placeholder="orders" hint="What the patterns above would allow with an exchange or a queue of this name. The default exchange is called amq.default; publishing straight to a queue needs Write for it." />
      {name && (
        <div class="columns" role="status">
          <div><h3>The exchange {name}</h3><ul class="plain">{rows("exchange")}</ul></div>
          <div><h3>The queue {name}</h3><ul class="plain">{rows("queue")}</ul></div>
        </div>
      )}
    </div>
  );
}

export function Verdict({ of }: { of: boolean | undefined }) {
  if (of === undefined) return <Badge tone="warn" title="The broker reads patterns in a way that this browser does not know.">cannot tell here</Badge>;
  return of ? <Badge tone="good">yes</Badge> : <Badge tone="bad">no</Badge>;
}
