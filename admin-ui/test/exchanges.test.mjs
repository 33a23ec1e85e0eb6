// Exchanges: their list, their pages, and all that is done with them, against a real broker.

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
const names = async () => (await broker.api("GET", "exchanges/%2F")).map(({ name }) => name);
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
