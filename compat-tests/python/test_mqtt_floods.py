"""MQTT clients that flood, stall, race and change their minds: nobody else notices, and the broker does not grow."""

import itertools
import socket
import threading
import time
from pathlib import Path

import pytest

from support.mqtt_client import MqttClient
from support.raw_mqtt import (
    CONNACK, CONNECT, DISCONNECT, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBACK, UNSUBACK, RawMqtt, ack, closing, connect,
    packet, props, publish, subscribe, text, u16, unsubscribe,
)
from support.waiting import let_time_pass

pytestmark = pytest.mark.own_process
MIB = 1024 * 1024
SESSION = {"flags": 0, "properties": b"\x11\xff\xff\xff\xff"}
USER_PROPERTIES = (b"\x26" + text("key") + text("value")) * 30_000
QUOTA_EXCEEDED = 0x97


def cpu_seconds(broker):
    """The time that the broker has worked."""
    fields = Path(f"/proc/{broker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_five_hundred_stalled_connects_cost_neither_memory_nor_time(watched):
    before, stalled = watched.resident_bytes(), []
    for _ in range(500):
        stalled.append(socket.create_connection(watched.mqtt))
        stalled[-1].sendall(b"\x10\x80\x80\x10" + text("MQTT") + b"\5\2\0\0")
    with RawMqtt(watched.mqtt) as other:
        other.open("").ping()
    worked = cpu_seconds(watched)
    let_time_pass(1)
    assert cpu_seconds(watched) - worked < 0.3, "the broker is busy with clients that do nothing"
    assert watched.resident_bytes() - before < 32 * MIB
    for one in stalled:
        one.close()


FULL = {
    "CONNECT": connect("full", properties=USER_PROPERTIES),
    "a will": connect("full", flags=6, rest=props(USER_PROPERTIES) + text("t") + text("p")),
    "PUBLISH": publish("t", properties=USER_PROPERTIES),
    "SUBSCRIBE": subscribe(1, ("t", 0), properties=USER_PROPERTIES),
    "UNSUBSCRIBE": unsubscribe(1, "t", properties=USER_PROPERTIES),
    "PUBACK": packet(PUBACK, 0, u16(1) + b"\0" + props(USER_PROPERTIES)),
    "DISCONNECT": closing(DISCONNECT, 0, USER_PROPERTIES),
}


@pytest.mark.parametrize("sent", FULL.values(), ids=FULL.keys())
def test_thirty_thousand_user_properties_are_refused_soon(watched, sent):
    with RawMqtt(watched.mqtt) as raw:
        is_first = sent[0] >> 4 == CONNECT
        started = time.monotonic()
        if is_first:
            assert raw.send(sent).expect(CONNACK)[1] == QUOTA_EXCEEDED
        else:
            raw.open("").send(sent).expect_disconnect(QUOTA_EXCEEDED)
        assert time.monotonic() - started < 2


def test_refused_connects_leave_nothing_behind(watched):
    before = watched.resident_bytes()
    properties = b"\x26" + text("k") + text("v" * 60_000) + b"\x01\x02"
    bad_will = connect("refused", flags=6, rest=props(properties) + text("t") + text("p"))
    for _ in range(1000):
        with RawMqtt(watched.mqtt) as raw:
            raw.send(bad_will).read_to_end()
    assert watched.resident_bytes() - before < 16 * MIB
    with RawMqtt(watched.mqtt) as raw:
        raw.open("refused", expect_present=False, flags=0)


def test_one_qos_2_identifier_again_and_again_is_one_message(watched):
    subscriber = MqttClient(watched.mqtt).connect()
    subscriber.subscribe("once", 1)
    again = publish("once", b"x" * 1000, 2, packet_id=5, dup=True)
    with RawMqtt(watched.mqtt, seconds=60) as raw:
        raw.open("").send(publish("once", b"x" * 1000, 2, packet_id=5)).expect_ack(PUBREC, 5)
        # Its answers are not read before all is sent.
        sender = threading.Thread(target=raw.send, args=(again * 100_000,))
        sender.start()
        for _ in range(100_000):
            raw.expect_ack(PUBREC, 5)
        sender.join()
        raw.send(ack(PUBREL, 5)).expect_ack(PUBCOMP, 5)
    subscriber.publish("once", b"end", 1)
    assert subscriber.payloads(2) == [b"x" * 1000, b"end"]
    subscriber.stop()


def test_who_publishes_without_reading_the_answers_is_held_back(watched):
    before = watched.resident_bytes()
    with RawMqtt(watched.mqtt) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.open("")
        raw.socket.settimeout(2)
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                raw.socket.sendall(packet(12, 0, b"") * 100_000)
    assert watched.resident_bytes() - before < 32 * MIB


def test_subscriptions_that_come_and_go_disturb_nobody(watched):
    steady, over = MqttClient(watched.mqtt).connect(), threading.Event()
    steady.subscribe("storm/x", 1)
    filters = ["storm/#", "storm/+", "+/x", "storm/x", "$share/g/storm/x", "$share/g/storm/#"]
    changes = [(SUBACK, subscribe(1, *((one, 0) for one in filters))), (UNSUBACK, unsubscribe(2, *filters))]

    def change_its_mind():
        with RawMqtt(watched.mqtt) as raw:
            raw.open("")
            while not over.is_set():
                for kind, sent in changes:
                    raw.send(sent)
                    while raw.read_packet()[0] != kind:
                        pass

    changing = [threading.Thread(target=change_its_mind) for _ in range(4)]
    for thread in changing:
        thread.start()
    publisher = MqttClient(watched.mqtt).connect()
    for number in range(1000):
        publisher.publish_soon("storm/x", b"%d" % number, 1)
    assert steady.payloads(1000) == [b"%d" % number for number in range(1000)]
    over.set()
    for thread in changing:
        thread.join()
    for one in (publisher, steady):
        one.stop()


def test_take_overs_while_messages_are_on_their_way_lose_none(watched):
    publisher, received = MqttClient(watched.mqtt).connect(), {}
    with RawMqtt(watched.mqtt) as first:
        first.open("taken", **SESSION).subscribe(("flow", 1))
    for number in range(500):
        publisher.publish_soon("flow", b"%d" % number, 1)
    present = b"\1"
    for turn in itertools.count():
        raw = RawMqtt(watched.mqtt).send(connect("taken", **SESSION))
        assert raw.expect(CONNACK)[:2] == present + b"\0"
        for _ in range(turn % 23 + 1):
            message = raw.expect_publish()
            received.setdefault(message.payload, turn)
            # Every other acknowledgement is left out.
            raw.send(ack(PUBACK, message.packet_id) if turn % 2 else b"")
            if len(received) == 500:
                publisher.stop()
                assert list(received) == [b"%d" % number for number in range(500)]
                return


def test_a_slow_subscriber_gets_all_of_many_retained_messages(watched):
    keeper, topics = MqttClient(watched.mqtt).connect(), [f"many/{number}" for number in range(5000)]
    for topic in topics:
        keeper.publish_soon(topic, b"x" * 3000, 1, True)
    keeper.publish("many/last", b"x", 1, True)
    with RawMqtt(watched.mqtt) as slow:
        slow.open("").send(subscribe(1, ("many/#", 0)))
        let_time_pass(0.5)
        slow.expect(SUBACK)
        found = {slow.expect_publish().topic for _ in range(5001)}
    assert found == {*topics, "many/last"}
    keeper.stop()


def test_a_subscriber_that_stalls_costs_disk_and_no_memory(watched):
    """What is behind a subscriber waits in its queue, and comes when it reads on."""
    before, publisher = watched.resident_bytes(), MqttClient(watched.mqtt).connect()
    with RawMqtt(watched.mqtt) as stalled:
        stalled.open("").subscribe(("slow", 1))
        for _ in range(150):
            publisher.publish("slow", b"x" * MIB, 1)
        publisher.publish("slow", b"end", 1)
        assert watched.resident_bytes() - before < 100 * MIB
        for _ in range(150):
            message = stalled.expect_publish()
            stalled.send(ack(PUBACK, message.packet_id))
            assert len(message.payload) == MIB
        assert stalled.expect_publish().payload == b"end"
    publisher.stop()


ODD = [
    "+", "#", "a/b", "a.b", "a*b", "$share/g/t", "$SYS", "%s%n%c", "..", ".*", "^$", "\\", "a b", "'\";--", "🐇", "mqtt.x",
    "-",
]


def test_client_identifiers_of_any_kind_are_sessions_of_their_own(broker, name):
    run = name()
    for number, odd in enumerate(ODD):
        with RawMqtt(broker.mqtt) as raw:
            raw.open(f"{odd}{run}", expect_present=False, **SESSION).subscribe((f"{run}/{number}", 1))
    publisher = MqttClient(broker.mqtt).connect()
    for number, odd in enumerate(ODD):
        publisher.publish(f"{run}/{number}", odd.encode(), 1)
    publisher.stop()
    for odd in ODD:
        with RawMqtt(broker.mqtt) as raw:
            raw.open(f"{odd}{run}", expect_present=True, flags=0)
            assert raw.expect_publish().payload == odd.encode()
