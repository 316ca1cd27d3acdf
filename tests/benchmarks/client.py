"""
The benchmark's own connection to the API server: writes and watches under its own user agent.

The same client as the operator's, so that both pay the same for a request; the user agent tells them apart in the
audit log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import orjson

from bitgoeul.cluster.client import MERGE, Api, Object
from bitgoeul.cluster.kinds import Kind

AGENT = {"User-Agent": "bitgoeul-benchmark"}
CONCURRENCY = 16
STEP_SECONDS = 300.0  # no single step of a benchmark takes longer, unless something is wrong

FOREVER = aiohttp.ClientTimeout()

T = TypeVar("T")
# Kind of change (ADDED, MODIFIED, DELETED), the object, and when it was read on time.perf_counter.
Watcher = Callable[[str, Object, float], None]


class Client:
    """Creates, changes, deletes and watches; an answer of 300 or more is an ApiError."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def create(self, kind: Kind, obj: Object) -> Object:
        path = kind.path("", obj["metadata"].get("namespace", ""))
        return await self._api.request("POST", path, obj, headers=AGENT, timeout=60)

    async def merge(self, kind: Kind, name: str, body: Any, namespace: str = "", subresource: str = "") -> Object:
        path = kind.path(name, namespace, subresource)
        return await self._api.request("PATCH", path, body, content_type=MERGE, headers=AGENT)

    async def delete(self, kind: Kind, name: str, namespace: str = "") -> None:
        await self._api.request("DELETE", kind.path(name, namespace), headers=AGENT)

    async def items(self, kind: Kind, selector: str = "") -> list[Object]:
        """All objects of a kind in all namespaces, with the apiVersion and kind that lists leave out."""
        found, _ = await self._api.list_all(kind.path(), selector)
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **obj} for obj in found]

    @asynccontextmanager
    async def watching(self, kind: Kind, watcher: Watcher) -> AsyncIterator[None]:
        """
        Tell ``watcher`` of what is there, and of every change while the block runs.

        The API server ends a stream whose reader falls behind, which happens on a busy machine; it is taken up again
        where it ended, so that nothing is missed.
        """
        found, version = await self._api.list_all(kind.path())
        for obj in found:
            watcher("ADDED", obj, time.perf_counter())
        async with self._api.open_session() as session, asyncio.TaskGroup() as group:
            following = group.create_task(self._follow(session, kind, version, watcher))
            yield
            following.cancel()

    async def _follow(self, session: aiohttp.ClientSession, kind: Kind, version: str, watcher: Watcher) -> None:
        while True:
            url = f"{self._api.server}{kind.path()}?watch=1&resourceVersion={version}"
            async with session.get(url, headers=AGENT, timeout=FOREVER) as stream:
                while line := await stream.content.readline():
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        raise RuntimeError(f"watching {kind.plural}: {event['object'].get('message')}")
                    version = event["object"]["metadata"]["resourceVersion"]
                    watcher(event["type"], event["object"], time.perf_counter())


async def in_parallel(work: Callable[[T], Awaitable[Any]], items: Iterable[T], at_a_time: int = CONCURRENCY) -> None:
    """Do it with every item, in order, so many at a time."""
    rest = iter(items)

    async def one_after_the_other() -> None:
        for item in rest:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_a_time):
            group.create_task(one_after_the_other())


async def until(met: Callable[[], bool], what: str, seconds: float = STEP_SECONDS, pause: float = 0.005) -> None:
    """
    Wait until it is met.

    Raises:
        TimeoutError: With what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(pause)
