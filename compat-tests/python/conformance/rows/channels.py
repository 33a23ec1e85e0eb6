"""Channels, and what is left after an error."""

from pika import spec

from conformance.steps import *  # noqa: F403
from support.raw_amqp import method as encode, publish as content

ABSENT = declare("$absent", passive=True)
NO_QUEUE = "no queue '$absent' in vhost '/'"


def blames(what, call, code, text):
    """The close names the failing method: the raw client compares class and method of every refusal."""
    return raw_row(f"0.1 the close names {what}", opens(), call.refused(code, text))


ROWS = [
    raw_row("2 opening a channel twice", opens(), method(spec.Channel.Open).ends(504, "second 'channel.open' seen")),
    raw_row("2 a method on a channel that is not open",
            opens(), octets(encode(7, spec.Queue.Declare(queue="q"))), closes(504, "expected 'channel.open'")),
    raw_row("2 a content on a channel that is not open",
            opens(), octets(content(7, "", "q", b"x")), closes(504, "expected 'channel.open'")),
    raw_row("2 a method on a channel that was closed", opens(), close_channel(),
        octets(encode(1, spec.Queue.Declare(queue="q"))), closes(504, "expected 'channel.open'")),
    raw_row("2 more channels than negotiated", connect(channel_max=2), opens(1), opens(2),
        octets(encode(3, spec.Channel.Open())),
        closes(530, "number of channels opened (2) has reached the negotiated channel_max (2)")),
    row("2 any channel number up to channel_max", opens(2047), opens(1), nothing().on(2047)),
    row("2 a closed channel number can be opened again", opens(), close_channel(), opens(), nothing()),
    row("2 a channel closed by an error can be opened again", ABSENT.refused(404, NO_QUEUE), opens(), nothing()),
    row("2 delivery tags begin anew on a channel that is opened again", declare("$q"), publish("$q"),
        hold("$q").gives(delivery_tag=1), close_channel(), hold("$q").gives(delivery_tag=1), ack(1)),
    row("2 closing a channel requeues what it has not acknowledged", declare("$q"), publish("$q", b"1"),
        publish("$q", b"2"), hold("$q"), hold("$q"), close_channel(), count("$q", 2).on(2),
        get("$q").on(2).gives(body=b"1", redelivered=True), get("$q").on(2).gives(body=b"2", redelivered=True)),
    row("2 closing a channel cancels its consumers", queue("$q"), consume("$q").on(2), close_channel().on(2),
        count("$q", 0)),
    row("2 exclusive queues outlive the channel that declared them", queue("$q").on(2), close_channel().on(2),
        count("$q", 0)),
    row("2 flow on", flow(True).gives(active=True)),
    row("2 flow off", flow(False).ends(540, "active=false")),
    raw_row("2 access.request", method(spec.Access.Request, spec.Access.RequestOk, realm="/data").gives(ticket=1)),
    raw_row("2 channel.close with content under way", opens(),
        octets(encode(1, spec.Basic.Publish(routing_key="q")) + encode(1, spec.Channel.Close(200, "", 0, 0))),
        closes(505, "expected content header for class 60, got non content header frame instead")),

    blames("queue.declare", ABSENT, 404, NO_QUEUE),
    blames("queue.bind", bind("$absent", "amq.direct"), 404, NO_QUEUE),
    blames("queue.purge", purge("$absent"), 404, NO_QUEUE),
    blames("exchange.declare", exchange("$absent", passive=True), 404, "no exchange '$absent' in vhost '/'"),
    blames("exchange.bind", bind_exchange("amq.fanout", "$absent"), 404, "no exchange '$absent' in vhost '/'"),
    blames("exchange.delete", delete_exchange("amq.direct"), 403,
        "deletion of system exchange 'amq.direct' in vhost '/' not allowed"),
    blames("basic.publish", publish("k", exchange="$absent"), 404, "no exchange '$absent' in vhost '/'"),
    blames("basic.consume", consume("$absent"), 404, NO_QUEUE),
    blames("basic.get", get("$absent"), 404, NO_QUEUE),
    blames("basic.ack", ack(7), 406, "unknown delivery tag 7"),
    blames("basic.nack", nack(7), 406, "unknown delivery tag 7"),
    blames("basic.reject", reject(7), 406, "unknown delivery tag 7"),
    row("0.1 a text of over 255 octets is cut",
        declare("q" * 255, passive=True).refused(404, "no queue '" + "q" * 230 + "...")),
    raw_row("0.1 a frame error names no method", opens(), octets(b"\x01\0\x01\0\0\0\0\0"),
            hears(spec.Connection.Close, reply_code=501, class_id=0, method_id=0)),

    raw_row("0.2 frames after a channel error are dropped until close-ok",
            queue("$q"), says(ABSENT), says(publish("$q")), says(publish("$q")), hears(spec.Channel.Close).on(1),
            closed(1), opens(), get("$q").empty()),
    raw_row("0.2 channel.close that crosses an error is answered",
            opens(), says(ABSENT), says(close_channel()), hears(spec.Channel.Close, reply_code=404).on(1),
            hears(spec.Channel.CloseOk).on(1), closed(1), opens(), nothing()),
    row("0.2 an error on one channel leaves the others alone",
        queue("$q").on(2), ABSENT.refused(404, NO_QUEUE), publish("$q").on(2), get("$q").on(2)),
    row("0.2 an error on a channel requeues what it has not acknowledged", declare("$q").on(2), publish("$q").on(2),
        count("$q", 1).on(2), hold("$q"), ack(9).refused(406, "unknown delivery tag 9"),
        get("$q").on(2).gives(redelivered=True)),
    row("0.2 an error on a channel cancels its consumers",
        queue("$q").on(2), consume("$q"), ABSENT.refused(404, NO_QUEUE), count("$q", 0).on(2)),
    row("0.2 a connection error deletes exclusive queues",
        queue("$q").by("second"), flow(False).by("second").ends(540, "active=false"), gone("$q")),
    row("0.2 a connection error requeues what was not acknowledged",
        declare("$q"), confirm(), publish("$q"), acked(1), hold("$q").by("second"),
        flow(False).by("second").ends(540, "active=false"), arrives("$q", redelivered=True)),
    raw_row("0.2 nothing more is done after a connection error", opens(),
        octets(b"\x08\0\x01\0\0\0\0\xce" + encode(1, spec.Queue.Declare(queue="never", passive=False))),
        closes(505, "type 8, all octets = <<>>"),
        declare("never", passive=True).by("second").refused(404, "no queue 'never' in vhost '/'")),
    row("0.2 what was published before the error stays", declare("$q"), publish("$q"),
        publish("k", exchange="$absent").refused(404, "no exchange '$absent' in vhost '/'"), get("$q").on(2)),
    raw_row("0.2 publishes behind a failing one are lost", declare("$q"), says(publish("k", exchange="$absent")),
        says(publish("$q")), hears(spec.Channel.Close, reply_code=404, class_id=60, method_id=40).on(1), closed(1),
        opens(), get("$q").empty()),
]
