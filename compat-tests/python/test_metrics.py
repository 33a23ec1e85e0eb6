"""Metrics, read with the parser of Prometheus' own client, after traffic of pika and paho."""

import pika
import pytest
import requests

from support.amqp_client import Collector, confirm, connect, drain, fill, get_one, synchronise
from support.management import Management
from support.metrics import Page, scrape
from support.mqtt_client import MqttClient
from support.waiting import eventually

pytestmark = pytest.mark.own_process

PAGES = ["/metrics", "/metrics/per-object", "/metrics/detailed", "/metrics/memory-breakdown"]
QUEUE_TYPE = "rabbit_classic_queue"
BOUNDS = ["100.0", "1000.0", "10000.0", "100000.0", "1e+06", "1e+07", "5e+07", "1e+08", "+Inf"]

# What the dashboard RabbitMQ-Overview asks for: name, type, labels. Names of counters end in _total.
PLAIN = {
    "gauge": ["queues", "connections", "channels", "consumers", "queue_messages_ready", "queue_messages_unacked",
              "process_resident_memory_bytes", "resident_memory_limit_bytes", "disk_space_available_bytes",
              "disk_space_available_limit_bytes", "process_open_fds", "process_max_fds", "erlang_uptime_seconds"],
    "counter": ["connections_opened", "connections_closed", "channels_opened", "channels_closed", "queues_declared",
                "queues_created", "queues_deleted"],
}
BY_PROTOCOL = {
    "gauge": ["global_publishers", "global_consumers"],
    "counter": [f"global_messages_{what}" for what in (
        "received", "received_confirm", "routed", "confirmed", "unroutable_dropped", "unroutable_returned")],
}
BY_QUEUE_TYPE = [f"global_messages_{what}" for what in (
    "delivered", "delivered_consume_auto_ack", "delivered_consume_manual_ack", "delivered_get_auto_ack",
    "delivered_get_manual_ack", "get_empty", "redelivered", "acknowledged")]
PROTOCOLS = {"amqp091", "mqtt310", "mqtt311", "mqtt50"}


@pytest.fixture
def broker(own_broker):
    """Numbers are exact only where nobody else works."""
    return own_broker


def counted(page, what, protocol="amqp091"):
    """A counter of messages of a protocol."""
    labels = {"protocol": protocol}
    if f"global_messages_{what}" in BY_QUEUE_TYPE:
        labels["queue_type"] = QUEUE_TYPE
    return page.value(f"global_messages_{what}_total", **labels)


def wait_for_counts(broker, protocol="amqp091", **expected):
    """Waits until the counters of a protocol are so; the page on which they are."""
    def look():
        page = scrape(broker)
        return page if {what: counted(page, what, protocol) for what in expected} == expected else None

    return eventually(look, f"{expected} of {protocol}")


@pytest.mark.parametrize("path", ["/metrics", "/metrics/per-object"])
def test_everything_that_the_dashboard_asks_for_is_there(broker, path):
    client = connect(broker.amqp)
    client.channel().queue_declare("q")
    page = scrape(broker, path)
    for kind, names in PLAIN.items():
        for name in names:
            assert page.types[f"rabbitmq_{name}"] == kind, name
            if path == "/metrics":
                assert page.value(name if kind == "gauge" else f"{name}_total") is not None, name
    for kind, names in BY_PROTOCOL.items():
        for name in names:
            series = page.labels(name if kind == "gauge" else f"{name}_total")
            assert page.types[f"rabbitmq_{name}"] == kind, name
            assert {labels["protocol"] for labels in series} >= PROTOCOLS, name
            assert all(set(labels) == {"protocol"} for labels in series), name
    for name in BY_QUEUE_TYPE:
        assert page.types[f"rabbitmq_{name}"] == "counter", name
        for labels in page.labels(f"{name}_total"):
            assert set(labels) == {"protocol", "queue_type"} and labels["queue_type"] == QUEUE_TYPE
    assert page.types["rabbitmq_message_size_bytes"] == "histogram"
    for protocol in PROTOCOLS:
        buckets = [labels["le"] for labels in page.labels("message_size_bytes_bucket") if labels["protocol"] == protocol]
        assert buckets == BOUNDS
        assert page.value("message_size_bytes_sum", protocol=protocol) == 0
        assert page.value("message_size_bytes_count", protocol=protocol) == 0
    client.close()


