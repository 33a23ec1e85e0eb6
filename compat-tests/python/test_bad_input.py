"""Peers that lie, stall, vanish and flood: a clear error or backpressure, and nobody else notices."""

import random
import socket
import struct
import threading
import time

import pytest
from pika import spec

from support.amqp_client import Collector, connect, drain, fill
from support.broker import Broker
from support.mqtt_client import MqttClient
from support.raw_amqp import BODY, HEADER, METHOD, PROTOCOL_HEADER, RawAmqp, body, frame, header, method, publish
from support.raw_mqtt import RawMqtt, connect as mqtt_connect, packet, publish as mqtt_publish, text, u16
from support.waiting import eventually

pytestmark = pytest.mark.own_process
MIB = 1024 * 1024
PUBLISH = method(1, spec.Basic.Publish(routing_key="nowhere"))


def nested_tables(depth):
    """A table in a table in a table …"""
    value = struct.pack(">I", 0)
    for _ in range(depth):
        entry = b"\x01aF" + value
        value = struct.pack(">I", len(entry)) + entry
    return value


def nested_arrays(depth):
    """A table with an array in an array in an array …"""
    value = struct.pack(">I", 0)
    for _ in range(depth):
        entry = b"A" + value
        value = struct.pack(">I", len(entry)) + entry
    entry = b"\x01aA" + value
    return struct.pack(">I", len(entry)) + entry


@pytest.mark.parametrize("table", [nested_tables(10_000), nested_arrays(10_000)], ids=["tables", "arrays"])
def test_headers_nested_ten_thousand_deep_are_an_error(watched, table):
    with RawAmqp(watched.amqp) as raw:
        raw.open().send(PUBLISH + frame(HEADER, 1, struct.pack(">HHQH", 60, 0, 0, 0x2000) + table))
        assert raw.expect_connection_close().reply_code in (501, 502, 506, 541)


@pytest.mark.parametrize("arguments", [nested_tables(10_000), nested_arrays(10_000)], ids=["tables", "arrays"])
def test_arguments_nested_ten_thousand_deep_are_an_error(watched, arguments):
    with RawAmqp(watched.amqp) as raw:
        raw.open().send(frame(METHOD, 1, struct.pack(">HHH", 50, 10, 0) + b"\x01q\0" + arguments))
        assert raw.expect_connection_close().reply_code in (501, 502, 506, 541)


def test_client_properties_nested_as_deep_as_the_first_frame_allows_end_the_login(watched):
    with RawAmqp(watched.amqp) as raw:
        raw.begin()
        raw.send(frame(METHOD, 0, struct.pack(">HH", 10, 11) + nested_tables(500) + b"\x05PLAIN\0\0\0\0\x05en_US"))
        raw.read_to_end()


HUGE = {
    "an AMQP frame of 4 GiB": frame(BODY, 1, b"", size=0xFFFFFFFF),
    "an AMQP frame of 2 GiB": frame(METHOD, 1, b"", size=0x7FFFFFFF),
    "a table of 4 GiB": PUBLISH + frame(HEADER, 1, struct.pack(">HHQHI", 60, 0, 0, 0x2000, 0xFFFFFFFF)),
    "a long string of 4 GiB": PUBLISH + frame(
        HEADER, 1, struct.pack(">HHQHI", 60, 0, 0, 0x2000, 7) + b"\x01aS\xff\xff\xff\xff"),
    "a body of 2^64 - 1 bytes": PUBLISH + header(1, 2 ** 64 - 1),
}


@pytest.mark.parametrize("sent", HUGE.values(), ids=HUGE.keys())
def test_an_enormous_amqp_length_is_an_error_and_costs_nothing(watched, sent):
    before = watched.resident_bytes()
    with RawAmqp(watched.amqp) as raw:
        raw.open().send(sent)
        assert raw.expect_connection_close().reply_code in (501, 502)
    assert watched.resident_bytes() - before < 32 * MIB


@pytest.mark.parametrize("sent", [
    frame(METHOD, 0, b"", size=0xFFFFFFFF), frame(METHOD, 0, b"", size=200_000),
    frame(METHOD, 0, struct.pack(">HHI", 10, 11, 0xFFFFFFFF)),
])
def test_an_enormous_length_in_the_handshake_ends_the_socket(watched, sent):
    with RawAmqp(watched.amqp) as raw:
        raw.begin()
        raw.send(sent)
        raw.read_to_end()


