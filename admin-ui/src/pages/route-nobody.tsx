// Why nobody would get a message, and what would help.

import type { ComponentChildren } from "preact";
import { type Page, path, query } from "../api";
import type { Binding } from "../components/bindings";
import { labelOf } from "../components/bindings-graph";
import { DEFAULT_EXCHANGE, ExchangeLink } from "../components/links";
import { Empty } from "../components/notices";
import { plural } from "../format";
import { usePoll } from "../poll";
import { useDefinition } from "./exchange-policy";
import { type Exchange, ofType } from "./exchange-types";

interface NobodyProps {
  vhost: string;
  exchange: string;
  routingKey: string;
  hasHeaders: boolean;
}

/** Bindings that are shown as examples of what would match. */
const EXAMPLES_MAX = 8;

export function Nobody({ vhost, exchange, routingKey, hasHeaders }: NobodyProps) {
  const at = path`exchanges/${vhost}/${exchange || DEFAULT_EXCHANGE}`;
  const { data } = usePoll<Exchange>(query(at, { disable_stats: true }));
  const { data: bindings } = usePoll<Page<Binding>>(exchange === "" ? null : query(`${at}/bindings/source`, { page: 1, page_size: EXAMPLES_MAX }));
  const definition = useDefinition(vhost, data?.policy);
  if (exchange === "") {
    return (
      <Dropped>
        <p>The default exchange looks for the queue that has the routing key as its name, and there is none of the name <q>{routingKey}</q>. <a href="#/queues">Declare it</a>, or correct the key: capitals count.</p>
      </Dropped>
    );
  }
  if (!data || !bindings) return null;
  const alternate = data.arguments["alternate-exchange"] ?? definition?.["alternate-exchange"];
  const name = <ExchangeLink vhost={vhost} name={exchange} />;
  if (bindings.total_count === 0) {
    return <Dropped alternate={alternate}><p>Nothing is bound to {name}. Bind a queue to it, on its page or on the queue's.</p></Dropped>;
  }
  const wanted = [...new Set(bindings.items.map(labelOf))];
  const tellsApart = ["direct", "topic", "headers", "x-delayed-message"].includes(data.type);
  return (
    <Dropped alternate={alternate}>
      <p>{name} has {plural(bindings.total_count, "binding")}, but none that leads on to a queue for this message. {ofType(data.type)?.misses}</p>
      {tellsApart && <p>{bindings.total_count > bindings.items.length ? "Some of what is" : "What is"} bound: {wanted.map((label, n) => <span key={label}>{n > 0 && ", "}<code>{label || "(empty)"}</code></span>)}.</p>}
      {data.type === "headers" && !hasHeaders && <p>This message has no headers yet; add some above.</p>}
      {bindings.items.some((binding) => binding.destination_type === "exchange") && <p>A binding to another exchange counts only if something matches there as well.</p>}
    </Dropped>
  );
}

/** What becomes of such a message. */
function Dropped({ alternate, children }: { alternate?: unknown; children: ComponentChildren }) {
  return (
    <Empty>
      {children}
      <p>
        {alternate
          ? <>Its alternate exchange <code>{String(alternate)}</code> has nothing that takes it either, or is not there.</>
          : <>To catch such messages, give the exchange an alternate exchange, by an argument or a policy.</>}
        {" "}As it is, the message is dropped; a publisher that sets <code>mandatory</code> gets it back.
      </p>
    </Empty>
  );
}

export function NobodyOfTopic({ topic }: { topic: string }) {
  return (
    <Empty>
      <p>No subscription matches <code>{topic}</code>. In filters, <code>+</code> is exactly one level and <code>#</code>, at the end, any number of them; capitals count, and a slash at the beginning is a level of its own. See the <a href="#/mqtt/subscriptions">subscriptions</a> that there are.</p>
      <p>Queues get messages of MQTT by bindings to the exchange <ExchangeLink vhost="/" name="amq.topic" />: <code>rooms/7/temp</code> is the routing key <code>rooms.7.temp</code> there. A retained message is kept for those who subscribe later.</p>
    </Empty>
  );
}
