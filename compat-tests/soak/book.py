"""The ledger of one flow: what was sent, what was promised, what arrived.

Numbers are given in order, and a few bytes are kept for each, so hours of traffic fit in memory.
"""

import threading
from collections import deque

COUNT_MAX = 255
# Messages that may be on their way to the consumers of a flow at a time, or have just been acknowledged.
ON_THEIR_WAY = 200


class Book:
    """The messages of one flow, which are the numbers from 0."""

    def __init__(self, name, exactly_once=False):
        self.name, self.exactly_once = name, exactly_once
        self.sent, self.confirmed = bytearray(), bytearray()
        self.first, self.again = bytearray(), bytearray()
        # How often each may come once more because of a crash, and what has arrived of late.
        self.forgotten, self.latest = bytearray(), deque(maxlen=ON_THEIR_WAY)
        self.strangers, self.lock = [], threading.Lock()

    def give(self, count):
        """The next numbers."""
        with self.lock:
            start = len(self.sent)
            for column in (self.sent, self.confirmed, self.first, self.again, self.forgotten):
                column.extend(bytes(count))
            return list(range(start, start + count))

    def note_sent(self, number):
        """Written to a socket, once more if it was before."""
        with self.lock:
            add(self.sent, number)

    def note_confirmed(self, number):
        """The broker has taken responsibility."""
        with self.lock:
            self.confirmed[number] = 1

    def note_received(self, number, again):
        """Arrived; `again` is what the protocol says of it: redelivered, or DUP."""
        with self.lock:
            if number < len(self.sent) and self.sent[number]:
                add(self.again if again else self.first, number)
                self.latest.append(number)
            else:
                self.strangers.append(number)

    def note_crash(self):
        """The broker was killed: that it had just sent something is no promise, and it need not know."""
        with self.lock:
            for number in set(self.latest):
                add(self.forgotten, number)

    def missing(self):
        """Confirmed, and not here."""
        with self.lock:
            return [n for n, promised in enumerate(self.confirmed) if promised and not self.first[n] and not self.again[n]]

    def unconfirmed(self):
        """Sent, and never promised: nothing, once a publisher has ended in peace."""
        with self.lock:
            return [n for n, promised in enumerate(self.confirmed) if not promised]

    def doubled(self):
        """Arrived more often than the protocol lets a message arrive.

        A message that was sent twice may arrive twice, one that was on its way in a crash once more, and one
        that is announced as a repetition any number of times; with exactly once, none of that is so.
        """
        with self.lock:
            if self.exactly_once:
                return [n for n in range(len(self.sent)) if self.first[n] + self.again[n] > 1]
            return [n for n in range(len(self.sent)) if self.first[n] > self.sent[n] + self.forgotten[n]]


def add(column, number):
    """Counts one more."""
    column[number] = min(COUNT_MAX, column[number] + 1)
