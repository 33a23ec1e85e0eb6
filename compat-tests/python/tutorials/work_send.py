"""Asks for files to be measured: `work_send.py FILE...`."""

import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.queue_declare("measure", durable=True)
for path in sys.argv[1:]:
    channel.basic_publish("", "measure", path, pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent))
connection.close()
