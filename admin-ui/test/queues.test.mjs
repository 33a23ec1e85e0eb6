// Queues: the list, what can be done with many of them, hostile names, roles, and ten thousand of them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertAccessible, assertSound, Broker, confirm, eventually, HOSTILE, launch, noteOf, open, visit } from "./support.js";

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

test("an empty list says what queues are, and the form below declares one", async () => {
  const page = await open(browser, broker);
  await visit(page, "#/queues", "Queues");
  await page.getByText("There are no queues here").waitFor();
  await assertAccessible(page);
  const form = await unfold(page, "Declare a queue");
  await form.getByLabel("Name", { exact: true }).fill("declared");
  await form.getByRole("button", { name: "x-message-ttl" }).click();
  await form.getByLabel("Arguments: value of x-message-ttl").fill("soon");
  await form.getByRole("button", { name: "Declare queue" }).click();
  await form.getByRole("alert").filter({ hasText: "x-message-ttl has to be a number" }).waitFor();
  await form.getByLabel("Arguments: value of x-message-ttl").fill("60000");
  await form.getByText("Messages expire after 1 min").waitFor();
  await form.getByLabel("Auto-delete").check();
  await form.getByRole("button", { name: "Declare queue" }).click();
  await noteOf(page, "The queue declared is there");
  await page.getByRole("link", { name: "declared" }).waitFor();
  const made = await queue("declared");
  assert.deepEqual([made.durable, made.auto_delete, made.arguments], [true, true, { "x-message-ttl": 60000 }]);
  await form.getByLabel("Name", { exact: true }).fill("declared");
  await form.getByRole("button", { name: "Declare queue" }).click();
  await form.getByRole("alert").filter({ hasText: "inequivalent arg" }).waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await broker.api("DELETE", at("declared"));
  await page.context().close();
});

