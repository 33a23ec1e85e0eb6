"""MQTT: sessions that outlive their connection, their expiry, re-sending and take-over."""

import select

import pytest

from support.raw_mqtt import (
    CONNACK, DISCONNECT, PUBACK, PUBCOMP, PUBREC, PUBREL, RawMqtt, ack, connect, packet, publish, u32,
)
from support.waiting import eventually, let_time_pass

HOUR = 3600
SESSION = {"properties": b"\x11" + u32(HOUR)}


@pytest.fixture
def session(mqtt, name):
    """Connects the same client id again and again, by default with a session of an hour."""
    client_id = name()

    def connect_again(**options):
        return mqtt(client_id, **{"clean": False, "expiry": HOUR, **options})

    return connect_again


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("options", [{}, {"version": 3, "expiry": None}], ids=["v5", "v3.1.1"])
def test_messages_wait_for_a_client_that_is_away(session, mqtt, name, options, qos):
    topic, client = name("topic"), session(**options)
    client.subscribe(topic, 2)
    client.disconnect()
    publisher = mqtt()
    for i in range(50):
        publisher.publish(topic, b"%d" % i, qos)
    again = session(**options)
    assert again.session_present is True
    assert again.payloads(50) == [b"%d" % i for i in range(50)]


def test_a_session_exists_from_connect_on(session):
    session().disconnect()
    assert session().session_present is True


def test_subscriptions_live_on_with_the_session(session, mqtt, name):
    topic, client = name("topic"), session()
    client.subscribe(topic, 1)
    client.disconnect()
    again = session()
    mqtt().publish(topic, b"still subscribed", 1)
    assert again.receive().payload == b"still subscribed"


def test_unsubscribing_lasts_too(session, mqtt, name):
    topic, other, client = name("topic"), name("other"), session()
    client.subscribe(topic, 1)
    client.subscribe(other, 1)
    client.unsubscribe(topic)
    client.disconnect()
    publisher = mqtt()
    publisher.publish(topic, b"not wanted", 1)
    publisher.publish(other, b"wanted", 1)
    assert session().receive().payload == b"wanted"


def test_a_clean_start_throws_the_session_away(session, mqtt, name):
    topic, end, client = name("topic"), name("end"), session()
    client.subscribe(topic, 1)
    client.disconnect()
    mqtt().publish(topic, b"lost with the session", 1)
    fresh = session(clean=True)
    assert fresh.session_present is False
    fresh.subscribe(end, 1)
    mqtt().publish(topic, b"not subscribed any more", 1)
    mqtt().publish(end, b"end", 1)
    assert fresh.receive().payload == b"end"


def has_left(broker, client_id, content=b"", **options):
    """Connects and disconnects; the broker has handled the DISCONNECT when it closes the socket."""
    with RawMqtt(broker.mqtt) as raw:
        raw.open(client_id, **options).send(packet(DISCONNECT, 0, content))
        assert raw.read_to_end() == b""


def test_without_an_expiry_the_session_ends_with_the_connection(broker, name):
    client_id = name()
    has_left(broker, client_id)
    with RawMqtt(broker.mqtt) as raw:
        raw.open(client_id, expect_present=False, flags=0)


def test_a_session_ends_when_its_expiry_has_passed(session, management, mqtt, name):
    topic, client = name("topic"), session(expiry=1)
    client.subscribe(topic, 1)
    client.disconnect()
    let_time_pass(2.5)
    assert session().session_present is False


def test_the_expiry_starts_when_the_connection_ends(session):
    client = session(expiry=2)
    let_time_pass(2.5)
    client.disconnect()
    assert session().session_present is True


def test_disconnect_may_change_the_expiry(broker, name):
    client_id = name()
    has_left(broker, client_id, b"\0\x05\x11" + u32(0), **SESSION)
    with RawMqtt(broker.mqtt) as raw:
        raw.open(client_id, expect_present=False, flags=0)


def test_disconnect_may_not_give_an_expiry_to_a_session_without_one(broker, name):
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name())
        raw.send(packet(14, 0, b"\0\x05\x11" + u32(60)))
        raw.expect_disconnect(0x82)


def test_the_longest_expiry_does_not_overflow(session):
    session(expiry=0xFFFFFFFE).disconnect()
    assert session(expiry=0xFFFFFFFF).session_present is True