@pytest.mark.parametrize("path", PAGES)
def test_each_page_can_be_joined_with_the_identity_of_the_node(broker, path):
    page = scrape(broker, path)
    assert page.types["rabbitmq_identity_info"] == page.types["rabbitmq_build_info"] == "unknown"
    identity, = page.labels("identity_info")
    assert page.value("identity_info", **identity) == 1
    node = Management(broker.http).read("overview")
    assert identity.pop("rabbitmq_cluster_permanent_id")
    endpoint = path.removeprefix("/metrics").removeprefix("/") or "aggregated"
    assert identity == {"rabbitmq_node": node["node"], "rabbitmq_cluster": node["cluster_name"],
                        "rabbitmq_endpoint": endpoint}
    build, = page.labels("build_info")
    assert build["rabbitmq_version"] == node["rabbitmq_version"]
    assert set(build) == {"rabbitmq_version", "prometheus_plugin_version", "prometheus_client_version",
                          "erlang_version", "product_name", "product_version"}


def test_the_identity_of_the_cluster_survives_a_restart(broker):
    before, = scrape(broker).labels("identity_info")
    broker.kill_and_restart()
    after, = scrape(broker).labels("identity_info")
    assert after == before


def test_messages_of_amqp_are_counted_by_what_becomes_of_them(broker):
    client = connect(broker.amqp)
    channel = client.channel()
    channel.queue_declare("q")
    for body in (b"1", b"22", b"333"):
        channel.basic_publish("", "q", body)
    channel.basic_publish("", "nowhere", b"")
    fill(channel, "q", [b"4444"])
    with pytest.raises(pika.exceptions.UnroutableError):
        channel.basic_publish("", "nowhere", b"55555", mandatory=True)
    get_one(channel, "q")
    method, _, _ = get_one(channel, "q", auto_ack=False)
    channel.basic_nack(method.delivery_tag, requeue=True)
    consumer = client.channel()
    collector = Collector(consumer, "q")
    deliveries = collector.wait_for(3)
    consumer.basic_ack(deliveries[1][0].delivery_tag, multiple=True)
    synchronise(consumer)
    page = wait_for_counts(broker, acknowledged=2)
    assert (page.value("queue_messages_ready"), page.value("queue_messages_unacked"), page.value("queue_messages")) == (0, 1, 1)
    assert (page.value("consumers"), page.value("global_consumers", protocol="amqp091")) == (1, 1)
    assert page.value("global_publishers", protocol="amqp091") == 1
    assert (page.value("connections"), page.value("channels"), page.value("queues")) == (1, 2, 1)
    consumer.basic_cancel(collector.tag)
    consumer.basic_nack(deliveries[2][0].delivery_tag, requeue=True)
    synchronise(consumer)
    assert len(drain(channel, "q")) == 1
    Collector(channel, "q", auto_ack=True)
    channel.basic_publish("", "q", b"666666")
    expected = {
        "received": 7, "received_confirm": 3, "confirmed": 3, "routed": 5, "unroutable_dropped": 1,
        "unroutable_returned": 1, "delivered": 7, "delivered_get_auto_ack": 2, "delivered_get_manual_ack": 1,
        "delivered_consume_manual_ack": 3, "delivered_consume_auto_ack": 1, "get_empty": 1, "redelivered": 2,
        "acknowledged": 2,
    }
    page = wait_for_counts(broker, **expected)
    assert page.value("message_size_bytes_sum", protocol="amqp091") == 1 + 2 + 3 + 4 + 5 + 6
    for per_object in (False, True):
        check_channels_and_queues(broker, client, per_object)
    client.close()


