"""AMQP: exchange declaration and deletion, bindings, and the routing of every exchange type."""

import pika
import pytest

from support.amqp_client import close_of_channel, confirm, drain, get_one

NOT_ON_DEFAULT = "ACCESS_REFUSED - operation not permitted on the default exchange"


def routed(channel, exchange, keys, queue, headers=None):
    """Publishes a message per key, confirmed, and returns the keys that reached `queue`."""
    confirm(channel)
    for key in keys:
        channel.basic_publish(exchange, key, key.encode(), pika.BasicProperties(headers=headers))
    return [body.decode() for body in drain(channel, queue)]


def bound_queue(channel, exchange, key="", arguments=None):
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, exchange, key, arguments)
    return queue


@pytest.mark.parametrize("kind", ["direct", "fanout", "topic", "headers"])
def test_an_exchange_of_each_type_can_be_declared_twice_alike(channel, name, kind):
    exchange = name()
    channel.exchange_declare(exchange, kind)
    channel.exchange_declare(exchange, kind)
    channel.exchange_delete(exchange)


@pytest.mark.parametrize("exchange, kind", [
    ("amq.direct", "direct"), ("amq.fanout", "fanout"), ("amq.topic", "topic"),
    ("amq.headers", "headers"), ("amq.match", "headers"),
])
def test_the_predeclared_exchanges_are_there_and_may_be_redeclared(channel, exchange, kind):
    channel.exchange_declare(exchange, kind, passive=True)
    channel.exchange_declare(exchange, kind, durable=True)


def test_an_unknown_exchange_type_is_refused_with_406(channel, name):
    code, text = close_of_channel(lambda: channel.exchange_declare(name(), "x-never-heard-of"))
    assert code == 406
    assert text in ("PRECONDITION_FAILED - unknown exchange type 'x-never-heard-of'",
                    "PRECONDITION_FAILED - invalid exchange type 'x-never-heard-of'")


@pytest.mark.parametrize("changed, text", [
    ({"exchange_type": "fanout"}, "'type' for {x}: received 'fanout' but current is 'direct'"),
    ({"durable": True}, "'durable' for {x}: received 'true' but current is 'false'"),
    ({"auto_delete": True}, "'auto_delete' for {x}: received 'true' but current is 'false'"),
    ({"internal": True}, "'internal' for {x}: received 'true' but current is 'false'"),
])
def test_a_different_redeclaration_is_refused_with_406(channel, name, changed, text):
    exchange = name()
    channel.exchange_declare(exchange, "direct")
    code, reply = close_of_channel(lambda: channel.exchange_declare(exchange, **changed))
    expected = text.format(x=f"exchange '{exchange}' in vhost '/'")
    assert (code, reply) == (406, f"PRECONDITION_FAILED - inequivalent arg {expected}")


def test_a_passive_declare_of_an_absent_exchange_is_404(channel, name):
    exchange = name()
    code, text = close_of_channel(lambda: channel.exchange_declare(exchange, passive=True))
    assert (code, text) == (404, f"NOT_FOUND - no exchange '{exchange}' in vhost '/'")


def test_the_default_exchange_cannot_be_declared(channel):
    assert close_of_channel(lambda: channel.exchange_declare("", "direct")) == (403, NOT_ON_DEFAULT)


def test_the_default_exchange_cannot_be_deleted(channel):
    assert close_of_channel(lambda: channel.exchange_delete("")) == (403, NOT_ON_DEFAULT)


def test_the_default_exchange_cannot_be_bound(channel):
    queue = channel.queue_declare("", exclusive=True).method.queue
    assert close_of_channel(lambda: channel.queue_bind(queue, "", "k")) == (403, NOT_ON_DEFAULT)


def test_new_names_with_the_reserved_prefix_are_refused(channel):
    code, text = close_of_channel(lambda: channel.exchange_declare("amq.mine", "direct"))
    assert (code, text) == (
        403, "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'")


def test_predeclared_exchanges_cannot_be_deleted(channel):
    code, text = close_of_channel(lambda: channel.exchange_delete("amq.direct"))
    assert (code, text) == (
        403, "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed")


def test_deleting_an_absent_exchange_is_no_error(channel, name):
    channel.exchange_delete(name())


def test_a_bound_exchange_is_not_deleted_if_unused(channel, name):
    exchange = name()
    channel.exchange_declare(exchange, "direct")
    bound_queue(channel, exchange, "k")
    code, text = close_of_channel(lambda: channel.exchange_delete(exchange, if_unused=True))
    assert (code, text) == (406, f"PRECONDITION_FAILED - exchange '{exchange}' in vhost '/' in use")


def test_an_auto_delete_exchange_goes_with_its_last_binding(channel, name):
    exchange = name()
    channel.exchange_declare(exchange, "direct", auto_delete=True)
    queue = bound_queue(channel, exchange, "a")
    channel.queue_bind(queue, exchange, "b")
    channel.queue_unbind(queue, exchange, "a")
    channel.exchange_declare(exchange, passive=True)
    channel.queue_unbind(queue, exchange, "b")
    assert close_of_channel(lambda: channel.exchange_declare(exchange, passive=True))[0] == 404


