"""Limits in octets, and the overflow mode that makes dead letters of what it refuses."""

from conformance.steps import *  # noqa: F403

DLX = {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": "$dead"}
BOTH = {"x_max_length": 1, "x_overflow": "reject-publish-dlx", **DLX}

ROWS = [
    row("5.7 a limit in octets drops the oldest", queue("$q", x_max_length_bytes=10), publish("$q", b"a" * 4),
        publish("$q", b"b" * 4), publish("$q", b"c" * 4), get("$q").gives(body=b"bbbb"),
        get("$q").gives(body=b"cccc"), get("$q").empty()),
    row("5.7 a limit in octets: as much as the limit is kept", queue("$q", x_max_length_bytes=8),
        publish("$q", b"a" * 4), publish("$q", b"b" * 4), count("$q", 2)),
    row("5.7 a limit in octets: one message drops several", queue("$q", x_max_length_bytes=8),
        publish("$q", b"a" * 4), publish("$q", b"b" * 4), publish("$q", b"c" * 8), get("$q").gives(body=b"c" * 8),
        get("$q").empty()),
    row("5.7 a limit in octets: a message over the limit drops everything", queue("$q", x_max_length_bytes=8),
        publish("$q", b"a"), publish("$q", b"b" * 9), count("$q", 0)),
    row("5.7 a limit in octets counts bodies only", queue("$q", x_max_length_bytes=4),
        publish("$q", b"a" * 4, message_id="m" * 200, headers={"h": "h" * 500}), count("$q", 1)),
    row("5.7 a limit in octets: empty messages weigh nothing", queue("$q", x_max_length_bytes=1), publish("$q", b""),
        publish("$q", b""), publish("$q", b""), count("$q", 3)),
    row("5.7 a limit in octets does not count what is not acknowledged", queue("$q", x_max_length_bytes=4),
        publish("$q", b"a" * 4), hold("$q"), publish("$q", b"b" * 4), count("$q", 1)),
    row("5.7 a limit in octets of 0", queue("$q", x_max_length_bytes=0), publish("$q"), count("$q", 0)),
    row("5.7 both limits: messages", queue("$q", x_max_length=1, x_max_length_bytes=100), publish("$q", b"1"),
        publish("$q", b"2"), get("$q").gives(body=b"2"), get("$q").empty()),
    row("5.7 both limits: octets", queue("$q", x_max_length=100, x_max_length_bytes=1), publish("$q", b"1"),
        publish("$q", b"2"), get("$q").gives(body=b"2"), get("$q").empty()),
    row("5.7 a limit in octets with reject-publish", queue("$q", x_max_length_bytes=4, x_overflow="reject-publish"),
        confirm(), publish("$q", b"a" * 4), acked(1), publish("$q", b"b"), nacked(2), get("$q").gives(body=b"aaaa"),
        get("$q").empty()),
    row("5.7 a limit in octets and dead letters", queue("$dead"), queue("$q", x_max_length_bytes=4, **DLX),
        publish("$q", b"a" * 4), publish("$q", b"b" * 4),
        arrives("$dead", body=b"aaaa", headers=has(x_first_death_reason="maxlen"))),
    row("5.7 declared again with another limit in octets", queue("$q", x_max_length_bytes=4), queue("$q", x_max_length_bytes=5).refused(
        406, "inequivalent arg 'x-max-length-bytes' for queue '$q' in vhost '/': received the value '5' of type 'signedint' "
             "but current is the value '4' of type 'signedint'")),
    row("5.7 a negative limit in octets", queue("$q", x_max_length_bytes=-1).refused(
        406, "invalid arg 'x-max-length-bytes' for queue '$q' in vhost '/': {value_negative,-1}")),
    row("5.7 reject-publish-dlx keeps what is there", queue("$dead"), queue("$q", **BOTH), publish("$q", b"1"),
        publish("$q", b"2"), get("$q").gives(body=b"1"), get("$q").empty()),
    row("5.7 reject-publish-dlx refuses", queue("$dead"), queue("$q", **BOTH), confirm(), publish("$q"), acked(1),
        publish("$q"), nacked(2)),
    row("5.7 reject-publish-dlx makes dead letters", queue("$dead"), queue("$q", **BOTH), publish("$q", b"1"),
        publish("$q", b"2"),
        arrives("$dead", body=b"2", headers=has(x_death=[has(reason="maxlen", queue="$q", count=1)]))),
]
