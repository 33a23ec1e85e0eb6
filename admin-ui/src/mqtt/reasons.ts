// Reason codes of MQTT 5 (2.4) in words, with what helps.

const WORDS: Record<number, string> = {
  0x00: "Done.",
  0x01: "Granted with QoS 1.",
  0x02: "Granted with QoS 2.",
  0x10: "Taken, but nobody has subscribed to this topic.",
  0x11: "There was no such subscription.",
  0x80: "Refused, without a reason.",
  0x81: "The packet is malformed.",
  0x82: "The packet is against the protocol.",
  0x83: "The broker does not do this.",
  0x84: "The broker does not speak this version of MQTT.",
  0x85: "The client identifier is not valid: choose another one.",
  0x86: "The user name or the password is wrong, or this user may not log in from here.",
  0x87: "Not allowed: the user lacks the permission.",
  0x88: "The broker is not available.",
  0x89: "The broker is busy: try again later.",
  0x8a: "This client is banned.",
  0x8b: "The broker is shutting down.",
  0x8c: "The broker does not know this way to log in.",
  0x8d: "The broker heard nothing for longer than the keep alive.",
  0x8e: "Another client has connected with the same client identifier and taken the session over.",
  0x8f: "The topic filter is not valid: + stands for a whole level, # for the whole rest.",
  0x90: "The topic is none that clients may publish to.",
  0x91: "The packet identifier is in use.",
  0x92: "The packet identifier is not known.",
  0x93: "There were more messages in flight than allowed.",
  0x94: "A topic alias is not valid.",
  0x95: "The packet is larger than allowed.",
  0x96: "Messages come too fast.",
  0x97: "A limit is reached, or there is no room: see the limits of the user and of the virtual host.",
  0x98: "An operator has done this.",
  0x99: "The payload is not in the format that it says.",
  0x9a: "The broker keeps no retained messages.",
  0x9b: "The broker does not offer this QoS.",
  0x9c: "Use another server for now.",
  0x9d: "The server has moved.",
  0x9e: "The broker has no shared subscriptions.",
  0x9f: "Connections come too fast.",
  0xa0: "The connection has been open for as long as it may.",
  0xa1: "The broker has no subscription identifiers.",
  0xa2: "The broker has no subscriptions with wildcards.",
};

export const isFailure = (code: number) => code >= 0x80;

/** What a reason code means, with what the broker adds to it. */
export function inWords(code: number, properties: { reasonString?: string; serverReference?: string } = {}): string {
  const { reasonString, serverReference } = properties;
  const added = [reasonString && `The broker says: ${reasonString}`, serverReference && `The other server: ${serverReference}`];
  const hex = `0x${code.toString(16).padStart(2, "0")}`;
  return [`${WORDS[code] ?? "A reason that this page does not know."} (${hex})`, ...added].filter(Boolean).join(" ");
}
