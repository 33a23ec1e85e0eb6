// MQTT.js, the MQTT client of Node.js.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';
import mqtt from 'mqtt';
import { Broker, eventually, withDeadline } from './broker.mjs';
import { Scram } from './scram.mjs';

let broker;
const opened = [];
const name = () => `node-${randomUUID()}`;

before(async () => { broker = await Broker.start(); });
after(() => broker.stop());
afterEach(async () => {
  for (const client of opened.splice(0)) await client.endAsync(true);
});

async function connect(options = {}) {
  const client = mqtt.connect(broker.mqtt, { protocolVersion: 5, reconnectPeriod: 0, clientId: name(), ...options });
  opened.push(client);
  client.received = [];
  client.on('message', (topic, payload, packet) => client.received.push({ topic, text: payload.toString(), ...packet }));
  client.on('error', () => {});
  const [connack] = await withDeadline(once(client, 'connect'), 'CONNACK');
  client.connack = connack;
  return client;
}

async function received(client, count) {
  await eventually(() => client.received.length >= count, `${count} messages`);
  return client.received;
}

const PERSISTENT = { clean: false, properties: { sessionExpiryInterval: 3600 } };

for (const protocolVersion of [4, 5]) {
  for (const qos of [0, 1, 2]) {
    test(`version ${protocolVersion}: a message with QoS ${qos} reaches its subscriber`, async () => {
      const [subscriber, publisher] = [await connect({ protocolVersion }), await connect({ protocolVersion })];
      const topic = name();
      const [granted] = await subscriber.subscribeAsync(topic, { qos });
      assert.equal(granted.qos, qos);
      await publisher.publishAsync(topic, 'hello', { qos });
      const [message] = await received(subscriber, 1);
      assert.deepEqual([message.topic, message.text, message.qos, message.retain], [topic, 'hello', qos, false]);
    });
  }

  test(`version ${protocolVersion}: a retained message reaches later subscribers`, async () => {
    const topic = name();
    const client = await connect({ protocolVersion });
    await client.publishAsync(topic, 'kept', { qos: 1, retain: true });
    await client.subscribeAsync(topic, { qos: 1 });
    const [message] = await received(client, 1);
    assert.deepEqual([message.text, message.retain], ['kept', true]);
    await client.publishAsync(topic, '', { qos: 1, retain: true });
  });

  test(`version ${protocolVersion}: messages wait for a client that is away`, async () => {
    const [topic, clientId] = [name(), name()];
    const first = await connect({ protocolVersion, clientId, ...PERSISTENT });
    await first.subscribeAsync(topic, { qos: 1 });
    await first.endAsync();
    const publisher = await connect({ protocolVersion });
    for (let i = 0; i < 20; i += 1) await publisher.publishAsync(topic, String(i), { qos: 1 });
    const again = await connect({ protocolVersion, clientId, ...PERSISTENT });
    assert.equal(again.connack.sessionPresent, true);
    assert.deepEqual((await received(again, 20)).map((m) => Number(m.text)), [...Array(20).keys()]);
  });

  test(`version ${protocolVersion}: a vanished client leaves its will`, async () => {
    const topic = name();
    const watcher = await connect({ protocolVersion });
    await watcher.subscribeAsync(topic, { qos: 1 });
    const client = await connect({ protocolVersion, will: { topic, payload: Buffer.from('gone'), qos: 1 } });
    client.stream.destroy();
    assert.equal((await received(watcher, 1))[0].text, 'gone');
  });
}

test('properties are passed on', async () => {
  const topic = name();
  const client = await connect();
  await client.subscribeAsync(topic, { qos: 1, properties: { subscriptionIdentifier: 9 } });
  const properties = {
    contentType: 'text/plain', responseTopic: 'answers', correlationData: Buffer.from([0, 255]),
    userProperties: { a: ['1', '2'], b: '3' }, payloadFormatIndicator: true,
  };
  await client.publishAsync(topic, 'x', { qos: 1, properties });
  const [message] = await received(client, 1);
  assert.equal(message.properties.contentType, 'text/plain');
  assert.equal(message.properties.responseTopic, 'answers');
  assert.deepEqual([...message.properties.correlationData], [0, 255]);
  assert.deepEqual({ ...message.properties.userProperties }, { a: ['1', '2'], b: '3' });
  assert.equal(message.properties.payloadFormatIndicator, true);
  assert.equal(message.properties.subscriptionIdentifier, 9);
});

