"""MQTT and AMQP over WebSocket, with frames made by hand and with paho."""

import struct
import time

import pytest
from pika import spec

from support.broker import Broker
from support.management import Management
from support.mqtt_client import MqttClient
from support.raw_amqp import PROTOCOL_HEADER
from support.raw_mqtt import (
    CONNACK, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Publish, ack, connect, packet, publish,
)
from support.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket, WebMqtt, frame

pytestmark = pytest.mark.own_process
PORTS = ["websocket", "http"]


@pytest.fixture(params=PORTS)
def web(request, broker):
    """The address of a port that speaks WebSocket: its own, and the one of the management API."""
    return getattr(broker, request.param)


@pytest.mark.parametrize("offered, answered", [
    (["mqtt"], "mqtt"), (["mqttv3.1"], "mqttv3.1"), (["mqttv3.1", "mqtt"], "mqtt"), (["chat", "mqtt"], "mqtt"),
])
@pytest.mark.parametrize("path", ["/mqtt", "/ws", "/ws/mqtt", "/mqtt?x=1", "/"])
def test_the_subprotocol_of_mqtt_is_answered(web, path, offered, answered):
    """[MQTT-6.0.0-3], [MQTT-6.0.0-4]"""
    with RawWebSocket(web, path, offered) as socket:
        assert socket.open().answered["sec-websocket-protocol"] == answered
        socket.send(frame(BINARY, connect("")))
        opcode, payload = socket.read_frame()
        assert (opcode, payload[0] >> 4, payload[3]) == (BINARY, CONNACK, 0)


@pytest.mark.parametrize("path, offered", [
    ("/mqtt", []), ("/mqtt", ["chat"]), ("/mqtt", ["amqp"]), ("/mqtt", ["MQTT"]), ("/amqp", ["mqtt"]), ("/ws", ["chat"]),
])
def test_another_subprotocol_is_refused(web, path, offered):
    with RawWebSocket(web, path, offered) as socket:
        assert socket.request()[0] == 400


@pytest.mark.parametrize("path, offered, answered", [
    ("/amqp", [], None), ("/ws/amqp", [], None), ("/amqp", ["amqp"], "amqp"), ("/", [], None), ("/ws", [], None),
])
def test_amqp_needs_no_subprotocol(web, path, offered, answered):
    with RawWebSocket(web, path, offered) as socket:
        assert socket.open().answered.get("sec-websocket-protocol") == answered
        socket.send(frame(BINARY, PROTOCOL_HEADER))
        opcode, payload = socket.read_frame()
        assert opcode == BINARY
        assert struct.unpack(">I", payload[7:11])[0] == spec.Connection.Start.INDEX


def test_another_path_is_not_found(web):
    for path in ("/chat", "/mqtt/x", "/ws/chat"):
        with RawWebSocket(web, path) as socket:
            assert socket.request()[0] == 404


@pytest.mark.parametrize("header, value, status", [
    ("Upgrade", None, 426), ("Upgrade", "h2c", 426), ("Connection", "close", 426), ("Sec-WebSocket-Version", "8", 426),
    ("Sec-WebSocket-Version", None, 426), ("Sec-WebSocket-Key", None, 400), ("Sec-WebSocket-Key", "short", 400),
])
def test_a_request_that_is_no_handshake_is_refused(web, header, value, status):
    with RawWebSocket(web, headers={header: value}) as socket:
        assert socket.request()[0] == status


def test_a_version_that_is_not_spoken_is_answered_with_one_that_is(web):
    with RawWebSocket(web, headers={"Sec-WebSocket-Version": "8"}) as socket:
        assert socket.request()[1]["sec-websocket-version"] == "13"


@pytest.mark.parametrize("data", [b"", b"hello", connect("t"), b"\xff\xfe"])
def test_a_text_frame_closes_the_connection(web, data):
    """[MQTT-6.0.0-1]"""
    with RawWebSocket(web).open() as socket:
        socket.send(frame(TEXT, data)).expect_close(1003)


