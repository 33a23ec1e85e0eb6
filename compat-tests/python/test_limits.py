"""Every limit of the node: at the limit all is well, one past it is refused in the words of the protocol, and counted.

Those of vhosts and users are in `test_amqp_limits.py`, those of MQTT sessions in `test_mqtt_limits.py`, those of what waits
for a client in `test_delivery_limits.py`.
"""

import socket

import pytest
import requests
from pika import spec

from support.accounts import refusal_of_open
from support.amqp_client import close_of_channel, close_of_connection, connect
from support.management import Management
from support.metrics import scrape
from support.mqtt_client import MqttClient
from support.raw_amqp import BODY, METHOD, RawAmqp, frame, header, method, publish as amqp_publish
from support.raw_mqtt import (
    CONNACK, PUBACK, PUBLISH, UNSUBACK, RawMqtt, connect as mqtt_connect, props, publish, text, u16, unsubscribe,
)
from support.raw_websocket import WebMqtt
from support.waiting import eventually

pytestmark = pytest.mark.own_process
QUOTA_EXCEEDED, RATE_EXCEEDED, PACKET_TOO_LARGE = 0x97, 0x9F, 0x95
TOPIC_FILTER_INVALID, TOPIC_NAME_INVALID, CLIENT_ID_INVALID = 0x8F, 0x90, 0x85


def gauge(broker, name, limit):
    """A series of a limit; those are not RabbitMQ's and have a prefix of their own."""
    return scrape(broker).series.get((f"leveret_{name}", frozenset({("limit", limit)})))


def refusals(broker, limit):
    """How often a limit was in the way."""
    return gauge(broker, "limit_refusals_total", limit)


def refused_amqp(broker, words):
    """An AMQP client is told at connection.open."""
    assert words in str(refusal_of_open(lambda: connect(broker.amqp)))


def connack(broker):
    """The reason code of a CONNACK."""
    with RawMqtt(broker.mqtt) as raw:
        return raw.send(mqtt_connect("")).expect(CONNACK)[1]


def eventually_refused(broker, limit, count):
    """Waits until so many were refused."""
    eventually(lambda: refusals(broker, limit) == count, f"{count} refusals of {limit}")


def connections_max(start_with, limit):
    broker = start_with(**{limit: 2})
    kept = [connect(broker.amqp), MqttClient(broker.mqtt).connect()]
    assert (gauge(broker, "limit_used", limit), gauge(broker, "limit_max", limit)) == (2, 2)
    # Whoever looked whether the broker has started may have been one too many.
    before = refusals(broker, limit)
    refused_amqp(broker, "connection refused: node connection limit (2) is reached")
    assert connack(broker) == QUOTA_EXCEEDED
    assert refusals(broker, limit) == before + 2
    kept[1].stop()
    kept[0].close()


def connections_per_address_max(start_with, limit):
    broker = start_with(**{limit: 2})
    first, _second = connect(broker.amqp), connect(broker.amqp)
    refused_amqp(broker, "connection refused: connection limit of the client's address (2) is reached")
    assert connack(broker) == QUOTA_EXCEEDED
    elsewhere = socket.create_connection(broker.mqtt, source_address=("127.0.0.2", 0))
    elsewhere.sendall(mqtt_connect("elsewhere"))
    assert elsewhere.recv(4)[0] == CONNACK << 4 and elsewhere.recv(4)
    first.close()
    eventually(lambda: not refusal(broker), "a place")
    assert refusals(broker, limit) >= 2


def refusal(broker):
    """Whether an MQTT client is refused."""
    return connack(broker) != 0


def connection_rate_max(start_with, limit):
    broker = start_with(**{limit: 5})
    codes = [connack(broker) for _ in range(12)]
    # It may have become another second once, or twice on a busy machine.
    assert codes[0] == 0 and set(codes) == {0, RATE_EXCEEDED}
    assert refusals(broker, limit) == codes.count(RATE_EXCEEDED)
    eventually(lambda: connack(broker) == 0, "another second")


