// The MQTT client of the UI, against a real broker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Mqtt } from "./clients.js";
import { arrivals, button, enter } from "./mqtt-page.js";
import { assertAccessible, assertSound, Broker, eventually, HOSTILE, launch, open, visit } from "./support.js";

let broker;
let browser;

before(async () => {
  broker = await Broker.start();
  browser = await launch();
  await broker.api("PUT", "users/jo", { password: "secret", tags: "" });
  await broker.api("PUT", "permissions/%2F/jo", { configure: ".*", write: ".*", read: ".*" });
  await broker.api("PUT", "topic-permissions/%2F/jo", { exchange: "amq.topic", write: "^open\\.", read: "^open\\." });
});

after(async () => {
  await browser?.close();
  await broker?.remove();
});

async function connected(wish = {}, options = {}) {
  const page = await open(browser, broker, { hash: "#/mqtt/client", ...options });
  await enter(page, wish);
  await page.getByText("Connected as").waitFor();
  return page;
}

async function subscribe(page, filter, { qos, retained, noLocal = false, asPublished = false } = {}) {
  const panel = page.getByRole("region", { name: "Subscribe" });
  await panel.getByRole("textbox", { name: "Topic filter" }).fill(filter);
  if (qos !== undefined) await panel.getByLabel("QoS at the most").selectOption(String(qos));
  if (retained) await panel.getByLabel("Retained messages").selectOption({ label: retained });
  await panel.getByLabel("No local").setChecked(noLocal);
  await panel.getByLabel("Retain as published").setChecked(asPublished);
  await button(panel, "Subscribe").click();
}

async function publish(page, topic, payload, { qos, retain = false } = {}) {
  const panel = page.getByRole("region", { name: "Publish" });
  await panel.getByLabel("Topic", { exact: true }).fill(topic);
  await panel.getByLabel("Payload", { exact: true }).fill(payload);
  if (qos !== undefined) await panel.getByLabel("QoS").selectOption(String(qos));
  await panel.getByLabel("Retain").setChecked(retain);
  await button(panel, "Publish").click();
  return panel;
}

