"""Exchanges that keep messages for a while."""

from conformance.steps import *  # noqa: F403

TYPE = "x-delayed-message"
DIRECT = exchange("$x", TYPE, arguments={"x-delayed-type": "direct"})
BOUND = (DIRECT, queue(), bind("$q", "$x", "k"))


def at_once(id, delay):
    """A delay that is none."""
    return row(f"3.5 a delay of {id}", *BOUND, publish("k", exchange="$x", headers={"x-delay": delay}), get("$q"))


ROWS = [
    row("3.5 a message comes later", *BOUND, publish("k", b"x", exchange="$x", headers={"x-delay": 100}),
        get("$q").empty(), arrives("$q", body=b"x", exchange="$x", routing_key="k")),
    row("3.5 the delay is negated in the delivery", *BOUND,
        publish("k", exchange="$x", headers={"x-delay": 50, "h": 1}),
        arrives("$q", headers={"x-delay": -50, "h": 1})),
    row("3.5 the shorter delay comes first", *BOUND, publish("k", b"long", exchange="$x", headers={"x-delay": 150}),
        publish("k", b"short", exchange="$x", headers={"x-delay": 50}), arrives("$q", body=b"short"),
        arrives("$q", body=b"long")),
    row("3.5 equal delays keep the order", *BOUND,
        *(publish("k", b"%d" % n, exchange="$x", headers={"x-delay": 50}) for n in range(3)),
        *(arrives("$q", body=b"%d" % n) for n in range(3))),
    row("3.5 without a delay it is routed at once", *BOUND, publish("k", exchange="$x"), get("$q")),
    at_once("0", 0), at_once("less than 0", -5), at_once("no number", "soon"),
    row("3.5 a delay of years", *BOUND, confirm(), publish("k", exchange="$x", headers={"x-delay": 2**36}), acked(1),
        get("$q").empty()),
    row("3.5 a delay as a text", *BOUND, publish("k", exchange="$x", headers={"x-delay": "50"}), get("$q").empty(),
        arrives("$q")),
    row("3.5 the bindings count when the time has come", DIRECT,
        publish("k", exchange="$x", headers={"x-delay": 100}), queue(), bind("$q", "$x", "k"), arrives("$q")),
    row("3.5 it routes as the type says", exchange("$x", TYPE, arguments={"x-delayed-type": "topic"}), queue(),
        bind("$q", "$x", "a.*"), publish("a.b", exchange="$x", headers={"x-delay": 50}),
        publish("b.b", exchange="$x", headers={"x-delay": 50}), arrives("$q", routing_key="a.b")),
    row("3.5 mandatory is not looked at", DIRECT, confirm(),
        publish("k", exchange="$x", mandatory=True, headers={"x-delay": 100}), acked(1)),
    row("3.5 a confirm does not wait for the delay", *BOUND, confirm(),
        publish("k", exchange="$x", headers={"x-delay": 600_000}), acked(1)),
    row("3.5 deleting the exchange drops what it keeps", *BOUND,
        publish("k", exchange="$x", headers={"x-delay": 50}), delete_exchange("$x"),
        queue("$clock", x_message_ttl=150), publish("$clock"), until(count("$clock", 0)), get("$q").empty()),
    row("3.5 without a type",
        exchange("$x", TYPE).refused(406, "Invalid argument, 'x-delayed-type' must be an existing exchange type")),
    row("3.5 an unknown type",
        exchange("$x", TYPE, arguments={"x-delayed-type": "nonsense"}).refused(
        406, "Invalid argument, 'x-delayed-type' must be an existing exchange type")),
    row("3.5 its own type",
        exchange("$x", TYPE, arguments={"x-delayed-type": TYPE}).refused(
        406, "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'")),
]
