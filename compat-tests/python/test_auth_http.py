"""Users whom an HTTP server knows, in the form of RabbitMQ's rabbitmq_auth_backend_http."""

import threading

import pytest
import requests
from pika.exceptions import (
    ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError)

from support.accounts import EVERYTHING
from support.amqp_client import close_of_channel, confirm, connect, fill, get, synchronise
from support.auth_server import AuthServer
from support.broker import Broker
from support.certificates import files  # noqa: F401
from support.management import Management
from support.mqtt_client import MqttClient
from support.raw_mqtt import CONNACK, RawMqtt, text
from support.raw_mqtt import connect as mqtt_connect
from support.waiting import eventually

pytestmark = pytest.mark.own_process

USERS = {"jo": ("secret", ""), "eve": ("secret", "administrator"), "mo": ("secret", "management")}


class Rules:
    """What the server allows: everything that is not denied here."""

    def __init__(self, server):
        self.denied = []
        server.answers = {
            "user": self.user, "vhost": self.decide, "resource": self.decide, "topic": self.decide}

    def user(self, form):
        password, tags = USERS.get(form["username"], (None, ""))
        return f"allow {tags}" if form.get("password") == password else "deny"

    def deny(self, **wanted):
        self.denied.append(wanted)

    def decide(self, form):
        matches = (wanted.items() <= form.items() for wanted in self.denied)
        return "deny because of a rule" if any(matches) else "allow\n"


@pytest.fixture
def server():
    server = AuthServer()
    server.rules = Rules(server)
    yield server
    server.stop()


@pytest.fixture
def start(start_with, server):
    """Starts brokers that ask the server."""
    def start(backends="http", server=server, **settings):
        paths = ("user", "vhost", "resource", "topic")
        urls = {f"auth_http_{path}_url": server.url(path) for path in paths}
        return start_with(auth_backends=backends, **urls, **settings)

    return start


def jo(broker, **options):
    return connect(broker.amqp, **{"user": "jo", "password": "secret", **options})


def mqtt_jo(broker, client_id="c1", **options):
    return MqttClient(broker.mqtt, client_id, **{"user": "jo", "password": "secret", **options})


@pytest.mark.parametrize("method", ["get", "post"])
def test_amqp_asks_the_four_urls(start, server, method):
    broker = start(auth_http_method=method)
    connection = jo(broker)
    channel = connection.channel()
    channel.queue_declare("q&q")
    channel.queue_bind("q&q", "amq.topic", "a.*")
    fill(channel, "q&q", [b"1"])
    confirm(channel)
    channel.basic_publish("amq.topic", "a.b", b"2")
    assert [get(channel, "q&q")[2] for _ in range(2)] == [b"1", b"2"]
    assert {method.upper()} == {command for command, _, _ in server.asked}
    assert server.forms("user") == [{"username": "jo", "password": "secret"}]
    assert server.forms("vhost") == [
        {"username": "jo", "vhost": "/", "ip": "127.0.0.1", "tags": ""}]
    resources = [(f["resource"], f["name"], f["permission"]) for f in server.forms("resource")]
    assert resources == [
        ("queue", "q&q", "configure"), ("queue", "q&q", "write"), ("exchange", "amq.topic", "read"),
        ("exchange", "amq.default", "write"), ("exchange", "amq.topic", "write"), ("queue", "q&q", "read"),
    ]
    read, written = server.forms("topic")
    assert read == {
        "username": "jo", "vhost": "/", "resource": "topic", "name": "amq.topic", "permission": "read",
        "tags": "", "routing_key": "a.*", "variable_map.username": "jo", "variable_map.vhost": "/"}
    assert (written["permission"], written["routing_key"]) == ("write", "a.b")
    assert server.connections < len(server.asked), "connections are used again"
    connection.close()


