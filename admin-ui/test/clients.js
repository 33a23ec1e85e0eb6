// Small clients over real sockets, for what the pages show: AMQP 0.9.1 and MQTT 5, as much of them as the tests need.

import { connect as open } from "node:net";

class Socket {
  constructor(port) {
    this.buffer = Buffer.alloc(0);
    this.waiting = [];
    this.socket = open(port, "127.0.0.1");
    this.ended = new Promise((done) => this.socket.once("close", done));
    this.socket.on("error", () => {});
    this.socket.on("data", (bytes) => {
      this.buffer = Buffer.concat([this.buffer, bytes]);
      this.take();
    });
  }

  send(...parts) {
    this.socket.write(Buffer.concat(parts));
  }

  /** Waits for something that arrives; `is` says whether it is that. */
  next(is) {
    return new Promise((resolve, reject) => {
      this.waiting.push({ is, resolve });
      void this.ended.then(() => reject(new Error("the connection has ended")));
    });
  }

  arrived(what) {
    const at = this.waiting.findIndex(({ is }) => is(what));
    if (at >= 0) this.waiting.splice(at, 1)[0].resolve(what);
  }

  async close() {
    this.socket.destroy();
    await this.ended;
  }
}

const u8 = (value) => Buffer.from([value]);
const u16 = (value) => Buffer.from([value >> 8, value & 0xff]);
const u32 = (value) => Buffer.from([value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff]);
const short = (text) => Buffer.concat([u8(Buffer.byteLength(text)), Buffer.from(text)]);
const long = (bytes) => Buffer.concat([u32(bytes.length), bytes]);

function table(object) {
  const fields = Object.entries(object).map(([name, value]) => {
    if (typeof value === "boolean") return Buffer.concat([short(name), Buffer.from("t"), u8(Number(value))]);
    if (typeof value === "object") return Buffer.concat([short(name), Buffer.from("F"), table(value)]);
    return Buffer.concat([short(name), Buffer.from("S"), long(Buffer.from(String(value)))]);
  });
  return long(Buffer.concat(fields));
}

export class Amqp extends Socket {
  /** `properties` are those that the client tells of itself. */
  static async connect(broker, { user = "guest", password = "guest", vhost = "/", properties = {} } = {}) {
    const client = new Amqp(broker.amqp);
    client.send(Buffer.from("AMQP\0\0\x09\x01", "latin1"));
    await client.method(10, 10);
    client.call(0, 10, 11, table(properties), short("PLAIN"), long(Buffer.from(`\0${user}\0${password}`)), short("en_US"));
    await client.method(10, 30);
    client.call(0, 10, 31, u16(100), u32(131_072), u16(0));
    client.call(0, 10, 40, short(vhost), short(""), u8(0));
    await client.method(10, 41);
    /** Settles with what the broker says when it closes the connection. */
    client.closing = client.method(10, 50).then((content) => {
      client.call(0, 10, 51);
      return content.subarray(7, 7 + content[6]).toString();
    });
    client.closing.catch(() => {});
    return client;
  }

  take() {
    while (this.buffer.length >= 8) {
      const end = 7 + this.buffer.readUInt32BE(3) + 1;
      if (this.buffer.length < end) return;
      this.arrived({ type: this.buffer[0], content: this.buffer.subarray(7, end - 1) });
      this.buffer = this.buffer.subarray(end);
    }
  }

  frame(type, channel, content) {
    this.send(u8(type), u16(channel), long(content), u8(0xce));
  }

  call(channel, of, method, ...parts) {
    this.frame(1, channel, Buffer.concat([u16(of), u16(method), ...parts]));
  }

  async method(of, method) {
    return (await this.next(({ type, content }) => type === 1 && content.readUInt16BE(0) === of && content.readUInt16BE(2) === method)).content;
  }

  async channel(number) {
    this.call(number, 20, 10, short(""));
    await this.method(20, 11);
  }

  async prefetch(channel, count) {
    this.call(channel, 60, 10, u32(0), u16(count), u8(0));
    await this.method(60, 11);
  }

  async confirm(channel) {
    this.call(channel, 85, 10, u8(0));
    await this.method(85, 11);
  }

  async transact(channel) {
    this.call(channel, 90, 10);
    await this.method(90, 11);
  }

  /** To the queue of that name. */
  publish(channel, queue, body) {
    this.call(channel, 60, 40, u16(0), short(""), short(queue), u8(0));
    this.frame(2, channel, Buffer.concat([u16(60), u16(0), u32(0), u32(Buffer.byteLength(body)), u16(0)]));
    this.frame(3, channel, Buffer.from(body));
  }

  async declare(channel, queue, { exclusive = false } = {}) {
    this.call(channel, 50, 10, u16(0), short(queue), u8(exclusive ? 4 : 0), table({}));
    await this.method(50, 11);
  }

  async consume(channel, queue, tag, { noAck = false } = {}) {
    this.call(channel, 60, 20, u16(0), short(queue), short(tag), u8(noAck ? 2 : 0), table({}));
    await this.method(60, 21);
  }
}

const text = (value) => Buffer.concat([u16(Buffer.byteLength(value)), Buffer.from(value)]);

function packet(first, ...parts) {
  const content = Buffer.concat(parts);
  const length = [];
  for (let rest = content.length; ; rest >>= 7) {
    length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([u8(first), Buffer.from(length), content]);
}

export class Mqtt extends Socket {
  static async connect(broker, clientId, { user = "guest", password = "guest", expiryS = 0 } = {}) {
    const client = new Mqtt(broker.mqtt);
    const properties = Buffer.concat([u8(0x11), u32(expiryS)]);
    client.send(packet(0x10, text("MQTT"), u8(5), u8(0xc0), u16(0), u8(properties.length), properties, text(clientId), text(user), text(password)));
    const { content } = await client.next(({ first }) => first === 0x20);
    if (content[1] !== 0) throw new Error(`CONNACK ${content[1]}`);
    return client;
  }

  take() {
    for (;;) {
      let length = 0;
      let at = 1;
      for (; ; at += 1) {
        if (this.buffer.length <= at) return;
        length += (this.buffer[at] & 0x7f) * 2 ** (7 * (at - 1));
        if (this.buffer[at] < 0x80) break;
      }
      const end = at + 1 + length;
      if (this.buffer.length < end) return;
      this.arrived({ first: this.buffer[0], content: this.buffer.subarray(at + 1, end) });
      this.buffer = this.buffer.subarray(end);
    }
  }

  /** With QoS 0. */
  retain(topic, payload) {
    this.send(packet(0x31, text(topic), u8(0), Buffer.from(payload)));
  }

  async subscribe(filters, options) {
    this.send(packet(0x82, u16(1), u8(0), ...[filters].flat().flatMap((filter) => [text(filter), u8(options)])));
    const { content } = await this.next(({ first }) => first === 0x90);
    if (content.at(-1) > 2) throw new Error(`SUBACK ${content.at(-1)}`);
  }
}
