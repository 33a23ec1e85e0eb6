// One queue: what it is, what goes through it, who consumes, and where its parts are.

import { query, path } from "../api";
import { Arguments } from "../components/arguments";
import { Chart, RangePicker, useHistory } from "../components/chart";
import { ChannelLink, ConnectionLink, SessionLink, UserLink } from "../components/links";
import { type Column, Table } from "../components/list";
import { Failure } from "../components/notices";
import { Badge, Facts, Fold, Page, Panel, Panels } from "../components/page";
import { Publish } from "../components/publish";
import { bytes, number, rate, time, yesNo } from "../format";
import { usePoll } from "../poll";
import { link } from "../router";
import { may } from "../session";
import { Delete, Move, purge } from "./queue-actions";
import { QueueBindings } from "./queue-bindings";
import { type ConsumerData, clientOf, details, type OpenQueue } from "./queue-data";
import { Get } from "./queue-get";
import { Features } from "./queues";

export function Queue({ parts: [vhost = "", name = ""] }: { parts: string[] }) {
  const histories = useHistory(["lengths", "msg_rates"]);
  const { data: queue, error, refresh } = usePoll<OpenQueue>(query(path`queues/${vhost}/${name}`, histories));
  const messages = link`queues/${vhost}/${name}/messages`;
  return (
    <Page
      title={name}
      kind={{ label: "Queue", href: "#/queues" }}
      badges={queue && <Features of={queue} />}
      actions={queue && (
        <>
          <RangePicker />
          {!queue.exclusive && <a class="button" href={messages}>Look at messages</a>}
          {!queue.exclusive && <button type="button" class="danger" disabled={!queue.messages_ready} onClick={() => void purge(queue).then(refresh)}>Purge</button>}
        </>
      )}
    >
      {error && <Failure error={error} />}
      {queue && (
        <>
          {queue.exclusive && <p class="hint">This queue is exclusive: only its connection may use it, so nothing can be changed here. It goes when {queue.owner_pid_details ? <>the connection <ConnectionLink name={queue.owner_pid_details.name} /></> : "that connection"} closes.</p>}
          <Panels>
            <Depth of={queue} />
            <Rates of={queue} />
            <About queue={queue} />
            <Rules queue={queue} />
          </Panels>
          <Panel title={`Consumers (${number(queue.consumer_details.length)})`} wide>
            <Consumers of={queue} />
          </Panel>
          <QueueBindings queue={queue} />
          {!queue.exclusive && (
            <>
              <Fold title="Publish a message"><Publish vhost={vhost} exchange="" routingKey={name} isForQueue onPublished={refresh} /></Fold>
              <Fold title="Get messages"><Get queue={queue} onGot={refresh} /></Fold>
              <Fold title="Move messages"><Move queue={queue} onMoved={refresh} /></Fold>
              <Fold title="Delete this queue"><Delete queue={queue} /></Fold>
            </>
          )}
        </>
      )}
    </Page>
  );
}

function Depth({ of: queue }: { of: OpenQueue }) {
  return (
    <Panel title="Messages">
      <Chart
        title="Messages in the queue"
        format={number}
        lines={[
          { label: "All", details: queue.messages_details, now: queue.messages },
          { label: "Ready", details: queue.messages_ready_details, now: queue.messages_ready },
          { label: "Unacknowledged", details: queue.messages_unacknowledged_details, now: queue.messages_unacknowledged },
        ]}
      />
      <Facts of={[["Size", bytes(queue.message_bytes), `${bytes(queue.message_bytes_ready)} ready, ${bytes(queue.message_bytes_unacknowledged)} unacknowledged`], ["In memory", bytes(queue.message_bytes_ram), "The rest is on the disk only."]]} />
    </Panel>
  );
}

const RATES: [label: string, name: string][] = [
  ["In", "publish"],
  ["Delivered", "deliver"],
  ["Delivered, no acks", "deliver_no_ack"],
  ["Got", "get"],
  ["Acknowledged", "ack"],
  ["Redelivered", "redeliver"],
];

function Rates({ of: queue }: { of: OpenQueue }) {
  return (
    <Panel title="Rates">
      <Chart title="Messages per second" format={rate} lines={RATES.map(([label, name]) => ({ label, details: details(queue, name), isCounter: true }))} />
      <Facts of={[["In since the start", number(queue.message_stats?.publish as number | undefined)], ["Out since the start", number(queue.message_stats?.deliver_get as number | undefined), "Redelivered messages count again."]]} />
    </Panel>
  );
}

