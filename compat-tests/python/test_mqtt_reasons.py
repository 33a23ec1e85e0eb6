"""MQTT 5: Reason Strings, Response Information and Server References."""

import signal

import pytest
from support.broker import Broker
from support.mqtt_properties import encode, take_apart
from support.raw_mqtt import (
    CONNACK, DISCONNECT, PUBACK, PUBREC, SUBACK, UNSUBACK, RawMqtt, connect, publish, subscribe, text, unsubscribe,
)
from support.scram import Scram, ScramMqtt
from support.waiting import eventually

SHUTTING_DOWN, USE_ANOTHER, BUSY, QUOTA, NOT_AUTHORIZED = 0x8B, 0x9C, 0x89, 0x97, 0x87
ELSEWHERE = "elsewhere.example:1883"


@pytest.fixture
def started(tmp_path):
    """Starts a broker with settings."""
    brokers = []

    def start(*arguments):
        brokers.append(Broker(tmp_path, arguments))
        return brokers[-1].start()

    yield start
    for broker in brokers:
        broker.stop()
        assert "panicked at" not in broker.output()


def refusals(raw):
    """What a user without rights is told: (PUBACK, PUBREC, SUBACK, UNSUBACK) as (code, properties)."""
    raw.send(publish("a/b", qos=1, packet_id=1)).send(publish("a/b", qos=2, packet_id=2))
    raw.send(subscribe(3, ("a/b", 0), ("a/b", 1))).send(unsubscribe(4, "a/#/b"))
    told = []
    for kind in (PUBACK, PUBREC):
        content = raw.expect(kind)
        properties, rest = take_apart(content[3:]) if len(content) > 3 else ({}, b"")
        assert rest == b""
        told.append((content[2], properties))
    for kind in (SUBACK, UNSUBACK):
        properties, rest = take_apart(raw.expect(kind)[2:])
        told.append((rest[0], properties))
    return told


def open_as(user, raw, name, properties=b""):
    """Logs in by password."""
    return raw.open(name(), flags=0xC2, rest=text(user.name) + text("secret"), properties=properties)


CODES = [NOT_AUTHORIZED, NOT_AUTHORIZED, NOT_AUTHORIZED, 0x8F]


def test_refusals_say_why(broker, account, name):
    with RawMqtt(broker.mqtt) as raw:
        told = refusals(open_as(account(), raw, name))
    assert [code for code, _ in told] == CODES
    words = ["publish", "publish", "read", "wildcards"]
    for (_, properties), word in zip(told, words, strict=True):
        assert word in properties["reason_string"]


@pytest.mark.parametrize("properties", [{"request_problem": 0}, {"maximum_packet_size": 32}])
def test_refusals_are_short_for_who_wants_or_takes_no_more(broker, account, name, properties):
    with RawMqtt(broker.mqtt) as raw:
        told = refusals(open_as(account(), raw, name, encode(**properties)))
        assert told == [(code, {}) for code in CODES]
        raw.send(b"\xf0\0")
        assert raw.read_to_end() == b"\xe0\x01\x82"


def test_a_disconnect_says_why(broker, name):
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name()).send(b"\xf0\0")
        content = raw.expect(DISCONNECT)
    assert content[0] == 0x82 and "authentication method" in take_apart(content[1:])[0]["reason_string"]


def test_the_words_of_an_operator_reach_the_client(broker, management, name):
    user = name()
    management.put(f"users/{user}", {"password": "secret", "tags": ""})
    management.put(f"permissions/%2F/{user}", {"configure": "", "write": "", "read": ""})
    with RawMqtt(broker.mqtt) as raw:
        raw.open(name(), flags=0xC2, rest=text(user) + text("secret"))
        management.delete(f"users/{user}")
        content = raw.expect(DISCONNECT)
    assert content[0] == 0x98
    assert take_apart(content[1:])[0]["reason_string"] == f"user '{user}' is deleted"


def test_a_refused_connack_says_why(broker):
    with RawMqtt(broker.mqtt) as raw:
        raw.send(connect("c", flags=0xC2, rest=text("guest") + text("wrong")))
        content = raw.expect(CONNACK)
    assert content[1] == 0x86 and "wrong" in take_apart(content[2:])[0]["reason_string"]


def connack_properties(broker, client_id="", **properties):
    """The properties of an accepting CONNACK."""
    with RawMqtt(broker.mqtt) as raw:
        return take_apart(raw.open(client_id, properties=encode(**properties)).connack[2:])[0]


@pytest.mark.own_process
def test_response_information_is_for_who_asks(started):
    broker = started("--mqtt-response-information", "replies/{username}/{client_id}/")
    assert connack_properties(broker, "me", request_response=1)["response_information"] == "replies/guest/me/"
    given = connack_properties(broker, request_response=1)
    assert given["response_information"] == f"replies/guest/{given['assigned_client_id']}/"
    assert "response_information" not in connack_properties(broker, request_response=0)
    assert "response_information" not in connack_properties(broker)
    with RawMqtt(broker.mqtt, version=4) as raw:
        assert raw.open("old").connack == b"\0\0"


def test_no_response_information_unless_configured(broker, name):
    assert "response_information" not in connack_properties(broker, name(), request_response=1)


@pytest.mark.own_process
@pytest.mark.parametrize("settings, code, reference", [
    ((), SHUTTING_DOWN, None), (("--mqtt-server-reference", ELSEWHERE), USE_ANOTHER, ELSEWHERE)])
def test_a_broker_that_stops_says_where_to_go(started, settings, code, reference):
    broker = started(*settings)
    with RawMqtt(broker.mqtt) as new, RawMqtt(broker.mqtt, version=4) as old, ScramMqtt(broker.mqtt) as arriving:
        new.open("new")
        old.open("old")
        arriving.begin("arriving", Scram("guest", "guest"))
        broker.process.send_signal(signal.SIGTERM)
        content = new.expect(DISCONNECT)
        properties = take_apart(content[1:])[0]
        assert (content[0], properties.get("server_reference")) == (code, reference)
        assert "shutting down" in properties["reason_string"]
        assert old.read_to_end() == b""
        arrived, properties = arriving.expect_connack()
        assert (arrived, properties.get("server_reference")) == (code if reference else BUSY, reference)
    assert broker.process.wait(10) == 0


def opened(broker):
    """A client that is let in, or None."""
    raw = RawMqtt(broker.mqtt)
    try:
        return raw.open("first")
    except AssertionError:
        return raw.socket.close()


@pytest.mark.own_process
@pytest.mark.parametrize("settings, code, reference", [
    ((), QUOTA, None), (("--mqtt-server-reference", ELSEWHERE), USE_ANOTHER, ELSEWHERE)])
def test_a_broker_that_is_full_says_where_to_go(started, settings, code, reference):
    broker = started("--connections-max", "1", *settings)
    with eventually(lambda: opened(broker), "the only connection") as first:
        with RawMqtt(broker.mqtt) as second:
            second.send(connect("second"))
            content = second.expect(CONNACK)
            properties = take_apart(content[2:])[0]
            assert (content[1], properties.get("server_reference")) == (code, reference)
            assert second.read_to_end() == b""
        with RawMqtt(broker.mqtt, version=4) as third:
            third.send(connect("third", version=4))
            assert third.expect(CONNACK) == b"\0\3"
        first.ping()
