"""Tells everybody who listens: `news_publish.py TEXT`."""

import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.exchange_declare("news", "fanout")
channel.basic_publish("news", "", sys.argv[1])
connection.close()
