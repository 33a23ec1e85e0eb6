"""Measures files, one at a time; one that is not there yet is waited for."""

import os
import time
from pathlib import Path

import pika


def measure(channel, method, _properties, body):
    path = Path(body.decode())
    print("began", path.name, flush=True)
    while not path.exists():
        time.sleep(0.01)
    print("finished", path.name, path.stat().st_size, flush=True)
    channel.basic_ack(method.delivery_tag)


connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.queue_declare("measure", durable=True)
channel.basic_qos(prefetch_count=1)
channel.basic_consume("measure", measure)
print("ready", flush=True)
channel.start_consuming()
