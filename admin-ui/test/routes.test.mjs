// The route tester: who would get a message, why, and what helps if nobody would.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { assertAccessible, assertSound, Broker, eventually, HOSTILE, launch, open, visit } from "./support.js";

const part = encodeURIComponent;
let broker;
let browser;

before(async () => {
  broker = await Broker.start();
  browser = await launch();
  await declare("orders", { type: "topic", durable: true, arguments: { "alternate-exchange": "unrouted" } });
  await declare("unrouted", { type: "fanout", durable: true });
  await declare("regions", { type: "headers", durable: true });
  for (const queue of ["billing", "audit", "lost"]) await broker.declareQueue(queue);
  await bind("orders", "q", "billing", "orders.*.paid");
  await bind("orders", "e", "regions", "orders.#");
  await bind("regions", "q", "audit", "", { "x-match": "all", region: "eu" });
  await bind("unrouted", "q", "lost");
});

after(async () => {
  await browser?.close();
  await broker?.remove();
});

const declare = (name, body = { type: "topic", durable: true }) => broker.api("PUT", `exchanges/%2F/${part(name)}`, body);
const bind = (source, kind, destination, routing_key = "", args = {}) =>
  broker.api("POST", `bindings/%2F/e/${part(source)}/${kind}/${part(destination)}`, { routing_key, arguments: args });
const verdict = (page, words) => page.getByRole("heading", { name: words }).waitFor();
const reasons = (page) => page.getByRole("region", { name: "Who gets it, and why" });

/** A session that is kept, with a subscription of QoS 1. */
async function subscribe(clientId, filter) {
  const text = (words) => {
    const bytes = Buffer.from(words);
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  };
  const packet = (first, body) => {
    assert.ok(body.length < 128);
    return Buffer.concat([Buffer.from([first, body.length]), body]);
  };
  const socket = connect(broker.mqtt, "127.0.0.1");
  const login = Buffer.concat([text("MQTT"), Buffer.from([4, 0b1100_0000, 0, 60]), text(clientId), text("guest"), text("guest")]);
  socket.write(packet(0x10, login));
  socket.write(packet(0x82, Buffer.concat([Buffer.from([0, 1]), text(filter), Buffer.from([1])])));
  let answered = 0;
  socket.on("data", (bytes) => (answered += bytes.length));
  await eventually(() => answered >= 9, "the subscription is acknowledged");
  socket.end(packet(0xe0, Buffer.alloc(0)));
}