def test_a_text_frame_after_login_publishes_the_will(broker, mqtt, name):
    """[MQTT-6.0.0-1]"""
    topic = name("will")
    watcher = mqtt(name("watcher"))
    watcher.subscribe(topic)
    with WebMqtt(broker.websocket) as client:
        will = b"\x00" + struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">H", 4) + b"gone"
        client.open(name(), flags=0x06, rest=will)
        client.web.send(frame(TEXT, b"hello")).expect_close(1003)
    assert watcher.receive().payload == b"gone"


@pytest.mark.parametrize("bad", [
    frame(BINARY, connect("t"), masked=False), frame(BINARY, connect("t"), reserved=4), frame(3, b"x"), frame(11),
    frame(CONTINUATION, b"x"), frame(PING, b"x", final=False), frame(PING, bytes(126)), frame(CLOSE, b"\x03"),
    frame(BINARY, b"x", final=False) + frame(BINARY, b"x"),
], ids=["unmasked", "reserved bit", "opcode 3", "opcode 11", "continuation", "ping in pieces", "long ping", "short close",
        "no continuation"])
def test_a_frame_against_the_rules_closes_the_connection(web, bad):
    with RawWebSocket(web).open() as socket:
        socket.send(bad).expect_close(1002)


def test_a_packet_may_span_frames_and_a_frame_may_hold_packets(web, name):
    """[MQTT-6.0.0-2]"""
    with WebMqtt(web) as client:
        for byte in connect(name()):
            client.send(bytes([byte]))
        assert client.expect(CONNACK)[1] == 0
        topic = name("topic")
        client.subscribe((topic, 1))
        ping = packet(PINGREQ, 0, b"")
        both = publish(topic, b"one", 1, 1) + publish(topic, b"two", 1, 2) + ping
        client.send(both[:-1])
        client.send(b"")
        client.send(both[-1:])
        kinds = sorted(client.read_packet()[0] for _ in range(5))
        assert kinds == sorted([PUBACK, PUBACK, PUBLISH, PUBLISH, PINGRESP])


def test_a_message_may_come_in_fragments_with_pings_between_them(web, name):
    """[MQTT-6.0.0-2]; RFC 6455, section 5.4."""
    whole = connect(name())
    with WebMqtt(web) as client:
        client.web.send(frame(BINARY, whole[:3], final=False) + frame(PING, b"between"))
        assert client.web.read_frame() == (PONG, b"between")
        client.web.send(frame(CONTINUATION, whole[3:9], final=False) + frame(CONTINUATION, whole[9:]))
        assert client.expect(CONNACK)[1] == 0


def test_pings_are_answered_and_pongs_ignored(web, name):
    with WebMqtt(web).open(name()) as client:
        client.web.send(frame(PONG, b"unasked") + frame(PING) + frame(PING, bytes(125)))
        assert client.web.read_frame() == (PONG, b"")
        assert client.web.read_frame() == (PONG, bytes(125))
        client.ping()


@pytest.mark.parametrize("payload, code", [
    (b"", 1000), (struct.pack(">H", 1000), 1000), (struct.pack(">H", 1001) + b"bye", 1001), (struct.pack(">H", 4000), 4000),
    (struct.pack(">H", 1005), 1002), (struct.pack(">H", 1000) + b"\xff", 1002),
])
def test_a_close_frame_is_answered(web, name, payload, code):
    with WebMqtt(web).open(name()) as client:
        client.web.send(frame(CLOSE, payload)).expect_close(code)


def test_mqtt_disconnect_is_followed_by_a_close_frame(web, name):
    with WebMqtt(web).open(name()) as client:
        client.send(packet(14, 0, b""))
        opcode, payload = client.web.read_frame()
        assert (opcode, payload) == (CLOSE, struct.pack(">H", 1000))
        client.web.send(frame(CLOSE, payload))
        client.web.expect_end()


