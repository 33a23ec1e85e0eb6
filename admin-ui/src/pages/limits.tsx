// All limits that are set, of virtual hosts and of users.

import { useState } from "preact/hooks";
import { del, path, put } from "../api";
import { confirm } from "../components/dialog";
import { Form, Input, Select } from "../components/form";
import { listOf, UserLink, VhostLink } from "../components/links";
import type { Column } from "../components/list";
import { attempt, tell } from "../components/notices";
import { Page, Panel } from "../components/page";
import { number } from "../format";
import { may } from "../session";
import { type Limits as LimitsData, LIMITS } from "./limits-panel";
import { Some } from "./some";
import "./admin.css";

interface Row {
  vhost?: string;
  user?: string;
  value: LimitsData;
}

export function Limits() {
  return (
    <Page title="Limits">
      <p class="hint">What one virtual host or one user may take of the broker. Beyond a limit clients are refused; nothing that is there is closed or deleted.</p>
      <LimitList kind="vhost" />
      {may("administrator") && <LimitList kind="user" />}
    </Page>
  );
}

const WORDS = {
  vhost: { title: "Limits of virtual hosts", one: "Virtual host", empty: "No virtual host has a limit." },
  user: { title: "Limits of users", one: "User", empty: "No user has a limit." },
};

function LimitList({ kind }: { kind: "vhost" | "user" }) {
  const [version, setVersion] = useState(0);
  const words = WORDS[kind];
  const canEdit = may("administrator");
  const nameOf = (row: Row) => row[kind] ?? "";
  const clear = async (row: Row) => {
    const name = nameOf(row);
    if (!(await confirm({ title: `Remove all limits of ${name}?`, body: <p>It may then take as much as the broker has.</p>, action: "Remove" }))) return;
    await attempt(`${name} has no limits any more.`, async () => {
      for (const limit of Object.keys(row.value)) await del(path`${`${kind}-limits`}/${name}/${limit}`);
    });
    setVersion((version) => version + 1);
  };
  const columns: Column<Row>[] = [
    { id: "name", title: words.one, cell: (row) => (!canEdit ? nameOf(row) : kind === "user" ? <UserLink name={nameOf(row)} /> : <VhostLink name={nameOf(row)} />) },
    ...LIMITS[kind].map((limit): Column<Row> => ({ id: limit.name, title: limit.label, isNumber: true, cell: (row) => number(row.value[limit.name]) })),
    ...(canEdit ? [{ id: "actions", title: "Actions", cell: (row: Row) => <span class="row-actions"><button type="button" class="danger" onClick={() => clear(row)}>Remove<span class="unseen"> the limits of {nameOf(row)}</span></button></span> }] : []),
  ];
  return (
    <Panel title={words.title}>
      <Some<Row> caption={words.title.toLowerCase()} target={kind === "vhost" ? listOf("vhost-limits") : "user-limits"} columns={columns} rowKey={nameOf} version={version} empty={words.empty} />
      {canEdit && (
        <details class="sub">
          <summary>Set a limit</summary>
          <Form
            action="Set the limit"
            onSubmit={async (values) => {
              const [name, limit] = [values.text("name"), values.text("limit")];
              await put(path`${`${kind}-limits`}/${name}/${limit}`, { value: values.number("value") });
              tell("done", `The limit of ${name} is set.`);
              setVersion((version) => version + 1);
            }}
          >
            <div class="columns">
              <Input label={words.one} name="name" required />
              <Select label="Limit" name="limit" options={LIMITS[kind].map(({ name, label }) => ({ value: name, label }))} />
              <Input label="Value" name="value" type="number" min={0} required />
            </div>
          </Form>
        </details>
      )}
    </Panel>
  );
}
