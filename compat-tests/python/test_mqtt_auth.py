"""MQTT 5: enhanced authentication by SCRAM-SHA-256."""

import time

import pytest
from support.broker import Broker
from support.management import Management, segment
from support.mqtt_properties import encode
from support.raw_mqtt import CONNACK, DISCONNECT, PUBACK, packet, props, publish, subscribe, text
from support.scram import AGAIN, CONTINUE, METHOD, Scram, ScramMqtt, auth, connect_scram
from support.waiting import let_time_pass

WRONG, NOT_AUTHORIZED, BAD_METHOD, PROTOCOL_ERROR = 0x86, 0x87, 0x8C, 0x82
TIMEOUT_MS = 700


@pytest.fixture
def raw(broker):
    with ScramMqtt(broker.mqtt) as raw:
        yield raw


@pytest.fixture
def other(broker):
    with ScramMqtt(broker.mqtt) as raw:
        yield raw


def refusal(broker, user, password="wrong"):
    """A login that fails: what the broker said first, and (code, properties) of its CONNACK."""
    scram = Scram(user, password)
    with ScramMqtt(broker.mqtt) as raw:
        answer = raw.try_login("c", scram)
        assert raw.read_to_end() == b""
    return scram.server_first, answer


def test_both_sides_prove_that_they_know_the_password(raw, name):
    raw.login(name(), "guest", "guest").ping()


def test_the_user_of_scram_is_the_user_of_the_connection(raw, account, management, name):
    user = account(write=".*")
    raw.login(name(), user.name, "secret")
    shown = management.find("connections", user=user.name)
    assert (shown["auth_mechanism"], shown["protocol"]) == (METHOD, "MQTT 5-0")
    assert raw.subscribe(("a", 0)) == bytes([NOT_AUTHORIZED])


def test_a_wrong_password_and_an_unknown_user_look_alike(broker, name):
    (known, to_known), (unknown, to_unknown) = refusal(broker, "guest"), refusal(broker, name())
    assert to_known == to_unknown and to_known[0] == WRONG
    assert {key: len(value) for key, value in known.items()} == {key: len(value) for key, value in unknown.items()}
    assert known["i"] == unknown["i"]


@pytest.mark.own_process
def test_an_unknown_user_has_the_same_salt_every_time_and_another_one_than_others(own_broker, name):
    def salts(*users):
        return [refusal(own_broker, user)[0]["s"] for user in users]

    before = salts("nobody", "nobody", "somebody", "guest")
    assert before[0] == before[1] and len(set(before)) == 3
    own_broker.kill_and_restart()
    assert salts("nobody", "nobody", "somebody", "guest") == before
    assert own_broker.terminate() == 0
    own_broker.start()
    assert salts("nobody", "nobody", "somebody", "guest") == before


def test_a_client_may_wait_for_the_broker_to_ask(raw, name):
    scram = Scram("guest", "guest")
    raw.send(connect_scram(name()))
    assert raw.expect_auth() == b""
    raw.send(auth(CONTINUE, scram.first()))
    raw.send(auth(CONTINUE, scram.final(raw.expect_auth())))
    code, properties = raw.expect_connack()
    assert code == 0
    scram.check(properties["auth_data"])


@pytest.mark.parametrize("first", [
    b"", b"n", b"x,,n=guest,r=abc", b"p=tls-exporter,,n=guest,r=abc", b"n,a=root,n=guest,r=abc", b"n,,n=guest",
    b"n,,n=,r=abc", b"n,,m=x,n=guest,r=abc", b"n,,n=gu=est,r=abc", b"n,,n=guest,r=", b"n,,n=\xff,r=abc",
    b"n,,n=guest,r=" + b"x" * 5000])
def test_a_first_message_that_is_none_is_refused(raw, name, first):
    raw.send(connect_scram(name(), first))
    code, properties = raw.expect_connack()
    assert code == WRONG and properties["reason_string"].startswith("SCRAM message: ")
    assert raw.read_to_end() == b""


@pytest.mark.parametrize("spoil", [
    lambda final: b"", lambda final: final[:-8], lambda final: final.replace(b"c=biws", b"c=eSws"),
    lambda final: final.replace(b",r=", b",r=x"), lambda final: final.replace(b",p=", b",q=")])
def test_a_last_message_that_is_none_is_refused(raw, name, spoil):
    scram = Scram("guest", "guest")
    raw.send(auth(CONTINUE, spoil(scram.final(raw.begin(name(), scram)))))
    assert raw.expect_connack()[0] == WRONG
    assert raw.read_to_end() == b""


