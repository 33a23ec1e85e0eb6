"""Clients that only wait: what they cost."""

import pytest

from support.broker import Broker
from support.raw_mqtt import RawMqtt

pytestmark = [pytest.mark.own_process, pytest.mark.timeout(60)]
KIB = 1024
# So many descriptors may be open wherever tests run.
FIRST, MORE = 100, 700
# Of thousands each costs up to 4 KiB, because tables grow by doubling.
EACH_MAX = 3.6 * KIB


def test_an_idle_mqtt_connection_with_a_subscription_costs_little(tmp_path):
    broker = Broker(tmp_path)
    clients = []

    def connect(count):
        for _ in range(count):
            client = RawMqtt(broker.mqtt).open(f"idle-{len(clients)}")
            client.subscribe((f"dev/{len(clients)}/cmd", 1))
            clients.append(client)
        return broker.resident_bytes()

    try:
        broker.start()
        # What the first ones need stays for all.
        before = connect(FIRST)
        assert (connect(MORE) - before) / MORE < EACH_MAX
        broker.assert_sound()
    finally:
        for client in clients:
            client.socket.close()
        broker.stop()
