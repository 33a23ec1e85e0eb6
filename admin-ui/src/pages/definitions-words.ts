// What is in a document of definitions, in words, before it is imported.

import { plural } from "../format";

export interface Described {
  /** Why it cannot be imported, if that can be seen here already. */
  flaw?: string;
  origin?: string;
  counts: string[];
  remarks: string[];
}

const KINDS: [key: string, one: string, many: string][] = [
  ["users", "user", "users"],
  ["vhosts", "virtual host", "virtual hosts"],
  ["permissions", "permission", "permissions"],
  ["topic_permissions", "topic permission", "topic permissions"],
  ["policies", "policy", "policies"],
  ["parameters", "parameter", "parameters"],
  ["global_parameters", "global parameter", "global parameters"],
  ["exchanges", "exchange", "exchanges"],
  ["queues", "queue", "queues"],
  ["bindings", "binding", "bindings"],
];

export function describe(text: string, vhost: string): Described {
  const nothing = { counts: [], remarks: [] };
  let document: Record<string, unknown>;
  try {
    document = JSON.parse(text);
  } catch (error) {
    return { ...nothing, flaw: `It is no valid JSON: ${error instanceof Error ? error.message : error}` };
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) return { ...nothing, flaw: "It is no object, as definitions are. They begin with { and have lists such as “queues”." };
  const list = (key: string) => (Array.isArray(document[key]) ? (document[key] as Record<string, unknown>[]) : []);
  const counts = KINDS.filter(([key]) => list(key).length > 0).map(([key, one, many]) => plural(list(key).length, one, many));
  const isOfOneVhost = document.rabbitmq_definition_format === "single_virtual_host" || typeof document.original_vhost_name === "string";
  const remarks: string[] = [];
  if (isOfOneVhost && !vhost) remarks.push("It is of a single virtual host and does not name it: choose below into which one it goes.");
  if (vhost && list("users").length > 0) remarks.push("Users and other things that belong to no virtual host are not for an import into one.");
  const version = document.rabbitmq_version ?? document.rabbit_version;
  const product = typeof document.product_name === "string" ? document.product_name : version ? "RabbitMQ" : "";
  const origin = [product, document.product_version ?? version].filter((part) => typeof part === "string" && part).join(" ");
  return { counts, remarks, origin };
}
