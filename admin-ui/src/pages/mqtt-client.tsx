// An MQTT client in the browser: it connects to this broker over WebSocket, subscribes and publishes.

import { useEffect, useRef, useState } from "preact/hooks";
import { Table } from "../components/list";
import { explain, tell } from "../components/notices";
import { Badge, Page, Panel, Panels } from "../components/page";
import { number, timeOfDay } from "../format";
import { Client, type Connected } from "../mqtt/client";
import type { Publish, Subscription } from "../mqtt/packets";
import { type Arrived, withMessage } from "../mqtt/received";
import { link, place } from "../router";
import { ConnectForm, PublishForm, SubscribeForm, type Wish } from "./mqtt-client-forms";
import { Messages } from "./mqtt-client-messages";
import "./clients.css";

type State = { is: "idle" } | { is: "connecting" } | { is: "connected"; to: Connected };

/** How long arrivals are collected before the list is drawn again. */
const DRAW_MS = 100;

export function MqttClient() {
  const client = useRef<Client | null>(null);
  const [state, setState] = useState<State>({ is: "idle" });
  const [end, setEnd] = useState<{ why: string; isFailure: boolean; at: number } | null>(null);
  const [wish, setWish] = useState<Wish | null>(null);
  const [subscriptions, setSubscriptions] = useState<Subscription[]>([]);
  const [arrivals, take, clear] = useArrivals();
  useEffect(() => () => client.current?.end(), []);

  const begin = (wish: Wish, password: string) => {
    setWish(wish);
    setEnd(null);
    setSubscriptions([]);
    setState({ is: "connecting" });
    const url = new URL("mqtt", location.href.replace(/[?#].*$/s, ""));
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const login = { user: wish.user || undefined, password: password || undefined };
    client.current = new Client(url.href, { ...wish, ...login }, {
      connected: (to) => setState({ is: "connected", to }),
      message: take,
      closed: (why, isFailure) => {
        setState({ is: "idle" });
        setEnd({ why, isFailure, at: Date.now() });
      },
    });
  };
  const subscribe = async (subscription: Subscription) => {
    const words = await active(client.current).subscribe(subscription);
    setSubscriptions((before) => [subscription, ...before.filter(({ filter }) => filter !== subscription.filter)]);
    return words;
  };
  const unsubscribe = async (filter: string) => {
    try {
      const words = await active(client.current).unsubscribe(filter);
      setSubscriptions((before) => before.filter((each) => each.filter !== filter));
      tell("done", `Unsubscribed from ${filter}. ${words}`);
    } catch (error) {
      tell("failed", `Unsubscribing from ${filter}: ${explain(error)}`);
    }
  };

  const isOpen = state.is === "connected";
  return (
    <Page
      title="MQTT client"
      badges={isOpen && <Badge tone="good">connected</Badge>}
      actions={state.is !== "idle" && <button type="button" onClick={() => client.current?.end()}>Disconnect</button>}
    >
      <div role="status">
        {state.is === "connecting" && <p class="hint">Connecting…</p>}
        {isOpen && <SessionLine of={state.to} />}
        {end && <p class={end.isFailure ? "failure" : "hint"}>{end.isFailure && "The connection has ended. "}{end.why} {timeOfDay(end.at)}</p>}
      </div>
      {state.is === "idle" && (
        <Panel title="Connect" hint="An MQTT 5 client in this page, over WebSocket. It publishes and subscribes with the rights of the user that you enter, keeps no password, and ends when you leave the page.">
          <ConnectForm wish={wish} onConnect={begin} />
        </Panel>
      )}
      {isOpen && (
        <Panels>
          <Panel title="Subscribe">
            <SubscribeForm filter={place.value.parameters.get("filter") ?? ""} onSubscribe={subscribe} />
            {subscriptions.length > 0 && <Table caption="Subscriptions of this client" columns={columns(unsubscribe)} rows={subscriptions} rowKey={(row) => row.filter} />}
          </Panel>
          <Panel title="Publish"><PublishForm onPublish={(message: Publish) => active(client.current).publish(message)} /></Panel>
        </Panels>
      )}
      {(isOpen || arrivals.seen > 0) && <Messages seen={arrivals.seen} messages={arrivals.messages} onClear={clear} hasSubscribed={subscriptions.length > 0} />}
    </Page>
  );
}

function SessionLine({ of: { clientId, isPresent, keepAliveS } }: { of: Connected }) {
  return (
    <p class="hint">
      Connected as <a href={link`mqtt/sessions/${clientId}`} target="_blank" rel="noopener">{clientId}</a>, {isPresent ? "with a session that was there before: its subscriptions, which the table does not have, go on" : "with a new session"};
      {" "}keep alive {keepAliveS ? `${number(keepAliveS)} s` : "none"}.
    </p>
  );
}

function active(client: Client | null): Client {
  if (!client) throw new Error("There is no connection.");
  return client;
}

const HANDLING = ["sent", "sent if new", "not sent"];

const columns = (unsubscribe: (filter: string) => void) => [
  { id: "filter", title: "Topic filter", cell: (row: Subscription) => <code>{row.filter}</code> },
  { id: "qos", title: "QoS", isNumber: true, cell: (row: Subscription) => row.qos },
  { id: "retained", title: "Retained", cell: (row: Subscription) => HANDLING[row.retainHandling] },
  { id: "options", title: "Options", cell: (row: Subscription) => [row.noLocal && "no local", row.retainAsPublished && "retain as published"].filter(Boolean).join(", ") },
  { id: "end", title: "Action", cell: (row: Subscription) => <button type="button" class="chip" aria-label={`Unsubscribe from ${row.filter}`} onClick={() => unsubscribe(row.filter)}>Unsubscribe</button> },
];

interface Arrivals {
  seen: number;
  messages: Arrived[];
}

/** What has arrived: drawn a few times a second, however fast it comes. */
function useArrivals(): [Arrivals, (message: Publish) => void, () => void] {
  const latest = useRef<Arrivals>({ seen: 0, messages: [] });
  const timer = useRef(0);
  const [shown, show] = useState(latest.current);
  useEffect(() => () => clearTimeout(timer.current), []);
  const take = (message: Publish) => {
    const { seen, messages } = latest.current;
    latest.current = { seen: seen + 1, messages: withMessage(messages, { ...message, number: seen + 1, at: Date.now() }) };
    if (timer.current) return;
    timer.current = window.setTimeout(() => {
      timer.current = 0;
      show(latest.current);
    }, DRAW_MS);
  };
  const clear = () => {
    latest.current = { seen: 0, messages: [] };
    show(latest.current);
  };
  return [shown, take, clear];
}
