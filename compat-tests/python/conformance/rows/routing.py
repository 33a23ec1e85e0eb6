"""Which queues a message goes to: direct, fanout, topic and headers exchanges."""

from conformance.steps import *  # noqa: F403
from support.raw_amqp import Encoded


def topic(pattern, key, reaches):
    """A topic binding and a routing key."""
    found = get("$q").gives(routing_key=key) if reaches else get("$q").empty()
    return row(f"3.3 topic '{pattern}' and '{key}'",
               exchange("$x", "topic"), queue("$q"), bind("$q", "$x", pattern), publish(key, exchange="$x"), found)


def headers(id, arguments, sent, reaches, make=row):
    """A headers binding and the headers of a message."""
    binding = bind("$q", "$x")
    binding = replace(binding, fields={**binding.fields, "arguments": arguments})
    found = get("$q") if reaches else get("$q").empty()
    return make(f"3.3 headers {id}", exchange("$x", "headers"), queue("$q"), binding, publish("k", exchange="$x", headers=sent), found)


def refused(id, value, text):
    """A headers binding that is refused."""
    return row(f"3.3 headers {id}", exchange("$x", "headers"), queue("$q"), bind("$q", "$x", x_match=value).refused(406, text))


ONE = {"a": 1}
TWO = {"a": 1, "b": 2}

