// amqplib, the AMQP client of Node.js.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import amqplib from 'amqplib';
import { Broker, eventually, withDeadline } from './broker.mjs';

let broker;
const opened = [];
const name = () => `node-${randomUUID()}`;

before(async () => { broker = await Broker.start(); });
after(() => broker.stop());
afterEach(async () => {
  for (const connection of opened.splice(0)) await connection.close().catch(() => {});
});

async function connect(options = {}) {
  const connection = await withDeadline(amqplib.connect(broker.amqp, options), 'connection.open-ok');
  connection.on('error', () => {});
  opened.push(connection);
  return connection;
}

async function open(create = 'createChannel') {
  const channel = await (await connect())[create]();
  channel.on('error', () => {});
  return channel;
}

async function exclusiveQueue(channel) {
  return (await channel.assertQueue('', { exclusive: true })).queue;
}

function channelError(channel) {
  return withDeadline(new Promise((resolve) => channel.once('error', resolve)), 'a channel error');
}

test('a connection opens with the default options and closes', async () => {
  const connection = await amqplib.connect(broker.amqp);
  await connection.close();
});

test('a wrong password is refused with 403', async () => {
  const url = broker.amqp.replace('guest:guest', 'guest:wrong');
  await assert.rejects(amqplib.connect(url), /ACCESS[-_]REFUSED|403/);
});

test('an absent vhost is refused', async () => {
  await assert.rejects(amqplib.connect(`${broker.amqp}/absent`), /got <ConnectionClose/);
});

test('heartbeats keep a connection open', async () => {
  const connection = await connect({ heartbeat: 1 });
  let closed = false;
  connection.on('close', () => { closed = true; });
  await new Promise((resolve) => setTimeout(resolve, 3500));
  assert.equal(closed, false);
});

test('a message goes through a queue', async () => {
  const channel = await open();
  const queue = await exclusiveQueue(channel);
  channel.sendToQueue(queue, Buffer.from('hello'));
  const message = await eventually(() => channel.get(queue, { noAck: true }), 'the message');
  assert.equal(message.content.toString(), 'hello');
  assert.equal(message.fields.redelivered, false);
});

test('every property arrives as it was sent', async () => {
  const channel = await open();
  const queue = await exclusiveQueue(channel);
  const sent = {
    contentType: 'application/json', contentEncoding: 'utf-8', deliveryMode: 2, priority: 3, correlationId: 'c',
    replyTo: 'r', messageId: 'm', timestamp: 1_700_000_000, type: 't', userId: 'guest', appId: 'a',
  };
  channel.sendToQueue(queue, Buffer.alloc(0), sent);
  const { properties } = await eventually(() => channel.get(queue, { noAck: true }), 'the message');
  for (const [key, value] of Object.entries(sent)) assert.deepEqual(properties[key], value, key);
});

const HEADERS = {
  text: 'é', int: 1, negative: -5, large: 2 ** 40, double: 1.5, yes: true, no: false, nothing: null,
  list: [1, 'two', [3]], table: { deep: { deeper: [{}] } }, buffer: Buffer.from([0, 255]),
  float: { '!': 'float', value: 0.5 }, int8: { '!': 'int8', value: -7 }, int16: { '!': 'int16', value: -3000 },
  decimal: { '!': 'decimal', value: { places: 2, digits: 314 } }, time: { '!': 'timestamp', value: 1_700_000_000 },
};
const RECEIVED = { float: 0.5, int8: -7, int16: -3000 };

for (const [key, value] of Object.entries(HEADERS)) {
  test(`a header of the kind "${key}" round trips`, async () => {
    const channel = await open();
    const queue = await exclusiveQueue(channel);
    channel.sendToQueue(queue, Buffer.alloc(0), { headers: { [key]: value } });
    const { properties } = await eventually(() => channel.get(queue, { noAck: true }), 'the message');
    assert.deepEqual(properties.headers[key], RECEIVED[key] ?? value);
  });
}

for (const size of [0, 1, 131_064, 131_065, 1_000_000]) {
  test(`a body of ${size} bytes arrives whole`, async () => {
    const channel = await open();
    const queue = await exclusiveQueue(channel);
    const body = Buffer.alloc(size, 'leveret');
    channel.sendToQueue(queue, body);
    const message = await eventually(() => channel.get(queue, { noAck: true }), 'the message');
    assert.ok(message.content.equals(body));
  });
}

test('confirms arrive for everything that was published', async () => {
  const channel = await open('createConfirmChannel');
  const queue = name();
  await channel.assertQueue(queue, { durable: true });
  for (let i = 0; i < 1000; i += 1) channel.sendToQueue(queue, Buffer.from(String(i)), { persistent: true });
  await withDeadline(channel.waitForConfirms(), 'all confirms', 20_000);
  assert.equal((await channel.deleteQueue(queue)).messageCount, 1000);
});

test('an unroutable mandatory message is returned before its confirm', async () => {
  const channel = await open('createConfirmChannel');
  const events = [];
  channel.on('return', (message) => events.push(`return ${message.fields.replyCode} ${message.content}`));
  await new Promise((resolve, reject) => {
    channel.publish('amq.direct', name(), Buffer.from('back'), { mandatory: true }, (error) => {
      events.push('confirm');
      return error ? reject(error) : resolve();
    });
  });
  assert.deepEqual(events, ['return 312 back', 'confirm']);
});

