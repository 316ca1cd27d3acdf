"""
kopf as the watch front: puts what it sees into the cache, and that is all it does.

Only ``on.event`` handlers are used: they write nothing, while kopf's other handlers keep annotations and finalizers on
every object. What has changed since, and what to do about it, is decided from the cache.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import kopf

from bitgoeul.cluster.cache import Cache
from bitgoeul.cluster.client import Api, read_json
from bitgoeul.cluster.kinds import WATCHED, Kind
from bitgoeul.cluster.troubles import Troubles
from bitgoeul.errors import ClusterError

WIND_DOWN_SECONDS = 1.0
LOGIN_SECONDS = 1.0
# Without one kopf asks the system for the user's name, and a container's user has none. Nobody else reads it.
IDENTITY: Any = "bitgoeul"


class EndlessPauses:
    """
    Pauses between attempts of one request: growing to half a minute, and never running out.

    An API server that is away longer than kopf's own list of pauses would end the process. A fresh iterator each time;
    a generator would be used up by the first outage.
    """

    def __iter__(self) -> Iterator[float]:
        pause = 0.2
        while True:
            yield pause
            pause = min(pause * 2, 5.0)


class NoDiffs(kopf.DiffBaseStorage):
    """We never ask what changed since last time; the default would deep-copy each object for each event."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        return None


class NoProgress(kopf.ProgressStorage):
    """There are no handlers whose progress could be kept."""

    def fetch(self, *, key: Any, body: kopf.Body) -> None:
        return None

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        return None

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        return None

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def build_settings() -> kopf.OperatorSettings:
    """Settings with the reason for each that differs from kopf's default."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True  # we have a Lease; foreign peering objects must not pause us
    settings.posting.enabled = False  # Events are our own
    settings.scanning.disabled = True  # our kinds are there before this starts, and no others are looked for
    settings.queueing.idle_timeout = 0.5  # a worker task per object for 5 s is 20,000 tasks at start-up
    settings.watching.server_timeout = 300  # an integer: it is sent as written
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 5
    settings.watching.reconnect_backoff = 1.0  # no storm when the API server comes back
    settings.watching.chunk_size = 500  # flat memory at start-up
    settings.networking.error_backoffs = EndlessPauses()
    settings.networking.request_timeout = 30
    settings.persistence.diffbase_storage = NoDiffs()
    settings.persistence.progress_storage = NoProgress()
    # kopf strips its own finalizer wherever it finds it unneeded; ours must not look like it.
    settings.persistence.finalizer = "bitgoeul.dev/unused-by-kopf"
    for kind in WATCHED:
        if kind.selector:
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.selector
    return settings


def build_registry(cache: Cache) -> kopf.OperatorRegistry:
    """One handler for each watched kind."""
    registry = kopf.OperatorRegistry()
    for kind in WATCHED:
        kopf.on.event(kind.group, kind.version, kind.plural, id=kind.plural, registry=registry)(
            build_handler(kind, cache)
        )
    return registry


def build_handler(kind: Kind, cache: Cache) -> Any:
    """The handler of one kind."""

    async def handle(event: kopf.RawEvent, **_: Any) -> None:
        obj: Any = event["object"]
        if event["type"] == "DELETED":
            cache.remove(kind, obj)
        else:
            cache.merge(kind, obj)

    return handle


def build_listener(api: Api, on_listed: Callable[[], None], troubles: Troubles) -> aiohttp.ClientMiddlewareType:
    """What notices, on kopf's way to the API server, that a watch begins with a list, or is refused: kopf is silent."""
    kinds = {urlsplit(api.server + kind.path()).path: kind for kind in WATCHED}

    async def notice(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        response = await send(request)
        kind = kinds.get(request.url.path)
        if kind is None:
            return response
        watching = "watch" in request.url.query
        # A watch is refused by its list, too.
        what = f"watch {kind.plural}" if watching else f"list {kind.plural} to watch"
        if response.ok:
            troubles.succeeded(what)
            if not watching:
                on_listed()
        elif response.status != HTTPStatus.GONE:  # too old a version: what comes next is a list
            said = read_json(await response.read()).get("message") or response.reason
            troubles.failed(what, f"HTTP {response.status}: {said}")
        return response

    return notice


async def watch(
    api: Api,
    cache: Cache,
    stop: asyncio.Event,
    on_started: Callable[[], None],
    on_listed: Callable[[], None],
    troubles: Troubles,
) -> None:
    """
    Watch everything until ``stop`` is set.

    Args:
        on_started: Called when kopf has put itself in place; it takes SIGTERM and SIGINT for itself then.
        on_listed: Called when a watch has begun, or begun anew, with a list. Of what was deleted before that, and after
            the events that came last, there is no event.
        troubles: Takes in which kinds are refused.
    Raises:
        ClusterError: A watch ended for good (a CRD was deleted, credentials are refused). What cannot go on has to end
            the process: the next one starts from the API.
    """
    # One line per event and object; our own log says what was done.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    registry = build_registry(cache)
    sessions: list[aiohttp.ClientSession] = []

    async def login(**_: Any) -> kopf.AiohttpSession:
        if sessions:  # what the last one had is refused: this is asked again and again, without a pause
            await asyncio.sleep(LOGIN_SECONDS)
            while api.refused_since is not None:  # noqa: ASYNC110 - the Lease's requests find out
                await asyncio.sleep(LOGIN_SECONDS)
        sessions.append(api.open_session(0, build_listener(api, on_listed, troubles)))
        return kopf.AiohttpSession(server=api.server, aiohttp_session=sessions[-1])

    kopf.on.login(registry=registry)(login)
    before = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=build_settings(),
        identity=IDENTITY,
        clusterwide=True,
        standalone=True,
        stop_flag=stop,
    )
    on_started()
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        failed = [error for task in done if not task.cancelled() and (error := task.exception())]
        if failed:
            # Told before kopf winds down: it would take seconds, and end tasks of ours that began after its own.
            raise ClusterError(f"a watch ended for good: {type(failed[0]).__name__}: {failed[0]}") from failed[0]
        await kopf.run_tasks(tasks, ignored=before)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=WIND_DOWN_SECONDS)
        for session in sessions:
            await session.close()
