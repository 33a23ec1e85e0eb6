"""Exchanges that remember what was published."""

from conformance.steps import *  # noqa: F403

ROWS = [
    row("3.6 x-recent-history: a new binding gets what was", exchange("$x", "x-recent-history"), publish("k", b"1", exchange="$x"), publish("k", b"2", exchange="$x"), queue(),
        bind("$q", "$x"), arrives("$q", body=b"1"), arrives("$q", body=b"2")),
    row("3.6 x-recent-history: bound queues get what comes", exchange("$x", "x-recent-history"), queue(), bind("$q", "$x"), publish("k", exchange="$x"), get("$q")),
    row("3.6 x-recent-history keeps 20", exchange("$x", "x-recent-history"), *(publish("k", b"%d" % n, exchange="$x") for n in range(25)), queue(), bind("$q", "$x"),
        until(count("$q", 20)), get("$q").gives(body=b"5")),
    row("3.6 x-recent-history with a length", exchange("$x", "x-recent-history", arguments={"x-recent-history-length": 2}), *(publish("k", b"%d" % n, exchange="$x") for n in range(5)), queue(),
        bind("$q", "$x"), until(count("$q", 2)), get("$q").gives(body=b"3"), get("$q").gives(body=b"4")),
    row("3.6 x-recent-history leaves out what says so", exchange("$x", "x-recent-history"), publish("k", b"1", exchange="$x", headers={"x-recent-history-no-store": True}), publish("k", b"2", exchange="$x"),
        queue(), bind("$q", "$x"), arrives("$q", body=b"2"), get("$q").empty()),
    row("3.6 x-recent-history with a length of 0", exchange("$x", "x-recent-history", arguments={"x-recent-history-length": 0}).refused(406, "~.*")),
]
