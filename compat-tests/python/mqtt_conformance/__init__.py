"""What MQTT clients can rely on, as one table.

The modules in `rows` hold one row per behaviour, written in the words of `steps`, with the numbers of the standard's
statements that it proves. `test_table.py` plays every row, once for each version of the protocol that it names, packet
by packet in a `conversation`; `packets` takes apart what comes and checks what holds for every packet of a broker.
"""