def test_a_proof_counts_for_its_own_exchange_only(raw, other, name):
    scram = Scram("guest", "guest")
    final = scram.final(raw.begin(name(), scram))
    other.begin(name(), scram)
    other.send(auth(CONTINUE, final))
    assert other.expect_connack()[0] == WRONG


@pytest.mark.parametrize("method", ["", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "scram-sha-256", "PLAIN"])
def test_another_method_is_refused(raw, name, method):
    raw.send(connect_scram(name(), b"x", method))
    code, properties = raw.expect_connack()
    assert code == BAD_METHOD and METHOD in properties["reason_string"]
    assert "auth_method" not in properties
    assert raw.read_to_end() == b""


@pytest.mark.parametrize("user, code", [("guest", 0), ("somebody", WRONG)])
def test_a_user_name_in_connect_has_to_be_the_same(raw, name, user, code):
    answer = raw.try_login(name(), Scram("guest", "guest"), flags=0x82, rest=text(user))
    assert answer[0] == code


@pytest.mark.parametrize("sent, code", [
    (packet(12, 0, b""), PROTOCOL_ERROR), (publish("t"), PROTOCOL_ERROR), (subscribe(1, ("t", 0)), PROTOCOL_ERROR),
    (auth(AGAIN, b"x"), PROTOCOL_ERROR), (auth(0, b"x"), PROTOCOL_ERROR), (packet(15, 1, b""), 0x81),
    (packet(15, 0, b"\x18"), PROTOCOL_ERROR), (auth(CONTINUE, b"x", "OTHER"), BAD_METHOD)])
def test_nothing_but_the_next_step_is_taken_before_connack(raw, name, sent, code):
    raw.begin(name(), Scram("guest", "guest"))
    raw.send(sent)
    assert raw.expect_connack()[0] == code
    assert raw.read_to_end() == b""


def test_a_client_may_give_up_and_leaves_no_will(raw, name, mqtt):
    topic = name()
    watcher = mqtt(name())
    watcher.subscribe(topic)
    will = props() + text(topic) + text("gone")
    raw.begin(name(), Scram("guest", "guest"), flags=0x06, rest=will)
    raw.send(packet(DISCONNECT, 0, b""))
    assert raw.read_to_end() == b""
    watcher.publish(topic, b"only this", 1)
    assert watcher.receive().payload == b"only this"


def test_session_and_will_are_those_of_the_connect(raw, other, name, mqtt):
    topic, client_id = name(), name()
    watcher = mqtt(name())
    watcher.subscribe(topic)
    options = {"flags": 0x04, "rest": props() + text(topic) + text("gone"), "properties": encode(session_expiry=60)}
    raw.login(client_id, "guest", "guest", **options)
    raw.socket.close()
    assert watcher.receive().payload == b"gone"
    scram = Scram("guest", "guest")
    other.send(auth(CONTINUE, scram.final(other.begin(client_id, scram, flags=0))))
    content = other.expect(CONNACK)
    assert content[:2] == b"\x01\x00", "the session is there"


def test_a_connection_of_the_same_client_is_taken_over_at_the_end_only(raw, other, name):
    client_id = name()
    raw.login(client_id, "guest", "guest")
    scram = Scram("guest", "guest")
    first = other.begin(client_id, scram)
    raw.ping()
    other.send(auth(CONTINUE, scram.final(first)))
    assert other.expect_connack()[0] == 0
    raw.expect_disconnect(0x8E)


def test_a_client_authenticates_again_while_messages_go_on(raw, name):
    topic = name()
    raw.login(name(), "guest", "guest").subscribe((topic, 0))
    for _ in range(3):
        scram = Scram("guest", "guest")
        first = raw.begin_again(scram)
        raw.send(publish(topic, b"between", qos=1, packet_id=7))
        raw.expect_ack(PUBACK, 7)
        assert raw.expect_publish().payload == b"between"
        raw.ping()
        raw.send(auth(CONTINUE, scram.final(first)))
        scram.check(raw.expect_auth(0))
        raw.ping()


def test_a_re_authentication_that_fails_ends_the_connection(raw, name, mqtt):
    topic = name()
    watcher = mqtt(name())
    watcher.subscribe(topic)
    raw.login(name(), "guest", "guest", flags=0x06, rest=props() + text(topic) + text("gone"))
    scram = Scram("guest", "wrong")
    raw.send(auth(CONTINUE, scram.final(raw.begin_again(scram))))
    raw.expect_disconnect(NOT_AUTHORIZED)
    assert watcher.receive().payload == b"gone"


