"""AMQP: what users may do with exchanges, queues and topics."""

import pika
import pytest

from support.accounts import EVERYTHING, Account, refusal_of_open
from support.amqp_client import (
    close_of_channel, close_of_connection, confirm, connect, get_one, synchronise)
from support.management import Management

CONFIGURE, WRITE, READ = "configure", "write", "read"


def refused(right, resource, user):
    return 403, f"ACCESS_REFUSED - {right} access to {resource} in vhost '/' refused for user '{user}'"


def publish(channel, exchange, key, properties=None):
    channel.basic_publish(exchange, key, b"x", properties)
    synchronise(channel)


OPERATIONS = {
    "declare a queue": (
        CONFIGURE, "queue 'q'", lambda channel: channel.queue_declare("q", auto_delete=True)),
    "delete a queue": (CONFIGURE, "queue 'q'", lambda channel: channel.queue_delete("q")),
    "declare an exchange": (
        CONFIGURE, "exchange 'x'", lambda channel: channel.exchange_declare("x", auto_delete=True)),
    "delete an exchange": (CONFIGURE, "exchange 'x'", lambda channel: channel.exchange_delete("x")),
    "publish": (
        WRITE, "exchange 'amq.direct'", lambda channel: publish(channel, "amq.direct", "k")),
    "publish to a queue": (
        WRITE, "exchange 'amq.default'", lambda channel: publish(channel, "", "k")),
    "publish with copies": (
        WRITE, "exchange 'amq.direct'",
        lambda channel: publish(
            channel, "amq.direct", "k", pika.BasicProperties(headers={"CC": ["other"]}))),
    "bind a queue": (
        WRITE, "queue 'q'", lambda channel: channel.queue_bind("q", "amq.direct", "k")),
    "unbind a queue": (
        WRITE, "queue 'q'", lambda channel: channel.queue_unbind("q", "amq.direct", "k")),
    "bind an exchange": (
        WRITE, "exchange 'amq.fanout'",
        lambda channel: channel.exchange_bind("amq.fanout", "amq.direct", "k")),
    "unbind an exchange": (
        WRITE, "exchange 'amq.fanout'",
        lambda channel: channel.exchange_unbind("amq.fanout", "amq.direct", "k")),
    "get": (READ, "queue 'q'", lambda channel: channel.basic_get("q")),
    "consume": (READ, "queue 'q'", lambda channel: channel.basic_consume("q", print)),
    "purge": (READ, "queue 'q'", lambda channel: channel.queue_purge("q")),
}


