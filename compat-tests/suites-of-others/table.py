"""The suites: where each one is, how it is run and how many tests it has.

A Python suite is an archive of `sdists.txt`, unpacked anew for each run; the suite of amqplib is in
its npm package, which `package-lock.json` names. In commands and in the environment `{python}` is
the interpreter with what `requirements.txt` lists, `{report}` the file for the results, and
`{host}`, `{amqp}` and `{http}` are where the broker listens.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
FETCHED = HERE.parents[1] / "target" / "suites-of-others"
PYTEST = (
    sys.executable, "-m", "pytest", "-q", "--color=no", "--disable-warnings", "--tb=short", "--timeout=60",
    "-p", "no:cacheprovider", "--junitxml={report}",
)
NODE = (
    "node", "--test", "--test-concurrency=1", "--test-reporter=spec", "--test-reporter-destination=stdout",
    "--test-reporter=junit", "--test-reporter-destination={report}",
)
URI = "amqp://guest:guest@{host}:{amqp}/%2F"


@dataclass(frozen=True)
class Suite:
    """One suite of one version of a client."""

    folder: Path
    command: tuple
    tests: int
    environment: dict = field(default_factory=dict)
    #: It does not take ports from its environment, so the broker is where clients expect it, in a
    #: network namespace of its own.
    wants_standard_ports: bool = False
    #: What the broker is started with beside its ports and its directory.
    settings: tuple = ()
    #: How long it may take, and how often it is tried if it takes longer.
    seconds_max: int = 300
    attempts: int = 1


SUITES = {
    "kombu": Suite(
        FETCHED / "kombu-5.7.0",
        (*PYTEST, "t/integration/test_py_amqp.py"),
        tests=51,
        environment={"RABBITMQ_HOST": "{host}", "RABBITMQ_5672_TCP": "{amqp}"},
    ),
    "amqp": Suite(
        FETCHED / "amqp-5.4.2",
        (*PYTEST, "t/integration/test_rmq.py", "-k", "not tls"),
        tests=12,
        environment={"RABBITMQ_HOST": "{host}", "RABBITMQ_5672_TCP": "{amqp}"},
    ),
    "amqpstorm": Suite(
        FETCHED / "amqpstorm-3.1.4",
        (*PYTEST, "amqpstorm/tests/functional", "--ignore-glob=*/ssl"),
        tests=154,
        environment={
            "AMQP_HOST": "{host}", "AMQP_USERNAME": "guest", "AMQP_PASSWORD": "guest", "AMQP_URI": URI,
            "AMQP_HTTP_URL": "http://{host}:{http}",
        },
        wants_standard_ports=True,
        # It knows the name of its author's cluster.
        settings=("--load-definitions", str(HERE / "amqpstorm.json")),
    ),
    "rabbitpy": Suite(
        FETCHED / "rabbitpy-3.0.2",
        (*PYTEST, "tests/test_integration.py", "tests/integration"),
        tests=40,
        environment={"RABBITMQ_URL": URI},
    ),
    "amqplib": Suite(
        HERE / "node_modules" / "amqplib",
        (*NODE, *(f"test/{name}.test.js" for name in ("channel_api", "callback_api", "connect", "recovery"))),
        tests=99,
        wants_standard_ports=True,
        # It looks for the name of RabbitMQ.
        settings=("--amqp-product", "RabbitMQ"),
        # Its waitForMessages leaves a loop behind, for ever, if a slow machine has not routed two messages yet.
        seconds_max=90,
        attempts=3,
    ),
}
