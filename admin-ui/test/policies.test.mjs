// Policies, operator policies and parameters.

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
  for (const name of ["orders.eu", "orders.us", "other"]) await broker.declareQueue(name);
  await broker.api("PUT", "exchanges/%2F/orders", { type: "topic", durable: true });
});

after(async () => {
  await browser?.close();
  await broker?.remove();
});

const form = () => page.locator("main form").first();
const preview = () => page.getByRole("region", { name: "Preview" });

test("without policies the page says what they are for", async () => {
  await visit(page, "#/policies", "Policies");
  await page.getByText("There are none here.").waitFor();
  await assertAccessible(page);
});

test("a policy is added, with a preview of what it is for", async () => {
  await visit(page, "#/policies", "Policies");
  await page.getByText("Add a policy").click();
  await form().getByLabel("Name", { exact: true }).fill("short");
  await form().getByLabel("Pattern").fill("^orders\\.");
  await preview().getByText("2 queues of / match").waitFor();
  await preview().getByRole("link", { name: "orders.us" }).waitFor();
  assert.equal(await preview().getByRole("link", { name: "other" }).count(), 0);
  await form().getByLabel("Pattern").fill("^orders");
  await form().getByLabel("For", { exact: true }).selectOption("all");
  await preview().getByText("1 exchange of / matches").waitFor();
  await form().getByLabel("Pattern").fill("^nothing$");
  await preview().getByText("No queue in / matches").waitFor();
  await form().getByLabel("Pattern").fill("(");
  await preview().getByRole("alert").waitFor();
  await form().getByLabel("Pattern").fill("^orders\\.");
  await form().getByLabel("For", { exact: true }).selectOption("queues");
  await form().getByLabel("Priority").fill("5");
  await page.getByRole("button", { name: "message-ttl" }).click();
  await page.getByLabel("Definition: value of message-ttl").fill("60000");
  await page.getByText("Messages expire after 1 min").waitFor();
  await assertAccessible(page);
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "short" }).waitFor();
  assert.deepEqual(await broker.api("GET", "policies/%2F/short"), { vhost: "/", name: "short", pattern: "^orders\\.", "apply-to": "queues", definition: { "message-ttl": 60000 }, priority: 5 });
  await page.getByText("in whose names").waitFor();
  await assertAccessible(page);
});

test("the preview says which policy is in force, as the broker does", async () => {
  await broker.api("PUT", "policies/%2F/us", { pattern: "us$", definition: { "max-length": 9 }, priority: 6, "apply-to": "queues" });
  await broker.api("PUT", "policies/%2F/early", { pattern: "eu$", definition: { "max-length": 9 }, priority: 5, "apply-to": "exchanges" });
  await broker.api("PUT", "policies/%2F/zz", { pattern: ".*", definition: { "max-length": 9 }, priority: 5, "apply-to": "queues" });
  await visit(page, "#/policies/%2F/short", "short");
  await preview().getByText("another").waitFor();
  for (const name of ["orders.eu", "orders.us"]) {
    const said = await preview().getByRole("row", { name }).textContent();
    const { policy } = await broker.api("GET", `queues/%2F/${name}`);
    assert.equal(said.includes("another"), policy !== "short", `${name}: ${said}, ${policy}`);
    if (policy !== "short") assert.ok(said.includes(policy), said);
  }
  await form().getByLabel("Priority").fill("7");
  await eventually(async () => (await preview().getByText("another").count()) === 0, "with a higher priority it comes first");
});

