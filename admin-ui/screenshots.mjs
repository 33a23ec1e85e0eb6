// Pictures of every page, with a broker at work: `npm run screenshots`.
//
// Each picture in `docs/admin-ui` shows a page four times: on a desktop and on a narrow screen, light and dark. They are
// there to be looked at after a change. `overview.png` is the one of the README.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Amqp, Mqtt } from "./test/clients.js";
import { Broker, launch, open } from "./test/support.js";

const OUT = join(dirname(fileURLToPath(import.meta.url)), "../docs/admin-ui");
/** For how long the broker works before the pictures are taken, so that there is something in the charts. */
const WORK_MS = 60_000;
const LOOKS = [
  { colorScheme: "light", width: 1280 },
  { colorScheme: "dark", width: 1280 },
  { colorScheme: "light", width: 360 },
  { colorScheme: "dark", width: 360 },
];
const HEIGHT = 1000;

const PAGES = {
  overview: "#/",
  queues: "#/queues",
  queue: "#/queues/%2F/orders.paid",
  messages: "#/queues/%2F/orders.failed/messages",
  exchanges: "#/exchanges",
  exchange: "#/exchanges/%2F/orders",
  bindings: "#/bindings",
  connections: "#/connections",
  channels: "#/channels",
  consumers: "#/consumers",
  "mqtt-sessions": "#/mqtt/sessions",
  "mqtt-session": "#/mqtt/sessions/thermostat-1",
  "mqtt-subscriptions": "#/mqtt/subscriptions",
  "mqtt-retained": "#/mqtt/retained",
  "mqtt-client": "#/mqtt/client",
  "route-tester": "#/routes?exchange=orders&key=orders.eu.paid",
  "live-view": "#/live?exchange=orders",
  users: "#/users",
  user: "#/users/shop",
  vhosts: "#/vhosts",
  vhost: "#/vhosts/%2F",
  policies: "#/policies",
  "operator-policies": "#/operator-policies",
  limits: "#/limits",
  parameters: "#/parameters",
  definitions: "#/definitions",
  nodes: "#/nodes",
  health: "#/health",
};

