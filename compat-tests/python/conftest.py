"""The fixtures of every suite, from `support.fixtures`."""

from support.fixtures import *  # noqa: F403
