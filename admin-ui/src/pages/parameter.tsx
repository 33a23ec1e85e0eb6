// One parameter: its value as JSON, changed and deleted.

import { del, path, put } from "../api";
import { confirm } from "../components/dialog";
import { Form, TextArea } from "../components/form";
import { attempt, Failure, tell } from "../components/notices";
import { Facts, Page, Panel } from "../components/page";
import { usePoll } from "../poll";
import { go } from "../router";
import { may } from "../session";
import { readJson, type Parameter as ParameterData } from "./parameters";

export function Parameter({ parts: [component = "", vhost = "", name = ""] }: { parts: string[] }) {
  return <ParameterPage name={name} target={path`parameters/${component}/${vhost}/${name}`} facts={[["Component", component], ["Virtual host", vhost]]} canEdit />;
}

export function GlobalParameter({ parts: [name = ""] }: { parts: string[] }) {
  return <ParameterPage name={name} target={path`global-parameters/${name}`} facts={[["Of", "the broker as a whole"]]} canEdit={may("administrator")} />;
}

function ParameterPage({ name, target, facts, canEdit }: { name: string; target: string; facts: [string, string][]; canEdit: boolean }) {
  const { data, error, refresh } = usePoll<ParameterData>(target);
  const remove = async () => {
    if (!(await confirm({ title: `Delete the parameter ${name}?`, body: <p>What it sets does not hold any more.</p>, action: "Delete" }))) return;
    if (await attempt(`The parameter ${name} is deleted.`, () => del(target))) go("#/parameters");
  };
  const text = JSON.stringify(data?.value, null, 2);
  return (
    <Page title={name} kind={{ label: "Parameters", href: "#/parameters" }} actions={canEdit && data && <button type="button" class="danger" onClick={remove}>Delete the parameter</button>}>
      {error && <Failure error={error} />}
      {data && (
        <Panel title="Parameter">
          <Facts of={facts} />
          {canEdit ? (
            <Form
              action="Save"
              onSubmit={async (values) => {
                await put(target, { value: readJson(values.text("value")) });
                tell("done", `The parameter ${name} is set.`);
                refresh();
              }}
            >
              <TextArea label="Value (JSON)" name="value" rows={Math.min(24, text.split("\n").length + 2)} value={text} required />
            </Form>
          ) : <pre>{text}</pre>}
        </Panel>
      )}
    </Page>
  );
}
