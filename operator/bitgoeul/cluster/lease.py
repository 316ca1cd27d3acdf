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

from bitgoeul.api.names import LEASE_NAME, MANAGED_BY, MANAGED_BY_LABEL
from bitgoeul.cluster.client import MERGE, Api, ApiError
from bitgoeul.cluster.kinds import LEASE, NAMESPACE
from bitgoeul.errors import ClusterError, UserError

log = logging.getLogger(__name__)

DURATION_SECONDS = 15.0
RENEW_SECONDS = 5.0
RETRY_SECONDS = 1.0
ATTEMPT_SECONDS = 3.0
# After this long without a renewal nothing is written any more.
WRITE_SECONDS = 10.0

NAMESPACE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


class LostLeaseError(ClusterError):
    """Another instance leads now."""


class Lease:
    """
    The claim of this process.

    Args:
        namespace: Where the Lease lives; created when it is missing.
        annotations: Asked at each renewal for what it says to those who look at it; None removes one.
    Raises:
        UserError: The namespace is none that could be created.
    """

    def __init__(self, api: Api, namespace: str, annotations: Callable[[], Mapping[str, str | None]] = dict) -> None:
        if len(namespace) > 63 or not NAMESPACE_NAME.fullmatch(namespace):
            raise UserError(f"namespace {namespace!r}: lower-case letters, digits and '-', at most 63 characters")
        self._api = api
        self._namespace = namespace
        self._annotations = annotations
        self.identity = f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(3)}"
        self._renewed_at: float | None = None  # None: not held
        self._seen: tuple[str, float] = ("", 0.0)  # version of another's Lease, and when it was first seen here
        self.holder = ""

    def may_write(self) -> bool:
        """Whether a write may be sent now."""
        return self._renewed_at is not None and time.monotonic() < self._renewed_at + WRITE_SECONDS

    @property
    def leading(self) -> bool:
        return self._renewed_at is not None

    async def hold(self, on_leading: Callable[[], Awaitable[None]]) -> None:
        """
        Acquire, call ``on_leading`` once, and renew until cancelled, also while that call lasts.

        Raises:
            LostLeaseError: Another instance took over while this one could not renew.
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
                return await self._claim()
        except (ClusterError, TimeoutError) as error:
            log.warning("lease: %s", str(error) or "no answer in time")
            return False

    async def _claim(self) -> bool:
        # The time before the request counts: that is the latest moment at which nobody else could have it.
        started = time.monotonic()
        path = LEASE.path(LEASE_NAME, self._namespace)
        current = await self._api.get(path)
        if current is None:
            if not self.leading and self._seen[0] and not self._expired("gone"):
                return False  # somebody has deleted it while its holder was at work, which will find out and renew
            await self._create()
        else:
            version = current["metadata"]["resourceVersion"]
            self.holder = str((current.get("spec") or {}).get("holderIdentity") or "")
            if self.holder not in ("", self.identity) and not self._expired(version):
                return False
            annotations = dict(self._annotations())
            if self.holder != self.identity:
                self._compare(current["metadata"].get("annotations") or {}, annotations)
            metadata = {"resourceVersion": version, "annotations": annotations}
            body = {"metadata": metadata, "spec": self._spec(current.get("spec") or {})}
            await self._api.request("PATCH", path, body, content_type=MERGE)
        self.holder = self.identity
        self._renewed_at = started
        return True

    @staticmethod
    def _compare(before: Mapping[str, str], now: Mapping[str, str | None]) -> None:
        """Whoever led before may have said otherwise about something that matters, such as a shifted clock."""
        for key, value in now.items():
            if before.get(key) != value:
                log.warning("%s was %s, and is %s from now on", key, before.get(key, "unset"), value or "unset")

    def _expired(self, version: str) -> bool:
        now = time.monotonic()
        if self._seen[0] != version:
            if not self._seen[0]:
                log.info("standing by: %s leads", self.holder)
            self._seen = (version, now)
        return now > self._seen[1] + DURATION_SECONDS

    async def _create(self) -> None:
        body = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {
                "name": LEASE_NAME,
                "namespace": self._namespace,
                "annotations": {key: value for key, value in self._annotations().items() if value is not None},
            },
            "spec": self._spec({}),
        }
        try:
            await self._api.request("POST", LEASE.path("", self._namespace), body)
        except ApiError as error:
            if not error.not_found:
                raise
            labels = {MANAGED_BY_LABEL: MANAGED_BY}
            namespace = {
                "apiVersion": "v1",
                "kind": NAMESPACE.kind,
                "metadata": {"name": self._namespace, "labels": labels},
            }
            await self._api.request("POST", NAMESPACE.path(), namespace)
            await self._api.request("POST", LEASE.path("", self._namespace), body)

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
        path = LEASE.path(LEASE_NAME, self._namespace)
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                current = await self._api.get(path)
                if current is None or (current.get("spec") or {}).get("holderIdentity") != self.identity:
                    return
                version = current["metadata"]["resourceVersion"]
                body = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": ""}}
                await self._api.request("PATCH", path, body, content_type=MERGE)
        except (ClusterError, TimeoutError):
            log.warning("lease not released: the next instance waits %.0f s", DURATION_SECONDS)