def channels_max(start_with, limit):
    broker = start_with(**{limit: 3})
    one, other = connect(broker.amqp), connect(broker.amqp)
    kept = [one.channel(), one.channel(), other.channel()]
    assert gauge(broker, "limit_used", limit) == 3
    words = "NOT_ALLOWED - number of channels opened on the node has reached the maximum allowed limit of (3)"
    assert close_of_connection(other.channel) == (530, words)
    eventually(lambda: gauge(broker, "limit_used", limit) == 2, "its channel is gone")
    assert one.channel().is_open and kept[0].is_open
    assert refusals(broker, limit) == 1


def amqp_consumers_max(start_with, limit):
    broker = start_with(**{limit: 2})
    connection = connect(broker.amqp)
    channel = connection.channel()
    channel.queue_declare("q")
    for _ in range(2):
        channel.basic_consume("q", lambda *_: None)
    words = "NOT_ALLOWED - reached maximum (2) of consumers per channel"
    assert close_of_connection(lambda: channel.basic_consume("q", lambda *_: None)) == (530, words)
    assert refusals(broker, limit) == 1


def queues_max(start_with, limit):
    broker = start_with(**{limit: 2})
    connection = connect(broker.amqp)
    channel = connection.channel()
    channel.queue_declare("a", durable=True)
    channel.queue_declare("b")
    channel.queue_declare("b")
    words = "PRECONDITION_FAILED - queue limit of the node (2) is reached"
    assert close_of_channel(lambda: connection.channel().queue_declare("c")) == (406, words)
    assert connack(broker) == QUOTA_EXCEEDED
    answer = Management(broker.http).put("queues/%2F/c", {})
    assert (answer.status_code, answer.json()["reason"]) == (400, "queue limit of the node (2) is reached")
    assert refusals(broker, limit) == 3 and gauge(broker, "limit_used", limit) == 2
    channel.queue_delete("b")
    assert connack(broker) == 0
    broker.kill_and_restart()
    connect(broker.amqp).channel().queue_declare("a", passive=True)


def exchanges_max(start_with, limit):
    broker = start_with(**{limit: 1})
    connection = connect(broker.amqp)
    connection.channel().exchange_declare("a")
    connection.channel().exchange_declare("a")
    words = "PRECONDITION_FAILED - exchange limit of the node (1) is reached"
    assert close_of_channel(lambda: connection.channel().exchange_declare("b")) == (406, words)
    assert refusals(broker, limit) == 1 and gauge(broker, "limit_used", limit) == 1


def bindings_max(start_with, limit):
    broker = start_with(**{limit: 2})
    connection = connect(broker.amqp)
    channel = connection.channel()
    channel.queue_declare("q")
    for key in ("1", "2", "2"):
        channel.queue_bind("q", "amq.direct", key)
    words = "PRECONDITION_FAILED - binding limit of the node (2) is reached"
    assert close_of_channel(lambda: channel.queue_bind("q", "amq.direct", "3")) == (406, words)
    with RawMqtt(broker.mqtt) as raw:
        assert raw.open("").subscribe(("t", 1)) == bytes([QUOTA_EXCEEDED])
        connection.channel().queue_unbind("q", "amq.direct", "1")
        assert raw.subscribe(("t", 1), ("u", 1)) == bytes([1, QUOTA_EXCEEDED])
    assert refusals(broker, limit) == 3


def bindings_per_destination_max(start_with, limit):
    broker = start_with(**{limit: 1})
    connection = connect(broker.amqp)
    channel = connection.channel()
    words = "PRECONDITION_FAILED - binding limit of a queue or an exchange (1) is reached"
    for queue in ("q", "r"):
        channel.queue_declare(queue)
        channel.queue_bind(queue, "amq.direct", "1")
    assert close_of_channel(lambda: connection.channel().queue_bind("q", "amq.fanout")) == (406, words)
    channel.exchange_bind("amq.direct", "amq.fanout")
    assert close_of_channel(lambda: connection.channel().exchange_bind("amq.direct", "amq.topic")) == (406, words)
    assert refusals(broker, limit) == 2


