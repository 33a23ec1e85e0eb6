"""queue.declare, delete and purge; exclusive and auto-delete queues."""

from conformance.steps import *  # noqa: F403

Q = "queue '$q' in vhost '/'"
ABSENT = f"no {Q}"
LOCKED = (f"cannot obtain exclusive access to locked {Q}. It could be originally declared on another connection "
          "or the exclusive property value does not match that of the original declaration.")


def differs(what, first, second, text):
    """A second declare that is not equal to the first."""
    return row(f"5.1 declared again with another {what}",
               declare("$q", **first), declare("$q", **second).refused(406, f"inequivalent arg {text}"))


def equal(what, first, second):
    """A second declare that is equal to the first."""
    return row(f"5.1 declared again: {what}", declare("$q", arguments=first), declare("$q", arguments=second))


def argument(what, name, first, second, text):
    """A second declare with another argument."""
    first, second = ({} if value is None else {name: value} for value in (first, second))
    return differs(what, {"arguments": first}, {"arguments": second}, f"'{name}' for {Q}: {text}")


def locked(what, call):
    """What another connection may not do with an exclusive queue."""
    return row(f"5.3 {what} by another connection", queue("$q"), exchange("$x"), call.by("second").refused(405, LOCKED))


ROWS = [
    row("5.1 declare", declare("$q").gives(queue="$q", message_count=0, consumer_count=0)),
    row("5.1 the empty name makes one", declare("", exclusive=True).gives(queue=like(r"amq\.gen-[A-Za-z0-9_-]{22}")),
        keep("q", "queue"), count("$q", 0)),
    row("5.1 the empty name makes another each time", declare("", exclusive=True), keep("q", "queue"),
        declare("", exclusive=True), keep("p", "queue"), publish("$q"), count("$q", 1), count("$p", 0)),
    row("5.1 a name that the broker made can be declared again", declare("", exclusive=True), keep("q", "queue"),
        declare("$q", exclusive=True).gives(queue="$q")),
    row("5.1 a new name with the reserved prefix",
        declare("amq.$q").refused(403, "queue name 'amq.$q' contains reserved prefix 'amq.*'")),
    row("5.1 a new name that only begins with amq", declare("amqp.$q", exclusive=True)),
    row("5.1 passive and absent", declare("$q", passive=True).refused(404, ABSENT)),
    row("5.1 passive with a reserved prefix and absent",
        declare("amq.$q", passive=True).refused(404, "no queue 'amq.$q' in vhost '/'")),
    row("5.1 passive does not create", declare("$q", passive=True).refused(404, ABSENT),
        declare("$q", passive=True).refused(404, ABSENT)),
    row("5.1 passive compares neither properties nor arguments", declare("$q", durable=True),
        declare("$q", passive=True, auto_delete=True, arguments={"x-max-length": 3}).gives(message_count=0)),
    row("5.1 counts are of ready messages and of consumers", declare("$q"), publish("$q"), publish("$q"),
        publish("$q"), hold("$q"), count("$q", 2), qos(1), consume("$q"), delivery(),
        declare("$q").gives(message_count=1, consumer_count=1)),
    row("5.1 a name of 255 octets", declare("q" * 241 + "$r", exclusive=True), publish("q" * 241 + "$r"),
        get("q" * 241 + "$r")),
    raw_row("5.1 CR and LF are stripped from a name", declare("$q\r\n", exclusive=True).gives(queue="$q"),
        count("$q", 0)),
    row("5.1 a name in another script", declare("очередь-$q", exclusive=True).gives(queue="очередь-$q"),
        publish("очередь-$q"), get("очередь-$q")),
    row("5.1 no-wait", declare("$q", exclusive=True).unanswered(), count("$q", 0)),
    row("5.1 no-wait with an error",
        declare("amq.$q").unanswered().refused(403, "queue name 'amq.$q' contains reserved prefix 'amq.*'")),
    row("5.1 declared again with equal fields", declare("$q", durable=True, arguments={"x-max-length": 3}),
        publish("$q"), declare("$q", durable=True, arguments={"x-max-length": 3}).gives(message_count=1)),
    differs("durable: true, then false", {"durable": True}, {},
        f"'durable' for {Q}: received 'false' but current is 'true'"),
    differs("durable: false, then true", {}, {"durable": True},
        f"'durable' for {Q}: received 'true' but current is 'false'"),
    differs("auto_delete: false, then true", {}, {"auto_delete": True},
        f"'auto_delete' for {Q}: received 'true' but current is 'false'"),
    differs("auto_delete: true, then false", {"auto_delete": True}, {},
        f"'auto_delete' for {Q}: received 'false' but current is 'true'"),
    differs("durable and auto_delete: durable is looked at first", {}, {"durable": True, "auto_delete": True},
            f"'durable' for {Q}: received 'true' but current is 'false'"),
    argument("x-message-ttl", "x-message-ttl", 1000, 2000,
             "received the value '2000' of type 'signedint' but current is the value '1000' of type 'signedint'"),
    argument("x-message-ttl: one, then none", "x-message-ttl", 1000, None,
        "received none but current is the value '1000' of type 'signedint'"),
    argument("x-message-ttl: none, then one", "x-message-ttl", None, 1000,
        "received the value '1000' of type 'signedint' but current is none"),
    argument("x-expires", "x-expires", 60000, 61000,
             "received the value '61000' of type 'signedint' but current is the value '60000' of type 'signedint'"),
    argument("x-max-length", "x-max-length", 1, 2,
        "received the value '2' of type 'signedint' but current is the value '1' of type 'signedint'"),
    argument("x-overflow", "x-overflow", "drop-head", "reject-publish",
             "received the value 'reject-publish' of type 'longstr' but current is the value 'drop-head' of type 'longstr'"),
    argument("x-dead-letter-exchange", "x-dead-letter-exchange", "a", "b",
             "received the value 'b' of type 'longstr' but current is the value 'a' of type 'longstr'"),
    argument("x-single-active-consumer", "x-single-active-consumer", True, None,
        "received none but current is the value 'true' of type 'bool'"),
    equal("x-queue-type classic is the default", {"x-queue-type": "classic"}, {}),
    equal("the default is x-queue-type classic", {}, {"x-queue-type": "classic"}),
    equal("arguments that no queue knows are not compared", {"x-mine": 1}, {"x-mine": 2}),
    equal("arguments without x- are not compared", {"mine": "a"}, {}),
    row("5.1 a transient queue that is not exclusive", declare("$q"), confirm(), publish("$q"), acked(1),
        get("$q").by("second")),

    locked("declare", declare("$q", exclusive=True)),
    locked("declare that is not exclusive", declare("$q")),
    locked("passive declare", declare("$q", passive=True)),
    locked("consume", consume("$q")),
    locked("get", get("$q")),
    locked("bind", bind("$q", "$x")),
    locked("unbind", unbind("$q", "$x")),
    locked("purge", purge("$q")),
    locked("delete", delete("$q")),
    row("5.3 not exclusive any more", queue("$q"), declare("$q").refused(405, LOCKED)),
    row("5.3 exclusive afterwards", declare("$q"), declare("$q", exclusive=True).refused(405, LOCKED)),
    row("5.3 the lock is looked at before the rest", queue("$q"),
        declare("$q", exclusive=True, durable=True).by("second").refused(405, LOCKED)),
    row("5.3 all channels of the connection have access", queue("$q"), queue("$q").on(2), publish("$q").on(2),
        get("$q").on(3)),
    row("5.3 others may publish", queue("$q"), confirm().by("second"), publish("$q").by("second"),
        acked(1).by("second"), get("$q")),
    row("5.3 exclusive and durable is gone with its connection",
        declare("$q", exclusive=True, durable=True).by("second"), disconnect("second"),
        declare("$q", passive=True).refused(404, ABSENT)),
    row("5.3 the name is free afterwards", queue("$q").by("second"), publish("$q").by("second"),
        disconnect("second"), queue("$q").gives(message_count=0)),

    row("5.4 gone with the last consumer", declare("$q", auto_delete=True), consume("$q", "1"), consume("$q", "2"),
        cancel("1"), count("$q", 0, 1), cancel("2"), declare("$q", passive=True).refused(404, ABSENT)),
    row("5.4 gone with the channel of the last consumer", declare("$q", auto_delete=True), consume("$q").on(2),
        close_channel().on(2), declare("$q", passive=True).refused(404, ABSENT)),
    row("5.4 there while it never had a consumer", declare("$q", auto_delete=True), publish("$q"), get("$q"),
        count("$q", 0)),
    row("5.4 gone with its messages, and none is a dead letter", queue("$dead"),
        declare("$q", auto_delete=True,
          arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "$dead"}), qos(1),
        consume("$q").on(2), publish("$q", b"1"), publish("$q", b"2"), delivery(delivery_tag=1).on(2),
        delivery(delivery_tag=2).on(2), cancel().on(2), declare("$q", passive=True).refused(404, ABSENT),
        get("$dead").empty()),

    row("5.5 delete", declare("$q"), delete("$q").gives(message_count=0),
        declare("$q", passive=True).refused(404, ABSENT)),
    row("5.5 delete tells how many messages it drops", declare("$q"), publish("$q"), publish("$q"),
        delete("$q").gives(message_count=2)),
    row("5.5 delete counts ready messages only", declare("$q"), publish("$q"), publish("$q"), hold("$q"),
        delete("$q").gives(message_count=1)),
    row("5.5 delete what is absent", delete("$q").gives(message_count=0)),
    row("5.5 delete if unused, and it is", declare("$q"), delete("$q", if_unused=True)),
    row("5.5 delete if unused, with a consumer", queue("$q"), consume("$q"),
        delete("$q", if_unused=True).refused(406, f"{Q} in use")),
    row("5.5 delete if empty, and it is", declare("$q"), delete("$q", if_empty=True)),
    row("5.5 delete if empty, with a message", queue("$q"), publish("$q"),
        delete("$q", if_empty=True).refused(406, f"{Q} not empty")),
    row("5.5 delete no-wait", declare("$q"), delete("$q").unanswered(),
        declare("$q", passive=True).refused(404, ABSENT)),
    row("5.5 the empty name is the queue declared last", declare("$q"), delete(""),
        declare("$q", passive=True).refused(404, ABSENT)),
    row("5.5 the empty name where nothing was declared", delete("").refused(404, "no previously declared queue")),
    row("5.5 the messages are no dead letters", queue("$dead"),
        queue("$q", x_dead_letter_exchange="", x_dead_letter_routing_key="$dead"), publish("$q"),
        delete("$q").gives(message_count=1), get("$dead").empty()),
    row("5.5 a queue made anew is empty", declare("$q"), publish("$q"), delete("$q"),
        declare("$q").gives(message_count=0)),
    row("5.5 consumers are told", declare("$q"), consume("$q", "mine").on(2), delete("$q"), cancelled("mine").on(2)),
    row("5.5 consumers on other connections are told", declare("$q"), consume("$q").by("second"), delete("$q"),
        cancelled().by("second")),
    row("5.5 every consumer is told", declare("$q"), consume("$q", "1").on(2), consume("$q", "2").on(3),
        delete("$q"), cancelled("1").on(2), cancelled("2").on(3)),
    row("5.5 an acknowledgement after the delete is no error", declare("$q"), publish("$q"), hold("$q"),
        delete("$q"), ack(1), nothing()),

    row("5.6 purge", queue("$q"), publish("$q"), publish("$q"), purge("$q").gives(message_count=2), get("$q").empty()),
    row("5.6 purge of an empty queue", queue("$q"), purge("$q").gives(message_count=0)),
    row("5.6 purge leaves what is not acknowledged", queue("$q"), publish("$q", b"1"), publish("$q", b"2"), hold("$q"),
        purge("$q").gives(message_count=1), nack(1), get("$q").gives(body=b"1", redelivered=True), get("$q").empty()),
    row("5.6 purge of an absent queue", purge("$q").refused(404, ABSENT)),
    row("5.6 the empty name is the queue declared last", queue("$q"), publish("$q"), purge("").gives(message_count=1)),
    row("5.6 purge no-wait", queue("$q"), publish("$q"), purge("$q").unanswered(), get("$q").empty()),
    row("5.6 the messages are no dead letters", queue("$dead"),
        queue("$q", x_dead_letter_exchange="", x_dead_letter_routing_key="$dead"), publish("$q"),
        purge("$q").gives(message_count=1), get("$dead").empty()),
    row("5.6 purge while a consumer is busy", queue("$q"), qos(1), consume("$q").on(1), publish("$q", b"1"),
        delivery(body=b"1"), publish("$q", b"2"), purge("$q").gives(message_count=1), publish("$q", b"3"), ack(1),
        delivery(body=b"3"), ack(2)),
]
