import { del, path, post, put, query } from "../api";
import { Chart, type Details, RangePicker, useHistory } from "../components/chart";
import { confirm } from "../components/dialog";
import { Form } from "../components/form";
import { attempt, Failure, tell } from "../components/notices";
import { Facts, Fold, Page, Panel, Panels } from "../components/page";
import { number, rate } from "../format";
import { usePoll } from "../poll";
import { setVhost } from "../settings";
import { type Limits, LimitsPanel } from "./limits-panel";
import { PermissionsPanel } from "./permissions";
import { useCount } from "./some";
import { TopicPermissionsPanel } from "./topic-permissions";
import { factsOf, Marks, removeVhost, type VhostData, VhostFields } from "./vhosts";

export function Vhost({ parts: [name = ""] }: { parts: string[] }) {
  const histories = useHistory(["lengths", "msg_rates"]);
  const { data, error, refresh } = usePoll<VhostData>(query(path`vhosts/${name}`, histories));
  const limits = usePoll<{ value: Limits }[]>(path`vhost-limits/${name}`);
  const counts = {
    queues: useCount(path`queues/${name}`),
    exchanges: useCount(path`exchanges/${name}`),
    connections: useCount(path`vhosts/${name}/connections`),
    policies: useCount(path`policies/${name}`),
  };
  const counter = (label: string, key: string) => ({ label, details: data?.message_stats[`${key}_details`] as Details | undefined, isCounter: true });
  const isProtected = data?.protected_from_deletion ?? false;
  const protect = async () => {
    const target = path`vhosts/${name}/deletion/protection`;
    if (isProtected) {
      if (!(await confirm({ title: `Take the protection off ${name}?`, body: <p>It can be deleted then, with all that is in it.</p>, action: "Take it off" }))) return;
      await attempt(`${name} can be deleted now.`, () => del(target));
    } else await attempt(`${name} is protected from deletion.`, () => post(target));
    refresh();
  };
  return (
    <Page
      title={name}
      kind={{ label: "Virtual hosts", href: "#/vhosts" }}
      badges={data && <Marks of={data} />}
      actions={data && (
        <>
          <RangePicker />
          <button type="button" onClick={protect}>{isProtected ? "Take the protection off" : "Protect from deletion"}</button>
          <button type="button" class="danger" disabled={isProtected} title={isProtected ? "It is protected from deletion." : undefined} onClick={() => removeVhost(data, counts.queues, counts.exchanges)}>Delete</button>
        </>
      )}
    >
      {error && <Failure error={error} />}
      {data && (
        <>
          <ul class="totals" aria-label="In this virtual host">
            {(["queues", "exchanges", "connections", "policies"] as const).map((kind) => (
              <li key={kind}><a href={`#/${kind}`} onClick={() => setVhost(name)}><b>{number(counts[kind])}</b> {kind}</a></li>
            ))}
            <li><span><b>{number(data.messages)}</b> messages</span></li>
          </ul>
          <Panels>
            <Panel title="Virtual host">
              <Facts of={[["Description", data.description], ["Tags", data.tags.join(", ")], ["Default queue type", data.default_queue_type], ["Protected", isProtected ? "yes: it cannot be deleted" : "no"], ["Traced", data.tracing ? "yes: copies of all messages go to amq.rabbitmq.trace" : "no"]]} />
            </Panel>
            <Panel title="Messages in queues">
              <Chart title="Messages" format={number} lines={[{ label: "All", details: data.messages_details, now: data.messages }, { label: "Ready", details: data.messages_ready_details, now: data.messages_ready }, { label: "Unacknowledged", details: data.messages_unacknowledged_details, now: data.messages_unacknowledged }]} />
            </Panel>
            <Panel title="Message rates">
              <Chart title="Messages per second" format={rate} lines={[counter("Published", "publish"), counter("Delivered and got", "deliver_get"), counter("Acknowledged", "ack"), counter("Redelivered", "redeliver")]} />
            </Panel>
            {limits.data && <LimitsPanel kind="vhost" name={name} limits={limits.data[0]?.value ?? {}} onDone={limits.refresh} />}
          </Panels>
          <PermissionsPanel vhost={name} />
          <TopicPermissionsPanel vhost={name} />
          <Fold title="Change the description, tags and tracing">
            <Form
              action="Save"
              onSubmit={async (values) => {
                await put(path`vhosts/${name}`, factsOf(values));
                tell("done", `${name} is changed.`);
                refresh();
              }}
            >
              <VhostFields of={data} />
            </Form>
          </Fold>
        </>
      )}
    </Page>
  );
}
