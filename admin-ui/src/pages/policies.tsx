// Lists of policies and of operator policies.

import { useState } from "preact/hooks";
import { del, path } from "../api";
import { ShortArguments } from "../components/arguments";
import { listOf } from "../components/links";
import { type Column, List, type RowAction } from "../components/list";
import { Fold, Page } from "../components/page";
import { plural } from "../format";
import { go, link } from "../router";
import { may } from "../session";
import { applyToInWords, type PolicyData, type PolicyKind } from "./policy";
import { PolicyForm } from "./policy-form";

const WORDS: Record<PolicyKind, { title: string; one: string; about: string; right: "policymaker" | "administrator" }> = {
  policies: {
    title: "Policies",
    one: "policy",
    about: "A policy gives arguments to all queues and exchanges whose names match its pattern, also to those that are there already. One policy is in force for each of them: that of the highest priority, among equals the first by name.",
    right: "policymaker",
  },
  "operator-policies": {
    title: "Operator policies",
    one: "operator policy",
    about: "An operator policy sets bounds that neither clients nor policies can exceed: of two numbers the smaller one counts. For each queue one is in force, beside its policy: that of the highest priority, among equals the first by name.",
    right: "administrator",
  },
};

export const Policies = () => <PolicyList kind="policies" />;
export const OperatorPolicies = () => <PolicyList kind="operator-policies" />;

function PolicyList({ kind }: { kind: PolicyKind }) {
  const words = WORDS[kind];
  const [version, setVersion] = useState(0);
  const canEdit = may(words.right);
  const columns: Column<PolicyData>[] = [
    { id: "vhost", title: "Virtual host", sort: "vhost", cell: (row) => row.vhost },
    { id: "name", title: "Name", sort: "name", cell: (row) => canEdit ? <a href={policyLink(kind, row)}>{row.name}</a> : row.name },
    { id: "pattern", title: "Pattern", sort: "pattern", cell: (row) => <code>{row.pattern}</code> },
    { id: "apply-to", title: "For", sort: "apply-to", cell: (row) => applyToInWords(row["apply-to"]) },
    { id: "definition", title: "Definition", cell: (row) => <ShortArguments of={row.definition} /> },
    { id: "priority", title: "Priority", sort: "priority", isNumber: true, cell: (row) => row.priority },
  ];
  const deletion: RowAction<PolicyData> = {
    label: "Delete",
    question: (rows) => ({ title: `Delete ${plural(rows.length, words.one, words.title.toLowerCase())}?`, body: <p>What they gave to queues and exchanges ends at once: limits and times to live hold no longer, and dead letters are dropped where they said where to.</p> }),
    run: (row) => del(path`${kind}/${row.vhost}/${row.name}`),
  };
  return (
    <Page title={words.title}>
      <List<PolicyData>
        key={kind}
        id={kind}
        caption={words.title.toLowerCase()}
        target={listOf(kind)}
        columns={columns}
        rowKey={(row) => `${row.vhost}\n${row.name}`}
        rowName={(row) => row.name}
        version={version}
        empty={<><p>There are none here. {words.about}</p><p>For example, the pattern <code>^logs\.</code> with <code>max-length</code> 10,000 keeps every queue whose name begins with “logs.” from growing beyond that.</p></>}
        actions={canEdit ? [deletion] : []}
      />
      {canEdit && (
        <Fold title={`Add ${kind === "policies" ? "a policy" : "an operator policy"}`}>
          <p class="hint">{words.about}</p>
          <PolicyForm
            kind={kind}
            onDone={(vhost, name) => {
              setVersion((version) => version + 1);
              go(policyLink(kind, { vhost, name }));
            }}
          />
        </Fold>
      )}
    </Page>
  );
}

export function policyLink(kind: PolicyKind, { vhost, name }: { vhost: string; name: string }): string {
  return kind === "policies" ? link`policies/${vhost}/${name}` : link`operator-policies/${vhost}/${name}`;
}
