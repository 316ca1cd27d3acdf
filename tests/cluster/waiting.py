"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.05
# For what takes a second, on a machine that is busy with other things. Components that lost their API server look for
# it every half a minute, and quotas that were miscounted are counted again every 15 s.
PATIENCE_SECONDS = 90.0


def eventually(look: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """
    Call ``look`` until it gives something true, and return that.

    An AssertionError inside it means not yet, and so does a field that is not there.
    """
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            last = found = look()
            if found:
                return found
        except (AssertionError, LookupError) as error:
            last = repr(error) if isinstance(error, LookupError) else error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {last}")
        time.sleep(PAUSE_SECONDS)
