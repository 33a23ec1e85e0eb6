import { useState } from "preact/hooks";
import { del, get, path, put } from "../api";
import { Form, Input } from "../components/form";
import { UserLink } from "../components/links";
import { type Column, List } from "../components/list";
import { Badge, Fold, Page } from "../components/page";
import { plural } from "../format";
import { go, link } from "../router";
import { user as me } from "../session";
import { type Limits, limitsInWords } from "./limits-panel";
import { PasswordFields, passwordOf } from "./password";
import { TagFields, Tags, tagsOf } from "./tags";

export interface UserData {
  name: string;
  tags: string[];
  password_hash: string;
  hashing_algorithm: string;
  limits: Limits;
}

const COLUMNS: Column<UserData>[] = [
  { id: "name", title: "Name", sort: "name", cell: (row) => <UserLink name={row.name} /> },
  { id: "tags", title: "Tags", sort: "tags", cell: (row) => <Tags of={row.tags} /> },
  { id: "login", title: "Login", cell: loginOf },
  { id: "limits", title: "Limits", cell: (row) => limitsInWords(row.limits) },
];

export function loginOf(row: UserData) {
  return row.password_hash ? `with a password (${algorithmName(row.hashing_algorithm)})` : <Badge title="Has no password, so nobody logs in with one.">no password</Badge>;
}

function algorithmName(name: string): string {
  return name.replace("leveret_", "").replace("rabbit_password_hashing_", "").replace("argon2id", "Argon2id").replace("sha", "SHA-").replace("md5", "MD5");
}

export function Users() {
  const [version, setVersion] = useState(0);
  const [isIdle, setIdle] = useState(false);
  return (
    <Page title="Users" actions={<label><input type="checkbox" checked={isIdle} onChange={(event) => setIdle(event.currentTarget.checked)} /> Only those without permissions</label>}>
      <List<UserData>
        id="users"
        caption="users"
        target={isIdle ? "users/without-permissions" : "users"}
        columns={COLUMNS}
        rowKey={(row) => row.name}
        rowName={(row) => row.name}
        sort="name"
        version={version}
        empty={isIdle ? <p>All users have permissions in a virtual host.</p> : <p>There is no user: only whoever works on the broker’s machine can come in, with <code>leveretctl add_user</code>.</p>}
        actions={[{
          label: "Delete",
          question: (rows) => ({
            title: `Delete ${plural(rows.length, "user")}?`,
            body: <p>Their permissions go with them, and their connections are closed. {rows.some((row) => row.name === me.value?.name) && <b>You are one of them and will be logged out.</b>}</p>,
          }),
          run: (row) => del(path`users/${row.name}`),
        }]}
      />
      <Fold title="Add a user">
        <Form
          action="Add the user"
          onSubmit={async (values) => {
            const name = values.text("name");
            const body = { ...passwordOf(values), tags: tagsOf(values) };
            if (await exists(name)) throw new Error(`There is a user ${name} already. Open its page to change it.`);
            await put(path`users/${name}`, body);
            setVersion((version) => version + 1);
            go(link`users/${name}`);
          }}
        >
          <Input label="Name" name="name" required />
          <PasswordFields />
          <TagFields tags={[]} />
        </Form>
      </Fold>
    </Page>
  );
}

async function exists(name: string): Promise<boolean> {
  return get(path`users/${name}`).then(() => true, () => false);
}
