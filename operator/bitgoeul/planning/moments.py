"""
Moments and spans of time as planning reckons with them: whole milliseconds, moments since 1970 in UTC.

Integers compare and add many times faster than dates, and two values at the far end say what no date can.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from bitgoeul.api.quantities import parse_duration

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Later than every moment that anybody can write. What nobody can say a time for is planned here.
NEVER = 1 << 60
#: The last moment that is written down; a forecast behind it is none.
LATEST = 253_339_228_800_000  # the year 9998
#: The end of what has no end.
FOREVER = 1 << 61

_MILLISECOND = timedelta(milliseconds=1)


def moment(when: datetime) -> int:
    """A date as a moment; one without a zone is taken as UTC."""
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (aware - EPOCH) // _MILLISECOND


def date(at: int) -> datetime:
    """A moment as a date in UTC."""
    return EPOCH + at * _MILLISECOND


def span(duration: str) -> int:
    """
    A duration such as ``72h`` in milliseconds.

    Raises:
        QuantityError: It cannot be read.
    """
    return parse_duration(duration) // _MILLISECOND


@lru_cache(4096)
def day(at: int) -> str:
    """A moment for people, in UTC: the date alone at midnight, else to the minute."""
    if at > LATEST:
        return "after 9997"
    when = date(at)
    return when.strftime("%Y-%m-%d" if at % 86_400_000 == 0 else "%Y-%m-%d %H:%MZ")
