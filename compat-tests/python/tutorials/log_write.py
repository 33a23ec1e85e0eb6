"""Writes a line to the log: `log_write.py LEVEL TEXT`."""

import os
import sys

import pika

level, text = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.exchange_declare("log", "direct")
channel.basic_publish("log", level, text)
connection.close()
