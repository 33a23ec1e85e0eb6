// Packets of MQTT 5 (chapter 3): those that a client sends are written, those that a server sends are read.

import { Malformed, Reader, Writer } from "./octets";
import { OF_ACKNOWLEDGEMENT, OF_CONNACK, OF_DISCONNECT, OF_PUBLISH, type Properties, readProperties, writeProperties } from "./properties";

export type Qos = 0 | 1 | 2;

export interface Connect {
  clientId: string;
  cleanStart: boolean;
  keepAliveS: number;
  user?: string;
  password?: string;
  properties: Properties;
}

export interface Publish {
  topic: string;
  payload: Uint8Array;
  qos: Qos;
  retain: boolean;
  properties: Properties;
}

export interface Subscription {
  filter: string;
  qos: Qos;
  noLocal: boolean;
  retainAsPublished: boolean;
  /** 0: retained messages are sent; 1: if the subscription is new; 2: they are not. */
  retainHandling: number;
}

type Acknowledgement = "puback" | "pubrec" | "pubrel" | "pubcomp";

export type Received =
  | { type: "connack"; isPresent: boolean; code: number; properties: Properties }
  | ({ type: "publish"; id: number; isDuplicate: boolean } & Publish)
  | { type: Acknowledgement; id: number; code: number; properties: Properties }
  | { type: "suback" | "unsuback"; id: number; codes: number[]; properties: Properties }
  | { type: "pingresp" }
  | { type: "disconnect"; code: number; properties: Properties };

const FIRST_BYTES: Record<Acknowledgement, number> = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 };

function packet(first: number, content: Writer): Uint8Array<ArrayBuffer> {
  return new Writer().u8(first).varint(content.length).raw(content.done()).done();
}

export function connect({ clientId, cleanStart, keepAliveS, user, password, properties }: Connect) {
  const flags = (cleanStart ? 0x02 : 0) | (user === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  const writer = new Writer().text("MQTT").u8(5).u8(flags).u16(keepAliveS);
  writeProperties(writer, properties);
  writer.text(clientId);
  if (user !== undefined) writer.text(user);
  if (password !== undefined) writer.text(password);
  return packet(0x10, writer);
}

export function publish({ topic, payload, qos, retain, properties }: Publish, id: number) {
  const writer = new Writer().text(topic);
  if (qos > 0) writer.u16(id);
  writeProperties(writer, properties);
  return packet(0x30 | (qos << 1) | Number(retain), writer.raw(payload));
}

export function acknowledgement(type: Acknowledgement, id: number, code = 0) {
  const writer = new Writer().u16(id);
  return packet(FIRST_BYTES[type], code === 0 ? writer : writer.u8(code));
}

export function subscribe(id: number, { filter, qos, noLocal, retainAsPublished, retainHandling }: Subscription) {
  const options = qos | (Number(noLocal) << 2) | (Number(retainAsPublished) << 3) | (retainHandling << 4);
  return packet(0x82, new Writer().u16(id).u8(0).text(filter).u8(options));
}

export function unsubscribe(id: number, filter: string) {
  return packet(0xa2, new Writer().u16(id).u8(0).text(filter));
}

export const pingreq = () => packet(0xc0, new Writer());

export function disconnect(code = 0) {
  return packet(0xe0, code === 0 ? new Writer() : new Writer().u8(code));
}

/** Reads a packet, given its first byte and what follows its length. */
export function read(first: number, content: Uint8Array): Received {
  const reader = new Reader(content);
  const received = readAny(first, reader);
  reader.end();
  return received;
}

function readAny(first: number, reader: Reader): Received {
  if (first >> 4 === 3) return readPublish(first, reader);
  switch (first) {
    case 0x20:
      return readConnack(reader);
    case 0x40:
      return readAcknowledgement("puback", reader);
    case 0x50:
      return readAcknowledgement("pubrec", reader);
    case 0x62:
      return readAcknowledgement("pubrel", reader);
    case 0x70:
      return readAcknowledgement("pubcomp", reader);
    case 0x90:
      return readCodes("suback", reader);
    case 0xb0:
      return readCodes("unsuback", reader);
    case 0xd0:
      return { type: "pingresp" };
    case 0xe0:
      return { type: "disconnect", ...readReason(reader, OF_DISCONNECT) };
    default:
      throw new Malformed(`no server sends packets that begin with ${first}`);
  }
}

function readConnack(reader: Reader): Received {
  const flags = reader.u8();
  if (flags > 1) throw new Malformed("reserved flags are set");
  return { type: "connack", isPresent: flags === 1, code: reader.u8(), properties: readProperties(reader, OF_CONNACK) };
}

function readPublish(first: number, reader: Reader): Received {
  const qos = (first >> 1) & 3;
  if (qos === 3) throw new Malformed("there is no QoS 3");
  const topic = reader.text();
  if (topic === "" || /[+#]/.test(topic)) throw new Malformed("a message has no topic that can be published to", 0x90);
  const id = qos > 0 ? readId(reader) : 0;
  const properties = readProperties(reader, OF_PUBLISH);
  if (properties.topicAlias !== undefined) throw new Malformed("topic aliases are not allowed to the server", 0x94);
  // The rest of the buffer, which may be large, goes.
  const payload = reader.rest().slice();
  return { type: "publish", id, isDuplicate: (first & 8) !== 0, topic, payload, qos: qos as Qos, retain: (first & 1) === 1, properties };
}

function readAcknowledgement(type: Acknowledgement, reader: Reader): Received {
  const id = readId(reader);
  return { type, id, ...readReason(reader, OF_ACKNOWLEDGEMENT) };
}

/** A reason code and properties, both of which may be left out. */
function readReason(reader: Reader, allowed: (keyof Properties)[]): { code: number; properties: Properties } {
  const code = reader.left > 0 ? reader.u8() : 0;
  return { code, properties: reader.left > 0 ? readProperties(reader, allowed) : {} };
}

function readCodes(type: "suback" | "unsuback", reader: Reader): Received {
  const id = readId(reader);
  const properties = readProperties(reader, OF_ACKNOWLEDGEMENT);
  const codes = [...reader.rest()];
  // Each request of this client has one filter.
  if (codes.length !== 1) throw new Malformed(`${codes.length} answers for one filter`, 0x82);
  return { type, id, codes, properties };
}

function readId(reader: Reader): number {
  const id = reader.u16();
  if (id === 0) throw new Malformed("a packet identifier is 0");
  return id;
}
