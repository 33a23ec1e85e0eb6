// Messages that have arrived, the newest first; the oldest go when there are too many or they are too large.

import type { Publish } from "./packets";

export interface Arrived extends Publish {
  number: number;
  at: number;
}

const MESSAGES_MAX = 500;
/** Of payloads, in all. */
const BYTES_MAX = 32 * 1024 * 1024;

/** The list with one message more. */
export function withMessage(messages: Arrived[], message: Arrived): Arrived[] {
  const kept = [message];
  let bytes = message.payload.length;
  for (const each of messages) {
    bytes += each.payload.length;
    if (kept.length === MESSAGES_MAX || bytes > BYTES_MAX) break;
    kept.push(each);
  }
  return kept;
}
