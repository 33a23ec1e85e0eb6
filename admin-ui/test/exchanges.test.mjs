// Exchanges, bindings, and the form that publishes: each page and each action, against a real broker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertAccessible, assertSound, Broker, confirm, eventually, HOSTILE, launch, noteOf, open, visit } from "./support.js";

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

test("an exchange is declared with all that it can have, and stands in the list", async () => {
  const page = await open(browser, broker, { hash: "#/exchanges" });
  await page.getByText("Declare an exchange").click();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("shop");
  await page.getByRole("combobox", { name: "Type", exact: true }).selectOption("topic");
  await page.getByText("dots stand between words").waitFor();
  await page.getByLabel("Auto-delete").check();
  await page.getByRole("button", { name: "alternate-exchange" }).click();
  await page.getByLabel("Arguments: value of alternate-exchange").fill("amq.fanout");
  await assertAccessible(page);
  await page.getByRole("button", { name: "Declare exchange" }).click();
  await page.getByRole("link", { name: "shop", exact: true }).waitFor();
  const { type, durable, auto_delete, internal, arguments: given } = await broker.api("GET", "exchanges/%2F/shop");
  assert.deepEqual({ type, durable, auto_delete, internal, given }, { type: "topic", durable: true, auto_delete: true, internal: false, given: { "alternate-exchange": "amq.fanout" } });
  await assertSound(page);
  await page.context().close();
});

test("a declaration that is refused says why beside the form", async () => {
  const page = await open(browser, broker, { hash: "#/exchanges" });
  await page.getByText("Declare an exchange").click();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("amq.direct");
  await page.getByRole("combobox", { name: "Type", exact: true }).selectOption("fanout");
  await page.getByRole("button", { name: "Declare exchange" }).click();
  await page.locator("form [role=alert]").waitFor();
  assert.equal((await broker.api("GET", "exchanges/%2F/amq.direct")).type, "direct");
  await page.context().close();
});

test("the list filters and sorts at the broker, and exchanges are deleted together", async () => {
  for (const name of ["old-a", "old-b", "kept"]) await declare(name);
  const page = await open(browser, broker, { hash: "#/exchanges" });
  await page.getByLabel("Filter Exchanges").fill("old-");
  await page.getByText(/^2 of \d+$/).waitFor();
  await page.getByRole("button", { name: "Name" }).click();
  await page.locator("th[aria-sort=descending]").waitFor();
  await eventually(async () => (await page.locator("tbody tr a").first().textContent()) === "old-b", "sorted the other way");
  await page.getByLabel("Choose all rows").check();
  await page.getByRole("button", { name: "Delete (2)" }).click();
  await page.getByText("All bindings from and to them go as well").waitFor();
  await assertAccessible(page);
  await confirm(page, "Delete");
  await noteOf(page, "2 rows done");
  await page.getByText("Nothing matches").waitFor();
  assert.ok((await names()).includes("kept") && !(await names()).some((name) => name.startsWith("old-")));
  await assertSound(page);
  await page.context().close();
});

test("the broker's own exchanges stay, and the page says so", async () => {
  const page = await open(browser, broker, { hash: "#/exchanges?name=amq.fanout" });
  await page.getByLabel("Choose amq.fanout").check();
  await page.getByRole("button", { name: "Delete (1)" }).click();
  await confirm(page, "Delete");
  await page.locator(".notice.failed", { hasText: "broker's own" }).waitFor();
  await visit(page, "#/exchanges/%2F/amq.fanout", "amq.fanout");
  await page.getByText("What it is").waitFor();
  assert.equal(await page.getByRole("button", { name: "Delete", exact: true }).count(), 0);
  await page.context().close();
});

