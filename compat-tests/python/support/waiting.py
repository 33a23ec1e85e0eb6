"""Waiting on a condition with a deadline, never for a fixed time."""

import time


def eventually(condition, what, seconds=10.0):
    """Returns the first true value of `condition()`, or fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} (last seen: {value!r})")
        time.sleep(0.02)


def let_time_pass(seconds):
    """For behaviour that is about time itself: an expiry, a delay, a keep alive."""
    time.sleep(seconds)
