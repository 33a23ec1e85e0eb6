"""Definitions across kill -9, at the start, and the users that they bring."""

import json
import random
import threading

import pika
import pytest
import requests

from support.amqp_client import connect
from support.broker import Broker
from support.management import Management
from support.mqtt_client import MqttClient
from support.waiting import eventually

pytestmark = pytest.mark.own_process

# RabbitMQ's documentation has this hash of "test12".
HASH = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
ROUNDS = 8
QUEUES = 3000


def definitions(queues):
    """A user, a vhost and so many queues, each with a binding."""
    names = [f"q{number}" for number in range(queues)]
    return {
        "users": [{"name": "app", "password_hash": HASH, "tags": ["management"],
                   "hashing_algorithm": "rabbit_password_hashing_sha256"}],
        "vhosts": [{"name": "shop"}],
        "permissions": [{"user": "app", "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"}
                        for vhost in ("/", "shop")],
        "policies": [{"vhost": "shop", "name": "p", "pattern": "^q", "definition": {"max-length": 9}}],
        "exchanges": [{"vhost": "shop", "name": "x", "type": "topic", "durable": True}],
        "queues": [{"vhost": "shop", "name": name, "durable": True} for name in names],
        "bindings": [{"vhost": "shop", "source": "x", "destination": name, "destination_type": "queue",
                      "routing_key": name} for name in names],
    }


def test_what_was_imported_survives_kill_9(own_broker):
    management = Management(own_broker.http)
    assert management.post("definitions", definitions(20)).status_code == 204
    exported = management.read("definitions")
    for _ in range(2):
        own_broker.kill_and_restart()
        assert management.read("definitions") == exported
    channel = connect(own_broker.amqp, vhost="shop", user="app", password="test12").channel()
    channel.confirm_delivery()
    channel.basic_publish("x", "q7", b"1", mandatory=True)
    assert channel.queue_declare("q7", passive=True).method.message_count == 1


def test_a_kill_in_the_middle_leaves_all_of_it_or_nothing(own_broker):
    management = Management(own_broker.http)
    for number in range(ROUNDS):
        def post():
            try:
                management.post("definitions", definitions(QUEUES))
            except requests.RequestException:
                pass

        importer = threading.Thread(target=post)
        importer.start()
        importer.join(random.Random(number).random() * 0.4)
        own_broker.kill_and_restart()
        importer.join()
        left = management.read("definitions")
        counts = (len(left["queues"]), len(left["bindings"]), len(left["users"]), len(left["policies"]))
        assert counts in [(0, 0, 1, 0), (QUEUES, QUEUES, 2, 1)]
        if management.get("vhosts/shop").status_code == 200:
            assert management.delete("vhosts/shop").status_code == 204
            assert management.delete("users/app").status_code == 204


def test_users_log_in_with_their_old_passwords_by_both_protocols(own_broker):
    management = Management(own_broker.http)
    assert management.post("definitions", definitions(1)).status_code == 204
    assert management.put("users/new", {"password": "fresh", "tags": ""}).status_code == 201
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    assert management.put("permissions/%2F/new", everything).status_code == 201
    for user, password in [("app", "test12"), ("new", "fresh"), ("new", "fresh")]:
        connect(own_broker.amqp, user=user, password=password).close()
        client = MqttClient(own_broker.mqtt, f"c-{user}", user=user, password=password).connect()
        client.disconnect()
        with pytest.raises(pika.exceptions.AMQPError):
            connect(own_broker.amqp, user=user, password="wrong")
    assert management.put("users/new", {"password": "other", "tags": ""}).status_code == 204
    with pytest.raises(pika.exceptions.AMQPError):
        connect(own_broker.amqp, user="new", password="fresh")
    connect(own_broker.amqp, user="new", password="other").close()


def test_a_wrong_file_ends_the_start_with_a_report_and_a_right_one_is_loaded_once(tmp_path):
    file = tmp_path / "definitions.json"
    broker = Broker(tmp_path, ["--load-definitions", str(file)])
    wrong = definitions(2)
    wrong["queues"][1]["arguments"] = {"x-queue-type": "stream"}
    file.write_text(json.dumps(wrong))
    broker.launch()
    assert broker.process.wait(20) == 1
    assert "queues[1] 'q1' in vhost 'shop': invalid arg 'x-queue-type'" in broker.output()
    file.write_text(json.dumps(definitions(2)))
    try:
        broker.start()
        app = Management(broker.http, "app", "test12")
        assert app.delete("queues/shop/q0").status_code == 204
        broker.kill_and_restart()
        eventually(lambda: app.get("whoami").status_code == 200, "the API answers")
        assert app.get("queues/shop/q0").status_code == 404
        assert "panicked at" not in broker.output()
    finally:
        broker.stop()
