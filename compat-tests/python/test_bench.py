"""`leveret bench` against a broker: what it counts, keeps to and says."""

import json
import signal
import socket
import subprocess
import threading

import pytest

from support.amqp_client import connect
from support.broker import BINARY, Broker, clean_environment, free_port

pytestmark = pytest.mark.own_process
SECONDS_MAX = 60


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A broker for all of these tests."""
    broker = Broker(tmp_path_factory.mktemp("bench")).start()
    yield broker
    broker.assert_sound()
    broker.stop()


def uri(broker, protocol, login="guest:guest@"):
    """The address of a broker as `leveret bench` takes it."""
    host, port = getattr(broker, protocol)
    return f"{protocol}://{login}{host}:{port}"


def start(*words):
    """Starts `leveret bench`."""
    return subprocess.Popen([BINARY, "bench", *words], text=True, env=clean_environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process):
    """Its exit status, what it wrote, what it complained of."""
    out, errors = process.communicate(timeout=SECONDS_MAX)
    return process.returncode, out, errors


def run(broker, protocol, mode, *words):
    """The JSON of a run that ends well."""
    status, out, errors = finish(start(protocol, mode, "--uri", uri(broker, protocol), "--json", *words))
    assert status == 0, (out, errors)
    report = json.loads(out)
    assert (report["protocol"], report["mode"], report["error"], report["interrupted"]) == (protocol, mode, None, False)
    return report


def holds(report, published, received):
    """Whether a report's numbers are those and agree with each other."""
    assert report["published"]["count"] == published
    assert report["received"]["count"] == received
    assert (report["lost"], report["duplicated"], report["out_of_order"], report["foreign"]) == (0, 0, 0, 0)
    assert sum(queue["published"] for queue in report["queues"]) == received
    assert sum(queue["received"] for queue in report["queues"]) == received
    assert is_ordered(report["latency_us"], received)


def is_ordered(times, count):
    """Whether percentiles rise, and there are as many values as there should be."""
    keys = ["min", "p50", "p90", "p95", "p99", "p99_9", "p99_99", "max"]
    values = [times[key] for key in keys]
    return values == sorted(values) and values[0] > 0 and times["count"] == count


AMQP = {
    "auto-ack": ["--auto-ack"],
    "acknowledged": ["--prefetch", "50", "--ack-every", "7", "--confirm", "100"],
    "persistent": ["--persistent", "--durable", "--confirm", "1000", "--size", "300000"],
    "many": ["--publishers", "3", "--queues", "5", "--consumers", "7", "--confirm", "10", "--argument",
             "x-queue-type=quorum", "--durable"],
}


@pytest.mark.parametrize("words", AMQP.values(), ids=AMQP.keys())
def test_all_that_amqp_publishers_send_arrives(running, words):
    count = 50 if "--size" in words else 4001
    report = run(running, "amqp", "throughput", "--count", str(count), *words)
    holds(report, count, count)
    assert report["broker"].startswith("Leveret") or report["broker"].startswith("RabbitMQ"), report["broker"]
    if "--confirm" in words:
        assert report["confirmed"]["count"] == count
        assert is_ordered(report["confirm_latency_us"], count)


MQTT = {
    "qos0": ["--qos", "0"],
    "qos1": ["--qos", "1", "--window", "20"],
    "qos2": ["--qos", "2", "--mqtt-version", "5"],
    "sessions": ["--qos", "1", "--persistent-sessions", "--mqtt-version", "5"],
}


@pytest.mark.parametrize("words", MQTT.values(), ids=MQTT.keys())
def test_every_subscriber_gets_all_of_its_topic(running, words):
    shape = ["--publishers", "2", "--subscribers", "3", "--topics", "2", "--count", "1000"]
    # Topic 0 has two subscribers and half of the messages, topic 1 has one.
    holds(run(running, "mqtt", "throughput", *shape, *words), 1000, 1500)


def test_a_subscriber_of_several_topics_tells_them_apart(running):
    report = run(running, "mqtt", "throughput", "--qos", "1", "--topics", "3", "--count", "300")
    holds(report, 300, 300)
    assert [queue["received"] for queue in report["queues"]] == [100, 100, 100]


@pytest.mark.parametrize("protocol", ["amqp", "mqtt"])
def test_a_rate_is_kept(running, protocol):
    report = run(running, protocol, "latency", "--rate", "800", "--publishers", "3" if protocol == "amqp" else "1",
                 "--duration", "2s", "--pid", str(running.process.pid))
    assert report["published"]["per_second"] == pytest.approx(800, rel=0.1)
    assert report["received"]["per_second"] == pytest.approx(800, rel=0.1)
    holds(report, report["published"]["count"], report["published"]["count"])
    assert report["broker_memory_max"] > 1_000_000 and report["broker_cpu_us_per_message"] >= 0


def test_a_message_counts_from_when_it_should_have_been_sent(running):
    """The broker is stopped for a while: what was due meanwhile is late by up to as much."""
    process = start("amqp", "latency", "--uri", uri(running, "amqp"), "--json", "--rate", "500", "--duration", "2s")
    assert "published" in process.stderr.readline()
    running.process.send_signal(signal.SIGSTOP)
    threading.Timer(0.7, running.process.send_signal, [signal.SIGCONT]).start()
    status, out, errors = finish(process)
    assert status == 0, (out, errors)
    report = json.loads(out)
    assert report["published"]["count"] >= 950
    assert report["latency_us"]["max"] > 600_000
    # A third of the messages were due while it stood still.
    assert report["latency_us"]["p90"] > 200_000


