// Bindings: as a list, drawn, made and removed, against a real broker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertAccessible, assertSound, Broker, confirm, eventually, launch, noteOf, open, visit } from "./support.js";

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
const panel = (page, title) => page.getByRole("region", { name: title, exact: true });

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
