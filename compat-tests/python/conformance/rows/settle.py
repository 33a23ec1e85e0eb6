"""Acknowledging, rejecting and recovering what was delivered."""

from pika import spec

from conformance.steps import *  # noqa: F403

TWO = (publish("$q", b"1"), publish("$q", b"2"))
THREE = (*TWO, publish("$q", b"3"))
HELD = (hold("$q"), hold("$q"), hold("$q"))


def unknown(what, call, tag, *before):
    """Settling what is not outstanding."""
    return row(f"6.6 {what}", declare("$q"), publish("$q"), *before, call.refused(406, f"unknown delivery tag {tag}"))


ROWS = [
    row("6.6 ack", declare("$q"), *TWO, hold("$q"), ack(1), close_channel(), count("$q", 1).on(2)),
    row("6.6 ack in another order", declare("$q"), *THREE, *HELD, ack(3), ack(1), close_channel(),
        get("$q").on(2).gives(body=b"2"), get("$q").on(2).empty()),
    row("6.6 ack multiple", declare("$q"), *THREE, *HELD, ack(2, multiple=True), close_channel(),
        get("$q").on(2).gives(body=b"3"), get("$q").on(2).empty()),
    row("6.6 ack multiple leaves out what was settled", declare("$q"), *THREE, *HELD, nack(1), ack(3, multiple=True),
        get("$q").gives(body=b"1"), get("$q").empty()),
    row("6.6 ack multiple of tag 0 is all", declare("$q"), *THREE, *HELD, ack(0, multiple=True), close_channel(),
        count("$q", 0).on(2)),
    row("6.6 ack multiple of tag 0 with nothing outstanding", ack(0, multiple=True), nothing()),
    row("6.6 nack multiple of tag 0 is all", queue("$q"), *TWO, hold("$q"), hold("$q"), nack(0, multiple=True),
        get("$q").gives(body=b"1"), get("$q").gives(body=b"2")),
    unknown("ack of tag 1 where nothing was delivered", ack(1), 1),
    unknown("ack of a tag that is too high", ack(82), 82, hold("$q")),
    unknown("ack twice", ack(1), 1, hold("$q"), ack(1)),
    unknown("ack of tag 0", ack(0), 0, hold("$q")),
    unknown("ack after nack", ack(1), 1, hold("$q"), nack(1)),
    unknown("ack after reject", ack(1), 1, hold("$q"), reject(1, requeue=False)),
    unknown("nack twice", nack(1), 1, hold("$q"), nack(1)),
    unknown("reject twice", reject(1), 1, hold("$q"), reject(1)),
    unknown("reject of a tag that is too high", reject(9), 9, hold("$q")),
    unknown("ack of what was taken without acknowledgement", ack(1), 1, get("$q")),
    unknown("ack multiple of a tag that is too high", ack(2, multiple=True), 2, hold("$q")),
    unknown("ack of the largest tag", ack(2**63 - 1), 2**63 - 1),
    row("6.6 ack on another channel", declare("$q"), publish("$q"), hold("$q"),
        ack(1).on(2).refused(406, "unknown delivery tag 1"), ack(1)),
    row("6.6 reject puts back", queue("$q"), publish("$q"), hold("$q").gives(redelivered=False), reject(1),
        get("$q").gives(redelivered=True)),
    row("6.6 reject without requeue drops", queue("$q"), publish("$q"), hold("$q"), reject(1, requeue=False),
        get("$q").empty()),
    row("6.6 nack puts back", queue("$q"), publish("$q"), hold("$q"), nack(1), get("$q").gives(redelivered=True)),
    row("6.6 nack without requeue drops", queue("$q"), publish("$q"), hold("$q"), nack(1, requeue=False),
        get("$q").empty()),
    row("6.6 nack multiple puts back in order", queue("$q"), *THREE, *HELD, nack(3, multiple=True),
        get("$q").gives(body=b"1"), get("$q").gives(body=b"2"), get("$q").gives(body=b"3")),
    row("6.6 nack multiple without requeue drops all", queue("$q"), *THREE, *HELD,
        nack(2, multiple=True, requeue=False), nack(3), get("$q").gives(body=b"3"), get("$q").empty()),
    row("6.6 what is put back goes to its old place", queue("$q"), *THREE, hold("$q"), nack(1),
        get("$q").gives(body=b"1"), get("$q").gives(body=b"2")),
    row("6.6 what is put back in another order goes to its old place", queue("$q"), *THREE, *HELD, nack(2), nack(3),
        nack(1), get("$q").gives(body=b"1"), get("$q").gives(body=b"2"), get("$q").gives(body=b"3")),
    row("6.6 what is put back goes before what came later", queue("$q"), *TWO, hold("$q"), hold("$q"),
        publish("$q", b"3"), nack(2), nack(1), get("$q").gives(body=b"1"), get("$q").gives(body=b"2"),
        get("$q").gives(body=b"3", redelivered=False)),
    row("6.6 what is put back goes to a consumer again", queue("$q"), consume("$q"), publish("$q"),
        delivery(redelivered=False, delivery_tag=1), nack(1), delivery(redelivered=True, delivery_tag=2), ack(2)),
    row("6.6 what is put back may go to another consumer", queue("$q"), qos(1), consume("$q"), publish("$q", b"1"),
        delivery(), consume("$q").on(2), publish("$q", b"2"), delivery(body=b"2").on(2), cancel(), nack(1),
        delivery(redelivered=True, body=b"1").on(2)),
    row("6.6 what was only waiting is not redelivered", queue("$q"), qos(1), consume("$q"), *TWO,
        delivery(body=b"1"), cancel(), nack(1), get("$q").gives(body=b"1", redelivered=True),
        get("$q").gives(body=b"2", redelivered=False)),
    row("6.6 redelivered stays true", queue("$q"), publish("$q"), hold("$q"), nack(1), hold("$q"), nack(2),
        get("$q").gives(redelivered=True)),
    row("6.6 what is put back keeps its properties", queue("$q"), publish("$q", message_id="m", headers={"h": 1}),
        hold("$q"), nack(1), get("$q").gives(message_id="m", headers={"h": 1})),

    row("6.6 recover puts back what the channel holds", queue("$q"), *TWO, hold("$q"), hold("$q"), recover(),
        get("$q").gives(body=b"1", redelivered=True), get("$q").gives(body=b"2", redelivered=True)),
    row("6.6 recover with nothing outstanding", recover()),
    row("6.6 recover leaves other channels alone", queue("$q"), *TWO, hold("$q").on(2), hold("$q"), recover(),
        get("$q").gives(body=b"2"), get("$q").empty()),
    row("6.6 recover delivers to the consumer again", queue("$q"), consume("$q"), publish("$q"), delivery(),
        recover(), delivery(redelivered=True, delivery_tag=2)),
    row("6.6 tags from before recover are unknown", queue("$q"), publish("$q"), hold("$q"), recover(),
        ack(1).refused(406, "unknown delivery tag 1")),
    row("6.6 recover without requeue", recover(requeue=False).ends(540, "requeue=false")),
    raw_row("6.6 recover-async", queue("$q"), publish("$q"), hold("$q"),
        method(spec.Basic.RecoverAsync, requeue=True), get("$q").gives(redelivered=True)),
    raw_row("6.6 recover-async without requeue", opens(),
        method(spec.Basic.RecoverAsync, requeue=False).ends(540, "requeue=false")),
]