test("the page of an exchange binds queues and exchanges, draws them, and unbinds", async () => {
  await declare("hub");
  await declare("spoke", { type: "fanout", durable: true });
  await declare("origin");
  await broker.declareQueue("bound");
  await broker.declareQueue("beyond");
  await bind("spoke", "q", "beyond");
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/hub" });
  await page.getByText("Nothing is bound to this exchange").waitFor();
  await page.locator("summary", { hasText: "Bind" }).click();
  const bindBy = async (way, other, key) => {
    await page.getByLabel("Messages go", { exact: true }).selectOption({ label: way });
    await page.getByLabel(way.endsWith("queue") ? "Queue" : "Exchange", { exact: true }).fill(other);
    await page.locator("details", { hasText: "Messages go" }).getByLabel("Routing key").fill(key);
    await page.getByRole("button", { name: "Bind", exact: true }).click();
  };
  await bindBy("from here to a queue", "bound", "a.*");
  await noteOf(page, "hub → bound");
  await bindBy("from here to an exchange", "spoke", "b.#");
  await noteOf(page, "hub → spoke");
  await bindBy("from an exchange to here", "origin", "#");
  await noteOf(page, "origin → hub");
  const from = panel(page, "Bindings from here");
  await from.getByRole("link", { name: "bound" }).waitFor();
  await from.getByRole("link", { name: "spoke" }).waitFor();
  await panel(page, "Bindings to here").getByRole("link", { name: "origin" }).waitFor();
  const picture = panel(page, "Where messages go");
  await picture.getByText("In words").click();
  await picture.getByText("exchange spoke sends to queue beyond").waitFor();
  await picture.getByText("exchange origin sends to exchange hub").waitFor();
  await assertAccessible(page);
  const bindings = async (end) => (await broker.api("GET", `exchanges/%2F/hub/bindings/${end}`)).map(({ source, destination, routing_key }) => [source, destination, routing_key]);
  assert.deepEqual((await bindings("source")).sort(), [["hub", "bound", "a.*"], ["hub", "spoke", "b.#"]]);
  assert.deepEqual(await bindings("destination"), [["origin", "hub", "#"]]);

  await from.getByLabel("Choose hub → bound by a.*").check();
  await from.getByRole("button", { name: "Unbind (1)" }).click();
  await confirm(page, "Unbind");
  await eventually(async () => (await bindings("source")).length === 1, "unbound");
  await from.getByRole("link", { name: "bound" }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Unbind origin → hub" }).click();
  await confirm(page, "Unbind");
  await panel(page, "Bindings to here").waitFor({ state: "detached" });
  assert.deepEqual(await bindings("destination"), []);
  await assertSound(page);
  await page.context().close();
});

test("a binding to what is not there is refused with words", async () => {
  await declare("lonely");
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/lonely" });
  await page.locator("summary", { hasText: "Bind" }).click();
  await page.getByLabel("Queue", { exact: true }).fill("there-is-none");
  await page.getByRole("button", { name: "Bind", exact: true }).click();
  await page.locator("form [role=alert]", { hasText: "not there" }).waitFor();
  await page.context().close();
});

test("names of queues are suggested as they are typed", async () => {
  await broker.declareQueue("suggested-one");
  await declare("suggesting");
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/suggesting" });
  await page.locator("summary", { hasText: "Bind" }).click();
  await page.getByLabel("Queue", { exact: true }).fill("suggested");
  await page.locator("datalist option[value=suggested-one]").waitFor({ state: "attached" });
  await page.context().close();
});

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

test("an exchange is deleted after a question, only if unused when one wants that", async () => {
  await declare("doomed");
  await broker.declareQueue("witness");
  await bind("doomed", "q", "witness");
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/doomed" });
  const ask = () => page.getByRole("button", { name: "Delete", exact: true }).first().click();
  await ask();
  await page.locator("dialog[open]").getByRole("button", { name: "Cancel" }).click();
  await ask();
  await page.getByLabel("Only if nothing is bound to it").check();
  await assertAccessible(page);
  await confirm(page, "Delete");
  await page.locator(".notice.failed").waitFor();
  assert.ok((await names()).includes("doomed"));
  await ask();
  await confirm(page, "Delete");
  await page.getByRole("heading", { level: 1, name: "Exchanges" }).waitFor();
  assert.ok(!(await names()).includes("doomed"));
  await assertSound(page);
  await page.context().close();
});

test("the default exchange is explained, and what it is bound to is shown", async () => {
  await broker.declareQueue("by-name");
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/amq.default" });
  await page.getByRole("heading", { level: 1, name: "Default exchange" }).waitFor();
  await page.getByText("Every queue is bound to the default exchange").waitFor();
  await panel(page, "Bindings from here").getByRole("link", { name: "by-name" }).waitFor();
  assert.equal(await page.locator("summary", { hasText: "Bind" }).count(), 0);
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("the rates of an exchange become lines", async () => {
  await declare("busy", { type: "fanout", durable: true });
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/busy" });
  await page.getByLabel("Refresh").selectOption("2");
  await eventually(async () => {
    await broker.api("POST", "exchanges/%2F/busy/publish", { routing_key: "", payload: "x", payload_encoding: "string", properties: {} });
    return page.locator(".chart canvas").isVisible();
  }, "a chart is drawn", 30_000);
  await assertAccessible(page);
  await page.context().close();
});

test("all bindings stand in one list, which filters and unbinds", async () => {
  await declare("listed");
  await broker.declareQueue("listed-queue");
  await bind("listed", "q", "listed-queue", "some.key", { "x-match": "any", colour: "red" });
  const page = await open(browser, broker, { hash: "#/bindings" });
  await page.getByLabel("Filter Bindings").fill("some.key");
  await page.getByText(/^1 of \d+$/).waitFor();
  await page.getByText("colour: red").waitFor();
  await assertAccessible(page);
  await page.getByLabel("Choose listed → listed-queue by some.key").check();
  await page.getByRole("button", { name: "Unbind (1)" }).click();
  await confirm(page, "Unbind");
  await page.getByText("Nothing matches").waitFor();
  assert.deepEqual(await broker.api("GET", "exchanges/%2F/listed/bindings/source"), []);
  await page.getByLabel("Filter Bindings").fill("listed-queue");
  await page.getByLabel("Choose (default exchange) → listed-queue").check();
  await page.getByRole("button", { name: "Unbind (1)" }).click();
  await confirm(page, "Unbind");
  await page.locator(".notice.failed", { hasText: "for as long as the queue is there" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("the lists follow the virtual host", async () => {
  await broker.api("PUT", "vhosts/second");
  await broker.api("PUT", "exchanges/second/only-there", { type: "direct" });
  const page = await open(browser, broker, { hash: "#/exchanges" });
  await page.getByRole("link", { name: "only-there" }).waitFor();
  await page.locator("header.bar").getByLabel("Virtual host").selectOption("/");
  await page.getByRole("link", { name: "only-there" }).waitFor({ state: "detached" });
  await page.locator("header.bar").getByLabel("Virtual host").selectOption("second");
  await page.getByRole("link", { name: "only-there" }).waitFor();
  await visit(page, "#/bindings", "Bindings");
  await page.getByText("There is none yet").waitFor();
  await assertAccessible(page);
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

test("who lacks a permission is told so in words", async () => {
  await broker.api("PUT", "users/reader", { password: "secret", tags: "management" });
  await broker.api("PUT", "permissions/%2F/reader", { configure: "^$", write: "^$", read: ".*" });
  await declare("guarded");
  const page = await open(browser, broker, { user: "reader", password: "secret", hash: "#/exchanges/%2F/guarded" });
  await page.getByText("Publish a message").click();
  await page.getByRole("button", { name: "Publish message" }).click();
  await page.locator("form [role=alert]", { hasText: "Ask an administrator" }).waitFor();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await confirm(page, "Delete");
  await page.locator(".notice.failed", { hasText: "You may not do this" }).waitFor();
  assert.ok((await names()).includes("guarded"));
  await assertSound(page);
  await page.context().close();
});

test("an exchange that is not there says so", async () => {
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/nowhere" });
  await page.getByRole("alert").filter({ hasText: "not there" }).waitFor();
  await page.context().close();
});

test("ten thousand bindings come in pages, and are filtered and drawn in part", async () => {
  const COUNT = 10_000;
  await broker.api("PUT", "vhosts/crowd");
  const names = Array.from({ length: COUNT }, (_, n) => `q${n}`);
  await broker.api("POST", "definitions/crowd", {
    queues: names.map((name) => ({ name, durable: false, auto_delete: false, arguments: {} })),
    bindings: names.map((name) => ({ source: "amq.direct", destination: name, destination_type: "queue", routing_key: `key-${name}`, arguments: {} })),
  });
  const page = await open(browser, broker, { hash: "#/exchanges/crowd/amq.direct" });
  const from = panel(page, "Bindings from here");
  await from.getByText(COUNT.toLocaleString("en-US"), { exact: true }).waitFor();
  await page.getByText("Drawn are the first 30 bindings").waitFor();
  assert.equal(await from.locator("tbody tr").count(), 100);
  await from.getByRole("button", { name: "Last" }).click();
  await from.getByText("Page 100 of 100").waitFor();
  await from.getByLabel("Filter Bindings from here").fill("key-q9876");
  await from.getByRole("link", { name: "q9876" }).waitFor();
  await from.getByText("1 of 10,000").waitFor();
  await assertAccessible(page);
  await visit(page, "#/bindings?sort=routing_key&sort_reverse=true", "Bindings");
  await page.getByRole("link", { name: "q9999" }).first().waitFor();
  await assertSound(page);
  await page.context().close();
});

test("the pages fit a narrow screen", async () => {
  await declare("a-rather-long-name-that-has-no-place-to-break-and-goes-on-and-on-and-on");
  const page = await open(browser, broker, { viewport: { width: 360, height: 740 } });
  for (const [hash, title] of [["#/exchanges", "Exchanges"], ["#/exchanges/%2F/a-rather-long-name-that-has-no-place-to-break-and-goes-on-and-on-and-on", /^a-rather/], ["#/exchanges/%2F/amq.default", "Default exchange"], ["#/bindings", "Bindings"]]) {
    await visit(page, hash, title);
    await page.locator(".list table, .list .empty").first().waitFor();
    for (const fold of await page.locator("details.fold > summary").all()) await fold.click();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), hash);
    await assertAccessible(page);
  }
  await page.context().close();
});
