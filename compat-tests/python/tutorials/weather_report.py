"""Reports a measurement: `weather_report.py COUNTRY.CITY.QUANTITY VALUE`."""

import os
import sys

import pika

topic, value = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.exchange_declare("weather", "topic")
channel.basic_publish("weather", topic, value)
connection.close()
