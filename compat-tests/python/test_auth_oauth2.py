"""Tokens in the place of passwords, in the form of RabbitMQ's rabbitmq_auth_backend_oauth2."""

import base64
import hmac
import json
import threading
import time

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pika.exceptions import ConnectionClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from support.amqp_client import close_of_channel, connect, fill, get, synchronise
from support.auth_server import AuthServer
from support.broker import Broker
from support.management import Management
from support.mqtt_client import MqttClient
from support.raw_mqtt import CONNACK, RawMqtt, text
from support.raw_mqtt import connect as mqtt_connect
from support.waiting import eventually

pytestmark = pytest.mark.own_process

EVERYTHING = ["r.configure:*/*/*", "r.write:*/*/*", "r.read:*/*/*"]
SECRET = b"0123456789abcdef0123456789abcdef"
KEYS = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
ALGORITHMS = {
    "RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm,
    "ES384": jwt.algorithms.ECAlgorithm, "EdDSA": jwt.algorithms.OKPAlgorithm}


def jwk(algorithm, key=None):
    made = json.loads(ALGORITHMS[algorithm].to_jwk((key or KEYS[algorithm]).public_key()))
    return {**made, "kid": algorithm, "use": "sig"}


def pem(algorithm):
    return KEYS[algorithm].public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def token(algorithm="RS256", key=None, kid="", headers=None, **claims):
    """A token that is good, but for what is said otherwise. A claim of None is left out."""
    said = {"sub": "jo", "aud": ["r"], "exp": time.time() + 600, "scope": EVERYTHING, **claims}
    said = {name: value for name, value in said.items() if value is not None}
    headers = {"kid": kid or algorithm, **(headers or {})}
    return jwt.encode(said, key or KEYS[algorithm], algorithm, headers)


@pytest.fixture
def server():
    server = AuthServer()
    server.keys = [jwk(algorithm) for algorithm in KEYS]
    server.answers = {"jwks": lambda _: json.dumps({"keys": server.keys})}
    yield server
    server.stop()


@pytest.fixture
def start(start_with, server):
    """Starts brokers that take tokens."""
    def start(**settings):
        return start_with(**{
            "auth_backends": "oauth2", "oauth2_resource_server_id": "r",
            "oauth2_jwks_url": server.url("jwks"), **settings})

    return start


def amqp(broker, password, **options):
    return connect(broker.amqp, **{"user": "ignored", "password": password, **options})


def is_let_in(broker, password):
    try:
        amqp(broker, password).close()
    except ProbableAuthenticationError:
        return False
    return True


def test_each_algorithm_has_its_keys(start, server):
    broker = start()
    for algorithm in KEYS:
        assert is_let_in(broker, token(algorithm)), algorithm
    assert is_let_in(broker, token("PS256", KEYS["RS256"], kid="RS256"))
    assert len(server.forms("jwks")) == 1, "the keys are remembered"


def test_keys_may_be_in_files(start, tmp_path):
    files = {}
    for algorithm in KEYS:
        files[algorithm] = tmp_path / f"{algorithm}.pem"
        files[algorithm].write_bytes(pem(algorithm))
    secret = {"kty": "oct", "kid": "s", "k": base64.urlsafe_b64encode(SECRET).decode().rstrip("=")}
    files["HS256"] = tmp_path / "secret.json"
    files["HS256"].write_text(json.dumps({"keys": [secret]}))
    broker = start(oauth2_jwks_url="", oauth2_key_paths=",".join(map(str, files.values())))
    for algorithm in KEYS:
        assert is_let_in(broker, token(algorithm)), algorithm
    assert is_let_in(broker, token("HS256", SECRET, kid="s"))
    assert not is_let_in(broker, token("HS256", SECRET, kid="t"))