def test_clean_session_1_of_version_3_leaves_nothing(session, name):
    client = session(version=3, clean=True, expiry=None)
    client.subscribe(name("topic"), 1)
    client.disconnect()
    assert session(version=3, clean=False, expiry=None).session_present is False


def test_a_session_may_go_on_under_the_other_version(session, mqtt, name):
    topic, client = name("topic"), session(version=3, expiry=None)
    client.subscribe(topic, 1)
    client.disconnect()
    mqtt().publish(topic, b"waiting", 1, UserProperty=("a", "b"))
    again = session(version=5)
    assert again.session_present is True
    assert again.receive().payload == b"waiting"


@pytest.mark.parametrize("qos", [1, 2])
def test_an_unacknowledged_publish_is_sent_again_as_a_duplicate(broker, mqtt, name, qos):
    topic, client_id = name("topic"), name()
    with RawMqtt(broker.mqtt) as first:
        first.open(client_id, **SESSION).subscribe((topic, qos))
        mqtt().publish(topic, b"again", qos)
        sent = first.expect_publish()
        assert sent.dup is False
    with RawMqtt(broker.mqtt) as second:
        resent = second.open(client_id, True, flags=0, **SESSION).expect_publish()
        assert (resent.dup, resent.packet_id, resent.payload) == (True, sent.packet_id, b"again")


def test_unacknowledged_messages_are_sent_again_in_order_before_new_ones(broker, mqtt, name):
    topic, client_id, publisher = name("topic"), name(), mqtt()
    with RawMqtt(broker.mqtt) as first:
        first.open(client_id, **SESSION).subscribe((topic, 1))
        for i in range(10):
            publisher.publish(topic, b"%d" % i, 1)
        for _ in range(5):
            first.expect_publish()
        first.send(packet(DISCONNECT, 0, b""))
        first.read_to_end()
    publisher.publish(topic, b"10", 1)
    with RawMqtt(broker.mqtt) as second:
        second.open(client_id, True, flags=0, **SESSION)
        messages = [second.expect_publish() for _ in range(11)]
    assert [m.payload for m in messages] == [b"%d" % i for i in range(11)]
    assert all(m.dup for m in messages[:5]) and not messages[10].dup


def test_after_pubrec_only_pubrel_is_sent_again(broker, mqtt, name):
    topic, client_id = name("topic"), name()
    with RawMqtt(broker.mqtt) as first:
        first.open(client_id, **SESSION).subscribe((topic, 2))
        mqtt().publish(topic, b"received", 2)
        packet_id = first.expect_publish().packet_id
        first.send(ack(PUBREC, packet_id)).expect_ack(PUBREL, packet_id)
    with RawMqtt(broker.mqtt) as second:
        second.open(client_id, True, flags=0, **SESSION).expect_ack(PUBREL, packet_id)
        second.send(ack(PUBCOMP, packet_id)).ping()
    with RawMqtt(broker.mqtt) as third:
        third.open(client_id, True, flags=0, **SESSION).ping()


def test_an_acknowledged_message_is_not_sent_again(broker, mqtt, name):
    topic, client_id = name("topic"), name()
    with RawMqtt(broker.mqtt) as first:
        first.open(client_id, **SESSION).subscribe((topic, 1))
        mqtt().publish(topic, b"done", 1)
        first.send(ack(PUBACK, first.expect_publish().packet_id)).ping()
    with RawMqtt(broker.mqtt) as second:
        second.open(client_id, True, flags=0, **SESSION).ping()


def test_a_take_over_keeps_the_session(broker, mqtt, name):
    topic, client_id = name("topic"), name()
    with RawMqtt(broker.mqtt) as first, RawMqtt(broker.mqtt) as second:
        first.open(client_id, **SESSION).subscribe((topic, 1))
        second.open(client_id, True, flags=0, **SESSION)
        first.expect_disconnect(0x8E)
        mqtt().publish(topic, b"to the second", 1)
        assert second.expect_publish().payload == b"to the second"


def test_a_take_over_gets_what_the_first_left_unacknowledged(broker, mqtt, name):
    topic, client_id = name("topic"), name()
    with RawMqtt(broker.mqtt) as first, RawMqtt(broker.mqtt) as second:
        first.open(client_id, **SESSION).subscribe((topic, 1))
        mqtt().publish(topic, b"unfinished", 1)
        packet_id = first.expect_publish().packet_id
        resent = second.open(client_id, True, flags=0, **SESSION).expect_publish()
        assert (resent.payload, resent.dup, resent.packet_id) == (b"unfinished", True, packet_id)


