// Packets in a stream of octets: WebSocket messages and packets need not be in step.

import { Malformed } from "./octets";
import { read, type Received } from "./packets";

/** The largest packet that is taken. The server is told. */
export const PACKET_BYTES_MAX = 4 * 1024 * 1024;

export class Stream {
  private kept = new Uint8Array();

  /** Takes octets, and gives the packets that they complete. No more than one incomplete packet is kept. */
  *push(bytes: Uint8Array): Generator<Received> {
    let whole = bytes;
    if (this.kept.length > 0) {
      whole = new Uint8Array(this.kept.length + bytes.length);
      whole.set(this.kept);
      whole.set(bytes, this.kept.length);
    }
    let at = 0;
    for (;;) {
      const found = frame(whole, at);
      if (!found || found.end > whole.length) break;
      yield read(whole[at] ?? 0, whole.subarray(found.start, found.end));
      at = found.end;
    }
    this.kept = whole.slice(at);
  }
}

/** Where the content of the packet begins and ends that begins at `at`; `undefined` if its length is not there yet. */
function frame(bytes: Uint8Array, at: number): { start: number; end: number } | undefined {
  let length = 0;
  for (let n = 1; n <= 4; n += 1) {
    const byte = bytes[at + n];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** (7 * (n - 1));
    if (byte >= 0x80) continue;
    if (byte === 0 && n > 1) throw new Malformed("a length is longer than it has to be");
    const start = at + n + 1;
    if (start - at + length > PACKET_BYTES_MAX) throw new Malformed("a packet is larger than this client takes", 0x95);
    return { start, end: start + length };
  }
  throw new Malformed("a length has more than four bytes");
}
