"""The fixtures of every suite, from `../python/support/fixtures.py`."""

from support.fixtures import *  # noqa: F403
