"""What AMQP 0-9-1 clients can rely on, as one table.

The modules in `rows` hold one row per behaviour, written in the words of `steps`. `test_table.py` plays every row
twice: frame by frame (`raw_client`) and with pika (`pika_client`), in a `conversation` that checks what comes.
The number at the beginning of a row's id is its section.
"""

SECTIONS = {
    "0.1": "reply codes and texts", "0.2": "after an error",
    "1.1": "frames", "1.2": "protocol header", "1.3": "connection.start", "1.4": "client properties",
    "1.5": "login", "1.6": "tune", "1.7": "heartbeats", "1.8": "connection.open", "1.9": "connection.close",
    "1.11": "connection.update-secret",
    "2": "channels",
    "3.1": "exchange.declare", "3.2": "kinds and features of exchanges", "3.3": "routing",
    "3.4": "consistent hash", "3.5": "delayed messages", "3.6": "other exchange types",
    "4": "bindings",
    "5.1": "queue.declare", "5.2": "arguments of queues", "5.3": "exclusive queues", "5.4": "auto-delete queues",
    "5.5": "queue.delete", "5.6": "queue.purge", "5.7": "limits of length", "5.8": "time to live",
    "5.9": "dead letters", "5.10": "priorities", "5.11": "single active consumer", "5.12": "streams",
    "6.1": "basic.qos", "6.2": "basic.publish", "6.3": "basic.consume", "6.4": "basic.cancel", "6.5": "basic.get",
    "6.6": "settling", "6.7": "confirms", "6.8": "direct reply-to", "6.9": "consumer timeout", "6.10": "transactions",
    "7.1": "permissions", "7.2": "topic permissions", "7.3": "limits of vhosts and users", "7.4": "policies",
    "8.3": "field tables",
}
