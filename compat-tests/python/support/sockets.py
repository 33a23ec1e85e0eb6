"""Sockets of clients that are written by hand."""

import socket


def open_socket(address, seconds):
    """A connection to a host and port, or to the path of a Unix socket."""
    if isinstance(address, tuple):
        opened = socket.create_connection(address, timeout=seconds)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened
    opened = socket.socket(socket.AF_UNIX)
    opened.settimeout(seconds)
    opened.connect(str(address))
    return opened
