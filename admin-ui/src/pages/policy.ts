// Policies as the API has them, and which of several is in force.

import { matches } from "./patterns";

export type PolicyKind = "policies" | "operator-policies";

export interface PolicyData {
  vhost: string;
  name: string;
  pattern: string;
  "apply-to": string;
  definition: Record<string, unknown>;
  priority: number;
}

export const APPLY_TO: { value: string; label: string }[] = [
  { value: "all", label: "queues and exchanges" },
  { value: "queues", label: "queues" },
  { value: "classic_queues", label: "classic queues" },
  { value: "quorum_queues", label: "quorum queues" },
  { value: "exchanges", label: "exchanges" },
  { value: "streams", label: "streams (there are none here)" },
];

/** What an operator policy can say. */
export const OPERATOR_KEYS = ["message-ttl", "expires", "max-length", "max-length-bytes", "overflow", "delivery-limit"];

export function applyToInWords(value: string): string {
  return APPLY_TO.find((option) => option.value === value)?.label ?? value;
}

export interface Thing {
  name: string;
  vhost: string;
  /** Of a queue: classic or quorum. */
  type: string;
}

export function appliesTo(applyTo: string, kind: "queue" | "exchange", type: string): boolean {
  if (applyTo === "all") return true;
  if (kind === "exchange") return applyTo === "exchanges";
  return applyTo === "queues" || applyTo === `${type}_queues`;
}

/** The policy that comes before `draft` for a thing that it matches, if there is one. */
export function rival(draft: { name: string; priority: number }, policies: PolicyData[], kind: "queue" | "exchange", thing: Thing): PolicyData | undefined {
  const before = (policy: PolicyData) => policy.priority > draft.priority || (policy.priority === draft.priority && policy.name < draft.name);
  return policies.find((policy) => policy.name !== draft.name && before(policy) && appliesTo(policy["apply-to"], kind, thing.type) && matches(policy.pattern, thing.name));
}
