// What the policy of an exchange sets, for users whose tags open it.

import { path } from "../api";
import { usePoll } from "../poll";
import { may } from "../session";

type Definition = Record<string, unknown>;

export function useDefinition(vhost: string, policy: string | undefined): Definition | undefined {
  const { data } = usePoll<{ definition: Definition }>(policy && may("policymaker") ? path`policies/${vhost}/${policy}` : null);
  return data?.definition;
}