def part(value):
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def test_a_key_does_what_its_type_can_and_nothing_else(start, server, tmp_path):
    # A secret in a set that everybody may read is none.
    server.keys.append({"kty": "oct", "kid": "oct", "k": part(SECRET)})
    (tmp_path / "key.pem").write_bytes(pem("RS256"))
    broker = start(oauth2_key_paths=tmp_path / "key.pem")
    good = token()
    header, claims, signature = good.split(".")
    assert is_let_in(broker, good)
    forged = []
    for alg in ("none", "None", "", "HS256"):
        head = part(json.dumps({"alg": alg, "kid": "RS256"}).encode())
        forged += [f"{head}.{claims}.", f"{head}.{claims}.{signature}"]
        # The public key, which is no secret, as one.
        for secret in (pem("RS256"), json.dumps(jwk("RS256")).encode(), b""):
            mac = hmac.digest(secret, f"{head}.{claims}".encode(), "sha256")
            forged.append(f"{head}.{claims}.{part(mac)}")
    forged.append(token("HS256", SECRET, kid="oct"))
    other = rsa.generate_private_key(65537, 2048)
    forged.append(token(key=other))
    # A key that the token itself brings along is nobody's.
    forged.append(token(key=other, headers={"jwk": jwk("RS256", other)}))
    forged.append(token("ES256", kid="RS256"))
    evil = part(json.dumps({"sub": "eve", "aud": "r", "exp": 9e9}).encode())
    forged += [f"{header}.{evil}.{signature}", f"{header}.{claims}", "x", "..", "", "guest"]
    for forgery in forged:
        assert not is_let_in(broker, forgery), forgery
    assert good not in broker.output() and claims not in broker.output()


def test_claims_have_to_fit(start):
    broker = start(oauth2_issuer="https://issuer")
    iss = {"iss": "https://issuer"}
    assert is_let_in(broker, token(**iss)) and is_let_in(broker, token(aud="r", **iss))
    now = time.time()
    for claims in [
        {"aud": "s"}, {"aud": None}, {"exp": now - 1}, {"exp": None}, {"exp": "soon"}, {"sub": None},
        {"sub": ""}, {"nbf": now + 600}, {"iss": "https://other"}, {"iss": None},
    ]:
        assert not is_let_in(broker, token(**{**iss, **claims})), claims


def test_keys_are_fetched_again_when_one_is_unknown_but_not_all_the_time(start, server):
    broker = start(login_failures_max=0)
    assert is_let_in(broker, token())
    new = rsa.generate_private_key(65537, 2048)
    server.keys = [{**jwk("RS256", new), "kid": "new"}]
    for number in range(5):
        assert not is_let_in(broker, token(key=new, kid=f"unknown{number}"))
    assert len(server.forms("jwks")) <= 2
    eventually(lambda: is_let_in(broker, token(key=new, kid="new")), "the new key is known", 15)
    assert not is_let_in(broker, token()), "the old key is gone"
    server.stop()
    assert is_let_in(broker, token(key=new, kid="new")), "what was fetched stays"


def test_nobody_comes_in_without_keys(start, server):
    server.status = 500
    broker = start()
    assert not is_let_in(broker, token())
    assert "keys cannot be fetched" in broker.output()


def test_scopes_say_what_is_allowed(start):
    broker = start()
    scopes = "r.configure:%2F/mine-* r.write:%2F/mine-* r.read:%2F/mine-* r.write:%2F/amq.default " \
        "r.write:%2F/amq.topic/a.* r.read:%2F/amq.topic/a.* other.write:*/* r.tag:management"
    connection = amqp(broker, token(scope=scopes))
    channel = connection.channel()
    channel.queue_declare("mine-1")
    channel.queue_bind("mine-1", "amq.topic", "a.#")
    channel.basic_publish("amq.topic", "a.b", b"x")
    assert get(channel, "mine-1")[2] == b"x"

    def refused(operation):
        channel = connection.channel()

        def run():
            operation(channel)
            synchronise(channel)
        code, why = close_of_channel(run)
        assert code == 403, why
        return why

    assert "refused for user 'jo'" in refused(lambda channel: channel.queue_declare("other"))
    refused(lambda channel: channel.queue_bind("mine-1", "amq.topic", "b"))
    refused(lambda channel: channel.basic_publish("amq.topic", "b", b"x"))
    refused(lambda channel: channel.basic_publish("amq.direct", "a.b", b"x"))
    with pytest.raises(ProbableAccessDeniedError):
        amqp(broker, token(scope=["r.read:other/*"]))
    Management(broker.http, "", token(scope="r.tag:management")).read("whoami")


