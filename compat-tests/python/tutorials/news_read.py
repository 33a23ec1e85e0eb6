"""Prints the news from now on, from a queue of its own."""

import os

import pika


def read(_channel, _method, _properties, body):
    print(body.decode(), flush=True)


connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.exchange_declare("news", "fanout")
queue = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(queue, "news")
channel.basic_consume(queue, read, auto_ack=True)
print("ready", flush=True)
channel.start_consuming()
