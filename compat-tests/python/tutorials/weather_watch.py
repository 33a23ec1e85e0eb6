"""Prints the measurements that one is interested in: `weather_watch.py PATTERN...`."""

import os
import sys

import pika


def show(_channel, method, _properties, body):
    print(method.routing_key, body.decode(), flush=True)


connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.exchange_declare("weather", "topic")
queue = channel.queue_declare("", exclusive=True).method.queue
for pattern in sys.argv[1:]:
    channel.queue_bind(queue, "weather", pattern)
channel.basic_consume(queue, show, auto_ack=True)
print("ready", flush=True)
channel.start_consuming()
