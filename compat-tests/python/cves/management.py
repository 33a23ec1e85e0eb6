"""The management API: headers, queries and bodies without a limit, and what low roles could do."""

import json
import socket
import time
import uuid

import requests

from support.accounts import Account
from support.amqp_client import connect
from support.management import Management, segment

from . import Row, record

MIB = 1024 * 1024
SECONDS_MAX = 10
MARKUP = '<img src=x onerror="alert(1)">'


def api(broker):
    """As guest."""
    return Management(broker.http)


def someone(broker, tags, **permissions):
    """A new user, and the API as this user."""
    made = Account(api(broker), broker.amqp, f"cve-{uuid.uuid4().hex[:8]}", tags=tags, **permissions)
    return made, Management(broker.http, made.name, "secret")


def format_string_as_reason(broker):
    """A reason is text, and a long one is cut or refused."""
    for reason in ("~99999999999s", "~n" * 5000, "%s%n" * 1000, "x" * 40_000):
        connection = connect(broker.amqp)
        one = api(broker).find("connections", user="guest")
        started = time.monotonic()
        answer = api(broker).delete(f"connections/{segment(one['name'])}", headers={"X-Reason": reason})
        assert answer.status_code in (204, 400, 431), answer.text
        assert time.monotonic() - started < SECONDS_MAX
        try:
            connection.close()
        except Exception:  # the broker has closed it, as it should
            pass


def samples_without_end(broker):
    """An answer of few samples, or none."""
    for what in ("lengths", "msg_rates", "data_rates", "node_stats"):
        for age, step in ((10 ** 15, 1), (60, 0), (-5, -1), (2 ** 64, 2 ** 64), ("x", "y")):
            started = time.monotonic()
            answer = api(broker).get("overview", params={f"{what}_age": age, f"{what}_incr": step})
            assert answer.status_code in (200, 400), answer.text
            assert len(answer.content) < MIB and time.monotonic() - started < SECONDS_MAX


def bodies_without_end(broker):
    """The broker answers before it has all of it, or holds none of it."""
    for framing, chunk in (("Content-Length: 8589934592", b"x" * MIB),
                           ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (MIB, b"x" * MIB))):
        with socket.create_connection(broker.http, timeout=SECONDS_MAX) as raw:
            raw.sendall(f"POST /api/definitions HTTP/1.1\r\nHost: here\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n"
                        f"Content-Type: application/json\r\n{framing}\r\n\r\n".encode())
            try:
                for _ in range(200):
                    raw.sendall(chunk)
                raise AssertionError("200 MiB were taken")
            except OSError:
                pass  # it is not read any more


def line_breaks_in_a_file_name(broker):
    """The name of a download is one line of one header, or refused."""
    for name in ("a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\"; X-Evil: 1\r\n\r\n<b>", "\0", "\u2028é"):
        answer = api(broker).get("definitions", params={"download": name})
        assert answer.status_code in (200, 400), answer.text[:200]
        assert "x-evil" not in {header.lower() for header in answer.headers}, answer.headers
        assert not answer.text.startswith("<b>")


def low_role_changes(broker):
    """Who may look, and has no permission to configure, changes nothing."""
    api(broker).put("queues/%2F/cve-kept", {"durable": True})
    for tags in ("management", "monitoring", "policymaker"):
        made, low = someone(broker, tags, read=".*", write=".*")
        assert low.delete("queues/%2F/cve-kept").status_code in (401, 403)
        assert low.put("queues/%2F/cve-new", {"durable": True}).status_code in (401, 403)
        assert low.put("exchanges/%2F/cve-new", {"type": "topic"}).status_code in (401, 403)
        assert low.delete("exchanges/%2F/amq.topic").status_code in (400, 401, 403)
        made.delete()
    assert api(broker).queue("cve-kept") and not api(broker).queue("cve-new")
    assert api(broker).delete("queues/%2F/cve-kept").status_code == 204


def monitor_forgets_attempts(broker):
    """Only administrators delete what is measured."""
    node = api(broker).read("overview")["node"]
    for tags in ("monitoring", "management"):
        made, low = someone(broker, tags, read=".*")
        for path in (f"auth/attempts/{node}", f"auth/attempts/{node}/source"):
            assert low.delete(path).status_code in (401, 403, 404, 405), (tags, path)
        made.delete()


