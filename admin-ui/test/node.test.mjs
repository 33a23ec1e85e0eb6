// Definitions, nodes and health checks.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { assertAccessible, assertSound, Broker, confirm, eventually, HOSTILE, launch, noteOf, open, visit } from "./support.js";

let broker;
let browser;
let page;
let node;

before(async () => {
  broker = await Broker.start();
  browser = await launch();
  page = await open(browser, broker, { acceptDownloads: true });
  ({ node } = await broker.api("GET", "overview"));
});

after(async () => {
  await browser?.close();
  await broker?.remove();
});

const panel = (title) => page.locator("section.panel", { has: page.getByRole("heading", { name: title, exact: true }) });
const toNode = () => visit(page, `#/nodes/${encodeURIComponent(node)}`, node);

async function download() {
  const [file] = await Promise.all([page.waitForEvent("download"), panel("Export").getByRole("link", { name: "Download" }).click()]);
  return { name: file.suggestedFilename(), content: JSON.parse(readFileSync(await file.path(), "utf8")) };
}

test("definitions are exported, all of them or of one virtual host", async () => {
  await broker.declareQueue("lasting");
  await visit(page, "#/definitions", "Definitions");
  await assertAccessible(page);
  const all = await download();
  assert.match(all.name, /^definitions-\d{4}-\d\d-\d\d\.json$/);
  assert.deepEqual(all.content, await broker.api("GET", "definitions"));
  assert.ok(all.content.users.some((user) => user.name === "guest"));
  await page.getByLabel("What").selectOption("/");
  const one = await download();
  assert.equal(one.content.queues[0].name, "lasting");
  assert.equal(one.content.users, undefined);
});

test("what an import would do is said before it is done", async () => {
  await visit(page, "#/definitions", "Definitions");
  const form = panel("Import");
  await form.getByRole("button", { name: "Import" }).click();
  await form.getByRole("alert").filter({ hasText: "Choose a file" }).waitFor();
  await form.getByLabel("Document").fill("{");
  await form.getByRole("alert").filter({ hasText: "no valid JSON" }).waitFor();
  await form.getByLabel("Document").fill("[]");
  await form.getByRole("alert").filter({ hasText: "It is no object" }).waitFor();
  await form.getByLabel("Document").fill(JSON.stringify({ rabbitmq_version: "4.1.0", queues: [{ name: "a", vhost: "/" }, { name: "b", vhost: "/" }], users: [{ name: "new", password_hash: "", tags: [] }] }));
  await form.getByText("(from RabbitMQ 4.1.0) has 1 user, 2 queues").waitFor();
  await form.getByRole("button", { name: "Import" }).click();
  await page.locator("dialog[open]").getByText("Users, policies, parameters and limits of the same name are replaced").waitFor();
  await assertAccessible(page);
  await page.locator("dialog[open]").getByRole("button", { name: "Cancel" }).click();
  assert.ok(!(await broker.api("GET", "users")).some((user) => user.name === "new"), "nothing is done without a yes");
  await form.getByRole("button", { name: "Import" }).click();
  await confirm(page, "Import");
  await form.getByText("Everything is imported as it stands in the document").waitFor();
  assert.deepEqual((await broker.api("GET", "queues")).map((queue) => queue.name).toSorted(), ["a", "b", "lasting"]);
});

