"""What brought other brokers down, or past their permissions, does nothing of the kind here: one row of `cves` each."""

import pytest

from cves import amqp, management, mqtt, permissions
from support.amqp_client import connect, drain, fill
from support.broker import Broker
from support.management import Management
from support.mqtt_client import MqttClient
from support.waiting import eventually

pytestmark = pytest.mark.own_process
ROWS = [*mqtt.ROWS, *permissions.ROWS, *amqp.ROWS, *management.ROWS]
GROWTH_MAX = 48 * 1024 * 1024


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """One broker for all rows."""
    broker = Broker(tmp_path_factory.mktemp("cves"))
    try:
        yield broker.start()
    finally:
        broker.stop()
        assert "panicked at" not in broker.output(), broker.output()


def assert_works(broker):
    """A second client of each protocol is served."""
    broker.assert_sound()
    channel = connect(broker.amqp).channel()
    channel.queue_declare("witness", exclusive=True)
    fill(channel, "witness", [b"unharmed"])
    assert drain(channel, "witness") == [b"unharmed"]
    channel.connection.close()
    client = MqttClient(broker.mqtt).connect()
    client.subscribe("witness", 1)
    client.publish("witness", b"unharmed", 1)
    assert client.receive().payload == b"unharmed"
    client.stop()
    assert Management(broker.http).get("whoami").status_code == 200


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_what_harmed_another_broker_does_no_harm(site, row):
    before = site.resident_bytes()
    row.act(site)
    assert_works(site)

    def has_shrunk():
        # What was taken for a large request is given back while others are answered.
        assert Management(site.http).get("overview").status_code == 200
        return site.resident_bytes() - before < GROWTH_MAX

    eventually(has_shrunk, f"{row.broker}: {row.wrong} ({row.source})", 30)