def test_connections_are_counted_and_weighed(running):
    for protocol in ("amqp", "mqtt"):
        report = run(running, protocol, "connections", "--count", "50", "--hold", "10ms", "--pid", str(running.process.pid))
        assert report["opened"]["count"] == 50
        assert report["closed_by_broker"] == 0
        assert is_ordered(report["latency_us"], 50)
        before, after = report["broker_memory_before"], report["broker_memory_after"]
        assert report["broker_memory_per_connection"] == int((after - before) / 50)


def test_queues_are_declared_and_deleted_again(running):
    channel = connect(running.amqp).channel()
    report = run(running, "amqp", "queues", "--count", "40", "--durable", "--argument", "x-max-length=9")
    assert (report["declared"]["count"], report["deleted"]["count"]) == (40, 40)
    run(running, "amqp", "throughput", "--name", "bench-gone", "--count", "1")
    # A passive declare of what is not there would close the channel: so this one declares it anew.
    assert channel.queue_declare("bench-gone", exclusive=True).method.message_count == 0


@pytest.mark.parametrize("protocol", ["amqp", "mqtt"])
def test_clients_come_and_go(running, protocol):
    report = run(running, protocol, "churn", "--count", "30", "--rate", "300")
    assert report["cycles"]["count"] == 30
    assert is_ordered(report["latency_us"], 30)


def test_messages_of_another_run_are_not_taken_for_its_own(running):
    words = ["--name", "bench-kept", "--keep", "--count", "10"]
    run(running, "amqp", "throughput", "--consumers", "0", *words)
    report = run(running, "amqp", "throughput", "--name", "bench-kept", "--count", "5")
    assert (report["received"]["count"], report["foreign"], report["lost"]) == (15, 10, 0)


def test_what_a_broker_drops_is_counted_as_lost(running):
    """A queue that keeps its newest message only, and a consumer that comes later than that."""
    words = ["--argument", "x-max-length=1", "--prefetch", "1", "--count", "20000", "--drain", "300ms", "--json"]
    status, out, errors = finish(start("amqp", "throughput", "--uri", uri(running, "amqp"), *words))
    report = json.loads(out)
    assert status == 2, errors
    assert report["lost"] == 20000 - report["received"]["count"] > 0
    assert report["queues"][0]["lost"] == report["lost"]


def test_a_signal_ends_a_run_with_its_summary(running):
    process = start("mqtt", "throughput", "--uri", uri(running, "mqtt"), "--duration", "1h", "--rate", "1000")
    assert "published" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    status, out, _ = finish(process)
    assert status == 0
    labels = [line.split("  ")[0].strip() for line in out.splitlines()]
    assert labels[:2] == ["published", "received"] and {"latency", "lost"} <= set(labels)


def fails(*words):
    """What it says as it fails, in one line."""
    status, out, errors = finish(start(*words))
    assert status == 1
    assert (out, errors.count("\n")) == ("", 1)
    return errors.removeprefix("leveret bench: ").strip()


@pytest.mark.parametrize("mode", ["throughput", "connections", "churn"])
@pytest.mark.parametrize("protocol", ["amqp", "mqtt"])
def test_a_broker_that_is_not_there_is_named(protocol, mode):
    port = free_port()
    words = ["--count", "3", "--uri", f"{protocol}://127.0.0.1:{port}", "--quiet"]
    process = start(protocol, mode, *words)
    status, _, errors = finish(process)
    assert status == 1
    assert errors.startswith(f"leveret bench: cannot connect to 127.0.0.1:{port}: Connection refused")


def test_a_wrong_password_is_said_in_the_brokers_words(running):
    amqp = fails("amqp", "throughput", "--uri", uri(running, "amqp", "guest:wrong@"))
    assert amqp.startswith("the broker refuses the connection: 403 ACCESS_REFUSED"), amqp
    old = fails("mqtt", "throughput", "--uri", uri(running, "mqtt", "guest:wrong@"))
    assert old == "the broker refuses the connection: 0x04, bad user name or password", old
    new = fails("mqtt", "throughput", "--mqtt-version", "5", "--uri", uri(running, "mqtt", "guest:wrong@"))
    assert new == "the broker refuses the connection: 0x86, bad user name or password", new


def test_a_queue_that_cannot_be_declared_is_said_in_the_brokers_words(running):
    error = fails("amqp", "throughput", "--argument", "x-max-length=-1", "--uri", uri(running, "amqp"))
    assert error.startswith("the broker refuses to declare a queue: 406 PRECONDITION_FAILED"), error


def test_a_broker_that_goes_away_ends_the_run_with_what_was_counted(tmp_path):
    broker = Broker(tmp_path).start()
    process = start("amqp", "throughput", "--uri", uri(broker, "amqp"), "--duration", "1h", "--json")
    assert "published" in process.stderr.readline()
    broker.kill()
    status, out, errors = finish(process)
    assert status == 1
    report = json.loads(out)
    assert report["published"]["count"] > 0 and report["error"] in errors
    assert report["error"].startswith("the connection is gone: "), report["error"]


@pytest.mark.parametrize("protocol", ["amqp", "mqtt"])
def test_whoever_is_no_broker_is_found_out(protocol):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def answer():
            peer, _ = server.accept()
            peer.recv(4096)
            peer.sendall(b"\xff\xff\xff\xff\xff" * 9)
            peer.recv(4096)
            peer.close()

        thread = threading.Thread(target=answer)
        thread.start()
        port = server.getsockname()[1]
        error = fails(protocol, "connections", "--count", "1", "--uri", f"{protocol}://127.0.0.1:{port}")
        assert error.startswith(f"the broker sent what is no {protocol.upper()}: "), error
        thread.join()
