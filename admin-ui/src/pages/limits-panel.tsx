// Limits of one user or one virtual host, shown and set.

import { del, path, put } from "../api";
import { Form, Input } from "../components/form";
import { tell } from "../components/notices";
import { Panel } from "../components/page";
import "./admin.css";

export type Limits = Record<string, number>;

export const LIMITS: Record<"user" | "vhost", { name: string; label: string; hint: string }[]> = {
  user: [
    { name: "max-connections", label: "Connections at most", hint: "More are refused; those that are open stay. 0 lets nobody in." },
    { name: "max-channels", label: "Channels at most", hint: "Over all connections of the user." },
  ],
  vhost: [
    { name: "max-connections", label: "Connections at most", hint: "More are refused; those that are open stay. 0 lets nobody in." },
    { name: "max-queues", label: "Queues at most", hint: "More cannot be declared; those that are there stay." },
  ],
};

export function LimitsPanel({ kind, name, limits, onDone }: { kind: "user" | "vhost"; name: string; limits: Limits; onDone: () => void }) {
  return (
    <Panel title="Limits" hint="An empty field is no limit.">
      <Form
        action="Set limits"
        onSubmit={async (values) => {
          for (const limit of LIMITS[kind]) {
            const value = values.number(limit.name);
            if (value === limits[limit.name]) continue;
            if (value === undefined) await del(path`${`${kind}-limits`}/${name}/${limit.name}`);
            else await put(path`${`${kind}-limits`}/${name}/${limit.name}`, { value });
          }
          tell("done", `The limits of ${name} are set.`);
          onDone();
        }}
      >
        <div class="columns narrow">
          {LIMITS[kind].map((limit) => (
            <Input key={limit.name} label={limit.label} name={limit.name} type="number" min={0} value={limits[limit.name]} hint={limit.hint} />
          ))}
        </div>
      </Form>
    </Panel>
  );
}

export function limitsInWords(limits: Limits): string {
  return Object.entries(limits).map(([name, value]) => `${name.replace("max-", "")} ≤ ${value}`).join(", ");
}
