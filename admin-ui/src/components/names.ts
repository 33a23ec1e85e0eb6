// Names to suggest in a form, fetched once: the first of them, and whoever wants another one types it.

import { useEffect, useState } from "preact/hooks";
import { get, type Page, query } from "../api";

const NAMES_MAX = 500;

/** The names in a list of the API, such as path`exchanges/${vhost}`. */
export function useNames(target: string): string[] {
  const [names, setNames] = useState<string[]>([]);
  useEffect(() => {
    const abort = new AbortController();
    get<Page<{ name: string }>>(query(target, { page: 1, page_size: NAMES_MAX, columns: "name" }), abort.signal).then(
      ({ items }) => setNames(items.map(({ name }) => name)),
      // Without suggestions the form works as well.
      () => {},
    );
    return () => abort.abort();
  }, [target]);
  return names;
}
