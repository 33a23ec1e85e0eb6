"""AMQP: protocol header, login, tuning, opening, channels, heartbeats, closing."""

import pika
import pytest
from pika import spec
from pika.exceptions import AuthenticationError, ProbableAuthenticationError

from support.amqp_client import connect
from support.raw_amqp import HEARTBEAT, PROTOCOL_HEADER, RawAmqp, frame

AMQPLAIN = b"\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest"


@pytest.fixture
def raw(broker):
    with RawAmqp(broker.amqp) as connection:
        yield connection


@pytest.mark.parametrize("header", [
    b"AMQP\x00\x00\x09\x00", b"AMQP\x00\x00\x0a\x00", b"AMQP\x01\x01\x08\x00", b"AMQP\x00\x01\x00\x00",
    b"AMQP\x03\x01\x00\x00", b"HTTP/1.1", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
])
def test_a_wrong_protocol_header_is_answered_with_the_right_one_and_a_close(raw, header):
    raw.send(header)
    assert raw.read_to_end() == PROTOCOL_HEADER


def test_start_offers_version_0_9_plain_and_amqplain(raw):
    start = raw.begin()
    assert (start.version_major, start.version_minor) == (0, 9)
    offered = start.mechanisms if isinstance(start.mechanisms, bytes) else start.mechanisms.encode()
    assert {b"PLAIN", b"AMQPLAIN"} <= set(offered.split())


def test_start_offers_the_locale_en_us(raw):
    locales = raw.begin().locales
    assert (locales if isinstance(locales, bytes) else locales.encode()).split() == [b"en_US"]


@pytest.mark.parametrize("capability", [
    "publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
    "connection.blocked", "consumer_priorities", "authentication_failure_close", "per_consumer_qos",
    "direct_reply_to",
])
def test_start_announces_the_capability(raw, capability):
    assert raw.begin().server_properties["capabilities"][capability] is True


def test_start_names_the_product_and_a_dotted_version(raw):
    properties = raw.begin().server_properties
    assert properties["product"]
    assert all(part.isdigit() for part in str(properties["version"]).split("-")[0].split("."))


def test_a_client_logs_in_with_plain(amqp):
    assert amqp().is_open


def test_a_client_logs_in_with_amqplain(raw):
    raw.log_in("AMQPLAIN", AMQPLAIN)
    raw.tune()
    raw.call(0, spec.Connection.Open("/"), spec.Connection.OpenOk)


def test_tune_proposes_the_documented_limits(raw):
    raw.log_in()
    proposal = raw.tune()
    assert (proposal.channel_max, proposal.frame_max, proposal.heartbeat) == (2047, 131072, 60)


def test_a_wrong_password_is_refused_with_403_for_a_client_with_the_capability(raw):
    raw.log_in(response=b"\0guest\0wrong")
    closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (
        403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
             "For details see the broker logfile.")


def test_a_wrong_password_ends_the_socket_for_a_client_without_the_capability(raw):
    raw.log_in(response=b"\0guest\0wrong", capabilities={})
    assert spec.Connection.Tune.INDEX.to_bytes(4, "big") not in raw.read_to_end()


def test_an_unknown_user_is_refused_like_a_wrong_password(broker):
    with pytest.raises((AuthenticationError, ProbableAuthenticationError)):
        connect(broker.amqp, user="nobody")


@pytest.mark.parametrize("mechanism, response", [
    ("NONSENSE", b""), ("PLAIN", b"no zero octets"), ("PLAIN", b""), ("AMQPLAIN", b"\x05LOGINS\0\0\0\x05guest"),
    ("AMQPLAIN", b"\xff\xff\xff"),
])
def test_a_malformed_login_ends_the_socket(raw, mechanism, response):
    raw.log_in(mechanism, response)
    assert spec.Connection.Tune.INDEX.to_bytes(4, "big") not in raw.read_to_end()


def test_a_method_before_start_ok_ends_the_socket(raw):
    raw.begin()
    raw.method(0, spec.Connection.Open("/"))
    assert spec.Connection.OpenOk.INDEX.to_bytes(4, "big") not in raw.read_to_end()


@pytest.mark.parametrize("tuned, text", [
    ({"frame_max": 4095}, "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)"),
    ({"frame_max": 200000}, "negotiated frame_max = 200000 is higher than the maximum allowed value (131072)"),
    ({"channel_max": 0}, "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)"),
    ({"channel_max": 2048}, "negotiated channel_max = 2048 is higher than the maximum allowed value (2047)"),
])
def test_a_tune_ok_outside_the_limits_is_refused_with_530(raw, tuned, text):
    raw.log_in()
    raw.tune(**tuned)
    closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (530, f"NOT_ALLOWED - {text}")


