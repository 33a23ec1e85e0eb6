"""The HTTP API, first part: objects, status codes, error bodies, publish and get."""

import base64

import pika
import pytest
import requests

from support.amqp_client import Collector, fill, get_one
from support.management import Management, segment


@pytest.fixture
def queue(management, name):
    """A durable queue declared through the API, deleted afterwards."""
    queue = name()
    assert management.put(f"queues/%2F/{queue}", {"durable": True}).status_code == 201
    yield queue
    management.delete(f"queues/%2F/{queue}")


def test_overview_tells_version_totals_and_listeners(management, broker):
    overview = management.read("overview")
    for key in ("management_version", "rabbitmq_version", "cluster_name", "node", "rates_mode"):
        assert isinstance(overview[key], str) and overview[key]
    assert {"channels", "connections", "consumers", "exchanges", "queues"} <= set(overview["object_totals"])
    assert overview["object_totals"]["exchanges"] >= 7
    assert {t["name"] for t in overview["exchange_types"]} >= {"direct", "fanout", "topic", "headers"}
    listening = {(l["protocol"], l["port"]) for l in overview["listeners"]}
    assert {("amqp", broker.amqp[1]), ("mqtt", broker.mqtt[1])} <= listening


def test_overview_counts_messages(management, queue, channel):
    fill(channel, queue, [b"1", b"2"])
    management.wait_for_queue(queue, messages=2)
    totals = management.read("overview")["queue_totals"]
    assert totals["messages"] >= 2 and totals["messages_ready"] >= 2


def test_whoami_names_the_user_and_tags(management):
    who = management.read("whoami")
    assert who["name"] == "guest" and "administrator" in who["tags"]


def test_users_and_vhosts_list_the_defaults(management):
    guest = next(user for user in management.read("users") if user["name"] == "guest")
    assert "administrator" in guest["tags"] and guest["password_hash"]
    assert "/" in [vhost["name"] for vhost in management.read("vhosts")]


@pytest.mark.parametrize("path", ["overview", "queues", "exchanges", "bindings", "connections", "channels",
                                  "vhosts", "users", "whoami"])
def test_every_list_needs_a_login(broker, path):
    response = Management(broker.http, user=None).get(path)
    assert response.status_code == 401
    assert "Basic" in response.headers["www-authenticate"]
    assert response.json()["error"] == "not_authorized"


@pytest.mark.parametrize("user, password", [("guest", "wrong"), ("nobody", "guest"), ("", "")])
def test_a_wrong_login_is_refused_with_401(broker, user, password):
    response = Management(broker.http, user, password).get("whoami")
    assert response.status_code == 401
    assert response.json() == {"error": "not_authorized", "reason": "Not_Authorized"}


def test_an_unknown_path_is_404_with_the_error_body(management):
    response = management.get("no-such-thing")
    assert response.status_code == 404
    assert response.json() == {"error": "Object Not Found", "reason": "Not Found"}


def test_answers_are_json_and_not_cached(management):
    response = management.get("whoami")
    assert response.headers["content-type"].startswith("application/json")
    assert "no-cache" in response.headers["cache-control"]


def test_the_predeclared_exchanges_are_listed(management):
    listed = {(e["name"], e["type"], e["durable"]) for e in management.read("exchanges/%2F")}
    assert {("", "direct", True), ("amq.direct", "direct", True), ("amq.fanout", "fanout", True),
            ("amq.topic", "topic", True), ("amq.headers", "headers", True), ("amq.match", "headers", True)} <= listed


def test_a_queue_is_created_with_201_and_repeated_with_204(management, name):
    path = f"queues/%2F/{name()}"
    assert management.put(path, {"durable": True}).status_code == 201
    assert management.put(path, {"durable": True}).status_code == 204
    assert management.delete(path).status_code == 204
    assert management.delete(path).status_code == 404


def test_a_different_redeclaration_of_a_queue_is_400(management, queue):
    response = management.put(f"queues/%2F/{queue}", {"durable": False})
    assert response.status_code == 400
    assert response.json() == {
        "error": "bad_request",
        "reason": f"inequivalent arg 'durable' for queue '{queue}' in vhost '/': received 'false' but current is 'true'"}


def test_a_queue_object_has_its_fields(management, queue, channel):
    fill(channel, queue, [b"12345", b"1"], pika.BasicProperties(delivery_mode=2))
    found = management.wait_for_queue(queue, messages=2)
    expected = {"name": queue, "vhost": "/", "type": "classic", "durable": True, "auto_delete": False,
                "exclusive": False, "arguments": {}, "messages_ready": 2, "messages_unacknowledged": 0, "consumers": 0}
    assert {key: found[key] for key in expected} == expected
    assert found["state"] in ("running", "idle") and found["node"]


def test_unacknowledged_messages_and_consumers_are_counted(management, queue, amqp):
    channel = amqp().channel()
    fill(channel, queue, [b"1", b"2", b"3"])
    channel.basic_qos(prefetch_count=2)
    Collector(channel, queue).wait_for(2)
    found = management.wait_for_queue(queue, messages_unacknowledged=2, consumers=1)
    assert (found["messages"], found["messages_ready"]) == (3, 1)