def handshake_timeout(start_with, limit):
    broker = start_with(**{limit: 300})
    for number, address in enumerate((broker.amqp, broker.mqtt), 1):
        silent = socket.create_connection(address, timeout=10)
        assert silent.recv(1) == b""
        eventually_refused(broker, limit, number)


def message_size_max(start_with, limit):
    broker = start_with(**{limit: 1000})
    connection = connect(broker.amqp)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish("", "nowhere", b"x" * 1000)
    code, words = close_of_channel(lambda: channel.basic_publish("", "nowhere", b"x" * 1001))
    assert (code, words) == (
        406, "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000")
    body = {"properties": {}, "routing_key": "q", "payload_encoding": "string"}
    publishing = [Management(broker.http).post("exchanges/%2F/amq.default/publish", {**body, "payload": "x" * size})
                  for size in (1000, 1001)]
    assert [answer.status_code for answer in publishing] == [200, 400]
    assert refusals(broker, limit) == 2


def amqp_frame_max(start_with, limit):
    broker = start_with(**{limit: 4096})
    with RawAmqp(broker.amqp) as raw:
        raw.log_in()
        assert raw.tune(frame_max=4096).frame_max == 4096
        raw.call(0, spec.Connection.Open("/"), spec.Connection.OpenOk)
        raw.open_channel(1)
        raw.declare("q")
        publishing = method(1, spec.Basic.Publish(exchange="", routing_key="q"))
        raw.send(publishing + header(1, 4088) + frame(BODY, 1, bytes(4088)))
        assert raw.call(1, spec.Queue.Declare(queue="q", passive=True), spec.Queue.DeclareOk).message_count == 1
        # Clients that count without the 8 octets around the payload are borne with.
        raw.send(frame(METHOD, 1, b"", size=4097))
        closed = raw.expect(spec.Connection.Close)
        assert closed.reply_code == 501 and "frame_too_large,4097,4088" in closed.reply_text
    assert refusals(broker, limit) == 1


def amqp_channel_max(start_with, limit):
    broker = start_with(**{limit: 2})
    with RawAmqp(broker.amqp) as raw:
        raw.log_in()
        assert raw.tune(channel_max=2).channel_max == 2
        raw.call(0, spec.Connection.Open("/"), spec.Connection.OpenOk)
        raw.open_channel(1)
        raw.open_channel(2)
        raw.method(3, spec.Channel.Open())
        closed = raw.expect_connection_close()
        words = "number of channels opened (2) has reached the negotiated channel_max (2)"
        assert closed.reply_code == 530 and words in closed.reply_text
    assert refusals(broker, limit) == 1


def amqp_transaction_max(start_with, limit):
    check_transactions(start_with(**{limit: 3}), limit, [b"x"] * 3, "transaction of more than 3 publishes and settlements")


def amqp_transaction_size_max(start_with, limit):
    # The name of the queue and the empty properties of each count, too.
    most = [bytes(1000 - len("q") - 2)] * 3
    check_transactions(start_with(**{limit: 3000}), limit, most, "transaction of more than 3000 bytes")


def check_transactions(broker, limit, most, words):
    """As much as there may be, and one octet or message more."""
    connection = connect(broker.amqp)
    for more, is_fine in (([], True), ([b"x"], False)):
        channel = connection.channel()
        channel.queue_declare("q")
        channel.tx_select()
        for body in most + more:
            channel.basic_publish("", "q", body)
        if is_fine:
            channel.tx_commit()
        else:
            assert close_of_channel(channel.tx_commit) == (406, f"PRECONDITION_FAILED - {words}")
    assert connection.channel().queue_declare("q", passive=True).method.message_count == len(most)
    assert refusals(broker, limit) == 1


def amqp_table_depth_max(start_with, limit):
    broker = start_with(**{limit: 3})
    for depth, is_fine in ((3, True), (4, False)):
        with RawAmqp(broker.amqp) as raw:
            raw.open().declare("q")
            raw.send(amqp_publish(1, "", "q", b"", spec.BasicProperties(headers=nested(depth))))
            if is_fine:
                raw.declare("q")
            else:
                closed = raw.expect_connection_close()
                assert closed.reply_code == 502 and "tables are nested deeper than 3 levels" in closed.reply_text
    assert refusals(broker, limit) == 1


