"""
Leadership by a Lease: one instance writes, others stand by and take over when it is gone.

Judges by its own monotonic clock only: another holder counts as gone when its Lease has not changed for a whole lease
duration *as seen from here*, whatever times stand in it. A holder that cannot renew stops writing well before anybody
else may start, and goes on if it finds the Lease still its own: so an API server that is away for a minute causes no
restart.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bitgoeul.api.names import (
    LEASE_NAME,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    OPERATOR_NAMESPACE,
    RUNS_IN_ANNOTATION,
)
from bitgoeul.cluster.client import MERGE, Api, ApiError, DateListener, Object, OlderDataError
from bitgoeul.cluster.kinds import LEASE, NAMESPACE
from bitgoeul.errors import ClusterError, UserError

log = logging.getLogger(__name__)

DURATION_SECONDS = 15.0
RENEW_SECONDS = 5.0
RETRY_SECONDS = 1.0
ATTEMPT_SECONDS = 3.0
# After this long without a renewal nothing is written any more.
WRITE_SECONDS = 10.0

PATH = LEASE.path(LEASE_NAME, OPERATOR_NAMESPACE)
NAMESPACE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


class LostLeaseError(ClusterError):
    """Another instance leads now."""


class Lease:
    """
    The claim of this process.

    Args:
        runs_in: The namespace that this operator runs in, for those who look for it. The Lease itself is in the same
            namespace for all, which is created when it is missing: there is one leader for each cluster.
        annotations: Asked at each renewal for what it says to those who look at it; None removes one.
        on_date: Called with the API server's time, as each answer about the Lease tells it.
    Raises:
        UserError: No namespace can have that name.
    """

    def __init__(
        self,
        api: Api,
        runs_in: str,
        annotations: Callable[[], Mapping[str, str | None]] = dict,
        on_date: DateListener | None = None,
    ) -> None:
        if len(runs_in) > 63 or not NAMESPACE_NAME.fullmatch(runs_in):
            raise UserError(f"namespace {runs_in!r}: lower-case letters, digits and '-', at most 63 characters")
        self._api = api
        self._runs_in = runs_in
        self._annotations = annotations
        self._on_date = on_date
        self._newest = 0  # the highest version of the Lease that was ever seen
        self._doubted = False  # the last try has failed: nobody knows what has happened to the API server since
        now = time.monotonic()
        # When the API server last answered about the Lease, and when it last did what was asked; at first: now.
        self.answered_at, self.succeeded_at = now, now
        self.problem = ""  # why the last try has failed
        self.identity = f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(3)}"
        self._renewed_at: float | None = None  # None: not held
        self._seen: tuple[str, float] = ("", 0.0)  # version of another's Lease, and when it was first seen here
        self.holder = ""

    def may_write(self) -> bool:
        """Whether a write may be sent now: not for long after a renewal, and not after one that has failed."""
        return (
            self._renewed_at is not None and not self._doubted and time.monotonic() < self._renewed_at + WRITE_SECONDS
        )

    @property
    def leading(self) -> bool:
        return self._renewed_at is not None

    async def hold(self, on_leading: Callable[[], Awaitable[None]]) -> None:
        """
        Acquire, call ``on_leading`` once, and renew until cancelled, also while that call lasts.

        Raises:
            LostLeaseError: Another instance took over while this one could not renew.
            OlderDataError: The API server has an older Lease than was seen.
            Exception: What ``on_leading`` raises.
        """
        while not await self._attempt():  # noqa: ASYNC110 - the Lease is elsewhere, no event can tell
            await asyncio.sleep(RETRY_SECONDS)
        log.info("leading as %s", self.identity)
        renewing = asyncio.create_task(self._renew(), name="renewal")
        beginning = asyncio.ensure_future(on_leading())
        try:
            await asyncio.wait([renewing, beginning], return_when=asyncio.FIRST_COMPLETED)
            if beginning.done():
                beginning.result()
            await renewing
        finally:
            renewing.cancel()
            beginning.cancel()

    async def _renew(self) -> None:
        while True:
            healthy = self.may_write()
            await asyncio.sleep(RENEW_SECONDS if healthy else RETRY_SECONDS)
            renewed = await self._attempt()
            if not renewed and self.holder and self.holder != self.identity:
                self._renewed_at = None
                raise LostLeaseError(f"{self.holder} leads now")
            if renewed and not healthy:
                log.info("the API server answers again; still leading")

    async def _attempt(self) -> bool:
        """One try to acquire or renew; any failure is a failed try."""
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                claimed = await self._claim()
        except OlderDataError:
            self._renewed_at = None
            raise
        except (ClusterError, TimeoutError) as error:
            self._doubted = True
            self.problem = str(error) or "no answer in time"
            log.warning("lease: %s", self.problem)
            return False
        self._doubted, self.problem = False, ""
        self.succeeded_at = time.monotonic()
        return claimed

    async def _ask(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Object:
        """
        Send one request about the Lease.

        Raises:
            OlderDataError: The answer is older than what was seen before it was asked for.
        """
        before = self._newest
        try:
            answer = await self._api.request(method, path, body, content_type=content_type, on_date=self._on_date)
        except ApiError:
            self.answered_at = time.monotonic()
            raise
        self.answered_at = time.monotonic()
        if answer.get("kind") == LEASE.kind:
            version = int(answer["metadata"]["resourceVersion"])
            if version < before:
                raise OlderDataError("the Lease", version, before)
            self._newest = max(self._newest, version)
        return answer

    async def _read(self) -> Object | None:
        try:
            return await self._ask("GET", PATH)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def _claim(self) -> bool:
        # The time before the request counts: that is the latest moment at which nobody else could have it.
        started = time.monotonic()
        current = await self._read()
        if current is None:
            if not self.leading and self._seen[0] and not self._expired("gone", {}):
                return False  # somebody has deleted it while its holder was at work, which will find out and renew
            await self._create()
        else:
            version = current["metadata"]["resourceVersion"]
            self.holder = str((current.get("spec") or {}).get("holderIdentity") or "")
            if self.holder not in ("", self.identity) and not self._expired(version, current):
                return False
            annotations = self._told()
            if self.holder != self.identity:
                self._compare(current["metadata"].get("annotations") or {}, annotations)
            metadata = {"resourceVersion": version, "annotations": annotations}
            body = {"metadata": metadata, "spec": self._spec(current.get("spec") or {})}
            await self._ask("PATCH", PATH, body, MERGE)
        self.holder = self.identity
        self._renewed_at = started
        return True

    def _told(self) -> dict[str, str | None]:
        return {RUNS_IN_ANNOTATION: self._runs_in, **self._annotations()}

    @staticmethod
    def _compare(before: Mapping[str, str], now: Mapping[str, str | None]) -> None:
        """Whoever led before may have said otherwise about something that matters, such as a shifted clock."""
        for key, value in now.items():
            if before.get(key) != value:
                log.warning("%s was %s, and is %s from now on", key, before.get(key, "unset"), value or "unset")

    def _expired(self, version: str, lease: Mapping[str, Any]) -> bool:
        now = time.monotonic()
        if self._seen[0] != version:
            if not self._seen[0]:
                log.info("standing by: %s leads, in namespace %s", self.holder, runs_in(lease) or "unknown")
            self._seen = (version, now)
        return now > self._seen[1] + DURATION_SECONDS

    async def _create(self) -> None:
        body = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {
                "name": LEASE_NAME,
                "namespace": OPERATOR_NAMESPACE,
                "annotations": {key: value for key, value in self._told().items() if value is not None},
            },
            "spec": self._spec({}),
        }
        try:
            await self._ask("POST", LEASE.path("", OPERATOR_NAMESPACE), body)
        except ApiError as error:
            if not error.not_found:
                raise
            labels = {MANAGED_BY_LABEL: MANAGED_BY}
            namespace = {
                "apiVersion": "v1",
                "kind": NAMESPACE.kind,
                "metadata": {"name": OPERATOR_NAMESPACE, "labels": labels},
            }
            await self._api.request("POST", NAMESPACE.path(), namespace)
            await self._ask("POST", LEASE.path("", OPERATOR_NAMESPACE), body)

    def _spec(self, old: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mine = old.get("holderIdentity") == self.identity
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(DURATION_SECONDS),
            "acquireTime": old.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (0 if mine else 1),
        }

    async def release(self) -> None:
        """Give it up, so that the next one need not wait; silent when the API server does not answer."""
        if self._renewed_at is None:
            return
        self._renewed_at = None
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                current = await self._api.get(PATH)
                if current is None or (current.get("spec") or {}).get("holderIdentity") != self.identity:
                    return
                version = current["metadata"]["resourceVersion"]
                body = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": ""}}
                await self._api.request("PATCH", PATH, body, content_type=MERGE)
        except (ClusterError, TimeoutError):
            log.warning("lease not released: the next instance waits %.0f s", DURATION_SECONDS)


def runs_in(lease: Mapping[str, Any]) -> str:
    """Return the namespace that the holder of a Lease runs in; empty: it does not say."""
    metadata = lease.get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(RUNS_IN_ANNOTATION) or "")
