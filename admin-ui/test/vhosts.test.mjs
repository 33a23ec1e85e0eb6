// Virtual hosts, and the limits of all.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertAccessible, assertSound, Broker, confirm, eventually, HOSTILE, launch, noteOf, open, visit } from "./support.js";

let broker;
let browser;
let page;
const e = encodeURIComponent;

before(async () => {
  broker = await Broker.start();
  browser = await launch();
  page = await open(browser, broker);
});

after(async () => {
  await browser?.close();
  await broker?.remove();
});

const panel = (title) => page.locator("section.panel", { has: page.getByRole("heading", { name: title, exact: true }) });
const form = () => page.locator("main form").first();
const names = async () => (await broker.api("GET", "vhosts")).map((vhost) => vhost.name);

test("a virtual host is added, and one that is there is not replaced", async () => {
  await visit(page, "#/vhosts", "Virtual hosts");
  await page.getByText("Add a virtual host").click();
  await form().getByLabel("Name", { exact: true }).fill("shop/eu");
  await form().getByLabel("Description").fill("Orders of Europe");
  await form().getByLabel("Tags").fill("prod, eu");
  await assertAccessible(page);
  await page.getByRole("button", { name: "Add the virtual host" }).click();
  await page.getByRole("heading", { level: 1, name: "shop/eu" }).waitFor();
  const vhost = await broker.api("GET", "vhosts/shop%2Feu");
  assert.equal(vhost.description, "Orders of Europe");
  assert.deepEqual(vhost.tags.toSorted(), ["eu", "prod"]);
  await page.getByText("Orders of Europe").waitFor();
  await panel("Permissions").getByRole("link", { name: "guest" }).waitFor();
  await assertAccessible(page);

  await visit(page, "#/vhosts", "Virtual hosts");
  await page.getByText("Add a virtual host").click();
  await form().getByLabel("Name", { exact: true }).fill("shop/eu");
  await page.getByRole("button", { name: "Add the virtual host" }).click();
  await page.getByRole("alert").filter({ hasText: "There is a virtual host shop/eu already" }).waitFor();
  assert.equal((await broker.api("GET", "vhosts/shop%2Feu")).description, "Orders of Europe");
});

test("its facts are changed", async () => {
  await visit(page, "#/vhosts/shop%2Feu", "shop/eu");
  await page.getByText("Change the description").click();
  await page.getByLabel("Description").fill("Europe");
  await page.getByLabel("Tags").fill("");
  await page.getByLabel("Trace").check();
  await page.getByRole("button", { name: "Save" }).click();
  await noteOf(page, "shop/eu is changed");
  const vhost = await broker.api("GET", "vhosts/shop%2Feu");
  assert.deepEqual([vhost.description, vhost.tags, vhost.tracing], ["Europe", [], true]);
  await page.getByText("traced", { exact: true }).waitFor();
  await page.getByLabel("Trace").uncheck();
  await page.getByRole("button", { name: "Save" }).click();
  await eventually(async () => !(await broker.api("GET", "vhosts/shop%2Feu")).tracing, "the trace ends");
});

test("limits are set on its page and in the overview of limits", async () => {
  await visit(page, "#/vhosts/shop%2Feu", "shop/eu");
  await panel("Limits").getByLabel("Queues at most").fill("7");
  await panel("Limits").getByRole("button", { name: "Set limits" }).click();
  await noteOf(page, "The limits of shop/eu are set");
  assert.deepEqual(await broker.api("GET", "vhost-limits/shop%2Feu"), [{ vhost: "shop/eu", value: { "max-queues": 7 } }]);

  await visit(page, "#/limits", "Limits");
  const ofVhosts = panel("Limits of virtual hosts");
  await ofVhosts.getByRole("cell", { name: "7", exact: true }).waitFor();
  await ofVhosts.getByText("Set a limit").click();
  await ofVhosts.getByLabel("Virtual host", { exact: true }).fill("/");
  await ofVhosts.getByLabel("Limit", { exact: true }).selectOption("max-connections");
  await ofVhosts.getByLabel("Value").fill("1000");
  await ofVhosts.getByRole("button", { name: "Set the limit" }).click();
  await ofVhosts.getByRole("cell", { name: (1000).toLocaleString("en-US"), exact: true }).waitFor();
  await ofVhosts.getByLabel("Virtual host", { exact: true }).fill("nowhere");
  await ofVhosts.getByRole("button", { name: "Set the limit" }).click();
  await ofVhosts.getByRole("alert").waitFor();
  const ofUsers = panel("Limits of users");
  await ofUsers.getByText("Set a limit").click();
  await ofUsers.getByLabel("User", { exact: true }).fill("guest");
  await ofUsers.getByLabel("Limit", { exact: true }).selectOption("max-channels");
  await ofUsers.getByLabel("Value").fill("500");
  await ofUsers.getByRole("button", { name: "Set the limit" }).click();
  await eventually(async () => (await broker.api("GET", "user-limits/guest"))[0]?.value["max-channels"] === 500, "the user has a limit");
  await assertAccessible(page);
  await ofVhosts.getByRole("button", { name: "Remove the limits of shop/eu" }).click();
  await confirm(page, "Remove");
  await noteOf(page, "shop/eu has no limits any more");
  assert.deepEqual(await broker.api("GET", "vhost-limits/shop%2Feu"), []);
  await ofUsers.getByRole("button", { name: "Remove the limits of guest" }).click();
  await confirm(page, "Remove");
  await ofUsers.getByText("No user has a limit").waitFor();
  await broker.api("DELETE", "vhost-limits/%2F/max-connections");
});