test('wildcards and unsubscribing work', async () => {
  const base = name();
  const client = await connect();
  await client.subscribeAsync([`${base}/+/x`, `${base}/deep/#`], { qos: 1 });
  for (const topic of ['a/x', 'a/y', 'deep/b/c', 'deep']) await client.publishAsync(`${base}/${topic}`, topic, { qos: 1 });
  assert.deepEqual((await received(client, 3)).map((m) => m.text), ['a/x', 'deep/b/c', 'deep']);
  await client.unsubscribeAsync(`${base}/deep/#`);
  await client.publishAsync(`${base}/deep/z`, 'not wanted', { qos: 1 });
  await client.publishAsync(`${base}/b/x`, 'last', { qos: 1 });
  assert.equal((await received(client, 4))[3].text, 'last');
});

test('a second connection with the same id takes over', async () => {
  const clientId = name();
  const first = await connect({ clientId });
  const told = withDeadline(once(first, 'disconnect'), 'DISCONNECT');
  await connect({ clientId });
  const [packet] = await told;
  assert.equal(packet.reasonCode, 0x8e);
});

test('an empty client id is assigned one', async () => {
  const client = await connect({ clientId: '' });
  assert.ok(client.connack.properties.assignedClientIdentifier);
});

test('a wrong password is refused', async () => {
  const client = mqtt.connect(broker.mqtt, { protocolVersion: 5, reconnectPeriod: 0, username: 'guest', password: 'wrong' });
  opened.push(client);
  const [error] = await withDeadline(once(client, 'error'), 'the refusal');
  assert.equal(error.code, 0x86);
});

const METHOD = 'SCRAM-SHA-256';

// A client that answers AUTH by SCRAM.
function scramClient(scram) {
  const client = mqtt.connect(broker.mqtt, {
    protocolVersion: 5, reconnectPeriod: 0, clientId: name(),
    properties: { authenticationMethod: METHOD, authenticationData: scram.first() },
  });
  opened.push(client);
  client.scram = scram;
  client.on('error', () => {});
  client.handleAuth = (packet, callback) => {
    if (packet.reasonCode === 0) client.emit('authenticated', packet);
    const authenticationData = packet.reasonCode === 0 ? undefined : client.scram.final(packet.properties.authenticationData);
    callback(null, { cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: METHOD, authenticationData } });
  };
  return client;
}

test('SCRAM lets a client in, and again later', async () => {
  const client = scramClient(new Scram('guest', 'guest'));
  const [connack] = await withDeadline(once(client, 'connect'), 'CONNACK');
  assert.equal(connack.properties.authenticationMethod, METHOD);
  assert.equal(String(connack.properties.authenticationData), client.scram.signature);
  const topic = name();
  await client.subscribeAsync(topic, { qos: 1 });
  client.scram = new Scram('guest', 'guest');
  const again = withDeadline(once(client, 'authenticated'), 'AUTH');
  const authenticationData = client.scram.first();
  client._sendPacket({ cmd: 'auth', reasonCode: 0x19, properties: { authenticationMethod: METHOD, authenticationData } });
  await client.publishAsync(topic, 'between', { qos: 1 });
  const [packet] = await again;
  assert.equal(String(packet.properties.authenticationData), client.scram.signature);
});

test('SCRAM with a wrong password is refused', async () => {
  const client = scramClient(new Scram('guest', 'wrong'));
  const [error] = await withDeadline(once(client, 'error'), 'the refusal');
  assert.equal(error.code, 0x86);
});

test('a refusal says why', async () => {
  const client = await connect();
  const refused = client.publishAsync('$SYS/x', 'x', { qos: 1 });
  await assert.rejects(refused, { code: 0x87 });
});

test('a large payload arrives whole', async () => {
  const topic = name();
  const payload = 'leveret'.repeat(200_000);
  const client = await connect();
  await client.subscribeAsync(topic, { qos: 1 });
  await client.publishAsync(topic, payload, { qos: 1 });
  assert.equal((await received(client, 1))[0].text, payload);
});

test('a burst of QoS 2 messages arrives once and in order', async () => {
  const topic = name();
  const [subscriber, publisher] = [await connect({ properties: { receiveMaximum: 5 } }), await connect()];
  await subscriber.subscribeAsync(topic, { qos: 2 });
  await Promise.all([...Array(300).keys()].map((i) => publisher.publishAsync(topic, String(i), { qos: 2 })));
  await publisher.publishAsync(topic, 'end', { qos: 2 });
  const texts = (await received(subscriber, 301)).map((m) => m.text);
  assert.deepEqual(texts, [...[...Array(300).keys()].map(String), 'end']);
});

test('a quiet client stays connected by its pings', async () => {
  const client = await connect({ keepalive: 1 });
  let closed = false;
  client.on('close', () => { closed = true; });
  await new Promise((resolve) => setTimeout(resolve, 3500));
  assert.equal(closed, false);
});
