"""Asks for squares and prints them as they come: `square_ask.py NUMBER...`; `--direct` for direct reply-to."""

import os
import sys

import pika

numbers = [argument for argument in sys.argv[1:] if argument != "--direct"]
connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.queue_declare("square")
if "--direct" in sys.argv:
    replies = "amq.rabbitmq.reply-to"
else:
    replies = channel.queue_declare("", exclusive=True).method.queue
asked = {}


def show(_channel, _method, properties, body):
    print(asked.pop(properties.correlation_id), body.decode(), flush=True)


channel.basic_consume(replies, show, auto_ack=True)
for id, number in enumerate(numbers):
    asked[str(id)] = number
    channel.basic_publish("", "square", number, pika.BasicProperties(reply_to=replies, correlation_id=str(id)))
while asked:
    connection.process_data_events(time_limit=1)
connection.close()
