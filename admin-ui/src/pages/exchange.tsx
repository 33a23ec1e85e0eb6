// One exchange: what it is, what goes through it, what is bound to it, and all that can be done with it.

import { useState } from "preact/hooks";
import { path, query } from "../api";
import { Arguments } from "../components/arguments";
import { Chart, type Details, RangePicker, useHistory } from "../components/chart";
import { confirm } from "../components/dialog";
import { DEFAULT_EXCHANGE, VhostLink } from "../components/links";
import { Failure } from "../components/notices";
import { type Fact, Facts, Fold, Page, Panel, Panels } from "../components/page";
import { Publish } from "../components/publish";
import { number, rate, yesNo } from "../format";
import { usePoll } from "../poll";
import { go, link } from "../router";
import { may } from "../session";
import { Bind } from "./bind";
import { BindingsFrom, BindingsTo, Flow } from "./exchange-bindings";
import { useDefinition } from "./exchange-policy";
import { deleteExchange, EXCHANGES, Features } from "./exchanges";
import { type Exchange as Data, isBuiltIn, ofType } from "./exchange-types";

export function Exchange({ parts }: { parts: string[] }) {
  const [vhost = "", inPath = ""] = parts;
  const name = inPath === DEFAULT_EXCHANGE ? "" : inPath;
  const histories = useHistory(["msg_rates"]);
  const { data, error, refresh } = usePoll<Data>(query(path`exchanges/${vhost}/${inPath}`, histories));
  const definition = useDefinition(vhost, data?.policy);
  const [version, setVersion] = useState(0);
  const change = () => {
    setVersion((version) => version + 1);
    refresh();
  };
  return (
    <Page
      title={name || "Default exchange"}
      kind={EXCHANGES}
      badges={data && <Features of={data} />}
      actions={
        <>
          <RangePicker />
          <a class="button" href={query(link`routes`, { vhost, exchange: inPath })}>Test a route</a>
          {!data?.internal && <a class="button" href={query(link`live`, { vhost, exchange: inPath })}>Watch live</a>}
          {data && !isBuiltIn(name) && <button type="button" class="danger" onClick={() => void askAndDelete(data)}>Delete</button>}
        </>
      }
    >
      {error && <Failure error={error} />}
      {data && (
        <>
          {name === "" && <p class="hint">Every queue is bound to the default exchange under its own name. That is how clients publish “to a queue”: the routing key is the queue's name. Nothing else can be bound to it, and it cannot be deleted.</p>}
          {name === "amq.topic" && <p class="hint">MQTT clients publish and subscribe here: the topic <code>rooms/7/temp</code> is the routing key <code>rooms.7.temp</code>.</p>}
          <Panels>
            <Panel title="What it is"><Facts of={facts(data, definition)} /></Panel>
            <Panel title="Message rates">
              <Chart title="Messages per second" format={rate} lines={[line(data, "In", "publish_in"), line(data, "Out, to queues", "publish_out")]} />
            </Panel>
          </Panels>
          <Flow vhost={vhost} name={name} version={version} />
          <BindingsFrom vhost={vhost} name={name} version={version} onChange={change} />
          {name !== "" && <BindingsTo vhost={vhost} name={name} version={version} onChange={change} />}
          {name !== "" && <Fold title="Bind"><Bind vhost={vhost} exchange={data} onDone={change} /></Fold>}
          {data.internal
            ? <p class="hint">Clients cannot publish to an internal exchange: its messages come from other exchanges, or from the broker itself.</p>
            : <Fold title="Publish a message"><Publish vhost={vhost} exchange={name} onPublished={refresh} /></Fold>}
        </>
      )}
    </Page>
  );
}

function facts(data: Data, definition: Record<string, unknown> | undefined): (Fact | undefined)[] {
  return [
    ["Type", data.type, ofType(data.type)?.routes],
    ["Virtual host", may("administrator") ? <VhostLink key="v" name={data.vhost} /> : data.vhost],
    ["Durable", yesNo(data.durable), data.durable ? "It outlives a restart of the broker." : "A restart of the broker ends it."],
    ["Auto-delete", yesNo(data.auto_delete), data.auto_delete ? "It goes with the last binding from it." : undefined],
    ["Internal", yesNo(data.internal), data.internal ? "Clients cannot publish to it." : undefined],
    ["Policy", data.policy && (may("policymaker") ? <a key="p" href={link`policies/${data.vhost}/${data.policy}`}>{data.policy}</a> : data.policy)],
    definition && ["Set by the policy", <Arguments key="d" of={definition} />],
    ["Arguments", <Arguments key="a" of={data.arguments} />],
    ["Messages in", number(data.message_stats?.publish_in as number | undefined)],
    ["Messages out", number(data.message_stats?.publish_out as number | undefined), "Copies that went to queues."],
    ["Delayed messages", data.messages_delayed === undefined ? undefined : number(data.messages_delayed), "They wait for their time."],
  ];
}

function line(data: Data, label: string, name: string) {
  const details = data.message_stats?.[`${name}_details`] as Details | undefined;
  return { label, details, isCounter: true, now: details?.rate };
}

async function askAndDelete(exchange: Data) {
  let ifUnused = false;
  const isSure = await confirm({
    title: `Delete the exchange ${exchange.name}?`,
    action: "Delete",
    body: (
      <>
        <p>All bindings from and to it go as well, and whoever publishes to it gets an error from then on. {exchange.messages_delayed ? `The ${number(exchange.messages_delayed)} messages whose delay is not over are lost. ` : ""}Queues keep the messages that they have.</p>
        <label><input type="checkbox" onChange={(event) => { ifUnused = event.currentTarget.checked; }} /> Only if nothing is bound to it</label>
      </>
    ),
  });
  if (isSure && (await deleteExchange(exchange, ifUnused))) go(EXCHANGES.href);
}
