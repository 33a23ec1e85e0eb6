"""MQTT: octets that overflowed, leaked or got past permissions elsewhere."""

import socket

from support.mqtt_client import MqttClient
from support.raw_mqtt import (
    CONNACK, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, RawMqtt,
    ack, connect, packet, props, publish, subscribe, text, u16, u32, unsubscribe,
)

from . import Row, record

MOSQUITTO_LOG = "https://mosquitto.org/ChangeLog.txt"
MALFORMED, PROTOCOL = 0x81, 0x82


def answer_to(octets, times=1):
    """Everything that the broker says to octets of a new connection, until it closes it."""
    def act(broker):
        for _ in range(times):
            with RawMqtt(broker.mqtt) as raw:
                raw.send(octets)
                raw.socket.shutdown(socket.SHUT_WR)
                raw.read_to_end()
    return act


def refuses_connect(octets, times=1):
    """The broker closes the connection while the client still has it open, and accepts nothing."""
    def act(broker):
        for _ in range(times):
            with RawMqtt(broker.mqtt) as raw:
                answer = raw.send(octets).read_to_end()
                assert answer == b"" or (answer[0] == CONNACK << 4 and answer[3] != 0), answer
    return act


def ends(octets, *reasons, version=5):
    """Who is connected and sends these octets is disconnected, with one of these reasons."""
    def act(broker):
        with RawMqtt(broker.mqtt, version) as raw:
            raw.open("").send(octets).expect_disconnect(*reasons)
    return act


def many_large_beginnings(broker):
    """Connections that announce 256 MiB each and begin with it."""
    opened = []
    for _ in range(64):
        raw = RawMqtt(broker.mqtt)
        opened.append(raw)
        raw.send(b"\x10\xff\xff\xff\x7f" + text("MQTT") + b"\x05\x02\0\x3c" + b"x" * 60_000)
    for raw in opened:
        answer = raw.read_to_end()
        assert answer == b"" or answer[0] == CONNACK << 4
        raw.socket.close()


def topic_that_is_no_text(broker):
    """Nobody else sees it."""
    subscriber = MqttClient(broker.mqtt).connect()
    subscriber.subscribe("cve/#", 1)
    ends(publish(b"cve/\xff\xfe", b"x"), MALFORMED)(broker)
    ends(publish(b"cve/\xff\xfe", b"x", version=4), version=4)(broker)
    subscriber.publish("cve/well", b"well", 1)
    assert subscriber.receive().topic == "cve/well"
    subscriber.stop()


def topic_with_a_dollar(broker):
    """An answer, and everybody goes on."""
    for topic in ("$", "$x", "$/x", "$SY", "$SYSx", "$SYS", "$share/g/x", "$CONTROL/x", "$queue/x", "$delayed/x/y"):
        with RawMqtt(broker.mqtt) as raw:
            kind, _, _ = raw.open("").send(publish(topic, b"x", 1)).read_packet()
            assert kind in (PUBACK, DISCONNECT), topic


def will_later_than_its_session(broker):
    """The will comes when the session ends, once."""
    subscriber = MqttClient(broker.mqtt).connect()
    subscriber.subscribe("cve/will", 1)
    with RawMqtt(broker.mqtt) as raw:
        will = props(b"\x18" + u32(100)) + text("cve/will") + text("gone")
        raw.open("cve-will", flags=0x06, properties=b"\x11" + u32(1), rest=will)
    assert subscriber.receive().payload == b"gone"
    subscriber.publish("cve/will", b"after", 1)
    assert subscriber.receive().payload == b"after"
    subscriber.stop()


def filter_of_slashes(broker):
    """Refused filter by filter, or as a whole."""
    for octets in (subscribe(1, ("/" * 65_400, 0)), unsubscribe(1, "/" * 65_400), subscribe(1, ("/" * 65_535, 0))):
        with RawMqtt(broker.mqtt) as raw:
            kind, _, content = raw.open("").send(octets).read_packet()
            assert kind in (UNSUBACK, DISCONNECT) or (kind == SUBACK and content[-1] >= 0x80), (kind, content)


def topic_of_slashes(broker):
    """It is published and kept, or refused; to match it takes no stack."""
    with RawMqtt(broker.mqtt) as raw:
        raw.open("").subscribe(("cve/deep/#", 0), ("+/+/#", 0))
        raw.send(publish("/" * 65_535, b"x", 1, retain=True))
        kinds = set()
        while PUBACK not in kinds and DISCONNECT not in kinds:
            kinds.add(raw.read_packet()[0])
        assert kinds <= {PUBACK, PUBLISH, DISCONNECT}, kinds
    with RawMqtt(broker.mqtt) as raw:
        raw.open("").send(publish("/" * 65_535, b"", 1, retain=True)).read_packet()


