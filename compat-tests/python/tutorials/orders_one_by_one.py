"""Places orders and waits for the confirm of each: `orders_one_by_one.py QUEUE ORDER...`."""

import os
import sys

import pika
from pika.exceptions import NackError, UnroutableError

queue, *orders = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.confirm_delivery()
for order in orders:
    try:
        channel.basic_publish("", queue, order, mandatory=True)
        print("placed", order, flush=True)
    except UnroutableError:
        print("nobody takes", order, flush=True)
    except NackError:
        print("refused", order, flush=True)
connection.close()
