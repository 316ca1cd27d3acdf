"""
What has to be looked at: keys that wait for a worker, each at most once, never two workers on one key.

A key that is added while it is worked on is looked at once more afterwards. Keys that fail come back with growing
pauses; a success forgets the failures.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Hashable
from typing import Generic, TypeVar

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 300.0

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """First in, first out. Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[K, None] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._arrival = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is worked on; timers do not count."""
        return not self._waiting and not self._working

    def add(self, key: K) -> None:
        """Have a key looked at soon."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._working:
            self._again.add(key)
            return
        self._waiting[key] = None
        self._arrival.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Have a key looked at later, if nothing brings it back sooner."""
        if key in self._waiting:
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self.add, key)

    async def take(self) -> K:
        """The next key; to be given back with ``done`` or ``failed``."""
        while not self._waiting:
            self._arrival.clear()
            await self._arrival.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """Give back a key that was dealt with."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: K, longest: float = LONGEST_PAUSE_SECONDS) -> float:
        """Give back a key that has to be tried again; returns the pause in seconds, at most ``longest``."""
        count = self._failures.get(key, 0)
        full = FIRST_PAUSE_SECONDS * 2 ** min(count, 16)
        # Failures that are not to blame on the key itself count only as far as their own longest pause.
        self._failures[key] = count + 1 if full < longest else count
        pause: float = min(longest, full) * random.uniform(0.8, 1.2)  # noqa: S311
        if key in self._again:
            # It has changed while it failed, perhaps for the better; but a key that is touched by its own failure
            # must not spin.
            self._again.discard(key)
            pause = min(pause, 2 * FIRST_PAUSE_SECONDS)
        self._release(key)
        self.add_after(key, pause)
        return pause

    def _release(self, key: K) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
