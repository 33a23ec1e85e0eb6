// What waits in a queue, page by page, without taking anything out of it.
//
// A look is of one moment: the pages are not refreshed by themselves, so that nothing moves while somebody reads.

import { useEffect, useState } from "preact/hooks";
import { get, path, query } from "../api";
import { Dialog } from "../components/dialog";
import { type Message, MessageView, propertiesOf } from "../components/message";
import { Empty, Failure } from "../components/notices";
import { octets, toText } from "../components/octets";
import { Page } from "../components/page";
import { bytes, number, plural, timeOfDay } from "../format";
import { link, place, setParameters } from "../router";
import { Again } from "./message-again";
import "./queues.css";

const PAGE_SIZE = 50;
/** What of each body comes with a page; the whole of one is fetched when it is asked for. */
const BODY_BYTES_MAX = 16 * 1024;

interface Look {
  offset: number;
  messages: Message[];
  /** How many waited in all. */
  ready: number | undefined;
  at: number;
}

export function Messages({ parts: [vhost = "", name = ""] }: { parts: string[] }) {
  const offset = Math.max(0, Number(place.value.parameters.get("offset") ?? "0") || 0);
  const [look, setLook] = useState<Look | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [turn, setTurn] = useState(0);
  const [opened, open] = useState(0);
  const [text, setText] = useState("");
  useEffect(() => {
    const abort = new AbortController();
    setError(null);
    fetchLook(vhost, name, offset, abort.signal).then(
      (look) => {
        setLook(look);
        open(0);
      },
      (error: Error) => abort.signal.aborted || setError(error),
    );
    return () => abort.abort();
  }, [vhost, name, offset, turn]);

  const rows = (look?.messages ?? []).map((message, n) => ({ message, n })).filter(({ message }) => contains(message, text));
  const current = rows.find(({ n }) => n === opened) ?? rows[0];
  const replace = (n: number, message: Message) => look && setLook({ ...look, messages: look.messages.map((each, at) => (at === n ? message : each)) });
  return (
    <Page
      title={`Messages in ${name}`}
      kind={{ label: `Queue ${name}`, href: link`queues/${vhost}/${name}` }}
      actions={<button type="button" onClick={() => setTurn(turn + 1)}>Look again</button>}
    >
      {error && <Failure error={error} />}
      {look && look.messages.length === 0 && (
        <Empty>
          {offset > 0
            ? <p>Fewer than {number(offset + 1)} messages wait now. <button type="button" onClick={() => setParameters({ offset: "" })}>To the first</button></p>
            : <p>No message waits in this queue. Those that consumers hold are not shown here; the page of the <a href={link`queues/${vhost}/${name}`}>queue</a> counts them, and has a form that publishes one.</p>}
        </Empty>
      )}
      {look && look.messages.length > 0 && (
        <>
          <div class="list-tools">
            <div class="filter" role="search">
              <input type="search" data-filter aria-label="Find in these messages" placeholder="Find in these  ( / )" spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
            </div>
            <span class="count" role="status">{text !== "" && `${plural(rows.length, "message")} of `}{number(look.offset + 1)} to {number(look.offset + look.messages.length)}{look.ready !== undefined && ` of ${number(Math.max(look.ready, look.offset + look.messages.length))}`}, at {timeOfDay(look.at)}</span>
            <Steps look={look} />
          </div>
          {rows.length === 0 && <Empty><p>None of the messages of this page has <q>{text}</q> in it.</p></Empty>}
          {current && (
            <div class="browser">
              <MessageList rows={rows} offset={look.offset} opened={current.n} onOpen={open} />
              <Opened key={`${look.at} ${current.n}`} vhost={vhost} queue={name} offset={look.offset + current.n} message={current.message} onWhole={(message) => replace(current.n, message)} />
            </div>
          )}
        </>
      )}
    </Page>
  );
}

async function fetchLook(vhost: string, name: string, offset: number, signal: AbortSignal): Promise<Look> {
  const peek = query(path`queues/${vhost}/${name}/peek`, { offset, count: PAGE_SIZE, truncate: BODY_BYTES_MAX });
  const [messages, queue] = await Promise.all([
    get<Message[]>(peek, signal),
    get<{ messages_ready?: number }>(path`queues/${vhost}/${name}?columns=messages_ready`, signal),
  ]);
  return { offset, messages, ready: queue.messages_ready, at: Date.now() };
}

function contains(message: Message, text: string): boolean {
  if (text === "") return true;
  const searched = [message.payload, message.routing_key, message.exchange, JSON.stringify(message.properties)].join("\n");
  return searched.toLowerCase().includes(text.toLowerCase());
}

