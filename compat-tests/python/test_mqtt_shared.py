"""Shared subscriptions: one member of a group gets each message."""

import pytest
from paho.mqtt.subscribeoptions import SubscribeOptions

from support.amqp_client import connect as amqp_connect
from support.raw_mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL, RawMqtt, ack, publish, subscribe, u32
from support.waiting import eventually, let_time_pass


def shared(topic, group="g"):
    """The filter of a shared subscription."""
    return f"$share/{group}/{topic}"


def waiting(client):
    """The payloads that a client has got so far."""
    return [client.messages.get_nowait().payload for _ in range(client.messages.qsize())]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_members_get_the_messages_in_turn(mqtt, name, qos):
    topic, members, publisher = name(), [mqtt() for _ in range(3)], mqtt()
    for member in members:
        assert member.subscribe(shared(topic), qos) == qos
    for number in range(30):
        publisher.publish(topic, b"%d" % number, qos)
    eventually(lambda: sum(member.messages.qsize() for member in members) == 30, "all arrive")
    let_time_pass(0.1)
    got = [waiting(member) for member in members]
    # The turn begins anew when subscriptions change, and sessions of earlier tests may be ending still.
    assert all(8 <= len(messages) <= 12 for messages in got)
    assert sorted(int(payload) for messages in got for payload in messages) == list(range(30))


def test_publishers_of_amqp_are_shared_out_too(broker, mqtt, name):
    topic, members = name(), [mqtt() for _ in range(2)]
    for member in members:
        member.subscribe(shared(topic), 1)
    channel = amqp_connect(broker.amqp).channel()
    for _ in range(20):
        channel.basic_publish("amq.topic", topic, b"x")
    eventually(lambda: [member.messages.qsize() for member in members] == [10, 10], "each has its half")


def test_each_group_and_each_ordinary_subscription_gets_a_copy(mqtt, name):
    topic, a, b, plain, publisher = name(), mqtt(), mqtt(), mqtt(), mqtt()
    a.subscribe(shared(topic, "a"), 1)
    b.subscribe(shared(topic, "b"), 1)
    plain.subscribe(topic, 1)
    publisher.publish(topic, b"x", 1)
    assert [client.receive().payload for client in (a, b, plain)] == [b"x"] * 3
    assert [client.messages.qsize() for client in (a, b, plain)] == [0, 0, 0]


def test_two_filters_of_one_name_are_two_groups(mqtt, name):
    topic, first, second = name(), mqtt(), mqtt()
    first.subscribe(shared(topic), 1)
    second.subscribe(shared(f"{topic}/#"), 1)
    mqtt().publish(topic, b"x", 1)
    assert [first.receive().payload, second.receive().payload] == [b"x", b"x"]


def test_a_client_with_both_kinds_of_subscription_gets_both(mqtt, name):
    topic, client = name(), mqtt()
    client.subscribe(shared(topic), 1)
    client.subscribe(topic, 1)
    mqtt().publish(topic, b"x", 1)
    assert client.payloads(2) == [b"x", b"x"]
    assert client.unsubscribe(shared(topic)) == [0]
    assert client.unsubscribe(shared(topic)) == [0x11]
    mqtt().publish(topic, b"y", 1)
    assert client.receive().payload == b"y"
    let_time_pass(0.1)
    assert client.messages.empty()


def test_no_retained_messages_come_with_a_shared_subscription(mqtt, name):
    topic, client, publisher = name(), mqtt(), mqtt()
    publisher.publish(topic, b"old", 1, retain=True)
    client.subscribe(shared(topic), 1)
    publisher.publish(topic, b"new", 1, retain=True)
    assert client.receive().payload == b"new"


def test_identifiers_and_retain_as_published_work(mqtt, name):
    topic, client = name(), mqtt()
    client.subscribe(shared(topic), options=SubscribeOptions(1, retainAsPublished=True), identifier=77)
    mqtt().publish(topic, b"x", 1, retain=True)
    message = client.receive()
    assert message.retain and message.properties.SubscriptionIdentifier == [77]


def test_no_local_is_a_protocol_error(broker, name):
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name())
        raw.send(subscribe(1, (shared("a"), 1 | 4)))
        raw.expect_disconnect(0x82)