def test_scopes_may_have_other_names_and_places(start):
    broker = start(
        oauth2_scope_prefix="", oauth2_scope_aliases="admin=r.tag:administrator r.read:*/*,x=r.write:*/*",
        oauth2_additional_scopes_key="realm.roles", oauth2_username_claims="preferred_username,sub")
    claims = {"scope": "admin", "realm": {"roles": ["r.configure:*/*"]}, "preferred_username": "joan"}
    connection = amqp(broker, token(**claims))
    channel = connection.channel()
    channel.queue_declare("q")
    assert get(channel, "q") is None
    assert close_of_channel(lambda: fill(channel, "q", [b"x"]))[0] == 403
    whoami = Management(broker.http, "", token(**claims)).read("whoami")
    assert whoami == {"name": "joan", "tags": ["administrator"], "is_internal_user": False}
    base = f"http://{broker.http[0]}:{broker.http[1]}/api"
    bearer = {"Authorization": f"Bearer {token(**claims)}"}
    assert requests.get(f"{base}/users", headers=bearer, timeout=10).status_code == 200
    bearer = {"Authorization": f"Bearer {token(scope='')}"}
    assert requests.get(f"{base}/whoami", headers=bearer, timeout=10).status_code == 401


def test_an_amqp_connection_ends_with_its_token(start):
    broker = start()
    connection = amqp(broker, token(exp=time.time() + 2))
    channel = connection.channel()
    channel.queue_declare("q")
    with pytest.raises(ConnectionClosedByBroker) as closed:
        connection.sleep(10)
    assert closed.value.reply_code == 320
    assert closed.value.reply_text == "CONNECTION_FORCED - the token has expired"


def test_an_amqp_connection_goes_on_with_a_new_token(start):
    broker = start()
    connection = amqp(broker, token(exp=time.time() + 3, scope=EVERYTHING))
    channel = connection.channel()
    channel.queue_declare("q")
    fill(channel, "q", [b"x"])
    connection.update_secret(token(scope=["r.read:*/*/*"]), "it is time")
    time.sleep(3.5)
    assert get(channel, "q")[2] == b"x"
    assert close_of_channel(lambda: fill(channel, "q", [b"x"]))[0] == 403, "the new one allows less"
    for wrong in [token(sub="eve"), token(aud="s"), "x"]:
        other = amqp(broker, token())
        with pytest.raises(ConnectionClosedByBroker) as closed:
            other.update_secret(wrong, "no")
        assert closed.value.reply_code == 530
        assert closed.value.reply_text == "NOT_ALLOWED - New secret was refused by one of the backends"


def test_mqtt_clients_bear_tokens_until_these_expire(start):
    broker = start()
    client = MqttClient(broker.mqtt, user="x", password=token()).connect()
    assert client.subscribe("a/#", 1) == 1
    client.publish("a/b", b"x", 1)
    assert client.receive().payload == b"x"
    client.stop()
    scopes = ["r.write:%2F/amq.topic/a.b", "r.read:%2F/amq.topic/a.*"]
    client = MqttClient(broker.mqtt, user="x", password=token(scope=scopes)).connect()
    assert client.subscribe("a/#", 1) == 1 and client.subscribe("b", 1) == 0x87
    codes = []
    client.paho.on_publish = lambda _c, _u, _m, code, _p: codes.append(code.value)
    client.publish("a/c", b"x", 1)
    client.publish("a/b", b"x", 1)
    assert client.receive().payload == b"x"
    eventually(lambda: codes == [0x87, 0], "both are answered")
    client.stop()
    assert MqttClient(broker.mqtt, user="x", password=token(aud="s")).try_connect().is_failure
    assert MqttClient(broker.mqtt, user="x", password=token(scope=["r.read:v/*"])).try_connect().is_failure
    with RawMqtt(broker.mqtt) as raw:
        short = token(exp=time.time() + 2)
        raw.send(mqtt_connect("c", flags=0xC2, rest=text("x") + text(short)))
        assert raw.expect(CONNACK)[1] == 0
        raw.expect_disconnect(0xA0)


