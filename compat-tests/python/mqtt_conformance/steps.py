"""The words in which rows of the table are written.

A row is a name, the statements of the standard that it proves, and steps:

    row("PUBACK carries the identifier of its PUBLISH", "MQTT-2.2.1-5", connect("a"),
        publish("a", "$t", qos=1, packet_id=7))

A step begins with the client that it is about. `$t` is a name that only this run of the row has; so is every other
word with a dollar, wherever it stands. A step that sends something with an answer takes the answer too; what the
broker sends by itself is a step of its own (`delivery`, `got`, `ended`, `closed`). Steps expect exactly the next packet,
and at the end of a row nothing may be left over. An expected field is a value, a set of values of which it is one, a
condition, or for properties a dictionary in which None means absent.
"""

import time
from dataclasses import dataclass

from support import raw_mqtt
from support.mqtt_properties import encode
from support.raw_mqtt import (  # noqa: F401
    AUTH, CONNACK, CONNECT, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBSCRIBE,
    UNSUBACK, UNSUBSCRIBE, closing, packet, props, text, u16, u32, varint,
)

MALFORMED, PROTOCOL_ERROR = 0x81, 0x82
TAKEN = {0x00, 0x10}


@dataclass(frozen=True)
class Row:
    """One behaviour, with the statements that it proves."""

    name: str
    proves: tuple
    steps: tuple
    versions: tuple


def row(name, proves, *steps, versions=(5,)):
    """A row; `proves` is a list of statements, separated by commas."""
    return Row(name, tuple(part.strip() for part in proves.split(",")), steps, versions)


def will(topic, payload=b"gone", qos=0, retain=False, **properties):
    """The will of a CONNECT."""
    return {"topic": topic, "payload": payload, "qos": qos, "retain": retain, "properties": properties}


def connect_packet(play, version, client_id, clean=True, keep_alive=0, will=None, user=None, password=None,
                   **properties):
    """CONNECT."""
    flags, rest = 2 if clean else 0, b""
    if will:
        flags |= 4 | will["qos"] << 3 | (0x20 if will["retain"] else 0)
        rest += props(encode(**play.fill(will["properties"]))) if version == 5 else b""
        rest += text(play.fill(will["topic"])) + text(will["payload"])
    for value, flag in ((user, 0x80), (password, 0x40)):
        flags |= 0 if value is None else flag
        rest += b"" if value is None else text(play.fill(value))
    return raw_mqtt.connect(
        play.fill(client_id), version, flags, keep_alive, encode(**play.fill(properties)), rest,
        "MQIsdp" if version == 3 else "MQTT")


def connect(client, client_id=None, version=None, present=0, gives=None, **fields):
    """CONNECT, and CONNACK with code 0; `gives` are expected properties."""
    def step(play):
        raw = play.reach(client, version, fields.get("maximum_packet_size"))
        raw.send(connect_packet(play, raw.version, f"${client}" if client_id is None else client_id, **fields))
        play.due(client, CONNACK, code=0, present=present if raw.version > 3 else 0, props=gives or {})
    return step


def refused(codes, code_v3=None, client_id="$refused", version=None, **fields):
    """CONNECT, CONNACK with one of these codes (in MQTT 3 another, or none), and the end of the socket."""
    def step(play):
        raw = play.reach("refused", version, fields.get("maximum_packet_size"))
        raw.send(connect_packet(play, raw.version, client_id, **fields))
        is_told(play, raw, codes if raw.version == 5 else code_v3)
    return step


def refused_bytes(codes, data):
    """Octets instead of a CONNECT; then as with `refused`. No code: the socket just ends."""
    def step(play):
        raw = play.reach("refused").send(data)
        is_told(play, raw, codes)
    return step


def is_told(play, raw, codes):
    """CONNACK with one of these codes if there are any, and the end."""
    if codes:
        play.due("refused", CONNACK, code=codes, present=0)
    play.closed("refused")


def sends(client, data):
    """Octets."""
    return lambda play: play.say(client, data)


def opens(client, data):
    """A socket and its first octets."""
    return lambda play: play.reach(client).send(data)


def got(client, kind, **fields):
    """The next packet."""
    return lambda play: play.due(client, kind, **fields)


def ended(client, *codes):
    """DISCONNECT with one of these codes and the end of the socket; in MQTT 3 the end alone."""
    return lambda play: play.ended(client, codes)


def closed(client):
    """The end of the socket, without a word."""
    return lambda play: play.closed(client)


