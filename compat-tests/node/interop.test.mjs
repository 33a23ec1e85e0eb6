// amqplib and MQTT.js on the same broker, and across a kill -9.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import amqplib from 'amqplib';
import mqtt from 'mqtt';
import { Broker, eventually, withDeadline } from './broker.mjs';

let broker;
const name = () => `node-${randomUUID()}`;

before(async () => { broker = await Broker.start(); });
after(() => broker.stop());

async function amqp(use) {
  const connection = await amqplib.connect(broker.amqp);
  const channel = await connection.createConfirmChannel();
  try {
    return await use(channel);
  } finally {
    await connection.close();
  }
}

async function connect(options = {}) {
  const client = mqtt.connect(broker.mqtt, { protocolVersion: 5, reconnectPeriod: 0, clientId: name(), ...options });
  client.received = [];
  client.on('message', (topic, payload, packet) => client.received.push({ topic, text: payload.toString(), ...packet }));
  [client.connack] = await withDeadline(once(client, 'connect'), 'CONNACK');
  return client;
}

test('an MQTT publish reaches a queue bound to amq.topic', () => amqp(async (channel) => {
  const room = name();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'amq.topic', `sensors.${room}.*.temp`);
  const client = await connect();
  await client.publishAsync(`sensors/${room}/7/temp`, '21.5', {
    qos: 1, properties: { contentType: 'text/plain', userProperties: { unit: 'C' } },
  });
  const message = await eventually(() => channel.get(queue, { noAck: true }), 'the message');
  assert.deepEqual([message.content.toString(), message.fields.routingKey], ['21.5', `sensors.${room}.7.temp`]);
  assert.deepEqual([message.properties.contentType, message.properties.headers.unit], ['text/plain', 'C']);
  await client.endAsync();
}));

test('an AMQP publish to amq.topic reaches an MQTT subscriber', () => amqp(async (channel) => {
  const room = name();
  const client = await connect();
  await client.subscribeAsync(`sensors/${room}/+/temp`, { qos: 1 });
  channel.publish('amq.topic', `sensors.${room}.7.temp`, Buffer.from('22'), { contentType: 'text/plain', headers: { unit: 'C' } });
  await eventually(() => client.received.length, 'the message');
  const [message] = client.received;
  assert.deepEqual([message.topic, message.text], [`sensors/${room}/7/temp`, '22']);
  assert.equal(message.properties.contentType, 'text/plain');
  assert.equal({ ...message.properties.userProperties }.unit, 'C');
  await client.endAsync();
}));

test('what was confirmed to either client survives kill -9', async () => {
  const session = { clientId: name(), clean: false, properties: { sessionExpiryInterval: 3600 } };
  const [queue, topic] = [name(), name()];
  const first = await connect(session);
  await first.subscribeAsync(topic, { qos: 1 });
  await first.endAsync();
  await amqp(async (channel) => {
    await channel.assertQueue(queue, { durable: true });
    for (let i = 0; i < 100; i += 1) channel.sendToQueue(queue, Buffer.from(String(i)), { persistent: true });
    await channel.waitForConfirms();
  });
  const publisher = await connect();
  for (let i = 0; i < 50; i += 1) await publisher.publishAsync(topic, String(i), { qos: 1 });
  publisher.on('error', () => {});
  await broker.killAndRestart();
  await publisher.endAsync(true);
  const again = await connect(session);
  assert.equal(again.connack.sessionPresent, true);
  await eventually(() => again.received.length === 50, 'the messages of the session');
  assert.deepEqual(again.received.map((m) => Number(m.text)), [...Array(50).keys()]);
  await again.endAsync();
  await amqp(async (channel) => {
    for (let i = 0; i < 100; i += 1) assert.equal((await channel.get(queue, { noAck: true })).content.toString(), String(i));
    assert.equal(await channel.get(queue), false);
  });
});
