// The form that binds: something to an exchange, or the exchange to another.

import { useState } from "preact/hooks";
import { path, post } from "../api";
import { ArgumentsInput, parseArguments } from "../components/arguments";
import { NameInput } from "../components/bindings";
import { Form, Input, Select, type Values } from "../components/form";
import { tell } from "../components/notices";
import { type Exchange, ofType } from "./exchange-types";

const WAYS = [
  { value: "queue", label: "from here to a queue" },
  { value: "exchange", label: "from here to an exchange" },
  { value: "source", label: "from an exchange to here" },
];

export function Bind({ vhost, exchange, onDone }: { vhost: string; exchange: Exchange; onDone: () => void }) {
  const [way, setWay] = useState("queue");
  const bind = async (values: Values) => {
    const other = values.text("other");
    const [source, kind, destination] =
      way === "queue" ? [exchange.name, "q", other]
      : way === "exchange" ? [exchange.name, "e", other]
      : [other, "e", exchange.name];
    await post(path`bindings/${vhost}/e/${source}/${kind}/${destination}`, {
      routing_key: values.text("routing_key"),
      arguments: parseArguments(values.text("arguments")),
    });
    tell("done", `Bound: ${source} → ${destination}.`);
    onDone();
  };
  const type = way === "source" ? undefined : ofType(exchange.type);
  return (
    <Form action="Bind" onSubmit={bind}>
      <div class="columns">
        <Select label="Messages go" name="way" options={WAYS} value={way} onChange={setWay} />
        <NameInput key={way} label={way === "queue" ? "Queue" : "Exchange"} name="other" vhost={vhost} of={way === "queue" ? "queues" : "exchanges"} required />
        <Input label="Routing key" name="routing_key" hint={type?.key ?? "What it means depends on the type of the exchange that messages come from."} />
      </div>
      <ArgumentsInput name="arguments" label="Arguments" suggestions={[{ key: "x-match", type: "string", placeholder: "all, any, all-with-x or any-with-x" }]} />
    </Form>
  );
}
