"""What goes on while the broker is away: the clock of sessions, and wills."""

import pytest

from support.mqtt_client import MqttClient
from support.raw_mqtt import PUBACK, RawMqtt, publish, text, u32
from support.waiting import let_time_pass


def expiry(seconds):
    """The property of CONNECT."""
    return b"\x11" + u32(seconds)


def will(topic, payload, delay=0, message_expiry=None, qos=1):
    """Flags and fields of a will."""
    properties = b"\x18" + u32(delay)
    if message_expiry is not None:
        properties += b"\x02" + u32(message_expiry)
    fields = bytes([len(properties)]) + properties + text(topic) + text(payload)
    return {"flags": 0x04 | qos << 3, "rest": fields}


def restart(broker, how):
    """Ends the broker in one way or the other, and starts it again."""
    getattr(broker, how)()
    broker.start()


def is_present(broker, client_id, seconds):
    """Whether the session is there."""
    with RawMqtt(broker.mqtt) as raw:
        raw.open(client_id, flags=0, properties=expiry(seconds))
        return raw.connack[0] == 1


def watcher(broker):
    """A session that keeps what is published to `w/#`."""
    client = MqttClient(broker.mqtt, "watcher", clean=False, expiry=600).connect()
    client.subscribe("w/#", 1)
    return client


def leave(client):
    """Goes away for a while."""
    client.disconnect(SessionExpiryInterval=600)


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_the_time_of_a_session_goes_on_while_the_broker_is_away(own_broker, how):
    for client_id, seconds in (("short", 2), ("long", 600)):
        with RawMqtt(own_broker.mqtt) as raw:
            raw.open(client_id, flags=0, properties=expiry(seconds))
    let_time_pass(1)
    restart(own_broker, how)
    let_time_pass(1.2)
    assert not is_present(own_broker, "short", 2), "it began two seconds before, with another broker"
    assert is_present(own_broker, "long", 600)


def test_a_session_that_ends_while_the_broker_is_away_is_not_there_any_more(own_broker):
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("c", flags=0, properties=expiry(1))
    let_time_pass(0.2)
    own_broker.kill()
    let_time_pass(1.2)
    own_broker.start()
    assert not is_present(own_broker, "c", 1)


def test_the_time_of_a_client_that_was_connected_begins_with_the_restart(own_broker):
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("c", flags=0, properties=expiry(2))
        let_time_pass(1.5)
        restart(own_broker, "kill")
    let_time_pass(1)
    assert is_present(own_broker, "c", 2)


def test_a_client_that_came_back_is_not_counted_as_away(own_broker):
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("c", flags=0, properties=expiry(2))
    let_time_pass(1)
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("c", True, flags=0, properties=expiry(2))
        let_time_pass(1.5)
        restart(own_broker, "kill")
        assert is_present(own_broker, "c", 2)


def test_the_will_of_a_client_that_was_connected_is_published_after_a_crash(own_broker):
    leave(watcher(own_broker))
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("c", properties=expiry(60), **will("w/c", "gone"))
        restart(own_broker, "kill")
    received = watcher(own_broker)
    assert received.receive().payload == b"gone"
    leave(received)
    # What is acknowledged is written within milliseconds.
    let_time_pass(0.3)
    restart(own_broker, "kill")
    again = watcher(own_broker)
    let_time_pass(0.5)
    assert again.messages.empty(), "it is published once"
    again.stop()


def test_a_will_waits_for_its_client_over_a_restart(own_broker):
    leave(watcher(own_broker))
    for client_id in ("back", "away"):
        with RawMqtt(own_broker.mqtt) as raw:
            raw.open(client_id, properties=expiry(60), **will(f"w/{client_id}", "gone", delay=2))
    let_time_pass(0.5)
    restart(own_broker, "kill")
    assert is_present(own_broker, "back", 60)
    seen = watcher(own_broker)
    let_time_pass(0.5)
    assert seen.messages.empty(), "its delay is not over"
    assert seen.receive(3).topic == "w/away"
    let_time_pass(1)
    assert seen.messages.empty()
    seen.stop()


def test_a_will_that_was_withdrawn_is_not_published_after_a_crash(own_broker):
    leave(watcher(own_broker))
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("c", properties=expiry(60), **will("w/c", "gone", delay=1))
        raw.send(b"\xe0\x00").read_to_end()
    # What is promised later makes sure that the journal has it.
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("other").send(publish("w/other", b"x", 1)).expect_ack(PUBACK, 1)
    restart(own_broker, "kill")
    seen = watcher(own_broker)
    let_time_pass(1.5)
    assert [message.topic for message in [seen.receive()]] == ["w/other"] and seen.messages.empty()
    seen.stop()


def test_the_expiry_of_a_will_begins_when_it_is_published(own_broker):
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("c", properties=expiry(60), **will("w/c", "gone", delay=2, message_expiry=100))
    seen = watcher(own_broker)
    message = seen.receive()
    assert message.payload == b"gone" and message.properties.MessageExpiryInterval >= 99
    seen.stop()


def test_a_snapshot_keeps_both(own_broker):
    leave(watcher(own_broker))
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("c", properties=expiry(600), **will("w/c", "x" * 20_000, delay=600))
    restart(own_broker, "terminate")
    restart(own_broker, "terminate")
    # A client that begins anew ends the session, and so the wait for it.
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("c", False)
    seen = watcher(own_broker)
    assert seen.receive().payload == b"x" * 20_000
    seen.stop()
