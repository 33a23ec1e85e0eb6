"""Queues with a single active consumer."""

from conformance.steps import *  # noqa: F403

SAC = {"x_single_active_consumer": True}
Q = "queue '$q' in vhost '/'"

ROWS = [
    row("5.11 the first consumer gets everything", queue("$q", **SAC), consume("$q").on(2), consume("$q").on(3),
        publish("$q", b"1"), publish("$q", b"2"), delivery(body=b"1").on(2), delivery(body=b"2").on(2),
        nothing().on(3)),
    row("5.11 all consumers count", queue("$q", **SAC), consume("$q").on(2), consume("$q").on(3), count("$q", 0, 2)),
    row("5.11 the next takes over after cancel", queue("$q", **SAC), consume("$q").on(2), consume("$q").on(3),
        cancel().on(2), publish("$q"), delivery().on(3)),
    row("5.11 the next takes over after the channel was closed", queue("$q", **SAC), consume("$q").on(2),
        consume("$q").on(3), publish("$q"), delivery().on(2), close_channel().on(2),
        delivery(redelivered=True).on(3)),
    row("5.11 the next takes over after the connection was closed",
        declare("$q", arguments={"x-single-active-consumer": True}), consume("$q").by("second"), consume("$q"),
        confirm().on(2), publish("$q").on(2), acked(1).on(2), delivery().by("second"), disconnect("second"),
        delivery(redelivered=True)),
    row("5.11 they take over in the order in which they came", queue("$q", **SAC),
        *(consume("$q").on(n) for n in (2, 3, 4)), cancel().on(2), publish("$q", b"1"), delivery().on(3),
        cancel().on(3), publish("$q", b"2"), delivery(body=b"2").on(4)),
    row("5.11 one without credit does not hand over", queue("$q", **SAC), qos(1).on(2), consume("$q").on(2),
        consume("$q").on(3), publish("$q", b"1"), publish("$q", b"2"), delivery(body=b"1").on(2), nothing().on(3),
        ack(1).on(2), delivery(body=b"2").on(2)),
    row("5.11 what the old one holds stays with its channel", queue("$q", **SAC), consume("$q").on(2),
        consume("$q").on(3), publish("$q", b"1"), delivery(body=b"1").on(2), cancel().on(2), nothing().on(3),
        nack(1).on(2), delivery(body=b"1", redelivered=True).on(3)),
    row("5.11 a consumer that waits can be cancelled", queue("$q", **SAC), consume("$q").on(2), consume("$q").on(3),
        cancel().on(3), publish("$q"), delivery().on(2)),
    row("5.11 an exclusive consumer", queue("$q", **SAC),
        consume("$q", exclusive=True).refused(403, f"{Q} in exclusive use")),
    row("5.11 get", queue("$q", **SAC), publish("$q"), get("$q")),
    row("5.11 false is an ordinary queue", queue("$q", x_single_active_consumer=False), consume("$q").on(2),
        consume("$q").on(3), publish("$q"), publish("$q"), delivery().on(2), delivery().on(3)),
    row("5.11 the higher x-priority waits in front", queue("$q", **SAC), consume("$q").on(2), consume("$q").on(3),
        consume("$q", arguments={"x-priority": 1}).on(4), cancel().on(2), publish("$q"), delivery().on(4)),
]
