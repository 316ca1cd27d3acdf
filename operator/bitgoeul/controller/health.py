"""
Whether the operator's work succeeds: the checks behind /healthz, /readyz and the metric that shows them.

That its loop turns is not enough: what counts is when the API server last took a request about the Lease, whether
everything may be listed and watched, whether all that it does is allowed, and whether clocks agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from bitgoeul.cluster.cache import Cache
from bitgoeul.cluster.lease import Lease
from bitgoeul.cluster.troubles import Troubles
from bitgoeul.controller.clock import Clocks

STALLED_SECONDS = 30.0
# Leader and standby ask for the Lease every few seconds.
SILENT_SECONDS = 30.0
# A process to which the API server answers, and that gets nowhere for so long, may be stuck in its own state.
STUCK_SECONDS = 300.0

Checks = dict[str, str]  # name of a check → what is wrong; empty: all is well


class Health:
    """See the module's text. ``beat`` is called by the event loop about once a second."""

    def __init__(
        self,
        cache: Cache,
        lease: Lease,
        clocks: Clocks,
        troubles: Troubles,
        rights: Troubles,
        events: Troubles,
        refused_promises: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._lease = lease
        self._clocks = clocks
        self._troubles = troubles
        self._rights = rights
        self._events = events
        self._refused_promises = refused_promises
        self._monotonic = monotonic
        self._beat_at = monotonic()

    def beat(self) -> None:
        self._beat_at = self._monotonic()

    def alive(self) -> Checks:
        """Return the checks that a restart may help with."""
        now = self._monotonic()
        stalled = now - self._beat_at
        stuck = now - self._lease.succeeded_at
        answered = now - self._lease.answered_at <= SILENT_SECONDS
        return {
            "event loop": f"no turn for {stalled:.0f} s" if stalled > STALLED_SECONDS else "",
            "lease": f"refused for {stuck:.0f} s: {self._lease.problem}" if stuck > STUCK_SECONDS and answered else "",
        }

    def ready(self) -> Checks:
        """Return the checks that say whether this instance can do its work."""
        silent = self._monotonic() - self._lease.succeeded_at
        why = self._lease.problem or "no answer"
        return {
            "cache": "" if self._cache.synced else "not everything has been listed yet",
            "lease": f"nothing succeeded for {silent:.0f} s: {why}" if silent > SILENT_SECONDS else "",
            "lists": self._troubles.text(),
            "rights": self._rights.text(),
            "clock": self._clocks.problem(),
            "event loop": self.alive()["event loop"],
        }

    def in_brief(self) -> str:
        """Say which checks keep this instance from its work, without what was said of any object; empty: none."""
        what = {"lists": self._troubles.brief(), "rights": self._rights.brief()}
        failing = [name for name, problem in self.ready().items() if problem]
        return ", ".join(f"{name} ({what[name]})" if what.get(name) else name for name in failing)

    def all(self) -> Checks:
        """Return these, and what keeps it from no other work."""
        return {**self.ready(), "promises": self._refused_promises(), "events": self._events.text()}
