// The form that publishes, and exchanges of hostile names, against a real broker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertAccessible, assertSound, Broker, confirm, HOSTILE, launch, open, visit } from "./support.js";

const part = encodeURIComponent;
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

const declare = (name, body = { type: "topic", durable: true }) => broker.api("PUT", `exchanges/%2F/${part(name)}`, body);
const bind = (source, kind, destination, routing_key = "", args = {}) =>
  broker.api("POST", `bindings/%2F/e/${part(source)}/${kind}/${part(destination)}`, { routing_key, arguments: args });
const names = async () => (await broker.api("GET", "exchanges/%2F")).map(({ name }) => name);
const messages = (queue, body = { count: 10, ackmode: "ack_requeue_true", encoding: "auto" }) => broker.api("POST", `queues/%2F/${part(queue)}/get`, body);
const panel = (page, title) => page.getByRole("region", { name: title, exact: true });

test("a message is published with all its properties and headers, and its fate is told", async () => {
  await declare("mail");
  await broker.declareQueue("letters");
  await bind("mail", "q", "letters", "to.#");
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/mail" });
  await page.getByText("Publish a message").click();
  const form = page.locator(".publish form");
  await form.getByLabel("Routing key").fill("to.you");
  await form.getByLabel("Body", { exact: true }).fill('{"n": 1}');
  await form.getByLabel("Content type").fill("application/json");
  await form.getByRole("button", { name: "other…" }).click();
  await form.getByLabel("Headers: name 1").fill("farm");
  await form.getByLabel("Headers: value of farm").fill("north");
  await form.getByText("More properties").click();
  const texts = { "Message id": "m1", "Correlation id": "c1", "Reply to": "r1", Type: "t1", Application: "a1", User: "guest", Priority: "3", "Expires after": "600000", Timestamp: "1700000000", "Content encoding": "identity" };
  for (const [label, value] of Object.entries(texts)) await form.getByLabel(label, { exact: true }).fill(value);
  await assertAccessible(page);
  await form.getByRole("button", { name: "Publish message" }).click();
  await page.getByText("Routed: at least one queue got it").waitFor();
  const [message] = await messages("letters");
  assert.equal(message.payload, '{"n": 1}');
  assert.equal(message.routing_key, "to.you");
  assert.deepEqual(message.properties, { content_type: "application/json", content_encoding: "identity", headers: { farm: "north" }, delivery_mode: 2, priority: 3, correlation_id: "c1", reply_to: "r1", expiration: "600000", message_id: "m1", timestamp: 1700000000, type: "t1", user_id: "guest", app_id: "a1" });

  await form.getByRole("button", { name: "Publish message" }).click();
  await page.getByText("2 messages so far").waitFor();
  await form.getByLabel("Routing key").fill("elsewhere");
  await form.getByLabel("Persistent").uncheck();
  await form.getByRole("button", { name: "Publish message" }).click();
  await page.getByText("Not routed: no queue got it").waitFor();
  await assertAccessible(page);
  await form.getByLabel("Timestamp", { exact: true }).fill("");
  await form.getByLabel("User", { exact: true }).fill("somebody");
  await form.getByRole("button", { name: "Publish message" }).click();
  await form.getByRole("alert").filter({ hasText: "somebody" }).waitFor();
  await page.getByText("Not routed").waitFor({ state: "detached" });
  assert.equal((await messages("letters")).length, 2);
  await assertSound(page);
  await page.context().close();
});

test("octets are published from base64", async () => {
  await broker.declareQueue("octets");
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/amq.default" });
  await page.getByText("Publish a message").click();
  await page.locator(".publish").getByLabel("Routing key").fill("octets");
  await page.getByLabel("Body", { exact: true }).fill("AP8=");
  await page.getByLabel("The body is").selectOption("base64");
  await page.getByRole("button", { name: "Publish message" }).click();
  await page.getByText("Routed: at least one queue got it").waitFor();
  const [message] = await messages("octets");
  assert.deepEqual([message.payload, message.payload_encoding], ["AP8=", "base64"]);
  await page.context().close();
});

test("hostile names are text everywhere, and what they name can be bound and deleted", async () => {
  const page = await open(browser, broker, { hash: "#/exchanges" });
  for (const name of HOSTILE) {
    await declare(name);
    await broker.declareQueue(name);
    await visit(page, `#/exchanges/%2F/${part(name)}`, name);
    await page.locator("summary", { hasText: "Bind" }).click();
    await page.getByLabel("Queue", { exact: true }).fill(name);
    await page.locator("details", { hasText: "Messages go" }).getByLabel("Routing key").fill(name);
    await page.getByRole("button", { name: "Bind", exact: true }).click();
    await panel(page, "Bindings from here").getByRole("link", { name, exact: true }).waitFor();
    const [binding] = await broker.api("GET", `exchanges/%2F/${part(name)}/bindings/source`);
    assert.deepEqual([binding.destination, binding.routing_key], [name, name]);
    await page.getByText("Publish a message").click();
    await page.locator(".publish").getByLabel("Routing key").fill(name);
    await page.getByRole("button", { name: "Publish message" }).click();
    await page.getByText("Routed: at least one queue got it").waitFor();
    await assertSound(page);
  }
  await visit(page, "#/exchanges", "Exchanges");
  for (const name of HOSTILE) await page.getByRole("link", { name, exact: true }).waitFor();
  await visit(page, "#/bindings", "Bindings");
  for (const name of HOSTILE) await page.getByRole("link", { name, exact: true }).first().waitFor();
  await assertAccessible(page);
  for (const name of HOSTILE) {
    await visit(page, `#/exchanges/%2F/${part(name)}`, name);
    const from = panel(page, "Bindings from here");
    await from.getByLabel("Choose all rows").check();
    await from.getByRole("button", { name: "Unbind (1)" }).click();
    await confirm(page, "Unbind");
    await page.getByText("Nothing is bound to this exchange").waitFor();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await confirm(page, "Delete");
    await page.getByRole("heading", { level: 1, name: "Exchanges" }).waitFor();
    assert.ok(!(await names()).includes(name));
  }
  await assertSound(page);
  await page.context().close();
});
