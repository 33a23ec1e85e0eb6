"""Limits of vhosts and users."""

from pika import spec

from conformance.steps import *  # noqa: F403

USER = (http("PUT", "users/$u", {"password": "secret", "tags": ""}),)
VHOST = (http("PUT", "vhosts/$v"), http("PUT", "permissions/$v/guest", {"configure": ".*", "write": ".*", "read": ".*"}))
MINE = {"user": "$u", "password": "secret"}
FULL = {"configure": ".*", "write": ".*", "read": ".*"}


def user_limit(name, value):
    """A limit of the user `$u`."""
    return (*USER, http("PUT", "permissions/%2F/$u", FULL), http("PUT", f"user-limits/$u/{name}", {"value": value}))


def vhost_limit(name, value):
    """A limit of the vhost `$v`."""
    return (*VHOST, http("PUT", f"vhost-limits/$v/{name}", {"value": value}))


ROWS = [
    row("7.3 connections of a vhost", *vhost_limit("max-connections", 1), connect("second", vhost="$v"),
        connect_refused(530, "access to vhost '$v' refused for user 'guest': connection limit (1) is reached",
          vhost="$v")),
    row("7.3 no connections of a vhost", *vhost_limit("max-connections", 0),
        connect_refused(530, "access to vhost '$v' refused for user 'guest': connection limit (0) is reached",
          vhost="$v")),
    row("7.3 a connection that has ended makes place", *vhost_limit("max-connections", 1),
        connect("second", vhost="$v"), disconnect("second"), connect("second", vhost="$v")),
    row("7.3 a negative limit is none", *vhost_limit("max-connections", -1), connect("second", vhost="$v"),
        connect("third", vhost="$v")),
    row("7.3 queues of a vhost", *vhost_limit("max-queues", 1), connect("second", vhost="$v"),
        declare("$q").by("second"), declare("$q").by("second"),
        declare("$p").by("second").refused(
        406, "cannot declare queue '$p': queue limit in vhost '$v' (1) is reached")),
    row("7.3 no queues of a vhost", *vhost_limit("max-queues", 0), connect("second", vhost="$v"),
        declare("$p").by("second").refused(406, "cannot declare queue '$p': queue limit in vhost '$v' (0) is reached")),
    row("7.3 a deleted queue makes place", *vhost_limit("max-queues", 1), connect("second", vhost="$v"),
        declare("$q").by("second"), delete("$q").by("second"), declare("$p").by("second")),
    row("7.3 connections of a user", *user_limit("max-connections", 1), connect("second", **MINE),
        connect_refused(530, "connection refused for user '$u': user connection limit (1) is reached", **MINE)),
    row("7.3 no connections of a user", *user_limit("max-connections", 0),
        connect_refused(530, "connection refused for user '$u': user connection limit (0) is reached", **MINE)),
    raw_row("7.3 channels of a user", *user_limit("max-channels", 1), connect(**MINE), opens(1),
        says(method(spec.Channel.Open).on(2)),
        closes(530, "number of channels opened for user '$u' has reached the maximum allowed user limit of (1)")),
    row("7.3 a closed channel makes place", *user_limit("max-channels", 1), connect("second", **MINE),
        nothing().by("second"), close_channel().by("second"), nothing().by("second").on(2)),
    row("7.3 limits of one user do not touch another", *user_limit("max-connections", 0), connect("second"),
        connect("third")),
]