def check_channels_and_queues(broker, client, per_object):
    """What is counted by protocol is counted at channels, queues and exchanges as well."""
    page = scrape(broker, "/metrics/per-object" if per_object else "/metrics")
    connection = Management(broker.http).read("connections")[0]["name"]
    channels = [{"channel": f"{connection} ({number})"} for number in (1, 2)] if per_object else [{}]
    queue = {"vhost": "/", "queue": "q"} if per_object else {}
    exchange = {"vhost": "/", "exchange": ""} if per_object else {}
    for name, count in [
        ("messages_published_total", 7), ("messages_confirmed_total", 3), ("messages_unroutable_dropped_total", 1),
        ("messages_unroutable_returned_total", 1), ("get_total", 2), ("get_ack_total", 1), ("get_empty_total", 1),
        ("messages_delivered_total", 1), ("messages_delivered_ack_total", 3), ("messages_redelivered_total", 2),
        ("messages_acked_total", 2)]:
        assert sum(page.value(f"channel_{name}", **labels) for labels in channels) == count, name
    for name, count in [
        ("messages_published_total", 5), ("get_total", 2), ("get_ack_total", 1), ("get_empty_total", 1),
        ("messages_delivered_total", 1), ("messages_delivered_ack_total", 3), ("messages_redelivered_total", 2),
        ("messages_acked_total", 2)]:
        assert page.value(f"queue_{name}", **queue) == count, name
    assert page.value("exchange_messages_published_total", **exchange) == 7
    received, sent = (page.value(f"connection_{way}_bytes_total", **({"connection": connection} if per_object else {}))
                      for way in ("incoming", "outgoing"))
    assert received > 100 and sent > 100
    client.process_data_events()


@pytest.mark.parametrize("version, protocol", [(3, "mqtt311"), (5, "mqtt50")])
def test_messages_of_mqtt_are_counted_by_its_version(broker, version, protocol):
    client = MqttClient(broker.mqtt, "c", version).connect()
    client.subscribe("t", 1)
    client.publish("t", b"x" * 100, 0)
    client.publish("t", b"x" * 101, 1)
    client.publish("nobody/listens", b"", 1)
    client.payloads(2)
    page = wait_for_counts(
        broker, protocol, received=3, received_confirm=2, confirmed=2, routed=2, delivered=2, acknowledged=1,
        delivered_consume_auto_ack=1, delivered_consume_manual_ack=1)
    buckets = [page.value("message_size_bytes_bucket", protocol=protocol, le=bound) for bound in BOUNDS]
    assert buckets == [2] + [3] * 8
    assert page.value("global_publishers", protocol=protocol) == 1
    assert page.value("global_consumers", protocol=protocol) == page.value("consumers") == 1
    assert counted(page, "received") == 0
    client.stop()


def test_counters_do_not_fall_when_clients_and_queues_go(broker):
    client = connect(broker.amqp)
    channel = client.channel()
    for queue in ("a", "b"):
        channel.queue_declare(queue)
        fill(channel, queue, [b"1", b"2"])
        drain(channel, queue)
    subscriber = MqttClient(broker.mqtt, "c").connect()
    subscriber.subscribe("t", 1)
    subscriber.publish("t", b"x", 1)
    subscriber.payloads(1)
    wait_for_counts(broker, "mqtt50", acknowledged=1)
    before = wait_for_counts(broker, received=4, delivered=4)
    channel.queue_delete("a")
    channel.close()
    client.close()
    subscriber.stop()
    eventually(lambda: scrape(broker).value("connections") == 0, "all connections are gone")
    after = scrape(broker)
    counters = {name for name, kind in before.types.items() if kind in ("counter", "histogram")}
    for (name, labels), value in before.series.items():
        if any(name.startswith(counter) for counter in counters):
            assert after.series[name, labels] >= value, name
    assert after.value("connections_opened_total") == after.value("connections_closed_total") >= 2
    assert (after.value("channels_opened_total"), after.value("channels_closed_total")) == (1, 1)
    assert after.value("queues_created_total") == 3 and after.value("queues_deleted_total") == 2
    assert (after.value("channels"), after.value("queues")) == (0, 1)


def test_dead_letters_are_counted_by_their_reason(broker):
    channel = connect(broker.amqp).channel()
    channel.queue_declare("grave")
    letters = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave"}
    for queue, more in [("rejecting", {}), ("short", {"x-max-length": 1}), ("brief", {"x-message-ttl": 1})]:
        channel.queue_declare(queue, arguments={**letters, **more})
        fill(channel, queue, [b"1", b"2"])
    method, _, _ = get_one(channel, "rejecting", auto_ack=False)
    channel.basic_reject(method.delivery_tag, requeue=False)
    labels = {"queue_type": QUEUE_TYPE, "dead_letter_strategy": "at_least_once"}

    def look():
        page = scrape(broker)
        reasons = ("rejected", "maxlen", "expired", "delivery_limit", "confirmed")
        return [page.value(f"global_messages_dead_lettered_{reason}_total", **labels) for reason in reasons]

    eventually(lambda: look() == [1, 1, 2, 0, 4], "four dead letters")