def test_publishing_to_an_internal_exchange_is_refused_with_403(channel, name):
    exchange = name()
    channel.exchange_declare(exchange, "fanout", internal=True)
    confirm(channel)
    code, text = close_of_channel(lambda: channel.basic_publish(exchange, "", b""))
    assert (code, text) == (
        403, f"ACCESS_REFUSED - cannot publish to internal exchange '{exchange}' in vhost '/'")


def test_an_internal_exchange_is_reached_through_another_exchange(channel, name):
    outer, inner = name("outer"), name("inner")
    channel.exchange_declare(outer, "fanout", auto_delete=True)
    channel.exchange_declare(inner, "fanout", internal=True, auto_delete=True)
    queue = bound_queue(channel, inner)
    channel.exchange_bind(inner, outer)
    assert routed(channel, outer, ["k"], queue) == ["k"]


def test_exchanges_bound_in_a_circle_deliver_one_copy(channel, name):
    first, second = name("first"), name("second")
    for exchange in (first, second):
        channel.exchange_declare(exchange, "fanout", auto_delete=True)
    channel.exchange_bind(first, second)
    channel.exchange_bind(second, first)
    queue = bound_queue(channel, first)
    channel.queue_bind(queue, second)
    assert routed(channel, second, ["k"], queue) == ["k"]


def test_exchange_unbind_stops_the_flow(channel, name):
    source, destination = name("source"), name("destination")
    for exchange in (source, destination):
        channel.exchange_declare(exchange, "fanout")
    queue = bound_queue(channel, destination)
    channel.exchange_bind(destination, source)
    channel.exchange_unbind(destination, source)
    assert routed(channel, source, ["k"], queue) == []


def test_binding_to_an_absent_exchange_is_404(channel, name):
    queue, exchange = channel.queue_declare("", exclusive=True).method.queue, name()
    code, text = close_of_channel(lambda: channel.queue_bind(queue, exchange, "k"))
    assert (code, text) == (404, f"NOT_FOUND - no exchange '{exchange}' in vhost '/'")


def test_binding_an_absent_queue_is_404(channel, name):
    queue = name()
    code, text = close_of_channel(lambda: channel.queue_bind(queue, "amq.direct", "k"))
    assert (code, text) == (404, f"NOT_FOUND - no queue '{queue}' in vhost '/'")


def test_the_empty_queue_name_means_the_last_declared_queue(channel, name):
    key = name("key")
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind("", "amq.direct", key)
    assert routed(channel, "amq.direct", [key], queue) == [key]


def test_the_empty_queue_name_without_a_declaration_is_404(channel):
    code, text = close_of_channel(lambda: channel.queue_bind("", "amq.direct", "k"))
    assert (code, text) == (404, "NOT_FOUND - no previously declared queue")


def test_unbinding_what_is_not_bound_is_no_error(channel):
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_unbind(queue, "amq.direct", "never-bound")


def test_the_same_binding_twice_is_one_binding(channel, name):
    key = name("key")
    queue = bound_queue(channel, "amq.direct", key)
    channel.queue_bind(queue, "amq.direct", key)
    assert routed(channel, "amq.direct", [key], queue) == [key]
    channel.queue_unbind(queue, "amq.direct", key)
    assert routed(channel, "amq.direct", [key], queue) == []


def test_the_default_exchange_routes_by_queue_name(channel):
    queue = channel.queue_declare("", exclusive=True).method.queue
    assert routed(channel, "", [queue], queue) == [queue]


def test_a_direct_exchange_matches_the_key_exactly(channel, name):
    key = name("key")
    queue = bound_queue(channel, "amq.direct", key)
    assert routed(channel, "amq.direct", [key, key + "x", key.upper(), ""], queue) == [key]


def test_a_fanout_exchange_ignores_the_key(channel, name):
    exchange = name()
    channel.exchange_declare(exchange, "fanout", auto_delete=True)
    queues = [bound_queue(channel, exchange, key) for key in ("a", "b")]
    assert [routed(channel, exchange, ["z"], queue)[0] for queue in queues] == ["z", "z"]


TOPIC_KEYS = ["", "a", "a.b", "a.b.c", "a.x.c", "a..c", "b", ".", "a.", "A.b", "a.b.c.d", "*", "#", "é.x"]


@pytest.mark.parametrize("pattern, matching", [
    ("#", TOPIC_KEYS),
    ("", [""]),
    ("*", ["a", "b", "*", "#"]),
    ("a.b", ["a.b"]),
    ("a.*", ["a.b", "a."]),
    ("a.#", ["a", "a.b", "a.b.c", "a.x.c", "a..c", "a.", "a.b.c.d"]),
    ("#.c", ["a.b.c", "a.x.c", "a..c"]),
    ("a.*.c", ["a.b.c", "a.x.c", "a..c"]),
    ("a.#.c", ["a.b.c", "a.x.c", "a..c"]),
    ("#.b.#", ["a.b", "a.b.c", "b", "A.b", "a.b.c.d"]),
    ("*.*", ["a.b", ".", "a.", "A.b", "é.x"]),
    ("*.#", [key for key in TOPIC_KEYS if key]),
    ("#.#", TOPIC_KEYS),
    ("a*", []),
    ("é.*", ["é.x"]),
])
def test_topic_patterns_match(channel, name, pattern, matching):
    exchange = name()
    channel.exchange_declare(exchange, "topic", auto_delete=True)
    queue = bound_queue(channel, exchange, pattern)
    assert routed(channel, exchange, TOPIC_KEYS, queue) == matching


