// MQTT.js and amqp-client.js over WebSocket, on the port of the management API and on their own.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { AMQPWebSocketClient } from '@cloudamqp/amqp-client/amqp-websocket-client';
import mqtt from 'mqtt';
import { WebSocket } from 'ws';
import { Broker, withDeadline } from './broker.mjs';

// What a browser has, and Node.js has from version 22 on.
globalThis.WebSocket = WebSocket;

let broker;
const name = () => `node-${randomUUID()}`;

before(async () => { broker = await Broker.start(); });
after(() => broker.stop());

async function withMqtt(url, options, use) {
  const client = mqtt.connect(url, { reconnectPeriod: 0, clientId: name(), ...options });
  try {
    await withDeadline(once(client, 'connect'), 'CONNACK');
    return await use(client);
  } finally {
    await client.endAsync(true);
  }
}

async function echo(client, qos, payload) {
  const topic = name();
  await client.subscribeAsync(topic, { qos });
  const message = withDeadline(once(client, 'message'), 'a message', 30_000);
  await client.publishAsync(topic, payload, { qos });
  const [, got, packet] = await message;
  assert.equal(packet.qos, qos);
  assert.ok(payload.equals(got), 'the payload is the same');
}

for (const port of [0, 1]) {
  for (const protocolVersion of [3, 4, 5]) {
    test(`port ${port}, MQTT version ${protocolVersion}: messages of QoS 0, 1 and 2`, async () => {
      const old = { protocolId: 'MQIsdp', protocolVersion, clientId: randomBytes(8).toString('hex') };
      const options = protocolVersion === 3 ? old : { protocolVersion };
      await withMqtt(`${broker.webSockets[port]}/mqtt`, options, async (client) => {
        for (const qos of [0, 1, 2]) await echo(client, qos, Buffer.from('hello'));
      });
    });
  }

  test(`port ${port}: a payload of 4 MB with QoS 2`, async () => {
    await withMqtt(`${broker.webSockets[port]}/ws`, { protocolVersion: 5 }, (client) => echo(client, 2, randomBytes(4_000_000)));
  });

  for (const path of ['', '/', '/ws/amqp', '/amqp']) {
    test(`port ${port}: amqp-client.js connects to "${path}", publishes and consumes`, async () => {
      const client = new AMQPWebSocketClient(`${broker.webSockets[port]}${path}`, '/', 'guest', 'guest', 'a browser');
      const connection = await withDeadline(client.connect(), 'connection.open-ok');
      const channel = await connection.channel();
      await channel.confirmSelect();
      const { name: queue } = await channel.queueDeclare('', { exclusive: true });
      for (const text of ['hello', 'x'.repeat(300_000)]) {
        await withDeadline(channel.basicPublish('', queue, text), 'basic.ack');
        const message = await channel.basicGet(queue, { noAck: true });
        assert.equal(message.bodyToString(), text);
      }
      await withDeadline(connection.close(), 'connection.close-ok');
    });
  }

  test(`port ${port}: amqp-client.js consumes 2,000 messages in order`, async () => {
    const client = new AMQPWebSocketClient(`${broker.webSockets[port]}/ws/amqp`);
    const connection = await withDeadline(client.connect(), 'connection.open-ok');
    const channel = await connection.channel();
    const { name: queue } = await channel.queueDeclare('', { exclusive: true });
    const sent = Array.from({ length: 2000 }, (_, number) => `${number} ${'x'.repeat(number)}`);
    for (const text of sent) await channel.basicPublish('', queue, text);
    const got = [];
    await withDeadline(new Promise((resolve, reject) => {
      channel.basicConsume(queue, { noAck: true }, (message) => {
        if (got.push(message.bodyToString()) === sent.length) resolve();
      }).catch(reject);
    }), 'all messages', 30_000);
    assert.deepEqual(got, sent);
    await connection.close();
  });

  test(`port ${port}: a wrong password is refused`, async () => {
    const client = new AMQPWebSocketClient(`${broker.webSockets[port]}/ws/amqp`, '/', 'guest', 'wrong');
    await assert.rejects(withDeadline(client.connect(), 'a refusal'), /ACCESS_REFUSED|403/);
  });
}

test('the programs of docs/websocket.md print what they receive', async () => {
  const page = readFileSync(new URL('../../docs/websocket.md', import.meta.url), 'utf8');
  const programs = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, program]) => program
    .replace('ws://localhost:15675', broker.webSockets[1])
    .replace(/^import .*$/gm, ''));
  assert.equal(programs.length, 2);
  const AsyncFunction = (async () => {}).constructor;
  for (const [program, text] of [[programs[0], 'sensors/7/temp 21.5'], [programs[1], 'sensors.7.temp 21.5']]) {
    let client;
    const connecting = { connect: (...options) => { client = mqtt.connect(...options); return client; } };
    const printed = new Promise((resolve) => {
      const run = new AsyncFunction('mqtt', 'AMQPWebSocketClient', 'console', program);
      run(connecting, AMQPWebSocketClient, { log: resolve });
    });
    assert.equal(await withDeadline(printed, 'a line'), text);
    await client?.endAsync(true);
  }
});
