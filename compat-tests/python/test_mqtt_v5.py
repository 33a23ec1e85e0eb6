"""MQTT 5: properties, subscription options, identifiers, limits, reason codes, and what is refused."""

import pytest
from paho.mqtt.subscribeoptions import SubscribeOptions

from support.raw_mqtt import (
    AUTH, CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, UNSUBSCRIBE, RawMqtt, connect, packet, props,
    publish, subscribe, text, u16, u32,
)
from support.waiting import let_time_pass


@pytest.fixture
def raw(broker, name):
    with RawMqtt(broker.mqtt) as connection:
        yield connection.open(name())


def test_every_property_of_a_publish_is_passed_on(mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, 1)
    mqtt().publish(topic, b"{}", 1, ContentType="application/json", ResponseTopic="a/b",
                   CorrelationData=b"\0\xff", PayloadFormatIndicator=1, MessageExpiryInterval=100)
    received = client.receive().properties
    assert (received.ContentType, received.ResponseTopic) == ("application/json", "a/b")
    assert (received.CorrelationData, received.PayloadFormatIndicator) == (b"\0\xff", 1)
    assert 95 <= received.MessageExpiryInterval <= 100


def test_user_properties_keep_their_order_and_repetitions(mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, 1)
    pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("é", "ü")]
    mqtt().publish(topic, b"", 1, UserProperty=pairs)
    assert client.receive().properties.UserProperty == pairs


def test_a_message_that_expired_while_waiting_is_not_delivered(mqtt, name):
    topic, client_id = name("topic"), name()
    client = mqtt(client_id, clean=False, expiry=3600)
    client.subscribe(topic, 1)
    client.disconnect()
    publisher = mqtt()
    publisher.publish(topic, b"short-lived", 1, MessageExpiryInterval=1)
    publisher.publish(topic, b"long-lived", 1, MessageExpiryInterval=100)
    let_time_pass(2.2)
    message = mqtt(client_id, clean=False, expiry=3600).receive()
    assert message.payload == b"long-lived"
    assert message.properties.MessageExpiryInterval <= 98


def test_no_local_keeps_own_messages_away(mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=True))
    client.publish(topic, b"mine", 1)
    mqtt().publish(topic, b"theirs", 1)
    assert client.receive().payload == b"theirs"


def test_a_subscription_identifier_comes_with_its_messages(mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, 1, identifier=268_435_455)
    client.publish(topic, b"x", 1)
    assert client.receive().properties.SubscriptionIdentifier == [268_435_455]


def test_overlapping_subscriptions_come_in_one_copy_with_all_identifiers(mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(f"{topic}/#", 1, identifier=1)
    client.subscribe(f"{topic}/+", 2, identifier=2)
    client.publish(f"{topic}/x", b"once", 2)
    message = client.receive()
    assert (sorted(message.properties.SubscriptionIdentifier), message.qos) == ([1, 2], 2)
    client.publish(f"{topic}/x/y", b"next", 2)
    message = client.receive()
    assert (message.payload, message.properties.SubscriptionIdentifier) == (b"next", [1])


def test_subscribing_again_replaces_the_identifier(mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, 1, identifier=1)
    client.subscribe(topic, 1, identifier=2)
    client.publish(topic, b"x", 1)
    assert client.receive().properties.SubscriptionIdentifier == [2]


def test_messages_without_an_identifier_carry_none(mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, 1)
    client.publish(topic, b"x", 1)
    assert not hasattr(client.receive().properties, "SubscriptionIdentifier")


def test_a_message_over_the_maximum_packet_size_of_a_client_is_left_out(broker, mqtt, name):
    topic, publisher = name("topic"), mqtt()
    with RawMqtt(broker.mqtt) as small:
        small.open(name(), properties=b"\x27" + u32(200)).subscribe((topic, 1))
        publisher.publish(topic, b"x" * 1000, 1)
        publisher.publish(topic, b"fits", 1)
        assert small.expect_publish().payload == b"fits"


def test_unsubscribing_answers_for_each_filter(raw, name):
    topic = name()
    raw.subscribe((topic, 1))
    raw.send(packet(UNSUBSCRIBE, 2, u16(7) + props() + text(topic) + text(topic + "/never")))
    assert raw.expect(UNSUBACK) == u16(7) + props() + b"\x00\x11"


@pytest.mark.parametrize("qos, kind", [(1, PUBACK), (2, PUBREC)])
def test_a_publish_without_subscribers_succeeds(raw, name, qos, kind):
    raw.send(publish(name(), b"x", qos, packet_id=3))
    assert raw.expect_ack(kind, 3) in (0x00, 0x10)


@pytest.mark.parametrize("qos, kind", [(1, PUBACK), (2, PUBREC)])
def test_clients_may_not_publish_to_the_topics_of_the_broker(raw, qos, kind):
    raw.send(publish("$SYS/broker/uptime", b"x", qos, packet_id=3))
    assert raw.expect_ack(kind, 3) == 0x87


@pytest.mark.parametrize("bad", ["a/#/b", "a#", "#/a", "a+", "+a/b", "a/b+"])
def test_a_filter_with_misplaced_wildcards_is_refused(raw, bad):
    raw.send(subscribe(4, (bad, 0)))
    kind, _, content = raw.read_packet()
    assert (kind == SUBACK and content[-1] == 0x8F) or (kind == 14 and content[0] in (0x81, 0x8F))


def test_a_bad_filter_does_not_spoil_the_others(raw, name):
    topic = name()
    raw.send(subscribe(4, ("a#", 0), (topic, 1)))
    kind, _, content = raw.read_packet()
    if kind == SUBACK:
        assert content[-2:] == b"\x8f\x01"
    else:
        assert kind == 14 and content[0] in (0x81, 0x8F)


def aliased(topic, alias, payload, more=b""):
    """PUBLISH with a topic alias."""
    return publish(topic, payload, properties=b"\x23" + u16(alias) + more)


def test_an_alias_stands_for_a_topic(raw, name):
    first, second = name("1"), name("2")
    assert b"\x22\x00\x10" in raw.connack, "aliases up to 16 are announced"
    raw.subscribe((first, 0), (second, 0))
    raw.send(aliased(first, 16, b"a") + aliased("", 16, b"b") + aliased(second, 16, b"c") + aliased("", 16, b"d"))
    received = [raw.expect_publish() for _ in range(4)]
    assert [(message.topic, message.payload) for message in received] == [
        (first, b"a"), (first, b"b"), (second, b"c"), (second, b"d")]


def test_an_alias_is_not_passed_on_and_other_properties_are(raw, name):
    topic = name()
    raw.subscribe((topic, 0))
    content_type = b"\x03" + text("text/plain")
    raw.send(aliased(topic, 1, b"a", content_type) + aliased("", 1, b"b"))
    assert [raw.expect_publish().properties for _ in range(2)] == [content_type, b""]


@pytest.mark.parametrize("alias, reason", [(0, 0x94), (17, 0x94), (65535, 0x94), (5, 0x82)])
def test_an_alias_that_stands_for_nothing_ends_the_connection(raw, alias, reason):
    raw.send(aliased("", alias, b"x"))
    raw.expect_disconnect(reason)


def test_a_client_that_allows_aliases_gets_the_topic_once(broker, mqtt, name):
    topics, publisher = [name(str(number)) for number in range(3)], mqtt()
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), properties=b"\x22" + u16(2)).subscribe(*[(topic, 0) for topic in topics])
        seen = []
        for topic in topics * 2:
            publisher.publish(topic, b"x", 1)
            message = raw.expect_publish()
            seen.append((message.topic, message.properties))
    first, second = b"\x23\x00\x01", b"\x23\x00\x02"
    assert seen[:3] == [(topics[0], first), (topics[1], second), (topics[2], b"")]
    assert seen[3:] == [("", first), ("", second), (topics[2], b"")]


