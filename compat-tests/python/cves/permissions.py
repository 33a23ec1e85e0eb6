"""Names and wills that got past the permissions of other brokers, over MQTT and WebSocket."""

import uuid

from support.accounts import Account
from support.management import Management
from support.mqtt_client import MqttClient
from support.raw_mqtt import CONNACK, PUBACK, RawMqtt, connect, packet, props, publish, text
from support.raw_websocket import BINARY, RawWebSocket, frame

from . import Row, record

NOT_AUTHORIZED = 0x87


def account(broker, write):
    """Someone who may write to the topics of a pattern only."""
    made = Account(Management(broker.http), broker.amqp, f"cve-{uuid.uuid4().hex[:8]}",
                   configure=".*", write=".*", read=".*")
    made.permit_topics("amq.topic", write=write)
    return made


def log_in(user):
    """What follows the client id (and the will) of a CONNECT."""
    return text(user.name) + text("secret")


def may_not_write(pattern, client_id, topic):
    """A user with this pattern and client id is refused this topic."""
    def act(broker):
        user = account(broker, pattern)
        with RawMqtt(broker.mqtt) as raw:
            raw.open(client_id, flags=0xC2, rest=log_in(user))
            reason = raw.send(publish(topic, b"x", 1)).expect_ack(PUBACK, 1)
            assert reason == NOT_AUTHORIZED, hex(reason)
        user.delete()
    return act


def patterns_from_client_ids(broker):
    """The client id stands for itself, wherever in the pattern it is."""
    may_not_write("^{client_id}-sensors$", ".*", "victim-sensors")(broker)
    may_not_write("^{client_id}-sensors$", "x|victim", "victim-sensors")(broker)
    may_not_write("^{client_id}$", "(?:)|.", "anything")(broker)
    may_not_write("^{username}-{client_id}$", "x$|^", "anything")(broker)


def will_that_is_not_permitted(broker):
    """The client is refused, or its will is not published."""
    user = account(broker, "^mine")
    subscriber = MqttClient(broker.mqtt).connect()
    subscriber.subscribe("theirs", 1)
    with RawMqtt(broker.mqtt) as raw:
        rest = props() + text("theirs") + text("gone") + log_in(user)
        raw.send(connect("", flags=0xC6, rest=rest))
        raw.expect(CONNACK)
    subscriber.publish("theirs", b"after", 1)
    assert subscriber.receive().payload == b"after"
    subscriber.stop()
    user.delete()


def compressed_frames(broker):
    """Compression is not agreed to, and a compressed frame ends the connection."""
    extension = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    with RawWebSocket(broker.http, headers=extension) as web:
        web.open()
        assert "sec-websocket-extensions" not in web.answered
        web.send(frame(BINARY, b"\0" * 60_000, reserved=4)).expect_close(1002)


def pages_from_elsewhere(broker):
    """A page of another site gets no WebSocket."""
    for path in ("/mqtt", "/ws", "/ws/amqp"):
        with RawWebSocket(broker.http, path, headers={"Origin": "https://evil.example"}) as web:
            assert web.request()[0] == 403


ROWS = [
    Row("CVE-2017-7650", "Mosquitto", "a client id of # or + is a wildcard in the pattern of a permission",
        "https://github.com/advisories/GHSA-vcg2-pq78-9mhr", may_not_write("^{client_id}$", "#", "victim")),
    Row("CVE-2026-44838", "RabbitMQ", "a client id is a part of the regular expression of a permission",
        record("CVE-2026-44838"), patterns_from_client_ids),
    Row("CVE-2026-67407", "RabbitMQ", "the - of a client id makes a range in a class of characters",
        record("CVE-2026-67407"), may_not_write("^[{client_id}]$", "a-z", "m")),
    Row("CVE-2026-85724", "Moquette", "a client id with wildcards is another tenant's", record("CVE-2026-85724"),
        may_not_write("^{client_id}\\.", "+/+", "victim/topic")),
    Row("CVE-2026-95846", "Moquette", "a will is published whatever its client may write", record("CVE-2026-95846"),
        will_that_is_not_permitted),
    Row("CVE-2026-67232", "RabbitMQ", "a compressed frame of a WebSocket inflates without a limit",
        record("CVE-2026-67232"), compressed_frames),
    Row("CVE-2026-67405", "RabbitMQ", "any page may open a WebSocket", record("CVE-2026-67405"),
        pages_from_elsewhere),
]
