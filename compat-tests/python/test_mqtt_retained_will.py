"""MQTT: retained messages and wills."""

import pytest
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.subscribeoptions import SubscribeOptions

from support.mqtt_client import properties
from support.raw_mqtt import CONNACK, RawMqtt, connect, props, text, u16, u32
from support.waiting import let_time_pass

WITH_WILL = ReasonCode(PacketTypes.DISCONNECT, identifier=0x04)


@pytest.fixture(params=[3, 5], ids=["v3.1.1", "v5"])
def version(request):
    return request.param


@pytest.fixture
def retained(mqtt, name):
    """Retains messages below a topic of the test's own, and clears them afterwards."""
    topics = set()

    def retain(topic, payload, qos=1, version=5, **values):
        topics.add(topic)
        mqtt(version=version).publish(topic, payload, qos, True, **values)

    yield retain
    for topic in topics:
        mqtt().publish(topic, b"", 1, True)


def test_a_retained_message_reaches_later_subscribers(mqtt, name, retained, version):
    topic = name("topic")
    retained(topic, b"kept", version=version)
    client = mqtt(version=version)
    client.subscribe(topic, 1)
    message = client.receive()
    assert (message.payload, message.retain, message.qos) == (b"kept", True, 1)


def test_a_live_message_is_not_marked_retained(mqtt, name, retained, version):
    topic, client = name("topic"), mqtt(version=version)
    client.subscribe(topic, 1)
    retained(topic, b"live")
    assert client.receive().retain is False


def test_a_newer_retained_message_replaces_the_older(mqtt, name, retained):
    topic, client = name("topic"), mqtt()
    retained(topic, b"old")
    retained(topic, b"new")
    client.subscribe(topic, 1)
    client.publish(topic, b"end", 1)
    assert client.payloads(2) == [b"new", b"end"]


def test_a_message_without_the_flag_leaves_the_retained_one_alone(mqtt, name, retained):
    topic, client = name("topic"), mqtt()
    retained(topic, b"kept")
    mqtt().publish(topic, b"passing", 1)
    client.subscribe(topic, 1)
    assert client.receive().payload == b"kept"


def test_an_empty_retained_message_is_delivered_and_clears_the_topic(mqtt, name, retained, version):
    topic, before, after = name("topic"), mqtt(version=version), mqtt(version=version)
    retained(topic, b"kept")
    before.subscribe(topic, 1)
    assert before.receive().payload == b"kept"
    retained(topic, b"")
    assert before.receive().payload == b""
    after.subscribe(topic, 1)
    mqtt().publish(topic, b"first seen", 1)
    assert after.receive().payload == b"first seen"


def test_wildcards_find_retained_messages(mqtt, name, retained):
    base, client = name("base"), mqtt()
    for level in ("a", "b/c", "b/d/e"):
        retained(f"{base}/{level}", level.encode())
    client.subscribe(f"{base}/#", 1)
    assert sorted(client.payloads(3)) == [b"a", b"b/c", b"b/d/e"]
    client.subscribe(f"{base}/b/+", 1)
    assert client.receive().payload == b"b/c"


def test_a_hundred_retained_topics_all_arrive(mqtt, name):
    base, client, publisher = name("base"), mqtt(), mqtt()
    for i in range(100):
        publisher.publish(f"{base}/{i}", b"%d" % i, 1, True)
    client.subscribe(f"{base}/+", 1)
    assert sorted(client.payloads(100), key=int) == [b"%d" % i for i in range(100)]
    for i in range(100):
        publisher.publish(f"{base}/{i}", b"", 1, True)


@pytest.mark.parametrize("kept", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_retained_messages_come_at_the_lower_qos(mqtt, name, retained, kept, granted):
    topic, client = name("topic"), mqtt()
    retained(topic, b"x", kept)
    client.subscribe(topic, granted)
    assert client.receive().qos == min(kept, granted)


def test_retained_messages_keep_their_properties(mqtt, name, retained):
    topic, client = name("topic"), mqtt()
    retained(topic, b"{}", ContentType="application/json", ResponseTopic="answers",
             CorrelationData=b"\0\1", UserProperty=("a", "b"), PayloadFormatIndicator=1)
    client.subscribe(topic, 1)
    received = client.receive().properties
    assert (received.ContentType, received.ResponseTopic) == ("application/json", "answers")
    assert (received.CorrelationData, received.UserProperty) == (b"\0\1", [("a", "b")])
    assert received.PayloadFormatIndicator == 1


def test_subscribing_again_sends_retained_messages_again(mqtt, name, retained, version):
    topic, client = name("topic"), mqtt(version=version)
    retained(topic, b"kept")
    for _ in range(2):
        client.subscribe(topic, 1)
        assert client.receive().payload == b"kept"


@pytest.mark.parametrize("handling, first, second", [(0, True, True), (1, True, False), (2, False, False)])
def test_retain_handling_decides_what_a_subscription_brings(mqtt, name, retained, handling, first, second):
    topic, client = name("topic"), mqtt()
    retained(topic, b"kept")
    for expected in (first, second):
        client.subscribe(topic, options=SubscribeOptions(qos=1, retainHandling=handling))
        client.publish(topic, b"end", 1)
        assert client.payloads(1 + expected) == [b"kept"] * expected + [b"end"]


def test_retain_as_published_keeps_the_flag(mqtt, name, retained):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, options=SubscribeOptions(qos=1, retainAsPublished=True))
    retained(topic, b"flagged")
    mqtt().publish(topic, b"plain", 1)
    assert [m.retain for m in client.receive_many(2)] == [True, False]


