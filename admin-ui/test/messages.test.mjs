// The message browser: what waits is looked at, in all its forms, and stays as it was.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { assertAccessible, assertSound, Broker, eventually, HOSTILE, launch, noteOf, open, visit } from "./support.js";

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

const at = (name) => `queues/%2F/${encodeURIComponent(name)}`;
const ready = async (name) => (await broker.api("GET", at(name))).messages_ready;
const peek = (name, count = 100) => broker.api("GET", `${at(name)}/peek?count=${count}`);
const body = (page) => page.getByRole("group", { name: "Body", exact: true });
const as = (page, form) => page.getByRole("group", { name: "Show the body as" }).getByRole("button", { name: form });

async function publishOctets(queue, octets, properties = {}) {
  await broker.api("POST", "exchanges/%2F/amq.default/publish", { routing_key: queue, payload: Buffer.from(octets).toString("base64"), payload_encoding: "base64", properties });
}

async function look(page, name) {
  await visit(page, `#/${at(name)}/messages`, `Messages in ${name}`);
  await page.locator(".browser").waitFor();
}

test("a queue without messages says how one comes there", async () => {
  await broker.declareQueue("empty");
  const page = await open(browser, broker);
  await visit(page, "#/queues/%2F/empty", "empty");
  await page.getByRole("link", { name: "Look at messages" }).first().click();
  await page.getByText("No message waits in this queue").waitFor();
  await assertAccessible(page);
  await broker.publish("empty", "there it is");
  await page.getByRole("button", { name: "Look again" }).click();
  await body(page).getByText("there it is").waitFor();
  await assertSound(page);
  await page.context().close();
});

test("a message is shown with its properties and headers, and as JSON, text, octets and base64", async () => {
  await broker.declareQueue("seen");
  const text = '{"id":12345678901234567890,"list":[1,{"deep":null}],"none":[]}';
  const headers = { trace: "abc", tries: 3, nested: { list: [1, true] } };
  await broker.publish("seen", text, { content_type: "application/json", delivery_mode: 2, priority: 4, message_id: "m-1", timestamp: 1_700_000_000, expiration: "600000", headers });
  await publishOctets("seen", [0xff, 0x00, 0x41], { content_type: "image/png" });
  const page = await open(browser, broker);
  await look(page, "seen");
  assert.equal(await body(page).textContent(), '{\n  "id": 12345678901234567890,\n  "list": [\n    1,\n    {\n      "deep": null\n    }\n  ],\n  "none": []\n}');
  await as(page, "Text").click();
  assert.equal(await body(page).textContent(), text);
  await as(page, "Hex").click();
  assert.match(await body(page).textContent(), /^00000000 {2}7b 22 69 64 22 3a 31 32 {2}33 34 35 36 37 38 39 30 {2}\{"id":1234567890\n/);
  await as(page, "Base64").click();
  assert.equal(Buffer.from(await body(page).textContent(), "base64").toString(), text);
  const properties = page.getByRole("region", { name: "Properties" });
  const when = await page.evaluate(() => new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(1_700_000_000_000)));
  for (const value of ["2: persistent", "(default exchange)", "application/json", "m-1", when]) await properties.getByText(value, { exact: true }).waitFor();
  await properties.getByText(/^(9 min( \d+ s)?|10 min)$/).waitFor();
  const shown = await page.getByRole("region", { name: "Headers" }).locator("dl > div").allTextContents();
  assert.deepEqual(shown.map((each) => each.replace(/\s+/g, " ")), ['nested{ "list": [ 1, true ] }', "traceabc", "tries3 number"]);
  await assertAccessible(page);
  await page.getByRole("button", { name: "Open message 2" }).click();
  await page.getByRole("heading", { name: "Message 2" }).waitFor();
  assert.match(await body(page).textContent(), /^00000000 {2}ff 00 41 .*··A$/);
  assert.deepEqual(await page.getByRole("group", { name: "Show the body as" }).getByRole("button").allTextContents(), ["Hex", "Base64"]);
  const after = await peek("seen");
  assert.deepEqual(after.map(({ redelivered }) => redelivered), [false, false], "nobody notices");
  await assertSound(page);
  await page.context().close();
});

