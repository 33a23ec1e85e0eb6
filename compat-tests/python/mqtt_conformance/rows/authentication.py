"""AUTH, and the answers to Request Problem Information and Request Response Information."""

from mqtt_conformance.steps import *  # noqa: F403
from support.scram import AGAIN, CONTINUE, METHOD, Scram, auth

WITHOUT_WORDS = {"reason_string": None, "user_property": None}
EITHER = (MALFORMED, PROTOCOL_ERROR)


def begins(client, password="guest", **fields):
    """A CONNECT with the first message of SCRAM, and the broker's answer."""
    def step(play):
        scram = play.kept[client, "scram"] = Scram("guest", password)
        fields_of_auth = {"auth_method": METHOD, "auth_data": scram.first()}
        play.reach(client).send(connect_packet(play, 5, f"${client}", **fields_of_auth, **fields))
        play.kept[client, "first"] = challenge(play, client)
    return step


def begins_again(client, password="guest"):
    """An AUTH with the first message of SCRAM, and the broker's answer."""
    def step(play):
        scram = play.kept[client, "scram"] = Scram("guest", password)
        play.say(client, auth(AGAIN, scram.first()))
        play.kept[client, "first"] = challenge(play, client)
    return step


def challenge(play, client):
    """What the broker says in AUTH."""
    due = play.due(client, AUTH, code=CONTINUE, props={"auth_method": METHOD, **WITHOUT_WORDS})
    return due.fields["props"]["auth_data"]


def proves(client):
    """The last message of SCRAM."""
    return lambda play: play.say(client, auth(CONTINUE, play.kept[client, "scram"].final(play.kept[client, "first"])))


def proved(client, kind):
    """CONNACK or AUTH with the broker's own proof."""
    def step(play):
        properties = play.due(client, kind, code=0, props={"auth_method": METHOD}).fields["props"]
        play.kept[client, "scram"].check(properties["auth_data"])
    return step


def authenticated(client, **fields):
    """All of a login."""
    steps = begins(client, **fields), proves(client), proved(client, CONNACK)
    return lambda play: [step(play) for step in steps]


def told(client, *codes):
    """CONNACK with one of these codes, and the end."""
    def step(play):
        play.due(client, CONNACK, code=set(codes), present=0)
        play.closed(client)
    return step


def early(name, data, *codes, proves_too=""):
    """Octets between AUTH and CONNACK."""
    return row(f"{name} before CONNACK", f"MQTT-3.1.2-30{proves_too}, MQTT-3.2.2-7", begins("a"), sends("a", data),
               told("a", *codes))


def bad(name, proves_what, data, *codes):
    """Octets in place of a re-authentication."""
    return row(name, f"{proves_what}, MQTT-4.13.1-1", authenticated("a"), sends("a", data), ended("a", *codes))


def auth_with(*properties, code=AGAIN):
    """An AUTH with these properties."""
    return closing(AUTH, code, b"".join(properties))


