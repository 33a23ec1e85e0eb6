// Clients of one purpose each, which say what they have to and then only listen.

import { once } from "node:events";
import { connect } from "node:net";

const answer = (socket) => once(socket, "data", { signal: AbortSignal.timeout(15_000) });

/** An MQTT 3.1.1 client with one subscription, which reads and says nothing more. */
export async function subscriber(broker, id, filter) {
  const text = (value) => Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)]);
  const packet = (type, ...parts) => {
    const rest = Buffer.concat(parts);
    return Buffer.concat([Buffer.from([type, rest.length]), rest]);
  };
  const socket = connect(broker.mqtt, "127.0.0.1");
  // User name, password, and a session that stays.
  socket.write(packet(0x10, text("MQTT"), Buffer.from([4, 0xc0, 0, 0]), text(id), text("guest"), text("guest")));
  await answer(socket);
  socket.write(packet(0x82, Buffer.from([0, 1]), text(filter), Buffer.from([1])));
  await answer(socket);
  return socket;
}

/** An AMQP client that declares a queue for itself alone, and consumes from it and from another. */
export async function owner(broker, own, other) {
  const short = (value) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  const numbers = (...octets) => Buffer.from(octets);
  const noTable = numbers(0, 0, 0, 0);
  const socket = connect(broker.amqp, "127.0.0.1");
  const method = (channel, classId, methodId, ...parts) => {
    const payload = Buffer.concat([numbers(0, classId, 0, methodId), ...parts]);
    const head = Buffer.alloc(7);
    head.writeUInt8(1);
    head.writeUInt16BE(channel, 1);
    head.writeUInt32BE(payload.length, 3);
    return Buffer.concat([head, payload, numbers(0xce)]);
  };
  const ask = async (frame) => {
    socket.write(frame);
    await answer(socket);
  };
  const login = "\0guest\0guest";
  await ask(Buffer.from("AMQP\0\0\x09\x01", "latin1"));
  await ask(method(0, 10, 11, noTable, short("PLAIN"), numbers(0, 0, 0, login.length), Buffer.from(login), short("en_US")));
  socket.write(method(0, 10, 31, numbers(0, 1, 0, 2, 0, 0, 0, 0)));
  await ask(method(0, 10, 40, short("/"), short(""), numbers(0)));
  await ask(method(1, 20, 10, short("")));
  await ask(method(1, 50, 10, numbers(0, 0), short(own), numbers(4), noTable));
  await ask(method(1, 60, 20, numbers(0, 0), short(own), short("for-myself"), numbers(2), noTable));
  await ask(method(1, 60, 20, numbers(0, 0), short(other), short("with-acks"), numbers(0), noTable));
  return socket;
}
