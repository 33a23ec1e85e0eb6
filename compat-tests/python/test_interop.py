"""One core: what one protocol publishes, the other receives, with its properties."""

import pika
import pytest

from support.amqp_client import Collector, drain, get_one


@pytest.fixture
def bound(channel):
    """Binds a new queue to amq.topic: its name."""
    def bind(*patterns):
        queue = channel.queue_declare("", exclusive=True).method.queue
        for pattern in patterns:
            channel.queue_bind(queue, "amq.topic", pattern)
        return queue

    return bind


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_an_mqtt_publish_reaches_a_queue_bound_to_amq_topic(channel, bound, mqtt, name, version, qos):
    room = name("room")
    queue = bound(f"sensors.{room}.*.temp")
    mqtt(version=version).publish(f"sensors/{room}/7/temp", b"21.5", qos)
    method, _, body = get_one(channel, queue)
    assert (method.exchange, method.routing_key, body) == ("amq.topic", f"sensors.{room}.7.temp", b"21.5")


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("pattern", ["sensors/{0}/+/temp", "sensors/{0}/#", "sensors/{0}/7/temp"])
def test_an_amqp_publish_to_amq_topic_reaches_mqtt_subscribers(channel, mqtt, name, version, pattern):
    room, client = name("room"), mqtt(version=version)
    client.subscribe(pattern.format(room), 1)
    channel.basic_publish("amq.topic", f"sensors.{room}.7.temp", b"22", pika.BasicProperties(delivery_mode=2))
    message = client.receive()
    assert (message.topic, message.payload, message.retain) == (f"sensors/{room}/7/temp", b"22", False)


def test_a_publish_to_another_exchange_does_not_reach_mqtt(channel, mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, 1)
    channel.basic_publish("amq.direct", topic, b"not for MQTT")
    channel.basic_publish("amq.topic", topic, b"for MQTT")
    assert client.receive().payload == b"for MQTT"


def test_both_kinds_of_subscriber_get_their_copy(channel, bound, mqtt, name):
    topic, client = name("topic"), mqtt()
    queue = bound(topic)
    client.subscribe(topic, 1)
    mqtt().publish(topic, b"both", 1)
    assert client.receive().payload == b"both"
    assert get_one(channel, queue)[2] == b"both"


def test_a_queue_with_two_matching_bindings_gets_one_copy_of_an_mqtt_message(channel, bound, mqtt, name):
    topic = name("topic")
    queue = bound(f"{topic}.#", f"{topic}.*")
    client = mqtt()
    client.publish(f"{topic}/x", b"once", 1)
    client.publish(f"{topic}/x", b"last", 1)
    get_one(channel, queue)
    assert drain(channel, queue) == [b"last"]


def test_mqtt_properties_arrive_in_amqp(channel, bound, mqtt, name):
    topic = name("topic")
    queue = bound(topic)
    mqtt().publish(topic, b"{}", 1, ContentType="application/json", CorrelationData=b"corr-1",
                   ResponseTopic="answers", UserProperty=[("unit", "C"), ("site", "é")], MessageExpiryInterval=60)
    _, properties, _ = get_one(channel, queue)
    assert properties.content_type == "application/json"
    assert properties.correlation_id == "corr-1"
    assert properties.reply_to == "answers"
    assert {key: properties.headers[key] for key in ("unit", "site")} == {"unit": "C", "site": "é"}
    assert 55_000 <= int(properties.expiration) <= 60_000


def test_amqp_properties_arrive_in_mqtt(channel, mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, 1)
    channel.basic_publish("amq.topic", topic, b"{}", pika.BasicProperties(
        content_type="application/json", correlation_id="corr-1", reply_to="answers",
        expiration="60000", headers={"unit": "C", "site": "é"}, delivery_mode=2))
    received = client.receive().properties
    assert (received.ContentType, received.CorrelationData) == ("application/json", b"corr-1")
    assert received.ResponseTopic == "answers"
    assert {("unit", "C"), ("site", "é")} <= set(received.UserProperty)
    assert 55 <= received.MessageExpiryInterval <= 60


def test_amqp_headers_of_every_type_do_not_disturb_mqtt(channel, mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, 1)
    headers = {"number": 7, "table": {"a": [1, None]}, "bytes": b"\xff", "flag": True, "text": "kept"}
    channel.basic_publish("amq.topic", topic, b"x", pika.BasicProperties(headers=headers))
    message = client.receive()
    assert message.payload == b"x" and ("text", "kept") in message.properties.UserProperty


