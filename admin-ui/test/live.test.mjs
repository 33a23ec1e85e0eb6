// The live view: what goes through an exchange or to topics, in the browser while it happens.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertAccessible, assertSound, Broker, eventually, HOSTILE, launch, open, visit } from "./support.js";

const part = encodeURIComponent;
let broker;
let browser;

before(async () => {
  broker = await Broker.start();
  browser = await launch();
  await broker.api("PUT", "exchanges/%2F/watched", { type: "topic", durable: true });
});

after(async () => {
  await browser?.close();
  await broker?.remove();
});

const publish = (routing_key, payload, properties = {}, exchange = "watched") =>
  broker.api("POST", `exchanges/%2F/${part(exchange)}/publish`, { routing_key, payload, payload_encoding: "string", properties });

const start = async (page) => {
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.locator("h1 .badge", { hasText: "live" }).waitFor();
};
const rows = (page) => page.getByRole("region", { name: "Messages", exact: true }).locator("tbody tr");
const keys = (page) => rows(page).locator("button").allTextContents();
const comes = (page, key) => rows(page).getByRole("button", { name: key, exact: true }).first().waitFor();

test("messages of an exchange appear as they are published, the newest first, and open", async () => {
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/watched" });
  await page.getByRole("link", { name: "Watch live" }).click();
  await page.getByRole("heading", { level: 1, name: "Live view" }).waitFor();
  assert.equal(await page.getByLabel("Exchange", { exact: true }).inputValue(), "watched");
  await page.getByText("Choose what to watch").waitFor();
  await assertAccessible(page);
  await start(page);
  await page.getByText("Nothing has gone through").waitFor();
  await publish("first.key", "one");
  await comes(page, "first.key");
  await publish("second.key", '{"price": 12}', { content_type: "application/json", headers: { farm: "north" } });
  await comes(page, "second.key");
  assert.deepEqual(await keys(page), ["second.key", "first.key"]);
  await page.getByText("2 messages").waitFor();
  await assertAccessible(page);
  await page.getByRole("button", { name: "second.key" }).click();
  const dialog = page.locator("dialog[open]");
  await dialog.getByText('"price": 12').waitFor();
  await dialog.getByText("farm").waitFor();
  await assertAccessible(page);
  await dialog.getByRole("button", { name: "Close" }).click();
  await assertSound(page);
  await page.context().close();
});

test("a pattern leaves out what does not match it", async () => {
  const page = await open(browser, broker, { hash: `#/live?exchange=watched&key=${part("wanted.*")}` });
  await start(page);
  await publish("unwanted.1", "x");
  await publish("wanted.1", "x");
  await comes(page, "wanted.1");
  assert.deepEqual(await keys(page), ["wanted.1"]);
  await page.context().close();
});

