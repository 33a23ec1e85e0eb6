"""Places many orders and hears of the confirms as they come: `orders_at_once.py QUEUE COUNT`."""

import os
import sys

import pika
from pika import spec

queue, count = sys.argv[1], int(sys.argv[2])
open_orders, counts = set(range(1, count + 1)), {spec.Basic.Ack: 0, spec.Basic.Nack: 0}


def confirmed(frame):
    tag, kind = frame.method.delivery_tag, type(frame.method)
    settled = {order for order in open_orders if order == tag or (frame.method.multiple and order <= tag)}
    open_orders.difference_update(settled)
    counts[kind] += len(settled)
    if not open_orders:
        print("placed", counts[spec.Basic.Ack], "refused", counts[spec.Basic.Nack], flush=True)
        connection.close()


def place(_frame):
    for order in range(1, count + 1):
        channel.basic_publish("", queue, f"order {order}")


def opened(new_channel):
    global channel
    channel = new_channel
    channel.confirm_delivery(confirmed, callback=place)


connection = pika.SelectConnection(
    pika.URLParameters(os.environ["AMQP_URL"]),
    on_open_callback=lambda it: it.channel(on_open_callback=opened),
    on_close_callback=lambda it, _reason: it.ioloop.stop())
connection.ioloop.start()
