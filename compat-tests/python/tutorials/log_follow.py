"""Prints the lines of some levels: `log_follow.py LEVEL...`."""

import os
import sys

import pika


def show(_channel, method, _properties, body):
    print(f"{method.routing_key}: {body.decode()}", flush=True)


connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.exchange_declare("log", "direct")
queue = channel.queue_declare("", exclusive=True).method.queue
for level in sys.argv[1:]:
    channel.queue_bind(queue, "log", level)
channel.basic_consume(queue, show, auto_ack=True)
print("ready", flush=True)
channel.start_consuming()
