"""Queues of type quorum: what is different to classic ones, and limits of deliveries."""

from conformance.steps import *  # noqa: F403

Q = "queue '$q' in vhost '/'"


def quorum(name="$q", **arguments):
    """queue.declare of a quorum queue."""
    named = {key.replace("_", "-"): value for key, value in arguments.items()}
    return declare(name, durable=True, arguments={"x-queue-type": "quorum", **named})


def accepted(name, value):
    """An argument that is taken."""
    return row(f"5.2 quorum: {name} {value}", quorum(**{name: value}).gives(message_count=0))


DEAD = {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": "$dead"}

ROWS = [
    row("5.1 quorum: declare", quorum().gives(queue="$q", message_count=0), quorum()),
    row("5.1 quorum: without a name",
        quorum("").refused(406, "Cannot declare a server-named queue for type rabbit_quorum_queue")),
    row("5.1 quorum: transient",
        declare("$q", arguments={"x-queue-type": "quorum"}).refused(406, f"invalid property 'non-durable' for {Q}")),
    row("5.1 quorum: exclusive",
        declare("$q", durable=True, exclusive=True, arguments={"x-queue-type": "quorum"}).refused(
        406, f"invalid property 'exclusive-owner' for {Q}")),
    row("5.1 quorum: auto-delete",
        declare("$q", durable=True, auto_delete=True, arguments={"x-queue-type": "quorum"}).refused(
        406, f"invalid property 'auto-delete' for {Q}")),
    row("5.1 quorum: declared again as classic", quorum(), declare("$q", durable=True).refused(406, f"~inequivalent arg 'x-queue-type' for {Q}: received none but current is the value 'quorum' of type 'longstr'")),
    row("5.1 quorum: classic declared again as quorum", declare("$q", durable=True),
        quorum().refused(
        406,
          f"~inequivalent arg 'x-queue-type' for {Q}: received the value 'quorum' of type 'longstr' but current .*")),
    *(row(f"5.1 quorum: {name} is for others", quorum(**{name.replace("-", "_"): value}).refused(
        406, f"invalid arg '{name}' for {Q} of queue type rabbit_quorum_queue")) for name, value in {
            "x-queue-mode": "lazy", "x-queue-version": 2, "x-queue-master-locator": "random", "x-max-age": "1h",
            "x-stream-max-segment-size-bytes": 1_000_000, "x-stream-filter-size-bytes": 16}.items()),
    row("5.2 quorum: x-max-priority",
        quorum(x_max_priority=5).refused(
        406, f"invalid arg 'x-max-priority' for {Q} of queue type rabbit_quorum_queue")),
    row("5.2 quorum: reject-publish-dlx",
        quorum(x_overflow="reject-publish-dlx", x_max_length=1).refused(406, f"~invalid arg 'x-overflow' for {Q}.*")),
    row("5.2 classic: x-dead-letter-strategy",
        queue(x_dead_letter_strategy="at-least-once", x_dead_letter_exchange="").refused(
        406, f"invalid arg 'x-dead-letter-strategy' for {Q} of queue type rabbit_classic_queue")),
    *(accepted(name, value)
        for name, value in {"x_delivery_limit": 3, "x_message_ttl": 60_000, "x_expires": 60_000, "x_max_length": 10,
          "x_max_length_bytes": 1000, "x_overflow": "reject-publish", "x_single_active_consumer": True,
          "x_quorum_initial_group_size": 3, "x_max_in_memory_length": 10, "x_max_in_memory_bytes": 10,
          "x_queue_leader_locator": "balanced", "x_consumer_timeout": 600_000}.items()),
    *(row(f"5.2 quorum: x-dead-letter-strategy {strategy}",
          quorum(**DEAD, x_dead_letter_strategy=strategy, x_overflow="reject-publish"))
        for strategy in ("at-most-once", "at-least-once")),
    row("5.2 quorum: another x-dead-letter-strategy",
        quorum(**DEAD, x_dead_letter_strategy="sometimes").refused(
        406, f"~invalid arg 'x-dead-letter-strategy' for {Q}.*")),
    row("5.5 quorum: delete if unused", quorum(), consume("$q"),
        delete("$q", if_unused=True).refused(406, f"{Q} in use")),
    row("5.5 quorum: delete if unused, and it is", quorum(), delete("$q", if_unused=True)),
    row("5.5 quorum: delete if empty", quorum(), publish("$q"), count("$q", 1),
        delete("$q", if_empty=True).refused(406, f"{Q} not empty")),
    row("5.5 quorum: delete if empty, and it is", quorum(), delete("$q", if_empty=True)),
    row("5.11 quorum: get beside a single active consumer", quorum(x_single_active_consumer=True), publish("$q"),
        get("$q")),
    row("5.5 quorum: delete", quorum(), publish("$q"), count("$q", 1), delete("$q").gives(message_count=1)),
    row("6.7 quorum: confirms", quorum(), confirm(), publish("$q", delivery_mode=2), acked(1),
        publish("$q", delivery_mode=1), acked(2), get("$q")),

    row("6.6 quorum: the first delivery has no x-delivery-count", quorum(), publish("$q", headers={"h": 1}),
        get("$q").gives(headers={"h": 1}, redelivered=False)),
    row("6.6 quorum: redeliveries count", quorum(), publish("$q"), hold("$q"), nack(1),
        hold("$q").gives(redelivered=True, headers=has(x_delivery_count=1)), nack(2),
        hold("$q").gives(headers=has(x_delivery_count=2)), ack(3)),
    row("6.6 quorum: reject counts as well", quorum(), publish("$q"), hold("$q"), reject(1),
        hold("$q").gives(headers=has(x_delivery_count=1)), ack(2)),
    row("6.6 quorum: a closed channel counts as well", quorum(), publish("$q"), hold("$q").on(2),
        close_channel().on(2), get("$q").gives(headers=has(x_delivery_count=1))),
    row("6.6 classic: no x-delivery-count", queue(), publish("$q", headers={"h": 1}), hold("$q"), nack(1),
        get("$q").gives(headers={"h": 1})),
    row("6.6 quorum: the limit of deliveries drops", quorum(x_delivery_limit=2), publish("$q"), hold("$q"), nack(1),
        hold("$q"), nack(2), hold("$q"), nack(3), get("$q").empty()),
    row("6.6 quorum: the limit of deliveries makes dead letters", queue("$dead"), quorum(x_delivery_limit=1, **DEAD),
        publish("$q", b"poison"), hold("$q"), nack(1), hold("$q"), nack(2),
        arrives("$dead", body=b"poison",
          headers=has(x_first_death_reason="delivery_limit",
          x_death=[has(reason="delivery_limit", queue="$q", count=1)]))),
    row("6.6 quorum: a limit of 0", queue("$dead"), quorum(x_delivery_limit=0, **DEAD), publish("$q"), hold("$q"),
        nack(1), arrives("$dead")),
    row("6.6 quorum: the limit is 20 where none is given", queue("$dead"), quorum(**DEAD), publish("$q"),
        *(step for n in range(1, 22) for step in (hold("$q"), nack(n))), arrives("$dead")),
    row("6.6 quorum: no limit", quorum(x_delivery_limit=-1), publish("$q"),
        *(step for n in range(1, 25) for step in (hold("$q"), nack(n))),
        get("$q").gives(headers=has(x_delivery_count=24))),
    row("6.6 quorum: what was only waiting does not count", quorum(x_delivery_limit=1), publish("$q", b"1"),
        publish("$q", b"2"), hold("$q"), nack(1), get("$q").gives(body=b"1"),
        get("$q").gives(body=b"2", redelivered=False)),
]
