// The virtual hosts that the user sees, for fields that ask for one.

import { useEffect, useState } from "preact/hooks";
import { get } from "../api";

/** Asked for once, and again when `after` changes: after what may have added some. */
export function useVhostNames(after?: unknown): string[] {
  const [names, setNames] = useState<string[]>([]);
  useEffect(() => {
    // Without them a field is empty; what else the page asks for says why.
    get<{ name: string }[]>("vhosts?columns=name").then((vhosts) => setNames(vhosts.map(({ name }) => name)), () => {});
  }, [after]);
  return names;
}
