"""Deliveries that are not acknowledged in time."""

from pika import spec

from conformance.steps import *  # noqa: F403

LATE = ("PRECONDITION_FAILED - delivery acknowledgement on channel {} timed out. Timeout value used: {} ms. "
        "This timeout value can be configured, see consumers doc guide to learn more")


def times_out(channel=1, ms=100):
    """The channel.close of a consumer that was too slow."""
    return Expect(spec.Channel.Close, {"reply_code": 406, "reply_text": LATE.format(channel, ms)}, channel)


ROWS = [
    row("6.9 a consumer that does not acknowledge", queue(x_consumer_timeout=100), consume("$q"), publish("$q"),
        delivery(), times_out(), closed(1), nothing().on(2)),
    row("6.9 the message goes back", queue(x_consumer_timeout=100), publish("$q", b"x"), consume("$q").on(2),
        delivery().on(2), times_out(2), closed(2), get("$q").gives(body=b"x", redelivered=True)),
    row("6.9 a consumer that acknowledges", queue(x_consumer_timeout=200), consume("$q"), publish("$q"), delivery(),
        ack(1), queue("$clock", x_message_ttl=500), publish("$clock"), until(count("$clock", 0)), nothing()),
    row("6.9 a consumer without acknowledgements", queue(x_consumer_timeout=100), consume("$q", no_ack=True),
        publish("$q"), delivery(), queue("$clock", x_message_ttl=300), publish("$clock"), until(count("$clock", 0)),
        nothing()),
    row("6.9 get with acknowledgement", queue(x_consumer_timeout=100), publish("$q"), hold("$q").on(2), times_out(2),
        closed(2), get("$q").gives(redelivered=True)),
]