@pytest.mark.parametrize("right, resource, operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_an_operation_needs_its_right(account, right, resource, operation):
    user = account(**{**EVERYTHING, right: "^only-this$"})
    connection = user.connect()
    assert close_of_channel(lambda: operation(connection.channel())) == refused(right, resource, user.name)
    assert connection.channel().is_open, "the connection goes on"
    connection.close()


@pytest.mark.parametrize("bind", [
    lambda channel, queue: channel.queue_bind(queue, "amq.direct", "k"),
    lambda channel, queue: channel.queue_unbind(queue, "amq.direct", "k"),
])
def test_a_binding_reads_from_its_source(account, name, bind):
    user, queue = account(configure=".*", write=".*"), name()
    channel = user.connect().channel()
    channel.queue_declare(queue, exclusive=True)
    assert close_of_channel(lambda: bind(channel, queue)) == refused(
        READ, "exchange 'amq.direct'", user.name)


@pytest.mark.parametrize("permissions, resource, right", [
    ({"configure": ".*", "write": ".*"}, "queue 'q'", READ),
    ({"configure": ".*", "read": ".*"}, "exchange 'dlx'", WRITE),
])
def test_dead_letters_need_rights_of_their_own(account, permissions, resource, right):
    user = account(**permissions)
    arguments = {"x-dead-letter-exchange": "dlx"}
    declare = lambda: user.connect().channel().queue_declare("q", exclusive=True, arguments=arguments)
    assert close_of_channel(declare) == refused(right, resource, user.name)


@pytest.mark.parametrize("permissions, resource, right", [
    ({"configure": ".*", "write": ".*"}, "exchange 'x'", READ),
    ({"configure": ".*", "read": ".*"}, "exchange 'ae'", WRITE),
])
def test_an_alternate_exchange_needs_rights_of_its_own(account, permissions, resource, right):
    user = account(**permissions)
    arguments = {"alternate-exchange": "ae"}
    declare = lambda: user.connect().channel().exchange_declare("x", arguments=arguments)
    assert close_of_channel(declare) == refused(right, resource, user.name)


@pytest.mark.parametrize("right", [CONFIGURE, WRITE, READ])
def test_a_passive_declare_needs_any_right(account, channel, name, right):
    queue = name()
    channel.queue_declare(queue, exclusive=False, auto_delete=True)
    user = account(**{right: f"^({queue}|amq\\.direct)$"})
    own = user.connect().channel()
    own.queue_declare(queue, passive=True)
    own.exchange_declare("amq.direct", passive=True)
    code, _ = close_of_channel(lambda: own.exchange_declare("amq.fanout", passive=True))
    assert code == 403
    code, _ = close_of_channel(lambda: user.connect().channel().queue_declare("absent", passive=True))
    assert code == 404
    channel.queue_delete(queue)


def test_a_generated_name_is_checked_as_any_other(account):
    user = account(configure="^mine")
    code, text = close_of_channel(lambda: user.connect().channel().queue_declare(""))
    assert code == 403 and text.startswith("ACCESS_REFUSED - configure access to queue 'amq.gen-")


def test_a_pattern_is_searched_and_an_empty_one_is_for_nothing(account):
    user = account(configure="ab", write="^$")
    connection = user.connect()
    connection.channel().queue_declare("xabx", exclusive=True)
    for queue in ("ba", "axb"):
        code, _ = close_of_channel(lambda: connection.channel().queue_declare(queue, exclusive=True))
        assert code == 403
    code, _ = close_of_channel(lambda: publish(connection.channel(), "", "xabx"))
    assert code == 403


def test_a_change_holds_for_a_publisher_at_work(account, channel, name):
    queue = name()
    channel.queue_declare(queue, exclusive=True)
    user = account(write="^amq\\.default$")
    own = user.connect().channel()
    confirm(own)
    for _ in range(3):
        own.basic_publish("", queue, b"before")
    user.permit(write="^other$")
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
        own.basic_publish("", queue, b"after")
    assert (caught.value.reply_code, caught.value.reply_text) == refused(
        WRITE, "exchange 'amq.default'", user.name)
    user.permit(write=".*")
    again = user.connect().channel()
    confirm(again)
    again.basic_publish("", queue, b"again")
    assert [get_one(channel, queue)[2] for _ in range(4)] == [b"before"] * 3 + [b"again"]


def test_a_change_holds_for_an_open_channel(account, channel, name):
    queue, user = name(), account(read=".*")
    channel.queue_declare(queue, auto_delete=True)
    own = user.connect().channel()
    assert own.basic_get(queue)[0] is None
    user.permit()
    assert close_of_channel(lambda: own.basic_get(queue)) == refused(
        READ, f"queue '{queue}'", user.name)
    channel.queue_delete(queue)


def test_without_an_entry_there_is_no_access_to_the_vhost(account, management):
    user = account()
    management.delete(f"permissions/%2F/{user.name}")
    text = f"(530) \"NOT_ALLOWED - access to vhost '/' refused for user '{user.name}'\""
    assert text in refusal_of_open(user.connect)


def test_a_user_who_is_deleted_is_disconnected(account, management):
    user = account()
    connection = user.connect()
    assert management.delete(f"users/{user.name}").status_code == 204
    assert close_of_connection(lambda: connection.sleep(10)) == (
        320, f"CONNECTION_FORCED - user '{user.name}' is deleted")


def test_publishing_and_binding_to_topics_can_be_limited(account, name):
    user = account(**EVERYTHING)
    user.permit_topics("amq.topic", write="^{username}\\.", read="^public\\.")
    connection, queue = user.connect(), name()
    own = connection.channel()
    own.queue_declare(queue, exclusive=True)
    own.queue_bind(queue, "amq.topic", "public.#")
    where = f"in exchange 'amq.topic' in vhost '/' refused for user '{user.name}'"
    assert close_of_channel(lambda: own.queue_bind(queue, "amq.topic", "#")) == (
        403, f"ACCESS_REFUSED - read access to topic '#' {where}")
    own = connection.channel()
    publish(own, "amq.topic", f"{user.name}.x")
    assert close_of_channel(lambda: publish(own, "amq.topic", "other.x")) == (
        403, f"ACCESS_REFUSED - write access to topic 'other.x' {where}")
    copies = pika.BasicProperties(headers={"CC": ["other.y"]})
    code, text = close_of_channel(
        lambda: publish(connection.channel(), "amq.topic", f"{user.name}.x", copies))
    assert (code, text) == (403, f"ACCESS_REFUSED - write access to topic 'other.y' {where}")
    publish(connection.channel(), "amq.direct", "other.x")


def test_a_change_of_topic_permissions_holds_for_a_publisher_at_work(account, management):
    user = account(**EVERYTHING)
    own = user.connect().channel()
    publish(own, "amq.topic", "a")
    user.permit_topics("amq.topic", write="^b$")
    assert close_of_channel(lambda: publish(own, "amq.topic", "a"))[0] == 403
    assert management.delete(f"topic-permissions/%2F/{user.name}/amq.topic").status_code == 204
    publish(user.connect().channel(), "amq.topic", "a")


def test_an_impersonator_may_publish_in_the_name_of_others(account):
    user = account(**EVERYTHING, tags="impersonator")
    publish(user.connect().channel(), "amq.direct", "k", pika.BasicProperties(user_id="somebody"))
    plain = account(**EVERYTHING)
    code, _ = close_of_channel(lambda: publish(
        plain.connect().channel(), "amq.direct", "k", pika.BasicProperties(user_id="somebody")))
    assert code == 406


@pytest.mark.own_process
def test_users_and_permissions_survive_kill_9(own_broker):
    management = Management(own_broker.http)
    assert management.put("vhosts/v", {"description": "d", "tags": "t"}).status_code == 201
    user = Account(management, own_broker.amqp, "jo", vhost="v", configure="^c", write=".*", read=".*")
    user.permit_topics("amq.topic", write="^w", read="^r")
    gone = Account(management, own_broker.amqp, "gone")
    gone.delete()
    before = [management.read(path) for path in ("users", "permissions", "topic-permissions")]
    for _ in range(2):
        own_broker.kill_and_restart()
        assert [management.read(path) for path in ("users", "permissions", "topic-permissions")] == before
        assert management.read("vhosts/v")["metadata"] == {"description": "d", "tags": ["t"]}
    own = user.connect().channel()
    own.queue_declare("c", exclusive=True)
    assert close_of_channel(lambda: publish(own, "amq.topic", "x")) == (
        403, "ACCESS_REFUSED - write access to topic 'x' in exchange 'amq.topic' in vhost 'v' "
             "refused for user 'jo'")
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        connect(own_broker.amqp, user="gone", password="secret")


def test_a_pattern_that_would_have_to_look_around_is_refused_when_it_is_set(account, management):
    path = f"permissions/%2F/{account().name}"
    for write, status in [("a(?=b)", 400), ("(a)\\1", 400), ("^(?!amq\\.).*", 204)]:
        assert management.put(path, {**EVERYTHING, "write": write}).status_code == status


def test_a_user_name_in_a_topic_permission_is_no_pattern(management, broker, name):
    user = Account(management, broker.amqp, f"{name()}.*", **EVERYTHING)
    user.permit_topics("amq.topic", write="^{username}$")
    publish(user.connect().channel(), "amq.topic", user.name)
    code, _ = close_of_channel(
        lambda: publish(user.connect().channel(), "amq.topic", user.name.replace(".*", "other")))
    user.delete()
    assert code == 403