def test_queues_of_amqp_clients_are_listed(management, channel, name):
    queue = name()
    channel.queue_declare(queue, exclusive=True, arguments={"my-argument": "x"})
    found = management.find("queues", name=queue)
    assert (found["exclusive"], found["arguments"]) == (True, {"my-argument": "x"})


def test_an_absent_queue_is_404(management, name):
    response = management.get(f"queues/%2F/{name()}")
    assert response.status_code == 404
    assert response.json() == {"error": "Object Not Found", "reason": "Not Found"}


def test_an_absent_vhost_is_404(management):
    assert management.get("queues/absent").status_code == 404


@pytest.mark.parametrize("spelling", ["with/slash", "with space", "per%cent", "plus+plus", "ünï", "<b>bold</b>"])
def test_names_are_decoded_segment_by_segment(management, name, spelling):
    queue = f"{name()}-{spelling}"
    path = f"queues/%2F/{segment(queue)}"
    assert management.put(path).status_code == 201
    assert management.read(path)["name"] == queue
    assert management.delete(path).status_code == 204


def test_a_lower_case_percent_escape_means_the_same(management, queue):
    assert management.read(f"queues/%2f/{queue}")["name"] == queue


def test_an_exchange_is_created_read_and_deleted(management, name):
    exchange = name()
    path = f"exchanges/%2F/{exchange}"
    assert management.put(path, {"type": "topic", "durable": True}).status_code == 201
    assert management.put(path, {"type": "topic", "durable": True}).status_code == 204
    found = management.read(path)
    expected = {"name": exchange, "vhost": "/", "type": "topic", "durable": True, "auto_delete": False, "internal": False, "arguments": {}}
    assert {key: found[key] for key in expected} == expected
    assert management.delete(path).status_code == 204
    assert management.get(path).status_code == 404


def test_a_different_redeclaration_of_an_exchange_is_400(management, name):
    exchange = name()
    management.put(f"exchanges/%2F/{exchange}", {"type": "topic"})
    response = management.put(f"exchanges/%2F/{exchange}", {"type": "fanout"})
    management.delete(f"exchanges/%2F/{exchange}")
    assert response.status_code == 400
    assert response.json()["reason"] == (
        f"inequivalent arg 'type' for exchange '{exchange}' in vhost '/': received 'fanout' but current is 'topic'")


def test_predeclared_exchanges_cannot_be_deleted(management):
    assert management.delete("exchanges/%2F/amq.topic").status_code in (400, 401, 403)
    assert management.read("exchanges/%2F/amq.topic")["type"] == "topic"


def test_a_body_that_is_no_json_is_400(management, name):
    response = management.request("PUT", f"queues/%2F/{name()}", data="{no json")
    assert response.status_code == 400
    assert response.json()["error"] == "bad_request"


def test_a_binding_is_listed_with_its_key(management, queue, channel, name):
    key = name("key")
    channel.queue_bind(queue, "amq.topic", key)
    found = management.find(f"queues/%2F/{queue}/bindings", source="amq.topic")
    expected = {"source": "amq.topic", "vhost": "/", "destination": queue, "destination_type": "queue",
                "routing_key": key, "arguments": {}, "properties_key": key}
    assert {field: found[field] for field in expected} == expected
    assert management.find("bindings", routing_key=key)["destination"] == queue


def test_the_implicit_binding_to_the_default_exchange_is_listed(management, queue):
    found = management.find(f"queues/%2F/{queue}/bindings", source="")
    assert (found["routing_key"], found["destination"]) == (queue, queue)


def test_messages_are_published_and_fetched(management, queue):
    body = {"properties": {"content_type": "text/plain", "delivery_mode": 2, "headers": {"a": "b"}},
            "routing_key": queue, "payload": "hello", "payload_encoding": "string"}
    response = management.post("exchanges/%2F/amq.default/publish", body)
    assert (response.status_code, response.json()) == (200, {"routed": True})
    wanted = {"count": 5, "ackmode": "ack_requeue_false", "encoding": "auto"}
    got = management.post(f"queues/%2F/{queue}/get", wanted).json()
    assert len(got) == 1
    expected = {"payload": "hello", "payload_bytes": 5, "payload_encoding": "string", "redelivered": False,
                "exchange": "", "routing_key": queue, "message_count": 0}
    assert {key: got[0][key] for key in expected} == expected
    assert got[0]["properties"]["content_type"] == "text/plain"
    assert got[0]["properties"]["headers"] == {"a": "b"}


def test_a_message_published_over_http_reaches_amqp_with_its_properties(management, queue, channel):
    body = {"properties": {"correlation_id": "c", "reply_to": "r", "type": "t"}, "routing_key": queue,
            "payload": base64.b64encode(b"\0\xff").decode(), "payload_encoding": "base64"}
    assert management.post("exchanges/%2F/amq.default/publish", body).json() == {"routed": True}
    _, properties, payload = get_one(channel, queue)
    assert (properties.correlation_id, properties.reply_to, properties.type) == ("c", "r", "t")
    assert payload == b"\0\xff"