test("it connects, subscribes and publishes with every QoS, and gets what it published", async () => {
  const page = await connected({ clientId: "qos" });
  await assertAccessible(page);
  await subscribe(page, "qos/#", { qos: 2 });
  await page.getByText("qos/#: Granted with QoS 2. (0x02)").waitFor();
  const [listed] = await broker.api("GET", "mqtt/sessions/qos/subscriptions");
  assert.deepEqual([listed.topic_filter, listed.qos], ["qos/#", 2]);
  for (const qos of [0, 1, 2]) {
    const panel = await publish(page, `qos/${qos}`, `with ${qos}`, { qos });
    await panel.getByText(qos === 0 ? "With QoS 0 the broker does not answer" : "Done. (0x00)").waitFor();
    const arrived = arrivals(page).filter({ hasText: `qos/${qos}` });
    await arrived.getByText(`with ${qos}`).waitFor();
    await arrived.getByText(`QoS ${qos}`).waitFor();
  }
  assert.deepEqual(await arrivals(page).locator("b").allTextContents(), ["qos/2", "qos/1", "qos/0"], "the newest is first");
  await eventually(async () => (await broker.api("GET", "mqtt/sessions/qos")).messages_in_flight === 0, "all is acknowledged");
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("properties go out and come in, and a message opens", async () => {
  const page = await connected();
  await subscribe(page, "props");
  await page.getByText("props: Granted").waitFor();
  const panel = page.getByRole("region", { name: "Publish" });
  await panel.getByText("Properties", { exact: true }).click();
  await panel.getByLabel("Content type").fill("application/json");
  await panel.getByLabel("Expires after").fill("90");
  await panel.getByLabel("Response topic").fill("answers/here");
  await panel.getByLabel("Correlation data").fill("c-1");
  for (const [n, value] of ["one", "two"].entries()) {
    await panel.getByRole("button", { name: "add…" }).click();
    await panel.getByLabel(`User properties: name ${n + 1}`).fill("tag");
    await panel.getByRole("textbox", { name: /^User properties: value/ }).nth(n).fill(value);
  }
  await assertAccessible(page);
  await publish(page, "props", '{"a": 1}');
  await arrivals(page).first().click();
  const message = page.locator(".arrivals .message");
  for (const text of ["application/json", "answers/here", "c-1"]) await message.getByText(text, { exact: true }).first().waitFor();
  await message.getByText('"two"').waitFor();
  await message.getByText("1 min 30 s").waitFor();
  await message.locator("pre", { hasText: '"a": 1' }).first().waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("octets that are no text are sent and shown", async () => {
  const page = await connected();
  await subscribe(page, "octets");
  await page.getByText("octets: Granted").waitFor();
  await page.getByLabel("The payload is").selectOption("base64");
  const panel = await publish(page, "octets", "no base64!");
  await panel.getByRole("alert").filter({ hasText: "no base64" }).waitFor();
  await publish(page, "octets", "AAH/");
  await arrivals(page).filter({ hasText: "(not text)" }).click();
  await page.locator(".arrivals pre", { hasText: "00 01 ff" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("retained messages are sent or not, as was chosen, and kept or cleared by a publish", async () => {
  const page = await connected();
  await publish(page, "kept/1", "value", { retain: true });
  await eventually(async () => (await broker.api("GET", "mqtt/retained/kept%2F1")).payload === "value", "it is retained");
  await subscribe(page, "kept/+", { retained: "are not sent" });
  await page.getByText("kept/+: Granted").waitFor();
  await subscribe(page, "kept/#", { retained: "are sent" });
  await arrivals(page).filter({ hasText: "kept/1" }).getByText("retained").waitFor();
  assert.equal(await arrivals(page).count(), 1);
  await publish(page, "kept/1", "", { retain: true });
  await eventually(async () => (await broker.api("GET", "mqtt/retained?filter=kept/%23")).items.length === 0, "it is cleared");
  await page.context().close();
});

test("what the client published itself does not come back if it does not want it", async () => {
  const page = await connected();
  await subscribe(page, "echo/#", { noLocal: true });
  await page.getByText("echo/#: Granted").waitFor();
  const panel = await publish(page, "echo/own", "mine");
  await panel.getByText("(0x").waitFor();
  await broker.api("POST", "mqtt/publish", { topic: "echo/other", payload: "theirs" });
  await arrivals(page).filter({ hasText: "echo/other" }).waitFor();
  assert.equal(await arrivals(page).count(), 1);
  await page.context().close();
});

test("after it has unsubscribed, nothing arrives", async () => {
  const page = await connected();
  await subscribe(page, "on/#");
  await subscribe(page, "off/#");
  await page.getByRole("button", { name: "Unsubscribe from off/#" }).click();
  await page.locator(".notice.done", { hasText: "Unsubscribed from off/#" }).waitFor();
  await page.getByRole("button", { name: "Unsubscribe from off/#" }).waitFor({ state: "detached" });
  for (const topic of ["off/1", "on/1"]) await broker.api("POST", "mqtt/publish", { topic, payload: "x" });
  await arrivals(page).filter({ hasText: "on/1" }).waitFor();
  assert.equal(await arrivals(page).count(), 1);
  await button(page, "Clear the list").click();
  await page.getByText("Nothing has arrived yet.").waitFor();
  await page.context().close();
});

test("refusals are told in words, where they happened", async () => {
  const page = await open(browser, broker, { hash: "#/mqtt/client" });
  await enter(page, { user: "jo", password: "wrong" });
  await page.getByText("The user name or the password is wrong").waitFor();
  await assertAccessible(page);
  assert.equal(await page.getByLabel("MQTT user").inputValue(), "jo", "what was entered is still there");
  assert.equal(await page.getByLabel("MQTT password").inputValue(), "", "but for the password");
  await enter(page, { user: "jo", password: "secret" });
  await page.getByText("Connected as").waitFor();
  const panel = await publish(page, "secret/door", "x");
  await panel.getByRole("alert").filter({ hasText: "Not allowed" }).waitFor();
  await subscribe(page, "wrong/#/filter");
  await page.getByRole("alert").filter({ hasText: /filter|protocol|malformed/i }).first().waitFor();
  await assertSound(page);
  await page.context().close();
});

test("a session that is kept is there again, with what came meanwhile", async () => {
  const page = await connected({ clientId: "keeper", keep: 600 });
  await subscribe(page, "keep/#");
  await page.getByText("keep/#: Granted").waitFor();
  await button(page, "Disconnect").click();
  await page.getByText("Disconnected.").waitFor();
  await eventually(async () => (await broker.api("GET", "mqtt/sessions/keeper")).connected === false, "it is away");
  await broker.api("POST", "mqtt/publish", { topic: "keep/1", payload: "meanwhile", qos: 1 });
  await enter(page, { clientId: "keeper", keep: 0, isClean: false });
  await page.getByText("with a session that was there before").waitFor();
  await arrivals(page).filter({ hasText: "meanwhile" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("the connection ends with the page, with the session's operator, and with another client of the same name", async () => {
  const page = await connected({ clientId: "goes" });
  await visit(page, "#/mqtt/sessions", "MQTT sessions");
  await eventually(async () => !(await broker.api("GET", "connections")).some((row) => row.user_provided_name === "goes"), "the connection is gone");
  await visit(page, "#/mqtt/client", "MQTT client");
  await enter(page, { clientId: "ended" });
  await page.getByText("Connected as").waitFor();
  await broker.api("DELETE", "mqtt/sessions/ended");
  await page.getByText("An operator has done this.").waitFor();
  await enter(page, { clientId: "twice" });
  await page.getByText("Connected as").waitFor();
  const other = await Mqtt.connect(broker, "twice");
  await page.getByText("taken the session over").waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await other.close();
  await page.context().close();
});

test("it stays connected for longer than the keep alive", async () => {
  const page = await connected({ clientId: "alive", keepAlive: 1 });
  const received = async () => (await broker.api("GET", "connections")).find((row) => row.user_provided_name === "alive")?.recv_oct;
  const before = await eventually(received, "it is listed");
  // The broker lets a client go after one and a half seconds of silence; a ping has two bytes.
  await eventually(async () => (await received()) >= before + 4 * 2, "four pings", 20_000);
  assert.equal(await page.getByText("Connected as").count(), 1);
  await page.context().close();
});

test("a password is in no storage, and the topic filter comes with the link", async () => {
  const page = await open(browser, broker, { hash: "#/mqtt/client?filter=a/b" });
  await enter(page, { user: "jo", password: "secret" });
  await page.getByText("Connected as").waitFor();
  assert.equal(await page.getByRole("textbox", { name: "Topic filter" }).inputValue(), "a/b");
  const kept = await page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, location.href, document.documentElement.outerHTML]));
  assert.ok(!kept.includes("secret"));
  await page.context().close();
});

test("thousands of messages leave the page quick, and the newest are kept", async () => {
  const page = await connected({ clientId: "flood" });
  await subscribe(page, "flood", { qos: 0 });
  await page.getByText("flood: Granted").waitFor();
  await page.evaluate(async () => {
    const publish = (n) => fetch("api/mqtt/publish", { method: "POST", headers: { "Content-Type": "application/json", "X-Requested-With": "leveret" }, body: JSON.stringify({ topic: "flood", payload: String(n) }) });
    for (let n = 0; n < 1200; n += 20) await Promise.all(Array.from({ length: 20 }, (_, i) => publish(n + i)));
  });
  await page.getByText("1,200 messages received; the newest 500 are shown.").waitFor();
  assert.equal(await arrivals(page).count(), 500);
  await page.context().close();
});

test("topics and payloads that would be markup are text", async () => {
  const page = await connected({ clientId: HOSTILE[0] });
  await subscribe(page, "#");
  await page.getByText("#: Granted").waitFor();
  for (const name of HOSTILE) {
    const topic = name.replaceAll(/[+#]/g, "_");
    await broker.api("POST", "mqtt/publish", { topic, payload: name, properties: { content_type: name, user_properties: { [name]: name } } });
    const arrived = arrivals(page).filter({ hasText: topic }).first();
    await arrived.click();
    await page.locator(".arrivals .message").getByText(name, { exact: true }).first().waitFor();
  }
  await assertSound(page);
  await page.context().close();
});

test("narrow screens show all of it without scrolling the page to the side", async () => {
  const page = await connected({}, { viewport: { width: 360, height: 740 } });
  await subscribe(page, "narrow/#");
  await broker.api("POST", "mqtt/publish", { topic: `narrow/${"long/".repeat(30)}`, payload: "x".repeat(2000) });
  await arrivals(page).first().click();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.context().close();
});