def nested(depth):
    """Tables inside each other, so many in all."""
    inner = {}
    for _ in range(depth - 1):
        inner = {"t": inner}
    return inner


def amqp_table_entries_max(start_with, limit):
    broker = start_with(**{limit: 40})
    for count, is_fine in ((40, True), (41, False)):
        with RawAmqp(broker.amqp) as raw:
            raw.open().declare("q")
            headers = {f"h{number}": "x" for number in range(count)}
            raw.send(amqp_publish(1, "", "q", b"", spec.BasicProperties(headers=headers)))
            if is_fine:
                raw.declare("q")
            else:
                closed = raw.expect_connection_close()
                assert closed.reply_code == 502 and "table has more than 40 entries" in closed.reply_text
    assert refusals(broker, limit) == 1


def mqtt_connect_size_max(start_with, limit):
    broker = start_with(**{limit: 100})
    for size, code in ((100, 0), (101, PACKET_TOO_LARGE)):
        sent = mqtt_connect("i" * (size - len(mqtt_connect(""))))
        assert len(sent) == size
        with RawMqtt(broker.mqtt) as raw:
            assert raw.send(sent).expect(CONNACK)[1] == code
    assert refusals(broker, "mqtt_packet_size_max") == 1


def mqtt_user_properties_max(start_with, limit):
    broker = start_with(**{limit: 2})
    one = b"\x26" + text("k") + text("v")
    with RawMqtt(broker.mqtt) as raw:
        raw.open("").send(publish("t", b"", 1, properties=one * 2))
        assert raw.expect_ack(PUBACK, 1) < 0x80
        raw.send(publish("t", b"", 1, properties=one * 3)).expect_disconnect(QUOTA_EXCEEDED)
    assert refusals(broker, limit) == 1


def mqtt_topic_size_max(start_with, limit):
    check_topics(start_with(**{limit: 8}), limit, "12345678", "123456789")


def mqtt_topic_levels_max(start_with, limit):
    check_topics(start_with(**{limit: 3}), limit, "a/b/c", "a/b/c/d")


def check_topics(broker, limit, longest, too_long):
    """As the topic of a PUBLISH, of a will, and as a filter."""
    with RawMqtt(broker.mqtt) as raw:
        raw.open("")
        assert raw.subscribe((longest, 1), (too_long, 1)) == bytes([1, TOPIC_FILTER_INVALID])
        raw.send(publish(longest, b"", 1))
        assert {raw.read_packet()[0] for _ in range(2)} == {PUBACK, PUBLISH}
        raw.send(publish(too_long, b"", 1, packet_id=2))
        assert raw.expect_ack(PUBACK, 2) == TOPIC_NAME_INVALID
        answer = raw.send(unsubscribe(3, longest, too_long)).expect(UNSUBACK)
        assert (answer[:2], answer[-2:]) == (u16(3), bytes([0, TOPIC_FILTER_INVALID]))
    for topic, code in ((longest, 0), (too_long, TOPIC_NAME_INVALID)):
        with RawMqtt(broker.mqtt) as raw:
            will = props() + text(topic) + text("p")
            assert raw.send(mqtt_connect("", flags=6, rest=will)).expect(CONNACK)[1] == code
    assert refusals(broker, limit) == 4


def mqtt_client_id_max(start_with, limit):
    broker = start_with(**{limit: 5})
    for client_id, code in (("12345", 0), ("123456", CLIENT_ID_INVALID)):
        with RawMqtt(broker.mqtt) as raw:
            assert raw.send(mqtt_connect(client_id)).expect(CONNACK)[1] == code
    assert refusals(broker, limit) == 1