def status_of_a_foreign_queue(broker):
    """Who has no access to a virtual host learns nothing of its queues."""
    everybody = api(broker)
    everybody.put("vhosts/cve-foreign")
    everybody.put("queues/cve-foreign/q", {"durable": True, "arguments": {"x-queue-type": "quorum"}})
    made, low = someone(broker, "management", read=".*")
    for path in ("queues/cve-foreign/q", "queues/quorum/cve-foreign/q/status", "queues/cve-foreign",
                 "queues/cve-foreign/q/bindings", "vhosts/cve-foreign", "exchanges/cve-foreign/amq.topic"):
        there, not_there = low.get(path), low.get(path.replace("cve-foreign", "cve-nowhere"))
        assert there.status_code in (401, 403, 404), (path, there.text)
        assert "quorum" not in there.text and not_there.status_code in (401, 403, 404)
    made.delete()
    everybody.delete("vhosts/cve-foreign")


def names_of_nodes(broker):
    """A node that is not there is no reason to remember its name."""
    for number in range(50):
        body = {"durable": True, "node": f"nobody-{number}-" + "x" * 5000}
        assert api(broker).put("queues/%2F/cve-node", body).status_code in (201, 204, 400)
        assert api(broker).get(f"parameters/cve-{number}-" + "x" * 1000).status_code in (200, 404)
    api(broker).delete("queues/%2F/cve-node")


def tags_without_end(broker):
    """They are refused; keys that mean nothing are not kept."""
    for count, status in ((256, 201), (257, 400), (1_000_000, 400)):
        many = ",".join(f"t{number}" for number in range(count))
        answer = api(broker).put(f"users/cve-tags-{count}", {"password": "x", "tags": many})
        assert answer.status_code == status, answer.text[:200]
    api(broker).delete("users/cve-tags-256")
    metadata = {f"k{number}": number for number in range(50_000)}
    answer = api(broker).post("definitions", {"vhosts": [{"name": "cve-keys", "metadata": metadata}]})
    assert answer.status_code in (200, 204, 400, 413), answer.text[:200]
    api(broker).delete("vhosts/cve-keys")


def other_origins(broker):
    """No page of another site reads an answer."""
    for path in ("overview", "definitions", "whoami"):
        answer = api(broker).get(path, headers={"Origin": "https://evil.example"})
        allowed = {name.lower() for name in answer.headers if name.lower().startswith("access-control-")}
        assert not allowed, answer.headers


def settings_before_the_login(broker):
    """Who has not logged in reads no secret."""
    for path in ("auth", "auth/hash_password/x", "definitions", "overview", "nodes"):
        answer = Management(broker.http, None).get(path)
        assert answer.status_code in (200, 401, 404) and "secret" not in answer.text.lower(), (path, answer.text)
        assert answer.status_code != 200 or path == "auth", path


def markup_in_names(broker):
    """It comes out as JSON that nothing takes for a page. That the UI shows it as text is tested in admin-ui."""
    name = segment(MARKUP)
    everybody = api(broker)
    everybody.put(f"vhosts/{name}", {"description": MARKUP, "tags": [MARKUP]})
    everybody.put(f"queues/{name}/{name}", {"durable": True})
    everybody.put(f"users/{name}", {"password": "x", "tags": ""})
    for path in (f"vhosts/{name}", f"queues/{name}/{name}", f"users/{name}", f"queues/{name}/nothing{name}",
                 f"nothing/{name}"):
        answer = everybody.get(path)
        kind = answer.headers["content-type"]
        assert kind.startswith("application/json") and answer.headers["x-content-type-options"] == "nosniff", path
        assert MARKUP not in answer.text or json.loads(answer.text) is not None
    everybody.delete(f"users/{name}")
    everybody.delete(f"vhosts/{name}")


