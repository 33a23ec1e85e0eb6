// A broker process on free ports and a temporary data directory, or the peer that
// LEVERET_TEST_AMQP and LEVERET_TEST_MQTT name. Ports are below the range that the kernel gives to
// outgoing connections. Every wait has a deadline.

import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const BINARY = path.resolve(process.env.LEVERET_BIN ?? path.join(ROOT, 'target', 'release', 'leveret'));

export async function eventually(condition, what, milliseconds = 10_000) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function withDeadline(promise, what, milliseconds = 10_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${milliseconds} ms: ${what}`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function listensOn(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });
}

const given = new Set();

async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (given.has(port)) continue;
    const free = await new Promise((resolve) => {
      const server = net.createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (!free) continue;
    given.add(port);
    return port;
  }
}

function environment() {
  const kept = Object.entries(process.env).filter(([key]) => !key.startsWith('LEVERET_'));
  return Object.fromEntries(kept);
}

export class Broker {
  static async start() {
    const { LEVERET_TEST_AMQP: amqp, LEVERET_TEST_MQTT: mqtt } = process.env;
    if (amqp || mqtt) return new Broker(`amqp://guest:guest@${amqp}`, `mqtt://${mqtt}`);
    const ports = [await freePort(), await freePort(), await freePort(), await freePort()];
    const broker = new Broker(`amqp://guest:guest@127.0.0.1:${ports[0]}`, `mqtt://127.0.0.1:${ports[1]}`);
    broker.ports = ports;
    broker.webSockets = ports.slice(2).map((port) => `ws://127.0.0.1:${port}`);
    broker.directory = mkdtempSync(path.join(tmpdir(), 'leveret-node-'));
    await broker.run();
    return broker;
  }

  constructor(amqp, mqtt) {
    this.amqp = amqp;
    this.mqtt = mqtt;
  }

  async run() {
    const log = openSync(path.join(this.directory, 'broker.log'), 'a');
    const [amqp, mqtt, http, webSocket] = this.ports;
    const flags = ['--data-dir', path.join(this.directory, 'data'), '--bind', '127.0.0.1',
      '--amqp-port', amqp, '--mqtt-port', mqtt, '--http-port', http,
      '--websocket-port', webSocket, '--metrics-port', 0].map(String);
    this.ended = null;
    this.process = spawn(BINARY, flags, { stdio: ['ignore', log, log], cwd: this.directory, env: environment() });
    this.process.once('error', (error) => { this.ended = error; });
    this.process.once('exit', (status, signal) => { this.ended = new Error(`status ${status ?? signal}`); });
    await eventually(async () => {
      if (this.ended) throw new Error(`${BINARY} ended: ${this.ended.message}\n${this.output()}`);
      return (await Promise.all(this.ports.map(listensOn))).every(Boolean);
    }, 'the broker accepts connections', 30_000);
  }

  output() {
    return readFileSync(path.join(this.directory, 'broker.log'), 'utf8').slice(-8000);
  }

  async kill() {
    this.process.kill('SIGKILL');
    await eventually(() => this.ended, 'the broker is gone');
  }

  async killAndRestart() {
    await this.kill();
    await this.run();
  }

  async stop() {
    if (!this.process) return;
    const sound = !this.ended && !this.output().includes('panicked at');
    if (!this.ended) await this.kill();
    if (!sound) throw new Error(`the broker crashed:\n${this.output()}`);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
