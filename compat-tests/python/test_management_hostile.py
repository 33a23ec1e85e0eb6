"""Every operation of the management API, with paths, queries, headers and bodies that nobody should send.

schemathesis (`../management-tools`) sends what the description of the API allows and does not allow; this is what no
description speaks of.
"""

import json
import socket

import pytest

from support.broker import Broker
from support.management import Management

pytestmark = pytest.mark.own_process
DEADLINE_S = 20
LOGIN = "Authorization: Basic Z3Vlc3Q6Z3Vlc3Q="
PARTS = ["%2F", "amq.topic", "%00", "%2F..%2F", "%FF%FE", "%F0%9F%90%87" * 60, "x" * 4000, "%3Cimg%20src%3Dx%3E", "~p~n", "%25s%25n"]
QUERIES = [
    "?page=1&page_size=1000000000", "?page=0&page_size=-1", "?page=99999999999999999999", "?" + "a=b&" * 4000,
    "?lengths_age=1000000000000&lengths_incr=1&msg_rates_age=1000000000000&msg_rates_incr=1", "?name=((((&use_regex=true",
    "?sort=%00&sort_reverse=maybe&columns=" + "a." * 3000, "?%00=%FF",
]
HEADERS = ["X-Reason: ~99999999999s", "X-Reason: " + "x" * 20_000, "Accept-Encoding: " + "gzip;q=0.1," * 2000,
           "Content-Type: multipart/form-data; boundary=", "Content-Type: application/json; charset=\xff",
           "Origin: https://evil.example", "Accept: " + "*/*," * 3000, "X-Forwarded-For: 127.0.0.1"]
BODIES = [b"", b"{", b"[" * 64 + b"]" * 64, b"[" * 100_000, b'{"a":' * 64 + b"1" + b"}" * 64, b'{"a":1e999}', b"\0" * 1000,
          b'{"name":"\\ud800","arguments":{"x":null},"value":' + b"9" * 5000 + b"}"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A broker that may lose anything."""
    broker = Broker(tmp_path_factory.mktemp("hostile"))
    try:
        yield broker.start()
    finally:
        broker.stop()
        assert "panicked at" not in broker.output(), broker.output()


def operations(broker):
    """Method and path of each, as the broker describes itself."""
    paths = Management(broker.http, None).read("openapi.json")["paths"]
    methods = ("get", "put", "post", "delete")
    return sorted((path, method) for path, about in paths.items() for method in about if method in methods)


def status_of(broker, method, path, header, body):
    """Sends one request as it is; the status of the answer, which has to come."""
    head = (f"{method.upper()} /api{path} HTTP/1.1\r\nHost: here\r\n{LOGIN}\r\n{header}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
    with socket.create_connection(broker.http, timeout=DEADLINE_S) as raw:
        raw.sendall(head.encode("latin-1") + body)
        answer = b""
        # Some answers go on for as long as one listens.
        while b"\r\n" not in answer:
            more = raw.recv(65536)
            assert more, "the connection ends without an answer"
            answer += more
    return int(answer.split()[1])


def filled(path, part):
    """A path with the same in every place of it."""
    return "".join(part + piece.split("}", 1)[1] if index else piece for index, piece in enumerate(path.split("{")))


def test_every_operation_answers_whatever_it_is_sent(site):
    before = site.resident_bytes()
    asked = 0
    for number, (path, method) in enumerate(operations(site)):
        for turn in range(len(PARTS)):
            # Each meets everything, and not always with the same beside it.
            part, query, header, body = (
                choices[(number * step + turn) % len(choices)]
                for choices, step in ((PARTS, 1), (QUERIES, 3), (HEADERS, 5), (BODIES, 7))
            )
            status = status_of(site, method, filled(path, part) + query, header, body)
            assert status < 500 or status == 503, (method, path, part[:20], query[:40], header[:40], body[:40], status)
            asked += 1
    assert asked > 1000
    site.assert_sound()
    assert Management(site.http).get("whoami").status_code == 200
    assert json.loads(Management(site.http).get("overview").text)["node"]
    assert site.resident_bytes() - before < 96 * 1024 * 1024
