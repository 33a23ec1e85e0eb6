//! AMQP 0-9-1 as a state machine without I/O.