def test_the_frame_size_4096_of_the_specification_is_accepted(raw):
    raw.open(frame_max=4096)


def test_an_absent_vhost_is_refused_with_530(raw):
    raw.log_in()
    raw.tune()
    raw.method(0, spec.Connection.Open("foo"))
    closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (530, "NOT_ALLOWED - vhost foo not found")


def test_opening_a_connection_twice_is_refused_with_504(raw):
    raw.open()
    raw.method(0, spec.Connection.Open("/"))
    closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (
        504, "CHANNEL_ERROR - unexpected method in connection state running")


def test_opening_a_channel_twice_is_refused_with_504(raw):
    raw.open()
    raw.method(1, spec.Channel.Open())
    closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (504, "CHANNEL_ERROR - second 'channel.open' seen")


def test_a_method_on_a_channel_that_is_not_open_is_refused_with_504(raw):
    raw.open()
    raw.method(2, spec.Queue.Declare(queue="q"))
    closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (504, "CHANNEL_ERROR - expected 'channel.open'")


def test_more_channels_than_negotiated_are_refused_with_530(raw):
    raw.open(channels=(1, 2), channel_max=2)
    raw.method(3, spec.Channel.Open())
    closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (
        530, "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)")


def test_all_negotiated_channels_can_be_open_at_once(raw):
    raw.open(channels=range(1, 101), channel_max=100)
    raw.declare(channel=100, exclusive=True)


def test_a_closed_channel_number_can_be_opened_again(raw):
    raw.open()
    raw.call(1, spec.Channel.Close(200, "", 0, 0), spec.Channel.CloseOk)
    raw.open_channel(1)


def test_channel_flow_on_is_answered(raw):
    raw.open()
    assert raw.call(1, spec.Channel.Flow(True), spec.Channel.FlowOk).active is True


def test_channel_flow_off_is_not_implemented(raw):
    raw.open()
    raw.method(1, spec.Channel.Flow(False))
    closed = raw.expect_connection_close()
    assert (closed.reply_code, closed.reply_text) == (540, "NOT_IMPLEMENTED - active=false")


def test_access_request_is_granted_ticket_1(raw):
    raw.open()
    assert raw.call(1, spec.Access.Request(), spec.Access.RequestOk).ticket == 1


def test_update_secret_is_acknowledged(amqp):
    connection = amqp()
    connection.update_secret("guest", "a test")
    assert connection.channel().is_open


def test_the_broker_sends_heartbeats_to_a_quiet_client(raw):
    raw.open(heartbeat=1)
    assert raw.read_frame() == (HEARTBEAT, 0, b"")


def test_a_silent_client_is_dropped_within_three_heartbeat_intervals(raw):
    raw.open(heartbeat=1)
    assert 1.0 <= raw.seconds_to_end() <= 4.0


def test_heartbeats_alone_keep_a_connection_alive(raw):
    raw.open(heartbeat=1)
    for _ in range(10):  # the broker sends one per half interval: this lasts about five seconds
        assert raw.read_frame()[0] == HEARTBEAT
        raw.send(frame(HEARTBEAT, 0, b""))
    raw.declare(exclusive=True)


def test_exclusive_queues_are_gone_when_close_ok_arrives(amqp, name):
    queue, first, second = name(), amqp(), amqp()
    first.channel().queue_declare(queue, exclusive=True)
    first.close()
    second.channel().queue_declare(queue, exclusive=True)


def test_a_second_connection_lives_on_when_the_first_fails(amqp, broker):
    survivor = amqp().channel()
    with RawAmqp(broker.amqp) as raw:
        raw.open()
        raw.send(frame(1, 1, b"\0\0\0\0", end=0))
        raw.expect_connection_close()
    assert survivor.queue_declare("", exclusive=True).method.queue


def test_a_client_survives_the_frame_after_close(amqp):
    connection = amqp()
    connection.channel()
    connection.close()
    assert connection.is_closed


def test_a_blocking_client_with_heartbeats_works(broker):
    connection = connect(broker.amqp, heartbeat=2)
    channel = connection.channel()
    connection.sleep(3)  # pika's own event loop: it sends and expects heartbeats meanwhile
    assert channel.queue_declare("", exclusive=True).method.queue.startswith("amq.gen-")
    connection.close()


def test_default_parameters_of_the_client_are_accepted(broker):
    connection = pika.BlockingConnection(pika.ConnectionParameters(*broker.amqp))
    assert connection.channel().is_open
    connection.close()
