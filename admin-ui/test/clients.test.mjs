// Connections, channels and consumers: lists, pages, and how connections are closed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Amqp, Mqtt } from "./clients.js";
import { assertAccessible, assertSound, Broker, confirm, eventually, HOSTILE, launch, noteOf, open, visit } from "./support.js";

let broker;
let browser;
/** Those that stay for all tests. */
let orders;
let thermo;

const names = async () => (await broker.api("GET", "connections")).map(({ name }) => name);
const nameOf = async (client) => (await broker.api("GET", "connections")).find((row) => row.user_provided_name === client)?.name;
const hash = (kind, name) => `#/${kind}/${encodeURIComponent(name)}`;
const row = (page, text) => page.locator("main tbody tr", { hasText: text });

before(async () => {
  broker = await Broker.start();
  browser = await launch();
  await broker.api("PUT", "vhosts/other");
  for (const [name, tags] of [["jo", ""], ["lou", "management"], ["mo", "monitoring"]]) {
    await broker.api("PUT", `users/${name}`, { password: "secret", tags });
    for (const vhost of ["%2F", "other"]) await broker.api("PUT", `permissions/${vhost}/${name}`, { configure: ".*", write: ".*", read: ".*" });
  }
  await broker.declareQueue("orders");
  await broker.publish("orders", "one");
  orders = await Amqp.connect(broker, { properties: { connection_name: "orders-service", product: "shop", version: "2.3", capabilities: { publisher_confirms: true } } });
  await orders.channel(1);
  await orders.prefetch(1, 20);
  await orders.consume(1, "orders", "worker-1");
  await orders.channel(2);
  await orders.confirm(2);
  orders.publish(2, "orders", "two");
  await orders.method(60, 80);
  await orders.channel(3);
  await orders.transact(3);
  orders.publish(3, "orders", "uncommitted");
  thermo = await Mqtt.connect(broker, "thermo", { user: "jo", password: "secret" });
  await eventually(async () => (await names()).length === 2, "both are listed");
});

after(async () => {
  for (const client of [orders, thermo]) await client?.close();
  await browser?.close();
  await broker?.remove();
});

test("the list says who is connected, and finds clients by their names and users", async () => {
  const page = await open(browser, broker, { hash: "#/connections" });
  const of = row(page, "orders-service");
  await of.getByText("AMQP 0-9-1").waitFor();
  await of.getByText("shop 2.3").waitFor();
  await of.getByText("running").waitFor();
  await row(page, "thermo").getByText("MQTT 5-0").waitFor();
  await assertAccessible(page);
  for (const [filter, found, other] of [["orders-serv", "orders-service", "thermo"], ["jo", "thermo", "orders-service"]]) {
    await page.getByLabel("Filter Connections").fill(filter);
    await row(page, other).waitFor({ state: "detached" });
    await row(page, found).waitFor();
  }
  await page.getByLabel("Filter Connections").fill("nobody at all");
  await page.getByText("Nothing matches").waitFor();
  await assertSound(page);
  await page.context().close();
});

test("lists follow the virtual host that was chosen", async () => {
  const page = await open(browser, broker, { hash: "#/connections" });
  await row(page, "orders-service").waitFor();
  await page.locator(".choices").getByLabel("Virtual host").selectOption("other");
  await page.getByText("Nobody is connected.").waitFor();
  await visit(page, "#/channels", "Channels");
  await page.getByText("No channel is open.").waitFor();
  await visit(page, "#/consumers", "Consumers");
  await page.getByText("Nobody consumes.").waitFor();
  await assertAccessible(page);
  await page.context().close();
});

