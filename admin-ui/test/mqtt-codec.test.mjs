// What the MQTT client of the UI writes and reads, octet by octet: strict towards whatever comes.

import assert from "node:assert/strict";
import { dirname, resolve } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

let codec;

before(async () => {
  const source = resolve(dirname(fileURLToPath(import.meta.url)), "../src/mqtt");
  const contents = ["octets", "packets", "properties", "stream", "reasons", "received"].map((name) => `export * from "./${name}";`).join("\n");
  const bundle = await build({ stdin: { contents, resolveDir: source, loader: "ts" }, bundle: true, format: "esm", write: false });
  codec = await import(`data:text/javascript;base64,${Buffer.from(bundle.outputFiles[0].contents).toString("base64")}`);
});

const bytes = (text) => Uint8Array.from(text.trim().split(/\s+/), (octet) => Number.parseInt(octet, 16));
const hex = (octets) => Buffer.from(octets).toString("hex").replaceAll(/../g, "$& ").trim();
const received = (stream, octets) => [...stream.push(octets)];
const readAll = (octets) => received(new codec.Stream(), octets);

/** Packets of a server, each of a kind. */
const PACKETS = {
  connack: "20 0e 01 00 0b 12 00 02 61 31 13 00 1e 21 00 05",
  publish: "3b 15 00 03 61 2f 62 00 07 0a 01 01 26 00 01 6b 00 02 76 77 68 69 21",
  puback: "40 02 00 07",
  "puback with a reason": "40 09 00 07 87 05 1f 00 02 6e 6f",
  pubrec: "50 03 00 07 10",
  pubrel: "62 02 00 07",
  pubcomp: "70 02 00 07",
  suback: "90 04 00 09 00 02",
  unsuback: "b0 04 00 09 00 11",
  pingresp: "d0 00",
  disconnect: "e0 07 8e 05 1f 00 02 67 6f",
};

test("packets are written as the standard draws them", () => {
  const { connect, publish, subscribe, unsubscribe, acknowledgement, disconnect, pingreq } = codec;
  assert.equal(
    hex(connect({ clientId: "me", cleanStart: true, keepAliveS: 60, user: "u", password: "p", properties: { sessionExpiry: 1, receiveMaximum: 10 } })),
    "10 1d 00 04 4d 51 54 54 05 c2 00 3c 08 11 00 00 00 01 21 00 0a 00 02 6d 65 00 01 75 00 01 70",
  );
  assert.equal(hex(connect({ clientId: "", cleanStart: false, keepAliveS: 0, properties: {} })), "10 0d 00 04 4d 51 54 54 05 00 00 00 00 00 00");
  const message = { topic: "a", payload: bytes("68 69"), retain: true, properties: { contentType: "t", userProperties: [["k", "1"], ["k", "2"]] } };
  assert.equal(hex(publish({ ...message, qos: 2 }, 7)), "35 1a 00 01 61 00 07 12 03 00 01 74 26 00 01 6b 00 01 31 26 00 01 6b 00 01 32 68 69");
  assert.equal(hex(publish({ ...message, qos: 0, retain: false, properties: {} }, 0)), "30 06 00 01 61 00 68 69");
  assert.equal(hex(subscribe(3, { filter: "#", qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 })), "82 07 00 03 00 00 01 23 2d");
  assert.equal(hex(unsubscribe(4, "#")), "a2 06 00 04 00 00 01 23");
  assert.equal(hex(acknowledgement("pubrel", 5)), "62 02 00 05");
  assert.equal(hex(acknowledgement("pubcomp", 5, 0x92)), "70 03 00 05 92");
  assert.deepEqual([hex(pingreq()), hex(disconnect()), hex(disconnect(0x81))], ["c0 00", "e0 00", "e0 01 81"]);
});

test("texts that MQTT cannot carry are not written", () => {
  const subscription = { qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 };
  assert.throws(() => codec.subscribe(1, { ...subscription, filter: "a\0b" }), /U\+0000/);
  assert.throws(() => codec.subscribe(1, { ...subscription, filter: "é".repeat(32_768) }), /65535/);
  assert.equal(codec.subscribe(1, { ...subscription, filter: "x".repeat(65_535) }).length, 4 + 2 + 1 + 2 + 65_535 + 1);
});

test("packets of a server are read with all that is in them", () => {
  const [connack] = readAll(bytes(PACKETS.connack));
  assert.deepEqual(connack, { type: "connack", isPresent: true, code: 0, properties: { assignedClientId: "a1", serverKeepAlive: 30, receiveMaximum: 5 } });
  const [publish] = readAll(bytes(PACKETS.publish));
  assert.deepEqual({ ...publish, payload: hex(publish.payload) }, {
    type: "publish", id: 7, isDuplicate: true, topic: "a/b", qos: 1, retain: true, payload: "68 69 21",
    properties: { payloadFormat: 1, userProperties: [["k", "vw"]] },
  });
  assert.deepEqual(readAll(bytes(PACKETS["puback with a reason"]))[0], { type: "puback", id: 7, code: 0x87, properties: { reasonString: "no" } });
  assert.deepEqual(readAll(bytes(PACKETS.suback))[0], { type: "suback", id: 9, codes: [2], properties: {} });
  assert.deepEqual(readAll(bytes(PACKETS.disconnect))[0], { type: "disconnect", code: 0x8e, properties: { reasonString: "go" } });
});

