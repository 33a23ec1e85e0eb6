// The death history of a message (`x-death`) as a timeline in words, from its first queue to where it is now.
//
// Whoever publishes a message writes its headers: anything may be in there.

import { number, time } from "../format";
import { ExchangeLink, QueueLink } from "./links";

interface Death {
  queue: string;
  reason: string;
  count: number;
  /** Seconds since 1970, when it died of this there for the first time. */
  time: number | undefined;
  exchange: string;
  keys: string[];
  expiration: string | undefined;
}

const REASONS: Record<string, string> = {
  rejected: "A consumer rejected it, in",
  expired: "It expired in",
  maxlen: "It found no room, or had to make some, in",
  delivery_limit: "It was delivered too often, in",
};

/** Entries of `x-death`, the oldest first. */
export function deathsOf(headers: Record<string, unknown> | undefined): Death[] {
  const listed = headers?.["x-death"];
  if (!Array.isArray(listed)) return [];
  return listed.flatMap((entry: unknown) => read(entry) ?? []).reverse();
}

function read(entry: unknown): Death | undefined {
  if (typeof entry !== "object" || entry === null) return undefined;
  const of = entry as Record<string, unknown>;
  const text = (name: string) => (typeof of[name] === "string" ? of[name] : undefined);
  const amount = (name: string) => (typeof of[name] === "number" ? of[name] : undefined);
  const keys = of["routing-keys"];
  return {
    queue: text("queue") ?? "",
    reason: text("reason") ?? "",
    count: amount("count") ?? 1,
    time: amount("time"),
    exchange: text("exchange") ?? "",
    keys: Array.isArray(keys) ? keys.map(String) : [],
    expiration: text("original-expiration"),
  };
}

export function Deaths({ of, vhost, now }: { of: Death[]; vhost: string; now?: string | undefined }) {
  return (
    <ol class="timeline">
      {of.map((death, n) => (
        <li key={n}>
          <span class="when">{time(death.time === undefined ? undefined : death.time * 1000)}</span>
          <div>
            {REASONS[death.reason] ?? `It died (${death.reason}) in`} <QueueLink vhost={vhost} name={death.queue} />{death.count > 1 && <b> {number(death.count)} times; the time is that of the first</b>}.
            <small>It had come through <ExchangeLink vhost={vhost} name={death.exchange} />{death.keys.length > 0 && <> with the key <code>{death.keys.join(", ") || "(empty)"}</code></>}.{death.expiration !== undefined && ` It was to live for ${death.expiration} ms; that limit is gone since.`}</small>
          </div>
        </li>
      ))}
      {now !== undefined && <li><span class="when">now</span><div>It waits in <b>{now}</b>.</div></li>}
    </ol>
  );
}
