"""Topics and filters."""

from mqtt_conformance.steps import *  # noqa: F403

BOTH = (5, 4)


def matches(pattern, *topics, proves="4.7.1"):
    """A filter gets messages to these topics."""
    sent = (step for topic in topics for step in (publish_only("a", topic), delivery("a", topic)))
    return row(f"{pattern} matches {', '.join(topics)}", proves, connect("a"), subscribe("a", pattern), *sent,
               versions=BOTH)


def differs(pattern, *topics, proves="4.7.1"):
    """A filter gets no message to these topics."""
    return row(f"{pattern} does not match {', '.join(topics)}", proves, connect("a"), subscribe("a", pattern),
               *(publish("a", topic) for topic in topics), versions=BOTH)


ROWS = [
    matches("$t", "$t", proves="MQTT-3.3.2-3"),
    matches("$t/#", "$t", "$t/", "$t/x", "$t/x/y", "$t//", proves="4.7.1.2"),
    matches("$t/+", "$t/x", "$t/", "$t/🐇", proves="4.7.1.3"),
    matches("$t/+/x", "$t/a/x", "$t//x", proves="4.7.1.3"),
    matches("$t/+/x/#", "$t/a/x", "$t//x/y/z"),
    matches("+/$t", "/$t", "a/$t", proves="4.7.1.3"),
    matches("+/$t/#", "/$t", "a/$t/b"),
    matches("/$t", "/$t", proves="MQTT-4.7.3-4"),
    matches("/+/$t", "//$t", "/a/$t"),
    matches("$t//x", "$t//x", proves="MQTT-4.7.3-4"),
    matches("$t/a b.c*d", "$t/a b.c*d", proves="MQTT-4.7.3-4"),
    matches("$t/.x/..", "$t/.x/..", proves="MQTT-4.7.3-4"),
    matches("$t/\ufeffx", "$t/\ufeffx", proves="MQTT-1.5.4-3"),
    matches("$t/" + "l" * 60000, "$t/" + "l" * 60000, proves="MQTT-4.7.3-3"),
    differs("$t", "$t/", "/$t", "$t/x", "$t "),
    differs("$t/+", "$t", "$t/x/y", "$t/x/", proves="4.7.1.3"),
    differs("$t/+/x", "$t/x", "$t/a/b/x", "$t/a/x/"),
    differs("/$t", "$t", "//$t"),
    differs("+/$t", "$t", "/a/$t"),
    differs("$t/a", "$t/A", proves="MQTT-4.7.3-4"),
    differs("$t/\u00e9", "$t/e\u0301", proves="MQTT-4.7.3-4"),
    differs("$t/x", "$t/\ufeffx", proves="MQTT-1.5.4-3, MQTT-4.7.3-4"),
    differs("$t//x", "$t/x", "$t///x", proves="MQTT-4.7.3-4"),
    differs("$t/*", "$t/a", proves="4.7.1"),
    row("# does not match topics with a dollar", "MQTT-4.7.2-1", connect("a"), connect("b"),
        subscribe("b", "+/$t/#", "+/$t"), publish("a", "$DOLLAR/$t"), publish("a", "$DOLLAR/$t/x"), silent("b"),
        publish("a", "dollar/$t"), delivery("b", "dollar/$t"), versions=BOTH),
    row("a filter with a dollar matches topics with a dollar", "4.7.2", connect("a"), connect("b"),
        subscribe("b", "$DOLLAR/$t/#"), publish("a", "$DOLLAR/$t/x"), delivery("b", "$DOLLAR/$t/x"), versions=BOTH),
    row("a topic of many levels", "4.7.3", connect("a"), connect("b"), subscribe("b", "$t/#"),
        publish("a", "$t" + "/" * 100), delivery("b", "$t" + "/" * 100)),
    row("the topic that comes is the topic that was sent", "MQTT-3.3.2-3", connect("a"), connect("b"),
        subscribe("b", "$t/#"), publish("a", "$t/ä/ /."), delivery("b", "$t/ä/ /."), versions=BOTH),
]
