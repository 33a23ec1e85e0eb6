"""Tests that are coroutines, and a deadline for whatever they await."""

import asyncio
import functools
import time

SECONDS_MAX = 10
TEST_SECONDS_MAX = 50


def asynchronous(test):
    """Makes a coroutine function a test."""
    @functools.wraps(test)
    def run(*arguments, **fixtures):
        asyncio.run(asyncio.wait_for(test(*arguments, **fixtures), TEST_SECONDS_MAX))

    return run


async def within(awaited, seconds=SECONDS_MAX):
    """Awaits with a deadline."""
    return await asyncio.wait_for(awaited, seconds)


async def until(condition, what, seconds=SECONDS_MAX):
    """Waits for a true value of `condition()`, or fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)
