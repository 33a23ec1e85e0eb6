"""What is in the archives: `make.py` puts it there, `test_golden.py` looks for it."""

from support.mqtt_client import MqttClient

# Small, so that there are several segments, a snapshot, and a backlog out of memory.
ARGUMENTS = ["--storage-segment-size", "64KiB", "--message-memory", "64KiB", "--shards", "2"]
HEADERS = {"x-match": "all", "kind": "a"}
RETAINED = {"r/a": b"kept a", "r/b": b"kept b" * 100}
# What waits in the session, and at which QoS.
QUEUED = [(b"one %d" % i, 1) for i in range(8)] + [(b"two %d" % i, 2) for i in range(4)]


def fill_sessions(broker):
    """A session whose client is away, with messages in it."""
    subscriber = MqttClient(broker.mqtt, "sensor", clean=False, expiry=2**32 - 1).connect()
    subscriber.subscribe("t/#", 2)
    subscriber.disconnect()
    publisher = MqttClient(broker.mqtt).connect()
    for payload, qos in QUEUED:
        publisher.publish("t/x", payload, qos)
    publisher.disconnect()
