// An MQTT 5 client over WebSocket. It keeps nothing: it ends with the page.

import { Malformed } from "./octets";
import { acknowledgement, type Connect, connect, disconnect, pingreq, type Publish, publish, type Qos, type Received, subscribe, type Subscription, unsubscribe } from "./packets";
import { inWords, isFailure } from "./reasons";
import { PACKET_BYTES_MAX, Stream } from "./stream";

export interface Connected {
  clientId: string;
  /** Whether the broker knew the session. */
  isPresent: boolean;
  keepAliveS: number;
  maximumQos: Qos;
}

export interface Events {
  connected: (what: Connected) => void;
  message: (message: Publish) => void;
  /** Nothing happens after this. */
  closed: (why: string, isFailure: boolean) => void;
}

/** What is waited for, by packet identifier. */
interface Pending {
  type: "puback" | "pubrec" | "pubcomp" | "suback" | "unsuback";
  resolve: (words: string) => void;
  reject: (error: Error) => void;
}

/** How long the broker may take to answer CONNECT. */
const CONNECT_MS = 15_000;
/** Requests without an answer yet, and messages that the broker may have in flight. */
const PENDING_MAX = 100;
const RECEIVE_MAX = 100;

export class Client {
  private readonly socket: WebSocket;
  private readonly stream = new Stream();
  private readonly pending = new Map<number, Pending>();
  /** Messages with QoS 2 that the broker has not released yet. */
  private readonly unreleased = new Set<number>();
  private timer = 0;
  private lastId = 0;
  private pendingMax = PENDING_MAX;
  private isConnected = false;
  private isClosed = false;
  private hasAnswered = true;

