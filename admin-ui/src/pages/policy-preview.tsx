// What a policy is for: queues and exchanges that match now, and which policy is in force for each.

import { useEffect, useState } from "preact/hooks";
import { type Page, path, query } from "../api";
import { ExchangeLink, QueueLink } from "../components/links";
import { Table } from "../components/list";
import { Failure } from "../components/notices";
import { Badge } from "../components/page";
import { plural } from "../format";
import { usePoll } from "../poll";
import { appliesTo, type PolicyData, type PolicyKind, rival, type Thing } from "./policy";

interface PreviewProps {
  kind: PolicyKind;
  vhost: string;
  name: string;
  pattern: string;
  applyTo: string;
  priority: number;
}

const ROWS = 20;
/** The pause in typing after which the broker is asked. */
const TYPING_MS = 300;

export function PolicyPreview(props: PreviewProps) {
  const { kind, vhost, applyTo } = props;
  const pattern = useSettled(props.pattern);
  const { data: policies } = usePoll<PolicyData[]>(vhost ? path`${kind}/${vhost}` : null);
  const target = (list: string) => query(list, { page: 1, page_size: ROWS, name: pattern, use_regex: true, columns: "name,vhost,type" });
  const forQueues = vhost !== "" && pattern !== "" && applyTo !== "exchanges" && applyTo !== "streams";
  const forExchanges = vhost !== "" && pattern !== "" && appliesTo(applyTo, "exchange", "");
  const queues = usePoll<Page<Thing>>(forQueues ? target(path`queues/${vhost}`) : null);
  const exchanges = usePoll<Page<Thing>>(forExchanges ? target(path`exchanges/${vhost}`) : null);
  const error = queues.error ?? exchanges.error;
  return (
    <section class="tester" aria-label="Preview">
      <h3>What it would be for now</h3>
      {pattern === "" && <p class="hint">An empty pattern matches no name. <code>.*</code> matches all.</p>}
      {error && <Failure error={error} />}
      {queues.data && <Matching {...props} of="queue" page={queues.data} policies={policies ?? []} />}
      {exchanges.data && <Matching {...props} of="exchange" page={exchanges.data} policies={policies ?? []} />}
    </section>
  );
}

function Matching(props: PreviewProps & { of: "queue" | "exchange"; page: Page<Thing>; policies: PolicyData[] }) {
  const { of, page, policies, applyTo, vhost } = props;
  const things = page.items.filter((thing) => appliesTo(applyTo, of, thing.type));
  const more = page.filtered_count - page.items.length;
  if (page.filtered_count === 0) return <p class="hint">No {of} in {vhost} matches. It will be for those that are declared later.</p>;
  const state = (thing: Thing) => {
    const other = rival(props, policies, of, thing);
    return other ? <><Badge tone="warn">another</Badge> <b>{other.name}</b>, with the priority {other.priority}</> : <Badge tone="good">this policy</Badge>;
  };
  return (
    <>
      <p class="hint" role="status">{plural(page.filtered_count, of)} of {vhost} {page.filtered_count === 1 ? "matches" : "match"}{more > 0 && `; the first ${page.items.length} of them`}:</p>
      <Table<Thing>
        caption={`Matching ${of}s`}
        rows={things}
        rowKey={(thing) => thing.name}
        columns={[
          { id: "name", title: of === "queue" ? "Queue" : "Exchange", cell: (thing) => (of === "queue" ? <QueueLink vhost={thing.vhost} name={thing.name} /> : <ExchangeLink vhost={thing.vhost} name={thing.name} />) },
          { id: "type", title: "Type", cell: (thing) => thing.type },
          { id: "state", title: "In force then", cell: state },
        ]}
      />
    </>
  );
}

/** A text once nobody is typing it any more. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
