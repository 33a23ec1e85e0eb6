// The data types of MQTT 5 (1.5), written and read. What is read comes from the network: all of it is checked.

/** A packet that the standard does not allow; `code` is what DISCONNECT says about it. */
export class Malformed extends Error {
  constructor(message: string, readonly code = 0x81) {
    super(message);
  }
}

/** The longest text or string of octets. */
const STRING_BYTES_MAX = 65_535;
/** The largest number that a variable byte integer holds. */
const VARINT_MAX = 268_435_455;

const encoder = new TextEncoder();

export class Writer {
  private readonly parts: Uint8Array[] = [];
  length = 0;

  raw(bytes: Uint8Array): this {
    this.parts.push(bytes);
    this.length += bytes.length;
    return this;
  }

  u8(value: number): this {
    return this.raw(Uint8Array.of(value));
  }

  u16(value: number): this {
    return this.raw(Uint8Array.of(value >> 8, value));
  }

  u32(value: number): this {
    return this.raw(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
  }

  varint(value: number): this {
    if (value > VARINT_MAX) throw new Error("This is larger than a packet of MQTT can be.");
    for (let rest = value; ; rest >>>= 7) {
      if (rest < 0x80) return this.u8(rest);
      this.u8((rest & 0x7f) | 0x80);
    }
  }

  binary(bytes: Uint8Array): this {
    if (bytes.length > STRING_BYTES_MAX) throw new Error(`A text of MQTT has at most ${STRING_BYTES_MAX} bytes.`);
    return this.u16(bytes.length).raw(bytes);
  }

  text(value: string): this {
    if (value.includes("\0")) throw new Error("A text of MQTT may not hold the character U+0000.");
    return this.binary(encoder.encode(value));
  }

  done(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

export class Reader {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get left(): number {
    return this.bytes.length - this.at;
  }

  raw(length: number): Uint8Array {
    if (length > this.left) throw new Malformed("a packet is shorter than it says");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  u8(): number {
    return this.raw(1)[0] ?? 0;
  }

  u16(): number {
    return this.u8() * 0x100 + this.u8();
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw new Malformed("a number is longer than it has to be");
        return value;
      }
    }
    throw new Malformed("a number has more than four bytes");
  }

  binary(): Uint8Array {
    return this.raw(this.u16());
  }

  text(): string {
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.binary());
    } catch (error) {
      throw error instanceof Malformed ? error : new Malformed("a text is not UTF-8");
    }
    if (text.includes("\0")) throw new Malformed("a text holds U+0000");
    return text;
  }

  /** A part of so many bytes, with an end of its own. */
  part(length: number): Reader {
    return new Reader(this.raw(length));
  }

  rest(): Uint8Array {
    return this.raw(this.left);
  }

  end(): void {
    if (this.left > 0) throw new Malformed("a packet is longer than it says");
  }
}