def test_logins_are_counted(broker):
    connect(broker.amqp).close()
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        connect(broker.amqp, user="guest", password="wrong")
    MqttClient(broker.mqtt, "c", user="guest", password="guest").connect().stop()
    assert Management(broker.http, password="wrong").get("whoami").status_code == 401
    page = scrape(broker)
    for protocol, succeeded, failed in [("amqp091", 1, 1), ("mqtt", 1, 0), ("http", 0, 1)]:
        assert page.value("auth_attempts_total", protocol=protocol) == succeeded + failed, protocol
        assert page.value("auth_attempts_succeeded_total", protocol=protocol) == succeeded, protocol
        assert page.value("auth_attempts_failed_total", protocol=protocol) == failed, protocol


def test_the_disk_and_alarms_are_watched(broker):
    channel = connect(broker.amqp).channel()
    channel.queue_declare("q", durable=True)
    fill(channel, "q", [b"x" * 1000], pika.BasicProperties(delivery_mode=2))
    page = scrape(broker)
    assert page.value("io_sync_ops_total") >= 1 and page.value("io_sync_time_seconds_total") > 0
    assert page.value("io_write_ops_total") >= 1 and page.value("io_write_bytes_total") > 1000
    assert page.value("alarms_memory_used_watermark") == page.value("alarms_free_disk_space_watermark") == 0
    assert 0 < page.value("process_open_fds") < page.value("process_max_fds")
    assert page.value("process_resident_memory_bytes") > 1_000_000


def test_names_with_every_kind_of_character_are_read_back(broker):
    channel = connect(broker.amqp).channel()
    names = ['quo"te', "back\\slash", "both\\\"", "ünï", "{b=\"c\"}", "a,b", "\\n"]
    for name in names:
        channel.queue_declare(name)
    page = scrape(broker, "/metrics/per-object")
    assert {labels["queue"] for labels in page.labels("queue_messages")} == set(names)


def test_families_and_virtual_hosts_are_chosen(broker):
    management = Management(broker.http)
    management.put("vhosts/v")
    management.put("permissions/v/guest", {"configure": ".*", "write": ".*", "read": ".*"})
    for vhost in ("v", "%2F"):
        management.put(f"queues/{vhost}/q")
    both = scrape(broker, "/metrics/detailed", family=["queue_coarse_metrics", "queue_consumer_count"])
    assert {labels["vhost"] for labels in both.labels("detailed_queue_messages")} == {"/", "v"}
    assert set(both.types) == {f"rabbitmq_{name}" for name in (
        "detailed_queue_messages_ready", "detailed_queue_messages_unacked", "detailed_queue_messages",
        "detailed_queue_consumers", "detailed_queue_info", "identity_info", "build_info")}
    one = scrape(broker, "/metrics/detailed", family="queue_coarse_metrics", vhost="v")
    assert [labels["vhost"] for labels in one.labels("detailed_queue_messages")] == ["v"]
    nothing = scrape(broker, "/metrics/detailed", family="no_such_family")
    assert set(nothing.types) == {"rabbitmq_identity_info", "rabbitmq_build_info"}
    cluster = scrape(broker, "/metrics/detailed", family=["vhost_status", "exchange_names", "exchange_bindings"], vhost="v")
    assert cluster.value("cluster_vhost_status", vhost="v") == 1
    assert cluster.value("cluster_exchange_bindings", vhost="v", exchange="amq.topic", type="topic") == 0
    assert cluster.value("cluster_exchange_name", vhost="v", exchange="amq.topic", type="topic") == 1


def test_the_management_port_has_the_same_metrics_for_those_who_may_look(broker):
    url = f"http://{broker.http[0]}:{broker.http[1]}/metrics"
    assert requests.get(url, timeout=10).status_code == 401
    response = requests.get(url, auth=("guest", "guest"), timeout=10)
    assert Page(response.text).types.keys() == scrape(broker).types.keys()
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert response.headers["content-encoding"] == "gzip"
