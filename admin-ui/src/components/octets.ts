// Bodies of messages as octets, and octets as people read them.

/** The octets of a payload as the API sends it: a text, or base64. */
export function octets(payload: string, encoding: string): Uint8Array<ArrayBuffer> {
  if (encoding !== "base64") return new TextEncoder().encode(payload);
  return Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
}

export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += CALL_ARGUMENTS_MAX) text += String.fromCharCode(...bytes.subarray(at, at + CALL_ARGUMENTS_MAX));
  return btoa(text);
}

/** `undefined` if the octets are no UTF-8; what was cut off may end within a character. */
export function toText(bytes: Uint8Array, isCut: boolean): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isCut });
  } catch {
    return undefined;
  }
}

/** How bodies are packed that a browser can unpack, by their content encoding. */
const PACKINGS: Record<string, CompressionFormat> = { gzip: "gzip", "x-gzip": "gzip", deflate: "deflate" };

export function isPacked(contentEncoding: string | undefined): boolean {
  return contentEncoding !== undefined && contentEncoding.toLowerCase() in PACKINGS;
}

/** Throws with words for the user if the octets are not packed that way, or are too many. */
export async function unpack(packed: Uint8Array<ArrayBuffer>, contentEncoding: string): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream(PACKINGS[contentEncoding.toLowerCase()] ?? "gzip"));
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new Error(`The body says that it is packed with ${contentEncoding}, and is not, or not all of it.`);
    });
    if (done) break;
    pieces.push(value);
    size += value.length;
    if (size > UNPACKED_BYTES_MAX) {
      await reader.cancel();
      throw new Error("Unpacked, the body would be too large for this page. Download it.");
    }
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** Lines of 16 octets: where they are, the octets, and what of them is ASCII. */
export function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const line = [...bytes.subarray(at, at + 16)];
    const hex = line.map((byte) => byte.toString(16).padStart(2, "0"));
    const ascii = line.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·"));
    lines.push(`${at.toString(16).padStart(8, "0")}  ${hex.slice(0, 8).join(" ").padEnd(23)}  ${hex.slice(8).join(" ").padEnd(23)}  ${ascii.join("")}`);
  }
  return lines.join("\n");
}

/**
 * JSON with line breaks, or `undefined` if it is none. Only the space between values is changed: long numbers and names that
 * repeat stay as they were sent, which `JSON.stringify` would not leave them.
 */
export function prettyJson(text: string): string | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  const parts = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let depth = 0;
  let shown = "";
  parts.forEach((part, n) => {
    const isEmpty = parts[n + 1] === (part === "{" ? "}" : "]");
    if (part === "{" || part === "[") {
      depth += 1;
      shown += part + (isEmpty ? "" : lineBreak(depth));
    } else if (part === "}" || part === "]") {
      depth -= 1;
      shown += (parts[n - 1] === (part === "}" ? "{" : "[") ? "" : lineBreak(depth)) + part;
    } else if (part === ",") shown += part + lineBreak(depth);
    else shown += part === ":" ? ": " : part;
  });
  return shown;
}

function lineBreak(depth: number): string {
  return `\n${"  ".repeat(Math.min(depth, INDENT_MAX))}`;
}

/** A small body may unpack to one that no browser holds. */
const UNPACKED_BYTES_MAX = 16 * 1024 * 1024;
const CALL_ARGUMENTS_MAX = 8192;
/** Deeper than this, lines are not indented further: a body of brackets alone would grow by its square. */
const INDENT_MAX = 40;