function Steps({ look: { offset, messages, ready } }: { look: Look }) {
  const to = (offset: number) => () => setParameters({ offset: offset > 0 ? String(offset) : "" });
  const next = offset + messages.length;
  const isLast = ready === undefined ? messages.length < PAGE_SIZE : next >= ready;
  if (offset === 0 && isLast) return null;
  return (
    <nav class="actions" aria-label="Pages of messages">
      <button type="button" disabled={offset === 0} onClick={to(0)}>First</button>
      <button type="button" disabled={offset === 0} onClick={to(Math.max(0, offset - PAGE_SIZE))}>Previous</button>
      <button type="button" disabled={isLast} onClick={to(next)}>Next</button>
    </nav>
  );
}

interface Row {
  message: Message;
  n: number;
}

function MessageList({ rows, offset, opened, onOpen }: { rows: Row[]; offset: number; opened: number; onOpen: (n: number) => void }) {
  const step = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const to = by && rows[rows.findIndex(({ n }) => n === opened) + by];
    if (!to) return;
    event.preventDefault();
    onOpen(to.n);
    // The one that is open is in view, and has the focus.
    document.getElementById(`message-${to.n}`)?.focus();
  };
  return (
    <div class="table-frame" tabIndex={0} role="group" aria-label="Messages" onKeyDown={step}>
      <table>
        <caption class="unseen">Messages, the next to be delivered first</caption>
        <thead><tr><th scope="col" class="number at">#</th><th scope="col">Body</th><th scope="col" class="key">Routing key</th><th scope="col" class="number size">Size</th></tr></thead>
        <tbody>
          {rows.map(({ message, n }) => (
            <tr key={n} class={n === opened ? "chosen" : ""} onClick={() => onOpen(n)}>
              <td class="number"><button id={`message-${n}`} type="button" class="bare" aria-label={`Open message ${offset + n + 1}`} aria-current={n === opened ? "true" : undefined} onClick={() => onOpen(n)}>{number(offset + n + 1)}</button></td>
              <td><span class="clip mono">{preview(message)}</span></td>
              <td><span class="clip" title={message.routing_key}>{message.routing_key}</span></td>
              <td class="number">{bytes(message.payload_bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const PREVIEW_BYTES = 120;

function preview(message: Message): string {
  if (message.payload_bytes === 0) return "(empty)";
  const text = toText(octetsOf(message).subarray(0, PREVIEW_BYTES), true);
  return text?.replace(/\s+/g, " ") ?? propertiesOf(message).content_type ?? "(octets)";
}

interface OpenedProps {
  vhost: string;
  queue: string;
  /** Where the message was when it was seen. */
  offset: number;
  message: Message;
  onWhole: (message: Message) => void;
}

function Opened({ vhost, queue, offset, message, onWhole }: OpenedProps) {
  const [error, setError] = useState<Error | null>(null);
  const [isAgain, setAgain] = useState(false);
  const isCut = message.payload_bytes !== undefined && message.payload_bytes > octetsOf(message).length;
  const fetchWhole = async () => {
    try {
      const [whole] = await get<Message[]>(query(path`queues/${vhost}/${queue}/peek`, { offset, count: 1 }));
      if (!whole || !isSame(whole, message)) throw new Error("Another message has this place by now. Look again to find this one.");
      onWhole(whole);
    } catch (error) {
      setError(error as Error);
    }
  };
  return (
    <section class="panel" aria-label={`Message ${offset + 1}`}>
      <header>
        <h2>Message {number(offset + 1)}</h2>
        <div class="actions">
          {isCut && <button type="button" onClick={() => void fetchWhole()}>Fetch the whole body</button>}
          <button type="button" disabled={isCut} title={isCut ? "Fetch the whole body first." : undefined} onClick={() => setAgain(true)}>Publish again…</button>
        </div>
      </header>
      {error && <Failure error={error} />}
      <MessageView message={message} vhost={vhost} queue={queue} />
      {isAgain && <Dialog title={`Publish message ${offset + 1} again`} onClose={() => setAgain(false)}><Again message={message} vhost={vhost} onDone={() => setAgain(false)} /></Dialog>}
    </section>
  );
}

function octetsOf({ payload, payload_encoding: encoding }: Message): Uint8Array {
  return octets(payload, encoding);
}

/** Whether a message is the one whose beginning was seen, as far as can be told. */
function isSame(whole: Message, seen: Message): boolean {
  const about = (message: Message) => {
    // What is left of an expiration becomes less by the moment.
    const { expiration: _, ...properties } = propertiesOf(message);
    return JSON.stringify([message.exchange, message.routing_key, message.payload_bytes, properties]);
  };
  const body = octetsOf(whole);
  return about(whole) === about(seen) && octetsOf(seen).every((octet, n) => body[n] === octet);
}