def test_what_breaks_the_rules_of_mqtt_is_told_before_the_close_frame(web, name):
    with WebMqtt(web).open(name()) as client:
        client.send(b"\xf8\x00")
        opcode, payload = client.web.read_frame()
        assert (opcode, payload[:1]) == (BINARY, b"\xe0")
        assert client.web.read_frame()[0] == CLOSE


@pytest.fixture
def narrow(tmp_path):
    broker = Broker(tmp_path, ["--websocket-message-size-max", "1KiB", "--handshake-timeout", "700"])
    try:
        yield broker.start()
        broker.assert_sound()
    finally:
        broker.stop()


@pytest.mark.parametrize("port", PORTS)
def test_a_message_of_the_largest_size_is_taken_and_a_larger_one_is_not(narrow, port, name):
    def publish_of(size):
        empty = len(publish("t", qos=1))
        return publish("t", bytes(size - empty - 1), qos=1)

    address = getattr(narrow, port)
    with WebMqtt(address).open(name()) as client:
        assert len(publish_of(1024)) == 1024
        client.send(publish_of(1024)).expect_ack(PUBACK, 1)
        whole = publish_of(1024)
        client.web.send(frame(BINARY, whole[:500], final=False) + frame(CONTINUATION, whole[500:]))
        client.expect_ack(PUBACK, 1)
        client.web.send(frame(BINARY, bytes(1025))).expect_close(1009)
    with WebMqtt(address).open(name()) as client:
        client.web.send(frame(BINARY, bytes(1000), final=False) + frame(CONTINUATION, bytes(25)))
        client.web.expect_close(1009)
    with WebMqtt(address).open(name()) as client:
        client.web.send(frame(BINARY, size=1 << 62)).expect_close(1009)


@pytest.mark.parametrize("sent", [b"", b"GET /mqtt HTTP/1.1\r\nHost: x\r\n"])
def test_a_handshake_that_does_not_end_times_out(narrow, sent):
    with RawWebSocket(narrow.websocket) as socket:
        started = time.monotonic()
        socket.send(sent)
        while socket.socket.recv(65536):
            pass
        assert 0.5 < time.monotonic() - started < 5


@pytest.mark.parametrize("port", PORTS)
def test_who_says_nothing_after_the_handshake_times_out(narrow, port):
    for begun in (b"", frame(BINARY, connect("t"))[:7]):
        with RawWebSocket(getattr(narrow, port)).open() as socket:
            started = time.monotonic()
            socket.send(begun)
            assert socket.read_frame()[0] == CLOSE
            assert 0.3 < time.monotonic() - started < 5


def test_frames_that_come_together_with_the_handshake_count(web, name):
    with RawWebSocket(web) as socket:
        send = socket.send
        socket.send = lambda head: send(head + frame(BINARY, connect(name())))
        assert socket.request()[0] == 101
        assert socket.read_frame()[1][:1] == bytes([CONNACK << 4])


@pytest.mark.parametrize("origin, status", [
    ("http://localhost:8080", 101), ("http://127.0.0.1", 101), ("http://[::1]:3000", 101), (None, 101),
    ("https://example.org", 403), ("null", 403), ("http://localhost.example.org", 403),
])
def test_pages_from_elsewhere_may_not_use_the_loopback_address(web, origin, status):
    for path, protocols in (("/mqtt", ["mqtt"]), ("/amqp", []), ("/", [])):
        with RawWebSocket(web, path, protocols, headers={"Origin": origin}) as socket:
            assert socket.request()[0] == status


def test_origins_that_are_named_may_connect_and_no_others(tmp_path):
    broker = Broker(tmp_path, ["--websocket-origins", "https://example.org, http://a.example"])
    try:
        broker.start()
        for origin, status in (("https://example.org", 101), ("http://a.example", 101), ("http://localhost", 403)):
            with RawWebSocket(broker.websocket, headers={"Origin": origin}) as socket:
                assert socket.request()[0] == status
    finally:
        broker.stop()


