"""kill -9: what was promised is there afterwards, what was settled is not."""

import pika
import pytest
from paho.mqtt.subscribeoptions import SubscribeOptions
from pika import spec

from support.accounts import EVERYTHING, Account
from support.amqp_client import PERSISTENT, confirm, connect, counts, drain, fill, get_one
from support.broker import Broker
from support.management import Management
from support.mqtt_client import MqttClient
from support.raw_amqp import RawAmqp, method, publish
from support.raw_mqtt import PUBACK, PUBCOMP, PUBREC, PUBREL, RawMqtt, ack, u32
from support.raw_mqtt import publish as mqtt_publish
from support.waiting import eventually, let_time_pass

pytestmark = pytest.mark.own_process
SESSION = {"properties": b"\x11" + u32(3600)}


@pytest.fixture
def killed_twice(own_broker):
    """kill -9, restart, kill -9 at once, restart: some brokers lose at the second restart only."""
    def kill():
        own_broker.kill_and_restart()
        return own_broker.kill_and_restart()

    return kill


def amqp(broker):
    return connect(broker.amqp)


def client(broker, client_id="", **options):
    return MqttClient(broker.mqtt, client_id, **options).connect()


def away(broker, client_id, topic, qos=1):
    """A persistent session with one subscription, its client gone."""
    subscriber = client(broker, client_id, clean=False, expiry=3600)
    subscriber.subscribe(topic, qos)
    subscriber.disconnect()


def back(broker, client_id):
    """The client of a persistent session again."""
    again = client(broker, client_id, clean=False, expiry=3600)
    assert again.session_present is True
    return again


def test_confirmed_persistent_messages_survive_in_order(own_broker, killed_twice):
    channel, bodies = amqp(own_broker).channel(), [b"%d" % i for i in range(300)]
    channel.queue_declare("q", durable=True)
    fill(channel, "q", bodies, PERSISTENT)
    killed_twice()
    assert drain(amqp(own_broker).channel(), "q") == bodies


