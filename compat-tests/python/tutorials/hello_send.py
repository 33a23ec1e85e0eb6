"""Sends one greeting: `hello_send.py NAME`."""

import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.queue_declare("hello")
channel.basic_publish("", "hello", f"Hello, {sys.argv[1]}!")
connection.close()
