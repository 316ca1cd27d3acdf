"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.05


def eventually(look: Callable[[], T], what: str, seconds: float = 30) -> T:
    """Call ``look`` until it gives something true, and return that; an AssertionError inside it means not yet."""
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            last = found = look()
            if found:
                return found
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {last}")
        time.sleep(PAUSE_SECONDS)