def test_messages_keep_their_properties_and_routing_facts(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    channel.queue_declare("q", durable=True)
    channel.queue_bind("q", "amq.topic", "a.#")
    sent = pika.BasicProperties(delivery_mode=2, content_type="t", headers={"a": [1, {"b": None}]}, message_id="m")
    confirm(channel)
    channel.basic_publish("amq.topic", "a.b", b"x" * 300_000, sent)
    killed_twice()
    method_, properties, body = get_one(amqp(own_broker).channel(), "q")
    assert (method_.exchange, method_.routing_key, body) == ("amq.topic", "a.b", b"x" * 300_000)
    assert vars(properties) == vars(sent)


def test_durable_declarations_survive_and_others_do_not(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    channel.exchange_declare("durable", "fanout", durable=True)
    channel.exchange_declare("inner", "fanout", durable=True)
    channel.exchange_declare("transient", "fanout")
    channel.queue_declare("kept", durable=True)
    channel.queue_declare("lost")
    channel.exchange_bind("inner", "durable")
    channel.queue_bind("kept", "inner")
    killed_twice()
    connection = amqp(own_broker)
    channel = connection.channel()
    channel.exchange_declare("durable", "fanout", durable=True)
    fill_exchange(channel, "durable")
    assert drain(channel, "kept") == [b"routed"]
    for declare in (lambda c: c.queue_declare("lost", passive=True),
                    lambda c: c.exchange_declare("transient", passive=True)):
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
            declare(connection.channel())
        assert caught.value.reply_code == 404


def fill_exchange(channel, exchange):
    confirm(channel)
    channel.basic_publish(exchange, "", b"routed", PERSISTENT)


def test_what_was_deleted_unbound_or_purged_does_not_come_back(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    for queue in ("deleted", "purged", "unbound"):
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, "amq.fanout")
    channel.exchange_declare("gone", "fanout", durable=True)
    fill_exchange(channel, "amq.fanout")
    channel.queue_delete("deleted")
    channel.queue_purge("purged")
    channel.queue_unbind("unbound", "amq.fanout")
    channel.exchange_delete("gone")
    killed_twice()
    connection = amqp(own_broker)
    assert counts(connection, "purged") == (0, 0)
    channel = connection.channel()
    fill_exchange(channel, "amq.fanout")
    assert drain(channel, "unbound") == [b"routed"]
    for passive in (lambda c: c.queue_declare("deleted", passive=True),
                    lambda c: c.exchange_declare("gone", passive=True)):
        with pytest.raises(pika.exceptions.ChannelClosedByBroker):
            passive(connection.channel())


def test_acknowledged_messages_do_not_come_back(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    channel.queue_declare("q", durable=True)
    fill(channel, "q", [b"%d" % i for i in range(10)], PERSISTENT)
    for _ in range(4):
        tag = get_one(channel, "q", auto_ack=False)[0].delivery_tag
    channel.basic_ack(tag, multiple=True)
    fill(channel, "q", [b"behind the acknowledgement"], PERSISTENT)
    killed_twice()
    expected = [b"%d" % i for i in range(4, 10)] + [b"behind the acknowledgement"]
    assert drain(amqp(own_broker).channel(), "q") == expected


def test_dead_letters_survive_at_their_new_place_only(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    channel.queue_declare("grave", durable=True)
    channel.queue_declare("q", durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave"})
    fill(channel, "q", [b"%d" % i for i in range(5)], PERSISTENT)
    for _ in range(3):
        channel.basic_reject(get_one(channel, "q", auto_ack=False)[0].delivery_tag, requeue=False)
    eventually(lambda: counts(amqp(own_broker), "grave")[0] == 3, "they are buried")
    fill(channel, "q", [b"behind"], PERSISTENT)
    killed_twice()
    channel = amqp(own_broker).channel()
    assert drain(channel, "grave") == [b"0", b"1", b"2"]
    assert drain(channel, "q") == [b"3", b"4", b"behind"]


def test_a_time_to_live_goes_on_over_a_restart(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    channel.queue_declare("grave", durable=True)
    channel.queue_declare("q", durable=True, arguments={
        "x-message-ttl": 1000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave"})
    fill(channel, "q", [b"x"], PERSISTENT)
    killed_twice()
    eventually(lambda: counts(amqp(own_broker), "grave")[0] == 1, "it expires")
    assert counts(amqp(own_broker), "q") == (0, 0)


def test_redelivered_is_set_on_what_was_delivered_and_on_nothing_else(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    channel.queue_declare("q", durable=True)
    fill(channel, "q", [b"%d" % i for i in range(5)], PERSISTENT)
    for _ in range(3):
        get_one(channel, "q", auto_ack=False)
    fill(channel, "q", [b"behind"], PERSISTENT)
    killed_twice()
    channel = amqp(own_broker).channel()
    taken = [get_one(channel, "q") for _ in range(6)]
    assert [body for _, _, body in taken] == [b"0", b"1", b"2", b"3", b"4", b"behind"]
    assert [m.redelivered for m, _, _ in taken] == [True, True, True, False, False, False]


def test_one_persistent_message_survives_in_each_of_its_queues(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    for queue in ("a", "b", "c"):
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, "amq.fanout")
    fill_exchange(channel, "amq.fanout")
    assert get_one(channel, "b")
    fill(channel, "c", [b"behind"], PERSISTENT)
    killed_twice()
    channel = amqp(own_broker).channel()
    assert [drain(channel, queue) for queue in ("a", "b", "c")] == [[b"routed"], [], [b"routed", b"behind"]]


@pytest.mark.parametrize("qos", [1, 2])
def test_acknowledged_publishes_survive_in_persistent_sessions(own_broker, killed_twice, qos):
    away(own_broker, "s", "t/#", 2)
    publisher = client(own_broker)
    for i in range(100):
        publisher.publish("t/x", b"%d" % i, qos)
    killed_twice()
    assert back(own_broker, "s").payloads(100) == [b"%d" % i for i in range(100)]


def test_an_acknowledged_mqtt_publish_survives_in_a_durable_amqp_queue(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    channel.queue_declare("q", durable=True)
    channel.queue_bind("q", "amq.topic", "t.*")
    client(own_broker).publish("t/x", b"across", 1)
    killed_twice()
    assert drain(amqp(own_broker).channel(), "q") == [b"across"]


def test_a_confirmed_amqp_publish_survives_in_a_persistent_session(own_broker, killed_twice):
    away(own_broker, "s", "t/+")
    channel = amqp(own_broker).channel()
    confirm(channel)
    channel.basic_publish("amq.topic", "t.x", b"across", PERSISTENT)
    killed_twice()
    assert back(own_broker, "s").receive().payload == b"across"


def test_a_qos_2_publish_is_not_doubled_by_a_kill_after_pubrec(own_broker, killed_twice):
    away(own_broker, "s", "t", 2)
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("p", **SESSION).send(mqtt_publish("t", b"once", 2, packet_id=7)).expect_ack(PUBREC, 7)
    killed_twice()
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("p", True, flags=0, **SESSION)
        raw.send(mqtt_publish("t", b"once", 2, packet_id=7, dup=True)).expect_ack(PUBREC, 7)
        raw.send(ack(PUBREL, 7)).expect_ack(PUBCOMP, 7)
        raw.send(mqtt_publish("t", b"last", 2, packet_id=7)).expect_ack(PUBREC, 7)
        raw.send(ack(PUBREL, 7)).expect_ack(PUBCOMP, 7)
    assert back(own_broker, "s").payloads(2) == [b"once", b"last"]


def test_after_pubrec_from_the_subscriber_only_pubrel_comes_again(own_broker, killed_twice):
    away(own_broker, "s", "t", 2)
    client(own_broker).publish("t", b"x", 2)
    with RawMqtt(own_broker.mqtt) as raw:
        packet_id = raw.open("s", True, flags=0, **SESSION).expect_publish().packet_id
        raw.send(ack(PUBREC, packet_id)).expect_ack(PUBREL, packet_id)
    killed_twice()
    with RawMqtt(own_broker.mqtt) as raw:
        raw.open("s", True, flags=0, **SESSION).expect_ack(PUBREL, packet_id)


def test_an_unacknowledged_delivery_comes_again_with_its_packet_id(own_broker, killed_twice):
    away(own_broker, "s", "t", 1)
    away(own_broker, "other", "elsewhere", 1)
    client(own_broker).publish("t", b"x", 1)
    with RawMqtt(own_broker.mqtt) as raw:
        first = raw.open("s", True, flags=0, **SESSION).expect_publish()
        raw.send(mqtt_publish("elsewhere", b"behind", 1, packet_id=1)).expect_ack(PUBACK, 1)
    killed_twice()
    with RawMqtt(own_broker.mqtt) as raw:
        again = raw.open("s", True, flags=0, **SESSION).expect_publish()
    assert (again.payload, again.packet_id, again.dup) == (b"x", first.packet_id, True)


def test_retained_messages_survive_and_cleared_ones_do_not(own_broker, killed_twice):
    publisher = client(own_broker)
    publisher.publish("r/kept", b"new", 1, True, ContentType="text/plain")
    publisher.publish("r/changed", b"old", 1, True)
    publisher.publish("r/changed", b"new", 1, True)
    publisher.publish("r/cleared", b"old", 1, True)
    publisher.publish("r/cleared", b"", 1, True)
    killed_twice()
    watcher = client(own_broker)
    watcher.subscribe("r/#", 1)
    found = {m.topic: m for m in watcher.receive_many(2)}
    assert {topic: m.payload for topic, m in found.items()} == {"r/kept": b"new", "r/changed": b"new"}
    assert found["r/kept"].properties.ContentType == "text/plain"
    watcher.publish("r/end", b"end", 1)
    assert watcher.receive().payload == b"end"


def test_subscriptions_survive_with_their_options(own_broker, killed_twice):
    subscriber = client(own_broker, "s", clean=False, expiry=3600)
    subscriber.subscribe("a", 1, identifier=7)
    subscriber.subscribe("b", options=SubscribeOptions(qos=1, retainAsPublished=True))
    subscriber.subscribe("c", 1)
    subscriber.unsubscribe("c")
    subscriber.disconnect()
    killed_twice()
    publisher = client(own_broker)
    for topic in ("c", "a", "b"):
        publisher.publish(topic, topic.encode(), 1, topic == "b")
    first, second = back(own_broker, "s").receive_many(2)
    assert (first.topic, first.properties.SubscriptionIdentifier) == ("a", [7])
    assert (second.topic, second.retain) == ("b", True)


def test_sessions_that_ended_do_not_come_back(own_broker, killed_twice):
    away(own_broker, "ended", "t")
    client(own_broker, "ended", clean=True).disconnect()
    client(own_broker, "short", clean=False, expiry=1).disconnect()
    away(own_broker, "kept", "t")
    killed_twice()
    let_time_pass(1.5)
    for client_id in ("ended", "short"):
        assert client(own_broker, client_id, clean=False).session_present is False
    back(own_broker, "kept")


def test_exclusive_and_auto_delete_leftovers_are_gone(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    channel.queue_declare("exclusive", durable=True, exclusive=True)
    killed_twice()
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
        amqp(own_broker).channel().queue_declare("exclusive", passive=True)
    assert caught.value.reply_code == 404


def test_confirms_of_one_burst_before_the_kill_all_count(own_broker):
    with RawAmqp(own_broker.amqp) as raw:
        raw.open().declare("q", durable=True)
        raw.call(1, spec.Confirm.Select(), spec.Confirm.SelectOk)
        raw.send(b"".join(publish(1, "", "q", b"%d" % i, PERSISTENT) for i in range(1000)))
        highest = 0
        while highest < 500:
            highest = raw.expect(spec.Basic.Ack).delivery_tag
        own_broker.kill()
    own_broker.start()
    survived = drain(amqp(own_broker).channel(), "q")
    assert survived == [b"%d" % i for i in range(len(survived))]
    assert len(survived) >= highest


def test_acknowledgements_before_an_orderly_close_survive(own_broker, killed_twice):
    channel = amqp(own_broker).channel()
    channel.queue_declare("q", durable=True)
    fill(channel, "q", [b"1", b"2"], PERSISTENT)
    with RawAmqp(own_broker.amqp) as raw:
        raw.open().call(1, spec.Basic.Get(queue="q"), spec.Basic.GetOk)
        raw.send(method(1, spec.Basic.Ack(1)) + method(0, spec.Connection.Close(200, "", 0, 0)))
        for _ in range(2):
            raw.read_frame()
        raw.expect(spec.Connection.CloseOk)
    fill(channel, "q", [b"behind"], PERSISTENT)
    killed_twice()
    assert drain(amqp(own_broker).channel(), "q") == [b"2", b"behind"]


def test_a_first_start_that_was_interrupted_is_finished_by_the_next(own_broker, tmp_path):
    """Whatever part of its first records is on disk, guest may log in and work."""
    channel = amqp(own_broker).channel()
    channel.queue_declare("q", durable=True)
    own_broker.kill()
    [log] = own_broker.data.glob("*.log")
    records = log.read_bytes().rstrip(b"\0")
    identity = (own_broker.data / "identity").read_bytes()
    for length in range(0, len(records), 50):
        cut = Broker(tmp_path / str(length))
        cut.data.mkdir(parents=True)
        (cut.data / "identity").write_bytes(identity)
        (cut.data / log.name).write_bytes(records[:length])
        try:
            amqp(cut.start()).channel().queue_declare("q", durable=True)
        finally:
            cut.stop()


def test_a_guest_that_was_deleted_does_not_come_back(own_broker, killed_twice):
    management = Management(own_broker.http)
    Account(management, own_broker.amqp, "other", tags="administrator", **EVERYTHING)
    assert management.delete("users/guest").status_code == 204
    killed_twice()
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        amqp(own_broker)
    assert Management(own_broker.http, "other", "secret").get("users/guest").status_code == 404
