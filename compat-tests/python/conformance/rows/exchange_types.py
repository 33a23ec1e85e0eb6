"""Exchange types beyond the four of the specification."""

from conformance.steps import *  # noqa: F403

HASH = "x-consistent-hash"


def weight(key, text):
    """A weight that is refused."""
    return row(f"3.4 the weight '{key}'", exchange("$x", HASH), queue(), bind("$q", "$x", key).refused(406, text))


def hashed(id, arguments, **properties):
    """Ten messages with the same property or header go to one queue, whatever their keys."""
    return row(f"3.4 {id}", exchange("$x", HASH, arguments=arguments), queue("$q"), queue("$p"), bind("$q", "$x", "1"), bind("$p", "$x", "1"),
               publish("0", b"0", exchange="$x", **properties), *(publish(f"{n}", exchange="$x", **properties) for n in range(9)),
               all_in_one(("$q", "$p"), 10))


ROWS = [
    row("3.4 one destination for each message", exchange("$x", HASH), queue("$q"), queue("$p"),
        bind("$q", "$x", "1"), bind("$p", "$x", "1"), *(publish(f"key {n}", exchange="$x") for n in range(50)),
        shared(("$q", "$p"), 50)),
    row("3.4 the same key goes to the same queue", exchange("$x", HASH), queue("$q"), queue("$p"),
        bind("$q", "$x", "1"), bind("$p", "$x", "1"), *(publish("k", exchange="$x") for _ in range(10)),
        all_in_one(("$q", "$p"), 10)),
    row("3.4 a single queue gets everything", exchange("$x", HASH), queue(), bind("$q", "$x", "10"),
        *(publish(f"{n}", exchange="$x") for n in range(5)), count("$q", 5)),
    row("3.4 without bindings", exchange("$x", HASH), publish("k", exchange="$x", mandatory=True), returned()),
    row("3.4 unbinding leaves the others", exchange("$x", HASH), queue("$q"), queue("$p"), bind("$q", "$x", "1"),
        bind("$p", "$x", "1"), unbind("$p", "$x", "1"), *(publish(f"{n}", exchange="$x") for n in range(10)),
        count("$q", 10), count("$p", 0)),
    row("3.4 another weight for a destination is ignored", exchange("$x", HASH), queue(), bind("$q", "$x", "1"),
        bind("$q", "$x", "2"), publish("k", exchange="$x"), get("$q"), get("$q").empty()),
    weight("0", "The binding key must be greater than 0"),
    weight("-1", "The binding key must be greater than 0"),
    weight("10001", "The binding key must not exceed 10000"),
    weight("many", "~The binding key must be an integer: .*"),
    weight("1.5", "~The binding key must be an integer: .*"),
    weight("", "~The binding key must be an integer: .*"),
    row("3.4 the greatest weight", exchange("$x", HASH), queue(), bind("$q", "$x", "10000"),
        publish("k", exchange="$x"), get("$q")),
    hashed("by a header", {"hash-header": "h"}, headers={"h": "same"}),
    hashed("by a header that is missing", {"hash-header": "h"}),
    hashed("by message_id", {"hash-property": "message_id"}, message_id="same"),
    hashed("by correlation_id", {"hash-property": "correlation_id"}, correlation_id="same"),
    hashed("by timestamp", {"hash-property": "timestamp"}, timestamp=7),
    row("3.4 by another property",
        exchange("$x", HASH, arguments={"hash-property": "app_id"}).refused(406, "Unsupported property: app_id")),
    row("3.4 by a header and a property",
        exchange("$x", HASH, arguments={"hash-property": "message_id", "hash-header": "h"}).refused(
        406, "hash-header and hash-property are mutually exclusive")),

    row("3.6 x-random: one destination for each message", exchange("$x", "x-random"), queue("$q"), queue("$p"),
        bind("$q", "$x"), bind("$p", "$x"), *(publish("k", exchange="$x") for _ in range(50)),
        shared(("$q", "$p"), 50)),
    row("3.6 x-random without bindings", exchange("$x", "x-random"), publish("k", exchange="$x", mandatory=True),
        returned()),
    row("3.6 x-modulus-hash: the same key goes to the same queue", exchange("$x", "x-modulus-hash"), queue("$q"),
        queue("$p"), bind("$q", "$x"), bind("$p", "$x"), *(publish("k", exchange="$x") for _ in range(10)),
        all_in_one(("$q", "$p"), 10)),
    row("3.2 x-local-random: one destination", exchange("$x", "x-local-random"), queue("$q"), queue("$p"),
        bind("$q", "$x"), bind("$p", "$x"), *(publish("", exchange="$x") for _ in range(50)),
        shared(("$q", "$p"), 50)),
    row("3.2 x-local-random: the binding key is empty", exchange("$x", "x-local-random"), queue(),
        bind("$q", "$x", "k").refused(406, "~.*")),
]
