"""Tells whether an operator leads, as its Lease says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bitgoeul.planning.moments import date
from bitgoeul.planning.terms import read_moment

SKEW = timedelta(seconds=5)  # clocks that differ by less are the same
DEFAULT_LEASE_SECONDS = 15


def leads(lease: Mapping[str, Any] | None, now: datetime) -> bool:
    """Tell whether somebody holds the Lease, and has renewed it within its duration."""
    age = unrenewed(lease or {}, now)
    return age is not None and not has_lapsed(lease or {}, age)


def unrenewed(lease: Mapping[str, Any], now: datetime) -> timedelta | None:
    """Return for how long the holder of a Lease has not renewed it; None: nobody holds it."""
    spec = lease.get("spec") or {}
    renewed = read_moment(spec.get("renewTime"))
    if not spec.get("holderIdentity") or renewed is None:
        return None
    written = written_at(lease)
    return now - date(renewed if written is None else written)


def has_lapsed(lease: Mapping[str, Any], age: timedelta) -> bool:
    """Tell whether somebody else may lead by now."""
    return age > timedelta(seconds=int(lease["spec"].get("leaseDurationSeconds") or DEFAULT_LEASE_SECONDS)) + SKEW


def written_at(lease: Mapping[str, Any]) -> int | None:
    """
    Return when a Lease was last renewed by the API server's own clock; None: it does not say.

    The time in the Lease itself is the holder's, and says nothing where that one's clock is wrong.
    """
    for entry in lease["metadata"].get("managedFields") or ():
        if "f:renewTime" in ((entry.get("fieldsV1") or {}).get("f:spec") or {}):
            return read_moment(entry.get("time"))
    return None