test("the answer follows what is typed, with the way through exchanges and the reason of each step", async () => {
  const page = await open(browser, broker, { hash: "#/routes" });
  await page.getByLabel("Exchange", { exact: true }).fill("orders");
  await page.getByLabel("Routing key").fill("orders.7.paid");
  await verdict(page, "1 queue would get it");
  await reasons(page).getByText("the pattern orders.*.paid matches orders.7.paid").waitFor();
  await page.getByRole("button", { name: "add…" }).click();
  await page.getByLabel("Headers: name 1").fill("region");
  await page.getByLabel("Headers: value of region").fill("eu");
  await verdict(page, "2 queues would get it");
  await reasons(page).getByText("the pattern orders.# matches orders.7.paid").waitFor();
  await reasons(page).getByText("the headers match the arguments").waitFor();
  const picture = page.getByRole("region", { name: "The way it takes" });
  await picture.getByText("In words").click();
  await picture.getByText("exchange regions sends to queue audit").waitFor();
  await assertAccessible(page);
  await page.getByLabel("Headers: type of region").selectOption("number");
  await page.getByRole("alert").filter({ hasText: "region has to be a number" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("what is asked for stands in the address, which can be passed on", async () => {
  const page = await open(browser, broker, { hash: `#/routes?exchange=orders&key=orders.7.paid&headers=${part('{"region":"eu"}')}` });
  await verdict(page, "2 queues would get it");
  assert.equal(await page.getByLabel("Headers: value of region").inputValue(), "eu");
  await page.reload();
  await verdict(page, "2 queues would get it");
  await page.getByLabel("Routing key").fill("orders.7.packed");
  await verdict(page, "1 queue would get it");
  assert.ok(page.url().includes("orders.7.packed"));
  await visit(page, "#/routes?exchange=orders&key=orders.7.paid", "Route tester");
  await page.getByLabel("Headers: value of region").waitFor({ state: "detached" });
  await verdict(page, "1 queue would get it");
  await page.context().close();
});

test("an alternate exchange is told as such", async () => {
  const page = await open(browser, broker, { hash: "#/routes?exchange=orders&key=nothing.matches" });
  await verdict(page, "1 queue would get it");
  await reasons(page).getByText("no binding of the exchange orders matches").waitFor();
  await page.context().close();
});

test("that nobody gets it is explained by the type of the exchange, with what would help", async () => {
  await declare("narrow");
  await bind("narrow", "q", "billing", "a.*");
  await declare("exact", { type: "direct", durable: true });
  await bind("exact", "q", "billing", "right");
  await declare("bare", { type: "fanout", durable: true });
  const page = await open(browser, broker, { hash: "#/routes?exchange=narrow&key=a.b.c" });
  const nobody = async (exchange, key, ...texts) => {
    await visit(page, `#/routes?exchange=${exchange}&key=${key}`, "Route tester");
    for (const text of texts) await page.locator(".empty", { hasText: text }).waitFor();
    await verdict(page, "Nobody would get it");
    await assertAccessible(page);
  };
  await nobody("narrow", "a.b.c", "* stands for exactly one word", "a.*", "alternate exchange");
  await nobody("exact", "Right", "only if its key equals the routing key", "right");
  await nobody("bare", "", "Nothing is bound to bare");
  await nobody("regions", "", "Every argument of a binding has to be a header", "no headers yet");
  await nobody("amq.default", "no-such-queue", "none of the name no-such-queue");
  await assertSound(page);
  await page.context().close();
});

test("a policy that gives an exchange an alternate is told, here and on its page", async () => {
  await declare("ruled");
  await broker.api("PUT", "policies/%2F/rule", { pattern: "^ruled$", "apply-to": "exchanges", definition: { "alternate-exchange": "absent" } });
  const page = await open(browser, broker, { hash: "#/routes?exchange=ruled" });
  await page.locator(".empty", { hasText: "Its alternate exchange absent has nothing that takes it" }).waitFor();
  await visit(page, "#/exchanges/%2F/ruled", "ruled");
  await page.getByText("What no binding takes goes to the exchange absent.").waitFor();
  await page.getByRole("link", { name: "rule", exact: true }).waitFor();
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("the answer changes by itself when a binding comes", async () => {
  await declare("growing", { type: "fanout", durable: true });
  const page = await open(browser, broker, { hash: "#/routes?exchange=growing" });
  await page.getByLabel("Refresh").selectOption("2");
  await verdict(page, "Nobody would get it");
  await bind("growing", "q", "lost");
  await verdict(page, "1 queue would get it");
  await page.context().close();
});

test("a topic of MQTT reaches sessions and queues", async () => {
  await subscribe("thermostat", "rooms/+/temp");
  await bind("amq.topic", "q", "audit", "rooms.#");
  const page = await open(browser, broker, { hash: "#/routes" });
  await page.getByLabel("A message", { exact: true }).selectOption("topic");
  await page.getByText("Enter a topic").waitFor();
  await assertAccessible(page);
  await page.getByLabel("Topic", { exact: true }).fill("rooms/7/temp");
  await verdict(page, "1 queue and 1 MQTT session would get it");
  await reasons(page).getByRole("link", { name: "thermostat" }).waitFor();
  await reasons(page).getByText("the filter rooms/+/temp matches rooms/7/temp").waitFor();
  await assertAccessible(page);
  await page.getByLabel("Topic", { exact: true }).fill("cellars/1");
  await verdict(page, "Nobody would get it");
  await page.getByText("No subscription matches").waitFor();
  await assertAccessible(page);
  await page.getByLabel("Topic", { exact: true }).fill("cellars/#");
  await page.getByRole("alert").filter({ hasText: "none that clients may publish to" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("the page of an exchange and a message that got nowhere lead here", async () => {
  await declare("sender");
  const page = await open(browser, broker, { hash: "#/exchanges/%2F/sender" });
  await page.getByRole("link", { name: "Test a route" }).click();
  await page.getByRole("heading", { level: 1, name: "Route tester" }).waitFor();
  assert.equal(await page.getByLabel("Exchange", { exact: true }).inputValue(), "sender");
  await visit(page, "#/exchanges/%2F/sender", "sender");
  await page.getByText("Publish a message").click();
  await page.locator(".publish").getByLabel("Routing key").fill("some.key");
  await page.getByRole("button", { name: "Publish message" }).click();
  await page.getByRole("link", { name: "See why" }).click();
  await page.getByText("Nothing is bound to sender").waitFor();
  assert.equal(await page.getByLabel("Routing key").inputValue(), "some.key");
  await page.context().close();
});

test("an exchange that is not there, and hostile names, are text", async () => {
  const page = await open(browser, broker, { hash: "#/routes?exchange=nowhere" });
  await page.getByRole("alert").filter({ hasText: "not there" }).waitFor();
  for (const name of HOSTILE) {
    await declare(name, { type: "direct", durable: true });
    await broker.declareQueue(name);
    await bind(name, "q", name, name);
    await visit(page, `#/routes?exchange=${part(name)}&key=${part(name)}`, "Route tester");
    await reasons(page).getByText(`the binding key is ${name}`).waitFor();
    await reasons(page).getByRole("link", { name, exact: true }).waitFor();
    await visit(page, `#/routes?exchange=${part(name)}&key=other`, "Route tester");
    await page.locator(".empty code", { hasText: name }).first().waitFor();
    await visit(page, `#/routes?topic=${part(name.replaceAll(/[#+]/g, ""))}`, "Route tester");
    await page.getByRole("heading", { name: "would get it" }).waitFor();
    await assertSound(page);
  }
  await page.context().close();
});

test("the tester fits a narrow screen, and a random exchange has an answer as well", async () => {
  await declare("dice", { type: "x-random", durable: true });
  await bind("dice", "q", "lost");
  const page = await open(browser, broker, { viewport: { width: 360, height: 740 }, hash: `#/routes?exchange=dice&headers=${part('{"a":1}')}` });
  await reasons(page).getByText("at random").waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await assertAccessible(page);
  await page.context().close();
});
