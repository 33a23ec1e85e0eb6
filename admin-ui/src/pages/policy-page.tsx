// One policy, explained, changed and deleted.

import { del, path } from "../api";
import { Arguments } from "../components/arguments";
import { confirm } from "../components/dialog";
import { attempt, Failure } from "../components/notices";
import { Facts, Page, Panel } from "../components/page";
import { usePoll } from "../poll";
import { go } from "../router";
import { applyToInWords, type PolicyData, type PolicyKind } from "./policy";
import { PolicyForm } from "./policy-form";

export const Policy = ({ parts }: { parts: string[] }) => <PolicyPage kind="policies" parts={parts} />;
export const OperatorPolicy = ({ parts }: { parts: string[] }) => <PolicyPage kind="operator-policies" parts={parts} />;

function PolicyPage({ kind, parts: [vhost = "", name = ""] }: { kind: PolicyKind; parts: string[] }) {
  const target = path`${kind}/${vhost}/${name}`;
  const { data, error, refresh } = usePoll<PolicyData>(target);
  const remove = async () => {
    const body = <p>What it gave to queues and exchanges ends at once: limits and times to live hold no longer, and dead letters are dropped where it said where to.</p>;
    if (!(await confirm({ title: `Delete the policy ${name}?`, body, action: "Delete" }))) return;
    if (await attempt(`The policy ${name} is deleted.`, () => del(target))) go(`#/${kind}`);
  };
  return (
    <Page
      title={name}
      kind={{ label: kind === "policies" ? "Policies" : "Operator policies", href: `#/${kind}` }}
      actions={data && <button type="button" class="danger" onClick={remove}>Delete the policy</button>}
    >
      {error && <Failure error={error} />}
      {data && (
        <>
          <Panel title="In words">
            <Facts
              of={[
                ["Virtual host", vhost],
                ["For", <>{applyToInWords(data["apply-to"])} in whose names <code>{data.pattern}</code> is found</>],
                ["Priority", data.priority],
                ["Gives", <Arguments of={data.definition} />],
                kind === "policies"
                  ? ["Together with", "Arguments of the declaration come before it; of two numbers the smaller one counts. An operator policy comes before both."]
                  : ["Together with", "It comes before policies and arguments of the declaration; of two numbers the smaller one counts."],
              ]}
            />
          </Panel>
          <Panel title="Change it">
            <PolicyForm kind={kind} policy={data} onDone={refresh} />
          </Panel>
        </>
      )}
    </Page>
  );
}
