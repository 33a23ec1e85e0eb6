// Tags of users: what each of them opens.

import { Badge } from "../components/page";
import { Check, Input, type Values } from "../components/form";

const TAGS: { tag: string; opens: string }[] = [
  { tag: "management", opens: "Logs in to this UI and the API; sees and does what its permissions allow, and its own connections." },
  { tag: "policymaker", opens: "As management, and sets policies and parameters of its virtual hosts." },
  { tag: "monitoring", opens: "As management, and sees all connections, channels and virtual hosts, and the node." },
  { tag: "administrator", opens: "Everything: users, virtual hosts, permissions, definitions, closing connections of others." },
];

export function TagFields({ tags }: { tags: string[] }) {
  const others = tags.filter((tag) => !TAGS.some((known) => known.tag === tag));
  return (
    <fieldset>
      <legend>Tags</legend>
      <p class="hint">Clients that only send and receive messages need none.</p>
      {TAGS.map(({ tag, opens }) => <Check key={tag} label={tag} name={`tag-${tag}`} checked={tags.includes(tag)} hint={opens} />)}
      <Input label="Other tags" name="other-tags" value={others.join(", ")} hint="With commas between them. They open nothing here." />
    </fieldset>
  );
}

export function tagsOf(values: Values): string[] {
  const known = TAGS.filter(({ tag }) => values.isSet(`tag-${tag}`)).map(({ tag }) => tag);
  const others = values.text("other-tags").split(",").map((tag) => tag.trim()).filter(Boolean);
  return [...new Set([...known, ...others])];
}

export function Tags({ of }: { of: string[] }) {
  return <>{of.map((tag) => <span key={tag}><Badge tone={tag === "administrator" ? "warn" : undefined} title={TAGS.find((known) => known.tag === tag)?.opens}>{tag}</Badge> </span>)}</>;
}