def silent(client):
    """Nothing has come, and everything sent has been handled."""
    return lambda play: play.silent(client)


def pause(seconds):
    """Time passes; for what expires."""
    return lambda play: time.sleep(seconds)


def publish_packet(play, client, topic, payload, qos, packet_id, dup, retain, properties):
    """PUBLISH."""
    version = play.clients[client].version
    return raw_mqtt.publish(
        play.fill(topic), payload, qos, packet_id, dup, retain, encode(**play.fill(properties)), version)


def publish_only(client, topic, payload=b"x", qos=0, packet_id=1, dup=False, retain=False, **properties):
    """PUBLISH, whatever comes of it."""
    return lambda play: play.say(
        client, publish_packet(play, client, topic, payload, qos, packet_id, dup, retain, properties))


def publish(client, topic, payload=b"x", qos=0, packet_id=None, code=None, dup=False, retain=False, **properties):
    """PUBLISH and the whole handshake of its QoS; `code` is that of a refusal."""
    def step(play):
        chosen = packet_id or play.packet_id(client)
        play.say(client, publish_packet(play, client, topic, payload, qos, chosen, dup, retain, properties))
        expected = TAKEN if code is None else code
        if qos == 0:
            play.silent(client)
        elif qos == 1:
            play.due(client, PUBACK, packet_id=chosen, code=expected)
        else:
            play.due(client, PUBREC, packet_id=chosen, code=expected)
            if code is None:
                play.say(client, raw_mqtt.ack(PUBREL, chosen))
                play.due(client, PUBCOMP, packet_id=chosen, code=0)
    return step


def ack(client, kind, packet_id=None, code=None):
    """An acknowledgement; without an identifier, of the last delivery."""
    return lambda play: play.say(client, raw_mqtt.ack(kind, packet_id or play.kept[client], code))


def delivery(client, topic, payload=b"x", qos=0, dup=False, retain=False, settle=True, again=False, **fields):
    """PUBLISH from the broker, and its handshake unless `settle` is False; `again`: with the last identifier."""
    def step(play):
        known = {"packet_id": play.kept[client]} if again else {}
        due = {"topic": topic, "payload": payload, "qos": qos, "dup": dup, "retain": retain, **known, **fields}
        packet_id = play.due(client, PUBLISH, **due).fields.get("packet_id")
        play.kept[client] = packet_id
        if settle and qos == 1:
            play.say(client, raw_mqtt.ack(PUBACK, packet_id))
        elif settle and qos == 2:
            play.say(client, raw_mqtt.ack(PUBREC, packet_id))
            play.due(client, PUBREL, packet_id=packet_id, code=0)
            play.say(client, raw_mqtt.ack(PUBCOMP, packet_id))
    return step


def options(qos=0, no_local=False, as_published=False, handling=0):
    """The octet of a subscription's options."""
    return qos | (4 if no_local else 0) | (8 if as_published else 0) | handling << 4


def subscribe(client, *filters, qos=0, codes=None, no_local=False, as_published=False, handling=0, packet_id=None,
              **properties):
    """SUBSCRIBE and SUBACK; a filter is a text, or a pair with its options."""
    def step(play):
        chosen = packet_id or play.packet_id(client)
        octet = options(qos, no_local, as_published, handling)
        pairs = [wanted if isinstance(wanted, tuple) else (wanted, octet) for wanted in play.fill(filters)]
        version = play.clients[client].version
        play.say(client, raw_mqtt.subscribe(chosen, *pairs, properties=encode(**properties), version=version))
        due = [chosen_octet & 3 for _, chosen_octet in pairs] if codes is None else codes
        play.due(client, SUBACK, packet_id=chosen, codes=due)
    return step


def unsubscribe(client, *filters, codes=None, packet_id=None):
    """UNSUBSCRIBE and UNSUBACK."""
    def step(play):
        chosen, version = packet_id or play.packet_id(client), play.clients[client].version
        play.say(client, raw_mqtt.unsubscribe(chosen, *play.fill(filters), version=version))
        due = ([0] * len(filters) if codes is None else codes) if version == 5 else []
        play.due(client, UNSUBACK, packet_id=chosen, codes=due)
    return step


def disconnect(client, code=None, **properties):
    """DISCONNECT, and the end of the socket."""
    def step(play):
        section = encode(**properties) if properties else None
        play.say(client, closing(DISCONNECT, 0 if code is None and properties else code, section))
        play.closed(client)
    return step


def drop(client):
    """The end of the socket without DISCONNECT."""
    return lambda play: play.clients.pop(client).socket.close()