test("a connection's page has what the client says, its traffic, its channels and consumers", async () => {
  const page = await open(browser, broker, { hash: hash("connections", await nameOf("orders-service")) });
  await page.getByText("Name that the client chose").waitFor();
  const panel = (title) => page.getByRole("region", { name: title, exact: true });
  await panel("What the client says of itself").getByText("publisher_confirms").waitFor();
  await panel("Connection").getByText("128 KiB").waitFor();
  assert.equal(await panel("Channels").locator("tbody tr").count(), 3);
  await panel("Consumers").getByText("worker-1").waitFor();
  await eventually(async () => (await page.locator(".chart canvas").count()) === 2, "charts are drawn", 25_000);
  await assertAccessible(page);
  await panel("Channels").getByRole("link", { name: "Channel 1" }).click();
  await page.getByRole("heading", { level: 1, name: / \(1\)$/ }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("the connection of an MQTT client leads to its session", async () => {
  const page = await open(browser, broker, { hash: hash("connections", await nameOf("thermo")) });
  await page.getByRole("region", { name: "Connection", exact: true }).getByRole("link", { name: "thermo" }).click();
  await page.getByRole("heading", { level: 1, name: "thermo" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("a connection that waits for the end of an alarm is told apart", async () => {
  const small = await Broker.start(["--memory-max", "1MiB"]);
  await small.declareQueue("full");
  const client = await Amqp.connect(small, { properties: { connection_name: "waits" } });
  await client.channel(1);
  await eventually(async () => (await small.api("GET", "nodes"))[0].mem_alarm, "there is an alarm", 20_000);
  client.publish(1, "full", "one");
  const page = await open(browser, small, { hash: "#/connections" });
  await row(page, "waits").locator(".badge.bad", { hasText: "blocked" }).waitFor();
  await row(page, "waits").getByRole("link").first().click();
  await page.getByText("It has published during an alarm").waitFor();
  await assertAccessible(page);
  await page.context().close();
  await client.close();
  await small.remove();
});

test("channels say how they publish and what is not settled", async () => {
  const page = await open(browser, broker, { hash: "#/channels" });
  await row(page, "(2)").getByText("confirms").waitFor();
  await row(page, "(3)").getByText("transactions").waitFor();
  const cells = await row(page, "(1)").locator("td.number").allTextContents();
  assert.deepEqual(cells.slice(0, 3), ["1", "20", "2"], "consumers, prefetch, unacknowledged");
  await assertAccessible(page);
  await row(page, "(1)").getByRole("link", { name: "(1)" }).click();
  await page.getByText("20 messages without acknowledgement").waitFor();
  await page.getByText("worker-1").waitFor();
  await assertAccessible(page);
  await visit(page, hash("channels", `${await nameOf("orders-service")} (3)`), /\(3\)/);
  await page.getByText("in transactions").waitFor();
  await page.getByText("1 message, 0 acknowledgements").waitFor();
  await assertSound(page);
  await page.context().close();
});

test("consumers of queues and of sessions are in one list", async () => {
  const page = await open(browser, broker, { hash: "#/consumers" });
  await row(page, "worker-1").getByRole("link", { name: "orders", exact: true }).waitFor();
  await row(page, "thermo").first().getByText("MQTT", { exact: true }).waitFor();
  await page.getByLabel("Filter Consumers").fill("worker");
  await row(page, "thermo").first().waitFor({ state: "detached" });
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("a consumer that does not acknowledge is told apart", async () => {
  const client = await Amqp.connect(broker, { properties: { connection_name: "careless" } });
  await client.channel(1);
  await broker.declareQueue("logs");
  await client.consume(1, "logs", "careless-1", { noAck: true });
  const page = await open(browser, broker, { hash: "#/consumers" });
  await row(page, "careless-1").locator(".badge.warn", { hasText: "no" }).waitFor();
  await page.context().close();
  await client.close();
});

test("a connection is closed with a reason that the client gets", async () => {
  const client = await Amqp.connect(broker, { properties: { connection_name: "to-close" } });
  const name = await nameOf("to-close");
  const page = await open(browser, broker, { hash: hash("connections", name) });
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.ok((await names()).includes(name), "nothing happens before it is confirmed");
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("maintenance tonight");
  await assertAccessible(page);
  await confirm(page, "Close connection");
  await noteOf(page, "Closed");
  assert.match(await client.closing, /maintenance tonight/);
  await page.getByRole("heading", { level: 1, name: "Connections" }).waitFor();
  await client.close();
  await assertSound(page);
  await page.context().close();
});

test("a reason that HTTP cannot carry is refused in words", async () => {
  const client = await Amqp.connect(broker, { properties: { connection_name: "stays" } });
  const name = await nameOf("stays");
  const page = await open(browser, broker, { hash: hash("connections", name) });
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("Täglich");
  await confirm(page, "Close connection");
  await page.locator(".notice.failed", { hasText: "ASCII" }).waitFor();
  assert.ok((await names()).includes(name));
  await client.close();
  await page.context().close();
});

test("several connections are closed at once", async () => {
  const clients = [];
  for (const n of [1, 2, 3]) clients.push(await Amqp.connect(broker, { properties: { connection_name: `many-${n}` } }));
  const page = await open(browser, broker, { hash: "#/connections?name=many-" });
  await row(page, "many-3").waitFor();
  for (const n of [1, 2]) await row(page, `many-${n}`).getByRole("checkbox").check();
  await page.getByRole("button", { name: "Close connections (2)" }).click();
  await confirm(page, "Close connections");
  await noteOf(page, "2 rows done");
  await row(page, "many-1").waitFor({ state: "detached" });
  await row(page, "many-3").waitFor();
  await Promise.all([clients[0].closing, clients[1].closing]);
  assert.ok(await nameOf("many-3"));
  for (const client of clients) await client.close();
  await page.context().close();
});

test("all connections of a user are closed, and no others", async () => {
  const clients = [await Amqp.connect(broker, { user: "mo", password: "secret" }), await Amqp.connect(broker, { user: "mo", password: "secret", vhost: "other" })];
  const page = await open(browser, broker, { hash: "#/connections" });
  await page.getByLabel("User whose connections are closed").fill("mo");
  await page.getByRole("button", { name: "Close all of this user" }).click();
  await confirm(page, "Close all of them");
  await noteOf(page, "Closed the connections of mo");
  for (const client of clients) await client.closing;
  await eventually(async () => (await broker.api("GET", "connections/username/mo")).length === 0, "they are gone");
  assert.ok(await nameOf("orders-service"));
  for (const client of clients) await client.close();
  await page.context().close();
});

test("a page whose connection has ended says so", async () => {
  const client = await Amqp.connect(broker, { properties: { connection_name: "short" } });
  const page = await open(browser, broker, { hash: hash("connections", await nameOf("short")) });
  await page.getByText("Name that the client chose").waitFor();
  await page.getByLabel("Refresh").selectOption("2");
  await client.close();
  await page.getByText("This connection is not there any more.").waitFor();
  await assertAccessible(page);
  await visit(page, hash("channels", "no such (1)"), "no such (1)");
  await page.getByText("This channel is not there any more.").waitFor();
  await assertSound(page);
  await page.context().close();
});

test("who has the tag management sees its own connections, and those with monitoring see all and close none", async () => {
  const client = await Amqp.connect(broker, { user: "lou", password: "secret", properties: { connection_name: "of-lou" } });
  const mine = await open(browser, broker, { user: "lou", password: "secret", hash: "#/connections" });
  await row(mine, "of-lou").waitFor();
  assert.equal(await row(mine, "orders-service").count(), 0);
  assert.equal(await mine.getByRole("link", { name: "lou", exact: true }).count(), 0, "pages of users are for administrators");
  await mine.getByRole("button", { name: "Close all of mine" }).click();
  await confirm(mine, "Close all of them");
  await client.closing;
  await noteOf(mine, "Closed the connections of lou");
  await mine.context().close();
  await client.close();
  const name = await nameOf("orders-service");
  const all = await open(browser, broker, { user: "mo", password: "secret", hash: hash("connections", name) });
  await all.getByText("Name that the client chose").waitFor();
  assert.equal(await all.getByRole("button", { name: "Close", exact: true }).count(), 0);
  await visit(all, "#/connections", "Connections");
  await row(all, "orders-service").getByRole("checkbox").check();
  await all.getByRole("button", { name: "Close connections (1)" }).click();
  await confirm(all, "Close connections");
  await all.locator(".notice.failed", { hasText: "You may not do this" }).waitFor();
  assert.ok((await names()).includes(name));
  await all.context().close();
});

test("names that would be markup are text everywhere", async () => {
  const clients = [];
  for (const name of HOSTILE) {
    await broker.declareQueue(name);
    const client = await Amqp.connect(broker, { properties: { connection_name: name, product: name, [name]: { [name]: name } } });
    await client.channel(1);
    await client.consume(1, name, name);
    clients.push(client);
  }
  const page = await open(browser, broker, { hash: "#/connections" });
  for (const list of ["#/connections", "#/consumers"]) {
    await page.evaluate((hash) => { location.hash = hash; }, list);
    for (const name of HOSTILE) await row(page, name).first().waitFor();
  }
  for (const name of HOSTILE) {
    await visit(page, hash("connections", await nameOf(name)), /->/);
    await page.getByText(name, { exact: true }).first().waitFor();
    await visit(page, hash("channels", `${await nameOf(name)} (1)`), /\(1\)/);
    await page.getByText(name, { exact: true }).first().waitFor();
  }
  await assertSound(page);
  await page.context().close();
  for (const client of clients) await client.close();
});

test("narrow screens show all of it without scrolling the page to the side", async () => {
  const page = await open(browser, broker, { viewport: { width: 360, height: 740 }, hash: "#/connections" });
  const connection = await nameOf("orders-service");
  for (const [to, ready] of [["#/connections", "orders-service"], ["#/channels", "(1)"], ["#/consumers", "worker-1"], [hash("connections", connection), "worker-1"], [hash("channels", `${connection} (1)`), "worker-1"]]) {
    await page.evaluate((hash) => { location.hash = hash; }, to);
    await page.locator("main").getByText(ready).first().waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), to);
  }
  await page.context().close();
});
