// A form for a policy, and below it what the policy would do.

import { useState } from "preact/hooks";
import { get, path, put } from "../api";
import { ArgumentsInput, parseArguments, POLICY_KEYS } from "../components/arguments";
import { Form, Input, Select } from "../components/form";
import { tell } from "../components/notices";
import { vhost as chosen } from "../settings";
import { APPLY_TO, OPERATOR_KEYS, type PolicyData, type PolicyKind } from "./policy";
import { PolicyPreview } from "./policy-preview";
import { useVhostNames } from "./vhost-names";
import "./admin.css";

interface PolicyFormProps {
  kind: PolicyKind;
  /** The policy that is changed; a new one if it is absent. */
  policy?: PolicyData;
  onDone: (vhost: string, name: string) => void;
}

export function PolicyForm({ kind, policy, onDone }: PolicyFormProps) {
  const isOperator = kind === "operator-policies";
  const vhosts = useVhostNames();
  const [draft, setDraft] = useState({
    vhost: policy?.vhost ?? chosen.value,
    name: policy?.name ?? "",
    pattern: policy?.pattern ?? "^",
    applyTo: policy?.["apply-to"] ?? "queues",
    priority: policy?.priority ?? 0,
  });
  const change = (changes: Partial<typeof draft>) => setDraft((before) => ({ ...before, ...changes }));
  const vhost = draft.vhost || vhosts[0] || "";
  const applyTo = APPLY_TO.filter(({ value }) => !isOperator || (value !== "all" && value !== "exchanges"));
  const keys = POLICY_KEYS.filter(({ key }) => !isOperator || OPERATOR_KEYS.includes(key));
  return (
    <>
      <Form
        action={policy ? "Save" : "Add"}
        onSubmit={async (values) => {
          const definition = parseArguments(values.text("definition"));
          const target = path`${kind}/${vhost}/${draft.name}`;
          if (!policy && (await get(target).then(() => true, () => false))) throw new Error(`There is a policy ${draft.name} in ${vhost} already. Open its page to change it.`);
          await put(target, { pattern: draft.pattern, "apply-to": draft.applyTo, priority: draft.priority, definition });
          tell("done", `The policy ${draft.name} is in force.`);
          onDone(vhost, draft.name);
        }}
      >
        <div class="columns">
          {!policy && <Select label="Virtual host" name="vhost" options={vhosts} value={vhost} onChange={(vhost) => change({ vhost })} />}
          {!policy && <Input label="Name" name="name" required value={draft.name} onInput={(name) => change({ name })} />}
          <Input label="Pattern" name="pattern" value={draft.pattern} onInput={(pattern) => change({ pattern })} hint="A regular expression that is searched in names. ^ is the beginning, $ the end." />
          <Select label="For" name="apply-to" options={applyTo} value={draft.applyTo} onChange={(applyTo) => change({ applyTo })} />
          <Input label="Priority" name="priority" type="number" value={draft.priority} onInput={(text) => change({ priority: Math.trunc(Number(text)) || 0 })} hint="The highest is in force." />
        </div>
        <ArgumentsInput name="definition" label="Definition" suggestions={keys} value={policy?.definition ?? {}} />
      </Form>
      <PolicyPreview kind={kind} vhost={vhost} name={draft.name} pattern={draft.pattern} applyTo={draft.applyTo} priority={draft.priority} />
    </>
  );
}
