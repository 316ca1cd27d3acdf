"""
Events for people: written when a phase or reason changes or has lasted, in the background, and lost without harm.

Events about cluster-scoped objects land in ``default``, where tenants may not read; so what concerns a tenant is
written once more on the ResourceQuota in its namespace.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bitgoeul.api.names import FIELD_MANAGER, QUOTA_NAME
from bitgoeul.cluster.client import Api, ApiError
from bitgoeul.cluster.kinds import EVENT, RESOURCE_QUOTA, Kind
from bitgoeul.cluster.troubles import Troubles
from bitgoeul.errors import ClusterError

log = logging.getLogger(__name__)

MAX_QUEUED = 10_000
PAUSE_SECONDS = 1.0
MAX_NOTE = 1024
WRITING = "writing Events"


class Recorder:
    """Queues Events and posts them one after the other, while this instance leads."""

    def __init__(self, api: Api, may_write: Callable[[], bool]) -> None:
        self._api = api
        self._may_write = may_write
        self.troubles = Troubles()  # whether Events are refused
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_QUEUED)

    def record(self, kind: Kind, obj: Mapping[str, Any], reason: str, message: str, *, warning: bool) -> None:
        """Queue one Event about a cluster-scoped object of ours."""
        metadata = obj["metadata"]
        reference = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        self._put("default", reference, reason, message, warning)

    def record_in(self, quota: Mapping[str, Any], reason: str, message: str, *, warning: bool) -> None:
        """Queue the tenant's copy, on the quota in its namespace."""
        metadata = quota["metadata"]
        reference = {
            "apiVersion": RESOURCE_QUOTA.api_version,
            "kind": RESOURCE_QUOTA.kind,
            "name": QUOTA_NAME,
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        }
        self._put(metadata["namespace"], reference, reason, message, warning)

    def _put(self, namespace: str, reference: dict[str, str], reason: str, message: str, warning: bool) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{reference['name']}.", "namespace": namespace},
            "involvedObject": reference,
            "reason": reason,
            "message": message[:MAX_NOTE],
            "type": "Warning" if warning else "Normal",
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            log.warning("event dropped, %d are waiting: %s %s", MAX_QUEUED, reference["name"], reason)

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            event = await self._queue.get()
            while not self._may_write():  # noqa: ASYNC110 - it is a matter of time, not of an event
                await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self._api.request("POST", EVENT.path("", event["metadata"]["namespace"]), event)
                self.troubles.succeeded(WRITING)
            except ClusterError as error:
                if isinstance(error, ApiError) and (error.not_found or error.terminating):
                    continue  # the namespace is gone by now
                self.troubles.failed(WRITING, error)
                log.warning("event not written: %s", error)