test("a policy is changed; what makes no sense is refused in words", async () => {
  await visit(page, "#/policies/%2F/short", "short");
  await form().getByLabel("Priority").fill("7");
  await page.getByRole("button", { name: "max-length", exact: true }).click();
  await page.getByLabel("Definition: value of max-length", { exact: true }).fill("many");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("alert").filter({ hasText: "max-length has to be a number" }).waitFor();
  await page.getByLabel("Definition: value of max-length", { exact: true }).fill("-1");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("alert").filter({ hasText: "not a valid" }).waitFor();
  await page.getByLabel("Definition: value of max-length", { exact: true }).fill("100");
  await page.getByRole("button", { name: "Remove message-ttl" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await noteOf(page, "The policy short is in force");
  const policy = await broker.api("GET", "policies/%2F/short");
  assert.deepEqual([policy.definition, policy.priority], [{ "max-length": 100 }, 7]);
  await page.getByText("Holds 100 messages at the most").first().waitFor();
});

test("a policy that is there is not replaced by a new one", async () => {
  await visit(page, "#/policies", "Policies");
  await page.getByText("Add a policy").click();
  await form().getByLabel("Name", { exact: true }).fill("short");
  await page.getByRole("button", { name: "expires" }).click();
  await page.getByLabel("Definition: value of expires").fill("1000");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("alert").filter({ hasText: "There is a policy short" }).waitFor();
  assert.deepEqual((await broker.api("GET", "policies/%2F/short")).definition, { "max-length": 100 });
});

test("policies are deleted, one on its page and several from the list", async () => {
  await visit(page, "#/policies/%2F/us", "us");
  await page.getByRole("button", { name: "Delete the policy" }).click();
  await confirm(page, "Delete");
  await page.getByRole("heading", { level: 1, name: "Policies" }).waitFor();
  await page.getByLabel("Choose early").check();
  await page.getByLabel("Choose zz").check();
  await page.getByRole("button", { name: "Delete (2)" }).click();
  await confirm(page, "Delete");
  await noteOf(page, "Delete: 2 rows done");
  assert.deepEqual((await broker.api("GET", "policies")).map((policy) => policy.name), ["short"]);
});

test("an operator policy is added, changed and deleted", async () => {
  await visit(page, "#/operator-policies", "Operator policies");
  await page.getByText("Add an operator policy").click();
  await form().getByLabel("Name", { exact: true }).fill("cap");
  await form().getByLabel("Pattern").fill(".*");
  assert.equal(await page.getByRole("button", { name: "dead-letter-exchange" }).count(), 0, "only what operators can set");
  await page.getByRole("button", { name: "max-length", exact: true }).click();
  await page.getByLabel("Definition: value of max-length", { exact: true }).fill("50");
  await assertAccessible(page);
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "cap" }).waitFor();
  assert.equal((await broker.api("GET", "queues/%2F/other")).operator_policy, "cap");
  await page.getByLabel("Definition: value of max-length", { exact: true }).fill("40");
  await page.getByRole("button", { name: "Save" }).click();
  await eventually(async () => (await broker.api("GET", "operator-policies/%2F/cap")).definition["max-length"] === 40, "it is changed");
  await assertAccessible(page);
  await page.getByRole("button", { name: "Delete the policy" }).click();
  await confirm(page, "Delete");
  await page.getByRole("heading", { level: 1, name: "Operator policies" }).waitFor();
  assert.deepEqual(await broker.api("GET", "operator-policies"), []);
});

test("parameters are set, changed and deleted", async () => {
  await visit(page, "#/parameters", "Parameters");
  await page.getByText("Set a parameter").click();
  await form().getByLabel("Value (JSON)").fill("{max-queues: 3}");
  await page.getByRole("button", { name: "Set the parameter" }).click();
  await page.getByRole("alert").filter({ hasText: "no valid JSON" }).waitFor();
  await form().getByLabel("Value (JSON)").fill('{"max-queues": 3000}');
  await page.getByRole("button", { name: "Set the parameter" }).click();
  await noteOf(page, "The parameter limits is set");
  assert.deepEqual((await broker.api("GET", "vhost-limits/%2F"))[0].value, { "max-queues": 3000 });
  await form().getByLabel("Component").fill("shovel");
  await page.getByRole("button", { name: "Set the parameter" }).click();
  await page.getByRole("alert").filter({ hasText: "component shovel not found" }).waitFor();
  await page.getByRole("link", { name: "limits", exact: true }).first().waitFor();
  await assertAccessible(page);

  await visit(page, "#/parameters/vhost-limits/%2F/limits", "limits");
  await page.getByLabel("Value (JSON)").fill('{"max-queues": 4000}');
  await page.getByRole("button", { name: "Save" }).click();
  await noteOf(page, "The parameter limits is set");
  assert.deepEqual((await broker.api("GET", "vhost-limits/%2F"))[0].value, { "max-queues": 4000 });
  await assertAccessible(page);
  await page.getByRole("button", { name: "Delete the parameter" }).click();
  await confirm(page, "Delete");
  await page.getByRole("heading", { level: 1, name: "Parameters" }).waitFor();
  assert.deepEqual(await broker.api("GET", "parameters"), []);
  await page.getByText("Parameters belong to a component").waitFor();
});

test("global parameters are set, changed and deleted", async () => {
  await visit(page, "#/parameters", "Parameters");
  await page.getByText("Set a global parameter").click();
  const global = page.locator("details", { hasText: "Set a global parameter" });
  await global.getByLabel("Name").fill("team");
  await global.getByLabel("Value (JSON)").fill('"payments"');
  await global.getByRole("button", { name: "Set the global parameter" }).click();
  await page.getByRole("link", { name: "team" }).click();
  await page.getByRole("heading", { level: 1, name: "team" }).waitFor();
  await page.getByLabel("Value (JSON)").fill("[1, 2]");
  await page.getByRole("button", { name: "Save" }).click();
  await eventually(async () => (await broker.api("GET", "global-parameters/team")).value[1] === 2, "it is changed");
  await page.getByRole("button", { name: "Delete the parameter" }).click();
  await confirm(page, "Delete");
  await page.getByRole("heading", { level: 1, name: "Parameters" }).waitFor();
  assert.ok(!(await broker.api("GET", "global-parameters")).some((parameter) => parameter.name === "team"));
});

