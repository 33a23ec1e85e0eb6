"""mosquitto_pub, mosquitto_sub, mosquitto_rr and amqp-tools, alone and with each other."""

import subprocess
import threading

import pika
import pytest
from support.mqtt_client import MqttClient

from tools import SECONDS_MAX, Subscriber, address, amqp, mosquitto_pub, mosquitto_rr

VERSIONS = ["mqttv31", "mqttv311", "mqttv5"]


@pytest.fixture
def subscribe(broker):
    """Starts subscribers, which are ended after the test."""
    started = []

    def start(count, *arguments):
        started.append(Subscriber(broker, count, *arguments))
        return started[-1]

    yield start
    for subscriber in started:
        subscriber.stop()


@pytest.fixture
def queue(broker, name):
    """A queue declared with amqp-declare-queue, deleted with amqp-delete-queue."""
    queue = name()
    assert amqp(broker, "amqp-declare-queue", "-q", queue).strip() == queue
    yield queue
    amqp(broker, "amqp-delete-queue", "-q", queue)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_mosquitto_pub_reaches_mosquitto_sub(broker, subscribe, name, version, qos):
    topic = name()
    subscriber = subscribe(1, "-V", version, "-t", topic, "-q", qos, "-F", "%t %p %q")
    mosquitto_pub(broker, "-V", version, "-t", topic, "-q", qos, "-m", "hello")
    assert subscriber.messages() == [f"{topic} hello {qos}"]


@pytest.mark.parametrize("version", VERSIONS)
def test_mosquitto_sub_understands_wildcards(broker, subscribe, name, version):
    base = name()
    subscriber = subscribe(2, "-V", version, "-t", f"{base}/+/temp", "-t", f"{base}/deep/#", "-q", "1", "-F", "%t")
    for topic in ("a/temp", "a/other", "deep/x/y"):
        mosquitto_pub(broker, "-V", version, "-t", f"{base}/{topic}", "-q", "1", "-m", "x")
    assert subscriber.messages() == [f"{base}/a/temp", f"{base}/deep/x/y"]


def test_a_retained_message_reaches_a_later_mosquitto_sub(broker, subscribe, name):
    topic = name()
    mosquitto_pub(broker, "-t", topic, "-r", "-q", "1", "-m", "kept")
    assert subscribe(1, "-t", topic, "-q", "1", "-F", "%p %r").messages() == ["kept 1"]
    mosquitto_pub(broker, "-t", topic, "-r", "-q", "1", "-n")


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_wait_for_a_persistent_mosquitto_sub(broker, subscribe, name, version):
    topic, client_id = name(), name()
    session = ["-V", version, "-i", client_id, "-c", "-t", topic, "-q", "1"]
    session += ["-x", "3600"] if version == "mqttv5" else []
    subprocess.run(["mosquitto_sub", *address(broker), *session, "-E"], check=True, timeout=15)
    for number in "123":
        mosquitto_pub(broker, "-t", topic, "-q", "1", "-m", number)
    assert subscribe(3, *session, "-F", "%p").messages() == ["1", "2", "3"]


def test_many_lines_of_mosquitto_pub_arrive_in_order(broker, subscribe, name):
    topic, lines = name(), [str(number) for number in range(500)]
    subscriber = subscribe(len(lines), "-t", topic, "-q", "2", "-F", "%p")
    mosquitto_pub(broker, "-t", topic, "-q", "2", "-l", body="\n".join(lines) + "\n")
    assert subscriber.messages() == lines


def test_a_will_of_mosquitto_sub_is_published(broker, subscribe, name):
    will, watcher_topic = name("will"), name()
    watcher = subscribe(1, "-t", will, "-q", "1", "-F", "%p")
    victim = subscribe(1, "-t", watcher_topic, "--will-topic", will, "--will-payload", "gone", "--will-qos", "1")
    victim.process.kill()
    assert watcher.messages() == ["gone"]


def test_v5_properties_pass_from_mosquitto_pub_to_mosquitto_sub(broker, subscribe, name):
    topic = name()
    subscriber = subscribe(1, "-V", "5", "-t", topic, "-q", "1", "-F", "%C|%R|%P")
    mosquitto_pub(broker, "-V", "5", "-t", topic, "-q", "1", "-m", "x", "-D", "publish", "content-type", "text/plain",
                  "-D", "publish", "response-topic", "answers", "-D", "publish", "user-property", "a", "b")
    content_type, response, user = subscriber.messages()[0].split("|")
    assert (content_type, response) == ("text/plain", "answers")
    assert "a" in user and "b" in user