def test_an_authentication_method_is_refused_with_8c(broker):
    with RawMqtt(broker.mqtt) as raw:
        raw.send(connect("c", properties=b"\x15" + text("SCRAM-SHA-1")))
        assert raw.expect(CONNACK)[:2] == b"\x00\x8c"
        assert raw.read_to_end() == b""


def test_an_auth_packet_is_a_protocol_error(raw):
    raw.send(packet(AUTH, 0, b"\x19\x00"))
    raw.expect_disconnect(0x82)


@pytest.mark.parametrize("level", [0, 1, 2, 6, 255])
def test_an_unsupported_version_is_refused(broker, level):
    with RawMqtt(broker.mqtt) as raw:
        raw.send(connect("c", version=level))
        answer = raw.read_to_end()
    assert answer == b"" or (answer[0] == 0x20 and answer[3] in (0x01, 0x84))


def test_an_empty_client_id_gets_an_assigned_one(mqtt):
    assert mqtt("").connack.AssignedClientIdentifier


def test_a_client_with_an_id_gets_none_assigned(mqtt, name):
    assert not hasattr(mqtt(name()).connack, "AssignedClientIdentifier")


def test_the_session_expiry_is_only_told_when_it_was_changed(mqtt, name):
    assert getattr(mqtt(name(), expiry=60).connack, "SessionExpiryInterval", 60) == 60


def test_without_problem_information_no_reason_strings_are_sent(broker, name):
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), properties=b"\x17\x00")
        raw.send(packet(UNSUBSCRIBE, 2, u16(7) + props() + text("never subscribed")))
        assert raw.expect(UNSUBACK) == u16(7) + props() + b"\x11"


def test_a_password_without_a_user_name_is_allowed_by_version_5(broker):
    with RawMqtt(broker.mqtt) as raw:
        raw.send(connect("c", flags=0x42, rest=text("secret")))
        assert raw.expect(CONNACK)[1] in (0x00, 0x86, 0x87)


def test_a_properly_closed_connection_ends_without_a_packet(raw):
    raw.send(packet(14, 0, b""))
    assert raw.read_to_end() == b""


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x00\x00"])
def test_every_short_form_of_disconnect_is_understood(raw, content):
    raw.send(packet(14, 0, content))
    assert raw.read_to_end() == b""


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x00\x00"])
def test_every_short_form_of_an_acknowledgement_is_understood(broker, raw, mqtt, name, content):
    topic = name()
    raw.subscribe((topic, 1))
    mqtt().publish(topic, b"x", 1)
    raw.send(packet(PUBACK, 0, u16(raw.expect_publish().packet_id) + content)).ping()


def test_a_thousand_user_properties_are_handled_or_refused(raw, name):
    topic = name()
    raw.subscribe((topic, 1))
    pairs = b"".join(b"\x26" + text(f"k{i}") + text("v") for i in range(1000))
    raw.send(publish(topic, b"x", 1, packet_id=2, properties=pairs))
    kind, _, content = raw.read_packet()
    assert kind in (3, PUBACK) or (kind == 14 and content[0] >= 0x80)


def test_messages_left_out_for_their_size_do_not_use_the_room_of_later_ones(broker, mqtt, name):
    """More is left out than may be on its way to one client; the small message has to arrive all the same."""
    topic, publisher = name("topic"), mqtt()
    with RawMqtt(broker.mqtt) as small:
        small.open(name(), properties=b"\x27" + u32(1000)).subscribe((topic, 0))
        for _ in range(60):
            publisher.publish(topic, b"x" * 20_000, 1)
        publisher.publish(topic, b"small", 1)
        assert small.expect_publish().payload == b"small"
