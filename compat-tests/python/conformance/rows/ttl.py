"""Messages and queues that expire."""

from conformance.steps import *  # noqa: F403

DLX = {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": "$dead"}


def invalid(expiration, term):
    """An expiration that is refused."""
    return row(f"5.8 expiration {expiration!r}", queue("$q"), publish("$q", expiration=expiration).refused(406, f"invalid expiration '{expiration}': {term}"), get("$q").empty())


HALF_A_SECOND = (queue("$clock", x_message_ttl=500), publish("$clock"), until(count("$clock", 0)))

ROWS = [
    row("5.8 a queue's messages expire", queue("$q", x_message_ttl=200), publish("$q"), count("$q", 1),
        until(count("$q", 0)), get("$q").empty()),
    row("5.8 a message's own expiration", queue("$q"), publish("$q", b"1", expiration="50"), until(count("$q", 0)),
        publish("$q", b"2"), get("$q").gives(body=b"2")),
    row("5.8 the lower of both: the message's", queue("$q", x_message_ttl=600_000), publish("$q", expiration="50"),
        until(count("$q", 0))),
    row("5.8 the lower of both: the queue's", queue("$q", x_message_ttl=50), publish("$q", expiration="600000"),
        until(count("$q", 0))),
    row("5.8 what has not expired is there", queue("$q", x_message_ttl=600_000), publish("$q", expiration="600000"),
        get("$q").gives(expiration="600000")),
    row("5.8 a very long expiration", queue("$q"), publish("$q", expiration="315360000000"), count("$q", 1), get("$q")),
    row("5.8 an expiration of 2^32 + 1 ms does not wrap", queue("$q"), publish("$q", expiration=str(2**32 + 1)),
        publish("$q", b"short", expiration="200"), count("$q", 2), get("$q").gives(expiration=str(2**32 + 1))),
    row("5.8 a queue's limit of 2^32 + 1 ms does not wrap", queue("$q", x_message_ttl=2**32 + 1), publish("$q"),
        count("$q", 1), get("$q")),
    row("5.8 TTL 0 without a consumer", queue("$q", x_message_ttl=0), publish("$q"), get("$q").empty(), count("$q", 0)),
    row("5.8 TTL 0 with a consumer that is ready", queue("$q", x_message_ttl=0), consume("$q", no_ack=True),
        publish("$q"), delivery()),
    row("5.8 TTL 0 with a consumer without credit", queue("$q", x_message_ttl=0), qos(1), consume("$q"),
        publish("$q", b"1"), delivery(body=b"1"), publish("$q", b"2"), nothing(), ack(1), nothing(),
        count("$q", 0, 1)),
    row("5.8 expiration 0 without a consumer", queue("$q"), publish("$q", expiration="0"), get("$q").empty()),
    row("5.8 expiration 0 with a consumer that is ready", queue("$q"), consume("$q", no_ack=True),
        publish("$q", expiration="0"), delivery(expiration="0")),
    row("5.8 expired messages are dead letters", queue("$dead"), queue("$q", x_message_ttl=50, **DLX),
        publish("$q", b"late"),
        arrives("$dead", body=b"late",
          headers=has(x_first_death_reason="expired", x_death=[has(reason="expired", queue="$q", count=1)]))),
    row("5.8 expired messages are dead letters without anybody looking", queue("$dead"),
        queue("$q", x_message_ttl=50, **DLX), publish("$q"), consume("$dead", no_ack=True), delivery()),
    row("5.8 TTL 0 makes dead letters at once", queue("$dead"), queue("$q", x_message_ttl=0, **DLX), publish("$q"),
        arrives("$dead", routing_key="$dead")),
    row("5.8 dead letters of expired messages keep the order", queue("$dead"), queue("$q", x_message_ttl=50, **DLX),
        publish("$q", b"1"), publish("$q", b"2"), publish("$q", b"3"), arrives("$dead", body=b"1"),
        arrives("$dead", body=b"2"), arrives("$dead", body=b"3")),
    row("5.8 a shorter expiration does not wait behind a longer one", queue("$dead"), queue("$q", **DLX),
        publish("$q", b"long", expiration="600000"), publish("$q", b"short", expiration="50"),
        arrives("$dead", body=b"short"), get("$q").gives(body=b"long")),
    row("5.8 what is put back keeps its deadline", queue("$q", x_message_ttl=200), publish("$q"), hold("$q"),
        nack(1), until(count("$q", 0))),
    row("5.8 what is held does not expire", queue("$q", x_message_ttl=200), publish("$q", b"1"), hold("$q"),
        publish("$q", b"2"), until(count("$q", 0)), ack(1), nothing()),
    row("5.8 what is put back after its deadline is gone", queue("$q", x_message_ttl=200), publish("$q", b"1"),
        hold("$q"), publish("$q", b"2"), until(count("$q", 0)), nack(1), until(get("$q").empty())),
    row("5.8 expired messages are not delivered", queue("$q"), publish("$q", b"1", expiration="50"),
        publish("$q", b"2"), until(count("$q", 1)), consume("$q", no_ack=True), delivery(body=b"2")),
    row("5.8 the expiration of a message comes back", queue("$q"), publish("$q", expiration="60000"),
        get("$q").gives(expiration="60000")),
    row("5.8 the expiration is removed from a dead letter", queue("$dead"), queue("$q", **DLX),
        publish("$q", expiration="50"),
        arrives("$dead", expiration=None, headers=has(x_death=[has(**{"original-expiration": "50"})]))),
    invalid("abc", "no_integer"), invalid("", "no_integer"), invalid(" 1", "no_integer"), invalid("1.5", '{leftover_string,".5"}'), invalid("5s", '{leftover_string,"s"}'),
    invalid("-1", "{value_negative,-1}"), invalid("315360000001", "{value_too_large,315360000001}"), invalid("99999999999999999999", "{value_too_large,99999999999999999999}"),

    row("5.8 an unused queue expires", declare("$q", arguments={"x-expires": 50}), gone("$q")),
    row("5.8 x-expires does not make dead letters", queue("$dead"),
        declare("$q",
          arguments={"x-expires": 200, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "$dead"}),
        publish("$q"), gone("$q"), get("$dead").empty()),
    row("5.8 a queue with a consumer does not expire", declare("$q", arguments={"x-expires": 200}), consume("$q"),
        queue("$clock", x_message_ttl=400), publish("$clock"), until(count("$clock", 0)), count("$q", 0, 1)),
    row("5.8 a queue expires after its consumer has gone", declare("$q", arguments={"x-expires": 200}), consume("$q"),
        cancel(), gone("$q")),
    *(row(f"5.8 {what} counts as use", queue("$q", x_expires=800), *HALF_A_SECOND, use, *HALF_A_SECOND, count("$q", 0))
      for what, use in {"a declare": queue("$q", x_expires=800), "get": get("$q").empty()}.items()),
    row("5.8 the bindings of an expired queue are gone", exchange("$x", "fanout"),
        declare("$q", arguments={"x-expires": 200}), bind("$q", "$x"), gone("$q"),
        publish(exchange="$x", mandatory=True), returned()),
]