def test_amqp_refuses_what_the_server_denies(start, server):
    broker = start()
    with pytest.raises(ProbableAuthenticationError):
        jo(broker, password="wrong")
    with pytest.raises(ProbableAuthenticationError):
        connect(broker.amqp, user="guest", password="guest")
    Management(broker.http, "eve", "secret").put("vhosts/v")
    server.rules.deny(vhost="v")
    with pytest.raises(ProbableAccessDeniedError, match="access to vhost 'v' refused for user 'jo'"):
        jo(broker, vhost="v")
    server.rules.deny(resource="queue", name="c", permission="configure")
    server.rules.deny(resource="queue", name="r", permission="read")
    server.rules.deny(resource="exchange", name="amq.fanout", permission="write")
    server.rules.deny(routing_key="secret", permission="write")
    server.rules.deny(routing_key="secret", permission="read")
    connection = jo(broker)
    jo(broker).channel().queue_declare("r")

    def refused(operation):
        channel = connection.channel()
        return close_of_channel(lambda: operation(channel))

    def publish(exchange, key):
        def run(channel):
            channel.basic_publish(exchange, key, b"x")
            synchronise(channel)
        return run

    code, why = refused(lambda channel: channel.queue_declare("c"))
    assert code == 403
    assert why == "ACCESS_REFUSED - configure access to queue 'c' in vhost '/' refused for user 'jo'"
    assert refused(lambda channel: channel.basic_get("r"))[0] == 403
    assert refused(lambda channel: channel.basic_consume("r", print))[0] == 403
    assert refused(publish("amq.fanout", "k"))[0] == 403
    code, why = refused(publish("amq.topic", "secret"))
    assert code == 403 and "write access to topic 'secret' in exchange 'amq.topic'" in why
    assert refused(lambda channel: channel.queue_bind("r", "amq.topic", "secret"))[0] == 403
    channel = connection.channel()
    channel.queue_declare("", exclusive=True)
    channel.basic_publish("amq.topic", "public", b"x")
    synchronise(channel)


def test_publishes_that_have_to_wait_keep_their_order(start, server):
    broker = start(auth_cache_ttl=0)
    channel = jo(broker).channel()
    channel.queue_declare("q")
    channel.queue_bind("q", "amq.topic", "#")
    server.delay = 0.01
    for number in range(40):
        channel.basic_publish("amq.topic", f"k{number % 8}", str(number).encode())
    channel.tx_select()
    channel.basic_publish("amq.topic", "tx", b"40")
    channel.basic_publish("", "q", b"41")
    channel.tx_commit()
    bodies = [get(channel, "q")[2] for _ in range(42)]
    assert bodies == [str(number).encode() for number in range(42)]


def test_what_is_allowed_is_remembered_and_what_is_denied_is_not(start, server):
    broker = start(auth_cache_ttl=60_000)
    for _ in range(3):
        connection = jo(broker)
        connection.channel().queue_declare("q")
        connection.close()
    assert [len(server.forms(path)) for path in ("user", "vhost", "resource")] == [1, 1, 1]
    server.rules.deny(name="x")
    connection = jo(broker)
    close_of_channel(lambda: connection.channel().queue_declare("x"))
    server.rules.denied.clear()
    connection.channel().queue_declare("x")


def test_what_was_allowed_ends(start, server):
    broker = start(auth_cache_ttl=100)
    channel = jo(broker).channel()
    channel.queue_declare("q")
    confirm(channel)
    channel.basic_publish("amq.direct", "k", b"x")
    server.rules.deny(name="amq.direct", permission="write")

    def is_refused():
        try:
            channel.basic_publish("amq.direct", "k", b"x")
        except ChannelClosedByBroker as closed:
            return closed.reply_code == 403
        return False

    eventually(is_refused, "the right to publish is gone")


def test_a_server_that_is_not_there_lets_nobody_in_and_holds_nobody_up(start, server):
    broker = start("internal,http", auth_timeout=1000, auth_cache_ttl=0)
    connection = jo(broker)
    server.delay = 5
    late = threading.Thread(target=lambda: pytest.raises(Exception, jo, broker))
    late.start()
    eventually(lambda: len(server.forms("user")) == 2, "somebody waits")
    for _ in range(20):
        connect(broker.amqp).close()
    late.join()
    server.delay = 0
    for status in (500, 404, 302):
        server.status = status
        with pytest.raises(ProbableAuthenticationError):
            jo(broker)
        assert close_of_channel(lambda: connection.channel().queue_declare("q"))[0] == 403
    server.status = 200
    connection.channel().queue_declare("q")
    server.answers["resource"] = lambda form: "perhaps"
    assert close_of_channel(lambda: connection.channel().queue_declare("q"))[0] == 403
    server.stop()
    with pytest.raises(ProbableAuthenticationError):
        jo(broker)
    assert close_of_channel(lambda: connection.channel().queue_declare("q"))[0] == 403
    assert "does not answer: refused" in broker.output()
    assert "secret" not in broker.output()


