// A real broker, a real browser, and what every test of the UI does.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const BINARY = process.env.LEVERET_BIN ?? join(ROOT, "target/release/leveret");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Names that would do something if they were not text. */
export const HOSTILE = ['<img src=x onerror="window.hacked=1">', "a/b %2F ?#&+ c", "';--\"`", "ünï–codé 🐇", "javascript:alert(1)", "../../etc", "{{7*7}}"];

/** Ports below the range that the kernel gives to outgoing connections. */
async function freePort() {
  for (;;) {
    const port = 20000 + Math.floor(Math.random() * 12000);
    const isFree = await new Promise((done) => {
      const server = createServer();
      server.once("error", () => done(false));
      server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
    });
    if (isFree) return port;
  }
}

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

export class Broker {
  static async start(flags = []) {
    const broker = new Broker();
    broker.directory = mkdtempSync(join(tmpdir(), "leveret-ui-"));
    [broker.amqp, broker.mqtt, broker.http] = [await freePort(), await freePort(), await freePort()];
    broker.flags = flags;
    await broker.run();
    return broker;
  }

  async run() {
    const flags = ["--data-dir", join(this.directory, "data"), "--bind", "127.0.0.1", "--amqp-port", this.amqp, "--mqtt-port", this.mqtt, "--http-port", this.http, "--websocket-port", 0, "--metrics-port", 0, ...this.flags];
    // Without the settings that are meant for the tests.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("LEVERET_")));
    this.process = spawn(BINARY, flags.map(String), { env, stdio: ["ignore", "pipe", "pipe"] });
    running.add(this.process);
    this.process.once("exit", () => running.delete(this.process));
    this.log = "";
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on("data", (text) => (this.log += text));
    await eventually(async () => (await fetch(`${this.url}/api/health/checks/is-in-service`)).ok, "the broker answers", 20_000);
  }

  get url() {
    return `http://127.0.0.1:${this.http}`;
  }

  /** A call of the API as an administrator; gives what it answers. */
  async api(method, path, body, login = "guest:guest") {
    const answer = await fetch(`${this.url}/api/${path}`, {
      method,
      headers: { Authorization: `Basic ${Buffer.from(login).toString("base64")}`, "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  async declareQueue(name, body = { durable: true }, vhost = "/") {
    await this.api("PUT", `queues/${encodeURIComponent(vhost)}/${encodeURIComponent(name)}`, body);
  }

  /** Publishes a text to a queue. */
  async publish(queue, payload, properties = {}, vhost = "/") {
    await this.api("POST", `exchanges/${encodeURIComponent(vhost)}/amq.default/publish`, { routing_key: queue, payload, payload_encoding: "string", properties });
  }

  async stop(signal = "SIGTERM") {
    const ended = new Promise((done) => this.process.once("exit", done));
    this.process.kill(signal);
    await ended;
    assert.ok(!/panicked/.test(this.log), this.log);
  }

  async remove() {
    if (this.process.exitCode === null) await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export async function eventually(check, what, ms = 10_000) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      last = await check();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms (${last})`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

export async function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** What went wrong in each page, by page. */
const troubles = new WeakMap();

/** A page of its own, logged in unless `user` is null, that notes every error, blocked resource and foreign request. */
export async function open(browser, broker, { user = "guest", password = "guest", hash = "#/", ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const found = [];
  troubles.set(page, found);
  page.on("pageerror", (error) => found.push(`error: ${error}`));
  page.on("console", (message) => {
    // Refusals of the API are shown to the user; the browser logs them as well.
    if (message.type() === "error" && !/status of [45]\d\d/.test(message.text())) found.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(broker.url) && !url.startsWith("blob:") && !url.startsWith("data:") && !url.startsWith(broker.url.replace("http", "ws"))) found.push(`foreign request: ${url}`);
  });
  await page.goto(`${broker.url}/${hash}`);
  if (user !== null) {
    await page.getByLabel("User", { exact: true }).fill(user);
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.locator("main#main h1").waitFor();
  }
  return page;
}

/** Goes to an address within the UI, and waits for its title. */
export async function visit(page, hash, title) {
  await page.evaluate((hash) => { location.hash = hash; }, hash);
  await page.getByRole("heading", { level: 1, name: title }).waitFor();
}

/** Checks that nothing went wrong in a page: no script error, no blocked resource, no request elsewhere, no hostile name that ran. */
export async function assertSound(page) {
  assert.equal(await page.evaluate(() => window.hacked), undefined, "a hostile name ran");
  assert.deepEqual(troubles.get(page), []);
}

/** Checks a page with axe-core: no finding against WCAG 2.2 A and AA. */
export async function assertAccessible(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  const findings = found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.target.join(" ")).slice(0, 3).join(" | ")}`);
  assert.deepEqual(findings, []);
}

/** Answers the question before something is destroyed. */
export async function confirm(page, action) {
  await page.locator("dialog[open]").getByRole("button", { name: action }).click();
}

/** Waits for the note that says that something was done. */
export async function noteOf(page, text) {
  await page.locator(".notice.done", { hasText: text }).first().waitFor();
}
