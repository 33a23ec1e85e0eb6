// The body of a message: as JSON, text, octets or base64, to copy and to keep as a file.

import { useEffect, useMemo, useState } from "preact/hooks";
import { bytes } from "../format";
import { explain, tell } from "./notices";
import { hexDump, isPacked, octets, prettyJson, toBase64, toText, unpack } from "./octets";

interface BodyProps {
  payload: string;
  encoding: string;
  /** How long it is; what was sent to the browser may be the beginning only. */
  length: number | undefined;
  contentType?: string | undefined;
  contentEncoding?: string | undefined;
  name: string;
}

type Form = "JSON" | "Text" | "Hex" | "Base64";

/** What is shown at the most; the file has it all. */
const SHOWN_BYTES_MAX = 64 * 1024;

export function Body({ payload, encoding, length, contentType, contentEncoding, name }: BodyProps) {
  const sent = useMemo(() => octets(payload, encoding), [payload, encoding]);
  const [unpacked, setUnpacked] = useState<Uint8Array<ArrayBuffer> | null>(null);
  useEffect(() => setUnpacked(null), [sent]);
  const size = length ?? sent.length;
  const missing = size - sent.length;
  const whole = unpacked ?? sent;
  const unpackIt = () => unpack(sent, contentEncoding ?? "").then(setUnpacked, (error) => tell("failed", explain(error)));
  const text = useMemo(() => toText(whole, missing > 0), [whole, missing]);
  const json = useMemo(() => (text === undefined || whole.length > SHOWN_BYTES_MAX ? undefined : prettyJson(text)), [whole, text]);
  const [chosen, choose] = useState<Form | null>(null);
  const forms: Form[] = [...(json === undefined ? [] : ["JSON" as const]), ...(text === undefined ? [] : ["Text" as const]), "Hex", "Base64"];
  const isStructure = json !== undefined && /^[[{]/.test(json);
  const natural: Form = text === undefined ? "Hex" : isStructure ? "JSON" : "Text";
  const form = chosen && forms.includes(chosen) ? chosen : natural;
  if (size === 0) return <p class="soft">The body is empty.</p>;
  return (
    <div class="body">
      <div class="body-tools">
        <div class="forms" role="group" aria-label="Show the body as">
          {forms.map((each) => <button key={each} type="button" class="chip" aria-pressed={each === form} onClick={() => choose(each)}>{each}</button>)}
        </div>
        <span class="soft">{bytes(size)}{contentType && `, ${contentType}`}{unpacked ? `, unpacked ${bytes(unpacked.length)}` : contentEncoding && `, ${contentEncoding}`}</span>
        {isPacked(contentEncoding) && missing === 0 && !unpacked && <button type="button" class="chip" onClick={() => void unpackIt()}>Unpack</button>}
        <button type="button" class="chip" onClick={() => void copy(written(form, whole, text, json))}>Copy</button>
        <button type="button" class="chip" onClick={() => save(whole, unpacked ? `unpacked-${name}` : name)}>Download</button>
      </div>
      <pre tabIndex={0} role="group" aria-label="Body" class={form === "Hex" ? "hex" : ""}>{shown(form, whole, text, json)}</pre>
      {missing > 0 && <p class="hint">These are the first {bytes(whole.length)}; {bytes(missing)} more were not fetched.</p>}
      {whole.length > SHOWN_BYTES_MAX && <p class="hint">The first {bytes(SHOWN_BYTES_MAX)} are shown. The download has {missing > 0 ? "what was fetched" : "all"}.</p>}
    </div>
  );
}

function shown(form: Form, whole: Uint8Array, text: string | undefined, json: string | undefined): string {
  if (form === "Text") return (text ?? "").slice(0, SHOWN_BYTES_MAX);
  return written(form, whole.subarray(0, SHOWN_BYTES_MAX), text, json);
}

function written(form: Form, whole: Uint8Array, text: string | undefined, json: string | undefined): string {
  switch (form) {
    case "JSON":
      return json ?? "";
    case "Text":
      return text ?? "";
    case "Hex":
      return hexDump(whole);
    case "Base64":
      return toBase64(whole);
  }
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    tell("done", "Copied.");
  } catch {
    tell("failed", "The browser does not let this page copy: it does so over HTTPS or on localhost only, and if you allow it. Mark the text and copy it, or download it.");
  }
}

function save(whole: Uint8Array<ArrayBuffer>, name: string): void {
  const link = document.createElement("a");
  // Octets without a type: no browser opens them as a page.
  link.href = URL.createObjectURL(new Blob([whole], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}

/** How long the browser may take to begin with the download. */
const KEPT_MS = 10_000;