test("permissions are given from its page", async () => {
  await broker.api("PUT", "users/worker", { password: "x", tags: "" });
  await visit(page, "#/vhosts/shop%2Feu", "shop/eu");
  const form = panel("Permissions");
  await form.getByText("Give permissions").click();
  await form.getByLabel("User").fill("worker");
  await form.getByRole("button", { name: "Configure: nothing" }).click();
  await form.getByRole("button", { name: "Set permissions" }).click();
  await form.getByRole("link", { name: "worker" }).waitFor();
  assert.deepEqual(await broker.api("GET", "permissions/shop%2Feu/worker"), { user: "worker", vhost: "shop/eu", configure: "", write: ".*", read: ".*" });
});

test("of many permissions some are shown, and all are found", async () => {
  const people = Array.from({ length: 60 }, (_, n) => `person-${n}`);
  await broker.api("POST", "definitions", {
    users: people.map((name) => ({ name, password_hash: "", tags: [] })),
    permissions: people.map((user) => ({ user, vhost: "/", configure: "", write: "", read: ".*" })),
  });
  await visit(page, "#/vhosts/%2F", "/");
  const form = panel("Permissions");
  await form.getByText("50 of 61").waitFor();
  await form.getByLabel("Filter permissions").fill("son-59");
  await form.getByText("1 of 61").waitFor();
  await form.getByRole("link", { name: "person-59" }).waitFor();
  await form.getByLabel("Filter permissions").press("Control+a");
  await form.getByLabel("Filter permissions").press("Delete");
  await form.getByText("50 of 61").waitFor();
  assert.ok(await form.getByLabel("Filter permissions").evaluate((input) => input === document.activeElement), "who types goes on typing");
  await form.getByLabel("Filter permissions").fill("nobody");
  await form.getByText("Nothing matches").waitFor();
  await assertAccessible(page);
});

test("a protected virtual host cannot be deleted; another only by its name", async () => {
  await broker.declareQueue("orders", { durable: true }, "shop/eu");
  await broker.publish("orders", "one", {}, "shop/eu");
  await broker.publish("orders", "two", {}, "shop/eu");
  await visit(page, "#/vhosts/shop%2Feu", "shop/eu");
  await page.locator(".totals").getByText("2 messages").waitFor();
  await page.locator(".totals").getByText("1 queues").waitFor();
  await page.getByRole("button", { name: "Protect from deletion" }).click();
  await page.getByText("protected", { exact: true }).waitFor();
  assert.ok((await broker.api("GET", "vhosts/shop%2Feu")).protected_from_deletion);
  await assertAccessible(page);
  assert.ok(await page.getByRole("button", { name: "Delete", exact: true }).isDisabled());
  await page.getByRole("button", { name: "Take the protection off" }).click();
  await confirm(page, "Take it off");
  await page.getByRole("button", { name: "Protect from deletion" }).waitFor();

  await page.getByRole("button", { name: "Delete", exact: true }).click();
  const dialog = page.locator("dialog[open]");
  await dialog.getByText("1 queue with 2 messages").waitFor();
  const really = dialog.getByRole("button", { name: "Delete" });
  assert.ok(await really.isDisabled());
  await dialog.getByLabel("Type").fill("shop");
  assert.ok(await really.isDisabled());
  await assertAccessible(page);
  await dialog.getByLabel("Type").fill("shop/eu");
  await really.click();
  await page.getByRole("heading", { level: 1, name: "Virtual hosts" }).waitFor();
  assert.deepEqual(await names(), ["/"]);
});

test("hostile names are text in the list and on their pages", async () => {
  for (const name of HOSTILE) await broker.api("PUT", `vhosts/${e(name)}`, { description: name, tags: [name.replaceAll(",", "")] });
  await visit(page, "#/vhosts", "Virtual hosts");
  for (const name of HOSTILE) {
    await page.getByRole("link", { name, exact: true }).click();
    await page.locator("h1").getByText(name).first().waitFor();
    await panel("Permissions").getByRole("link", { name: "guest" }).waitFor();
    await assertSound(page);
    await visit(page, "#/vhosts", "Virtual hosts");
  }
  await visit(page, `#/vhosts/${e(HOSTILE[0])}`, HOSTILE[0]);
  await page.locator(".totals").getByText("0 queues").waitFor();
  await assertAccessible(page);
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.locator("dialog[open]").getByLabel("Type").fill(HOSTILE[0]);
  await confirm(page, "Delete");
  await page.getByRole("heading", { level: 1, name: "Virtual hosts" }).waitFor();
  assert.ok(!(await names()).includes(HOSTILE[0]));
});

test("users see the virtual hosts that they may use, and cannot change them", async () => {
  await broker.api("PUT", "users/worker", { password: "secret", tags: "management" });
  await broker.api("PUT", "permissions/%2F/worker", { configure: "", write: "", read: "" });
  const other = await open(browser, broker, { user: "worker", password: "secret", hash: "#/vhosts" });
  await other.getByRole("cell", { name: "/", exact: true }).waitFor();
  assert.equal(await other.locator("main tbody tr").count(), 1);
  assert.equal(await other.getByText("Add a virtual host").count(), 0);
  await visit(other, "#/limits", "Limits");
  await other.getByText("No virtual host has a limit").waitFor();
  assert.equal(await other.getByText("Set a limit").count(), 0);
  await assertAccessible(other);
  await assertSound(other);
  await other.context().close();
});

test("on a narrow screen nothing scrolls sideways", async () => {
  await page.setViewportSize({ width: 360, height: 780 });
  await broker.api("PUT", "vhost-limits/%2F/max-queues", { value: 1_000_000 });
  for (const [hash, title] of [["#/vhosts", "Virtual hosts"], ["#/vhosts/%2F", "/"], ["#/limits", "Limits"]]) {
    await visit(page, hash, title);
    await page.getByRole("table").first().waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, hash);
  }
  await assertSound(page);
});
