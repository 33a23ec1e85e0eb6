// MQTT sessions, subscriptions and retained topics.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Mqtt } from "./clients.js";
import { assertAccessible, assertSound, Broker, confirm, eventually, HOSTILE, launch, noteOf, open, visit } from "./support.js";

let broker;
let browser;
let thermo;

const row = (page, text) => page.locator("main tbody tr", { hasText: text });
const session = (clientId) => broker.api("GET", `mqtt/sessions/${encodeURIComponent(clientId)}`).catch(() => null);
const retained = (topic) => broker.api("GET", `mqtt/retained/${encodeURIComponent(topic)}`).catch(() => null);
const retain = (topic, payload, more = {}) => broker.api("POST", "mqtt/publish", { topic, payload, retain: true, ...more });
/** Topics may hold anything but wildcards and U+0000. */
const TOPICS = HOSTILE.map((name) => name.replaceAll(/[+#]/g, "_"));

/** A session with messages whose client is away. */
async function away(clientId, filter = "jobs/#", messages = 2) {
  const client = await Mqtt.connect(broker, clientId, { expiryS: 3600 });
  await client.subscribe(filter, 1);
  await client.close();
  await eventually(async () => (await session(clientId))?.connected === false, "the client is away");
  for (let n = 0; n < messages; n += 1) await broker.api("POST", "mqtt/publish", { topic: filter.replace("#", "x"), payload: "work", qos: 1 });
}

before(async () => {
  broker = await Broker.start();
  browser = await launch();
  await broker.api("PUT", "users/lou", { password: "secret", tags: "management" });
  await broker.api("PUT", "permissions/%2F/lou", { configure: ".*", write: ".*", read: ".*" });
  thermo = await Mqtt.connect(broker, "thermo", { expiryS: 7200 });
  await thermo.subscribe("sensors/+/temp", 1);
  await thermo.subscribe("$share/workers/tasks/#", 2);
  await thermo.subscribe("config/#", 0b1100);
});

after(async () => {
  await thermo?.close();
  await browser?.close();
  await broker?.remove();
});

test("empty lists teach", async () => {
  const empty = await Broker.start();
  const page = await open(browser, empty, { hash: "#/mqtt/sessions" });
  await page.getByText("There is no session.").waitFor();
  await assertAccessible(page);
  await visit(page, "#/mqtt/subscriptions", "MQTT subscriptions");
  await page.getByText("Nobody has subscribed.").waitFor();
  await assertAccessible(page);
  await visit(page, "#/mqtt/retained", "Retained topics");
  await page.getByText("No topic has a value.").waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
  await empty.remove();
});

test("sessions are listed with and without their clients", async () => {
  await away("sleeper");
  const page = await open(browser, broker, { hash: "#/mqtt/sessions" });
  await row(page, "thermo").getByText("connected").waitFor();
  await row(page, "thermo").getByText("2 h").waitFor();
  await row(page, "sleeper").getByText("away", { exact: true }).waitFor();
  assert.deepEqual((await row(page, "sleeper").locator("td.number").allTextContents()).slice(0, 3), ["1", "2", "0"], "subscriptions, waiting, in flight");
  await assertAccessible(page);
  await page.getByLabel("Filter MQTT sessions").fill("therm");
  await row(page, "sleeper").waitFor({ state: "detached" });
  await assertSound(page);
  await page.context().close();
});

test("a session's page has its client, its queue and its subscriptions", async () => {
  const page = await open(browser, broker, { hash: "#/mqtt/sessions/thermo" });
  await row(page, "sensors/+/temp").waitFor();
  await row(page, "$share/workers/tasks/#").getByText("shared").waitFor();
  await row(page, "config/#").getByText("no local").waitFor();
  await row(page, "config/#").getByText("retain as published").waitFor();
  const link = page.getByRole("link", { name: "mqtt.thermo" });
  assert.equal(await link.getAttribute("href"), "#/queues/%2F/mqtt.thermo");
  await page.getByText("MQTT 5-0").waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("a session is ended after a question that says what is lost", async () => {
  await away("to-end", "ended/#", 3);
  const page = await open(browser, broker, { hash: "#/mqtt/sessions/to-end" });
  await page.getByRole("button", { name: "End session" }).click();
  await page.getByRole("dialog").getByText("3 messages and 1 subscription are lost").waitFor();
  await assertAccessible(page);
  await confirm(page, "End session");
  await noteOf(page, "Ended the session");
  await page.getByRole("heading", { level: 1, name: "MQTT sessions" }).waitFor();
  assert.equal(await session("to-end"), null);
  await visit(page, "#/mqtt/sessions/to-end", "to-end");
  await page.getByText("This session is not there any more.").waitFor();
  await assertSound(page);
  await page.context().close();
});

test("several sessions are ended at once, and their clients go", async () => {
  const client = await Mqtt.connect(broker, "bulk-1", { expiryS: 60 });
  await away("bulk-2", "bulk/#", 0);
  const page = await open(browser, broker, { hash: "#/mqtt/sessions?name=bulk" });
  await row(page, "bulk-2").waitFor();
  await page.getByLabel("Choose all rows of this page").check();
  await page.getByRole("button", { name: "End (2)" }).click();
  await page.getByRole("dialog").getByText("1 client").waitFor();
  await confirm(page, "End");
  await noteOf(page, "2 rows done");
  await client.ended;
  assert.deepEqual([await session("bulk-1"), await session("bulk-2")], [null, null]);
  await page.context().close();
});

test("subscriptions of all sessions are found by filter and client", async () => {
  const page = await open(browser, broker, { hash: "#/mqtt/subscriptions" });
  await row(page, "sensors/+/temp").getByRole("link", { name: "thermo" }).waitFor();
  await page.getByLabel("Filter Subscriptions").fill("workers");
  await row(page, "sensors/").waitFor({ state: "detached" });
  await row(page, "$share/workers").waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("retained topics are listed by filter and by part of the topic", async () => {
  for (const room of ["hall", "attic"]) await retain(`rooms/${room}/temp`, `{"celsius": 20, "room": "${room}"}`);
  await retain("rooms/hall/light", "on");
  const page = await open(browser, broker, { hash: "#/mqtt/retained" });
  await row(page, "rooms/attic/temp").getByText('"celsius": 20').waitFor();
  await page.getByRole("textbox", { name: "Topic filter" }).fill("rooms/+/temp");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await row(page, "rooms/hall/light").waitFor({ state: "detached" });
  await page.getByLabel("Filter Retained topics").fill("attic");
  await row(page, "rooms/hall/temp").waitFor({ state: "detached" });
  await row(page, "rooms/attic/temp").waitFor();
  await assertAccessible(page);
  await page.getByRole("textbox", { name: "Topic filter" }).fill("nothing/here");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.getByLabel("Filter Retained topics").fill("");
  await page.getByText("No topic with a value matches").waitFor();
  await page.getByRole("button", { name: "Show all topics" }).click();
  await row(page, "rooms/hall/light").waitFor();
  await assertSound(page);
  await page.context().close();
});

test("a topic's value is shown as JSON, text or octets, with its properties", async () => {
  await retain("shown/json", '{"a":[1,2]}', { qos: 1, properties: { content_type: "application/json", user_properties: { origin: "test" } } });
  await retain("shown/octets", "AAH/", { payload_encoding: "base64" });
  const page = await open(browser, broker, { hash: "#/mqtt/retained/shown%2Fjson" });
  await page.locator(".body pre", { hasText: '"a": [' }).waitFor();
  await page.getByText("application/json", { exact: true }).first().waitFor();
  await page.getByText("origin").waitFor();
  await assertAccessible(page);
  await page.getByRole("button", { name: "Hex" }).click();
  await page.locator(".body pre", { hasText: "7b 22 61 22" }).waitFor();
  await visit(page, "#/mqtt/retained/shown%2Foctets", "shown/octets");
  await page.locator(".body pre", { hasText: "00 01 ff" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("a value is set from the list, set anew on its page, and cleared", async () => {
  const page = await open(browser, broker, { hash: "#/mqtt/retained" });
  await page.getByRole("button", { name: "Set a value…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Topic", { exact: true }).fill("set/by hand");
  await dialog.getByLabel("Value", { exact: true }).fill("first");
  await dialog.getByLabel("QoS").selectOption("2");
  await dialog.getByLabel("Expires after").fill("3600");
  await dialog.getByRole("button", { name: "add…" }).click();
  await dialog.getByLabel("User properties: name 1").fill("by");
  await dialog.getByLabel("User properties: value of by").fill("hand");
  await assertAccessible(page);
  await dialog.getByRole("button", { name: "Publish retained" }).click();
  await row(page, "set/by hand").getByText("first").waitFor();
  const first = await retained("set/by hand");
  assert.deepEqual([first.payload, first.qos, first.properties.headers], ["first", 2, { by: "hand" }]);
  assert.ok(first.expires_at > Date.now());

  await row(page, "set/by hand").getByRole("link").click();
  await page.locator(".body pre", { hasText: "first" }).waitFor();
  await page.getByLabel("Value", { exact: true }).last().fill("second");
  await page.getByRole("button", { name: "Publish retained" }).click();
  await page.locator(".body pre", { hasText: "second" }).waitFor();
  assert.equal((await retained("set/by hand")).payload, "second");

  await page.getByRole("button", { name: "Clear", exact: true }).click();
  await confirm(page, "Clear topic");
  await noteOf(page, "Cleared set/by hand");
  assert.equal(await retained("set/by hand"), null);
  await visit(page, "#/mqtt/retained/set%2Fby%20hand", "set/by hand");
  await page.getByText("This topic has no value (any more).").waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("several topics are cleared at once", async () => {
  for (const n of [1, 2, 3]) await retain(`bulk/${n}`, "x");
  const page = await open(browser, broker, { hash: "#/mqtt/retained?filter=bulk/%23" });
  await row(page, "bulk/3").waitFor();
  for (const n of [1, 2]) await row(page, `bulk/${n}`).getByRole("checkbox").check();
  await page.getByRole("button", { name: "Clear (2)" }).click();
  await confirm(page, "Clear");
  await noteOf(page, "2 rows done");
  await row(page, "bulk/1").waitFor({ state: "detached" });
  assert.deepEqual([await retained("bulk/1"), (await retained("bulk/3")).payload], [null, "x"]);
  await page.context().close();
});

test("a topic that nobody may publish to is refused in words, where it was entered", async () => {
  const page = await open(browser, broker, { hash: "#/mqtt/retained" });
  await page.getByRole("button", { name: "Set a value…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Topic", { exact: true }).fill("a/+/b");
  await dialog.getByLabel("Value", { exact: true }).fill("x");
  await dialog.getByRole("button", { name: "Publish retained" }).click();
  await dialog.getByRole("alert").filter({ hasText: "none that clients may publish to" }).waitFor();
  await page.context().close();
});

test("users without the tag administrator end no session, and read what they may", async () => {
  await broker.api("PUT", "topic-permissions/%2F/lou", { exchange: "amq.topic", write: "^open\\.", read: "^open\\." });
  await retain("open/door", "yes");
  await retain("secret/door", "no");
  const page = await open(browser, broker, { user: "lou", password: "secret", hash: "#/mqtt/sessions/thermo" });
  await row(page, "sensors/+/temp").waitFor();
  assert.equal(await page.getByRole("button", { name: "End session" }).count(), 0);
  await visit(page, "#/mqtt/retained", "Retained topics");
  await row(page, "open/door").waitFor();
  assert.equal(await row(page, "secret/door").count(), 0);
  await visit(page, "#/mqtt/retained/secret%2Fdoor", "secret/door");
  await page.getByRole("alert").waitFor();
  await assertSound(page);
  await page.context().close();
});

test("names that would be markup are text everywhere", async () => {
  for (const [n, name] of HOSTILE.entries()) {
    await away(name, `hostile/${n}/#`, 0);
    const client = await Mqtt.connect(broker, `hostile-${n}`, { expiryS: 60 });
    await client.subscribe(TOPICS[n], 1);
    await client.close();
    await retain(TOPICS[n], name, { properties: { content_type: name, user_properties: { [name]: name } } });
  }
  const page = await open(browser, broker, { hash: "#/mqtt/sessions" });
  for (const name of HOSTILE) await row(page, name).first().waitFor();
  await visit(page, "#/mqtt/subscriptions", "MQTT subscriptions");
  for (const topic of TOPICS) await row(page, topic).first().waitFor();
  await visit(page, "#/mqtt/retained", "Retained topics");
  for (const topic of TOPICS) await row(page, topic).first().waitFor();
  for (const [n, name] of HOSTILE.entries()) {
    await visit(page, `#/mqtt/sessions/${encodeURIComponent(name)}`, name);
    await row(page, `hostile/${n}/#`).waitFor();
    await visit(page, `#/mqtt/retained/${encodeURIComponent(TOPICS[n])}`, TOPICS[n]);
    await page.locator(".body pre", { hasText: name }).waitFor();
    await assertSound(page);
  }
  await page.context().close();
});

test("10,000 subscriptions and as many retained topics are filtered, sorted and turned over by the broker", async () => {
  const client = await Mqtt.connect(broker, "many");
  const topics = Array.from({ length: 10_000 }, (_, n) => `many/${String(n).padStart(5, "0")}`);
  await client.subscribe(topics, 0);
  for (const topic of topics) client.retain(topic, topic);
  await eventually(async () => (await broker.api("GET", "mqtt/retained?page=1&page_size=1&filter=many/%23")).filtered_count === 10_000, "all are there", 20_000);
  const page = await open(browser, broker, { hash: "#/mqtt/sessions/many" });
  for (const hash of ["#/mqtt/sessions/many", "#/mqtt/retained?filter=many/%23"]) {
    await page.evaluate((hash) => { location.hash = hash; }, hash);
    await page.getByText("Page 1 of 100").waitFor();
    await row(page, "many/00000").waitFor();
    await page.getByRole("button", { name: "Last" }).click();
    await row(page, "many/09999").waitFor();
    await page.getByRole("button", { name: /^Topic/ }).first().click();
    await page.getByRole("button", { name: /^Topic/ }).first().click();
    await row(page, "many/09999").waitFor();
    await page.getByText("Page 1 of 100").waitFor();
    await page.locator("[data-filter]").fill("/0123");
    await row(page, "many/01239").waitFor();
    await page.getByText("10 of 10,000").waitFor();
  }
  await assertSound(page);
  await page.context().close();
  await client.close();
});

test("narrow screens show all of it without scrolling the page to the side", async () => {
  await retain("narrow/topic", `{"long": "${"x".repeat(300)}"}`);
  const page = await open(browser, broker, { viewport: { width: 360, height: 740 } });
  for (const [hash, ready] of [["#/mqtt/sessions", "thermo"], ["#/mqtt/sessions/thermo", "sensors/+/temp"], ["#/mqtt/subscriptions", "sensors/+/temp"], ["#/mqtt/retained?filter=narrow/%23", "narrow/topic"], ["#/mqtt/retained/narrow%2Ftopic", '"long"']]) {
    await page.evaluate((hash) => { location.hash = hash; }, hash);
    await page.locator("main").getByText(ready).first().waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), hash);
  }
  await page.context().close();
});
