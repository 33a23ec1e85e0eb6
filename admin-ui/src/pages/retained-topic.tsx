// The value of one topic.

import { useState } from "preact/hooks";
import { del, path } from "../api";
import { confirm } from "../components/dialog";
import { MessageView, propertiesOf } from "../components/message";
import { attempt, Empty, Failure } from "../components/notices";
import { Page, Panel } from "../components/page";
import { time } from "../format";
import { usePoll } from "../poll";
import { go, link } from "../router";
import type { Retained } from "./retained";
import { RetainedForm } from "./retained-form";

export function RetainedTopic({ parts: [topic = ""] }: { parts: string[] }) {
  const { data, error, refresh } = usePoll<Retained>(path`mqtt/retained/${topic}`);
  const [version, setVersion] = useState(0);
  const isGone = error && "status" in error && error.status === 404;
  const clear = async () => {
    const body = <p>The value is lost: clients that subscribe from now on get none. Nothing changes for those that have subscribed already.</p>;
    if (!(await confirm({ title: `Clear ${topic}?`, body, action: "Clear topic" }))) return;
    if (await attempt(`Cleared ${topic}.`, () => del(path`mqtt/retained/${topic}`))) go("#/mqtt/retained");
  };
  const value = isGone ? undefined : data;
  return (
    <Page
      title={topic}
      kind={{ label: "Retained topics", href: "#/mqtt/retained" }}
      actions={
        <>
          <a class="button" href={link`mqtt/client?filter=${topic}`}>Subscribe</a>
          {value && <button type="button" class="danger" onClick={clear}>Clear</button>}
        </>
      }
    >
      {isGone && <Empty><p><b>This topic has no value (any more).</b> It was cleared, it has expired, or nothing was published to it with the retain flag. <a href="#/mqtt/retained">To the topics that have one</a></p></Empty>}
      {error && !isGone && <Failure error={error} />}
      {value && (
        <Panel title="Value" hint={`Published ${time(value.published_at)}, ${value.expires_at ? `expires ${time(value.expires_at)}` : "does not expire"}.`}>
          <MessageView message={value} vhost="/" />
        </Panel>
      )}
      {(value || isGone) && (
        <Panel title="New value" hint="It is published with the retain flag: those that have subscribed get it now, the others when they do.">
          <RetainedForm
            key={version}
            topic={topic}
            payload={value?.payload_encoding === "string" ? value.payload : ""}
            contentType={value && propertiesOf(value).content_type}
            onDone={() => {
              setVersion(version + 1);
              refresh();
            }}
          />
        </Panel>
      )}
    </Page>
  );
}
