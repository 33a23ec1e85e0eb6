// Export and import of everything that lasts but messages.

import { useState } from "preact/hooks";
import { call, path, query } from "../api";
import { confirm } from "../components/dialog";
import { Form, Select } from "../components/form";
import { explain } from "../components/notices";
import { Page, Panel, Panels } from "../components/page";
import { useVhostNames } from "./vhost-names";
import { describe, type Described } from "./definitions-words";
import "./admin.css";

export function Definitions() {
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const vhosts = useVhostNames(outcome);
  return (
    <Page title="Definitions">
      <p class="hint">Users, virtual hosts, permissions, policies, parameters, limits, exchanges, queues and bindings as one JSON document, in the form of RabbitMQ. Messages are not in it.</p>
      <Panels>
        <Export vhosts={vhosts} />
        <Import vhosts={vhosts} outcome={outcome} onOutcome={setOutcome} />
      </Panels>
    </Page>
  );
}

function Export({ vhosts }: { vhosts: string[] }) {
  const [vhost, setVhost] = useState("");
  const file = `definitions${vhost && `-${vhost.replace(/[^\w-]+/g, "_")}`}-${new Date().toISOString().slice(0, 10)}.json`;
  const target = query(vhost ? path`definitions/${vhost}` : "definitions", { download: file });
  return (
    <Panel title="Export" hint="Durable things only; sorted, so that two exports can be compared.">
      <Select label="What" name="what" value={vhost} onChange={setVhost} options={[{ value: "", label: "everything" }, ...vhosts.map((name) => ({ value: name, label: `the virtual host ${name}` }))]} />
      {vhost === "" && <p class="hint">It holds the hashes of all passwords: keep it as secret as them.</p>}
      <div class="buttons"><a class="button" href={`api/${target}`} download={file}>Download</a></div>
    </Panel>
  );
}

interface Outcome {
  isDone: boolean;
  summary: string;
  lines: string[];
}

function Import({ vhosts, outcome, onOutcome }: { vhosts: string[]; outcome: Outcome | null; onOutcome: (outcome: Outcome | null) => void }) {
  const [text, setText] = useState("");
  const [vhost, setVhost] = useState("");
  const described = text.trim() ? describe(text, vhost) : undefined;
  const change = (text: string) => {
    setText(text);
    onOutcome(null);
  };
  return (
    <Panel title="Import" hint="All or nothing: if anything is wrong, nothing is imported, and all that is wrong is listed. Nothing is deleted.">
      <Form
        action="Import"
        onSubmit={async () => {
          if (!described) throw new Error("Choose a file, or paste a document.");
          if (described.flaw) throw new Error(described.flaw);
          const body = <><Words of={described} /><p>Users, policies, parameters and limits of the same name are replaced, with their passwords. Queues and exchanges that are there stay as they are.</p></>;
          if (!(await confirm({ title: `Import into ${vhost || "the broker"}?`, body, action: "Import" }))) return;
          onOutcome(await run(text, vhost));
        }}
      >
        <div class="field">
          <label for="definitions-file">File</label>
          <input
            id="definitions-file"
            type="file"
            accept="application/json,.json"
            onChange={async (event) => {
              const file = event.currentTarget.files?.[0];
              if (file) change(await file.text());
            }}
          />
        </div>
        <div class="field">
          <label for="definitions-text">Document</label>
          <textarea id="definitions-text" rows={8} spellcheck={false} placeholder="or paste it here" value={text} onInput={(event) => change(event.currentTarget.value)} />
        </div>
        <Select label="Into" name="into" value={vhost} onChange={setVhost} options={[{ value: "", label: "the broker, each thing into its virtual host" }, ...vhosts.map((name) => ({ value: name, label: `the virtual host ${name}, whatever the document says` }))]} />
        {described && (described.flaw ? <p class="failure" role="alert">{described.flaw}</p> : <Words of={described} />)}
      </Form>
      {outcome && <Report of={outcome} />}
    </Panel>
  );
}

function Words({ of }: { of: Described }) {
  if (of.counts.length === 0) return <p class="hint">There is nothing in the document that could be imported.</p>;
  return (
    <>
      <p class="hint">The document{of.origin && <> (from {of.origin})</>} has {of.counts.join(", ")}.</p>
      {of.remarks.map((remark) => <p key={remark} class="hint">{remark}</p>)}
    </>
  );
}

async function run(text: string, vhost: string): Promise<Outcome> {
  const target = vhost ? path`definitions/${vhost}` : "definitions";
  try {
    const answer = await call<{ notes?: string[] } | undefined>("POST", target, new Blob([text], { type: "application/json" }));
    const notes = answer?.notes ?? [];
    return { isDone: true, summary: notes.length === 0 ? "Everything is imported as it stands in the document." : "It is imported, but not all as it stands in the document:", lines: notes };
  } catch (error) {
    const [summary = "", ...lines] = explain(error).split("\n").filter(Boolean);
    return { isDone: false, summary: summary.charAt(0).toUpperCase() + summary.slice(1), lines };
  }
}

function Report({ of }: { of: Outcome }) {
  return (
    <div class={of.isDone ? "report done" : "report failed"} role={of.isDone ? "status" : "alert"}>
      <p><b>{of.summary}</b></p>
      {of.lines.length > 0 && <ul>{of.lines.map((line) => <li key={line}>{line}</li>)}</ul>}
    </div>
  );
}
