// The types of exchanges in words: what each does, what its binding keys are, and what helps when nothing matches.

interface ExchangeType {
  /** Which of its bindings take a message. */
  routes: string;
  /** What the key of a binding is. */
  key: string;
  /** Why none of its bindings may take a message. */
  misses: string;
}

const TYPES: Record<string, ExchangeType> = {
  direct: {
    routes: "A message goes to the bindings whose key equals its routing key.",
    key: "Messages with exactly this routing key go this way.",
    misses: "A binding takes a message only if its key equals the routing key, letter by letter.",
  },
  fanout: {
    routes: "A message goes to all that is bound, whatever its routing key.",
    key: "Means nothing here: all messages go this way.",
    misses: "Everything that is bound to it gets every message.",
  },
  topic: {
    routes: "A message goes to the bindings whose pattern matches its routing key: * is one word, # is any number of words, and dots stand between words.",
    key: "A pattern: * is one word, # is any number of words, for example orders.*.paid or orders.#.",
    misses: "* stands for exactly one word between dots and # for any number, also none; all other words have to be equal.",
  },
  headers: {
    routes: "A message goes to the bindings whose arguments its headers match.",
    key: "Means nothing here: the arguments are compared with the headers of messages.",
    misses: "Every argument of a binding has to be a header with an equal value of the same type; with x-match = any, one is enough.",
  },
  "x-consistent-hash": {
    routes: "A message goes to one binding, which a hash of its routing key, a header or a property chooses; the same key takes the same way.",
    key: "A weight: a binding with 2 gets twice as many messages as one with 1.",
    misses: "It chooses among its bindings whose weight is above 0.",
  },
  "x-modulus-hash": {
    routes: "A message goes to one binding, which a hash of its routing key chooses.",
    key: "Means nothing here.",
    misses: "It chooses among all of its bindings.",
  },
  "x-random": {
    routes: "A message goes to one binding at random.",
    key: "Means nothing here.",
    misses: "It chooses among all of its bindings.",
  },
  "x-local-random": {
    routes: "A message goes to one binding at random; all lead to queues of this node.",
    key: "Has to be empty.",
    misses: "It chooses among all of its bindings.",
  },
  "x-delayed-message": {
    routes: "A message waits for as many milliseconds as its header x-delay says; then it goes as in the type that x-delayed-type names.",
    key: "As in the type that x-delayed-type names.",
    misses: "After the delay, it routes as the type that x-delayed-type names.",
  },
  "x-recent-history": {
    routes: "A message goes to all that is bound, and new bindings get what was published last.",
    key: "Means nothing here: all messages go this way.",
    misses: "Everything that is bound to it gets every message.",
  },
};

export const TYPE_NAMES = Object.keys(TYPES);

export function ofType(name: string): ExchangeType | undefined {
  return TYPES[name];
}

export interface Exchange {
  name: string;
  vhost: string;
  type: string;
  durable: boolean;
  auto_delete: boolean;
  internal: boolean;
  arguments: Record<string, unknown>;
  policy?: string;
  messages_delayed?: number;
  message_stats?: Record<string, unknown>;
}

/** Exchanges of the broker itself: nobody declares or deletes them. */
export function isBuiltIn(name: string): boolean {
  return name === "" || name.startsWith("amq.");
}
