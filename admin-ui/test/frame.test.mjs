// Login, logout, the frame around the pages, and the overview.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertAccessible, assertSound, Broker, eventually, launch, open, visit } from "./support.js";

let broker;
let browser;

before(async () => {
  broker = await Broker.start();
  browser = await launch();
  await broker.api("PUT", "vhosts/other");
  for (const tags of ["", "management", "monitoring", "policymaker"]) await broker.api("PUT", `users/u-${tags || "none"}`, { password: "secret", tags });
  await broker.api("PUT", "permissions/%2F/u-management", { configure: ".*", write: ".*", read: ".*" });
});

after(async () => {
  await browser?.close();
  await broker?.remove();
});

test("a wrong password is refused with words, and the right one opens the overview", async () => {
  const page = await open(browser, broker, { user: null });
  await page.getByLabel("User", { exact: true }).fill("guest");
  await page.getByLabel("Password", { exact: true }).fill("wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").filter({ hasText: "The name or the password is wrong" }).waitFor();
  await assertAccessible(page);
  await page.getByLabel("Password", { exact: true }).fill("guest");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await assertSound(page);
  await page.context().close();
});

test("users without a tag are told what is missing", async () => {
  const page = await open(browser, broker, { user: null });
  await page.getByLabel("User", { exact: true }).fill("u-none");
  await page.getByLabel("Password", { exact: true }).fill("secret");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").filter({ hasText: "no tag that opens the management" }).waitFor();
  await page.context().close();
});

test("a session outlives the page, holds no password, and ends with the logout", async () => {
  const page = await open(browser, broker);
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  const cookies = await page.context().cookies();
  assert.equal(cookies.length, 1);
  assert.ok(cookies[0].httpOnly && cookies[0].sameSite === "Strict" && cookies[0].expires === -1);
  const kept = await page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]));
  assert.ok(!kept.includes("guest"), kept);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Log in" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Log in" }).waitFor();
  const answer = await fetch(`${broker.url}/api/whoami`, { headers: { Cookie: `${cookies[0].name}=${cookies[0].value}` } });
  assert.equal(answer.status, 401, "the cookie is worth nothing any more");
  await page.context().close();
});

test("a remembered session is there for a month", async () => {
  const page = await open(browser, broker, { user: null });
  await page.getByLabel("User", { exact: true }).fill("guest");
  await page.getByLabel("Password", { exact: true }).fill("guest");
  await page.getByLabel("Stay logged in").check();
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  const [cookie] = await page.context().cookies();
  const days = (cookie.expires * 1000 - Date.now()) / 86_400_000;
  assert.ok(days > 29 && days < 31, String(days));
  await page.context().close();
});

test("a session that has ended leads back to the login, and then to where one was", async () => {
  const page = await open(browser, broker, { hash: "#/" });
  await page.context().clearCookies();
  await page.getByText("Your session is over").waitFor({ timeout: 15_000 });
  await page.getByLabel("User", { exact: true }).fill("guest");
  await page.getByLabel("Password", { exact: true }).fill("guest");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.context().close();
});

test("tags decide what the navigation shows", async () => {
  const entries = async (user, password) => {
    const page = await open(browser, broker, { user, password });
    const texts = await page.locator("nav#nav a").allTextContents();
    await assertSound(page);
    await page.context().close();
    return texts;
  };
  const [all, few] = [await entries("guest", "guest"), await entries("u-management", "secret")];
  assert.ok(all.includes("Overview") && few.includes("Overview"));
  assert.ok(few.every((entry) => all.includes(entry)));
});

test("the overview shows what is there, live", async () => {
  const page = await open(browser, broker);
  await broker.declareQueue("counted");
  await broker.publish("counted", "one");
  await page.locator(".totals").getByText("1 queues").waitFor({ timeout: 15_000 });
  await page.getByText("running, no alarms").waitFor();
  await page.getByRole("cell", { name: String(broker.amqp) }).or(page.getByText(broker.amqp.toLocaleString())).first().waitFor();
  await eventually(async () => (await page.locator(".chart canvas").count()) >= 3, "charts are drawn", 20_000);
  await assertAccessible(page);
  await assertSound(page);
  await page.context().close();
});

test("an alarm is told in words", async () => {
  const small = await Broker.start(["--memory-max", "1MiB"]);
  const page = await open(browser, small);
  await page.getByRole("alert").filter({ hasText: "Memory alarm" }).waitFor({ timeout: 20_000 });
  await assertAccessible(page);
  await page.context().close();
  await small.remove();
});

test("an unknown address is no blank page", async () => {
  const page = await open(browser, broker);
  await visit(page, "#/there/is/nothing", "No such page");
  await assertAccessible(page);
  await page.context().close();
});

test("the keyboard reaches the content, the filter and the pages", async () => {
  const page = await open(browser, broker);
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
  await visit(page, "#/nowhere", "No such page");
  await page.keyboard.press("g");
  await page.keyboard.press("o");
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.context().close();
});

test("light and dark differ, and both can be read", async () => {
  for (const theme of ["light", "dark"]) {
    const page = await open(browser, broker);
    await page.getByLabel("Theme").selectOption(theme);
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(back, theme === "light" ? "rgb(246, 244, 240)" : "rgb(23, 21, 15)");
    await assertAccessible(page);
    await page.context().close();
  }
});

test("a narrow screen needs no scrolling to the side", async () => {
  const page = await open(browser, broker, { viewport: { width: 360, height: 740 } });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.getByRole("button", { name: "Navigation" }).click();
  await page.locator("nav#nav a").first().waitFor();
  await assertAccessible(page);
  await page.context().close();
});

test("nothing may be framed, run from elsewhere or guessed", async () => {
  const answer = await fetch(`${broker.url}/`);
  const policy = answer.headers.get("content-security-policy");
  assert.ok(policy.includes("default-src 'none'") && policy.includes("frame-ancestors 'none'") && !policy.includes("unsafe"), policy);
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  const page = await answer.text();
  assert.ok(!/<script(?![^>]*src=)/.test(page) && !/style=|<style|onload=/.test(page), "nothing is inline");
  const script = /src="([^"]+\.js)"/.exec(page)[1];
  const plain = await fetch(`${broker.url}/${script}`, { headers: { "Accept-Encoding": "identity" } });
  assert.equal(plain.headers.get("content-encoding"), null);
  assert.ok((await plain.text()).length > 10_000);
});
