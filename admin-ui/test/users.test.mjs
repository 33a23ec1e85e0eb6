// Users: passwords, tags, permissions, limits, connections.

import assert from "node:assert/strict";
import { connect } from "node:net";
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
const fold = async (title) => {
  const details = page.locator("details", { has: page.locator("summary", { hasText: title }) }).last();
  await details.locator("summary").click();
  return details;
};
const mayLogIn = async (user, password) => (await fetch(`${broker.url}/api/whoami`, { headers: { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` } })).ok;

test("a user is added with a password and tags", async () => {
  await visit(page, "#/users", "Users");
  const form = await fold("Add a user");
  await form.getByLabel("Name").fill("anna");
  await form.getByLabel("New password", { exact: true }).fill("first");
  await form.getByLabel("New password, once more").fill("frist");
  await form.getByLabel("management", { exact: true }).check();
  await assertAccessible(page);
  await form.getByRole("button", { name: "Add the user" }).click();
  await form.getByRole("alert").filter({ hasText: "The two passwords differ" }).waitFor();
  await form.getByLabel("New password, once more").fill("first");
  await form.getByRole("button", { name: "Add the user" }).click();
  await page.getByRole("heading", { level: 1, name: "anna" }).waitFor();
  assert.deepEqual((await broker.api("GET", "users/anna")).tags, ["management"]);
  assert.ok(await mayLogIn("anna", "first"));
  await page.getByText("The user cannot connect to any virtual host").waitFor();
  await assertAccessible(page);
});

test("a user who is there is not replaced by mistake", async () => {
  await visit(page, "#/users", "Users");
  const form = await fold("Add a user");
  await form.getByLabel("Name").fill("anna");
  await form.getByLabel("Login").selectOption("none");
  await form.getByRole("button", { name: "Add the user" }).click();
  await form.getByRole("alert").filter({ hasText: "There is a user anna already" }).waitFor();
  assert.ok(await mayLogIn("anna", "first"));
});

test("a password is changed, taken by its hash, and taken away; tags stay", async () => {
  await visit(page, "#/users/anna", "anna");
  const form = await fold("Change the password");
  await form.getByLabel("New password", { exact: true }).fill("second");
  await form.getByLabel("New password, once more").fill("second");
  await form.getByRole("button", { name: "Change the password" }).click();
  await noteOf(page, "The password of anna is changed");
  assert.ok(await mayLogIn("anna", "second"));
  assert.ok(!(await mayLogIn("anna", "first")));

  await form.getByLabel("Login").selectOption("hash");
  const { ok: hash } = await broker.api("GET", "auth/hash_password/third");
  await form.getByLabel("Hash").fill(hash);
  await form.getByRole("button", { name: "Change the password" }).click();
  await eventually(() => mayLogIn("anna", "third"), "the hash is taken");

  await form.getByLabel("New password", { exact: true }).waitFor();
  await form.getByLabel("Login").selectOption("hash");
  await form.getByLabel("Hash").fill("nonsense");
  await form.getByRole("button", { name: "Change the password" }).click();
  await form.getByRole("alert").filter({ hasText: "no hash" }).waitFor();

  await form.getByLabel("Login").selectOption("none");
  await form.getByRole("button", { name: "Change the password" }).click();
  await page.getByText("no password", { exact: true }).waitFor();
  const user = await broker.api("GET", "users/anna");
  assert.equal(user.password_hash, "");
  assert.deepEqual(user.tags, ["management"]);
});

test("tags are set, known ones and others, and the password stays", async () => {
  await visit(page, "#/users/anna", "anna");
  const { password_hash: before } = await broker.api("GET", "users/anna");
  const form = await fold("Change the tags");
  await form.getByLabel("management", { exact: true }).uncheck();
  await form.getByLabel("policymaker", { exact: true }).check();
  await form.getByLabel("Other tags").fill("team-a, team-b");
  await form.getByRole("button", { name: "Set the tags" }).click();
  await noteOf(page, "The tags of anna are set");
  const user = await broker.api("GET", "users/anna");
  assert.deepEqual(user.tags.toSorted(), ["policymaker", "team-a", "team-b"]);
  assert.equal(user.password_hash, before);
  await page.locator("h1").getByText("team-b").waitFor();
});

test("permissions are given with presets, tried, edited and taken away", async () => {
  await visit(page, "#/users/anna", "anna");
  const form = panel("Permissions");
  await form.getByText("Give permissions").click();
  await form.getByLabel("Configure", { exact: true }).fill("^anna\\.");
  await form.getByRole("button", { name: "Write: all but amq.*" }).click();
  await form.getByRole("button", { name: "Read: nothing" }).click();
  await form.getByLabel("Try a name").fill("orders");
  // Publish, bind others, declare; consume, bind, declare.
  const answers = async () => {
    await form.getByRole("heading", { name: `The queue ${await form.getByLabel("Try a name").inputValue()}`, exact: true }).waitFor();
    return (await form.locator(".tester li").allTextContents()).map((text) => text.split(" ")[0]);
  };
  assert.deepEqual(await answers(), ["yes", "no", "no", "no", "yes", "no"]);
  await form.getByLabel("Try a name").fill("amq.topic");
  assert.deepEqual(await answers(), ["no", "no", "no", "no", "no", "no"]);
  await form.getByLabel("Try a name").fill("anna.x");
  assert.deepEqual(await answers(), ["yes", "no", "yes", "no", "yes", "yes"]);
  await assertAccessible(page);
  await form.getByRole("button", { name: "Set permissions" }).click();
  await noteOf(page, "The permissions of anna in / are set");
  assert.deepEqual(await broker.api("GET", "permissions/%2F/anna"), { user: "anna", vhost: "/", configure: "^anna\\.", write: "^(?!amq\\.).*", read: "" });

  await form.getByRole("button", { name: "Edit /" }).click();
  await form.getByRole("button", { name: "Cancel" }).click();
  await form.getByText("Give permissions").waitFor();
  await form.getByRole("button", { name: "Edit /" }).click();
  await form.getByLabel("Read", { exact: true }).fill("(");
  await form.getByLabel("Try a name").fill("x");
  await form.getByText("cannot tell here").first().waitFor();
  await form.getByRole("button", { name: "Set permissions" }).click();
  await form.getByRole("alert").waitFor();
  await form.getByLabel("Read", { exact: true }).fill("^orders$");
  await form.getByRole("button", { name: "Set permissions" }).click();
  await eventually(async () => (await broker.api("GET", "permissions/%2F/anna")).read === "^orders$", "the permission is changed");
  await form.getByRole("cell", { name: "^orders$" }).waitFor();

  await form.getByRole("button", { name: "Remove /" }).click();
  await confirm(page, "Take them away");
  await page.getByText("The user cannot connect to any virtual host").waitFor();
  assert.deepEqual(await broker.api("GET", "users/anna/permissions"), []);
});

test("what the tester says is what the broker does", async () => {
  await broker.api("PUT", "users/probe", { password: "secret", tags: "management" });
  const patterns = ["", ".*", "^a", "b$", "^(?!amq\\.).*", "^(a|b)$", "a.c", "\\d+"];
  const names = ["a", "b", "ab", "a.c", "axc", "42", "amq"];
  await visit(page, "#/users/probe", "probe");
  const form = panel("Permissions");
  await form.getByText("Give permissions").click();
  for (const pattern of patterns) {
    await broker.api("PUT", "permissions/%2F/probe", { configure: pattern, write: ".*", read: ".*" });
    await form.getByLabel("Configure", { exact: true }).fill(pattern);
    for (const name of names) {
      await form.getByLabel("Try a name").fill(name);
      await form.getByRole("heading", { name: `The queue ${name}`, exact: true }).waitFor();
      const said = (await form.locator(".tester li").last().textContent()).startsWith("yes");
      const answer = await fetch(`${broker.url}/api/queues/%2F/${e(name)}`, { method: "PUT", headers: { Authorization: `Basic ${btoa("probe:secret")}` }, body: "{}" });
      assert.equal(said, answer.ok, `${pattern} and ${name}`);
    }
  }
});

test("topic permissions are given, tried and taken away", async () => {
  await broker.api("PUT", "permissions/%2F/anna", { configure: ".*", write: ".*", read: ".*" });
  await visit(page, "#/users/anna", "anna");
  const form = panel("Topic permissions");
  await form.getByText("Add a topic permission").click();
  await form.getByLabel("Publish", { exact: true }).fill("^{client_id}\\.");
  await form.getByLabel("Try a routing key").fill("d1.temperature");
  const first = form.locator(".tester li").first();
  await eventually(async () => (await first.textContent()).startsWith("no"), "nobody without a client identifier");
  await form.getByLabel("as the MQTT client").fill("d1");
  await eventually(async () => (await first.textContent()).startsWith("yes"), "the client itself");
  await form.getByLabel("as the MQTT client").fill(".*");
  await eventually(async () => (await first.textContent()).startsWith("no"), "names are taken literally");
  await form.getByRole("button", { name: "Set topic permission" }).click();
  await noteOf(page, "The topic permission of anna for amq.topic is set");
  assert.deepEqual(await broker.api("GET", "topic-permissions/%2F/anna"), [{ user: "anna", vhost: "/", exchange: "amq.topic", write: "^{client_id}\\.", read: ".*" }]);
  await form.getByRole("button", { name: "Edit amq.topic, /" }).click();
  await form.getByLabel("Subscribe", { exact: true }).fill("^a");
  await form.getByRole("button", { name: "Set topic permission" }).click();
  await eventually(async () => (await broker.api("GET", "topic-permissions/%2F/anna"))[0].read === "^a", "it is changed");
  await form.getByRole("button", { name: "Remove amq.topic, /" }).click();
  await confirm(page, "Remove");
  await form.getByText("There are none").waitFor();
  assert.deepEqual(await broker.api("GET", "users/anna/topic-permissions"), []);
});

test("limits are set and taken away", async () => {
  await visit(page, "#/users/anna", "anna");
  const form = panel("Limits");
  await form.getByLabel("Connections at most").fill("3");
  await form.getByLabel("Channels at most").fill("30");
  await form.getByRole("button", { name: "Set limits" }).click();
  await eventually(async () => (await broker.api("GET", "users/anna")).limits["max-channels"] === 30, "both are set");
  await page.getByText("channels ≤ 30, connections ≤ 3").waitFor();
  await form.getByLabel("Connections at most").fill("");
  await form.getByRole("button", { name: "Set limits" }).click();
  await eventually(async () => !("max-connections" in (await broker.api("GET", "users/anna")).limits), "one is gone");
});

test("connections of a user are shown and closed, with the queues that are theirs", async () => {
  await broker.api("PUT", "users/anna", { password: "secret", tags: "" });
  const socket = connect(broker.mqtt, "127.0.0.1");
  const text = (value) => Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)]);
  const body = Buffer.concat([text("MQTT"), Buffer.from([4, 0xc2, 0, 60]), text("device"), text("anna"), text("secret")]);
  let isClosed = false;
  socket.on("error", () => {});
  socket.on("close", () => (isClosed = true));
  socket.resume();
  socket.write(Buffer.concat([Buffer.from([0x10, body.length]), body]));
  await visit(page, "#/users/anna", "anna");
  await panel("Connections").getByRole("button", { name: "Close all (1)" }).click();
  await page.locator("dialog[open]").getByText("1 connection of anna is closed").waitFor();
  await confirm(page, "Close all");
  await eventually(() => isClosed, "the client is cut off");
  await noteOf(page, "The connections of anna are closed");
  await panel("Connections").getByText("The user is not connected").waitFor();
});

test("users are deleted, one on its page and several from the list", async () => {
  for (const name of ["one", "two", "three"]) await broker.api("PUT", `users/${name}`, { password: "x", tags: "" });
  await visit(page, "#/users/one", "one");
  await page.getByRole("button", { name: "Delete the user" }).click();
  await confirm(page, "Delete");
  await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
  await page.getByLabel("Choose two").check();
  await page.getByLabel("Choose three").check();
  await page.getByRole("button", { name: "Delete (2)" }).click();
  await page.locator("dialog[open]").getByText("their connections are closed").waitFor();
  await confirm(page, "Delete");
  await noteOf(page, "Delete: 2 rows done");
  const left = (await broker.api("GET", "users")).map((user) => user.name);
  assert.ok(!["one", "two", "three"].some((name) => left.includes(name)), left.join());
});

test("hostile names are text in the list and on their pages", async () => {
  for (const name of HOSTILE) {
    await broker.api("PUT", `users/${e(name)}`, { password: "x", tags: [name] });
    await broker.api("PUT", `permissions/%2F/${e(name)}`, { configure: "<b>", write: ".*", read: ".*" });
    await broker.api("PUT", `topic-permissions/%2F/${e(name)}`, { exchange: name, write: "<i>", read: ".*" });
  }
  await visit(page, "#/users", "Users");
  for (const name of HOSTILE) {
    await page.getByRole("link", { name, exact: true }).click();
    await page.locator("h1").getByText(name).first().waitFor();
    await panel("Permissions").getByRole("cell", { name: "<b>" }).waitFor();
    await panel("Topic permissions").getByRole("link", { name, exact: true }).waitFor();
    await assertSound(page);
    await visit(page, "#/users", "Users");
  }
  await visit(page, `#/users/${e(HOSTILE[0])}`, HOSTILE[0]);
  await assertAccessible(page);
  await page.getByRole("button", { name: "Delete the user" }).click();
  await confirm(page, "Delete");
  await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
  assert.ok(!(await broker.api("GET", "users")).some((user) => user.name === HOSTILE[0]));
});

test("users without permissions are found", async () => {
  await broker.api("PUT", "users/idle", { password: "x", tags: "" });
  await visit(page, "#/users", "Users");
  await page.getByRole("link", { name: "guest" }).waitFor();
  await page.getByLabel("Only those without permissions").check();
  await page.getByRole("link", { name: "idle" }).waitFor();
  await eventually(async () => (await page.getByRole("link", { name: "guest" }).count()) === 0, "others are not shown");
});

test("ten thousand users are shown a page at a time", async () => {
  const users = Array.from({ length: 10_000 }, (_, n) => ({ name: `crowd-${String(n).padStart(5, "0")}`, password_hash: "", hashing_algorithm: "rabbit_password_hashing_sha256", tags: [] }));
  await broker.api("POST", "definitions", { users });
  await visit(page, "#/users", "Users");
  const start = Date.now();
  await page.getByLabel("Filter users").fill("crowd-0999");
  await page.getByText("10 of ").waitFor();
  await page.getByRole("link", { name: "crowd-09995" }).waitFor();
  assert.ok(Date.now() - start < 5_000, "the filter is quick");
  await assertSound(page);
});

test("only administrators see users", async () => {
  await broker.api("PUT", "users/watcher", { password: "secret", tags: "monitoring" });
  const other = await open(browser, broker, { user: "watcher", password: "secret", hash: "#/users" });
  await other.getByRole("heading", { level: 1, name: "Not for you" }).waitFor();
  const entries = await other.locator("nav#nav a").allTextContents();
  assert.ok(!entries.includes("Users") && !entries.includes("Definitions") && !entries.includes("Parameters") && entries.includes("Nodes"), entries.join());
  await assertSound(other);
  await other.context().close();
});

test("on a narrow screen nothing scrolls sideways", async () => {
  await broker.api("PUT", "permissions/%2F/anna", { configure: ".*", write: ".*", read: ".*" });
  await page.setViewportSize({ width: 360, height: 780 });
  for (const [hash, title] of [["#/users", "Users"], ["#/users/anna", "anna"]]) {
    await visit(page, hash, title);
    await page.getByRole("table").first().waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, hash);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await assertSound(page);
});