def test_a_queue_bound_by_two_matching_patterns_gets_one_copy(channel, name):
    exchange = name()
    channel.exchange_declare(exchange, "topic", auto_delete=True)
    queue = bound_queue(channel, exchange, "a.#")
    channel.queue_bind(queue, exchange, "#.b")
    assert routed(channel, exchange, ["a.b"], queue) == ["a.b"]


@pytest.mark.parametrize("arguments, headers, matches", [
    ({"x-match": "all", "a": 1, "b": "two"}, {"a": 1, "b": "two", "c": 3}, True),
    ({"x-match": "all", "a": 1, "b": "two"}, {"a": 1}, False),
    ({"a": 1}, {"a": 1}, True),
    ({"a": 1}, {"a": 2}, False),
    ({"x-match": "any", "a": 1, "b": "two"}, {"b": "two"}, True),
    ({"x-match": "any", "a": 1, "b": "two"}, {"a": 2}, False),
    ({"x-match": "all"}, {"z": 1}, True),
    ({"x-match": "any"}, {"z": 1}, False),
    ({"x-match": "all", "a": None}, {"a": "whatever"}, True),
    ({"x-match": "all", "a": None}, {"b": 1}, False),
    ({"x-match": "all", "x-a": 1}, {}, True),
    ({"x-match": "all-with-x", "x-a": 1}, {}, False),
    ({"x-match": "all-with-x", "x-a": 1}, {"x-a": 1}, True),
    ({"x-match": "any-with-x", "x-a": 1, "b": 2}, {"x-a": 1}, True),
    ({"x-match": "all", "a": True}, {"a": True}, True),
    ({"x-match": "all", "a": 1}, {"a": 2 ** 40}, False),
    ({"x-match": "all", "a": 1}, None, False),
])
def test_headers_bindings_match(channel, name, arguments, headers, matches):
    exchange = name()
    channel.exchange_declare(exchange, "headers", auto_delete=True)
    queue = bound_queue(channel, exchange, "", arguments)
    assert routed(channel, exchange, ["k"], queue, headers) == (["k"] if matches else [])


@pytest.mark.parametrize("value, text", [
    ("foo", 'Invalid x-match field value <<"foo">>; expected all, any, all-with-x, or any-with-x'),
    (23, "Invalid x-match field type signedint (value 23); expected longstr"),
])
def test_a_wrong_x_match_is_refused_with_406(channel, value, text):
    queue = channel.queue_declare("", exclusive=True).method.queue
    code, reply = close_of_channel(
        lambda: channel.queue_bind(queue, "amq.headers", "", {"x-match": value}))
    assert (code, reply) == (406, f"PRECONDITION_FAILED - {text}")


def test_names_and_keys_of_255_bytes_work(channel):
    exchange, key = "e" * 255, "k" * 255
    channel.exchange_declare(exchange, "direct", auto_delete=True)
    queue = bound_queue(channel, exchange, key)
    channel.basic_publish(exchange, key, b"long")
    method, _, _ = get_one(channel, queue)
    assert (method.exchange, method.routing_key) == (exchange, key)


def test_the_empty_key_is_a_key_like_any_other(channel, name):
    exchange = name()
    channel.exchange_declare(exchange, "direct", auto_delete=True)
    queue = bound_queue(channel, exchange, "")
    assert routed(channel, exchange, ["", "x"], queue) == [""]


def test_deleting_an_exchange_removes_its_bindings(channel, name):
    exchange = name()
    channel.exchange_declare(exchange, "fanout")
    queue = bound_queue(channel, exchange)
    channel.exchange_delete(exchange)
    channel.exchange_declare(exchange, "fanout", auto_delete=True)
    assert routed(channel, exchange, ["k"], queue) == []


def test_what_leads_nowhere_goes_to_the_alternate_exchange(amqp, name):
    channel, queue = amqp().channel(), name("rest")
    first, second = name("first"), name("second")
    channel.exchange_declare(second, "fanout", durable=True)
    channel.exchange_declare(first, "direct", durable=True, arguments={"alternate-exchange": second})
    channel.queue_declare(queue, exclusive=True)
    channel.confirm_delivery()
    with pytest.raises(pika.exceptions.UnroutableError):
        channel.basic_publish(first, "k", b"nowhere", mandatory=True)
    channel.queue_bind(queue, second)
    channel.basic_publish(first, "k", b"somewhere", mandatory=True)
    channel.queue_bind(queue, first, "k")
    channel.basic_publish(first, "k", b"directly", mandatory=True)
    assert drain(channel, queue) == [b"somewhere", b"directly"]