test("all that is wrong with a file is shown, and nothing is imported", async () => {
  await visit(page, "#/definitions", "Definitions");
  const form = panel("Import");
  const queues = [{ name: "good", vhost: "/", durable: true }, ...HOSTILE.map((name) => ({ name, vhost: "/", durable: true, arguments: { "x-queue-type": "stream" } }))];
  await form.getByLabel("File").setInputFiles({ name: "bad.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify({ queues })) });
  await form.getByText(`${queues.length} queues`).waitFor();
  await form.getByRole("button", { name: "Import" }).click();
  await confirm(page, "Import");
  const report = form.locator(".report");
  await report.getByText(`Nothing is imported because of ${HOSTILE.length} problems`).waitFor();
  assert.equal(await report.locator("li").count(), HOSTILE.length);
  await report.getByText(HOSTILE[0]).waitFor();
  await assertAccessible(page);
  await assertSound(page);
  assert.ok(!(await broker.api("GET", "queues")).some((queue) => queue.name === "good"));
});

test("what is imported in another way is told", async () => {
  await visit(page, "#/definitions", "Definitions");
  const form = panel("Import");
  await form.getByLabel("Document").fill(JSON.stringify({ vhosts: [{ name: "v", default_queue_type: "quorum" }] }));
  await form.getByRole("button", { name: "Import" }).click();
  await confirm(page, "Import");
  await form.locator(".report li").filter({ hasText: "queues without x-queue-type are classic" }).waitFor();
  assert.ok((await broker.api("GET", "vhosts")).some((vhost) => vhost.name === "v"));
});

test("definitions of one virtual host go into another", async () => {
  const content = await broker.api("GET", "definitions/%2F");
  await visit(page, "#/definitions", "Definitions");
  const form = panel("Import");
  await form.getByLabel("Document").fill(JSON.stringify(content));
  await form.getByText("It is of a single virtual host").waitFor();
  await form.getByLabel("Into").selectOption("v");
  await form.getByRole("button", { name: "Import" }).click();
  await confirm(page, "Import");
  await form.locator(".report.done").waitFor();
  assert.deepEqual((await broker.api("GET", "queues/v")).map((queue) => queue.name), ["lasting"]);
});

test("the list of nodes leads to the node", async () => {
  await visit(page, "#/nodes", "Nodes");
  await page.getByText("running, no alarms").waitFor();
  await assertAccessible(page);
  await page.getByRole("link", { name: node }).click();
  await page.getByRole("heading", { level: 1, name: node }).waitFor();
});

test("a node shows what it uses, listens on and is set to", async () => {
  await toNode();
  await panel("Memory by use").getByRole("row", { name: "Everything else" }).waitFor();
  await panel("Listeners").getByRole("row", { name: `amqp 127.0.0.1 ${broker.amqp}` }).waitFor();
  await panel("Exchange types").getByText("x-consistent-hash").waitFor();
  await panel("Feature flags").getByText("user_limits").waitFor();
  await page.getByText("Effective configuration").click();
  await page.getByLabel("Filter settings").fill("amqp_port");
  await page.getByRole("row", { name: `amqp_port ${broker.amqp}` }).waitFor();
  assert.equal(await page.getByRole("table", { name: "Settings" }).locator("tbody tr").count(), 1);
  await eventually(async () => (await page.locator(".chart canvas").count()) >= 3, "charts are drawn", 20_000);
  await assertAccessible(page);
  await assertSound(page);
});

test("login attempts are shown and counted anew", async () => {
  await fetch(`${broker.url}/api/whoami`, { headers: { Authorization: `Basic ${btoa("guest:wrong")}` } });
  await toNode();
  const failed = async () => Number(await panel("Login attempts").getByRole("row", { name: /^http / }).locator("td").last().textContent());
  await eventually(async () => (await failed()) >= 1, "the failure is counted");
  await panel("Login attempts").getByRole("button", { name: "Reset" }).click();
  await confirm(page, "Reset");
  await noteOf(page, "Login attempts are counted anew");
  await eventually(async () => (await failed()) === 0, "it begins at 0");
  const [, , http] = await broker.api("GET", `auth/attempts/${encodeURIComponent(node)}`);
  assert.equal(http.auth_attempts_failed, 0);
});

test("the cluster is renamed", async () => {
  await toNode();
  await panel("Name of the cluster").getByLabel("Name").fill(HOSTILE[0]);
  await panel("Name of the cluster").getByRole("button", { name: "Rename" }).click();
  await noteOf(page, "The cluster is renamed");
  assert.equal((await broker.api("GET", "cluster-name")).name, HOSTILE[0]);
  await panel("Node").getByText(HOSTILE[0]).waitFor();
  await assertSound(page);
});

test("statistics begin anew", async () => {
  const samples = async () => (await broker.api("GET", "overview?lengths_age=600&lengths_incr=5")).queue_totals.messages_details.samples?.length ?? 0;
  await eventually(async () => (await samples()) >= 3, "there is a history", 30_000);
  await toNode();
  await page.getByRole("button", { name: "Reset the statistics" }).click();
  await confirm(page, "Reset");
  await noteOf(page, "The statistics begin anew");
  assert.ok((await samples()) < 3);
});

test("health checks run and tell in words", async () => {
  await visit(page, "#/health", "Health checks");
  await page.getByText("All checks that ran are fine").waitFor();
  assert.ok((await page.getByText("ok", { exact: true }).count()) >= 13);
  assert.ok(!(await broker.api("GET", "queues")).some((queue) => queue.name === "aliveness-test"), "nothing is changed unasked");
  await page.getByRole("button", { name: "Run the test with a message" }).click();
  await page.getByRole("row", { name: /ok A message goes through the virtual host/ }).waitFor();
  await assertAccessible(page);
  await page.getByRole("button", { name: "Run again" }).click();
  await page.getByText("All checks that ran are fine").waitFor();
  await assertSound(page);
});

test("an alarm is a check that fails, and is explained on the node's page", async () => {
  const small = await Broker.start(["--memory-max", "1MiB"]);
  const other = await open(browser, small, { hash: "#/health" });
  const row = other.getByRole("row").filter({ hasText: "No alarm is in effect on this node" });
  await eventually(async () => {
    await other.getByRole("button", { name: "Run again" }).click();
    return (await row.textContent()).includes("There are alarms in effect on the node");
  }, "the check fails", 20_000);
  await other.getByText("checks failed").waitFor();
  await assertAccessible(other);
  await visit(other, `#/nodes/${encodeURIComponent(node)}`, node);
  await other.getByRole("alert").filter({ hasText: "Memory alarm" }).waitFor();
  await other.getByText("memory alarm: publishers wait").waitFor();
  await assertAccessible(other);
  await other.context().close();
  await small.remove();
});

test("those who watch see the node and change nothing", async () => {
  await broker.api("PUT", "users/watcher", { password: "secret", tags: "monitoring" });
  const other = await open(browser, broker, { user: "watcher", password: "secret", hash: `#/nodes/${encodeURIComponent(node)}` });
  await other.getByRole("heading", { name: "Memory by use" }).waitFor();
  await other.getByRole("row", { name: "Everything else" }).waitFor();
  assert.equal(await other.getByText("Effective configuration").count(), 0);
  assert.equal(await other.getByRole("button", { name: "Reset the statistics" }).count(), 0);
  assert.equal(await other.getByRole("button", { name: "Rename" }).count(), 0);
  await visit(other, "#/definitions", "Not for you");
  await assertSound(other);
  await other.context().close();
});

test("on a narrow screen nothing scrolls sideways", async () => {
  await page.setViewportSize({ width: 360, height: 780 });
  for (const [hash, title] of [["#/nodes", "Nodes"], [`#/nodes/${encodeURIComponent(node)}`, node], ["#/health", "Health checks"]]) {
    await visit(page, hash, title);
    await page.getByRole("table").first().waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, hash);
  }
  await assertSound(page);
});