ROWS = [
    row("3.3 direct: the key is equal", exchange("$x"), queue("$q"), bind("$q", "$x", "k"),
        publish("k", b"1", exchange="$x"), publish("K", b"2", exchange="$x"), publish("k.k", b"3", exchange="$x"),
        get("$q").gives(body=b"1", exchange="$x", routing_key="k"), get("$q").empty()),
    row("3.3 direct: the empty key", exchange("$x"), queue("$q"), bind("$q", "$x", ""), publish("", exchange="$x"),
        get("$q").gives(routing_key="")),
    row("3.3 direct: wildcards are literal", exchange("$x"), queue("$q"), bind("$q", "$x", "#"),
        publish("a", exchange="$x"), publish("#", b"2", exchange="$x"), get("$q").gives(body=b"2"),
        get("$q").empty()),
    row("3.3 direct: every queue with the key", exchange("$x"), queue("$q"), queue("$p"), bind("$q", "$x", "k"),
        bind("$p", "$x", "k"), publish("k", exchange="$x"), get("$q"), get("$p"), get("$q").empty()),
    row("3.3 direct: two keys of a queue", exchange("$x"), queue("$q"), bind("$q", "$x", "1"), bind("$q", "$x", "2"),
        publish("1", b"1", exchange="$x"), publish("2", b"2", exchange="$x"), get("$q").gives(body=b"1"),
        get("$q").gives(body=b"2"), get("$q").empty()),
    row("3.3 direct: one copy for two bindings with equal keys and other arguments", exchange("$x"), queue("$q"),
        bind("$q", "$x", "k"), bind("$q", "$x", "k", x=1), publish("k", exchange="$x"), get("$q"), get("$q").empty()),
    row("3.3 direct: a key of 255 octets", exchange("$x"), queue("$q"), bind("$q", "$x", "k" * 255),
        publish("k" * 255, exchange="$x"), get("$q").gives(routing_key="k" * 255)),
    row("3.3 direct: a key that is not ASCII", exchange("$x"), queue("$q"), bind("$q", "$x", "é/ж"),
        publish("é/ж", exchange="$x"), get("$q").gives(routing_key="é/ж")),
    row("3.3 fanout: the key does not matter", exchange("$x", "fanout"), queue("$q"), bind("$q", "$x", "k"),
        publish("other", exchange="$x"), get("$q").gives(routing_key="other")),
    row("3.3 fanout: one copy for two bindings", exchange("$x", "fanout"), queue("$q"), bind("$q", "$x", "1"),
        bind("$q", "$x", "2"), publish("1", exchange="$x"), get("$q"), get("$q").empty()),
    row("3.3 fanout: a large message is whole in every queue", connect(frame_max=4096), exchange("$x", "fanout"),
        queue("$q"), queue("$p"), bind("$q", "$x"), bind("$p", "$x"), publish(body=b"ab" * 5000, exchange="$x"),
        get("$p").gives(body=b"ab" * 5000), get("$q").gives(body=b"ab" * 5000)),
    row("3.3 fanout without bindings", exchange("$x", "fanout"), publish(exchange="$x", mandatory=True), returned()),

    topic("a.b", "a.b", True), topic("a.b", "a.c", False), topic("a.b", "a.b.c", False), topic("a.b", "A.b", False),
    topic("*", "a", True), topic("*", "a.b", False), topic("*", "", False), topic("*.*", "a.b", True), topic("*.*", "a", False),
    topic("a.*", "a", False), topic("a.*", "a.", True), topic("a.*.c", "a.b.c", True), topic("a.*.b", "a..b", True),
    topic("a.*.b", "a.b", False), topic("#", "a.b.c", True), topic("#", "", True), topic("", "", True), topic("", "a", False),
    topic("a.#", "a", True), topic("a.#", "a.b.c", True), topic("a.#", "b", False), topic("#.b", "b", True), topic("#.b", "a.a.b", True),
    topic("#.b", "b.a", False), topic("a.#.b", "a.b", True), topic("a.#.b", "a.x.y.b", True), topic("a.#.b", "a.x", False),
    topic("#.a.#", "x.a.y", True), topic("#.a.#", "a", True), topic("#.a.#", "x.y", False), topic("*.#", "", False),
    topic("*.#", "a", True), topic("#.*", "a.b", True), topic("#.#", "", True), topic("a*", "ab", False), topic("a*", "a*", True),
    topic("a.b", "a.*", False), topic("a.b", "#", False), topic("ä.*", "ä.ö", True), topic("a..b", "a..b", True), topic("a..b", "a.b", False),
    row("3.3 topic: one copy for two bindings that match", exchange("$x", "topic"), queue("$q"),
        bind("$q", "$x", "a.*"), bind("$q", "$x", "#"), publish("a.b", exchange="$x"), get("$q"), get("$q").empty()),
    row("3.3 topic: unbinding one of two patterns", exchange("$x", "topic"), queue("$q"), bind("$q", "$x", "a.*"),
        bind("$q", "$x", "a.#"), unbind("$q", "$x", "a.#"), publish("a.b.c", b"1", exchange="$x"),
        publish("a.b", b"2", exchange="$x"), get("$q").gives(body=b"2"), get("$q").empty()),
    row("3.3 topic: a key of 128 words", exchange("$x", "topic"), queue("$q"), bind("$q", "$x", "#.z"),
        publish(".".join("a" * 127) + ".z", exchange="$x"), get("$q")),

    headers("all, and all are there", {"x-match": "all", **TWO}, TWO, True),
    headers("all, and more are there", {"x-match": "all", **ONE}, TWO, True),
    headers("all, and one is missing", {"x-match": "all", **TWO}, ONE, False),
    headers("all is the default", TWO, ONE, False),
    headers("all with another value", {"x-match": "all", **ONE}, {"a": 2}, False),
    headers("all without criteria", {"x-match": "all"}, {}, True),
    headers("without arguments", {}, ONE, True),
    headers("any, and one is there", {"x-match": "any", **TWO}, {"b": 2}, True),
    headers("any, and none is there", {"x-match": "any", **TWO}, {"c": 2}, False),
    headers("any without criteria", {"x-match": "any"}, ONE, False),
    headers("all, for a message without headers", {"x-match": "all", **ONE}, None, False),
    headers("any, for a message without headers", {"x-match": "any", **ONE}, None, False),
    headers("void asks for presence", {"a": None}, {"a": "anything"}, True),
    headers("void and absence", {"a": None}, {"b": 1}, False),
    headers("any with void", {"x-match": "any", "a": None, "b": 1}, {"a": 5}, True),
    headers("text and number differ", {"a": "1"}, {"a": 1}, False),
    headers("truth values", {"a": True}, {"a": True}, True),
    headers("other truth values", {"a": True}, {"a": False}, False),
    headers("texts", {"a": "x"}, {"a": "x"}, True),
    headers("texts are compared with case", {"a": "x"}, {"a": "X"}, False),
    headers("names of headers are compared with case", {"a": "x"}, {"A": "x"}, False),
    headers("integers of other widths", {"a": 1}, {"a": Encoded(b"l", (1).to_bytes(8, "big"))}, True, raw_row),
    headers("integers of one octet", {"a": 1}, {"a": Encoded(b"b", b"\x01")}, True, raw_row),
    headers("all leaves x- out", {"x-match": "all", "x-a": 1, "b": 2}, {"b": 2}, True),
    headers("any leaves x- out", {"x-match": "any", "x-a": 1, "b": 2}, {"x-a": 1}, False),
    headers("all-with-x, and x- is missing", {"x-match": "all-with-x", "x-a": 1, "b": 2}, {"b": 2}, False),
    headers("all-with-x, and all are there", {"x-match": "all-with-x", "x-a": 1, "b": 2}, {"x-a": 1, "b": 2}, True),
    headers("any-with-x", {"x-match": "any-with-x", "x-a": 1, "b": 2}, {"x-a": 1}, True),
    headers("any-with-x does not count x-match itself", {"x-match": "any-with-x", "b": 2}, {"x-match": "any-with-x"},
        False),
    row("3.3 headers: one copy for two bindings that match", exchange("$x", "headers"), queue("$q"),
        bind("$q", "$x", "1", a=1), bind("$q", "$x", "2", b=2), publish(exchange="$x", headers=TWO), get("$q"),
        get("$q").empty()),
    refused(
        "x-match some", "some",
        'Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x'),
    refused(
        "x-match of the empty text", "",
        'Invalid x-match field value <<>>; expected all, any, all-with-x, or any-with-x'),
    refused("x-match 23", 23, "Invalid x-match field type signedint (value 23); expected longstr"),
]