def test_an_unroutable_publish_says_so(management, name):
    body = {"properties": {}, "routing_key": name(), "payload": "", "payload_encoding": "string"}
    assert management.post("exchanges/%2F/amq.direct/publish", body).json() == {"routed": False}


def test_publishing_to_an_absent_exchange_is_404(management, name):
    body = {"properties": {}, "routing_key": "k", "payload": "", "payload_encoding": "string"}
    assert management.post(f"exchanges/%2F/{name()}/publish", body).status_code == 404


@pytest.mark.parametrize("missing", ["properties", "routing_key", "payload", "payload_encoding"])
def test_a_publish_with_a_missing_field_is_400(management, missing):
    body = {"properties": {}, "routing_key": "k", "payload": "", "payload_encoding": "string"}
    del body[missing]
    response = management.post("exchanges/%2F/amq.default/publish", body)
    assert response.status_code == 400
    assert response.json()["error"] == "bad_request" and missing in response.json()["reason"]


@pytest.mark.parametrize("ackmode, left, redelivered", [
    ("ack_requeue_true", 2, True), ("reject_requeue_true", 2, True),
    ("ack_requeue_false", 1, False), ("reject_requeue_false", 1, False)])
def test_get_requeues_or_removes_as_its_mode_says(management, queue, channel, ackmode, left, redelivered):
    fill(channel, queue, [b"first", b"second"])
    wanted = {"count": 1, "ackmode": ackmode, "encoding": "auto"}
    got = management.post(f"queues/%2F/{queue}/get", wanted).json()
    assert [message["payload"] for message in got] == ["first"]
    management.wait_for_queue(queue, messages_ready=left)
    method, _, body = get_one(channel, queue)
    assert (body, method.redelivered) == (b"first" if left == 2 else b"second", redelivered)


def test_get_encodes_binary_payloads(management, queue, channel):
    fill(channel, queue, [b"\xff\xfe"])
    got = management.post(f"queues/%2F/{queue}/get", {"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}).json()
    assert (got[0]["payload_encoding"], base64.b64decode(got[0]["payload"])) == ("base64", b"\xff\xfe")


@pytest.mark.parametrize("body", [
    {"ackmode": "ack_requeue_true", "encoding": "auto"}, {"count": 1, "encoding": "auto"},
    {"count": 1, "ackmode": "ack_requeue_true"}, {"count": 1, "ackmode": "nonsense", "encoding": "auto"}])
def test_a_malformed_get_is_400(management, queue, body):
    assert management.post(f"queues/%2F/{queue}/get", body).status_code == 400


def test_purge_empties_a_queue(management, queue, channel):
    fill(channel, queue, [b"1", b"2"])
    assert management.delete(f"queues/%2F/{queue}/contents").status_code == 204
    management.wait_for_queue(queue, messages=0)


def test_a_queue_with_messages_is_not_deleted_if_empty(management, queue, channel):
    fill(channel, queue, [b"1"])
    assert management.delete(f"queues/%2F/{queue}?if-empty=true").status_code == 400
    assert management.queue(queue)


def test_connections_and_channels_of_both_protocols_are_listed(management, amqp, mqtt, name):
    label, client_id = name("label"), name()
    connection = amqp(client_properties={"connection_name": label})
    channel = connection.channel()
    channel.basic_qos(prefetch_count=5)
    mqtt(client_id)
    found = management.find("connections", user_provided_name=label)
    assert (found["user"], found["vhost"], found["protocol"], found["state"]) == ("guest", "/", "AMQP 0-9-1", "running")
    assert found["client_properties"]["product"].startswith("Pika")
    assert " -> " in found["name"] and found["peer_host"] == "127.0.0.1"
    listed = management.find("channels", name=f"{found['name']} (1)")
    assert (listed["number"], listed["consumer_count"], listed["vhost"]) == (1, 0, "/")
    assert management.find("connections", protocol="MQTT 5-0")


def test_a_closed_connection_leaves_the_list(management, amqp, name):
    label = name("label")
    connection = amqp(client_properties={"connection_name": label})
    management.find("connections", user_provided_name=label)
    connection.close()
    assert label not in [c.get("user_provided_name") for c in management.read("connections")]


def test_a_page_has_its_envelope(management, queue):
    page = management.read("queues", params={"page": 1, "page_size": 1, "name": queue})
    assert [q["name"] for q in page["items"]] == [queue]
    assert (page["filtered_count"], page["item_count"], page["page"], page["page_count"], page["page_size"]) == (1, 1, 1, 1, 1)
    assert page["total_count"] >= 1


def test_a_huge_or_broken_request_gets_an_answer_and_harms_nobody(broker, management):
    url = f"http://{broker.http[0]}:{broker.http[1]}/api/whoami"
    flood = {f"x-header-{i}": "v" * 100 for i in range(2000)}
    try:
        assert requests.get(url, headers=flood, timeout=10).status_code >= 400
    except requests.ConnectionError:
        pass  # closing without an answer is as good
    assert management.read("whoami")["name"] == "guest"
