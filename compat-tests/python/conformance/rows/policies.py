"""Policies: arguments that an administrator gives to queues and exchanges."""

from conformance.steps import *  # noqa: F403


def policy(definition, name="$policy", pattern="^$q$", **options):
    """PUT of a policy."""
    return http("PUT", f"policies/%2F/{name}", {"pattern": pattern, "definition": definition, **options})


DEAD = {"dead-letter-exchange": "", "dead-letter-routing-key": "$dead"}

ROWS = [
    row("7.4 max-length", policy({"max-length": 1}), queue(), publish("$q", b"1"), publish("$q", b"2"),
        get("$q").gives(body=b"2"), get("$q").empty()),
    row("7.4 max-length-bytes", policy({"max-length-bytes": 2}), queue(), publish("$q", b"1"), publish("$q", b"22"),
        get("$q").gives(body=b"22"), get("$q").empty()),
    row("7.4 overflow", policy({"max-length": 1, "overflow": "reject-publish"}), queue(), confirm(), publish("$q"),
        acked(1), publish("$q"), nacked(2)),
    row("7.4 message-ttl", policy({"message-ttl": 50}), queue(), publish("$q"), until(count("$q", 0))),
    row("7.4 expires", policy({"expires": 50}), declare("$q"), gone("$q")),
    row("7.4 dead-letter-exchange", queue("$dead"), policy(DEAD), queue(), publish("$q"), hold("$q"),
        reject(1, requeue=False), arrives("$dead")),
    row("7.4 alternate-exchange", exchange("$ae", "fanout"), queue(), bind("$q", "$ae"),
        policy({"alternate-exchange": "$ae"}, pattern="^$x$"), exchange("$x"), publish("k", exchange="$x"),
        get("$q")),
    row("7.4 a policy changes queues that are there", queue(), publish("$q", b"1"), publish("$q", b"2"),
        policy({"max-length": 1}), until(count("$q", 1)), get("$q").gives(body=b"2")),
    row("7.4 taking a policy away", policy({"max-length": 1}), queue(), http("DELETE", "policies/%2F/$policy"),
        publish("$q"), publish("$q"), count("$q", 2)),
    row("7.4 names that do not match", policy({"max-length": 1}, pattern="^other$"), queue(), publish("$q"),
        publish("$q"), count("$q", 2)),
    row("7.4 the highest priority is in force", policy({"max-length": 1}, "$low", priority=1),
        policy({"max-length": 2}, "$high", priority=2), queue(), publish("$q"), publish("$q"), publish("$q"),
        count("$q", 2)),
    row("7.4 only one policy is in force", policy({"max-length": 1}, "$low", priority=1),
        policy({"message-ttl": 600_000}, "$high", priority=2), queue(), publish("$q"), publish("$q"), count("$q", 2)),
    row("7.4 a policy for exchanges only", policy({"max-length": 1}, **{"apply-to": "exchanges"}), queue(),
        publish("$q"), publish("$q"), count("$q", 2)),
    row("7.4 a policy for classic queues", policy({"max-length": 1}, **{"apply-to": "classic_queues"}), queue(),
        publish("$q"), publish("$q"), count("$q", 1)),
    row("7.4 a policy for quorum queues", policy({"max-length": 1}, **{"apply-to": "quorum_queues"}), queue(),
        publish("$q"), publish("$q"), count("$q", 2)),
    row("7.4 numbers: the lower of argument and policy, the policy's", policy({"max-length": 1}),
        queue(x_max_length=5), publish("$q"), publish("$q"), count("$q", 1)),
    row("7.4 numbers: the lower of argument and policy, the argument's", policy({"max-length": 5}),
        queue(x_max_length=1), publish("$q"), publish("$q"), count("$q", 1)),
    row("7.4 others: the argument", queue("$dead"), queue("$mine"), policy(DEAD),
        queue(x_dead_letter_exchange="", x_dead_letter_routing_key="$mine"), publish("$q"), hold("$q"),
        reject(1, requeue=False), arrives("$mine"), get("$dead").empty()),
    row("7.4 a policy does not count when a queue is declared again", policy({"max-length": 1}), queue(), queue()),
    row("7.4 an operator's policy",
        http("PUT", "operator-policies/%2F/$policy",
          {"pattern": "^$q$", "definition": {"max-length": 1}, "apply-to": "queues"}), queue(), publish("$q"),
        publish("$q"), count("$q", 1)),
    row("7.4 policy and operator's policy: the lower",
        http("PUT", "operator-policies/%2F/$operator",
          {"pattern": "^$q$", "definition": {"max-length": 2}, "apply-to": "queues"}), policy({"max-length": 5}),
        queue(), publish("$q"), publish("$q"), publish("$q"), count("$q", 2)),
]
