import { useState } from "preact/hooks";
import { del, get, type Page as ApiPage, path, put, query } from "../api";
import { confirm } from "../components/dialog";
import { Form } from "../components/form";
import { ConnectionLink, QueueLink, VhostLink } from "../components/links";
import { type Column } from "../components/list";
import { attempt, Failure, tell } from "../components/notices";
import { Badge, Facts, Fold, Page, Panel, Panels } from "../components/page";
import { number, plural, time } from "../format";
import { usePoll } from "../poll";
import { go } from "../router";
import { user as me } from "../session";
import { LimitsPanel, limitsInWords } from "./limits-panel";
import { PasswordFields, passwordOf } from "./password";
import { PermissionsPanel } from "./permissions";
import { Some } from "./some";
import { TagFields, Tags, tagsOf } from "./tags";
import { TopicPermissionsPanel } from "./topic-permissions";
import { loginOf, type UserData } from "./users";

interface Connection {
  name: string;
  vhost: string;
  protocol: string;
  connected_at: number;
}

interface Queue {
  name: string;
  vhost: string;
  messages: number;
}

export function User({ parts: [name = ""] }: { parts: string[] }) {
  const { data, error, refresh } = usePoll<UserData>(path`users/${name}`);
  const isMe = name === me.value?.name;
  // A new form for each password: nothing of the last one stays in it.
  const [turn, setTurn] = useState(0);
  return (
    <Page
      title={name}
      kind={{ label: "Users", href: "#/users" }}
      badges={data && <><Tags of={data.tags} />{isMe && <Badge>you</Badge>}</>}
      actions={data && <button type="button" class="danger" onClick={() => remove(name, isMe)}>Delete the user</button>}
    >
      {error && <Failure error={error} />}
      {data && (
        <>
          <Panels>
            <Panel title="User">
              <Facts of={[["Tags", data.tags.join(", ") || "none: no login to the management"], ["Login", loginOf(data)], ["Limits", limitsInWords(data.limits) || "none"]]} />
            </Panel>
            <LimitsPanel kind="user" name={name} limits={data.limits} onDone={refresh} />
          </Panels>
          <PermissionsPanel user={name} />
          <TopicPermissionsPanel user={name} />
          <Panels>
            <Connections name={name} />
            <Panel title="Queues of its connections" hint="Exclusive queues, which go with the connection that has declared them.">
              <Some<Queue> caption="queues" target={path`users/${name}/queues`} columns={QUEUES} rowKey={(row) => `${row.vhost}\n${row.name}`} empty="It has none. Other queues belong to a virtual host, not to a user." />
            </Panel>
          </Panels>
          <Fold title="Change the password">
            <Form
              key={turn}
              action="Change the password"
              onSubmit={async (values) => {
                const password = passwordOf(values);
                // Tags that are left out are taken away; somebody else may have changed them.
                const { tags } = await get<UserData>(path`users/${name}`);
                await put(path`users/${name}`, { ...password, tags });
                tell("done", `The password of ${name} is changed.`);
                setTurn(turn + 1);
                refresh();
              }}
            >
              <p class="hint">Connections that are open stay. Sessions in browsers end{isMe && ", yours as well: you will have to log in again"}.</p>
              <PasswordFields />
            </Form>
          </Fold>
          <Fold title="Change the tags">
            <Form
              action="Set the tags"
              onSubmit={async (values) => {
                const tags = tagsOf(values);
                const losesPower = isMe && data.tags.includes("administrator") && !tags.includes("administrator");
                if (losesPower && !(await confirm({ title: "Give up administrator?", body: <p>You could not take it back yourself.</p>, action: "Give it up" }))) return;
                await put(path`users/${name}`, { tags });
                tell("done", `The tags of ${name} are set.`);
                refresh();
              }}
            >
              <TagFields tags={data.tags} />
            </Form>
          </Fold>
        </>
      )}
    </Page>
  );
}

async function remove(name: string, isMe: boolean) {
  const body = <p>Its permissions go with it, and its connections are closed.{isMe && <b> This is you: you will be logged out.</b>}</p>;
  if (!(await confirm({ title: `Delete the user ${name}?`, body, action: "Delete" }))) return;
  if (await attempt(`The user ${name} is deleted.`, () => del(path`users/${name}`))) go("#/users");
}

const CONNECTIONS: Column<Connection>[] = [
  { id: "name", title: "Connection", cell: (row) => <ConnectionLink name={row.name} /> },
  { id: "vhost", title: "Virtual host", cell: (row) => <VhostLink name={row.vhost} /> },
  { id: "protocol", title: "Protocol", cell: (row) => row.protocol },
  { id: "since", title: "Since", cell: (row) => time(row.connected_at) },
];

const QUEUES: Column<Queue>[] = [
  { id: "vhost", title: "Virtual host", cell: (row) => <VhostLink name={row.vhost} /> },
  { id: "name", title: "Queue", cell: (row) => <QueueLink vhost={row.vhost} name={row.name} /> },
  { id: "messages", title: "Messages", isNumber: true, cell: (row) => number(row.messages) },
];

function Connections({ name }: { name: string }) {
  const [version, setVersion] = useState(0);
  const target = path`connections/username/${name}`;
  const { data } = usePoll<ApiPage<unknown>>(query(target, { page: 1, page_size: 1, columns: "name" }));
  const count = data?.total_count ?? 0;
  const close = async () => {
    const body = <p>{plural(count, "connection")} of {name} {count === 1 ? "is" : "are"} closed. Clients may connect again at once; to keep them out, change the password, take the permissions away or set a limit of 0 connections.</p>;
    if (!(await confirm({ title: `Close all connections of ${name}?`, body, action: "Close all" }))) return;
    await attempt(`The connections of ${name} are closed.`, () => del(target));
    setVersion((version) => version + 1);
  };
  return (
    <Panel title="Connections" actions={count > 0 && <button type="button" class="danger" onClick={close}>Close all ({number(count)})</button>}>
      <Some<Connection> caption="connections" target={target} columns={CONNECTIONS} rowKey={(row) => row.name} version={version} empty="The user is not connected." />
    </Panel>
  );
}
