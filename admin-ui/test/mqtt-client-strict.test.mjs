// The MQTT client of the UI, against brokers that do not keep to the protocol.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { arrivals, button, enter } from "./mqtt-page.js";
import { assertSound, Broker, eventually, launch, open } from "./support.js";

let broker;
let browser;

before(async () => {
  broker = await Broker.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await broker?.remove();
});

/** A page whose broker is this function: it is given each message and the means to answer. */
async function against(behave) {
  const page = await open(browser, broker, { hash: "#/mqtt/client" });
  await page.routeWebSocket(/\/mqtt$/, (socket) => {
    socket.onMessage((message) => behave(socket, Buffer.from(message)));
  });
  await page.reload();
  await enter(page, { clientId: "fake" });
  return page;
}

const CONNACK = Buffer.from([0x20, 3, 0, 0, 0]);
const isConnect = (message) => message[0] === 0x10;

test("a broker that breaks the protocol is left, and the page says why", async () => {
  const broken = {
    "is not expected now": Buffer.from([0xd0, 0]),
    "a length has more than four bytes": Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]),
    "a packet is larger than this client takes": Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]),
    "a text is not UTF-8": Buffer.concat([CONNACK, Buffer.from([0x30, 4, 0, 1, 0xff, 0])]),
    "puback answers no request": Buffer.concat([CONNACK, Buffer.from([0x40, 2, 0, 9])]),
    "a WebSocket message is not binary": "text",
  };
  for (const [words, answer] of Object.entries(broken)) {
    const page = await against((socket, message) => {
      if (isConnect(message)) socket.send(answer);
    });
    await page.locator(".failure", { hasText: words }).waitFor();
    await button(page, "Connect").waitFor();
    await assertSound(page);
    await page.context().close();
  }
});

test("more messages in flight than were allowed end the connection", async () => {
  const said = [];
  const page = await against((socket, message) => {
    said.push(message[0]);
    if (!isConnect(message)) return;
    const publish = (id) => Buffer.from([0x34, 6, 0, 1, 0x61, id >> 8, id & 0xff, 0]);
    socket.send(Buffer.concat([CONNACK, ...Array.from({ length: 101 }, (_, n) => publish(n + 1))]));
  });
  await page.locator(".failure", { hasText: "more messages are in flight than this client allows" }).waitFor();
  assert.equal(said.filter((first) => first === 0x50).length, 100, "each that was allowed got its PUBREC");
  assert.equal(said.at(-1), 0xe0, "DISCONNECT is the last");
  await page.context().close();
});

test("a duplicate with QoS 2 is shown once, and an unknown release is answered", async () => {
  const answers = [];
  const publish = (first) => Buffer.from([first, 8, 0, 1, 0x61, 0, 7, 0, 0x68, 0x69]);
  const page = await against((socket, message) => {
    if (isConnect(message)) return socket.send(Buffer.concat([CONNACK, publish(0x34), publish(0x3c), Buffer.from([0x62, 2, 0, 7]), Buffer.from([0x62, 2, 0, 8])]));
    answers.push(message.toString("hex"));
  });
  await arrivals(page).first().waitFor();
  await eventually(() => answers.length === 4, "all are answered");
  assert.deepEqual(answers, ["50020007", "50020007", "70020007", "7003000892"]);
  await page.getByText("1 message received").waitFor();
  await page.context().close();
});

test("a broker that takes no connection is told apart from one that refuses", async () => {
  const page = await open(browser, broker, { hash: "#/mqtt/client" });
  await page.routeWebSocket(/\/mqtt$/, (socket) => socket.close());
  await page.reload();
  await enter(page);
  await page.locator(".failure", { hasText: "did not take the connection" }).waitFor();
  await page.context().close();
});
