// Which queues and sessions a message would reach, and why; nothing is published.

import { useEffect, useRef, useState } from "preact/hooks";
import { path, query } from "../api";
import { ArgumentsInput, parseArguments } from "../components/arguments";
import { NameInput } from "../components/bindings";
import { Input, Select } from "../components/form";
import { DEFAULT_EXCHANGE } from "../components/links";
import { Empty, Failure } from "../components/notices";
import { Page, Panel } from "../components/page";
import { startVhost, VhostSelect } from "../components/vhost-select";
import { usePoll } from "../poll";
import { place, setParameters } from "../router";
import { useTyped } from "../typed";
import { Nobody, NobodyOfTopic } from "./route-nobody";
import { type Route, Routes } from "./route-result";

/** The pause in typing after which the broker is asked. */
const TYPING_MS = 200;

/** What is asked for, as it stands in the address. */
interface Question {
  by: "exchange" | "topic";
  vhost: string;
  exchange: string;
  key: string;
  headers: string;
  topic: string;
}

function asked(): Question {
  const { parameters } = place.value;
  const topic = parameters.get("topic") ?? "";
  return {
    by: parameters.has("topic") || parameters.get("by") === "topic" ? "topic" : "exchange",
    vhost: parameters.get("vhost") ?? startVhost(),
    exchange: parameters.get("exchange") ?? "amq.topic",
    key: parameters.get("key") ?? "",
    headers: parameters.get("headers") ?? "",
    topic,
  };
}

/** The question in the API; nothing where something is missing. */
function targetOf({ by, vhost, exchange, key, headers, topic }: Question): string | null {
  if (by === "topic") return topic ? query("mqtt/route", { topic }) : null;
  return query(`${path`exchanges/${vhost}/${exchange || DEFAULT_EXCHANGE}`}/route`, { routing_key: key, headers });
}

export function RouteTester() {
  const question = asked();
  const { data, error } = usePoll<Route>(targetOf(question));
  return (
    <Page title="Route tester">
      <p class="hint">Which queues and subscribers a message would reach, and why. Nothing is published: the broker's routing is asked, and the answer follows what you type.</p>
      <Panel title="Message" wide>
        <Ask question={question} />
      </Panel>
      <div role="status">{data && <Summary of={data} />}</div>
      {error && <Failure error={error} />}
      {data && data.targets.length > 0 && <Routes of={data} />}
      {data && data.targets.length === 0 && (question.by === "topic"
        ? <NobodyOfTopic topic={question.topic} />
        : <Nobody vhost={question.vhost} exchange={question.exchange === DEFAULT_EXCHANGE ? "" : question.exchange} routingKey={question.key} hasHeaders={question.headers !== ""} />)}
      {!data && !error && question.by === "topic" && question.topic === "" && <Empty><p>Enter a topic, for example <code>rooms/7/temp</code>, to see which MQTT sessions and which queues would get a message to it.</p></Empty>}
    </Page>
  );
}

function Summary({ of: { targets, truncated } }: { of: Route }) {
  if (targets.length === 0) return <h2 class="verdict">Nobody would get it</h2>;
  const sessions = targets.filter((target) => target.client_id !== undefined).length;
  const queues = targets.length - sessions;
  const words = [queues && `${queues} ${queues === 1 ? "queue" : "queues"}`, sessions && `${sessions} ${sessions === 1 ? "MQTT session" : "MQTT sessions"}`].filter(Boolean).join(" and ");
  return <h2 class="verdict">{truncated ? "At least " : ""}{words} would get it</h2>;
}

function Ask({ question }: { question: Question }) {
  const [key, setKey] = useParameter("key", question.key);
  const [exchange, setExchange] = useParameter("exchange", question.exchange === DEFAULT_EXCHANGE ? "" : question.exchange, DEFAULT_EXCHANGE);
  const [topic, setTopic] = useParameter("topic", question.topic);
  return (
    <form onSubmit={(event) => event.preventDefault()}>
      <div class="columns">
        <Select
          label="A message"
          name="by"
          value={question.by}
          options={[{ value: "exchange", label: "to an exchange" }, { value: "topic", label: "to a topic of MQTT" }]}
          onChange={(by) => setParameters(by === "topic" ? { by: "topic", exchange: "", key: "", headers: "", vhost: "" } : { by: "", topic: "" })}
        />
        {question.by === "topic"
          ? <Input label="Topic" name="topic" value={topic} onInput={setTopic} hint="Words between slashes, without wildcards." />
          : (
            <>
              <VhostSelect name="vhost" value={question.vhost} onChange={(vhost) => setParameters({ vhost })} />
              <NameInput label="Exchange" name="exchange" vhost={question.vhost} of="exchanges" value={exchange} onInput={setExchange} hint="Empty is the default exchange." />
              <Input label="Routing key" name="key" value={key} onInput={setKey} />
            </>
          )}
      </div>
      {question.by === "exchange" && <Headers text={question.headers} />}
    </form>
  );
}

function Headers({ text }: { text: string }) {
  const [error, setError] = useState("");
  // The field holds what it began with and what is typed; an address from elsewhere begins it anew.
  const written = useRef(text);
  const begun = useRef(0);
  if (text !== written.current) {
    written.current = text;
    begun.current += 1;
  }
  const change = (rows: string) => {
    try {
      const headers = parseArguments(rows);
      setError("");
      written.current = Object.keys(headers).length > 0 ? JSON.stringify(headers) : "";
      setParameters({ headers: written.current });
    } catch (error) {
      setError(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <>
      <ArgumentsInput key={begun.current} name="headers" label="Headers" value={fromJson(text)} onChange={change} />
      {error && <p class="failure" role="alert">{error}</p>}
    </>
  );
}

function fromJson(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text || "{}") as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** A text that is in the address a moment after it was typed. */
function useParameter(parameter: string, value: string, ifEmpty = ""): [string, (text: string) => void] {
  const [text, setText] = useTyped(value);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => setParameters({ [parameter]: text || ifEmpty }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return [text, setText];
}