def test_a_message_without_properties_has_none_on_the_other_side(channel, bound, mqtt, name):
    topic = name("topic")
    queue = bound(topic)
    mqtt(version=3).publish(topic, b"bare", 0)
    _, properties, _ = get_one(channel, queue)
    assert (properties.content_type, properties.correlation_id, properties.reply_to) == (None, None, None)


def test_a_binary_correlation_arrives_or_is_left_out_but_breaks_nothing(channel, bound, mqtt, name):
    topic = name("topic")
    queue = bound(topic)
    mqtt().publish(topic, b"x", 1, CorrelationData=b"\xff\x00\xfe", ResponseTopic="a/b/c")
    assert get_one(channel, queue)[2] == b"x"


def test_amqp_messages_wait_in_an_mqtt_session(channel, mqtt, name):
    topic, client_id = name("topic"), name()
    client = mqtt(client_id, clean=False, expiry=3600)
    client.subscribe(topic, 1)
    client.disconnect()
    channel.confirm_delivery()
    for i in range(20):
        channel.basic_publish("amq.topic", topic, b"%d" % i, pika.BasicProperties(delivery_mode=2))
    assert mqtt(client_id, clean=False, expiry=3600).payloads(20) == [b"%d" % i for i in range(20)]


def test_an_mqtt_session_is_a_core_queue(channel, mqtt, management, name):
    topic, client_id = name("topic"), name()
    client = mqtt(client_id, clean=False, expiry=3600)
    client.subscribe(topic, 1)
    client.disconnect()
    channel.confirm_delivery()
    channel.basic_publish("amq.topic", topic, b"waiting", pika.BasicProperties(delivery_mode=2))
    queue = management.wait_for_queue(f"mqtt.{client_id}", messages_ready=1)
    assert queue["consumers"] == 0
    mqtt(client_id, clean=True)
    assert management.queue(f"mqtt.{client_id}") is None or management.queue(f"mqtt.{client_id}")["messages"] == 0


def test_a_mandatory_publish_is_routed_when_only_mqtt_listens(channel, mqtt, name):
    topic, client = name("topic"), mqtt()
    client.subscribe(topic, 1)
    channel.confirm_delivery()
    channel.basic_publish("amq.topic", topic, b"routed", mandatory=True)
    assert client.receive().payload == b"routed"


def test_a_large_message_crosses_whole_in_both_directions(channel, bound, mqtt, name):
    topic, back, body, client = name("topic"), name("back"), b"0123456789abcdef" * 50_000, mqtt()
    queue = bound(topic)
    client.subscribe(back, 1)
    client.publish(topic, body, 1)
    assert get_one(channel, queue)[2] == body
    channel.basic_publish("amq.topic", back, body)
    assert client.receive().payload == body


def test_a_retained_message_reaches_a_bound_queue_when_it_is_published(channel, bound, mqtt, name):
    topic, client = name("topic"), mqtt()
    queue = bound(topic)
    client.publish(topic, b"kept", 1, True)
    assert get_one(channel, queue)[2] == b"kept"
    client.publish(topic, b"", 1, True)


def test_a_will_reaches_a_bound_queue(channel, bound, mqtt, name):
    topic = name("will")
    queue = bound(topic)
    mqtt(will={"topic": topic, "payload": b"gone", "qos": 1}).vanish()
    assert get_one(channel, queue)[2] == b"gone"


def test_order_is_kept_across_the_protocols(amqp, mqtt, name):
    topic, publisher, channel = name("topic"), mqtt(), amqp().channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "amq.topic", topic)
    collector = Collector(channel, queue, auto_ack=True)
    for i in range(500):
        publisher.publish_soon(topic, b"%d" % i, 1)
    collector.wait_for(500)
    assert collector.bodies() == [b"%d" % i for i in range(500)]


def test_one_client_library_answers_a_request_of_the_other(channel, mqtt, name):
    requests, replies, client = name("requests"), name("replies"), mqtt()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "amq.topic", requests)
    client.subscribe(replies, 1)
    client.publish(requests, b"ping", 1, ResponseTopic=replies, CorrelationData=b"42")
    _, asked, _ = get_one(channel, queue)
    channel.basic_publish("amq.topic", asked.reply_to, b"pong",
                          pika.BasicProperties(correlation_id=asked.correlation_id))
    answer = client.receive()
    assert (answer.payload, answer.properties.CorrelationData) == (b"pong", b"42")