def was_accepted(raw):
    """Whether CONNACK accepts; a refusal in the race has to have a reason that CONNACK may have."""
    try:
        reason = raw.expect(CONNACK)[1]
    except (EOFError, ConnectionResetError):
        return False
    assert reason in (0, 0x80, 0x83, 0x88, 0x89, 0x97, 0x9F), f"CONNACK 0x{reason:02X}"
    return reason == 0


def readable(raws):
    """Those connections that have something to read."""
    ready = select.select([raw.socket for raw in raws], [], [], 0)[0]
    return [raw for raw in raws if raw.socket in ready]


def test_many_racing_take_overs_leave_one_connection(broker, name):
    client_id, connections = name(), [RawMqtt(broker.mqtt) for _ in range(20)]
    for raw in connections:
        raw.send(connect(client_id, flags=0, **SESSION))
    accepted = [raw for raw in connections if was_accepted(raw)]
    eventually(lambda: len(readable(accepted)) >= len(accepted) - 1, "all but one have been told")
    told = readable(accepted)
    for raw in told:
        raw.expect_disconnect(0x8E)
    survivors = [raw for raw in accepted if raw not in told]
    assert len(survivors) == 1
    survivors[0].ping()
    for raw in connections:
        raw.socket.close()


def test_an_assigned_client_id_can_be_used_again(mqtt):
    client = mqtt("", expiry=HOUR)
    assigned = client.connack.AssignedClientIdentifier
    assert assigned
    client.disconnect()
    assert mqtt(assigned, clean=False, expiry=HOUR).session_present is True


def test_assigned_client_ids_are_unique(mqtt):
    ids = {mqtt("").connack.AssignedClientIdentifier for _ in range(10)}
    assert len(ids) == 10


def test_a_vanished_client_keeps_its_session(session, mqtt, name):
    topic, client = name("topic"), session()
    client.subscribe(topic, 1)
    client.vanish()
    mqtt().publish(topic, b"for later", 1)
    assert session().receive().payload == b"for later"


def test_a_publish_does_not_wait_for_a_session_that_is_away(session, mqtt, name):
    topic, here, away = name("topic"), mqtt(), session()
    away.subscribe(topic, 1)
    away.disconnect()
    here.subscribe(topic, 1)
    publisher = mqtt()
    for i in range(200):
        publisher.publish(topic, b"%d" % i, 1)
    assert here.payloads(200) == [b"%d" % i for i in range(200)]


def test_a_session_with_a_thousand_messages_is_replayed_in_order(session, mqtt, name):
    topic, client = name("topic"), session()
    client.subscribe(topic, 1)
    client.disconnect()
    publisher, last = mqtt(), None
    for i in range(1000):
        last = publisher.publish_soon(topic, b"%d" % i, 1)
    last.wait_for_publish(20)
    assert session().payloads(1000, 20) == [b"%d" % i for i in range(1000)]


def test_each_session_has_its_own_place(mqtt, name):
    topic, ids = name("topic"), [name("one"), name("two")]
    for client_id in ids:
        client = mqtt(client_id, clean=False, expiry=HOUR)
        client.subscribe(topic, 1)
        client.disconnect()
    mqtt().publish(topic, b"twice", 1)
    for client_id in ids:
        again = mqtt(client_id, clean=False, expiry=HOUR)
        assert again.receive().payload == b"twice"


def test_a_session_whose_queue_was_deleted_begins_anew(broker, channel, name):
    client_id, topic = name(), name("topic")
    with RawMqtt(broker.mqtt) as first:
        first.open(client_id, flags=0, **SESSION).subscribe((topic, 1))
    channel.queue_delete(f"mqtt.{client_id}")
    with RawMqtt(broker.mqtt) as second:
        second.open(client_id, False, flags=0, **SESSION).subscribe((topic, 1))
        with RawMqtt(broker.mqtt) as publisher:
            publisher.open(name()).send(publish(topic, b"again", 1, packet_id=3)).expect_ack(PUBACK, 3)
        assert second.expect_publish().payload == b"again"
