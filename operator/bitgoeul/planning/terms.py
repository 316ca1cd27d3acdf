"""
What an allocation says about time, and what of it was promised: the terms of its spec and the record in its status.

Pure values in milliseconds; see ``moments``. ``FOREVER`` is the end of what has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from bitgoeul.api.tenant_allocation import DeletionPolicy, TenantAllocationSpec, WorkloadPolicy
from bitgoeul.api.tenant_allocation_status import WindowState
from bitgoeul.planning.moments import FOREVER, moment, span
from bitgoeul.planning.pools import PoolKind

#: Notices where the spec says nothing: a week and a day before the end.
DEFAULT_NOTICES = (span("168h"), span("24h"))


@dataclass(frozen=True, slots=True)
class Terms:
    """What a spec says about time; lengths in milliseconds."""

    start: int | None = None  # not before
    end: int | None = None
    length: int | None = None  # instead of an end
    notices: tuple[int, ...] | None = None  # before the end; None: the defaults, as far as they fit
    grace: int = 0
    retention: int = 0
    drain: bool = True  # evict what still runs after the grace
    delete: bool = False  # data goes after the retention
    suspend: bool = False

    def end_from(self, start: int) -> int:
        """The end of what begins at a moment."""
        if self.end is not None:
            return self.end
        return FOREVER if self.length is None else start + self.length

    def drained(self, end: int) -> int:
        """When devices are free again after an end."""
        return FOREVER if end >= FOREVER else end + self.grace

    def erased(self, end: int) -> int:
        """When storage is free again after an end."""
        return end + self.grace + self.retention if self.delete and end < FOREVER else FOREVER

    def released(self, kind: PoolKind, end: int) -> int:
        """When what was held of a pool is free again after an end."""
        return self.drained(end) if kind is PoolKind.ACCELERATORS else self.erased(end)

    def notice_times(self, start: int, end: int) -> list[int]:
        """When notice is given, ascending; defaults that are as long as the window are left out."""
        if end >= FOREVER:
            return []
        notices = DEFAULT_NOTICES if self.notices is None else self.notices
        return sorted(end - notice for notice in notices if end - notice > start)


#: Of a spec that says nothing, or cannot be read.
NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Recorded:
    """The window as status has it: absolute, as promised or started."""

    start: int
    end: int = FOREVER
    drain_at: int | None = None
    delete_at: int | None = None  # announced


def read_terms(spec: TenantAllocationSpec) -> Terms:
    """
    The terms of a spec.

    Raises:
        QuantityError: A duration cannot be read.
    """
    window, expiry = spec.window, spec.expiry
    return Terms(
        start=moment(window.start) if window.start else None,
        end=moment(window.end) if window.end else None,
        length=span(window.duration) if window.duration else None,
        notices=None if expiry.notice is None else tuple(span(notice) for notice in expiry.notice),
        grace=span(expiry.grace),
        retention=span(expiry.retention),
        drain=expiry.workload is WorkloadPolicy.DRAIN,
        delete=expiry.deletion_policy is DeletionPolicy.DELETE,
        suspend=spec.suspend,
    )


def read_moment(raw: object) -> int | None:
    """A moment of a status; None where it is absent or cannot be read."""
    try:
        return moment(datetime.fromisoformat(raw)) if isinstance(raw, str) else None
    except ValueError:
        return None


def read_recorded(raw: object) -> Recorded | None:
    """What status.window says; None where it is absent, says no start, or cannot be read."""
    if not isinstance(raw, Mapping):
        return None
    try:
        window = WindowState.model_validate(raw)
    except ValidationError:
        return None
    if window.start is None:
        return None
    return Recorded(
        start=moment(window.start),
        end=moment(window.end) if window.end else FOREVER,
        drain_at=moment(window.drain_at) if window.drain_at else None,
        delete_at=moment(window.data_delete_at) if window.data_delete_at else None,
    )