def heads_without_end(broker):
    """Long heads, odd paths and queries are answered, or the connection is closed."""
    base = f"http://{broker.http[0]}:{broker.http[1]}/api"
    deep = "[" * 64 + "]" * 64
    very_deep = "[" * 100_000 + "]" * 100_000
    for method, path, options in (
        ("GET", "queues?" + "a=b&" * 10_000, {}),
        ("GET", "queues/%2F/%00", {}), ("PUT", "queues/%2F/%00%01%7f", {"data": "{}"}),
        ("GET", "queues?page=1&page_size=1000000000", {}), ("GET", "queues?page=4294967296&page_size=500", {}),
        ("GET", "queues?page=1&name=" + "(" * 3000 + "&use_regex=true", {}),
        ("GET", "queues?page=1&name=(((a{100}){100}){100})&use_regex=true", {}),
        ("GET", "%2e%2e/%2e%2e/etc/passwd", {}), ("GET", "queues/%FF/%C0%AF", {}),
        ("POST", "definitions", {"data": deep}), ("POST", "definitions", {"data": very_deep}),
        ("PUT", "queues/%2F/cve-deep", {"data": '{"arguments": {"a": ' + deep + "}}"}),
        ("PUT", "queues/%2F/cve-deep", {"data": '{"arguments": {"a": ' + very_deep + "}}"}),
        ("GET", "overview", {"headers": {f"X-{number}": "x" * 1000 for number in range(60)}}),
        ("GET", "overview", {"headers": {f"X-{number}": "x" for number in range(150)}}),
    ):
        answer = requests.request(method, f"{base}/{path}", auth=("guest", "guest"), timeout=SECONDS_MAX, **options)
        assert answer.status_code < 500, (path[:60], answer.status_code, answer.text[:200])
    api(broker).delete("queues/%2F/cve-deep")
    api(broker).delete("queues/%2F/%00%01%7f")


ROWS = [
    Row("CVE-2014-9649", "RabbitMQ", "a path that is not there comes back as a page", record("CVE-2014-9649"),
        markup_in_names),
    Row("CVE-2014-9650", "RabbitMQ", "the name of a download makes headers", record("CVE-2014-9650"),
        line_breaks_in_a_file_name),
    Row("CVE-2015-8786", "RabbitMQ", "lengths_age and lengths_incr make an answer of any size",
        record("CVE-2015-8786"), samples_without_end),
    Row("CVE-2019-11287", "RabbitMQ", "X-Reason is a format string", record("CVE-2019-11287"),
        format_string_as_reason),
    Row("CVE-2021-32718, CVE-2025-30219", "RabbitMQ", "names of users and virtual hosts are markup",
        record("CVE-2025-30219"), markup_in_names),
    Row("CVE-2023-46118", "RabbitMQ", "a body of any size is held in memory",
        "https://github.com/rabbitmq/rabbitmq-server/pull/9708", bodies_without_end),
    Row("CVE-2024-51988, CVE-2026-67218", "RabbitMQ", "queues are deleted and made without the permission to configure",
        record("CVE-2024-51988"), low_role_changes),
    Row("CVE-2026-57219", "RabbitMQ", "/api/auth shows secrets to everybody", record("CVE-2026-57219"),
        settings_before_the_login),
    Row("CVE-2026-66069", "RabbitMQ", "who may look deletes the numbers of logins", record("CVE-2026-66069"),
        monitor_forgets_attempts),
    Row("CVE-2026-66070", "RabbitMQ", "any origin may read answers", record("CVE-2026-66070"), other_origins),
    Row("CVE-2026-66073, CVE-2026-67228", "RabbitMQ", "each new name of a node or component is kept for ever",
        record("CVE-2026-66073"), names_of_nodes),
    Row("CVE-2026-66076", "RabbitMQ", "the status of a quorum queue of a foreign virtual host is shown",
        record("CVE-2026-66076"), status_of_a_foreign_queue),
    Row("CVE-2026-67226, CVE-2026-67229", "RabbitMQ", "a million tags or keys of metadata end the node",
        record("CVE-2026-67226"), tags_without_end),
    Row("heads and paths", "any", "long queries, NUL in paths, deep JSON, pages of 10^9 rows", "RFC 9110",
        heads_without_end),
]
