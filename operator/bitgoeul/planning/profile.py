"""
How much of one pool is free at each moment to come: a step function that requests are placed into.

Two parallel lists, so that the work on many steps at a time is done by the interpreter's own loops. The last step
begins at ``NEVER``: what is planned without a date takes from it, and what has no end runs through it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from bitgoeul.planning.moments import FOREVER, NEVER


class Profile:
    """
    Free devices or bytes over time; below 0 where more is promised than there is.

    Args:
        steps: Capacity from each moment on, ascending; the first moment is the earliest that anybody asks for.
        holds: (from, until, amount) of what is taken already.
    """

    __slots__ = ("free", "times")

    def __init__(self, steps: Iterable[tuple[int, int]], holds: Iterable[tuple[int, int, int]] = ()) -> None:
        changes: dict[int, int] = {NEVER: 0}
        before = 0
        for at, capacity in steps:
            changes[at] = changes.get(at, 0) + capacity - before
            before = capacity
        for start, end, amount in holds:
            if start < end:
                changes[start] = changes.get(start, 0) - amount
                if end < FOREVER:
                    changes[end] = changes.get(end, 0) + amount
        self.times: list[int] = sorted(changes)
        self.free: list[int] = []
        level = 0
        for at in self.times:
            level += changes[at]
            self.free.append(level)

    def copy(self) -> Profile:
        """An independent copy."""
        twin = Profile.__new__(Profile)
        twin.times, twin.free = self.times.copy(), self.free.copy()
        return twin

    def lowest(self, start: int, end: int) -> int:
        """The least that is free at any moment of [start, end)."""
        first = bisect_right(self.times, start) - 1
        return min(self.free[first : max(bisect_left(self.times, end), first + 1)])

    def lacks(self, start: int, end: int, amount: int) -> int | None:
        """The first moment of [start, end) at which less than this is free; None: there is none."""
        first = bisect_right(self.times, start) - 1
        for index in range(first, max(bisect_left(self.times, end), first + 1)):
            if self.free[index] < amount:
                return max(start, self.times[index])
        return None

    def at(self, when: int) -> int:
        """What is free at one moment."""
        return self.free[bisect_right(self.times, when) - 1]

    def until(self, start: int, end: int, amount: int) -> int | None:
        """The earliest moment from ``start`` on since which this much stays free up to ``end``; None: there is none."""
        found = self._after_shortage(start, end, amount)
        return found if found < end or found == start else None

    def slot(self, start: int, length: int, amount: int) -> int | None:
        """The earliest moment from ``start`` on since which this much stays free for a length; None: there is none."""
        # What begins before the last shortage in its time cannot last; so a long window takes few steps.
        while start < NEVER:
            found = self._after_shortage(start, start + length, amount)
            if found == start:
                return start
            start = found
        return None

    def _after_shortage(self, start: int, end: int, amount: int) -> int:
        """The end of the last shortage that reaches into [start, end); ``start`` where there is none."""
        times, free = self.times, self.free
        first, stop = bisect_right(times, start) - 1, bisect_left(times, end)
        if first >= stop or (free[first] >= amount and min(free[first:stop]) >= amount):
            return start
        index = stop - 1
        while free[index] >= amount:
            index -= 1
        return times[index + 1] if index + 1 < len(times) else FOREVER

    def rises(self, at: int) -> bool:
        """Whether more is free from a moment on than just before."""
        index = bisect_left(self.times, at)
        return 0 < index < len(self.times) and self.times[index] == at and self.free[index] > self.free[index - 1]

    def take(self, start: int, end: int, amount: int) -> None:
        """Take an amount during [start, end); a negative one is given back."""
        if start >= end:
            return
        first = self._split(start)
        stop = self._split(end) if end < FOREVER else len(self.times)
        self.free[first:stop] = [level - amount for level in self.free[first:stop]]

    def _split(self, at: int) -> int:
        """Make a step begin at a moment; gives its index."""
        index = bisect_left(self.times, at)
        if index == len(self.times) or self.times[index] != at:
            self.times.insert(index, at)
            self.free.insert(index, self.free[index - 1])
        return index