async function furnish(broker) {
  await broker.api("PUT", "exchanges/%2F/orders", { type: "topic", durable: true });
  for (const [name, key] of [["orders.paid", "orders.*.paid"], ["orders.shipped", "orders.*.shipped"], ["orders.all", "orders.#"]]) {
    await broker.declareQueue(name, { durable: true, arguments: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders.failed", "x-message-ttl": 86_400_000 } });
    await broker.api("POST", `bindings/%2F/e/orders/q/${name}`, { routing_key: key });
  }
  await broker.declareQueue("orders.failed", { durable: true, arguments: { "x-max-length": 10_000 } });
  for (let n = 1; n <= 8; n += 1) await broker.declareQueue(`reports.${n}`, { durable: n % 2 === 0, arguments: n % 3 ? {} : { "x-max-priority": 5 } });
  await broker.api("PUT", "vhosts/staging", { description: "To try things out", tags: "test" });
  await broker.api("PUT", "users/shop", { password: "secret", tags: "management" });
  await broker.api("PUT", "permissions/%2F/shop", { configure: "^orders", write: "^orders", read: ".*" });
  await broker.api("PUT", "policies/%2F/reports-expire", { pattern: "^reports\\.", definition: { "message-ttl": 3_600_000, "max-length": 100_000 }, "apply-to": "queues", priority: 1 });
  await broker.api("PUT", "operator-policies/%2F/no-floods", { pattern: ".*", definition: { "max-length": 1_000_000 }, "apply-to": "queues" });
  await broker.api("PUT", "vhost-limits/staging/max-queues", { value: 100 });
}

/** Clients that go on until the end; gives what ends them. */
async function work(broker) {
  const service = await Amqp.connect(broker, { properties: { connection_name: "orders-service", product: "shop", version: "2.3" } });
  await service.channel(1);
  await service.confirm(1);
  const worker = await Amqp.connect(broker, { user: "shop", password: "secret", properties: { connection_name: "billing-worker", product: "billing" } });
  await worker.channel(1);
  await worker.prefetch(1, 50);
  await worker.consume(1, "orders.paid", "billing", { noAck: true });
  const sensors = [];
  for (let n = 1; n <= 4; n += 1) {
    const sensor = await Mqtt.connect(broker, `thermostat-${n}`, { expiryS: 3600 });
    await sensor.subscribe([`home/${n}/set`, "home/all/#"], 1);
    sensors.push(sensor);
  }
  let count = 0;
  const timer = setInterval(() => {
    const now = Math.round(40 + 25 * Math.sin((count += 1) / 30));
    for (let n = 0; n < now; n += 1) service.publish(1, "orders.paid", JSON.stringify({ order: count * 100 + n, amount: 19.9 }));
    for (let n = 0; n < 9; n += 1) service.publish(1, `reports.${1 + (n % 4)}`, "a row of a report");
    sensors.forEach((sensor, n) => sensor.retain(`home/${n + 1}/temperature`, `{"celsius":${20 + n}.${count % 10}}`));
  }, 100);
  const shop = setInterval(() => {
    const payload = JSON.stringify({ order: (count += 1), country: "eu" });
    void broker.api("POST", "exchanges/%2F/orders/publish", { routing_key: count % 3 ? "orders.eu.paid" : "orders.us.shipped", payload, payload_encoding: "string", properties: { content_type: "application/json" } });
  }, 250);
  for (const [n, reason] of ["card refused", "no such customer", "card refused"].entries()) {
    await broker.publish("orders.failed", JSON.stringify({ order: 1000 + n, customer: { name: "Ada", city: "Ulm" }, reason }), { content_type: "application/json", message_id: `m-${n}`, delivery_mode: 2, headers: { attempt: n + 1 } });
  }
  return () => [timer, shop].forEach(clearInterval);
}

async function shoot(browser, broker, look) {
  const { width, colorScheme } = look;
  const page = await open(browser, broker, { colorScheme, viewport: { width, height: HEIGHT }, deviceScaleFactor: 1 });
  const pictures = {};
  for (const [name, hash] of Object.entries(PAGES)) {
    await page.evaluate((hash) => { location.hash = hash; }, hash);
    await page.waitForTimeout(1200);
    if (name === "live-view") await page.getByRole("button", { name: "Start", exact: true }).click({ timeout: 2000 }).catch(() => {});
    if (name === "messages") await page.locator("main table a, main table button").first().click({ timeout: 2000 }).catch(() => {});
    await page.waitForTimeout(700);
    pictures[name] = await page.screenshot();
  }
  await page.context().close();
  return pictures;
}

const broker = await Broker.start();
await furnish(broker);
const end = await work(broker);
const browser = await launch();
await new Promise((done) => setTimeout(done, WORK_MS));
const shots = [];
for (const look of LOOKS) shots.push(await shoot(browser, broker, look));
end();

mkdirSync(OUT, { recursive: true });
const board = await browser.newPage({ viewport: { width: 1500, height: 600 }, deviceScaleFactor: 1 });
for (const name of Object.keys(PAGES)) {
  const images = shots.map((pictures) => `<img src="data:image/png;base64,${pictures[name].toString("base64")}" style="height:440px;margin:3px">`);
  await board.setContent(`<body style="margin:0;background:#888;display:flex">${images.join("")}</body>`);
  writeFileSync(join(OUT, `${name}.jpg`), await board.screenshot({ type: "jpeg", quality: 60, clip: { x: 0, y: 0, width: 1470, height: 446 } }));
}
await board.setContent(`<body style="margin:0"><img src="data:image/png;base64,${shots[0].overview.toString("base64")}" style="width:900px"></body>`);
writeFileSync(join(OUT, "overview.png"), await board.locator("img").screenshot());
await browser.close();
await broker.remove();
process.exit(0);
