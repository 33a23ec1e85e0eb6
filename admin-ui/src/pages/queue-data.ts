// Queues as the API tells them, and short words for what a queue is.

import type { Details } from "../components/chart";
import { meaning } from "../components/arguments";
import { plural } from "../format";

type Numbers = Record<string, number | Details | undefined>;

export interface QueueData {
  name: string;
  vhost: string;
  type: string;
  durable: boolean;
  auto_delete: boolean;
  exclusive: boolean;
  arguments: Record<string, unknown>;
  node: string;
  policy: string | null;
  operator_policy: string | null;
  effective_policy_definition: Record<string, unknown>;
  owner_pid_details?: { name: string };
  idle_since?: string;
  consumers?: number;
  messages?: number;
  messages_ready?: number;
  messages_unacknowledged?: number;
  messages_details?: Details;
  messages_ready_details?: Details;
  messages_unacknowledged_details?: Details;
  message_bytes?: number;
  message_bytes_ready?: number;
  message_bytes_unacknowledged?: number;
  message_bytes_ram?: number;
  message_stats?: Numbers;
}

export interface OpenQueue extends QueueData {
  consumer_details: ConsumerData[];
  single_active_consumer_tag: string | null;
  exclusive_consumer_tag: string | null;
}

export interface ConsumerData {
  consumer_tag: string;
  ack_required: boolean;
  active: boolean;
  exclusive: boolean;
  prefetch_count: number;
  arguments: Record<string, unknown>;
  channel_details: { name: string; connection_name: string; number?: number; user: string };
}

export function details(queue: QueueData, name: string): Details | undefined {
  return queue.message_stats?.[`${name}_details`] as Details | undefined;
}

export function rateOf(queue: QueueData, name: string): number | undefined {
  return details(queue, name)?.rate;
}

export interface Feature {
  word: string;
  title: string;
}

const OF_ARGUMENTS: Record<string, string> = {
  "x-message-ttl": "TTL",
  "x-expires": "Exp",
  "x-max-length": "Lim",
  "x-max-length-bytes": "Lim B",
  "x-overflow": "Ovfl",
  "x-dead-letter-exchange": "DLX",
  "x-dead-letter-routing-key": "DLK",
  "x-max-priority": "Pri",
  "x-single-active-consumer": "SAC",
  "x-delivery-limit": "DLim",
  "x-message-deduplication": "Dedup",
};

/** What is special about a queue, in a word each. Its type and what every client declares again are none. */
export function features(queue: QueueData): Feature[] {
  const found: Feature[] = [];
  if (queue.durable) found.push({ word: "D", title: "Durable: it outlives a restart of the broker." });
  if (queue.auto_delete) found.push({ word: "AD", title: "Auto-delete: it goes with its last consumer." });
  if (queue.exclusive) found.push({ word: "Excl", title: "Exclusive: one connection uses it, and it goes with that connection." });
  if (queue.type === "quorum") found.push({ word: "quorum", title: "Declared as a quorum queue." });
  let others = 0;
  for (const [key, value] of Object.entries(queue.arguments)) {
    const word = OF_ARGUMENTS[key];
    if (word) found.push({ word, title: meaning(key, value) ?? key });
    else if (key !== "x-queue-type") others += 1;
  }
  if (others > 0) found.push({ word: `+${others}`, title: plural(others, "more argument") });
  return found;
}

/** What is lost with queues, in a sentence. */
export function lossOf(queues: QueueData[], isDeleted: boolean): string {
  const sum = (name: "messages" | "messages_ready" | "messages_unacknowledged" | "consumers") => queues.reduce((all, queue) => all + (queue[name] ?? 0), 0);
  if (!isDeleted) {
    const held = sum("messages_unacknowledged");
    return `${plural(sum("messages_ready"), "message")} that ${sum("messages_ready") === 1 ? "waits" : "wait"} will be gone.${held > 0 ? ` ${plural(held, "message")} that consumers hold will stay with them.` : ""}`;
  }
  const consumers = sum("consumers");
  const sessions = queues.filter((queue) => clientOf(queue) !== undefined).length;
  return [
    `${plural(sum("messages"), "message")} will be lost, and all bindings.`,
    consumers > 0 && `${plural(consumers, "consumer")} will be cancelled.`,
    sessions > 0 && `${plural(sessions, "MQTT session")} will end with ${sessions === 1 ? "its queue" : "their queues"}.`,
  ].filter(Boolean).join(" ");
}

const OF_SESSIONS = "mqtt.";

/** The MQTT client whose session a queue holds. */
export function clientOf(queue: { name: string }): string | undefined {
  return queue.name.startsWith(OF_SESSIONS) ? queue.name.slice(OF_SESSIONS.length) : undefined;
}
