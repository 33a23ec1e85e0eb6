//! Leveret, a message broker for AMQP 0.9.1 and MQTT.
