// Patterns of names, as the broker reads them: found anywhere in a name, and an empty one is for no name.

/** Whether a pattern is found in a name; `undefined` if this browser cannot tell. */
export function matches(pattern: string, name: string): boolean | undefined {
  if (pattern === "") return name === "";
  try {
    return new RegExp(pattern, "u").test(name);
  } catch {
    return undefined;
  }
}

/** What stands for something else in patterns of topics. */
export interface Places {
  username: string;
  vhost: string;
  client_id: string;
}

/** As {@link matches}, for a pattern of topics with `{username}`, `{vhost}` and `{client_id}` in it. */
export function matchesTopic(pattern: string, key: string, places: Places): boolean | undefined {
  if (pattern.includes("{client_id}") && places.client_id === "") return false;
  const filled = pattern.replace(/\{(username|vhost|client_id)\}/g, (_, place: keyof Places) => literally(places[place]));
  return matches(filled, key);
}

function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

export const PRESETS: { label: string; pattern: string }[] = [
  { label: "everything", pattern: ".*" },
  { label: "nothing", pattern: "" },
];

/** For names, of which those that begin with amq. are the broker's own. */
export const NAME_PRESETS = [...PRESETS, { label: "all but amq.*", pattern: "^(?!amq\\.).*" }];