@pytest.mark.parametrize("first", [b"\x10\xff\xff\xff\x7f", b"\x30\xff\xff\xff\x7f", b"\x10\xff\xff\xff\xff\x7f"])
def test_an_enormous_first_mqtt_packet_is_refused_before_it_arrives(watched, first):
    before = watched.resident_bytes()
    with RawMqtt(watched.mqtt) as raw:
        seconds, answer = raw.send(first + b"\0\4MQTT\5\2\0\x3c").seconds_to_end()
    assert seconds < 5, "the broker waited for the rest"
    assert answer == b"" or answer[0] == 0x20
    assert watched.resident_bytes() - before < 32 * MIB


def test_a_packet_over_the_limit_is_refused_with_0x95_before_it_arrives(watched):
    with RawMqtt(watched.mqtt) as raw:
        raw.open("").send(b"\x30\xff\xff\xff\x7f")
        raw.expect_disconnect(0x95)


def test_as_many_topic_levels_as_fit_are_no_recursion(watched):
    with RawMqtt(watched.mqtt) as raw:
        raw.open("")
        raw.send(mqtt_publish("/" * 65_535, b"", 0) + packet(8, 2, u16(1) + b"\0" + text("+/" * 32_767 + "#") + b"\0"))
        raw.send(packet(12, 0, b""))
        kind, _, content = raw.read_packet()
        assert kind in (9, 13) or (kind == 14 and content[0] >= 0x80)


def test_half_a_handshake_and_silence_ends_within_the_handshake_timeout(tmp_path):
    broker = Broker(tmp_path, ["--handshake-timeout", "1500"])
    halves = {
        broker.amqp: [b"", b"AM", PROTOCOL_HEADER, PROTOCOL_HEADER + frame(METHOD, 0, b"\0\x0a\0\x0b", size=5000)[:9]],
        broker.mqtt: [b"", b"\x10", mqtt_connect("half")[:8]],
    }
    try:
        broker.start()
        sockets = []
        for address, starts in halves.items():
            for start in starts:
                sockets.append(socket.create_connection(address, timeout=8))
                sockets[-1].sendall(start)
        for silent in sockets:
            while silent.recv(4096):
                pass
            silent.close()
        broker.assert_sound()
    finally:
        broker.stop()