def test_who_is_away_gets_nothing_while_others_are_there(mqtt, name):
    topic, away, here, publisher = name(), mqtt(expiry=60), mqtt(), mqtt()
    for member in (away, here):
        member.subscribe(shared(topic), 1)
    away.disconnect()
    for _ in range(5):
        publisher.publish(topic, b"x", 1)
    assert here.payloads(5) == [b"x"] * 5


def test_a_group_whose_members_are_all_away_keeps_its_messages(mqtt, name):
    topic, client_id, publisher = name(), name("id"), mqtt()
    mqtt(client_id=client_id, clean=False, expiry=60).subscribe(shared(topic), 1)
    mqtt(client_id=client_id, clean=False, expiry=60).disconnect()
    for number in range(5):
        publisher.publish(topic, b"%d" % number, 1)
    member = mqtt(client_id=client_id, clean=False, expiry=60)
    assert member.payloads(5) == [b"%d" % number for number in range(5)]


@pytest.mark.parametrize("expiry", [0, 60])
def test_what_a_lost_member_has_not_acknowledged_goes_to_another(broker, mqtt, name, expiry):
    topic, other, publisher = name(), mqtt(), mqtt()
    with RawMqtt(broker.mqtt) as lost:
        # It takes two at a time, so that the rest waits for it.
        lost.open(name(), properties=b"\x11" + u32(expiry) + b"\x21\0\2").subscribe((shared(topic), 1))
        for number in range(6):
            publisher.publish(topic, b"%d" % number, 1)
        acknowledged = lost.expect_publish()
        lost.send(ack(PUBACK, acknowledged.packet_id))
        assert other.subscribe(shared(topic), 1) == 1
    got = [message.payload for message in other.receive_many(5)]
    assert sorted(got) == [b"%d" % number for number in range(1, 6)]
    let_time_pass(0.2)
    assert other.messages.empty()


def test_a_qos_2_message_that_was_begun_stays_with_its_member(broker, mqtt, name):
    topic, client_id, other, publisher = name(), name("id"), mqtt(), mqtt()
    session = {"flags": 0, "properties": b"\x11" + u32(60)}
    with RawMqtt(broker.mqtt) as member:
        member.open(client_id, **session).subscribe((shared(topic), 2))
        publisher.publish(topic, b"received", 2)
        received = member.expect_publish()
        member.send(ack(PUBREC, received.packet_id))
        member.expect_ack(PUBREL, received.packet_id)
        publisher.publish(topic, b"sent", 2)
        sent = member.expect_publish()
        other.subscribe(shared(topic), 2)
    with RawMqtt(broker.mqtt) as member:
        member.open(client_id, True, **session)
        member.expect_ack(PUBREL, received.packet_id)
        again = member.expect_publish()
        assert (again.payload, again.dup, again.packet_id) == (b"sent", True, sent.packet_id)
        member.send(ack(PUBREC, sent.packet_id) + ack(PUBCOMP, received.packet_id))
        member.expect_ack(PUBREL, sent.packet_id)
    let_time_pass(0.2)
    assert other.messages.empty()


def test_mqtt_3_1_1_clients_can_share_as_well(broker, mqtt, name):
    topic, members = name(), [mqtt(version=3), mqtt(version=3)]
    for member in members:
        assert member.subscribe(shared(topic), 1) == 1
    for _ in range(4):
        mqtt().publish(topic, b"x", 1)
    eventually(lambda: sum(member.messages.qsize() for member in members) == 4, "all arrive")


def test_a_shared_subscription_survives_a_restart(own_broker, name):
    with RawMqtt(own_broker.mqtt) as member:
        member.open("member", flags=0, properties=b"\x11" + u32(600)).subscribe((shared("t"), 1))
    own_broker.kill()
    own_broker.start()
    with RawMqtt(own_broker.mqtt) as publisher:
        publisher.open("publisher").send(publish("t", b"x", 1)).expect_ack(PUBACK, 1)
    with RawMqtt(own_broker.mqtt) as member:
        member.open("member", True, flags=0, properties=b"\x11" + u32(600))
        assert member.expect_publish().payload == b"x"
