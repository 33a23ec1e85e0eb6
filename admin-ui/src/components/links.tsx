// Names of things as links to their pages.

import { path } from "../api";
import { vhost as chosenVhost } from "../settings";
import { link } from "../router";
import { may } from "../session";

export const DEFAULT_EXCHANGE = "amq.default";

export function QueueLink({ vhost, name }: { vhost: string; name: string }) {
  return <a href={link`queues/${vhost}/${name}`}>{name}</a>;
}

export function ExchangeLink({ vhost, name }: { vhost: string; name: string }) {
  return <a href={link`exchanges/${vhost}/${name || DEFAULT_EXCHANGE}`}>{name || "(default exchange)"}</a>;
}

export function ConnectionLink({ name, label }: { name: string; label?: string }) {
  return <a href={link`connections/${name}`}>{label ?? name}</a>;
}

export function ChannelLink({ name, label }: { name: string; label?: string }) {
  return <a href={link`channels/${name}`}>{label ?? name}</a>;
}

/** Administrators alone may open the page of a user. */
export function UserLink({ name }: { name: string }) {
  if (!may("administrator")) return <>{name}</>;
  return <a href={link`users/${name}`}>{name}</a>;
}

export function VhostLink({ name }: { name: string }) {
  return <a href={link`vhosts/${name}`}>{name}</a>;
}

export function SessionLink({ clientId }: { clientId: string }) {
  return <a href={link`mqtt/sessions/${clientId}`}>{clientId}</a>;
}

/** The list of connections or channels, of the virtual host that was chosen or of all. */
export function clientsOf(kind: "connections" | "channels"): string {
  return chosenVhost.value ? path`vhosts/${chosenVhost.value}/${kind}` : kind;
}

/** The list of a kind of thing, of the virtual host that was chosen or of all. */
export function listOf(kind: string): string {
  return chosenVhost.value ? `${kind}/${encodeURIComponent(chosenVhost.value)}` : kind;
}