NAMED, DATA = encode(auth_method=METHOD), encode(auth_data=b"x")
REFUSED, NOTHING_THERE = 0x87, {0x8F, 0x11}.issuperset
ROWS = [
    row("AUTH goes to and fro until CONNACK", "MQTT-4.12.0-2, MQTT-4.12.0-3, MQTT-4.12.0-5, MQTT-3.2.0-1",
        authenticated("a"), silent("a")),
    row("an unknown method", "MQTT-4.12.0-1", refused({0x8C, 0x87}, auth_method="UNKNOWN", auth_data=b"x"),
        refused({0x8C, 0x87}, auth_method="")),
    row("a proof that is none", "MQTT-4.12.0-4, MQTT-3.1.4-2", begins("a", "wrong"), proves("a"),
        told("a", 0x86, 0x87)),
    row("a method comes with its first data later", "4.12.0",
        opens("a", raw_mqtt.connect("later", properties=NAMED)), got("a", AUTH, code=CONTINUE),
        sends("a", auth(CONTINUE, b"x")), told("a", 0x86, 0x87)),
    row("no AUTH to a client without a method", "MQTT-4.12.0-6",
        connect("a", gives={"auth_method": None, "auth_data": None}), silent("a")),
    row("a client goes before it is let in", "MQTT-3.1.2-30, MQTT-3.14.0-1", begins("a"), disconnect("a")),
    early("PINGREQ", packet(PINGREQ, 0, b""), *EITHER),
    early("PUBLISH", raw_mqtt.publish("t"), *EITHER),
    early("SUBSCRIBE", raw_mqtt.subscribe(1, ("t", 0)), *EITHER),
    early("a second CONNECT", raw_mqtt.connect("c"), *EITHER, proves_too=", MQTT-3.1.0-2"),
    early("re-authentication", auth(AGAIN, b"x"), *EITHER, proves_too=", MQTT-4.12.0-3"),
    early("another method", auth(CONTINUE, b"x", "OTHER"), 0x8C, *EITHER, proves_too=", MQTT-4.12.0-5"),
    early("AUTH with flags", packet(AUTH, 1, b"\x18" + props(NAMED)), MALFORMED, proves_too=", MQTT-3.15.1-1"),
    early("an unknown code", auth(0x17), *EITHER, proves_too=", MQTT-3.15.2-1"),
    row("re-authentication, while everything else goes on", "MQTT-4.12.1-1, 4.12.1, MQTT-4.12.0-5", authenticated("a"),
        subscribe("a", "$t"), begins_again("a"), publish("a", "$t", qos=1), delivery("a", "$t"), silent("a"),
        proves("a"), proved("a", AUTH), silent("a"), begins_again("a"), proves("a"), proved("a", AUTH)),
    row("re-authentication that fails", "MQTT-4.12.1-2, MQTT-4.13.2-1", connect("b"), authenticated("a"),
        begins_again("a", "wrong"), proves("a"), ended("a", 0x87, 0x8C), silent("b")),
    row("re-authentication that fails leaves a will", "MQTT-4.12.1-2, MQTT-3.1.2-8", connect("b"), subscribe("b", "$w"),
        authenticated("a", will=will("$w")), begins_again("a", "wrong"), proves("a"), ended("a", 0x87, 0x8C),
        delivery("b", "$w", b"gone")),
    bad("re-authentication by another method", "MQTT-4.12.1-1, MQTT-4.12.0-5", auth(AGAIN, b"x", "OTHER"), 0x8C,
        *EITHER),
    bad("AUTH that continues nothing", "MQTT-4.12.0-3", auth(CONTINUE, b"x"), *EITHER),
    bad("AUTH with the code of a broker", "MQTT-3.15.2-1", auth(0, b"x"), *EITHER),
    bad("AUTH with an unknown code", "MQTT-3.15.2-1", auth(0x1A, b"x"), *EITHER),
    bad("AUTH without anything", "3.15.2.1, MQTT-3.15.2-1", packet(AUTH, 0, b""), *EITHER),
    bad("AUTH with flags", "MQTT-3.15.1-1", packet(AUTH, 2, b"\x19" + props(NAMED)), MALFORMED),
    bad("AUTH without a method", "3.15.2.2.2", auth_with(DATA), *EITHER),
    bad("AUTH with two methods", "3.15.2.2.2", auth_with(NAMED, NAMED), *EITHER),
    bad("AUTH with Authentication Data twice", "3.15.2.2.3", auth_with(NAMED, DATA, DATA), *EITHER),
    bad("AUTH with two Reason Strings", "3.15.2.2.4", auth_with(NAMED, encode(reason_string="x") * 2), *EITHER),
    bad("AUTH with a property of PUBLISH", "2.2.2.2", auth_with(NAMED, encode(topic_alias=1)), *EITHER),
    bad("AUTH with an unknown property", "2.2.2.2", auth_with(NAMED, b"\x7f\0"), MALFORMED),
    bad("octets behind AUTH", "3.15.2", packet(AUTH, 0, b"\x19" + props(NAMED) + b"x"), MALFORMED),
    bad("a method that is no UTF-8", "MQTT-1.5.4-1", packet(AUTH, 0, b"\x19" + props(b"\x15" + text(b"\xff"))),
        MALFORMED),
    row("AUTH with words of the client", "3.15.2.2.4, 3.15.2.2.5", authenticated("a"), sends(
        "a", auth_with(NAMED, encode(reason_string="again", user_property=[("k", "1"), ("k", "2")]))), got(
            "a", AUTH, code=CONTINUE, props={"auth_method": METHOD, **WITHOUT_WORDS})),
    row("AUTH fits a small Maximum Packet Size", "MQTT-3.15.2-2, MQTT-3.15.2-3", begins("a", maximum_packet_size=150),
        proves("a"), proved("a", CONNACK)),
    row("no words but on PUBLISH, CONNACK and DISCONNECT", "MQTT-3.1.2-29", connect("a", request_problem=0),
        sends("a", raw_mqtt.publish("$SYS/x", b"", 1, 1)), got("a", PUBACK, code=REFUSED, props=WITHOUT_WORDS),
        sends("a", raw_mqtt.publish("$SYS/x", b"", 2, 2)), got("a", PUBREC, code=REFUSED, props=WITHOUT_WORDS),
        sends("a", raw_mqtt.ack(PUBREL, 9)), got("a", PUBCOMP, code=0x92, props=WITHOUT_WORDS),
        sends("a", raw_mqtt.subscribe(3, ("a/#/b", 0))), got("a", SUBACK, codes=[0x8F], props=WITHOUT_WORDS),
        sends("a", raw_mqtt.unsubscribe(4, "a/#/b")), got("a", UNSUBACK, codes=NOTHING_THERE, props=WITHOUT_WORDS)),
    row("words give way to a small Maximum Packet Size",
        "MQTT-3.4.2-2, MQTT-3.5.2-2, MQTT-3.9.2-1, MQTT-3.11.2-1, MQTT-3.14.2-3", connect("a", maximum_packet_size=30),
        sends("a", raw_mqtt.publish("$SYS/x", b"", 1, 1)), got("a", PUBACK, code=REFUSED, props=WITHOUT_WORDS),
        sends("a", raw_mqtt.publish("$SYS/x", b"", 2, 2)), got("a", PUBREC, code=REFUSED, props=WITHOUT_WORDS),
        sends("a", raw_mqtt.subscribe(3, ("a/#/b", 0))), got("a", SUBACK, codes=[0x8F], props=WITHOUT_WORDS),
        sends("a", raw_mqtt.unsubscribe(4, "a/#/b")), got("a", UNSUBACK, codes=NOTHING_THERE, props=WITHOUT_WORDS),
        sends("a", packet(AUTH, 0, b"")), got("a", DISCONNECT, code=PROTOCOL_ERROR, props=WITHOUT_WORDS), closed("a")),
]