test("the list shows what queues are and hold, sorts, filters, and purges and deletes many", async () => {
  await broker.declareQueue("many-1", { durable: true, arguments: { "x-max-length": 10, "x-dead-letter-exchange": "", "x-single-active-consumer": true } });
  await broker.declareQueue("many-2");
  await broker.declareQueue("other");
  await broker.api("PUT", "policies/%2F/limit", { pattern: "^other$", definition: { "max-length": 5 }, "apply-to": "queues" });
  await fill("many-1", "a", "b");
  await fill("many-2", "c");
  const page = await open(browser, broker);
  await visit(page, "#/queues", "Queues");
  const row = (name) => page.getByRole("row", { name: new RegExp(name) });
  for (const word of ["D", "Lim", "DLX", "SAC"]) await row("many-1").locator(".badge", { hasText: new RegExp(`^${word}$`) }).waitFor();
  await row("other").getByText("limit").waitFor();
  await page.getByRole("button", { name: "Ready" }).click();
  await page.getByRole("button", { name: "Ready" }).click();
  await page.locator("tbody tr").first().getByRole("link", { name: "many-1" }).waitFor();
  await page.getByLabel("Filter Queues").fill("many");
  await page.getByText("2 of 3").waitFor();
  await page.getByLabel("Choose all rows of this page").check();
  await page.getByRole("button", { name: "Purge (2)" }).click();
  await page.locator("dialog[open]", { hasText: "3 messages that wait will be gone" }).waitFor();
  await assertAccessible(page);
  await confirm(page, "Cancel");
  assert.equal(await ready("many-1"), 2);
  await page.getByRole("button", { name: "Purge (2)" }).click();
  await confirm(page, "Purge");
  await noteOf(page, "Purge: 2 rows done");
  assert.deepEqual([await ready("many-1"), await ready("many-2")], [0, 0]);
  await page.getByLabel("Choose many-2").check();
  await page.getByRole("button", { name: "Delete (1)" }).click();
  await confirm(page, "Delete");
  await noteOf(page, "Delete: 1 row done");
  await row("many-2").waitFor({ state: "detached" });
  assert.ok((await isGone("many-2")) && !(await isGone("many-1")));
  await page.getByText("Columns").click();
  await page.getByRole("checkbox", { name: "In memory" }).check();
  await page.getByRole("columnheader", { name: "In memory" }).waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("the list follows the virtual host that was chosen", async () => {
  await broker.api("PUT", "vhosts/second");
  await broker.api("PUT", "permissions/second/guest", { configure: ".*", write: ".*", read: ".*" });
  await broker.declareQueue("of-second", { durable: true }, "second");
  const page = await open(browser, broker);
  await page.getByLabel("Virtual host").selectOption("second");
  await visit(page, "#/queues", "Queues");
  await page.getByRole("link", { name: "of-second" }).click();
  await page.getByRole("heading", { level: 1, name: "of-second" }).waitFor();
  await visit(page, "#/queues", "Queues");
  await page.getByRole("link", { name: "of-second" }).waitFor();
  assert.deepEqual(await page.locator("tbody a").allTextContents(), ["of-second"]);
  await broker.api("DELETE", "vhosts/second");
  await page.context().close();
});

test("hostile names are text, in the list and on their pages", async () => {
  for (const name of HOSTILE) {
    await broker.declareQueue(name, { durable: true, arguments: { "x-dead-letter-exchange": name } });
    await broker.api("PUT", `exchanges/%2F/${encodeURIComponent(name)}`, { type: "direct", durable: true });
    await broker.api("POST", `bindings/%2F/e/${encodeURIComponent(name)}/q/${encodeURIComponent(name)}`, { routing_key: name, arguments: { [name]: name } });
  }
  const page = await open(browser, broker);
  for (const name of HOSTILE) {
    await visit(page, "#/queues", "Queues");
    await page.getByRole("link", { name, exact: true }).click();
    await page.locator("h1", { hasText: name }).waitFor();
    await page.getByRole("group", { name: `What sends to ${name}`, exact: true }).locator("g.edge").nth(1).waitFor();
    await page.getByRole("row").filter({ has: page.locator("code", { hasText: name }) }).first().waitFor();
    assert.deepEqual(new URL(page.url()).hash.split("/").slice(2).map(decodeURIComponent), ["/", name]);
  }
  await assertAccessible(page);
  await assertSound(page);
  for (const name of HOSTILE) await broker.api("DELETE", at(name));
  await page.context().close();
});

test("whoever may not, is told so and sees nothing changed", async () => {
  await broker.declareQueue("guarded");
  await fill("guarded", "kept");
  await broker.api("PUT", "users/viewer", { password: "secret", tags: "management" });
  await broker.api("PUT", "permissions/%2F/viewer", { configure: "^$", write: "^$", read: "^$" });
  const page = await open(browser, broker, { user: "viewer", password: "secret" });
  await visit(page, "#/queues/%2F/guarded", "guarded");
  await page.getByRole("button", { name: "Purge" }).click();
  await confirm(page, "Purge");
  await page.locator(".notice.failed", { hasText: "You may not do this" }).waitFor();
  const form = await unfold(page, "Delete this queue");
  await form.getByRole("button", { name: "Delete queue" }).click();
  await confirm(page, "Delete");
  await form.getByRole("alert").filter({ hasText: "You may not do this" }).waitFor();
  assert.equal(await ready("guarded"), 1);
  await visit(page, "#/queues/%2F/guarded/messages", "Messages in guarded");
  await page.getByRole("alert").filter({ hasText: "You may not do this" }).waitFor();
  await visit(page, "#/queues", "Queues");
  const declare = await unfold(page, "Declare a queue");
  await declare.getByLabel("Name", { exact: true }).fill("mine");
  await declare.getByRole("button", { name: "Declare queue" }).click();
  await declare.getByRole("alert").filter({ hasText: "You may not do this" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("a narrow screen and the dark are served as well", async () => {
  await broker.declareQueue("a-rather-long-name-of-a-queue-that-somebody-thought-of-on-a-friday-afternoon.v2");
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(browser, broker, { viewport: { width: 360, height: 740 }, colorScheme });
    await visit(page, "#/queues", "Queues");
    await page.getByRole("link", { name: /^a-rather-long-name/ }).waitFor();
    const form = await unfold(page, "Declare a queue");
    await form.getByRole("button", { name: "x-max-length", exact: true }).click();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await assertAccessible(page);
    await page.context().close();
  }
});

test("ten thousand queues come in pages, and one of them is found", async () => {
  const names = Array.from({ length: 10_000 }, (_, n) => `crowd-${String(n).padStart(5, "0")}`);
  await broker.api("PUT", "vhosts/crowd");
  await broker.api("PUT", "permissions/crowd/guest", { configure: ".*", write: ".*", read: ".*" });
  await broker.api("POST", "definitions/crowd", { queues: names.map((name) => ({ name, durable: true, auto_delete: false, arguments: {} })) });
  const page = await open(browser, broker);
  await page.getByLabel("Virtual host").selectOption("crowd");
  await visit(page, "#/queues", "Queues");
  await page.getByText("10,000", { exact: true }).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 100);
  await page.getByRole("button", { name: "Last" }).click();
  await page.getByRole("link", { name: "crowd-09999" }).waitFor();
  await page.getByLabel("Filter Queues").fill("crowd-0777");
  await page.getByText("10 of 10,000").waitFor();
  await page.getByRole("link", { name: "crowd-07777" }).click();
  await page.getByRole("heading", { level: 1, name: "crowd-07777" }).waitFor();
  await assertSound(page);
  await page.context().close();
});
