"""From the protocol header to an open connection, and its end."""

from pika import spec

from conformance.steps import *  # noqa: F403
from support.raw_amqp import HEARTBEAT, frame

HEADER_0_9_1 = b"AMQP\x00\x00\x09\x01"
AMQPLAIN = b"\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest"
REFUSED = "Login was refused using authentication mechanism %s. For details see the broker logfile."
OUT_OF_ORDER = "unexpected method in connection state "
CAPABILITIES = ("publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
                "connection.blocked", "consumer_priorities", "authentication_failure_close", "per_consumer_qos", "direct_reply_to")


def wrong_header(what, data):
    """A header that is answered with the right one."""
    return raw_row(f"1.2 {what}", unspoken(), octets(data), answers(HEADER_0_9_1))


def tuned(id, text, **limits):
    """A tune-ok outside the limits."""
    return raw_row(f"1.6 {id}", greets(), logs_in(), tunes(**limits), closes(530, text))


def started(capability):
    """A capability of the server."""
    return raw_row(f"1.3 the capability {capability}", unspoken(), octets(HEADER_0_9_1), hears(
        spec.Connection.Start, server_properties=Has({"capabilities": Has({capability: True})})))


ROWS = [
    wrong_header("AMQP 0 0 9 0", b"AMQP\x00\x00\x09\x00"),
    wrong_header("AMQP 0 0 9 2", b"AMQP\x00\x00\x09\x02"),
    wrong_header("AMQP 0 0 10 0", b"AMQP\x00\x00\x0a\x00"),
    wrong_header("AMQP 1 1 8 0", b"AMQP\x01\x01\x08\x00"),
    wrong_header("AMQP 1.0", b"AMQP\x00\x01\x00\x00"),
    wrong_header("AMQP 1.0 with SASL", b"AMQP\x03\x01\x00\x00"),
    wrong_header("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    wrong_header("a TLS ClientHello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    wrong_header("eight zero octets", b"\0" * 8),
    raw_row("1.2 the header of 0-9", unspoken(), octets(b"AMQP\x01\x01\x00\x09"),
            hears(spec.Connection.Start, version_major=0, version_minor=9)),
    raw_row("1.2 a header in two parts", unspoken(), octets(b"AMQP"), octets(b"\x00\x00\x09\x01"),
            hears(spec.Connection.Start)),

    raw_row("1.3 version, mechanisms and locales", unspoken(), octets(HEADER_0_9_1),
        hears(spec.Connection.Start, version_major=0, version_minor=9,
          mechanisms=like(r"(.* )?PLAIN AMQPLAIN( .*)?"), locales=b"en_US")),
    raw_row("1.3 product and version", unspoken(), octets(HEADER_0_9_1), hears(
        spec.Connection.Start, server_properties=has(product=like(".+"), version=like(r"\d+\.\d+\.\d+.*")))),
    *map(started, CAPABILITIES),
    *(raw_row(f"1.3 the property {name}", unspoken(), octets(HEADER_0_9_1),
          hears(spec.Connection.Start, server_properties=Has({name: like(".+")})))
        for name in ("platform", "copyright", "information", "cluster_name")),

    row("1.5 PLAIN", connect(), nothing()),
    raw_row("1.5 AMQPLAIN", greets(), logs_in("AMQPLAIN", AMQPLAIN), tunes(),
        says(method(spec.Connection.Open, virtual_host="/").on(0)), hears(spec.Connection.OpenOk)),
    raw_row("1.5 PLAIN with an identity to act for", greets(), logs_in(response=b"somebody\0guest\0guest"),
        hears(spec.Connection.Tune)),
    row("1.5 a wrong password, for a client that understands the refusal",
        connect_refused(403, REFUSED % "PLAIN", password="wrong")),
    row("1.5 an unknown user", connect_refused(403, REFUSED % "PLAIN", user="nobody")),
    row("1.5 an empty password", connect_refused(403, REFUSED % "PLAIN", password="")),
    raw_row("1.5 a wrong password with AMQPLAIN",
            greets(), logs_in("AMQPLAIN", AMQPLAIN[:-5] + b"wrong"), closes(403, REFUSED % "AMQPLAIN")),
    raw_row("1.5 a wrong password, for a client that does not understand the refusal",
            greets(), logs_in(response=b"\0guest\0wrong", capabilities={}), answers(b"")),
    raw_row("1.5 an unknown mechanism", greets(), logs_in("NONSENSE"), hangs_up()),
    raw_row("1.5 a mechanism that is not offered", greets(), logs_in("EXTERNAL"), hangs_up()),
    raw_row("1.5 PLAIN without zero octets", greets(), logs_in(response=b"guest"), hangs_up()),
    raw_row("1.5 PLAIN with one zero octet", greets(), logs_in(response=b"\0guest"), hangs_up()),
    raw_row("1.5 AMQPLAIN without a password", greets(), logs_in("AMQPLAIN", b"\x05LOGINS\0\0\0\x05guest"), hangs_up()),
    raw_row("1.5 AMQPLAIN that is no table", greets(), logs_in("AMQPLAIN", b"\xff\xff\xff"), hangs_up()),
    raw_row("0.2 a method before start-ok", greets(), says(method(spec.Connection.Open).on(0)), hangs_up()),
    raw_row("0.2 a channel before start-ok", greets(), says(method(spec.Channel.Open)), hangs_up()),

    raw_row("1.6 the limits that are proposed",
            greets(), logs_in(), hears(spec.Connection.Tune, channel_max=2047, frame_max=131072, heartbeat=60)),
    tuned("frame_max under 4096", "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)",
        frame_max=4095),
    tuned("frame_max 1", "negotiated frame_max = 1 is lower than the minimum allowed value (4096)", frame_max=1),
    tuned("frame_max over the proposal",
        "negotiated frame_max = 131073 is higher than the maximum allowed value (131072)", frame_max=131073),
    tuned("frame_max 0", "negotiated frame_max = 0 (no limit) is higher than the maximum allowed value (131072)",
        frame_max=0),
    tuned("channel_max over the proposal",
        "negotiated channel_max = 2048 is higher than the maximum allowed value (2047)", channel_max=2048),
    tuned("channel_max 0", "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)",
        channel_max=0),
    row("1.6 frame_max 4096", connect(frame_max=4096), queue("$q"), publish("$q", b"x" * 9000),
        get("$q").gives(body=b"x" * 9000)),
    row("1.6 channel_max 1", connect(channel_max=1), nothing()),

    raw_row("1.7 a quiet client hears heartbeats", connect(heartbeat=1), beats(), beats()),
    raw_row("1.7 a silent client is dropped", connect(heartbeat=1), hangs_up()),
    raw_row("1.7 a heartbeat is not answered", opens(), octets(frame(HEARTBEAT, 0, b"")), nothing()),

    row("1.8 an absent vhost", connect_refused(530, "vhost $v not found", vhost="$v")),
    row("1.8 a vhost is named byte for byte", connect_refused(530, "vhost // not found", vhost="//")),
    raw_row("1.8 reserved fields are ignored", greets(), logs_in(), tunes(),
        says(method(spec.Connection.Open, virtual_host="/", capabilities="any", insist=True).on(0)),
        hears(spec.Connection.OpenOk)),
    raw_row("1.8 open after open", opens(),
        method(spec.Connection.Open, virtual_host="/").on(0).ends(504, OUT_OF_ORDER + "running")),
    raw_row("1.8 start-ok after open", opens(), says(method(
        spec.Connection.StartOk, client_properties={}, mechanism="PLAIN", response="\0guest\0guest").on(0)),
        closes(504, OUT_OF_ORDER + "running")),
    raw_row("1.8 tune-ok after open", opens(),
        says(method(spec.Connection.TuneOk, channel_max=10, frame_max=4096, heartbeat=0).on(0)),
        closes(504, OUT_OF_ORDER + "running")),
    raw_row("1.8 a channel before open", greets(), logs_in(), tunes(), says(method(spec.Channel.Open)), hangs_up()),
    raw_row("1.8 open instead of tune-ok", greets(), logs_in(), hears(spec.Connection.Tune), says(
        method(spec.Connection.Open, virtual_host="/").on(0)), hangs_up()),

    row("1.9 unacknowledged messages are back when close-ok is seen",
        declare("$q"), confirm(), publish("$q"), acked(1), hold("$q").by("second"), disconnect("second"),
        count("$q", 1), get("$q").gives(redelivered=True)),
    row("1.9 exclusive queues are gone when close-ok is seen", queue("$q").by("second"), disconnect("second"),
        declare("$q", passive=True).refused(404, "no queue '$q' in vhost '/'")),
    row("1.9 auto-delete queues of consumers are gone when close-ok is seen",
        declare("$q", auto_delete=True).by("second"), consume("$q").by("second"), disconnect("second"),
        declare("$q", passive=True).refused(404, "no queue '$q' in vhost '/'")),
    row("1.9 a socket that ends is a close", declare("$q"), queue("$e").by("second"), consume("$q").by("second"),
        drop("second"), until(count("$q", 0)), gone("$e")),
    raw_row("1.9 acknowledgements before the end of a socket are applied",
            declare("$q"), confirm(), publish("$q", b"1"), publish("$q", b"2"), acked(1, 2),
            hold("$q").by("second"), ack(1).by("second"), hold("$q").by("second"), drop("second"),
            until(count("$q", 1)), get("$q").gives(body=b"2"), get("$q").empty()),
    raw_row("1.11 a new secret", opens(), method(
        spec.Connection.UpdateSecret, spec.Connection.UpdateSecretOk, new_secret="s", reason="r").on(0)),
]