def shared_filters_that_are_none(broker):
    """Each is refused by itself, or ends the connection."""
    for wrong in ("$share", "$share/", "$share//", "$share/g", "$share/g/", "$share//t", "$share/+/t", "$share/g#/t"):
        with RawMqtt(broker.mqtt) as raw:
            kind, _, content = raw.open("").send(subscribe(1, (wrong, 1))).read_packet()
            # `$share` alone is a filter like any other.
            assert kind == DISCONNECT or content[-1] >= 0x80 or wrong == "$share", (wrong, kind, content)


def connack_of_a_client(broker):
    """The octets of the report, and the same after a while."""
    reported = bytes.fromhex("101000044d5154540502003c03210014000029020001e000")
    with RawMqtt(broker.mqtt) as raw:
        answer = raw.send(reported).read_to_end()
        assert answer[0] == CONNACK << 4 and answer[3] == 0, answer
    ends(b"\x20\x02\0\0", MALFORMED, PROTOCOL)(broker)
    ends(b"\x20\x02\0\0", version=4)(broker)


def one_packet_identifier_over_and_over(broker):
    """What is sent again is one message, which is not kept more than once."""
    subscriber = MqttClient(broker.mqtt).connect()
    subscriber.subscribe("cve/twice", 2)
    with RawMqtt(broker.mqtt) as raw:
        raw.open("")
        for number in range(1500):
            raw.send(publish("cve/twice", b"%d" % number + b"x" * 20_000, 2, 7, dup=number > 0)).expect_ack(PUBREC, 7)
        raw.send(ack(PUBREL, 7)).expect_ack(PUBCOMP, 7)
    assert subscriber.receive().payload.startswith(b"0x")
    subscriber.publish("cve/twice", b"next", 1)
    assert subscriber.receive().payload == b"next"
    subscriber.stop()


def will_with_foreign_properties(broker):
    """A topic alias, a receive maximum and a reason string are not for wills."""
    for foreign in (b"\x23\0\1", b"\x21\0\1", b"\x1f" + text("why" * 1000), b"\x7f\0"):
        rest = props(b"\x26" + text("k") + text("v" * 5000) + foreign) + text("cve/w") + text("gone")
        refuses_connect(connect("cve-w", flags=0x06, rest=rest), times=50)(broker)


def subscriptions_that_do_not_fit(broker):
    """A shared subscription and the filter in it are two things."""
    with RawMqtt(broker.mqtt) as raw:
        raw.open("")
        for there, other in (("$share/g/cve/s", "cve/s"), ("cve/s", "$share/g/cve/s")):
            assert raw.subscribe((there, 1)) == b"\1"
            content = raw.send(unsubscribe(3, other)).expect(UNSUBACK)
            assert content[-1] == 0x11, content
            raw.send(publish("cve/s", b"x"))
            assert raw.expect_publish().payload == b"x"
            assert raw.send(unsubscribe(4, there)).expect(UNSUBACK)[-1] == 0
        raw.ping()


def varint_of_five_octets(broker):
    """Nothing is read behind the fourth, nor behind the packet."""
    head = text("MQTT") + b"\x05\x02\0\x3c"
    refuses_connect(packet(1, 0, head + b"\x80\x80\x80\x80"))(broker)
    refuses_connect(packet(1, 0, head + b"\x80\x80\x80\x80\x01" + text("id")))(broker)
    refuses_connect(b"\x10\x80\x80\x80\x80\x01" + head)(broker)
    ends(packet(3, 0, text("a") + b"\xff\xff\xff\xff\x7f"), MALFORMED)(broker)


def subscribe_without_its_last_octet(broker):
    """Of exactly 1,024 octets, the options of the filter missing."""
    content = u16(1) + props() + text("a" * 1019)
    assert len(content) == 1024
    ends(packet(SUBSCRIBE, 2, content), MALFORMED)(broker)
    ends(packet(UNSUBSCRIBE, 2, content[:-1]), MALFORMED)(broker)
    ends(packet(SUBSCRIBE, 2, u16(1) + text("a")), version=4)(broker)


def property_without_its_end(broker):
    """The octets of the report, of a subscriber and of a publisher."""
    for reported in ("101000044d5154540502003a032100140000821400010000012b0500012b00000678785901210014",
                     "101000044d5154540502003c0321001400003a0c00044d5154540400010b0000"):
        with RawMqtt(broker.mqtt) as raw:
            assert raw.send(bytes.fromhex(reported)).read_to_end()[0] == CONNACK << 4


def session_without_a_name(broker):
    """CONNACK 0x02, and the connection does not stay open [MQTT-3.1.3-8]."""
    for _ in range(50):
        with RawMqtt(broker.mqtt, 4) as raw:
            assert raw.send(connect("", version=4, flags=0)).read_to_end() == b"\x20\x02\0\x02"