test("a body is copied and downloaded as it is", async () => {
  await broker.declareQueue("kept");
  const octets = Buffer.from(Array.from({ length: 100_000 }, (_, n) => (n * 7) % 256));
  await publishOctets("kept", octets, { message_id: "../report 1", content_type: "application/pdf" });
  await broker.publish("kept", "short\r\ntext");
  const page = await open(browser, broker, { permissions: ["clipboard-read", "clipboard-write"] });
  await look(page, "kept");
  await page.getByText("These are the first 16 KiB").waitFor();
  assert.ok(await page.getByRole("button", { name: "Publish again…" }).isDisabled());
  await page.getByRole("button", { name: "Fetch the whole body" }).click();
  await page.getByText("The first 64 KiB are shown. The download has all.").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
  assert.equal(download.suggestedFilename(), "_report_1.pdf");
  assert.ok((await readFile(await download.path())).equals(octets));
  await page.getByRole("button", { name: "Open message 2" }).click();
  await page.getByRole("heading", { name: "Message 2" }).waitFor();
  await page.getByRole("button", { name: "Copy" }).click();
  await noteOf(page, "Copied");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "short\r\ntext");
  await assertSound(page);
  await page.context().close();
});

test("a packed body is unpacked, if it is one", async () => {
  await broker.declareQueue("packed");
  await publishOctets("packed", gzipSync('{"packed":[1,2]}'), { content_encoding: "gzip" });
  await publishOctets("packed", [1, 2, 3], { content_encoding: "gzip" });
  await publishOctets("packed", gzipSync(Buffer.alloc(64 * 1024 * 1024)), { content_encoding: "gzip" });
  const page = await open(browser, broker);
  await look(page, "packed");
  await body(page).getByText(/^00000000 {2}1f 8b/).waitFor();
  await page.getByRole("button", { name: "Unpack" }).click();
  await body(page).getByText('"packed": [').waitFor();
  await as(page, "Text").click();
  assert.equal(await body(page).textContent(), '{"packed":[1,2]}');
  for (const [n, words] of [[2, "and is not, or not all of it"], [3, "too large for this page"]]) {
    await page.getByRole("button", { name: `Open message ${n}` }).click();
    await page.getByRole("heading", { name: `Message ${n}` }).waitFor();
    const whole = page.getByRole("button", { name: "Fetch the whole body" });
    if (await whole.isVisible()) await whole.click();
    await page.getByRole("button", { name: "Unpack" }).click();
    await page.locator(".notice.failed", { hasText: words }).waitFor();
  }
  await assertSound(page);
  await page.context().close();
});

