// The page of a queue: what it tells, and every action on it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Amqp, Mqtt } from "./clients.js";
import { assertAccessible, assertSound, Broker, confirm, eventually, launch, noteOf, open, visit } from "./support.js";

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

const at = (name, vhost = "/") => `queues/${encodeURIComponent(vhost)}/${encodeURIComponent(name)}`;
const queue = (name) => broker.api("GET", at(name));
const ready = async (name) => (await queue(name)).messages_ready;
const isGone = async (name) => (await broker.api("GET", "queues/%2F?columns=name")).every((each) => each.name !== name);
const fold = (page, title) => page.locator("details.fold", { has: page.locator("summary", { hasText: title }) });

/** Opens a part of the page, and gives it. */
async function unfold(page, title) {
  const part = fold(page, title);
  await part.locator("summary").first().click();
  return part;
}

async function fill(name, ...bodies) {
  for (const body of bodies) await broker.publish(name, body);
  await eventually(async () => (await ready(name)) === bodies.length, `${name} is filled`);
}

test("a page tells what a queue is, holds and obeys", async () => {
  await broker.declareQueue("orders", { durable: true, arguments: { "x-message-ttl": 3_600_000, "x-dead-letter-exchange": "graves" } });
  await broker.api("PUT", "policies/%2F/short", { pattern: "^orders$", definition: { "max-length": 7 }, "apply-to": "queues" });
  const page = await open(browser, broker);
  await visit(page, "#/queues/%2F/orders", "orders");
  await page.getByText("Messages expire after 1 h").waitFor();
  await page.getByText("Holds 7 messages at the most").waitFor();
  await page.locator("dd").getByText("short", { exact: true }).waitFor();
  assert.equal(await page.getByRole("link", { name: "graves" }).first().getAttribute("href"), "#/exchanges/%2F/graves");
  await fill("orders", "one", "two");
  await page.locator(".legend li", { hasText: "Ready" }).getByText("2", { exact: true }).waitFor();
  await eventually(async () => (await page.locator(".chart canvas").count()) >= 2, "charts are drawn", 30_000);
  await page.getByText("Nobody consumes: what is here waits").waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("a queue of an MQTT session leads to it, and shows its consumer", async () => {
  const client = await Mqtt.connect(broker, "reader-1");
  await client.subscribe("a/#", 1);
  const page = await open(browser, broker);
  await visit(page, "#/queues/%2F/mqtt.reader-1", "mqtt.reader-1");
  assert.equal(await page.getByRole("link", { name: "reader-1", exact: true }).getAttribute("href"), "#/mqtt/sessions/reader-1");
  const consumers = page.getByRole("region", { name: /^Consumers \(1\)/ });
  await consumers.getByRole("row").nth(1).getByText("active").waitFor();
  await consumers.getByRole("link", { name: "guest" }).waitFor();
  await page.getByRole("group", { name: "What sends to mqtt.reader-1", exact: true }).getByText("MQTT session").waitFor();
  await assertAccessible(page);
  const form = await unfold(page, "Delete this queue");
  await form.getByRole("button", { name: "Delete queue" }).click();
  await page.locator("dialog[open]", { hasText: "1 MQTT session will end with its queue" }).waitFor();
  await confirm(page, "Delete");
  await noteOf(page, "The queue mqtt.reader-1 is deleted");
  assert.deepEqual(await broker.api("GET", "mqtt/sessions"), []);
  await assertSound(page);
  await client.close();
  await page.context().close();
});

test("consumers are listed with their channels, and an exclusive queue is left to its connection", async () => {
  await broker.declareQueue("shared");
  const client = await Amqp.connect(broker);
  await client.channel(1);
  await client.declare(1, "private", { exclusive: true });
  await client.consume(1, "private", "for-myself", { noAck: true });
  await client.consume(1, "shared", "with-acks");
  await fill("shared");
  await broker.publish("shared", "held");
  const page = await open(browser, broker);
  await visit(page, "#/queues/%2F/shared", "shared");
  const row = page.getByRole("region", { name: /^Consumers \(1\)/ }).getByRole("row").nth(1);
  await row.waitFor();
  assert.deepEqual((await row.locator("td").allTextContents()).map((each) => each.trim()).filter((_, n) => n !== 1), ["with-acks", "guest", "yes", "no limit", "active", ""]);
  assert.match(decodeURIComponent(await row.getByRole("link").first().getAttribute("href")), /^#\/channels\/127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+ \(1\)$/);
  await page.locator(".legend li", { hasText: "Unacknowledged" }).getByText("1", { exact: true }).waitFor();
  const deletion = await unfold(page, "Delete this queue");
  await deletion.getByLabel("Only if nobody consumes").check();
  await deletion.getByRole("button", { name: "Delete queue" }).click();
  await page.locator("dialog[open]", { hasText: "1 consumer will be cancelled" }).waitFor();
  await confirm(page, "Delete");
  await deletion.getByRole("alert").filter({ hasText: "in use" }).waitFor();
  await visit(page, "#/queues/%2F/private", "private");
  await page.getByText("This queue is exclusive: only its connection may use it").waitFor();
  assert.match(decodeURIComponent(await page.locator("p.hint a[href^='#/connections']").getAttribute("href")), /^#\/connections\/127\.0\.0\.1:\d+ -> /);
  for (const action of ["Purge", "Delete this queue", "Look at messages", "Get messages"]) assert.equal(await page.getByText(action).count(), 0, action);
  await assertAccessible(page);
  await assertSound(page);
  await client.close();
  await page.context().close();
});

test("bindings are drawn, also those behind an exchange, listed, made and removed", async () => {
  await broker.declareQueue("bound");
  for (const name of ["near", "far"]) await broker.api("PUT", `exchanges/%2F/${name}`, { type: "topic", durable: true });
  await broker.api("POST", "bindings/%2F/e/far/e/near", { routing_key: "a.#" });
  await broker.api("POST", "bindings/%2F/e/near/e/far", { routing_key: "circle" });
  const page = await open(browser, broker);
  await visit(page, "#/queues/%2F/bound", "bound");
  await page.getByText("Every queue is bound to the default exchange").waitFor();
  const form = await unfold(page, "Bind to an exchange");
  await form.getByLabel("Exchange", { exact: true }).fill("missing");
  await form.getByLabel("Routing key", { exact: true }).fill("a.*.c");
  await form.getByRole("button", { name: "Bind", exact: true }).click();
  await form.getByRole("alert").filter({ hasText: "There is no exchange missing" }).waitFor();
  await form.getByLabel("Exchange", { exact: true }).fill("near");
  await form.getByRole("button", { name: "Bind", exact: true }).click();
  await noteOf(page, "bound gets messages from near");
  const made = (await broker.api("GET", "queues/%2F/bound/bindings")).filter(({ source }) => source === "near");
  assert.deepEqual(made.map(({ routing_key: key }) => key), ["a.*.c"]);
  const drawing = page.getByRole("group", { name: "What sends to bound", exact: true });
  await drawing.getByRole("link", { name: "far" }).waitFor();
  assert.equal(await drawing.locator("g.node").count(), 3);
  assert.equal(await drawing.locator("g.edge").count(), 3);
  await page.getByText("In words").click();
  await page.getByRole("listitem").filter({ hasText: "exchange far sends to exchange near: a.#" }).waitFor();
  await page.getByRole("listitem").filter({ hasText: "exchange near sends to queue bound: a.*.c" }).waitFor();
  await assertAccessible(page);
  await page.getByLabel("Choose near → bound by a.*.c").check();
  await page.getByRole("button", { name: "Unbind (1)" }).click();
  await confirm(page, "Unbind");
  await noteOf(page, "Unbind: 1 row done");
  assert.equal((await broker.api("GET", "queues/%2F/bound/bindings")).length, 1);
  await drawing.waitFor({ state: "detached" });
  await page.getByLabel("Choose (default exchange) → bound by bound").check();
  await page.getByRole("button", { name: "Unbind (1)" }).click();
  await confirm(page, "Unbind");
  await page.locator(".notice.failed", { hasText: "keeps its binding" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("a message is published to the queue", async () => {
  await broker.declareQueue("target");
  const page = await open(browser, broker);
  await visit(page, "#/queues/%2F/target", "target");
  const form = await unfold(page, "Publish a message");
  await form.getByLabel("Body", { exact: true }).fill("hello");
  await form.getByRole("button", { name: "Publish message" }).click();
  await form.getByText("Routed").waitFor();
  const [message] = await broker.api("GET", `${at("target")}/peek`);
  assert.equal(message.payload, "hello");
  await page.locator(".legend li", { hasText: "Ready" }).getByText("1", { exact: true }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("messages are got in three manners, and those that destroy ask first", async () => {
  await broker.declareQueue("grave");
  await broker.declareQueue("taken", { durable: true, arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave" } });
  const page = await open(browser, broker);
  await visit(page, "#/queues/%2F/taken", "taken");
  const form = await unfold(page, "Get messages");
  const take = form.getByRole("button", { name: "Get messages" });
  await take.click();
  await form.getByText("No message waits").waitFor();
  await fill("taken", "first", "second", "third");
  await take.click();
  await form.getByText("1 message; 2 messages waited behind").waitFor();
  await form.locator("pre", { hasText: "first" }).waitFor();
  await eventually(async () => (await ready("taken")) === 3, "it goes back");
  await form.getByLabel("Afterwards they").selectOption("ack_requeue_false");
  await take.click();
  await confirm(page, "Cancel");
  assert.equal(await ready("taken"), 3);
  await take.click();
  await confirm(page, "Remove");
  await eventually(async () => (await ready("taken")) === 2, "it is gone");
  await form.getByLabel("Afterwards they").selectOption("reject_requeue_false");
  await form.getByLabel("How many").fill("2");
  await take.click();
  await page.locator("dialog[open]", { hasText: "dead letters if the queue has a place for them" }).waitFor();
  await confirm(page, "Reject");
  await form.getByText("2 messages; 0 messages waited behind").waitFor();
  await eventually(async () => (await ready("grave")) === 2 && (await ready("taken")) === 0, "they are dead letters");
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("messages are moved to another queue", async () => {
  await broker.declareQueue("from");
  await broker.declareQueue("to");
  await fill("from", "1", "2", "3");
  const page = await open(browser, broker);
  await visit(page, "#/queues/%2F/from", "from");
  const form = await unfold(page, "Move messages");
  await form.getByLabel("To the queue").fill("nowhere");
  await form.getByRole("button", { name: "Move messages" }).click();
  await confirm(page, "Move");
  await form.getByRole("alert").waitFor();
  assert.equal(await ready("from"), 3);
  await form.getByLabel("To the queue").fill("to");
  await form.getByLabel("How many").fill("2");
  await form.getByRole("button", { name: "Move messages" }).click();
  await page.locator("dialog[open]", { hasText: "The first 2 messages in from" }).waitFor();
  await confirm(page, "Move");
  await form.getByText("2 messages moved to").waitFor();
  const moved = await broker.api("GET", `${at("to")}/peek?count=5`);
  assert.deepEqual([moved.map(({ payload }) => payload), await ready("from")], [["1", "2"], 1]);
  await broker.publish("from", "4");
  await broker.declareQueue("small", { durable: true, arguments: { "x-max-length": 1, "x-overflow": "reject-publish" } });
  await form.getByLabel("To the queue").fill("small");
  await form.getByLabel("How many").fill("");
  await form.getByRole("button", { name: "Move messages" }).click();
  await page.locator("dialog[open]", { hasText: "All messages that wait in from" }).waitFor();
  await confirm(page, "Move");
  await form.getByText("1 message moved to small. Then it ended: the destination has no room for more.").waitFor();
  assert.equal(await ready("from"), 1);
  await assertSound(page);
  await page.context().close();
});

test("a queue is purged and deleted after a question, and only as it was asked", async () => {
  await broker.declareQueue("short-lived");
  await fill("short-lived", "1", "2");
  const page = await open(browser, broker);
  await visit(page, "#/queues/%2F/short-lived", "short-lived");
  const form = await unfold(page, "Delete this queue");
  await form.getByLabel("Only if it is empty").check();
  await form.getByRole("button", { name: "Delete queue" }).click();
  await page.locator("dialog[open]", { hasText: "2 messages will be lost, and all bindings" }).waitFor();
  await confirm(page, "Delete");
  await form.getByRole("alert").filter({ hasText: "not empty" }).waitFor();
  await page.getByRole("button", { name: "Purge" }).click();
  await confirm(page, "Purge");
  await noteOf(page, "short-lived is purged");
  assert.equal(await ready("short-lived"), 0);
  await page.locator(".legend li", { hasText: "Ready" }).getByText("0", { exact: true }).waitFor();
  await form.getByRole("button", { name: "Delete queue" }).click();
  await confirm(page, "Delete");
  await page.getByRole("heading", { level: 1, name: "Queues" }).waitFor();
  await noteOf(page, "The queue short-lived is deleted");
  assert.ok(await isGone("short-lived"));
  await visit(page, "#/queues/%2F/short-lived", "short-lived");
  await page.getByRole("alert").filter({ hasText: "It is not there" }).waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("a narrow screen and the dark are served as well", async () => {
  const name = "a-rather-long-name-of-a-queue-that-somebody-thought-of-on-a-friday-afternoon.v2";
  await broker.declareQueue(name, { durable: true, arguments: { "x-dead-letter-exchange": name, "x-max-length": 3 } });
  await broker.api("POST", `bindings/%2F/e/amq.topic/q/${name}`, { routing_key: `${name}.${name}.#` });
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(browser, broker, { viewport: { width: 360, height: 740 }, colorScheme });
    await visit(page, `#/queues/%2F/${name}`, name);
    await page.locator("g.edge").nth(1).waitFor();
    for (const summary of await page.locator("main .fold > summary").all()) await summary.click();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await assertAccessible(page);
    await page.context().close();
  }
});
