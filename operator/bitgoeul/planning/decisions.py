"""What planning decides: one value for each allocation, and one for each pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.allocations import Amounts
from bitgoeul.planning.life import Course, Halt
from bitgoeul.planning.moments import FOREVER, span
from bitgoeul.planning.pools import PoolKey

#: How far ahead it is said what will be available, by the word that figures have for it.
HORIZONS: Mapping[str, int] = {"1d": span("24h"), "7d": span("168h"), "30d": span("720h")}


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A place in the queue."""

    position: (
        int | None
    )  # None: not in line while the ask is refused or on hold; 1 + earlier waiters that share any pool
    since: datetime
    asked: Amounts  # the whole ask that waits; enlarging it starts a new ``since``
    blocked_by: Amounts  # what is short now; empty: nothing is, but somebody is ahead
    earliest: int | None = None  # moment of the earliest start, a forecast; None: nobody can say


@dataclass(frozen=True, slots=True)
class Window:
    """When a grant holds, in absolute moments."""

    start: int
    end: int = FOREVER
    drain_at: int | None = None  # pods are evicted; None: they are not
    delete_at: int | None = None  # data is deleted; None: it is not


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What one allocation is to have.

    ``grant`` is what status.grant must promise: never less than what is charged, since only proof that quota and pods
    have gone down may lower it. ``reason`` and ``message`` say why the ask is not met, or that it is.
    """

    name: str
    uid: str
    grant: Amounts
    met: bool  # all devices and storage asked for are granted
    reason: Reason
    message: str = ""
    queue: QueueEntry | None = None  # None: nothing waits
    course: Course = Course.NOTHING
    window: Window | None = None  # None: neither in force nor promised
    promised: Amounts | None = None  # for the window's start, which lies ahead or could not be kept yet
    notice: int | None = None  # moment of the last notice that is due
    evict: bool = False  # pods of one that is closed go now
    drain_started: int | None = None  # since when devices that are due are taken back; None: none are due
    delete_started: int | None = None  # since when namespaces and data are deleted; None: they are not
    view_only: bool = False  # members of one that is closed may only look
    halt: Halt = Halt.NO
    passed: bool = False  # its window is over
    reclaimed: bool = False  # its data was deleted after the end

    @property
    def admitted(self) -> bool:
        """Whether a grant is in force; one that asks for cpu and memory only has an empty one."""
        return self.course is Course.OPEN


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """One change of what is available in a pool, by what is promised; forecasts are not in it."""

    at: int
    available: int  # from then on; below 0 where more is promised than there will be
    change: int
    cause: str


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What a pool has handed out, in devices or bytes. effective = granted + retained + available."""

    granted: int = 0
    retained: int = 0
    available: int = 0  # negative: capacity was lost after it had been granted
    in_use: int = 0
    waiting: int = 0  # asked for by those who wait
    waiters: int = 0
    scheduled: int = 0  # promised for starts ahead
    calendar: tuple[CalendarEntry, ...] = ()
    # What is available after each of ``HORIZONS``, by what is known now. It moves with the clock: plans that differ in
    # nothing else are the same.
    forecast: tuple[int, ...] = field(default=(), compare=False)
    # Where more is promised than there will be: since when, how much, and whose promised starts it hurts.
    short_from: int | None = None
    short_by: int = 0
    hurts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One round's result."""

    decisions: Mapping[str, Decision]  # by allocation name
    pools: Mapping[PoolKey, PoolPlan]
    due: int | None  # when the clock alone changes something next