def test_a_re_authentication_is_for_the_same_user(raw, account, name):
    user = account()
    raw.login(name(), "guest", "guest")
    scram = Scram(user.name, "secret")
    raw.send(auth(CONTINUE, scram.final(raw.begin_again(scram))))
    raw.expect_disconnect(NOT_AUTHORIZED)


@pytest.mark.parametrize("sent, code", [
    (auth(CONTINUE, b"x"), PROTOCOL_ERROR), (auth(0, b"x"), PROTOCOL_ERROR), (packet(15, 0, b""), PROTOCOL_ERROR),
    (packet(15, 0, b"\x19"), PROTOCOL_ERROR), (auth(AGAIN, b"x", "OTHER"), BAD_METHOD),
    (auth(AGAIN, b"nonsense"), NOT_AUTHORIZED), (auth(0x17, b"x"), PROTOCOL_ERROR)])
def test_a_step_that_is_not_due_ends_the_connection(raw, name, sent, code):
    raw.login(name(), "guest", "guest")
    raw.send(sent)
    raw.expect_disconnect(code)


def test_a_client_that_logged_in_by_password_sends_no_auth(raw, name):
    raw.open(name())
    raw.send(auth(AGAIN, Scram("guest", "guest").first()))
    raw.expect_disconnect(PROTOCOL_ERROR)


@pytest.mark.own_process
def test_an_exchange_has_to_be_over_in_time(tmp_path):
    broker = Broker(tmp_path, ["--handshake-timeout", str(TIMEOUT_MS)])
    try:
        broker.start()
        with ScramMqtt(broker.mqtt) as slow, ScramMqtt(broker.mqtt) as again:
            again.login("again", "guest", "guest")
            slow.begin("slow", Scram("guest", "guest"))
            again.begin_again(Scram("guest", "guest"))
            begun = time.monotonic()
            assert slow.expect_connack()[0] == NOT_AUTHORIZED
            assert slow.read_to_end() == b""
            again.expect_disconnect(NOT_AUTHORIZED)
            assert TIMEOUT_MS / 1000 - 0.2 < time.monotonic() - begun < 5
        with ScramMqtt(broker.mqtt) as quick:
            quick.login("quick", "guest", "guest")
            let_time_pass(TIMEOUT_MS / 1000 * 1.5)
            quick.ping()
        broker.assert_sound()
    finally:
        broker.stop()


@pytest.mark.own_process
def test_a_password_is_known_by_its_hash_until_it_is_set_again(raw, broker, account, management, name):
    user = account(read=".*")
    path = f"users/{segment(user.name)}"
    password_hash = management.read(path)["password_hash"]
    # What management says of a user can be put back, and is no other password.
    assert management.put(path, {"password_hash": password_hash, "tags": "management"}).ok
    raw.login(name(), user.name, "secret")
    assert management.put(path, {"tags": ""}).ok
    with ScramMqtt(broker.mqtt) as again:
        again.login(name(), user.name, "secret")
    imported = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"  # "test12"
    assert management.put(path, {"password_hash": imported, "tags": ""}).ok
    with ScramMqtt(broker.mqtt) as by_password:
        by_password.open(name(), flags=0xC2, rest=text(user.name) + text("test12"))
    assert refusal(broker, user.name, "test12")[1] == refusal(broker, "nobody")[1]
    told = next(line for line in broker.output().splitlines() if "no SCRAM keys" in line)
    assert "set its password again" in told and user.name in told
    assert management.put(path, {"password": "test12", "tags": ""}).ok
    with ScramMqtt(broker.mqtt) as again:
        again.login(name(), user.name, "test12")


@pytest.mark.own_process
def test_users_keep_their_keys_over_restarts(own_broker):
    management = Management(own_broker.http)
    for user in ("plain", "odd, =user é"):
        assert management.put(f"users/{segment(user)}", {"password": "pa\u0308ss", "tags": ""}).ok
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        assert management.put(f"permissions/%2F/{segment(user)}", everything).ok

    def check():
        for user in ("plain", "odd, =user é"):
            for password in ("pa\u0308ss", "p\u00e4ss"):
                with ScramMqtt(own_broker.mqtt) as raw:
                    raw.login("c", user, password)

    check()
    own_broker.kill_and_restart()
    check()
    assert own_broker.terminate() == 0
    own_broker.start()
    check()


def test_a_user_who_is_deleted_during_the_exchange_is_refused(raw, account, name):
    user = account()
    scram = Scram(user.name, "secret")
    first = raw.begin(name(), scram)
    user.delete()
    raw.send(auth(CONTINUE, scram.final(first)))
    assert raw.expect_connack()[0] in (WRONG, NOT_AUTHORIZED)
