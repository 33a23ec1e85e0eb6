"""The arguments of queues: which values are taken and how others are refused."""

from conformance.steps import *  # noqa: F403
from support.raw_amqp import Encoded

Q = "queue '$q' in vhost '/'"
INTEGERS = {"b": 1, "B": 1, "s": 2, "u": 2, "I": 4, "i": 4, "l": 8}
NOT_INTEGERS = {
    "longstr": Encoded(b"S", b"\0\0\0\x011"), "bool": Encoded(b"t", b"\x01"), "double": Encoded(b"d", b"\x3f\xf0" + b"\0" * 6),
    "float": Encoded(b"f", b"\x3f\x80\0\0"), "void": Encoded(b"V", b""), "table": Encoded(b"F", b"\0\0\0\0"),
    "array": Encoded(b"A", b"\0\0\0\0"), "timestamp": Encoded(b"T", b"\0" * 7 + b"\x01"),
}


def taken(name, *values):
    """Values that are accepted."""
    return [row(f"5.2 {name} {value}", declare("$q", exclusive=True, arguments={name: value}).gives(message_count=0)) for value in values]


def refused(name, value, term, id=None):
    """A value that is not."""
    return row(f"5.2 {name} {id or repr(value)} is refused",
               declare("$q", arguments={name: value}).refused(406, f"invalid arg '{name}' for {Q}: {term}"),
               declare("$q", passive=True).refused(404, f"no {Q}"))


def of_other_type(name, value):
    """An argument that only queues of another type have."""
    return row(f"5.1 classic: {name} is for others", declare("$q", arguments={name: value}).refused(
        406, f"invalid arg '{name}' for {Q} of queue type rabbit_classic_queue"))


ROWS = [
    *taken("x-message-ttl", 0, 1, 2**31, 315_360_000_000),
    *taken("x-expires", 1, 60_000, 315_360_000_000),
    *taken("x-max-length", 0, 1, 2**40),
    *taken("x-max-length-bytes", 0, 1, 2**40),
    *taken("x-overflow", "drop-head", "reject-publish", "reject-publish-dlx"),
    *taken("x-max-priority", 0, 1, 255),
    *taken("x-consumer-timeout", 60_000),
    *taken("x-single-active-consumer", True, False),
    *taken("x-dead-letter-exchange", "", "not there yet"),
    *taken("x-queue-type", "classic"),
    *taken("x-queue-version", 1, 2),
    *taken("x-queue-master-locator", "min-masters", "client-local", "random"),
    *taken("x-queue-leader-locator", "client-local", "balanced"),
    *taken("x-queue-mode", "default", "lazy"),
    *taken("x-anything-else", "text", 1, True, None),
    row("5.2 x-dead-letter-routing-key", queue("$q", x_dead_letter_exchange="", x_dead_letter_routing_key="k")),
    *(raw_row(f"5.2 x-message-ttl as an integer of type {tag}",
              queue("$q", x_message_ttl=Encoded(tag.encode(), (100).to_bytes(width, "big"))).gives(message_count=0))
      for tag, width in INTEGERS.items()),
    *(raw_row(f"5.1 declared again with an integer of type {tag}", queue("$q", x_message_ttl=100),
          queue("$q", x_message_ttl=Encoded(tag.encode(), (100).to_bytes(width, "big"))))
        for tag, width in INTEGERS.items()),
    raw_row("5.1 declared again with another integer of another width", queue("$q", x_max_length=100),
            queue("$q", x_max_length=Encoded(b"l", (101).to_bytes(8, "big"))).refused(
                406, f"inequivalent arg 'x-max-length' for {Q}: received the value '101' of type 'long' "
                     "but current is the value '100' of type 'signedint'")),

    *(refused(name, -1, "{value_negative,-1}")
      for name in ("x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-max-priority")),
    refused("x-max-priority", 256, "{max_value_exceeded,256}"),
    *(of_other_type(name, value) for name, value in {
        "x-max-age": "1h", "x-stream-max-segment-size-bytes": 1_000_000, "x-stream-filter-size-bytes": 16,
        "x-initial-cluster-size": 1, "x-quorum-initial-group-size": 1, "x-max-in-memory-length": 1,
        "x-max-in-memory-bytes": 1}.items()),
    refused("x-expires", 0, "{value_zero,0}"),
    *(refused(name, 315_360_000_001, "{value_too_large,315360000001}") for name in ("x-message-ttl", "x-expires")),
    *(raw_row(f"5.2 {name} as a {type} is refused", queue("$q", **{name: value}).refused(
        406, f"""~invalid arg '{name}' for {Q}: (\\{{unacceptable_type,{type}\\}}|"expected integer, got {type}")"""))
      for name in ("x-message-ttl", "x-expires", "x-max-length", "x-max-length-bytes", "x-max-priority")
      for type, value in NOT_INTEGERS.items()),
    refused("x-queue-master-locator", "other", "invalid_queue_locator_arg"),
    refused("x-queue-leader-locator", "other", "invalid_queue_locator_arg"),
    refused("x-overflow", "drop-tail", "invalid_overflow"),
    refused("x-overflow", "", "invalid_overflow"),
    refused("x-overflow", 1, "{unacceptable_type,signedint}"),
    refused("x-dead-letter-routing-key", "k", "routing_key_but_no_dlx_defined", "without an exchange"),
    row("5.2 x-dead-letter-routing-key 1 is refused",
        queue("$q", x_dead_letter_exchange="", x_dead_letter_routing_key=1).refused(406, f"~invalid (arg|type) .+")),
    *(row(f"5.1 x-dead-letter-exchange as a {type} is refused",
          queue("$q", x_dead_letter_exchange=value).refused(
          406, f"invalid type '{type}' for arg 'x-dead-letter-exchange' in {Q}"))
        for type, value in {"signedint": 1, "bool": True, "table": {}}.items()),
    row("5.2 x-single-active-consumer as a text is refused",
        queue("$q", x_single_active_consumer="yes").refused(
        406, f"~invalid arg 'x-single-active-consumer' for {Q}: .+")),
    refused("x-queue-type", "nonsense", "\"unsupported queue type 'nonsense'\""),
    row("5.2 x-queue-type 1 is refused",
        queue("$q", x_queue_type=1).refused(406, f"~invalid arg 'x-queue-type' for {Q}: .+")),
    row("5.12 streams are refused",
        declare("$q", durable=True, arguments={"x-queue-type": "stream"}).refused(406, "~.+"),
        declare("$q", passive=True).refused(404, f"no {Q}")),
    row("5.2 x-queue-mode other is refused",
        queue("$q", x_queue_mode="other").refused(406, f"~invalid arg 'x-queue-mode' for {Q}: .+")),
    row("5.2 x-queue-version 3 is refused",
        queue("$q", x_queue_version=3).refused(406, f"~invalid arg 'x-queue-version' for {Q}: .+")),
]