def test_a_retained_message_expires(mqtt, name, retained):
    topic, client = name("topic"), mqtt()
    retained(topic, b"short-lived", MessageExpiryInterval=1)
    let_time_pass(2.2)
    client.subscribe(topic, 1)
    client.publish(topic, b"end", 1)
    assert client.receive().payload == b"end"


def test_the_remaining_expiry_of_a_retained_message_is_told(mqtt, name, retained):
    topic, client = name("topic"), mqtt()
    retained(topic, b"x", MessageExpiryInterval=100)
    let_time_pass(1.2)
    client.subscribe(topic, 1)
    assert 95 <= client.receive().properties.MessageExpiryInterval <= 99


@pytest.fixture
def will(mqtt, name):
    """Connects clients whose will goes to `topic`, with a watcher subscribed to it."""
    topic, watcher = name("will"), mqtt()
    watcher.subscribe(f"{topic}/#", 2)

    def connect_with_will(client_id="", payload=b"gone", qos=1, retain=False, delay=None, values=None, **options):
        made = properties("WILLMESSAGE", **(values or {}))
        if delay is not None:
            made.WillDelayInterval = delay
        message = {"topic": topic, "payload": payload, "qos": qos, "retain": retain}
        if options.get("version", 5) == 5:
            message["properties"] = made
        return mqtt(client_id, will=message, **options)

    connect_with_will.topic, connect_with_will.watcher = topic, watcher
    return connect_with_will


def test_a_vanished_client_leaves_its_will(will, version):
    will(version=version).vanish()
    message = will.watcher.receive()
    assert (message.topic, message.payload, message.qos) == (will.topic, b"gone", 1)


def test_a_clean_disconnect_withdraws_the_will(will, mqtt, version):
    will(version=version).disconnect()
    mqtt().publish(will.topic, b"end", 1)
    assert will.watcher.receive().payload == b"end"


def test_disconnect_with_will_leaves_it(will):
    will().disconnect(WITH_WILL)
    assert will.watcher.receive().payload == b"gone"


def test_a_protocol_error_leaves_the_will(broker, will, name):
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), flags=0x06, rest=props() + text(will.topic) + text("error"))
        raw.send(connect("second connect"))
        raw.read_to_end()
    assert will.watcher.receive().payload == b"error"


def test_a_keep_alive_timeout_leaves_the_will(broker, will, name):
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), flags=0x06, keep_alive=1, rest=props() + text(will.topic) + text("silent"))
        assert will.watcher.receive().payload == b"silent"


def test_a_retained_will_is_retained(will, mqtt):
    will(retain=True).vanish()
    will.watcher.receive()
    later = mqtt()
    later.subscribe(will.topic, 1)
    message = later.receive()
    assert (message.payload, message.retain) == (b"gone", True)
    mqtt().publish(will.topic, b"", 1, True)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_will_has_its_own_qos(will, qos):
    will(qos=qos).vanish()
    assert will.watcher.receive().qos == qos


def test_a_will_brings_its_properties(will):
    will(values={"ContentType": "text/plain", "UserProperty": ("why", "gone")}).vanish()
    received = will.watcher.receive().properties
    assert (received.ContentType, received.UserProperty) == ("text/plain", [("why", "gone")])


def test_a_delayed_will_comes_after_its_delay(will, mqtt):
    will(delay=1, expiry=3600).vanish()
    mqtt().publish(will.topic, b"before", 1)
    assert will.watcher.payloads(2) == [b"before", b"gone"]


def test_coming_back_in_time_withdraws_a_delayed_will(will, mqtt, name):
    client_id = name()
    will(client_id, delay=2, expiry=3600).vanish()
    back = mqtt(client_id, clean=False, expiry=3600)
    assert back.session_present is True
    let_time_pass(2.5)
    mqtt().publish(will.topic, b"end", 1)
    assert will.watcher.receive().payload == b"end"


def test_a_delayed_will_comes_when_the_session_ends_before_the_delay(will):
    will(delay=3600, expiry=1).vanish()
    assert will.watcher.receive().payload == b"gone"


def test_a_will_without_a_session_comes_at_once_whatever_its_delay(will):
    will(delay=3600).vanish()
    assert will.watcher.receive(3).payload == b"gone"


def test_a_clean_start_ends_the_session_and_sends_its_delayed_will(will, mqtt, name):
    client_id = name()
    will(client_id, delay=3600, expiry=3600).vanish()
    mqtt(client_id, clean=True)
    assert will.watcher.receive().payload == b"gone"


def test_a_take_over_publishes_the_will_of_the_old_connection(will, mqtt, name):
    client_id = name()
    will(client_id)
    mqtt(client_id)
    assert will.watcher.receive().payload == b"gone"


def test_the_will_of_a_refused_connect_is_not_kept(broker, will, mqtt, name):
    login = props() + text(will.topic) + text("never") + text("guest") + text("wrong password")
    with RawMqtt(broker.mqtt) as raw:
        raw.send(connect(name(), flags=0xC6, rest=login))
        assert raw.expect(CONNACK)[1] == 0x86
    mqtt().publish(will.topic, b"end", 1)
    assert will.watcher.receive().payload == b"end"


def test_a_raw_will_with_a_delay_property_is_understood(broker, will, name):
    delayed = props(b"\x18" + u32(0) + b"\x01\x01")
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), flags=0x06, rest=delayed + text(will.topic) + u16(3) + b"raw")
    message = will.watcher.receive()
    assert (message.payload, message.properties.PayloadFormatIndicator) == (b"raw", 1)