HMQ = (
    "101800044d51545404c2003c00000004746573740004746573748206000100012301200900000621000a220005d000",
    "102b00044d5154540500003c0822000a110000000f00166d7174746f6f6c732d38373936373631353230313239c000900300010070"
    "020001820b00010006245359532f23009003000102900400010000",
    "102200044d5154540402003c3116374d304b4b54615049377a347946474c4a656f6d5047c000a21700020600122f746573362f6d71"
    "74746f6f6c732f666f16c0009003000102",
    "102200044d5154540402003c0016374d304b4b54615049377a347946474c4a656f6d5047c000a217000206",
)


def packets_of_hmq(broker):
    """Packets of servers among those of clients."""
    for reported in HMQ:
        answer_to(bytes.fromhex(reported))(broker)


ROWS = [
    Row("CVE-2017-7651", "Mosquitto", "memory for whatever length a CONNECT announces", MOSQUITTO_LOG,
        many_large_beginnings),
    Row("CVE-2017-7653", "Mosquitto", "topics that are not UTF-8 reach subscribers, who leave",
        record("CVE-2017-7653"), topic_that_is_no_text),
    Row("CVE-2018-12543", "Mosquitto", "a topic that begins with $ and not with $SYS is an assertion",
        record("CVE-2018-12543"), topic_with_a_dollar),
    Row("CVE-2019-11778", "Mosquitto", "a will delay longer than the session is used after it is freed",
        record("CVE-2019-11778"), will_later_than_its_session),
    Row("CVE-2019-11779", "Mosquitto", "65,400 levels in a filter overflow the stack",
        "https://github.com/eclipse-mosquitto/mosquitto/issues/1412", filter_of_slashes),
    Row("CVE-2021-28166", "Mosquitto", "a CONNACK of a client is a null pointer",
        "https://github.com/eclipse-mosquitto/mosquitto/issues/2163", connack_of_a_client),
    Row("CVE-2021-34432 v5", "Mosquitto", "a topic of no length is a crash", record("CVE-2021-34432"),
        ends(packet(3, 0, u16(0) + props() + b"x"), MALFORMED, PROTOCOL)),
    Row("CVE-2021-34432 v3.1.1", "Mosquitto", "a topic of no length is a crash", record("CVE-2021-34432"),
        ends(packet(3, 0, u16(0) + b"x"), version=4)),
    Row("CVE-2021-41039", "Mosquitto", "many user properties in CONNECT take all of the CPU", MOSQUITTO_LOG,
        refuses_connect(connect("cve-users", properties=(b"\x26" + text("a") + text("b")) * 9000), times=20)),
    Row("CVE-2023-0809", "Mosquitto", "memory for a first packet that is no CONNECT", MOSQUITTO_LOG,
        refuses_connect(b"\x30\xff\xff\xff\x7f" + text("a") + b"x" * 1000, times=64)),
    Row("CVE-2023-28366", "Mosquitto", "QoS 2 with one identifier over and over is kept each time", MOSQUITTO_LOG,
        one_packet_identifier_over_and_over),
    Row("CVE-2023-3592", "Mosquitto", "a will with properties that are not for wills leaks", MOSQUITTO_LOG,
        will_with_foreign_properties),
    Row("CVE-2024-8376", "Mosquitto", "SUBSCRIBE of a shared filter and UNSUBSCRIBE of the plain one, and vice versa",
        MOSQUITTO_LOG, subscriptions_that_do_not_fit),
    Row("CVE-2026-21888", "NanoMQ", "a variable byte integer of five octets is read behind the packet",
        "https://github.com/nanomq/nanomq/issues/2192", varint_of_five_octets),
    Row("nanomq 2268", "NanoMQ", "a SUBSCRIBE that ends before its options is read behind its end",
        "https://github.com/nanomq/nanomq/issues/2268", subscribe_without_its_last_octet),
    Row("nanomq 2270", "NanoMQ", "a PUBLISH of QoS 1 that ends before its identifier is read behind its end",
        "https://github.com/nanomq/nanomq/issues/2270", ends(packet(3, 2, text("a")), MALFORMED)),
    Row("nanomq 1810", "NanoMQ", "properties that end early overflow the stack when they are forwarded",
        "https://github.com/nanomq/nanomq/issues/1810", property_without_its_end),
    Row("nanomq 2342", "NanoMQ", "a password without a user name is let in",
        "https://github.com/nanomq/nanomq/issues/2342",
        refuses_connect(connect("cve-pw", version=4, flags=0x42, rest=text("pw")))),
    Row("CVE-2026-95843", "Moquette", "a shared subscription without a name or a filter is an exception",
        record("CVE-2026-95843"), shared_filters_that_are_none),
    Row("CVE-2026-95844", "Moquette", "deep topics are matched by recursion", record("CVE-2026-95844"),
        topic_of_slashes),
    Row("CVE-2025-56352", "tinyMQTT", "who is refused with 0x02 keeps the connection", record("CVE-2025-56352"),
        session_without_a_name),
    Row("CVE-2024-35512", "hmq", "packets of a server from a client are a crash",
        "https://gist.github.com/pengwGit/6ccca73a5acf91f31ff0d4185b15a3ea", packets_of_hmq),
]