@pytest.fixture
def paho(web):
    """Makes connected paho clients over WebSocket."""
    opened = []

    def make(client_id, path="/mqtt", **options):
        client = MqttClient(web, client_id, transport="websockets", **options)
        client.paho.ws_set_options(path=path)
        opened.append(client)
        return client.connect()

    yield make
    for client in opened:
        client.stop()


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_paho_publishes_and_receives(paho, name, version, qos):
    topic = name("topic")
    client = paho(name(), version=version)
    assert client.subscribe(topic, qos) == qos
    client.publish(topic, b"hello", qos)
    message = client.receive()
    assert (message.payload, message.qos) == (b"hello", qos)


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 500_000])
def test_payloads_of_all_sizes_go_both_ways(paho, name, size):
    topic = name("topic")
    client = paho(name())
    client.subscribe(topic, 2)
    payload = bytes(range(256)) * (size // 256 + 1)
    client.publish(topic, payload[:size], 2)
    assert client.receive(30).payload == payload[:size]


def test_a_payload_of_8_mb_goes_both_ways_with_qos_2(web, name):
    """paho forgets the rest of a frame that the kernel takes in parts."""
    topic, payload = name("topic"), bytes(range(250)) * 32_000
    with WebMqtt(web).open(name()) as client:
        client.subscribe((topic, 2))
        client.send(publish(topic, payload, qos=2))
        # A delivery does not wait for the disk, an acknowledgement does: either may be the first.
        first, second = sorted((client.read_packet() for _ in range(2)), key=lambda packet: packet[0])
        assert (first[0], second[0], second[2][:2]) == (PUBLISH, PUBREC, b"\x00\x01")
        got = Publish(*first[1:], client.version)
        assert (got.payload, got.qos) == (payload, 2)
        client.send(ack(PUBREL, 1)).expect_ack(PUBCOMP, 1)
        client.send(ack(PUBREC, got.packet_id)).expect_ack(PUBREL, got.packet_id)
        client.send(ack(PUBCOMP, got.packet_id)).ping()


def test_many_messages_arrive_in_order(paho, mqtt, name):
    topic = name("topic")
    client, publisher = paho(name()), mqtt(name())
    client.subscribe(topic, 1)
    for number in range(5000):
        publisher.publish_soon(topic, str(number).encode() * 50, 1)
    assert client.payloads(5000, 60) == [str(number).encode() * 50 for number in range(5000)]


def test_a_session_is_taken_over_from_tcp(paho, mqtt, name):
    topic, client_id = name("topic"), name("session")
    first = mqtt(client_id, clean=True, expiry=300)
    first.subscribe(topic, 1)
    second = paho(client_id, clean=False, expiry=300)
    assert second.session_present
    assert "taken over" in str(first.wait_for_disconnect()).lower()
    mqtt(name()).publish(topic, b"here", 1)
    assert second.receive().payload == b"here"


@pytest.mark.parametrize("port", PORTS)
def test_management_shows_where_the_client_is(own_broker, port, name):
    management = Management(own_broker.http)
    address = getattr(own_broker, port)
    with WebMqtt(address, 4).open(name()) as client:
        shown = management.find("connections", state="running")
        local, peer = client.socket.getsockname(), client.socket.getpeername()
        assert shown["name"] == f"{local[0]}:{local[1]} -> {peer[0]}:{peer[1]}"
        assert (shown["peer_host"], shown["peer_port"], shown["port"]) == (*local, peer[1])
        assert (shown["protocol"], shown["type"]) == ("Web MQTT 3-1-1", "network")


def test_an_orderly_stop_says_so_to_clients(own_broker, name):
    with WebMqtt(own_broker.websocket).open(name()) as client:
        own_broker.process.terminate()
        opcode, payload = client.web.read_frame()
        assert (opcode, payload[:1]) == (BINARY, b"\xe0")
        assert client.web.read_frame()[0] == CLOSE
