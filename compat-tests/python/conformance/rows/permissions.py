"""What users may do: permissions, and those of topics."""

from conformance.steps import *  # noqa: F403

Q = "queue '$q' in vhost '/'"
X = "exchange '$x' in vhost '/'"
EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}


def user(**patterns):
    """A user `$u` with these permissions (none: nothing), connected as `second`."""
    given = {"configure": "", "write": "", "read": "", **patterns}
    return (http("PUT", "users/$u", {"password": "secret", "tags": ""}), http("PUT", "permissions/%2F/$u", given), connect("second", user="$u", password="secret"))


def refused(what, right, resource, call, *before, **patterns):
    """A call that lacks one right."""
    return row(f"7.1 {what}", *before, *user(**patterns), call.by("second").refused(403, f"{right} access to {resource} refused for user '$u'"))


def allowed(what, *steps, before=(), **patterns):
    """Calls that need no more than these rights."""
    return row(f"7.1 {what}", *before, *user(**patterns), *(step.by("second") for step in steps))


def topic_user(**patterns):
    """A user with all permissions and these of the topics of `$x`."""
    return (*user(**EVERYTHING)[:2], http("PUT", "topic-permissions/%2F/$u", {"exchange": "$x", "write": ".*", "read": ".*", **patterns}), connect("second", user="$u", password="secret"))


HAVE = (declare("$q"), exchange("$x"), exchange("$y"))