test("a pause holds the rows still, and what came meanwhile is shown afterwards", async () => {
  const page = await open(browser, broker, { hash: "#/live?exchange=watched" });
  await start(page);
  await publish("before", "x");
  await comes(page, "before");
  await page.getByRole("button", { name: "Pause" }).click();
  await publish("meanwhile", "x");
  await page.getByText("2 messages").waitFor();
  assert.deepEqual(await keys(page), ["before"]);
  await assertAccessible(page);
  await page.getByRole("button", { name: "Go on" }).click();
  await comes(page, "meanwhile");
  assert.deepEqual(await keys(page), ["meanwhile", "before"]);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByText("Nothing has gone through").waitFor();
  const ended = Promise.race(["requestfailed", "requestfinished"].map((event) => page.waitForEvent(event, (request) => request.url().includes("/tap"))));
  await page.getByRole("button", { name: "Stop" }).click();
  await ended;
  await page.locator("h1 .badge", { hasText: "stopped" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("leaving the page ends the tap", async () => {
  const page = await open(browser, broker, { hash: "#/live?exchange=watched" });
  await start(page);
  const ended = Promise.race(["requestfailed", "requestfinished"].map((event) => page.waitForEvent(event, (request) => request.url().includes("/tap"))));
  await visit(page, "#/exchanges", "Exchanges");
  await ended;
  await page.context().close();
});

test("topics of MQTT are watched by a filter", async () => {
  const page = await open(browser, broker, { hash: `#/live?filter=${part("rooms/+/temp")}` });
  assert.equal(await page.getByLabel("Filter", { exact: true }).inputValue(), "rooms/+/temp");
  await start(page);
  await broker.api("POST", "mqtt/publish", { topic: "rooms/7/light", payload: "on" });
  await broker.api("POST", "mqtt/publish", { topic: "rooms/7/temp", payload: "21.5", qos: 1 });
  await comes(page, "rooms/7/temp");
  assert.deepEqual(await keys(page), ["rooms/7/temp"]);
  await page.getByText("21.5").waitFor();
  await assertAccessible(page);
  await page.context().close();
});

test("what is more than the rate is counted", async () => {
  const page = await open(browser, broker, { hash: "#/live?exchange=watched" });
  await page.getByLabel("At the most").selectOption("10");
  await start(page);
  // A second gives back ten, and so many in a second are no trouble even for a slow machine.
  const COUNT = 400;
  for (let sent = 0; sent < COUNT; sent += 50) await Promise.all(Array.from({ length: 50 }, (_, n) => publish(`k${sent + n}`, "x")));
  await eventually(async () => {
    const text = await page.getByText(/\d+ messages, \d+ left out/).textContent();
    const [came, skipped] = text.match(/\d+/g).map(Number);
    return skipped > 0 && came + skipped === COUNT;
  }, "all are shown or counted", 30_000);
  await assertSound(page);
  await page.context().close();
});

test("the newest 500 are kept", async () => {
  const page = await open(browser, broker, { hash: "#/live?exchange=watched" });
  await page.getByLabel("At the most").selectOption("1000");
  await start(page);
  for (let sent = 0; sent < 520; sent += 40) await Promise.all(Array.from({ length: 40 }, (_, n) => publish(`k${sent + n}`, "x")));
  await page.getByText("520 messages; the newest 500 are kept").waitFor({ timeout: 30_000 });
  await eventually(async () => (await rows(page).count()) === 500, "500 rows");
  await page.context().close();
});

test("who may not read, or asks for what is not there, is told why", async () => {
  await broker.api("PUT", "users/writer", { password: "secret", tags: "management" });
  await broker.api("PUT", "permissions/%2F/writer", { configure: "^$", write: ".*", read: "^$" });
  const page = await open(browser, broker, { user: "writer", password: "secret", hash: "#/live?exchange=watched" });
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.getByRole("alert").filter({ hasText: "You may not do this" }).waitFor();
  await page.locator("h1 .badge", { hasText: "stopped" }).waitFor();
  await assertAccessible(page);
  await page.getByLabel("Exchange", { exact: true }).fill("there-is-none");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.getByRole("alert").filter({ hasText: "not there" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("when the broker restarts, the view says that it stopped and leads to the login", async () => {
  const own = await Broker.start();
  await own.api("PUT", "exchanges/%2F/watched", { type: "topic", durable: true });
  const page = await open(browser, own, { hash: "#/live?exchange=watched" });
  await start(page);
  await own.stop();
  await page.locator("h1 .badge").filter({ hasNotText: "live" }).waitFor();
  await own.run();
  // Sessions of browsers end with a restart.
  await page.getByText("Your session is over").waitFor({ timeout: 30_000 });
  await page.context().close();
  await own.remove();
});

test("hostile exchanges, keys, headers and bodies are text", async () => {
  const page = await open(browser, broker);
  for (const name of HOSTILE) {
    await broker.api("PUT", `exchanges/%2F/${part(name)}`, { type: "fanout", durable: true });
    await visit(page, "#/exchanges", "Exchanges");
    await visit(page, `#/live?exchange=${part(name)}`, "Live view");
    await start(page);
    await publish(name, name, { headers: { [name]: name }, message_id: name }, name);
    await comes(page, name);
    await rows(page).getByText(name).nth(1).waitFor();
    await page.getByRole("button", { name, exact: true }).click();
    await page.locator("dialog[open] pre", { hasText: name }).waitFor();
    await page.locator("dialog[open]").getByRole("button", { name: "Close" }).click();
    await assertSound(page);
  }
  await page.context().close();
});

test("the live view fits a narrow screen", async () => {
  const page = await open(browser, broker, { viewport: { width: 360, height: 740 }, hash: "#/live?exchange=watched" });
  await start(page);
  await publish("a.rather.long.key.that.goes.on.and.on.and.has.no.place.to.break", "x".repeat(3000));
  await rows(page).first().waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await assertAccessible(page);
  await page.context().close();
});