def test_a_browser_s_session_ends_with_its_token(start):
    broker = start()
    base = f"http://{broker.http[0]}:{broker.http[1]}/api"
    with requests.Session() as browser:
        form = {"username": "", "password": token(scope="r.tag:management", exp=time.time() + 2)}
        assert browser.post(f"{base}/login", data=form, timeout=10).status_code == 200
        assert browser.get(f"{base}/whoami", timeout=10).json()["name"] == "jo"
        eventually(lambda: browser.get(f"{base}/whoami", timeout=10).status_code == 401, "it is over")


@pytest.mark.parametrize("path", [
    "exchanges/%2F/amq.topic/tap", "mqtt/tap", "queues/%2F/q/messages/stream"])
def test_what_the_management_api_streams_ends_with_its_token(start, path):
    broker = start()
    amqp(broker, token()).channel().queue_declare("q")
    expires_at = time.time() + 2
    bearer = {"Authorization": "Bearer " + token(exp=expires_at, scope=[*EVERYTHING, "r.tag:management"])}
    url = f"http://{broker.http[0]}:{broker.http[1]}/api/{path}"
    # Nothing comes, and the line without a meaning would come after 15 seconds.
    with requests.get(url, headers=bearer, stream=True, timeout=10) as stream:
        assert stream.status_code == 200
        assert all(line in (b"", b":") for line in stream.iter_lines())
    assert time.time() >= int(expires_at)


def test_a_message_is_not_handed_to_a_token_that_has_expired_while_it_was_waited_for(start):
    broker = start()
    channel = amqp(broker, token()).channel()
    channel.queue_declare("q")
    expires_at = int(time.time()) + 2
    bearer = {"Authorization": "Bearer " + token(exp=expires_at, scope=[*EVERYTHING, "r.tag:management"])}
    url = f"http://{broker.http[0]}:{broker.http[1]}/api/queues/%2F/q/messages"
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(
        requests.get(url, {"wait": "30s"}, headers=bearer, timeout=40)))
    waiting.start()
    eventually(lambda: time.time() > expires_at, "the token has expired")
    fill(channel, "q", [b"x"])
    waiting.join()
    assert answers[0].status_code == 401
    assert get(channel, "q")[2] == b"x", "it is back in its queue"


def test_tokens_that_have_expired_are_no_guesses(start):
    broker = start(login_failures_max=3)
    for _ in range(5):
        assert not is_let_in(broker, token(exp=time.time() - 1))
    assert is_let_in(broker, token())
    forged = rsa.generate_private_key(65537, 2048)
    for _ in range(3):
        assert not is_let_in(broker, token(key=forged, exp=time.time() - 1))
    assert not is_let_in(broker, token()), "these are"


def test_users_of_the_broker_and_tokens_go_together(start):
    broker = start(auth_backends="internal,oauth2")
    connect(broker.amqp).close()
    assert is_let_in(broker, token())
    connect(broker.amqp, user="guest", password=token()).close()
    assert not is_let_in(broker, "guest")


@pytest.mark.parametrize("setting", [
    {"oauth2_resource_server_id": ""}, {"oauth2_jwks_url": ""}, {"oauth2_jwks_url": "x"},
    {"oauth2_key_paths": "/nothing"}, {"oauth2_scope_aliases": "x"}])
def test_settings_that_make_no_sense_stop_the_start(tmp_path, setting):
    settings = {
        "auth_backends": "oauth2", "oauth2_resource_server_id": "r", "oauth2_jwks_url": "http://127.0.0.1:1/",
        **setting}
    broker = Broker(tmp_path, [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()])
    broker.launch()
    try:
        assert broker.process.wait(20) != 0
        assert next(iter(setting)) in broker.output() or "/nothing" in broker.output()
    finally:
        broker.stop()
