"""exchange.declare and exchange.delete, and what the kinds of exchanges do besides routing."""

from conformance.steps import *  # noqa: F403

X = "exchange '$x' in vhost '/'"
DEFAULT = "operation not permitted on the default exchange"
PREDECLARED = {"amq.direct": "direct", "amq.fanout": "fanout", "amq.topic": "topic",
               "amq.headers": "headers", "amq.match": "headers"}


def differs(what, first, second, text):
    """A second declare that is not equal to the first."""
    return row(f"3.1 declared again with another {what}",
               exchange("$x", **first), exchange("$x", **second).refused(406, f"inequivalent arg {text}"))


def alternate(name="$ae"):
    """The argument that names an alternate exchange."""
    return {"alternate-exchange": name}


ROWS = [
    *(row(f"3.1 a new exchange of type {kind}", exchange("$x", kind), exchange("$x", passive=True))
      for kind in ("direct", "fanout", "topic", "headers")),
    row("3.1 declared again with equal fields", exchange("$x", "topic", durable=True),
        exchange("$x", "topic", durable=True)),
    differs("type", {"type": "direct"}, {"type": "fanout"},
        f"'type' for {X}: received 'fanout' but current is 'direct'"),
    differs("durable", {}, {"durable": True}, f"'durable' for {X}: received 'true' but current is 'false'"),
    differs("auto_delete", {}, {"auto_delete": True}, f"'auto_delete' for {X}: received 'true' but current is 'false'"),
    differs("internal", {}, {"internal": True}, f"'internal' for {X}: received 'true' but current is 'false'"),
    differs("alternate-exchange", {"arguments": alternate("$a")}, {"arguments": alternate("$b")},
            f"'alternate-exchange' for {X}: received the value '$b' of type 'longstr' "
            "but current is the value '$a' of type 'longstr'"),
    differs("alternate-exchange: none, then one", {}, {"arguments": alternate("$b")},
            f"'alternate-exchange' for {X}: received the value '$b' of type 'longstr' but current is none"),
    differs("alternate-exchange: one, then none", {"arguments": alternate("$a")}, {},
            f"'alternate-exchange' for {X}: received none but current is the value '$a' of type 'longstr'"),
    differs("type and durable: type is looked at first", {}, {"type": "topic", "durable": True},
            f"'type' for {X}: received 'topic' but current is 'direct'"),
    differs("durable and auto_delete: durable is looked at first", {"durable": True}, {"auto_delete": True},
            f"'durable' for {X}: received 'false' but current is 'true'"),
    row("3.1 other arguments are not compared", exchange("$x", arguments={"x-a": 1}),
        exchange("$x", arguments={"x-a": 2})),
    row("3.1 passive compares nothing", exchange("$x", "topic", durable=True),
        exchange("$x", "fanout", passive=True), exchange("$x", "nonsense", passive=True)),
    row("3.1 passive and absent", exchange("$x", passive=True).refused(404, f"no {X}")),
    row("3.1 passive does not create", exchange("$x", passive=True).refused(404, f"no {X}"),
        exchange("$x", passive=True).refused(404, f"no {X}")),
    row("3.1 an unknown type", exchange("$x", "nonsense").refused(406, "unknown exchange type 'nonsense'")),
    row("3.1 an empty type", exchange("$x", "").refused(406, "unknown exchange type ''")),
    row("3.1 a type in capitals is another type",
        exchange("$x", "DIRECT").refused(406, "unknown exchange type 'DIRECT'")),
    row("3.1 the empty name", exchange("", "direct").refused(403, DEFAULT)),
    row("3.1 passive with the empty name", exchange("", passive=True).refused(403, DEFAULT)),
    row("3.1 a new name with the reserved prefix",
        exchange("amq.$x").refused(403, "exchange name 'amq.$x' contains reserved prefix 'amq.*'")),
    row("3.1 a new name that only begins with amq", exchange("amq-$x")),
    row("3.1 a name of 255 octets", exchange("x" * 241 + "$y"), delete_exchange("x" * 241 + "$y")),
    row("3.1 CR and LF are stripped from a name", exchange("$x\r\n"), exchange("$x", passive=True)),
    row("3.1 a name in another script", exchange("обмен-$x"), exchange("обмен-$x", passive=True),
        delete_exchange("обмен-$x")),
    row("3.1 an alternate-exchange that is a number",
        exchange("$x", arguments={"alternate-exchange": 1}).refused(
        406, f"invalid type 'signedint' for arg 'alternate-exchange' in {X}")),
    row("3.1 an alternate-exchange that is a truth value",
        exchange("$x", arguments={"alternate-exchange": True}).refused(
        406, f"invalid type 'bool' for arg 'alternate-exchange' in {X}")),
    row("3.1 no-wait", exchange("$x").unanswered(), exchange("$x", passive=True)),
    row("3.1 no-wait with an error",
        exchange("$x", "nonsense").unanswered().refused(406, "unknown exchange type 'nonsense'")),
    *(row(f"3.1 {name} is there, durable", exchange(name, kind, durable=True)) for name, kind in PREDECLARED.items()),
    row("3.1 amq.direct with another type", exchange("amq.direct", "topic", durable=True).refused(
        406, "inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': received 'topic' but current is 'direct'")),
    row("3.1 amq.direct with other properties", exchange("amq.direct", "direct").refused(
        406, "inequivalent arg 'durable' for exchange 'amq.direct' in vhost '/': received 'false' but current is 'true'")),
    row("3.1 amq.rabbitmq.trace is there, internal", exchange("amq.rabbitmq.trace", passive=True),
        publish("k", exchange="amq.rabbitmq.trace").refused(
            403, "cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/'")),

    row("3.2 delete", exchange("$x"), delete_exchange("$x"), exchange("$x", passive=True).refused(404, f"no {X}")),
    row("3.2 delete what is absent", delete_exchange("$x")),
    row("3.2 delete the default exchange", delete_exchange("").refused(403, DEFAULT)),
    *(row(f"3.2 delete {name}",
          delete_exchange(name).refused(403, f"deletion of system exchange '{name}' in vhost '/' not allowed"))
        for name in PREDECLARED),
    row("3.2 delete if unused, and it is", exchange("$x"), delete_exchange("$x", if_unused=True),
        exchange("$x", passive=True).refused(404, f"no {X}")),
    row("3.2 delete if unused, with a binding to a queue", exchange("$x"), queue("$q"), bind("$q", "$x"),
        delete_exchange("$x", if_unused=True).refused(406, f"{X} in use")),
    row("3.2 delete if unused, with a binding to an exchange", exchange("$x"), exchange("$y"),
        bind_exchange("$y", "$x"), delete_exchange("$x", if_unused=True).refused(406, f"{X} in use")),
    row("3.2 delete if unused, as destination of a binding",
        exchange("$x"), exchange("$y"), bind_exchange("$x", "$y"), delete_exchange("$x", if_unused=True)),
    row("3.2 delete no-wait", exchange("$x"), delete_exchange("$x").unanswered(),
        exchange("$x", passive=True).refused(404, f"no {X}")),
    row("3.2 deleting removes the bindings", exchange("$x"), queue("$q"), bind("$q", "$x", "k"),
        delete_exchange("$x"), exchange("$x"), publish("k", exchange="$x"), get("$q").empty()),

    row("3.2 the default exchange knows every queue by its name", queue("$q"), publish("$q"),
        get("$q").gives(exchange="", routing_key="$q")),
    row("3.2 the default exchange forgets a deleted queue", declare("$q"), delete("$q"), publish("$q", mandatory=True),
        returned(exchange="", routing_key="$q")),
    row("3.2 an internal exchange takes no publish", exchange("$x", "fanout", internal=True),
        publish(exchange="$x").refused(403, f"cannot publish to internal {X}")),
    row("3.2 an internal exchange is reached through a binding", exchange("$x", "fanout", internal=True),
        exchange("$y", "fanout"), queue("$q"), bind_exchange("$x", "$y"), bind("$q", "$x"), publish(exchange="$y"),
        get("$q").gives(exchange="$y")),
    row("3.2 an internal exchange as alternate",
        exchange("$ae", "fanout", internal=True), queue("$q"), bind("$q", "$ae"), exchange("$x", arguments=alternate()),
        publish("k", exchange="$x"), get("$q")),
    row("3.2 an auto-delete exchange goes with its last binding", exchange("$x", auto_delete=True), queue("$q"),
        bind("$q", "$x", "1"), bind("$q", "$x", "2"), unbind("$q", "$x", "1"), exchange("$x", passive=True),
        unbind("$q", "$x", "2"), exchange("$x", passive=True).refused(404, f"no {X}")),
    row("3.2 an auto-delete exchange stays while it never had a binding",
        exchange("$x", auto_delete=True), queue("$q"), unbind("$q", "$x"), exchange("$x", passive=True)),
    row("3.2 an auto-delete exchange goes with the queue bound to it", exchange("$x", auto_delete=True),
        declare("$q"), bind("$q", "$x"), delete("$q"), exchange("$x", passive=True).refused(404, f"no {X}")),
    row("3.2 an auto-delete exchange goes with the connection of an exclusive queue",
        exchange("$x", auto_delete=True), queue("$q").by("second"), bind("$q", "$x").by("second"), disconnect("second"),
        exchange("$x", passive=True).refused(404, f"no {X}")),
    row("3.2 an auto-delete exchange stays when it is only a destination no longer",
        exchange("$x", auto_delete=True), exchange("$y"), bind_exchange("$x", "$y"), unbind_exchange("$x", "$y"),
        exchange("$x", passive=True)),
    row("3.2 auto-delete exchanges go in a cascade", exchange("$x", auto_delete=True),
        exchange("$y", auto_delete=True), bind_exchange("$y", "$x"), declare("$q"), bind("$q", "$y"), delete("$q"),
        exchange("$y", passive=True).refused(404, "no exchange '$y' in vhost '/'"),
        exchange("$x", passive=True).refused(404, f"no {X}")),

    row("3.2 an alternate exchange takes what is routed nowhere",
        exchange("$ae", "fanout"), queue("$q"), bind("$q", "$ae"), exchange("$x", arguments=alternate()),
        publish("k", exchange="$x"), get("$q").gives(exchange="$x", routing_key="k")),
    row("3.2 an alternate exchange does not take what is routed", exchange("$ae", "fanout"), queue("$q"),
        bind("$q", "$ae"), exchange("$x", arguments=alternate()), queue("$p"), bind("$p", "$x", "k"),
        publish("k", exchange="$x"), get("$p"), get("$q").empty()),
    row("3.2 alternate exchanges in a chain",
        exchange("$ae2", "fanout"), exchange("$ae", arguments=alternate("$ae2")), exchange("$x", arguments=alternate()),
        queue("$q"), bind("$q", "$ae2"), publish("k", exchange="$x"), get("$q")),
    row("3.2 alternate exchanges in a circle end",
        exchange("$x", arguments=alternate("$ae")), exchange("$ae", arguments=alternate("$x")),
        publish("k", exchange="$x", mandatory=True), returned(exchange="$x", routing_key="k")),
    row("3.2 mandatory is content with an alternate exchange that routes",
        exchange("$ae", "fanout"), queue("$q"), bind("$q", "$ae"), exchange("$x", arguments=alternate()),
        confirm(), publish("k", exchange="$x", mandatory=True), acked(1), get("$q")),
    row("3.2 mandatory and an alternate exchange that routes nowhere either", exchange("$ae", "fanout"),
        exchange("$x", arguments=alternate()), publish("k", exchange="$x", mandatory=True), returned()),
    row("3.2 an alternate exchange that is absent", exchange("$x", arguments=alternate()),
        publish("k", exchange="$x", mandatory=True), returned()),
    row("3.2 an alternate exchange that comes later", exchange("$x", arguments=alternate()),
        exchange("$ae", "fanout"), queue("$q"), bind("$q", "$ae"), publish("k", exchange="$x"), get("$q")),
    row("3.2 the alternate exchange of an exchange behind a binding", exchange("$ae", "fanout"), queue("$q"),
        bind("$q", "$ae"), exchange("$y", arguments=alternate()), exchange("$x", "fanout"),
        bind_exchange("$y", "$x"), publish("k", exchange="$x"), get("$q")),
]
