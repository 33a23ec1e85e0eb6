"""Prints the greetings that come."""

import os

import pika


def greet(_channel, _method, _properties, body):
    print(body.decode(), flush=True)


connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.queue_declare("hello")
channel.basic_consume("hello", greet, auto_ack=True)
print("ready", flush=True)
channel.start_consuming()