test("hostile names are text in lists and on their pages", async () => {
  for (const name of HOSTILE) {
    await broker.declareQueue(name);
    await broker.api("PUT", `policies/%2F/${e(name)}`, { pattern: "onerror|Š|<b>", definition: { "dead-letter-routing-key": name }, "apply-to": "all" });
    await broker.api("PUT", `operator-policies/%2F/${e(name)}`, { pattern: ".", definition: { "max-length": 5 }, "apply-to": "queues" });
    await broker.api("PUT", `global-parameters/${e(name)}`, { value: { [name]: name } });
  }
  for (const [list, title] of [["policies/%2F", "policies"], ["operator-policies/%2F", "operator-policies"], ["global-parameters", "parameters"]]) {
    for (const name of HOSTILE) {
      await page.evaluate((hash) => { location.hash = hash; }, `#/${title}`);
      await page.getByRole("link", { name, exact: true }).first().click();
      await page.locator("h1").getByText(name).first().waitFor();
      await (list === "global-parameters" ? page.getByLabel("Value (JSON)") : preview().getByRole("table").first()).waitFor();
      await assertSound(page);
    }
  }
  await visit(page, `#/operator-policies/%2F/${e(HOSTILE[0])}`, HOSTILE[0]);
  await preview().getByRole("link", { name: HOSTILE[0], exact: true }).waitFor();
  await assertAccessible(page);
  await page.getByRole("button", { name: "Delete the policy" }).click();
  await confirm(page, "Delete");
  await page.getByRole("heading", { level: 1, name: "Operator policies" }).waitFor();
  assert.ok(!(await broker.api("GET", "operator-policies")).some((policy) => policy.name === HOSTILE[0]));
});

test("tags decide who changes policies", async () => {
  for (const tags of ["management", "policymaker"]) {
    await broker.api("PUT", `users/${tags}`, { password: "secret", tags });
    await broker.api("PUT", `permissions/%2F/${tags}`, { configure: ".*", write: ".*", read: ".*" });
  }
  const reader = await open(browser, broker, { user: "management", password: "secret", hash: "#/policies" });
  await reader.getByRole("cell", { name: "short" }).waitFor();
  assert.equal(await reader.getByText("Add a policy").count(), 0);
  assert.equal(await reader.getByLabel("Choose short").count(), 0);
  await visit(reader, "#/policies/%2F/short", "Not for you");
  await assertSound(reader);
  await reader.context().close();
  const maker = await open(browser, broker, { user: "policymaker", password: "secret", hash: "#/policies/%2F/short" });
  await maker.getByLabel("Priority").fill("8");
  await maker.getByRole("button", { name: "Save" }).click();
  await noteOf(maker, "The policy short is in force");
  assert.equal((await broker.api("GET", "policies/%2F/short")).priority, 8);
  await visit(maker, "#/operator-policies", "Operator policies");
  await maker.getByRole("cell", { name: HOSTILE[1], exact: true }).waitFor();
  assert.equal(await maker.getByText("Add an operator policy").count(), 0);
  // The parameter of an operator policy is for administrators, and the page says so.
  await visit(maker, `#/parameters/operator_policy/%2F/${e(HOSTILE[1])}`, HOSTILE[1]);
  await maker.getByRole("button", { name: "Save" }).click();
  await maker.getByRole("alert").filter({ hasText: "You may not do this" }).waitFor();
  await assertSound(maker);
  await maker.context().close();
});

test("lists follow the virtual host that is chosen", async () => {
  await broker.api("PUT", "vhosts/other");
  await broker.api("PUT", "policies/other/elsewhere", { pattern: ".", definition: { expires: 1000 } });
  const fresh = await open(browser, broker, { hash: "#/policies" });
  await fresh.getByRole("link", { name: "elsewhere" }).waitFor();
  await fresh.getByRole("link", { name: "short" }).waitFor();
  await fresh.getByLabel("Virtual host").first().selectOption("other");
  await eventually(async () => (await fresh.getByRole("link", { name: "short" }).count()) === 0, "policies of others are not shown");
  await fresh.getByRole("link", { name: "elsewhere" }).waitFor();
  await assertSound(fresh);
  await fresh.context().close();
});

test("on a narrow screen nothing scrolls sideways", async () => {
  await page.setViewportSize({ width: 360, height: 780 });
  for (const [hash, title] of [["#/policies", "Policies"], ["#/policies/%2F/short", "short"], ["#/parameters", "Parameters"]]) {
    await visit(page, hash, title);
    await page.getByRole("table").first().waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, hash);
  }
  await assertSound(page);
});