test('consumers receive in order and acknowledge', async () => {
  const channel = await open();
  const queue = await exclusiveQueue(channel);
  const received = [];
  await channel.prefetch(10);
  await channel.consume(queue, (message) => {
    received.push(Number(message.content));
    channel.ack(message);
  });
  for (let i = 0; i < 1000; i += 1) channel.sendToQueue(queue, Buffer.from(String(i)));
  await eventually(() => received.length === 1000, 'all messages', 20_000);
  assert.deepEqual(received, [...Array(1000).keys()]);
});

test('a message that was not acknowledged comes back marked redelivered', async () => {
  const channel = await open();
  const queue = await exclusiveQueue(channel);
  channel.sendToQueue(queue, Buffer.from('again'));
  channel.nack(await eventually(() => channel.get(queue), 'the message'), false, true);
  const again = await eventually(() => channel.get(queue, { noAck: true }), 'the message again');
  assert.equal(again.fields.redelivered, true);
});

test('a consumer is told when its queue is deleted', async () => {
  const channel = await open();
  const queue = name();
  await channel.assertQueue(queue, { durable: false });
  let cancelled = false;
  await channel.consume(queue, (message) => { cancelled = message === null; });
  await (await open()).deleteQueue(queue);
  await eventually(() => cancelled, 'basic.cancel');
});

test('a missing queue closes the channel with 404 and leaves the connection open', async () => {
  const connection = await connect();
  const channel = await connection.createChannel();
  const failed = channelError(channel);
  await assert.rejects(channel.checkQueue('no-such-queue'), /404/);
  assert.match((await failed).message, /NOT[-_]FOUND - no queue 'no-such-queue' in vhost '\/'/);
  assert.ok(await exclusiveQueue(await connection.createChannel()));
});

test('a different redeclaration closes the channel with 406', async () => {
  const queue = name();
  await (await open()).assertQueue(queue, { durable: true });
  const channel = await open();
  const failed = channelError(channel);
  await assert.rejects(channel.assertQueue(queue, { durable: false }), /406/);
  assert.match((await failed).message, /inequivalent arg 'durable'/);
  await (await open()).deleteQueue(queue);
});

test('an unknown delivery tag closes the channel with 406', async () => {
  const channel = await open();
  const failed = channelError(channel);
  channel.ack({ fields: { deliveryTag: 82 } });
  assert.match((await failed).message, /PRECONDITION[-_]FAILED - unknown delivery tag 82/);
});

test('each exchange type routes', async () => {
  const channel = await open('createConfirmChannel');
  const cases = [
    ['direct', 'k', 'k', {}, {}], ['fanout', '', 'anything', {}, {}], ['topic', 'a.*.#', 'a.b.c.d', {}, {}],
    ['headers', '', '', { 'x-match': 'all', kind: 'x' }, { kind: 'x' }],
  ];
  for (const [type, pattern, key, bound, headers] of cases) {
    const exchange = name();
    await channel.assertExchange(exchange, type, { durable: false, autoDelete: true });
    const queue = await exclusiveQueue(channel);
    await channel.bindQueue(queue, exchange, pattern, bound);
    channel.publish(exchange, key, Buffer.from(type), { headers });
    await channel.waitForConfirms();
    assert.equal((await channel.get(queue, { noAck: true })).content.toString(), type);
  }
});

test('exchanges can be bound to each other', async () => {
  const channel = await open('createConfirmChannel');
  const [source, destination] = [name(), name()];
  for (const exchange of [source, destination]) {
    await channel.assertExchange(exchange, 'fanout', { durable: false, autoDelete: true });
  }
  const queue = await exclusiveQueue(channel);
  await channel.bindQueue(queue, destination, '');
  await channel.bindExchange(destination, source, '');
  channel.publish(source, '', Buffer.from('through two'));
  await channel.waitForConfirms();
  assert.equal((await channel.get(queue, { noAck: true })).content.toString(), 'through two');
});

test('recover brings back what is outstanding', async () => {
  const channel = await open();
  const queue = await exclusiveQueue(channel);
  channel.sendToQueue(queue, Buffer.from('again'));
  await eventually(() => channel.get(queue), 'the message');
  await channel.recover();
  assert.equal((await channel.get(queue, { noAck: true })).fields.redelivered, true);
});

test('a request is answered over a reply queue', async () => {
  const [client, server] = [await open(), await open()];
  const [requests, replies] = [await exclusiveQueue(server), await exclusiveQueue(client)];
  await server.consume(requests, (message) => {
    server.sendToQueue(message.properties.replyTo, Buffer.from(`${message.content}!`),
      { correlationId: message.properties.correlationId });
  }, { noAck: true });
  client.sendToQueue(requests, Buffer.from('ping'), { replyTo: replies, correlationId: '42' });
  const answer = await eventually(() => client.get(replies, { noAck: true }), 'the answer');
  assert.deepEqual([answer.content.toString(), answer.properties.correlationId], ['ping!', '42']);
});
