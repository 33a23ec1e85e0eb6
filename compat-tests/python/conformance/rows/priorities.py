"""Queues with priorities."""

from conformance.steps import *  # noqa: F403

Q = "queue '$q' in vhost '/'"
MIXED = tuple(publish("$q", b"%d" % n, priority=n) for n in (1, 5, 3, 5, 1))

ROWS = [
    row("5.10 the higher first", queue("$q", x_max_priority=5), *MIXED,
        *(get("$q").gives(priority=n) for n in (5, 5, 3, 1, 1))),
    row("5.10 first in, first out within a level", queue("$q", x_max_priority=5),
        *(publish("$q", b"%d" % n, priority=2) for n in range(4)),
        *(get("$q").gives(body=b"%d" % n) for n in range(4))),
    row("5.10 without a priority is 0", queue("$q", x_max_priority=5), publish("$q", b"none"),
        publish("$q", b"1", priority=1), publish("$q", b"0", priority=0), get("$q").gives(body=b"1"),
        get("$q").gives(body=b"none"), get("$q").gives(body=b"0")),
    row("5.10 over the maximum is the maximum", queue("$q", x_max_priority=3), publish("$q", b"1", priority=3),
        publish("$q", b"2", priority=200), publish("$q", b"3", priority=3), get("$q").gives(body=b"1", priority=3),
        get("$q").gives(body=b"2", priority=200), get("$q").gives(body=b"3")),
    row("5.10 a consumer gets the higher first", queue("$q", x_max_priority=5), *MIXED, consume("$q", no_ack=True),
        *(delivery(priority=n) for n in (5, 5, 3, 1, 1))),
    row("5.10 a consumer may have lower ones already", queue("$q", x_max_priority=5), qos(1), consume("$q"),
        publish("$q", b"low", priority=1), delivery(body=b"low"), publish("$q", b"2", priority=2),
        publish("$q", b"5", priority=5), ack(1), delivery(body=b"5"), ack(2), delivery(body=b"2")),
    row("5.10 what is put back goes to its level and place", queue("$q", x_max_priority=5),
        publish("$q", b"1", priority=2), publish("$q", b"2", priority=2), publish("$q", b"3", priority=1),
        hold("$q"), nack(1), get("$q").gives(body=b"1"), get("$q").gives(body=b"2"), get("$q").gives(body=b"3")),
    row("5.10 a limit drops at the front", queue("$q", x_max_priority=5, x_max_length=2), publish("$q", priority=5),
        publish("$q", priority=1), publish("$q", priority=3), get("$q").gives(priority=3),
        get("$q").gives(priority=1), get("$q").empty()),
    row("5.10 a limit drops the oldest within the lowest level", queue("$q", x_max_priority=5, x_max_length=2),
        publish("$q", b"1", priority=1), publish("$q", b"2", priority=1), publish("$q", b"3", priority=1),
        get("$q").gives(body=b"2"), get("$q").gives(body=b"3")),
    row("5.10 a maximum of 0", queue("$q", x_max_priority=0), publish("$q", b"1", priority=1),
        publish("$q", b"2", priority=9), get("$q").gives(body=b"1"), get("$q").gives(body=b"2")),
    row("5.10 a maximum of 255", queue("$q", x_max_priority=255), publish("$q", priority=254),
        publish("$q", priority=255), get("$q").gives(priority=255), get("$q").gives(priority=254)),
    row("5.10 a maximum of 256",
        queue("$q", x_max_priority=256).refused(
        406, f"invalid arg 'x-max-priority' for {Q}: {{max_value_exceeded,256}}")),
    row("5.10 a negative maximum",
        queue("$q", x_max_priority=-1).refused(406, f"invalid arg 'x-max-priority' for {Q}: {{value_negative,-1}}")),
    row("5.10 declared again with another maximum", queue("$q", x_max_priority=5), queue("$q", x_max_priority=6).refused(
        406, f"inequivalent arg 'x-max-priority' for {Q}: received the value '6' of type 'signedint' but current is the value '5' of type 'signedint'")),
    row("5.10 declared again without a maximum", queue("$q", x_max_priority=5), queue("$q").refused(
        406, f"inequivalent arg 'x-max-priority' for {Q}: received none but current is the value '5' of type 'signedint'")),
    row("5.10 an ordinary queue does not look at priorities", queue("$q"), publish("$q", b"1", priority=1),
        publish("$q", b"9", priority=9), get("$q").gives(body=b"1"), get("$q").gives(body=b"9")),
    row("5.10 messages of all levels are counted and purged", queue("$q", x_max_priority=5), *MIXED, count("$q", 5),
        purge("$q").gives(message_count=5), get("$q").empty()),
    row("5.10 messages expire at every level", queue("$dead"),
        queue("$q", x_max_priority=5, x_dead_letter_exchange="", x_dead_letter_routing_key="$dead"),
        publish("$q", b"high", priority=5), publish("$q", b"low", priority=1, expiration="50"),
        arrives("$dead", body=b"low"), get("$q").gives(body=b"high")),
    row("5.10 several consumers are all served", queue("$q", x_max_priority=5), qos(1).on(2), qos(1).on(3),
        consume("$q").on(2), consume("$q").on(3), publish("$q", b"1", priority=1), publish("$q", b"2", priority=1),
        publish("$q", b"5", priority=5), delivery(body=b"1").on(2), delivery(body=b"2").on(3), ack(1).on(3),
        delivery(body=b"5").on(3)),
]
