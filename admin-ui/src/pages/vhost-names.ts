// The virtual hosts that the user sees, for fields that ask for one.

import { usePoll } from "../poll";

export function useVhostNames(): string[] {
  const { data } = usePoll<{ name: string }[]>("vhosts?columns=name");
  return (data ?? []).map(({ name }) => name);
}