def test_mosquitto_pub_with_a_wrong_password_is_refused(broker, name):
    refused = subprocess.run(["mosquitto_pub", *address(broker), "-V", "5", "-u", "guest", "-P", "wrong", "-t", name(), "-m", "x"],
                             capture_output=True, text=True, timeout=15, check=False)
    assert refused.returncode != 0


def test_amqp_publish_reaches_amqp_get(broker, queue):
    amqp(broker, "amqp-publish", "-r", queue, "-b", "hello")
    assert amqp(broker, "amqp-get", "-q", queue) == "hello"


def test_amqp_get_fails_on_an_empty_queue(broker, queue):
    with pytest.raises(AssertionError, match="ended with 2"):
        amqp(broker, "amqp-get", "-q", queue)


def test_amqp_publish_sends_a_message_per_line_and_amqp_consume_takes_them(broker, queue):
    amqp(broker, "amqp-publish", "-r", queue, "-p", "-l", body="1\n2\n3\n")
    assert amqp(broker, "amqp-consume", "-q", queue, "-c", "3", "cat").split() == ["1", "2", "3"]


def test_amqp_consume_binds_a_queue_of_its_own(broker, name):
    key = name()
    host, port = broker.amqp
    consumer = subprocess.Popen(
        ["amqp-consume", "--server", host, "--port", str(port), "-e", "amq.direct", "-r", key, "-c", "1", "cat"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        consumer.stderr.readline()  # it tells the name of its queue on standard error
        amqp(broker, "amqp-publish", "-e", "amq.direct", "-r", key, "-b", "bound")
        assert consumer.communicate(timeout=15)[0] == "bound"
    finally:
        consumer.kill()


def test_mosquitto_pub_reaches_amqp_get(broker, channel, queue):
    channel.queue_bind(queue, "amq.topic", f"sensors.{queue}.*")
    mosquitto_pub(broker, "-t", f"sensors/{queue}/temp", "-q", "1", "-m", "21.5")
    assert amqp(broker, "amqp-get", "-q", queue) == "21.5"


def test_amqp_publish_reaches_mosquitto_sub(broker, subscribe, name):
    room = name()
    subscriber = subscribe(1, "-t", f"sensors/{room}/+", "-q", "1", "-F", "%t %p")
    amqp(broker, "amqp-publish", "-e", "amq.topic", "-r", f"sensors.{room}.temp", "-b", "22")
    assert subscriber.messages() == [f"sensors/{room}/temp 22"]


@pytest.fixture
def amqp_service(broker, channel, queue):
    """A consumer that answers one request in upper case, to `reply-to` or to a key of its own: its queue."""
    def answer(service, method, asked, body):
        key = asked.reply_to or f"{queue}.answers"
        properties = pika.BasicProperties(correlation_id=asked.correlation_id, content_type=asked.content_type)
        service.basic_publish("amq.topic", key, body.upper(), properties)
        service.basic_ack(method.delivery_tag)
        service.stop_consuming()

    channel.queue_bind(queue, "amq.topic", f"{queue}.requests")
    channel.basic_consume(queue, answer)
    service = threading.Thread(target=channel.start_consuming, daemon=True)
    service.start()
    yield queue
    service.join(SECONDS_MAX)
    assert not service.is_alive(), "no request has come"


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_an_amqp_service_answers_mosquitto_rr(broker, amqp_service, qos):
    printed = mosquitto_rr(
        broker, "-t", f"{amqp_service}/requests", "-e", f"{amqp_service}/answers", "-q", qos, "-m", "hello",
        "-D", "publish", "correlation-data", "42", "-D", "publish", "content-type", "text/plain", "-F", "%p %t %D %C")
    assert printed == f"HELLO {amqp_service}/answers 42 text/plain"


def test_an_amqp_service_answers_mosquitto_rr_of_version_3(broker, amqp_service):
    asked = ["-V", "mqttv311", "-t", f"{amqp_service}/requests", "-e", f"{amqp_service}/answers", "-m", "hello"]
    assert mosquitto_rr(broker, *asked) == "HELLO"


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_an_mqtt_service_answers_mosquitto_rr(broker, name, qos):
    topic, service = name("requests"), MqttClient(broker.mqtt).connect()
    service.paho.on_message = lambda client, _data, asked: client.publish(
        asked.properties.ResponseTopic, asked.payload.upper(), qos)
    service.subscribe(topic, qos)
    try:
        assert mosquitto_rr(broker, "-t", topic, "-e", name("answers"), "-q", str(qos), "-m", "hello") == "HELLO"
    finally:
        service.stop()


def test_mosquitto_rr_ends_without_an_answer(broker, name):
    asked = ["mosquitto_rr", *address(broker), "-W", "1", "-t", name(), "-e", name(), "-m", "hello"]
    assert subprocess.run(asked, capture_output=True, timeout=SECONDS_MAX, check=False).stdout == b""
