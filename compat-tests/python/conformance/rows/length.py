"""Queues with a limit of messages."""

from conformance.steps import *  # noqa: F403

DLX = {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": "$dead"}
FIVE = tuple(publish("$q", b"%d" % n) for n in range(1, 6))

ROWS = [
    row("5.7 the oldest are dropped", queue("$q", x_max_length=2), *FIVE,
        get("$q").gives(body=b"4", message_count=1), get("$q").gives(body=b"5"), get("$q").empty()),
    row("5.7 drop-head is the default", queue("$q", x_max_length=2, x_overflow="drop-head"), *FIVE,
        get("$q").gives(body=b"4"), get("$q").gives(body=b"5")),
    row("5.7 as many as the limit are kept", queue("$q", x_max_length=5), *FIVE, count("$q", 5)),
    row("5.7 what is not acknowledged does not count", queue("$q", x_max_length=2), publish("$q", b"1"),
        publish("$q", b"2"), hold("$q"), hold("$q"), publish("$q", b"3"), publish("$q", b"4"), count("$q", 2)),
    row("5.7 a limit of 0", queue("$q", x_max_length=0), confirm(), publish("$q"), acked(1), count("$q", 0)),
    row("5.7 a limit of 0 and a consumer that is ready", queue("$q", x_max_length=0), consume("$q", no_ack=True),
        publish("$q"), delivery()),
    row("5.7 what is dropped is a dead letter", queue("$dead"), queue("$q", x_max_length=2, **DLX), *FIVE[:3],
        arrives("$dead", body=b"1",
          headers=has(x_first_death_reason="maxlen",
          x_death=[has(reason="maxlen", queue="$q", count=1, exchange="")]))),
    row("5.7 dead letters keep the order", queue("$dead"), queue("$q", x_max_length=1, **DLX), *FIVE,
        *(arrives("$dead", body=b"%d" % n) for n in range(1, 5))),
    row("5.7 what comes back over the limit drops the oldest", queue("$q", x_max_length=1), publish("$q", b"1"),
        hold("$q"), publish("$q", b"2"), nack(1), count("$q", 1)),
    row("5.7 reject-publish drops what is new", queue("$q", x_max_length=2, x_overflow="reject-publish"), *FIVE,
        get("$q").gives(body=b"1"), get("$q").gives(body=b"2"), get("$q").empty()),
    row("5.7 reject-publish and confirms", queue("$q", x_max_length=2, x_overflow="reject-publish"), confirm(),
        publish("$q"), acked(1), publish("$q"), acked(2), publish("$q"), nacked(3), get("$q"), publish("$q"),
        acked(4)),
    row("5.7 reject-publish makes no dead letters", queue("$dead"),
        queue("$q", x_max_length=1, x_overflow="reject-publish", **DLX), confirm(), publish("$q"), acked(1),
        publish("$q"), nacked(2), get("$dead").empty()),
    row("5.7 reject-publish and mandatory: it was routed", queue("$q", x_max_length=0, x_overflow="reject-publish"),
        confirm(), publish("$q", mandatory=True), nacked(1)),
    row("5.7 reject-publish and a consumer that is ready", queue("$q", x_max_length=1, x_overflow="reject-publish"),
        consume("$q", no_ack=True).on(2), confirm(), *(publish("$q", b"%d" % n) for n in range(3)), acked(1, 2, 3),
        delivery().on(2), delivery().on(2), delivery().on(2)),
    row("5.7 a refusal in one queue does not keep others from the message", exchange("$x", "fanout"),
        queue("$q", x_max_length=0, x_overflow="reject-publish"), queue("$p"), bind("$q", "$x"), bind("$p", "$x"),
        confirm(), publish(exchange="$x"), nacked(1), get("$p")),
]
