"""
Serves /metrics, /healthz and /readyz over HTTP, on the operator's own event loop.

Metrics are gathered on the loop, where the state may be read, and written out in a thread: with thousands of
allocations that takes long enough to hold up everything else. One scrape is written at a time.
"""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Callable, Iterable, Mapping

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import gzip_accepted

from bitgoeul.errors import UserError
from bitgoeul.metrics.exposition import write

# Name of a check → what is wrong; empty: all is well.
Checks = Callable[[], Mapping[str, str]]

SHUTDOWN_SECONDS = 1.0  # for answers under way; the operator itself has to end in a few
COMPRESSION_LEVEL = 1  # a twentieth of the size already; more takes longer than writing the text did


class Server:
    """
    The HTTP side of the operator, without authentication: it shows names of organisations, and takes no input.

    Attributes:
        port: The real port, once started.
    """

    def __init__(self, registry: CollectorRegistry, host: str, port: int, alive: Checks, ready: Checks) -> None:
        self.port = port
        self._registry = registry
        self._host = host
        self._alive = alive
        self._ready = ready
        self._one_at_a_time = asyncio.Lock()
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)

    async def start(self) -> None:
        """
        Listen.

        Raises:
            UserError: The address cannot be had; the message names it.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise UserError(
                f"cannot serve metrics on {self._host} port {self.port}: {cause(error)}; choose another with "
                "--metrics-host and --metrics-port (port 0 takes a free one)"
            ) from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and close all connections; may be called again, and before ``start``."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        accept = ",".join(request.headers.getall(hdrs.ACCEPT, []))
        compress = gzip_accepted(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
        async with self._one_at_a_time:
            gathered = tuple(self._registry.collect())
            content_type, body = await asyncio.to_thread(render, gathered, accept, compress)
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.VARY: f"{hdrs.ACCEPT}, {hdrs.ACCEPT_ENCODING}"}
        if compress:
            headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=body, headers=headers)

    async def _healthz(self, _: web.Request) -> web.Response:
        return answer(self._alive())

    async def _readyz(self, _: web.Request) -> web.Response:
        return answer(self._ready())


def render(metrics: Iterable[Metric], accept: str, compress: bool) -> tuple[str, bytes]:
    """Content type and body of a scrape."""
    content_type, text = write(metrics, accept)
    return content_type, gzip.compress(text, COMPRESSION_LEVEL) if compress else text


def answer(checks: Mapping[str, str]) -> web.Response:
    """One line for each check; 503 when any of them fails."""
    lines = [f"{name}: {problem or 'ok'}\n" for name, problem in checks.items()]
    return web.Response(text="".join(lines), status=503 if any(checks.values()) else 200)


def cause(error: OSError) -> str:
    """The plain cause; asyncio wraps a long text around it. Errors of name look-ups have no system number."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else str(error.strerror or error)
