// All pages: where they are, who sees them, and what the navigation calls them.

import type { ComponentType } from "preact";
import { may } from "../session";
import { Bindings } from "./bindings";
import { Channel } from "./channel";
import { Channels } from "./channels";
import { Connection } from "./connection";
import { Connections } from "./connections";
import { Consumers } from "./consumers";
import { Definitions } from "./definitions";
import { Exchange } from "./exchange";
import { Exchanges } from "./exchanges";
import { Health } from "./health";
import { Limits } from "./limits";
import { Live } from "./live";
import { Messages } from "./messages";
import { MqttClient } from "./mqtt-client";
import { MqttSession } from "./mqtt-session";
import { Node } from "./node";
import { Nodes } from "./nodes";
import { Overview } from "./overview";
import { GlobalParameter, Parameter } from "./parameter";
import { Parameters } from "./parameters";
import { OperatorPolicies, Policies } from "./policies";
import { OperatorPolicy, Policy } from "./policy-page";
import { Queue } from "./queue";
import { Queues } from "./queues";
import { RetainedTopics } from "./retained";
import { RetainedTopic } from "./retained-topic";
import { RouteTester } from "./route-tester";
import { Sessions } from "./sessions";
import { Subscriptions } from "./subscriptions";
import { User } from "./user";
import { Users } from "./users";
import { Vhost } from "./vhost";
import { Vhosts } from "./vhosts";

export interface Route {
  /** The parts of the address; `:` stands for any value, which the page is given in `parts`. */
  path: string;
  page: ComponentType<{ parts: string[] }>;
  /** Its entry in the navigation. */
  nav?: { group: string; title: string };
  /** Who sees it; everybody with a login if this is absent. */
  right?: "policymaker" | "monitoring" | "administrator";
}

export const ROUTES: Route[] = [
  { path: "", page: Overview, nav: { group: "", title: "Overview" } },
  { path: "queues", page: Queues, nav: { group: "Messages", title: "Queues" } },
  { path: "queues/:/:", page: Queue },
  { path: "queues/:/:/messages", page: Messages },
  { path: "exchanges", page: Exchanges, nav: { group: "Messages", title: "Exchanges" } },
  { path: "exchanges/:/:", page: Exchange },
  { path: "bindings", page: Bindings, nav: { group: "Messages", title: "Bindings" } },
  { path: "connections", page: Connections, nav: { group: "Clients", title: "Connections" } },
  { path: "connections/:", page: Connection },
  { path: "channels", page: Channels, nav: { group: "Clients", title: "Channels" } },
  { path: "channels/:", page: Channel },
  { path: "consumers", page: Consumers, nav: { group: "Clients", title: "Consumers" } },
  { path: "mqtt/sessions", page: Sessions, nav: { group: "MQTT", title: "Sessions" } },
  { path: "mqtt/sessions/:", page: MqttSession },
  { path: "mqtt/subscriptions", page: Subscriptions, nav: { group: "MQTT", title: "Subscriptions" } },
  { path: "mqtt/retained", page: RetainedTopics, nav: { group: "MQTT", title: "Retained topics" } },
  { path: "mqtt/retained/:", page: RetainedTopic },
  { path: "mqtt/client", page: MqttClient, nav: { group: "MQTT", title: "MQTT client" } },
  { path: "routes", page: RouteTester, nav: { group: "Tools", title: "Route tester" } },
  { path: "live", page: Live, nav: { group: "Tools", title: "Live view" } },
  { path: "users", page: Users, nav: { group: "Administration", title: "Users" }, right: "administrator" },
  { path: "users/:", page: User, right: "administrator" },
  { path: "vhosts", page: Vhosts, nav: { group: "Administration", title: "Virtual hosts" } },
  { path: "vhosts/:", page: Vhost, right: "administrator" },
  { path: "policies", page: Policies, nav: { group: "Administration", title: "Policies" } },
  { path: "policies/:/:", page: Policy, right: "policymaker" },
  { path: "operator-policies", page: OperatorPolicies, nav: { group: "Administration", title: "Operator policies" } },
  { path: "operator-policies/:/:", page: OperatorPolicy, right: "administrator" },
  { path: "limits", page: Limits, nav: { group: "Administration", title: "Limits" } },
  { path: "parameters", page: Parameters, nav: { group: "Administration", title: "Parameters" }, right: "policymaker" },
  { path: "parameters/:/:/:", page: Parameter, right: "policymaker" },
  { path: "global-parameters/:", page: GlobalParameter, right: "policymaker" },
  { path: "definitions", page: Definitions, nav: { group: "Administration", title: "Definitions" }, right: "administrator" },
  { path: "nodes", page: Nodes, nav: { group: "Administration", title: "Nodes" }, right: "monitoring" },
  { path: "nodes/:", page: Node, right: "monitoring" },
  { path: "health", page: Health, nav: { group: "Administration", title: "Health checks" } },
];

/** The page of an address, and the values in it. */
export function find(parts: string[]): { route: Route; values: string[] } | undefined {
  for (const route of ROUTES) {
    const wanted = route.path.split("/").filter(Boolean);
    if (wanted.length !== parts.length || !wanted.every((part, n) => part === ":" || part === parts[n])) continue;
    return { route, values: parts.filter((_, n) => wanted[n] === ":") };
  }
  return undefined;
}

export function isOpen({ right }: Route): boolean {
  return !right || may(right);
}