test("packets need not be in step with what arrives", () => {
  const all = bytes(Object.values(PACKETS).join(" "));
  const whole = readAll(all);
  assert.equal(whole.length, Object.keys(PACKETS).length);
  for (const size of [1, 2, 3, 7, all.length - 1]) {
    const stream = new codec.Stream();
    const pieces = [];
    for (let at = 0; at < all.length; at += size) pieces.push(...received(stream, all.subarray(at, at + size)));
    assert.deepEqual(pieces, whole, `in pieces of ${size}`);
  }
});

test("what the standard forbids is refused, each with its code", () => {
  const refused = {
    "a length with five bytes": ["30 80 80 80 80 01", 0x81],
    "a length that is longer than it has to be": ["40 82 00 00 07", 0x81],
    "a packet that is larger than this client takes": ["30 ff ff ff 7f", 0x95],
    "a packet that only clients send": ["10 00", 0x81],
    "reserved flags of PUBREL": ["60 02 00 07", 0x81],
    "reserved flags of CONNACK": ["20 03 02 00 00", 0x81],
    "QoS 3": ["36 06 00 01 61 00 07 00", 0x81],
    "a message without a topic": ["30 03 00 00 00", 0x90],
    "a message to a wildcard": ["30 04 00 01 23 00", 0x90],
    "a packet identifier of 0": ["32 06 00 01 61 00 00 00", 0x81],
    "a topic alias that was not allowed": ["30 07 00 01 61 03 23 00 01", 0x94],
    "a text that is not UTF-8": ["30 04 00 01 ff 00", 0x81],
    "a text with U+0000": ["30 04 00 01 00 00", 0x81],
    "an unknown property": ["30 06 00 01 61 02 7f 00", 0x81],
    "a property of another packet": ["30 09 00 01 61 05 11 00 00 00 01", 0x81],
    "a property twice": ["30 08 00 01 61 04 01 01 01 00", 0x82],
    "properties that are longer than their packet": ["30 05 00 01 61 09 01", 0x81],
    "two answers for one filter": ["90 05 00 09 00 00 01", 0x82],
    "something behind the end": ["40 05 00 07 00 00 00", 0x81],
    "a PINGRESP with content": ["d0 01 00", 0x81],
  };
  for (const [what, [octets, code]] of Object.entries(refused)) {
    assert.throws(() => readAll(bytes(octets)), (error) => error instanceof codec.Malformed && error.code === code, what);
  }
});

test("no packet that is cut short or changed does more than be refused", () => {
  for (const [name, text] of Object.entries(PACKETS)) {
    const octets = bytes(text);
    // Its end is missing, and its length says so.
    for (let length = 1; length < octets.length - 2; length += 1) {
      const cut = Uint8Array.of(octets[0], length, ...octets.subarray(2, 2 + length));
      try {
        assert.equal(readAll(cut).length, 1);
      } catch (error) {
        assert.ok(error instanceof codec.Malformed, `${name} cut to ${length}: ${error}`);
      }
    }
    for (let at = 0; at < octets.length; at += 1) {
      for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff, octets[at] ^ 1]) {
        const changed = octets.slice();
        changed[at] = value;
        try {
          readAll(changed);
        } catch (error) {
          assert.ok(error instanceof codec.Malformed, `${name} with ${value} at ${at}: ${error}`);
        }
      }
    }
  }
});

test("a packet of the largest size is taken", () => {
  const size = codec.PACKET_BYTES_MAX;
  // The first byte and a length of four.
  const content = size - 5;
  const packet = new Uint8Array(size);
  packet.set([0x30, (content & 0x7f) | 0x80, ((content >> 7) & 0x7f) | 0x80, ((content >> 14) & 0x7f) | 0x80, content >> 21, 0, 1, 0x61, 0]);
  const [message] = readAll(packet);
  assert.equal(message.payload.length, content - 4);
});

test("reasons are in words, and unknown ones keep their number", () => {
  assert.match(codec.inWords(0x87), /Not allowed.*\(0x87\)/);
  assert.match(codec.inWords(0xf7, { reasonString: "why not" }), /does not know\. \(0xf7\) The broker says: why not/);
});

test("the newest messages are kept, up to a number and a size", () => {
  const message = (number, length) => ({ number, payload: new Uint8Array(length) });
  let list = [];
  for (let number = 1; number <= 600; number += 1) list = codec.withMessage(list, message(number, 1));
  assert.deepEqual([list.length, list[0].number, list.at(-1).number], [500, 600, 101]);
  list = [];
  for (let number = 1; number <= 20; number += 1) list = codec.withMessage(list, message(number, 4 * 1024 * 1024));
  assert.deepEqual(list.map(({ number }) => number), [20, 19, 18, 17, 16, 15, 14, 13]);
});