ROWS = [
    refused("queue.declare needs configure", "configure", Q, declare("$q"), write=".*", read=".*"),
    refused(
        "queue.declare with a dead letter exchange needs read on the queue", "read", Q,
        declare("$q", arguments={"x-dead-letter-exchange": "$x"}), configure=".*", write=".*"),
    refused(
        "queue.declare with a dead letter exchange needs write on it", "write", X,
        declare("$q", arguments={"x-dead-letter-exchange": "$x"}), configure=".*", read=".*"),
    refused("queue.delete needs configure", "configure", Q, delete("$q"), *HAVE, write=".*", read=".*"),
    refused("queue.bind needs write on the queue", "write", Q, bind("$q", "$x"), *HAVE, configure=".*", read=".*"),
    refused("queue.bind needs read on the exchange", "read", X, bind("$q", "$x"), *HAVE, configure=".*", write=".*"),
    refused("queue.unbind needs write on the queue", "write", Q, unbind("$q", "$x"), *HAVE, configure=".*", read=".*"),
    refused(
        "queue.unbind needs read on the exchange", "read", X, unbind("$q", "$x"), *HAVE, configure=".*", write=".*"),
    refused("queue.purge needs read", "read", Q, purge("$q"), *HAVE, configure=".*", write=".*"),
    refused("basic.get needs read", "read", Q, get("$q"), *HAVE, configure=".*", write=".*"),
    refused("basic.consume needs read", "read", Q, consume("$q"), *HAVE, configure=".*", write=".*"),
    refused("basic.publish needs write", "write", X, publish("k", exchange="$x"), *HAVE, configure=".*", read=".*"),
    refused(
        "the default exchange has a name in refusals", "write", "exchange 'amq.default' in vhost '/'", publish("$q"),
        *HAVE, configure=".*", read=".*"),
    refused("exchange.declare needs configure", "configure", X, exchange("$x"), write=".*", read=".*"),
    refused(
        "exchange.declare with an alternate exchange needs read on the exchange", "read", X,
        exchange("$x", arguments={"alternate-exchange": "$y"}), configure=".*", write=".*"),
    refused(
        "exchange.declare with an alternate exchange needs write on it", "write", "exchange '$y' in vhost '/'",
        exchange("$x", arguments={"alternate-exchange": "$y"}), configure=".*", read=".*"),
    refused("exchange.delete needs configure", "configure", X, delete_exchange("$x"), *HAVE, write=".*", read=".*"),
    refused(
        "exchange.bind needs write on the destination", "write", X, bind_exchange("$x", "$y"), *HAVE, configure=".*",
        read=".*"),
    refused(
        "exchange.bind needs read on the source", "read", "exchange '$y' in vhost '/'", bind_exchange("$x", "$y"),
        *HAVE, configure=".*", write=".*"),
    refused("a passive declare needs one right", "configure", Q, declare("$q", passive=True), *HAVE),
    allowed("a passive declare is content with read", declare("$q", passive=True), before=HAVE, read=".*"),
    allowed("a passive declare is content with write", exchange("$x", passive=True), before=HAVE, write=".*"),
    allowed("queue.declare and queue.delete need no more than configure", declare("$q"), delete("$q"), configure=".*"),
    allowed("exchange.declare and exchange.delete need no more than configure", exchange("$x"),
        delete_exchange("$x"), configure=".*"),
    allowed("queue.bind needs no more than write and read", bind("$q", "$x"), unbind("$q", "$x"), before=HAVE,
        write="^$q", read="^$x"),
    allowed("getting needs no more than read", get("$q").empty(), purge("$q"), consume("$q"), before=HAVE, read=".*"),
    allowed("publishing needs no more than write", publish("k", exchange="$x"), declare("$q", passive=True),
        before=HAVE, write=".*"),
    allowed("publishing to the default exchange is publishing to amq.default", publish("$q"),
        declare("$q", passive=True), before=HAVE, write="^(amq\\.default|$q)"),
    allowed("a pattern matches anywhere in a name", declare("before-$q-after"), delete("before-$q-after"),
        configure="$q"),
    refused(
        "a pattern with ends matches the whole name", "configure", "queue 'before-$q' in vhost '/'",
        declare("before-$q"), configure="^$q$"),
    row("7.1 names that the broker makes are checked too", *user(), declare("").by("second").refused(
        403, "~configure access to queue 'amq\\.gen-.{22}' in vhost '/' refused for user '$u'")),
    row("7.1 an error of permissions closes only the channel", *HAVE, *user(read=".*"),
        publish("k", exchange="$x").by("second").refused(403, f"write access to {X} refused for user '$u'"),
        get("$q").by("second").empty()),
    row("7.1 a change counts for connections that are open", *HAVE, *user(),
        declare("$q", passive=True).by("second").refused(403, f"configure access to {Q} refused for user '$u'"),
        http("PUT", "permissions/%2F/$u", EVERYTHING), declare("$q", passive=True).by("second")),
    raw_row("1.8 a user without an entry for the vhost", http("PUT", "users/$u", {"password": "secret", "tags": ""}),
        connect_refused(530, "access to vhost '/' refused for user '$u'", user="$u", password="secret")),
    row("6.2 the tag impersonator allows another user-id", queue(),
        http("PUT", "users/$u", {"password": "secret", "tags": "impersonator"}),
        http("PUT", "permissions/%2F/$u", EVERYTHING), connect("second", user="$u", password="secret"),
        confirm().by("second"), publish("$q", user_id="somebody").by("second"), acked(1).by("second"),
        get("$q").gives(user_id="somebody")),

    row("7.2 a topic that may be written", exchange("$x", "topic"), *topic_user(write="^a"), confirm().by("second"),
        publish("a.b", exchange="$x").by("second"), acked(1).by("second")),
    row("7.2 a topic that may not be written", exchange("$x", "topic"), *topic_user(write="^a"),
        publish("b.a", exchange="$x").by("second").refused(
        403, f"write access to topic 'b.a' in {X} refused for user '$u'")),
    row("7.2 a topic that may be bound", exchange("$x", "topic"), declare("$q"), *topic_user(read="^a"),
        bind("$q", "$x", "a.#").by("second")),
    row("7.2 a topic that may not be bound", exchange("$x", "topic"), declare("$q"), *topic_user(read="^a"),
        bind("$q", "$x", "b.#").by("second").refused(
        403, f"read access to topic 'b.#' in {X} refused for user '$u'")),
    row("7.2 other exchanges are not touched", exchange("$x", "topic"), exchange("$y", "topic"),
        *topic_user(write="^a"), confirm().by("second"), publish("b", exchange="$y").by("second"),
        acked(1).by("second")),
    row("7.2 exchanges of other types are not touched", exchange("$x", "direct"), *topic_user(write="^a"),
        confirm().by("second"), publish("b", exchange="$x").by("second"), acked(1).by("second")),
    row("7.2 {username} stands for the user", exchange("$x", "topic"), *topic_user(write="^{username}\\."),
        confirm().by("second"), publish("$u.a", exchange="$x").by("second"), acked(1).by("second"),
        publish("other.a", exchange="$x").by("second").refused(
        403, f"write access to topic 'other.a' in {X} refused for user '$u'")),
    row("7.2 {vhost} stands for the vhost", exchange("$x", "topic"), *topic_user(write="^{vhost}$"),
        confirm().by("second"), publish("/", exchange="$x").by("second"), acked(1).by("second")),
]