def test_requests_at_a_time_are_limited(start, server):
    broker = start(auth_requests_max=2, auth_cache_ttl=0)
    server.delay = 0.05
    threads = [threading.Thread(target=lambda: jo(broker).close()) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.peak == 2


def test_strangers_that_nobody_answers_leave_those_who_are_in_their_rights(start, server):
    broker = start(auth_requests_max=4, auth_timeout=20_000, auth_cache_ttl=0)
    channel = jo(broker).channel()
    answer = threading.Event()

    def user(form):
        if form["username"] == "stranger":
            answer.wait(60)
        return server.rules.user(form)

    server.answers["user"] = user
    strangers = [
        threading.Thread(target=lambda: pytest.raises(Exception, connect, broker.amqp, user="stranger"))
        for _ in range(12)]
    for stranger in strangers:
        stranger.start()
    try:
        eventually(lambda: server.now >= 2, "strangers have all the places of logins")
        for number in range(4):
            channel.queue_declare(f"q{number}")
        assert server.now == 2
    finally:
        answer.set()
        for stranger in strangers:
            stranger.join()


@pytest.mark.parametrize("version", [3, 5])
def test_mqtt_asks_and_refuses(start, server, version):
    broker = start(mqtt_refused_publish="close")
    assert mqtt_jo(broker, password="wrong", version=version).try_connect().is_failure
    client = mqtt_jo(broker, version=version).connect()
    assert server.forms("user")[-1] == {
        "username": "jo", "password": "secret", "vhost": "/", "client_id": "c1"}
    assert server.forms("vhost")[-1]["client_id"] == "c1"
    server.rules.deny(routing_key="no.read", permission="read")
    server.rules.deny(routing_key="no.write", permission="write")
    assert client.subscribe("yes/#", 1) == 1
    client.publish("yes/1", b"x", 1)
    assert client.receive().payload == b"x"
    read = next(form for form in server.forms("topic") if form["permission"] == "read")
    assert read["routing_key"] == "yes.#" and read["variable_map.client_id"] == "c1"
    assert client.subscribe("no/read", 1) >= 0x80
    server.rules.deny(vhost="/")
    assert mqtt_jo(broker, "c2", version=version).try_connect().is_failure
    server.rules.denied.pop()
    will = {"topic": "no/write", "payload": b"x"}
    assert mqtt_jo(broker, "c3", version=version, will=will).try_connect().is_failure
    client.stop()


def test_mqtt_5_is_told_that_a_publish_is_refused(start, server):
    broker = start()
    server.rules.deny(routing_key="no", permission="write")
    with RawMqtt(broker.mqtt) as raw:
        raw.send(mqtt_connect("c", flags=0xC2, rest=text("jo") + text("secret")))
        assert raw.expect(CONNACK)[1] == 0
    client = mqtt_jo(broker).connect()
    codes = []
    client.paho.on_publish = lambda _c, _u, _m, code, _p: codes.append(code.value)
    client.publish("no", b"x", 1)
    client.publish("yes", b"x", 1)
    eventually(lambda: len(codes) == 2, "both are answered")
    assert codes == [0x87, 0x10]
    client.stop()


@pytest.mark.parametrize("remembered", ["15000", "0"])
def test_a_will_of_such_a_user_is_published(start, server, remembered):
    broker = start(auth_cache_ttl=remembered)
    reader = mqtt_jo(broker, "reader").connect()
    reader.subscribe("will", 1)
    with RawMqtt(broker.mqtt) as raw:
        raw.send(mqtt_connect("w", flags=0xC6, rest=b"\0" + text("will") + text("gone") + text("jo") + text("secret")))
        assert raw.expect(CONNACK)[1] == 0
        raw.ping()
    assert reader.receive().payload == b"gone"
    reader.stop()


def test_management_goes_by_tags_and_asks_for_vhosts_and_resources(start, server):
    broker = start()
    eve, mo = Management(broker.http, "eve", "secret"), Management(broker.http, "mo", "secret")
    assert Management(broker.http, "mo", "wrong").get("whoami").status_code == 401
    assert Management(broker.http, "jo", "secret").get("whoami").status_code == 401, "no tag"
    assert mo.read("whoami") == {"name": "mo", "tags": ["management"], "is_internal_user": False}
    server.rules.deny(username="mo", vhost="v", ip="127.0.0.1")
    assert eve.put("vhosts/v").status_code == 201
    assert mo.get("users").status_code == 401 and eve.get("users").status_code == 200
    assert [vhost["name"] for vhost in mo.read("vhosts")] == ["/"]
    assert mo.get("queues/v").status_code == 401
    server.rules.deny(name="no")
    assert mo.put("queues/%2F/no").status_code == 401
    assert mo.put("queues/%2F/yes").status_code == 201
    message = {"properties": {}, "routing_key": "yes", "payload": "x", "payload_encoding": "string"}
    assert mo.post("exchanges/%2F/amq.default/publish", message).json() == {"routed": True}
    wanted = {"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}
    assert mo.post("queues/%2F/yes/get", wanted).json()[0]["payload"] == "x"
    server.rules.deny(name="yes", permission="read")
    broker.stop()
    broker.start()
    assert mo.post("queues/%2F/yes/get", wanted).status_code in (401, 404)
    assert mo.get("queues/%2F/yes/messages").status_code in (401, 404)


def test_backends_are_asked_in_their_order_and_decide_for_their_users(start, server):
    broker = start("internal,http")
    guest = Management(broker.http)
    assert guest.put("users/eve", {"password": "other", "tags": ""}).status_code == 201
    assert guest.put("permissions/%2F/eve", {**EVERYTHING, "configure": "^own$"}).status_code == 201
    server.rules.deny(name="own")
    own = connect(broker.amqp, user="eve", password="other")
    own.channel().queue_declare("own")
    close_of_channel(lambda: own.channel().queue_declare("x"))
    outside = connect(broker.amqp, user="eve", password="secret")
    outside.channel().queue_declare("x")
    close_of_channel(lambda: outside.channel().queue_declare("own"))
    assert server.forms("user")[0] == {"username": "eve", "password": "secret"}


def test_a_session_of_a_browser_goes_on_asking(start, server):
    broker = start(auth_cache_ttl=0)
    base = f"http://{broker.http[0]}:{broker.http[1]}/api"
    own_page = {"X-Requested-With": "leveret"}
    with requests.Session() as browser:
        form = {"username": "mo", "password": "secret", "remember": "true"}
        assert browser.post(f"{base}/login", data=form, headers=own_page).status_code == 200
        assert browser.get(f"{base}/whoami").json()["name"] == "mo"
        assert [vhost["name"] for vhost in browser.get(f"{base}/vhosts").json()] == ["/"]
        server.rules.deny(vhost="/")
        assert browser.get(f"{base}/vhosts").json() == []


def test_a_session_of_a_browser_ends_with_its_user_and_has_the_tags_of_now(start, server, monkeypatch):
    broker = start(auth_cache_ttl=0)
    base = f"http://{broker.http[0]}:{broker.http[1]}/api"
    with requests.Session() as browser:
        form = {"username": "eve", "password": "secret"}
        assert browser.post(f"{base}/login", data=form).status_code == 200
        assert browser.get(f"{base}/users").status_code == 200
        monkeypatch.setitem(USERS, "eve", ("secret", "management"))
        assert browser.get(f"{base}/users").status_code == 401
        assert browser.get(f"{base}/whoami").json()["tags"] == ["management"]
        monkeypatch.setitem(USERS, "eve", ("changed", "administrator"))
        assert browser.get(f"{base}/whoami").status_code == 401
        monkeypatch.delitem(USERS, "eve")
        assert browser.get(f"{base}/whoami").status_code == 401
    assert "secret" not in broker.output()


@pytest.mark.parametrize("path", [
    "exchanges/%2F/amq.topic/tap", "mqtt/tap", "queues/%2F/q/messages/stream"])
def test_what_the_management_api_streams_ends_with_the_right_to_it(start, server, path):
    broker = start(auth_cache_ttl=0)
    channel = jo(broker).channel()
    channel.queue_declare("q")
    channel.queue_bind("q", "amq.topic", "#")
    url = f"http://{broker.http[0]}:{broker.http[1]}/api/{path}"
    with requests.get(url, auth=("mo", "secret"), stream=True, timeout=10) as stream:
        assert stream.status_code == 200
        lines = stream.iter_lines()
        channel.basic_publish("amq.topic", "k", b"seen")
        assert any(b"seen" in line for line in lines)
        server.rules.deny(username="mo", permission="read")
        channel.basic_publish("amq.topic", "k", b"hidden")
        assert not any(b"hidden" in line for line in lines)
    if path.startswith("queues"):
        assert get(channel, "q")[2] == b"hidden", "it stays in its queue"


def test_the_server_s_certificate_has_to_be_good(start, files):
    server = AuthServer((files.path("server.pem"), files.path("server.key")))
    server.rules = Rules(server)
    try:
        trusting = start(server=server, auth_ca_path=files.path("ca.pem"))
        jo(trusting).close()
        with pytest.raises(ProbableAuthenticationError):
            jo(start(server=server))
    finally:
        server.stop()


@pytest.mark.parametrize("setting", [
    {"auth_http_user_url": ""}, {"auth_http_topic_url": "ftp://a/b"}, {"auth_ca_path": "/nothing", "https": True}])
def test_settings_that_make_no_sense_stop_the_start(tmp_path, setting):
    scheme = "https" if setting.pop("https", False) else "http"
    urls = {f"auth_http_{path}_url": f"{scheme}://127.0.0.1:1/{path}" for path in ("user", "vhost", "resource", "topic")}
    settings = {"auth_backends": "http", **urls, **setting}
    broker = Broker(tmp_path, [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()])
    broker.launch()
    try:
        assert broker.process.wait(20) != 0
        assert next(iter(setting)) in broker.output() or "/nothing" in broker.output()
    finally:
        broker.stop()