def test_one_byte_at_a_time_does_not_extend_the_handshake_for_ever(tmp_path):
    broker = Broker(tmp_path, ["--handshake-timeout", "1000"])
    try:
        broker.start()
        slow = socket.create_connection(broker.mqtt, timeout=8)
        sent = mqtt_connect("slow" * 20)

        def ended():
            try:
                slow.sendall(sent[:1])
                return slow.recv(1, socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True

        slow.sendall(sent[:1] + b"\xff\x7f")
        eventually(ended, "the slow client is dropped", 8)
    finally:
        broker.stop()


def test_a_client_that_vanishes_in_the_middle_of_a_body_leaves_nothing_behind(watched):
    channel = connect(watched.amqp).channel()
    channel.queue_declare("target")
    for cut in (1, 20, 45, 60):
        with RawAmqp(watched.amqp) as raw:
            raw.open().send((publish(1, "", "target", b"whole") + publish(1, "", "target", b"x" * 1000)[:-cut]))
            eventually(lambda n=cut: channel.queue_declare("target", passive=True).method.message_count, "the whole one")
        assert drain(channel, "target") == [b"whole"]
    fill(channel, "target", [b"next"])
    assert drain(channel, "target") == [b"next"]


def test_an_mqtt_client_that_vanishes_in_the_middle_of_a_publish_leaves_nothing_behind(watched):
    subscriber = MqttClient(watched.mqtt).connect()
    subscriber.subscribe("target", 1)
    with RawMqtt(watched.mqtt) as raw:
        raw.open("").send(mqtt_publish("target", b"half" * 1000, 1)[:-500])
    subscriber.publish("target", b"whole", 1)
    assert subscriber.receive().payload == b"whole"
    subscriber.stop()


def flood(address, opening, chunk, total):
    """Sends `total` bytes of `chunk`s, or as much as the broker takes before it holds back."""
    def run():
        with opening(address) as raw:
            raw.socket.settimeout(3)
            try:
                for _ in range(total // len(chunk)):
                    raw.socket.sendall(chunk)
                # All is handled when the broker has answered something that was sent last.
                raw.socket.settimeout(30)
                raw.declare(exclusive=True) if isinstance(raw, RawAmqp) else raw.ping()
            except OSError:
                pass  # held back: that is backpressure

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_an_amqp_publisher_faster_than_its_consumer_does_not_grow_the_broker(watched):
    with RawAmqp(watched.amqp) as stalled:
        stalled.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.open().declare("slow", exclusive=True)
        stalled.method(1, spec.Basic.Consume(queue="slow", no_ack=True))
        chunk = publish(1, "", "slow", b"x" * 60_000) * 4
        flood(watched.amqp, lambda a: RawAmqp(a).open(), chunk, 400 * MIB).join(120)


def test_an_amqp_backlog_without_a_consumer_does_not_grow_the_broker(watched):
    channel = connect(watched.amqp).channel()
    channel.queue_declare("backlog", durable=True)
    channel.confirm_delivery()
    for _ in range(300):
        channel.basic_publish("", "backlog", b"x" * MIB, spec.BasicProperties(delivery_mode=2))
    assert channel.queue_delete("backlog").method.message_count == 300


def test_an_mqtt_publisher_faster_than_its_subscriber_does_not_grow_the_broker(watched):
    with RawMqtt(watched.mqtt) as stalled:
        stalled.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.open("").subscribe(("slow", 0))
        chunk = mqtt_publish("slow", b"x" * 60_000) * 4
        flood(watched.mqtt, lambda a: RawMqtt(a).open(""), chunk, 400 * MIB).join(120)


def test_a_stalled_consumer_does_not_hold_up_another_queue(watched):
    channel = connect(watched.amqp).channel()
    channel.queue_declare("live", exclusive=True)
    collector = Collector(channel, "live", auto_ack=True)
    with RawAmqp(watched.amqp) as stalled:
        stalled.open().declare("stalled", exclusive=True)
        stalled.method(1, spec.Basic.Consume(queue="stalled", no_ack=True))
        flooding = flood(watched.amqp, lambda a: RawAmqp(a).open(), publish(1, "", "stalled", b"x" * 60_000), 100 * MIB)
        publisher = connect(watched.amqp).channel()
        started = time.monotonic()
        fill(publisher, "live", [b"%d" % i for i in range(200)])
        collector.wait_for(200)
        assert time.monotonic() - started < 20
        flooding.join(60)


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_do_no_harm(watched, seed):
    chance = random.Random(seed)
    for _ in range(60):
        noise = chance.randbytes(chance.randrange(1, 2000))
        with RawAmqp(watched.amqp) as raw:
            raw.send(chance.choice([b"", PROTOCOL_HEADER, PROTOCOL_HEADER[:4]]) + noise)
        with RawMqtt(watched.mqtt) as raw:
            raw.send(chance.choice([b"", mqtt_connect("noise"), b"\x10"]) + noise)
        with socket.create_connection(watched.http, timeout=5) as raw:
            raw.sendall(noise)


@pytest.mark.parametrize("seed", range(5))
def test_damaged_conversations_do_no_harm(watched, seed):
    chance = random.Random(seed)
    amqp_talk = publish(1, "", "nowhere", b"x" * 100, spec.BasicProperties(headers={"a": [1, {"b": "c"}]})) + \
        method(1, spec.Queue.Declare(queue="", exclusive=True, arguments={"k": "v"}))
    mqtt_talk = mqtt_publish("a/b", b"x", 1, 1, properties=b"\x26\0\1a\0\1b") + packet(8, 2, u16(2) + b"\0" + text("a/+") + b"\1")
    for _ in range(60):
        for talk, raw in ((amqp_talk, RawAmqp(watched.amqp).open()), (mqtt_talk, RawMqtt(watched.mqtt).open(""))):
            damaged = bytearray(talk)
            for _ in range(chance.randrange(1, 4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            raw.send(bytes(damaged))
            raw.socket.close()


def test_all_channels_that_were_negotiated_can_be_opened_and_cost_little(watched):
    with RawAmqp(watched.amqp, 30) as raw:
        raw.open(channels=()).send(b"".join(method(n, spec.Channel.Open()) for n in range(1, 2048)))
        for _ in range(2047):
            raw.expect(spec.Channel.OpenOk)


def test_five_hundred_idle_connections_cost_little(watched):
    before, idle = watched.resident_bytes(), []
    for i in range(250):
        idle.append(RawAmqp(watched.amqp).open(channels=()))
        idle.append(RawMqtt(watched.mqtt).open(f"idle-{i}"))
    assert watched.resident_bytes() - before < 64 * MIB
    for raw in idle:
        raw.socket.close()


def test_interleaved_bodies_that_never_end_cost_only_what_was_sent(watched):
    before = watched.resident_bytes()
    with RawAmqp(watched.amqp) as raw:
        raw.open(channels=range(1, 101))
        for channel in range(1, 101):
            raw.method(channel, spec.Basic.Publish(routing_key="x"))
            raw.send(header(channel, 16 * MIB) + body(channel, b"x"))
        raw.open_channel(101)
        assert watched.resident_bytes() - before < 64 * MIB
