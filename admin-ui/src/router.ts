// Where the user is: `#/queues/%2F/orders?name=x` is the path ["queues", "/", "orders"] and its parameters.

import { signal } from "@preact/signals";

export interface Place {
  parts: string[];
  parameters: URLSearchParams;
}

function read(): Place {
  const [path = "", search = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { parts: path.split("/").filter(Boolean).map(decode), parameters: new URLSearchParams(search) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const place = signal<Place>(read());

addEventListener("hashchange", () => {
  place.value = read();
});

/** The address of a page: link`queues/${vhost}/${name}`. */
export function link(strings: TemplateStringsArray, ...values: (string | number)[]): string {
  return "#/" + strings.reduce((whole, text, n) => whole + encodeURIComponent(String(values[n - 1])) + text);
}

export function go(target: string): void {
  location.hash = target;
}

/** Changes parameters of the place without a new entry in the history; an empty value removes one. */
export function setParameters(changes: Record<string, string>): void {
  const { parts, parameters } = place.value;
  const next = new URLSearchParams(parameters);
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const search = next.toString();
  history.replaceState(null, "", "#/" + parts.map(encodeURIComponent).join("/") + (search ? `?${search}` : ""));
  place.value = read();
}