  constructor(url: string, private readonly wish: Omit<Connect, "properties"> & { sessionExpiryS: number }, private readonly events: Events) {
    this.socket = new WebSocket(url, "mqtt");
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      const properties = { sessionExpiry: wish.sessionExpiryS, receiveMaximum: RECEIVE_MAX, maximumPacketSize: PACKET_BYTES_MAX };
      this.socket.send(connect({ ...wish, properties }));
    };
    this.socket.onmessage = ({ data }) => this.take(data);
    this.socket.onclose = () => this.close(this.isConnected ? "The connection broke off." : UNREACHABLE, true);
    this.timer = window.setTimeout(() => this.close("The broker did not answer in time.", true), CONNECT_MS);
  }

  /** Publishes, and says what the broker answered. */
  publish(message: Publish): Promise<string> {
    if (message.qos === 0) {
      this.check();
      this.socket.send(publish(message, 0));
      return Promise.resolve("Sent. With QoS 0 the broker does not answer.");
    }
    return this.ask(message.qos === 1 ? "puback" : "pubrec", (id) => publish(message, id));
  }

  subscribe(subscription: Subscription): Promise<string> {
    return this.ask("suback", (id) => subscribe(id, subscription));
  }

  unsubscribe(filter: string): Promise<string> {
    return this.ask("unsuback", (id) => unsubscribe(id, filter));
  }

  /** Says goodbye, so that no will is published. */
  end(): void {
    if (this.isConnected && this.socket.readyState === WebSocket.OPEN) this.socket.send(disconnect());
    this.close("Disconnected.", false);
  }

  private check(): void {
    if (!this.isConnected || this.isClosed) throw new Error("There is no connection.");
  }

  private ask(type: Pending["type"], request: (id: number) => Uint8Array<ArrayBuffer>): Promise<string> {
    this.check();
    if (this.pending.size >= this.pendingMax) throw new Error(`The broker has not answered ${this.pending.size} requests yet. Try again when it has.`);
    const id = this.freeId();
    const bytes = request(id);
    return new Promise((resolve, reject) => {
      this.pending.set(id, { type, resolve, reject });
      this.socket.send(bytes);
    });
  }

  private freeId(): number {
    do this.lastId = (this.lastId % 0xffff) + 1;
    while (this.pending.has(this.lastId));
    return this.lastId;
  }

  private take(data: unknown): void {
    try {
      if (!(data instanceof ArrayBuffer)) throw new Malformed("a WebSocket message is not binary");
      for (const received of this.stream.push(new Uint8Array(data))) {
        if (this.isClosed) return;
        this.handle(received);
      }
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      if (this.isConnected && !this.isClosed) this.socket.send(disconnect(error.code));
      this.close(`What came from the broker is against the protocol: ${error.message}.`, true);
    }
  }

  private handle(received: Received): void {
    if (this.isConnected === (received.type === "connack")) throw new Malformed(`${received.type} is not expected now`, 0x82);
    switch (received.type) {
      case "connack":
        return this.begin(received);
      case "publish":
        return this.takeMessage(received);
      case "pubrel": {
        const isKnown = this.unreleased.delete(received.id);
        this.socket.send(acknowledgement("pubcomp", received.id, isKnown ? 0 : 0x92));
        return;
      }
      case "pingresp":
        this.hasAnswered = true;
        return;
      case "disconnect":
        return this.close(inWords(received.code, received.properties), isFailure(received.code));
      case "suback":
      case "unsuback":
        return this.settle(received.type, received.id, received.codes[0] ?? 0x80, received.properties);
      default:
        return this.settle(received.type, received.id, received.code, received.properties);
    }
  }

  private begin({ code, isPresent, properties }: Received & { type: "connack" }): void {
    if (isFailure(code)) return this.close(inWords(code, properties), true);
    clearTimeout(this.timer);
    this.isConnected = true;
    const keepAliveS = properties.serverKeepAlive ?? this.wish.keepAliveS;
    this.pendingMax = Math.min(PENDING_MAX, properties.receiveMaximum ?? PENDING_MAX);
    if (keepAliveS > 0) this.timer = window.setInterval(() => this.ping(), Math.max(keepAliveS * PING_AT * 1000, 1000));
    this.events.connected({ clientId: properties.assignedClientId ?? this.wish.clientId, isPresent, keepAliveS, maximumQos: (properties.maximumQos ?? 2) as Qos });
  }

  private ping(): void {
    if (!this.hasAnswered) return this.close("The broker did not answer within the keep alive.", true);
    this.hasAnswered = false;
    this.socket.send(pingreq());
  }

  private takeMessage(message: Received & { type: "publish" }): void {
    const { id, qos } = message;
    if (qos === 2) {
      const isKnown = this.unreleased.has(id);
      if (!isKnown && this.unreleased.size >= RECEIVE_MAX) throw new Malformed("more messages are in flight than this client allows", 0x93);
      this.unreleased.add(id);
      this.socket.send(acknowledgement("pubrec", id));
      if (isKnown) return;
    } else if (qos === 1) this.socket.send(acknowledgement("puback", id));
    this.events.message(message);
  }

  private settle(type: Pending["type"], id: number, code: number, properties: { reasonString?: string }): void {
    const waiting = this.pending.get(id);
    if (waiting?.type !== type) throw new Malformed(`${type} answers no request`, 0x82);
    if (type === "pubrec" && !isFailure(code)) {
      this.pending.set(id, { ...waiting, type: "pubcomp" });
      this.socket.send(acknowledgement("pubrel", id));
      return;
    }
    this.pending.delete(id);
    const words = type === "suback" && code === 0 ? "Granted with QoS 0. (0x00)" : inWords(code, properties);
    if (isFailure(code)) waiting.reject(new Error(words));
    else waiting.resolve(words);
  }

  private close(why: string, isFailure: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    clearTimeout(this.timer);
    clearInterval(this.timer);
    this.socket.close();
    for (const { reject } of this.pending.values()) reject(new Error(`The connection ended before the broker answered. ${why}`));
    this.pending.clear();
    this.events.closed(why, isFailure);
  }
}

/** The part of the keep alive after which the broker is asked whether it is there. */
const PING_AT = 0.75;
const UNREACHABLE = "The broker did not take the connection. Is it running? Does a proxy on the way let WebSocket through? May pages from this address connect (see the setting websocket_origins)?";
