"""Makes the archives of this directory with a broker binary of the format that they are to have:

    LEVERET_BIN=path/to/leveret .venv/bin/python golden/make.py format-2

An archive is made once and never changed: a later version has to read what an earlier one wrote.
"""

import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pika  # noqa: E402

from golden.contents import ARGUMENTS, HEADERS, RETAINED, fill_sessions  # noqa: E402
from support.amqp_client import PERSISTENT, confirm, connect, fill, get_one  # noqa: E402
from support.broker import Broker  # noqa: E402
from support.mqtt_client import MqttClient  # noqa: E402
from support.waiting import let_time_pass  # noqa: E402


def work(broker):
    """What a test finds again; see `contents.py`."""
    connection = connect(broker.amqp)
    channel = connection.channel()
    for queue in ("work", "logs", "picked", "churn", "purged", "deep"):
        channel.queue_declare(queue, durable=True)
    channel.exchange_declare("logs", "topic", durable=True)
    channel.exchange_declare("picked", "headers", durable=True)
    channel.queue_bind("logs", "logs", "app.#")
    channel.queue_bind("picked", "picked", "", HEADERS)
    fill(channel, "deep", [b"%d %s" % (i, b"d" * 300) for i in range(600)], PERSISTENT)
    fill(channel, "work", [b"%d" % i for i in range(100)], PERSISTENT)
    for _ in range(30):
        tag = get_one(channel, "work", auto_ack=False)[0].delivery_tag
    channel.basic_ack(tag, multiple=True)
    fill(channel, "purged", [b"x"] * 5, PERSISTENT)
    channel.queue_purge("purged")
    confirm(channel)
    channel.basic_publish("logs", "app.start", b"started", PERSISTENT)
    channel.basic_publish("picked", "", b"picked", pika.BasicProperties(delivery_mode=2, headers={"kind": "a"}))
    for _ in range(40):
        fill(channel, "churn", [b"c" * 1000] * 25, PERSISTENT)
        for _ in range(25):
            get_one(channel, "churn")
    let_time_pass(1.5)
    for _ in range(600):
        tag, _, body = get_one(channel, "deep", auto_ack=False)
        if int(body.split()[0]) % 10:
            channel.basic_ack(tag.delivery_tag)
    for _ in range(5):
        get_one(channel, "work", auto_ack=False)
    fill_sessions(broker)
    publisher = MqttClient(broker.mqtt).connect()
    for topic, payload in RETAINED.items():
        publisher.publish(topic, payload, 1, True)
    fill(channel, "work", [b"last"], PERSISTENT)
    let_time_pass(2)


def archive(name, killed):
    """One archive of a whole data directory."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(folder, ARGUMENTS).start()
        work(broker)
        if killed:
            broker.kill()
        else:
            assert broker.terminate() == 0
        with tarfile.open(HERE / f"{name}.tar.gz", "w:gz") as tar:
            tar.add(broker.data, "data", filter=lambda entry: None if entry.name.endswith("LOCK") else entry)


if __name__ == "__main__":
    archive(f"{sys.argv[1]}-clean", killed=False)
    archive(f"{sys.argv[1]}-killed", killed=True)