function About({ queue }: { queue: OpenQueue }) {
  const client = clientOf(queue);
  return (
    <Panel title="About">
      <Facts
        of={[
          ["Virtual host", queue.vhost],
          client !== undefined && ["MQTT session", <SessionLink key="session" clientId={client} />, "The queue holds what the client has subscribed to."],
          ["State", queue.idle_since ? `idle since ${time(queue.idle_since)}` : "in use"],
          ["Type", queue.type],
          ["Durable", yesNo(queue.durable), queue.durable ? "It outlives a restart of the broker." : "A restart of the broker removes it."],
          ["Auto-delete", yesNo(queue.auto_delete), queue.auto_delete ? "It goes when its last consumer does." : undefined],
          queue.exclusive && ["Exclusive", "yes"],
          ["Owner", queue.owner_pid_details && <ConnectionLink key="owner" name={queue.owner_pid_details.name} />],
          ["Active consumer", queue.single_active_consumer_tag, "The only one that is given messages now."],
          ["Exclusive consumer", queue.exclusive_consumer_tag, "No other may consume while it is there."],
          ["Node", queue.node],
        ]}
      />
    </Panel>
  );
}

function Rules({ queue }: { queue: OpenQueue }) {
  const deadLetters = queue.arguments["x-dead-letter-exchange"] ?? queue.effective_policy_definition["dead-letter-exchange"];
  const hasPolicy = Boolean(queue.policy ?? queue.operator_policy);
  return (
    <Panel title="Rules">
      <Facts
        of={[
          ["Arguments", <Arguments key="arguments" of={queue.arguments} />],
          ["Policy", queue.policy === null ? "none" : <PolicyLink key="policy-link" name={queue.policy} />],
          ["Operator policy", queue.operator_policy],
          hasPolicy && ["The policies say", <Arguments key="policy" of={queue.effective_policy_definition} />, "Where an argument and a policy both have a number, the lower one counts. Of other values the argument's counts, unless the operator's policy has one."],
          typeof deadLetters === "string" && ["Dead letters", <a key="dead" href={link`exchanges/${queue.vhost}/${deadLetters || "amq.default"}`}>{deadLetters || "(default exchange)"}</a>],
        ]}
      />
    </Panel>
  );
}

function PolicyLink({ name }: { name: string }) {
  return may("policymaker") ? <a href={query("#/policies", { name })}>{name}</a> : <>{name}</>;
}

function Consumers({ of: queue }: { of: OpenQueue }) {
  if (queue.consumer_details.length === 0) {
    return <p class="soft">Nobody consumes{queue.messages ? ": what is here waits" : ""}. A client does with <code>basic.consume</code>, and is shown here while it does.</p>;
  }
  return <Table caption="Consumers" columns={CONSUMERS} rows={queue.consumer_details} rowKey={(row) => `${row.channel_details.name}\n${row.consumer_tag}`} />;
}

const CONSUMERS: Column<ConsumerData>[] = [
  { id: "tag", title: "Tag", cell: (row) => <code>{row.consumer_tag}</code> },
  { id: "channel", title: "Channel", cell: (row) => (row.channel_details.number ? <ChannelLink name={row.channel_details.name} /> : <ConnectionLink name={row.channel_details.connection_name} />) },
  { id: "user", title: "User", cell: ({ channel_details: { user } }) => (may("administrator") ? <UserLink name={user} /> : user) },
  { id: "ack", title: "Acknowledges", cell: (row) => (row.ack_required ? "yes" : <Badge tone="warn" title="A message counts as dealt with as soon as it is sent.">no</Badge>) },
  { id: "prefetch", title: "Prefetch", isNumber: true, cell: (row) => (row.prefetch_count ? number(row.prefetch_count) : "no limit") },
  { id: "state", title: "State", cell: (row) => <>{row.active ? <Badge tone="good">active</Badge> : <Badge title="Another consumer is active.">waits</Badge>} {row.exclusive && <Badge>exclusive</Badge>}</> },
  { id: "arguments", title: "Arguments", cell: (row) => (Object.keys(row.arguments ?? {}).length > 0 ? <Arguments of={row.arguments} /> : null) },
];

