"""The HTTP side, over a real socket."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from bitgoeul.errors import UserError
from bitgoeul.metrics.server import Server
from tests.unit.builders import make_allocation
from tests.unit.metrics_states import make_state, registry_of

T = TypeVar("T")

# Less than the minute for which a server waits for open connections when nobody tells it otherwise.
PATIENCE_SECONDS = 45


def fine() -> Mapping[str, str]:
    """One check, and nothing wrong."""
    return {"event loop": ""}


@asynccontextmanager
async def serving(
    registry: CollectorRegistry,
    alive: Callable[[], Mapping[str, str]] = fine,
    ready: Callable[[], Mapping[str, str]] = fine,
) -> AsyncIterator[Server]:
    """A server on a free port of this machine, for the body of a ``with`` block."""
    server = Server(registry, "127.0.0.1", 0, alive, ready)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def get(server: Server, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str, bytes, str]:
    """Status, content type, raw body and content encoding of an answer."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(f"http://127.0.0.1:{server.port}{path}", headers=headers or {}) as response,
    ):
        content_type = response.headers["Content-Type"]
        return response.status, content_type, await response.read(), response.headers.get("Content-Encoding", "")


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run one test's coroutine; nothing in it takes more than a moment, or waits for a peer that is quiet."""

    async def limited() -> T:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await work()

    return asyncio.run(limited())


@pytest.mark.parametrize(
    ("accept", "content_type", "last_line"),
    [
        pytest.param("", "text/plain; version=0.0.4; charset=utf-8", None, id="text unless asked for more"),
        pytest.param("text/plain", "text/plain; version=0.0.4; charset=utf-8", None, id="text when asked"),
        pytest.param(
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            "# EOF",
            id="OpenMetrics when asked",
        ),
    ],
)
def test_the_scraper_chooses_the_format(accept: str, content_type: str, last_line: str | None) -> None:
    """Both formats hold the same series."""

    async def work() -> tuple[int, str, bytes, str]:
        async with serving(registry_of(make_state([make_allocation("blue")]))) as server:
            return await get(server, "/metrics", {"Accept": accept, "Accept-Encoding": "identity"})

    status, found, body, encoding = run(work)
    lines = body.decode().splitlines()
    assert (status, found, encoding) == (200, content_type, "")
    assert any(line.startswith('bitgoeul_allocation_info{allocation="blue",class="Startup",') for line in lines)
    assert (lines[-1] == "# EOF") == (last_line is not None)


def test_a_scraper_that_takes_gzip_gets_it() -> None:
    """The text is compressed whole."""

    async def work() -> tuple[int, str, bytes, str]:
        async with serving(registry_of(make_state([make_allocation("blue")]))) as server:
            return await get(server, "/metrics", {"Accept-Encoding": "gzip, deflate"})

    _, _, body, encoding = run(work)
    assert encoding == "gzip"
    assert b'allocation="blue"' in gzip.decompress(body)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_check_that_fails_is_named(path: str) -> None:
    """Each check has its line, and one that fails makes 503."""
    problems = {"cache": "not everything has been listed yet", "event loop": ""}

    async def work() -> tuple[int, str, bytes, str]:
        async with serving(CollectorRegistry(), lambda: problems, lambda: problems) as server:
            return await get(server, path)

    status, content_type, body, _ = run(work)
    assert status == 503
    assert content_type.startswith("text/plain")
    assert body == b"cache: not everything has been listed yet\nevent loop: ok\n"


def test_liveness_and_readiness_are_two_questions() -> None:
    """One that is alive but not ready says so; checks are asked each time."""
    problems = {"cache": "loading"}

    async def work() -> list[int]:
        async with serving(CollectorRegistry(), fine, lambda: problems) as server:
            answers = [(await get(server, "/healthz"))[0], (await get(server, "/readyz"))[0]]
            problems["cache"] = ""
            return [*answers, (await get(server, "/readyz"))[0]]

    assert run(work) == [200, 503, 200]


def test_other_paths_are_not_found() -> None:
    """There is nothing else to see, and nothing to send."""

    async def work() -> list[int]:
        async with serving(CollectorRegistry()) as server, aiohttp.ClientSession() as session:
            base = f"http://127.0.0.1:{server.port}"
            async with session.get(f"{base}/") as root, session.post(f"{base}/metrics", data=b"x") as post:
                return [root.status, post.status]

    assert run(work) == [404, 405]


def test_a_port_that_is_taken_is_named() -> None:
    """One line says which port, and what to do."""

    async def work() -> tuple[int, str]:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(UserError) as caught:
                await Server(CollectorRegistry(), "127.0.0.1", port, fine, fine).start()
            return port, str(caught.value)

    port, message = run(work)
    assert message == (
        f"cannot serve metrics on 127.0.0.1 port {port}: Address already in use; choose another with --metrics-host "
        "and --metrics-port (port 0 takes a free one)"
    )


def test_an_address_that_is_not_ours_is_named() -> None:
    """An address of nobody (TEST-NET-1) cannot be listened on."""

    async def work() -> None:
        await Server(CollectorRegistry(), "192.0.2.1", 0, fine, fine).start()

    with pytest.raises(
        UserError, match=r"^cannot serve metrics on 192\.0\.2\.1 port 0: Cannot assign requested address; "
    ):
        run(work)


def test_stopping_frees_the_port_and_may_be_repeated() -> None:
    """Also when a scraper keeps its connection open, and when there was no start."""

    async def work() -> None:
        server = Server(CollectorRegistry(), "127.0.0.1", 0, fine, fine)
        await server.stop()
        server = Server(CollectorRegistry(), "127.0.0.1", 0, fine, fine)
        await server.start()
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{server.port}/healthz") as response:
                await response.read()
            await server.stop()
        await server.stop()
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", server.port))

    run(work)


class Slow(Collector):
    """A collector whose one metric is written only when it may be."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self.writing = 0
        self.most_at_once = 0

    def collect(self) -> Iterable[Metric]:
        metric = Metric("bitgoeul_slow", "Slow.", "gauge")
        metric.samples = self  # type: ignore[assignment]
        return [metric]

    def __iter__(self) -> Iterator[None]:
        self.writing += 1
        self.most_at_once = max(self.most_at_once, self.writing)
        self.begun.set()
        assert self.released.wait(PATIENCE_SECONDS)
        self.writing -= 1
        return iter(())


def test_a_long_scrape_holds_up_nothing_and_comes_alone() -> None:
    """The event loop answers others meanwhile, and a second scrape waits for the first."""
    slow = Slow()
    registry = CollectorRegistry()
    registry.register(slow)

    async def work() -> list[int]:
        async with serving(registry) as server:
            scrapes = [asyncio.create_task(get(server, "/metrics")) for _ in range(2)]
            assert await asyncio.to_thread(slow.begun.wait, PATIENCE_SECONDS)
            statuses = [(await get(server, "/healthz"))[0]]
            assert not any(scrape.done() for scrape in scrapes)
            slow.released.set()
            return statuses + [status for status, *_ in await asyncio.gather(*scrapes)]

    assert run(work) == [200, 200, 200]
    assert slow.most_at_once == 1