test("a whole body is not taken from a message that has come to its place since", async () => {
  await broker.declareQueue("shifting");
  await broker.publish("shifting", `${"a".repeat(16_383)}é${"a".repeat(3_000)}`);
  await broker.publish("shifting", "b".repeat(19_385));
  const page = await open(browser, broker);
  await look(page, "shifting");
  await page.getByText("These are the first 16 KiB").waitFor();
  assert.equal(await body(page).textContent(), "a".repeat(16_383), "a character that was cut off does not make octets of a text");
  await broker.api("POST", `${at("shifting")}/get`, { count: 1, ackmode: "ack_requeue_false", encoding: "auto" });
  await page.getByRole("button", { name: "Fetch the whole body" }).click();
  await page.getByRole("alert").filter({ hasText: "Another message has this place by now" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("what waits comes in pages, and is found within one", async () => {
  await broker.declareQueue("long");
  for (let n = 1; n <= 120; n += 1) await broker.publish("long", `body ${n}`, { headers: { number: `no-${n}-` } });
  await eventually(async () => (await ready("long")) === 120, "all are there");
  const page = await open(browser, broker);
  await look(page, "long");
  await page.getByText("1 to 50 of 120").waitFor();
  await page.getByRole("button", { name: "Open message 1", exact: true }).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await body(page).getByText("body 2", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("51 to 100 of 120").waitFor();
  await body(page).getByText("body 51", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("101 to 120 of 120").waitFor();
  assert.ok(await page.getByRole("button", { name: "Next" }).isDisabled());
  await page.keyboard.press("/");
  await page.keyboard.type("NO-117-");
  await page.getByText("1 message of 101 to 120").waitFor();
  await body(page).getByText("body 117", { exact: true }).waitFor();
  await page.getByLabel("Find in these messages").fill("nothing like it");
  await page.getByText("None of the messages of this page").waitFor();
  await assertAccessible(page);
  await page.getByLabel("Find in these messages").fill("");
  await broker.api("DELETE", `${at("long")}/contents`);
  await page.getByRole("button", { name: "Look again" }).click();
  await page.getByText("Fewer than 101 messages wait now").waitFor();
  await page.getByRole("button", { name: "To the first" }).click();
  await page.getByText("No message waits in this queue").waitFor();
  await assertSound(page);
  await page.context().close();
});

test("the death history is a timeline in words, the oldest first", async () => {
  await broker.declareQueue("last");
  await broker.declareQueue("second", { durable: true, arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "last" } });
  await broker.declareQueue("first", { durable: true, arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "second" } });
  await broker.publish("first", "mortal", { expiration: "1" });
  await eventually(async () => (await ready("second")) === 1, "it expires");
  await broker.api("POST", `${at("second")}/get`, { count: 1, ackmode: "reject_requeue_false", encoding: "auto" });
  await eventually(async () => (await ready("last")) === 1, "it is rejected");
  const page = await open(browser, broker);
  await look(page, "last");
  const steps = await page.getByRole("region", { name: "Death history" }).getByRole("listitem").allTextContents();
  assert.equal(steps.length, 3);
  assert.match(steps[0], /It expired in first\..*It was to live for 1 ms/s);
  assert.match(steps[1], /A consumer rejected it, in second\..*\(default exchange\) with the key second/s);
  assert.match(steps[2], /now.*It waits in last/s);
  assert.equal(await page.getByRole("region", { name: "Headers" }).textContent(), "Headersnone", "the timeline tells them");
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("a message is published again, to a queue or an exchange, and stays", async () => {
  for (const name of ["again", "copies", "by-key"]) await broker.declareQueue(name);
  await broker.api("PUT", "exchanges/%2F/router", { type: "direct", durable: true });
  await broker.api("POST", "bindings/%2F/e/router/q/by-key", { routing_key: "k" });
  const death = { queue: "copies", reason: "rejected", count: 2, exchange: "", "routing-keys": ["copies"], time: 1_700_000_000 };
  await publishOctets("again", [0, 1, 2, 255], { type: "t", headers: { own: 1, "x-death": [death], "x-first-death-queue": "copies" } });
  const page = await open(browser, broker);
  await look(page, "again");
  await page.getByText("2 times; the time is that of the first").waitFor();
  const dialog = page.locator("dialog[open]");
  await page.getByRole("button", { name: "Publish again…" }).click();
  await assertAccessible(page);
  await dialog.getByLabel("Queue", { exact: true }).fill("missing");
  await dialog.getByRole("button", { name: "Publish copy" }).click();
  await dialog.getByRole("alert").filter({ hasText: "There is no queue missing" }).waitFor();
  await dialog.getByLabel("Queue", { exact: true }).fill("copies");
  await dialog.getByRole("button", { name: "Publish copy" }).click();
  await noteOf(page, "Published to copies");
  const [copy] = await peek("copies");
  assert.deepEqual([copy.payload, copy.properties.type, copy.properties.headers], ["AAEC/w==", "t", { own: 1 }]);
  await page.getByRole("button", { name: "Publish again…" }).click();
  await dialog.getByLabel("To", { exact: true }).selectOption("an exchange");
  await dialog.getByLabel("Exchange", { exact: true }).fill("router");
  await dialog.getByLabel("Routing key", { exact: true }).fill("other");
  await dialog.getByLabel("Without its death history").uncheck();
  await dialog.getByRole("button", { name: "Publish copy" }).click();
  await dialog.getByRole("alert").filter({ hasText: "router has no binding that takes the key other" }).waitFor();
  await dialog.getByLabel("Routing key", { exact: true }).fill("k");
  await dialog.getByRole("button", { name: "Publish copy" }).click();
  await noteOf(page, "Published to router");
  const [whole] = await peek("by-key");
  assert.equal(whole.properties.headers["x-death"][0].count, 2);
  assert.equal(await ready("again"), 1);
  await assertSound(page);
  await page.context().close();
});

test("whatever a client puts into a message is text", async () => {
  await broker.declareQueue("hostile");
  const garbage = [null, 7, "x", {}, { queue: HOSTILE[0], reason: HOSTILE[0], count: "many", time: "soon", exchange: HOSTILE[0], "routing-keys": 5 }];
  for (const name of HOSTILE) {
    const texts = Object.fromEntries(["content_type", "content_encoding", "correlation_id", "reply_to", "message_id", "type", "app_id"].map((property) => [property, name]));
    await broker.publish("hostile", name, { ...texts, headers: { [name]: name, list: [{ [name]: name }], "x-death": garbage } });
  }
  await broker.publish("hostile", "expires as a text", { headers: { "x-death": "no list" }, timestamp: Number.MAX_SAFE_INTEGER });
  const page = await open(browser, broker);
  await look(page, "hostile");
  for (let n = 1; n <= HOSTILE.length + 1; n += 1) {
    await page.getByRole("button", { name: `Open message ${n}` }).click();
    await page.getByRole("heading", { name: `Message ${n}` }).waitFor();
    if (n > HOSTILE.length) continue;
    assert.equal(await body(page).textContent(), HOSTILE[n - 1]);
    await page.getByRole("region", { name: "Headers" }).locator("dt").filter({ hasText: HOSTILE[n - 1] }).waitFor();
  }
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("messages that came over MQTT are shown with what their properties became", async () => {
  await broker.declareQueue("from-mqtt");
  await broker.api("POST", "bindings/%2F/e/amq.topic/q/from-mqtt", { routing_key: "rooms.#" });
  await broker.api("POST", "mqtt/publish", { topic: "rooms/7/temp", payload: "21.5", qos: 1, properties: { content_type: "text/plain", response_topic: "answers/7", user_properties: { sensor: "s-1" } } });
  const page = await open(browser, broker);
  await look(page, "from-mqtt");
  assert.equal(await body(page).textContent(), "21.5");
  const properties = page.getByRole("region", { name: "Properties" });
  for (const value of ["rooms.7.temp", "amq.topic", "text/plain", "answers.7"]) await properties.getByText(value, { exact: true }).waitFor();
  await page.getByRole("region", { name: "Headers" }).getByText("s-1").waitFor();
  await assertSound(page);
  await page.context().close();
});

test("a narrow screen and the dark show messages as well", async () => {
  await broker.declareQueue("narrow");
  await broker.publish("narrow", "x".repeat(500), { headers: { ["a-long-header-name-".repeat(6)]: "y".repeat(300) }, message_id: "z".repeat(200) });
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(browser, broker, { viewport: { width: 360, height: 740 }, colorScheme });
    await look(page, "narrow");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await as(page, "Hex").click();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await assertAccessible(page);
    await page.context().close();
  }
});
