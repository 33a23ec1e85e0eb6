// Properties of MQTT 5 (2.2.2): which there are, what they hold, and where they may be.

import { Malformed, type Reader, Writer } from "./octets";

export interface Properties {
  payloadFormat?: number;
  messageExpiry?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  subscriptionIds?: number[];
  sessionExpiry?: number;
  assignedClientId?: string;
  serverKeepAlive?: number;
  authMethod?: string;
  authData?: Uint8Array;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: number;
  retainAvailable?: number;
  userProperties?: [string, string][];
  maximumPacketSize?: number;
  wildcardsAvailable?: number;
  subscriptionIdsAvailable?: number;
  sharedAvailable?: number;
}

type Kind = "u8" | "u16" | "u32" | "varint" | "text" | "binary" | "pair";

const KNOWN: [id: number, name: keyof Properties, kind: Kind][] = [
  [0x01, "payloadFormat", "u8"],
  [0x02, "messageExpiry", "u32"],
  [0x03, "contentType", "text"],
  [0x08, "responseTopic", "text"],
  [0x09, "correlationData", "binary"],
  [0x0b, "subscriptionIds", "varint"],
  [0x11, "sessionExpiry", "u32"],
  [0x12, "assignedClientId", "text"],
  [0x13, "serverKeepAlive", "u16"],
  [0x15, "authMethod", "text"],
  [0x16, "authData", "binary"],
  [0x1a, "responseInformation", "text"],
  [0x1c, "serverReference", "text"],
  [0x1f, "reasonString", "text"],
  [0x21, "receiveMaximum", "u16"],
  [0x22, "topicAliasMaximum", "u16"],
  [0x23, "topicAlias", "u16"],
  [0x24, "maximumQos", "u8"],
  [0x25, "retainAvailable", "u8"],
  [0x26, "userProperties", "pair"],
  [0x27, "maximumPacketSize", "u32"],
  [0x28, "wildcardsAvailable", "u8"],
  [0x29, "subscriptionIdsAvailable", "u8"],
  [0x2a, "sharedAvailable", "u8"],
];

/** Those that may be there more than once. */
const LISTS: (keyof Properties)[] = ["subscriptionIds", "userProperties"];

/** Those that a server may send, by the packet that they are in. */
export const OF_PUBLISH: (keyof Properties)[] = ["payloadFormat", "messageExpiry", "contentType", "responseTopic", "correlationData", "subscriptionIds", "topicAlias", "userProperties"];
export const OF_ACKNOWLEDGEMENT: (keyof Properties)[] = ["reasonString", "userProperties"];
export const OF_DISCONNECT: (keyof Properties)[] = [...OF_ACKNOWLEDGEMENT, "serverReference"];
export const OF_CONNACK: (keyof Properties)[] = [
  ...OF_DISCONNECT, "sessionExpiry", "assignedClientId", "serverKeepAlive", "authMethod", "authData", "responseInformation", "receiveMaximum",
  "topicAliasMaximum", "maximumQos", "retainAvailable", "maximumPacketSize", "wildcardsAvailable", "subscriptionIdsAvailable", "sharedAvailable",
];

export function readProperties(reader: Reader, allowed: (keyof Properties)[]): Properties {
  const found: Record<string, unknown> = {};
  const part = reader.part(reader.varint());
  while (part.left > 0) {
    const id = part.varint();
    const known = KNOWN.find(([each]) => each === id);
    if (!known || !allowed.includes(known[1])) throw new Malformed(`the property ${id} may not be in this packet`);
    const [, name, kind] = known;
    const value = kind === "pair" ? [part.text(), part.text()] : part[kind]();
    if (LISTS.includes(name)) found[name] = [...((found[name] as unknown[] | undefined) ?? []), value];
    else if (name in found) throw new Malformed(`the property ${id} is there twice`, 0x82);
    else found[name] = value;
  }
  return found;
}

export function writeProperties(writer: Writer, properties: Properties): void {
  const part = new Writer();
  for (const [id, name, kind] of KNOWN) {
    const given = properties[name];
    if (given === undefined) continue;
    for (const value of LISTS.includes(name) ? (given as unknown[]) : [given]) {
      part.u8(id);
      if (kind === "pair") for (const text of value as [string, string]) part.text(text);
      else if (kind === "text") part.text(value as string);
      else if (kind === "binary") part.binary(value as Uint8Array);
      else part[kind](value as number);
    }
  }
  writer.varint(part.length).raw(part.done());
}
