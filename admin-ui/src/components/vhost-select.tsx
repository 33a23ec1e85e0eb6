// A field that chooses a virtual host, at first the one that lists are about.

import { usePoll } from "../poll";
import { vhost as chosenVhost } from "../settings";
import { Select } from "./form";

interface VhostSelectProps {
  name: string;
  value?: string;
  onChange?: (vhost: string) => void;
}

export function VhostSelect({ name, value, onChange }: VhostSelectProps) {
  const { data } = usePoll<{ name: string }[]>("vhosts?columns=name");
  const now = value ?? startVhost();
  const names = [...new Set([now, ...(data ?? []).map(({ name }) => name)])];
  return <Select label="Virtual host" name={name} value={now} options={names} onChange={onChange} />;
}

/** The virtual host that was chosen for lists, or the one that every broker begins with. */
export function startVhost(): string {
  return chosenVhost.value || "/";
}
