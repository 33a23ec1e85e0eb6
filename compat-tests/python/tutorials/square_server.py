"""Squares numbers for whoever asks."""

import os

import pika


def answer(channel, method, properties, body):
    square = int(body) ** 2
    reply = pika.BasicProperties(correlation_id=properties.correlation_id)
    channel.basic_publish("", properties.reply_to, str(square), reply)
    channel.basic_ack(method.delivery_tag)


connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.queue_declare("square")
channel.basic_qos(prefetch_count=1)
channel.basic_consume("square", answer)
print("ready", flush=True)
channel.start_consuming()
