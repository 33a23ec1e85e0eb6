"""Direct reply-to: requests and replies without a queue that anybody declares."""

from conformance.steps import *  # noqa: F403

REPLY_TO = "amq.rabbitmq.reply-to"
ASK = consume(REPLY_TO, no_ack=True)
ASKED = (queue("$q").on(2), ASK, publish("$q", reply_to=REPLY_TO, correlation_id="1"), nothing(), get("$q").on(2), keep("to", "reply_to"))

ROWS = [
    row("6.8 a request carries a name to answer to", queue("$q").on(2), ASK, publish("$q", reply_to=REPLY_TO),
        nothing(), get("$q").on(2).gives(reply_to=like(r"amq\.rabbitmq\.reply-to\..+"))),
    row("6.8 the reply comes to the channel that has asked", *ASKED, publish("$to", b"re", correlation_id="1").on(2),
        delivery(body=b"re", consumer_tag="c", exchange="", redelivered=False, correlation_id="1")),
    row("6.8 replies from another connection", declare("$q"), ASK, publish("$q", reply_to=REPLY_TO), nothing(),
        get("$q").by("second"), keep("to", "reply_to"), publish("$to", b"re").by("second"), delivery(body=b"re")),
    row("6.8 several replies to one request", *ASKED, publish("$to", b"1").on(2), publish("$to", b"2").on(2),
        delivery(body=b"1", delivery_tag=1), delivery(body=b"2", delivery_tag=2)),
    row("6.8 other properties are left as they are", queue("$q").on(2), ASK,
        publish("$q", reply_to=REPLY_TO, message_id="m", headers={"h": 1}), nothing(),
        get("$q").on(2).gives(message_id="m", headers={"h": 1})),
    row("6.8 another reply-to is left as it is", queue("$q"), publish("$q", reply_to="mine"),
        get("$q").gives(reply_to="mine")),
    row("6.8 the server may look whether the requester is there", *ASKED,
        declare("$to", passive=True).on(2).gives(message_count=0, consumer_count=1)),
    row("6.8 the requester has gone", *ASKED, cancel(),
        declare("$to", passive=True).on(2).refused(404, "no queue '$to' in vhost '/'")),
    row("6.8 a reply to a requester that has gone is lost", *ASKED, close_channel(), publish("$to").on(2),
        nothing().on(2)),
    row("6.8 a reply is confirmed", *ASKED, confirm().on(2), publish("$to").on(2), acked(1).on(2), delivery()),
    row("6.8 with acknowledgements", consume(REPLY_TO).refused(406, "reply consumer cannot acknowledge")),
    row("6.8 twice on a channel", ASK, consume(REPLY_TO, "d", no_ack=True).refused(406, "reply consumer already set")),
    row("6.8 on two channels", ASK, ASK.on(2)),
    row("6.8 again after cancel", ASK, cancel(), ASK),
    row("6.8 a request without a consumer", queue("$q"),
        publish("$q", reply_to=REPLY_TO).refused(406, "fast reply consumer does not exist")),
    row("6.8 a request on another channel", queue("$q"), ASK,
        publish("$q", reply_to=REPLY_TO).on(2).refused(406, "fast reply consumer does not exist")),
]