def mqtt_queued_size_max(start_with, limit):
    broker = start_with(**{limit: 30})
    with RawMqtt(broker.mqtt) as away:
        away.open("away", properties=b"\x11\0\0\1\0").subscribe(("t", 1))
    eventually(lambda: not Management(broker.http).read("connections"), "it is away")
    publisher = MqttClient(broker.mqtt).connect()
    for number in range(4):
        publisher.publish("t", b"%d" % number * 10, 1)
    publisher.stop()
    with RawMqtt(broker.mqtt) as back:
        back.open("away", flags=0, expect_present=True)
        # The oldest has made place.
        assert [back.expect_publish().payload[:1] for _ in range(3)] == [b"1", b"2", b"3"]


def mqtt_retained_size_max(start_with, limit):
    broker = start_with(**{limit: "10kB"}, mqtt_sys_interval=0)

    def retain(topic, size):
        with RawMqtt(broker.mqtt) as raw:
            return raw.open("").send(publish(topic, b"x" * size, 1, retain=True)).expect_ack(PUBACK, 1)

    assert retain("a", 4000) < 0x80 and retain("b", 4000) < 0x80
    assert retain("c", 4000) == QUOTA_EXCEEDED
    assert retain("a", 0) < 0x80 and retain("c", 4000) < 0x80
    assert retain("b", 4001) < 0x80 and retain("b", 9000) == QUOTA_EXCEEDED and retain("b", 100) < 0x80
    assert refusals(broker, limit) == 2
    assert 4100 < gauge(broker, "limit_used", limit) < gauge(broker, "limit_max", limit) == 10_000


def http_body_size_max(start_with, limit):
    broker = start_with(**{limit: 100})
    answers = [Management(broker.http).put("global-parameters/p", {"value": "x" * (size - 13)}) for size in (100, 101)]
    assert len(answers[1].request.body) == 101
    assert [answer.status_code for answer in answers] == [201, 413]
    assert answers[1].json() == {"error": "payload_too_large", "reason": "request body is larger than 100 bytes"}
    assert refusals(broker, limit) == 1


def http_head_size_max(start_with, limit):
    broker = start_with(**{limit: "8KiB"})
    url = f"http://{broker.http[0]}:{broker.http[1]}/api/whoami"
    codes = [requests.get(url, auth=("guest", "guest"), headers={"x": "x" * size}, timeout=10).status_code
             for size in (7000, 9000)]
    assert codes == [200, 431]


def websocket_message_size_max(start_with, limit):
    broker = start_with(**{limit: 1000})
    empty = len(publish("t", b"", 1))
    for size, is_fine in ((1000, True), (1001, False)):
        sent = publish("t", bytes(size - empty - 1), 1)
        assert len(sent) == size
        with WebMqtt(broker.websocket).open("") as raw:
            raw.send(sent)
            if is_fine:
                assert raw.expect_ack(PUBACK, 1) < 0x80
            else:
                raw.web.expect_close(1009)
    assert refusals(broker, limit) == 1


def http_connections_max(start_with, limit):
    broker = start_with(**{limit: 2}, http_timeout=1000)
    silent = [socket.create_connection(broker.http, timeout=10) for _ in range(2)]
    # It waits until one of them has been silent for too long.
    assert Management(broker.http).get("whoami").status_code == 200
    for one in silent:
        one.close()


ROWS = [
    connections_max, connections_per_address_max, connection_rate_max, channels_max, amqp_consumers_max, queues_max,
    exchanges_max, bindings_max, bindings_per_destination_max, handshake_timeout, message_size_max,
    amqp_frame_max, amqp_channel_max, amqp_transaction_max, amqp_transaction_size_max, amqp_table_depth_max,
    amqp_table_entries_max, mqtt_client_id_max, mqtt_connect_size_max, mqtt_user_properties_max,
    mqtt_topic_size_max, mqtt_topic_levels_max, mqtt_queued_size_max, mqtt_retained_size_max, http_body_size_max,
    http_head_size_max, http_connections_max, websocket_message_size_max,
]


@pytest.mark.parametrize("check", ROWS, ids=lambda check: check.__name__)
def test_at_the_limit_all_is_well_and_one_past_it_is_refused(start_with, check):
    check(start_with, check.__name__)
