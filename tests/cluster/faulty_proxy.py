"""
A proxy in front of one API server that fails on purpose, at a write that a test chooses.

Clients speak plain HTTP to it and are the administrator behind it; the first part of the path is the client's name.
Writes that matter are let through one at a time and counted; when the chosen one has been applied, its answer is lost,
and the client may be killed before it learns of it. Leases, Events and dry runs pass uncounted: no state of a tenant
depends on them.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import select
import signal
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from bitgoeul.local.launcher import ControlPlane

WRITING = ("POST", "PUT", "PATCH", "DELETE")
PATIENCE_SECONDS = 60
UNCOUNTED = ("/leases", "/events")
# They describe one connection, and the proxy has two.
HOP_BY_HOP = {"connection", "host", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True, slots=True)
class Write:
    """One write that the API server has answered."""

    client: str
    method: str
    path: str
    status: int

    def __str__(self) -> str:
        return f"{self.client}: {self.method} {self.path} → {self.status}"


@dataclass(slots=True)
class Fault:
    """
    What goes wrong, once: the answer of one write is lost after it has been applied.

    Attributes:
        at: Which of the writes it hits, from 1.
        about: Only writes count whose path holds this word; empty: all do.
        then: Called in the proxy's thread before the answer is lost, while all other writes wait.
        met: Writes so far that count.
    """

    at: int
    about: str = ""
    then: Callable[[], None] = lambda: None
    met: int = 0

    @property
    def fired(self) -> bool:
        return self.met >= self.at

    def meets(self, write: Write) -> bool:
        """Whether this write is the one."""
        if self.fired or not re.search(rf"\b{self.about}\b" if self.about else "", write.path):
            return False
        self.met += 1
        return self.fired


class FaultyProxy:
    """
    Runs in a thread of its own; use it as a context manager.

    Attributes:
        writes: Every counted write since the last ``arm``, in the order in which they were applied.
        requests: Time, by the monotonic clock, and text of each request of any kind.
        date_shift: By how many seconds the API server's clock is ahead, as far as its answers tell.
        refusal: An answer, status and message, that every request gets instead of its own; None: they get their own.
        refused: The same for requests whose method and path begin so, such as ``GET /api/v1/nodes``.
    """

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        """
        Args:
            folder: For the kubeconfigs that lead here.
        """
        self._plane = plane
        self._folder = folder
        self.writes: list[Write] = []
        self.requests: list[tuple[float, str]] = []
        self.date_shift = 0.0
        self.refusal: tuple[int, str] | None = None
        self.refused: dict[str, tuple[int, str]] = {}
        self.port = 0
        self._faults: tuple[Fault, ...] = ()
        self._dead: set[str] = set()  # clients; what they have left in flight is not let through
        self._streams: list[web.BaseRequest] = []  # requests cannot be hashed
        self._closed_to_watches = False
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="faulty proxy", daemon=True)

    def __enter__(self) -> FaultyProxy:
        self._thread.start()
        assert self._ready.wait(PATIENCE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_SECONDS)

    # -- what tests ask for

    def kubeconfig(self, client: str) -> Path:
        """Write the kubeconfig of one client."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self.port}/{client}"}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "current-context": "proxy",
        }
        path = self._folder / f"{client}.kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    def arm(self, *faults: Fault) -> None:
        """Forget all writes so far, and have these faults from now on."""
        self.writes = []
        self._faults = faults

    def kill(self, client: str, pid: int) -> None:
        """End a client, and let nothing more of it through; from any thread."""
        self._dead.add(client)
        kill_and_wait(pid)

    def requests_since(self, begin: float, seconds: float = math.inf) -> list[str]:
        """What was asked for since a moment of the monotonic clock, for some seconds or until now."""
        return [text for moment, text in self.requests if begin <= moment < begin + seconds]

    def close_to_watches(self) -> None:
        """Cut every stream, and refuse new ones until ``open_to_watches``."""
        self._closed_to_watches = True
        for request in list(self._streams):
            self._loop.call_soon_threadsafe(abort, request)

    def open_to_watches(self) -> None:
        """Let streams begin again."""
        self._closed_to_watches = False

    # -- the inside

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._run())
        finally:
            self._loop.close()

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        self._turn = asyncio.Lock()
        pki = self._plane.layout.pki
        tls = ssl.create_default_context(cafile=str(pki.cert("ca")))
        tls.load_cert_chain(pki.cert("admin"), pki.key("admin"))
        connector = aiohttp.TCPConnector(limit=0, ssl=tls)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False, read_bufsize=2**21) as self._out:
            # A client that was killed is gone: what it asked for need not be finished.
            server = web.Server(self._handle, handler_cancellation=True, access_log=None)
            runner = web.ServerRunner(server, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._stop.wait()
            for request in list(self._streams):
                abort(request)
            await runner.cleanup()
            await end_tasks()
        await asyncio.sleep(0.1)  # TLS connections need a few turns of the loop to close

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        client = request.path.split("/")[1]
        self.requests.append((time.monotonic(), f"{request.method} {request.path_qs.removeprefix(f'/{client}')}"))
        asked = f"{request.method} {request.path.removeprefix(f'/{client}')}"
        refusal = self.refusal or next((how for what, how in self.refused.items() if asked.startswith(what)), None)
        if refusal is not None:
            status, message = refusal
            return web.json_response({"kind": "Status", "message": message, "code": status}, status=status)
        if "watch" in request.query:
            return await self._stream(request)
        body = await request.read()
        if not counted(request):
            return await self._answer(request, body)
        async with self._turn:
            if client in self._dead:
                return abort(request)
            response = await self._answer(request, body)
            write = Write(client, request.method, request.path.removeprefix(f"/{client}"), response.status)
            self.writes.append(write)
            met = [fault for fault in self._faults if fault.meets(write)]
            for fault in met:
                fault.then()
            if met:
                return abort(request)
        return response

    async def _answer(self, request: web.BaseRequest, body: bytes) -> web.Response:
        try:
            async with self._ask(request, body) as answer:
                raw = await answer.read()
                headers = end_to_end(answer.headers)
                if self.date_shift:
                    told = parsedate_to_datetime(headers["Date"]) + timedelta(seconds=self.date_shift)
                    headers["Date"] = format_datetime(told, usegmt=True)
                return web.Response(status=answer.status, headers=headers, body=raw)
        except aiohttp.ClientError:
            abort(request)
            raise asyncio.CancelledError from None

    def _ask(self, request: web.BaseRequest, body: bytes) -> Any:
        _, _, rest = request.path_qs[1:].partition("/")
        url = URL(f"{self._plane.server}/{rest}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE_SECONDS)
        headers = end_to_end(request.headers)
        return self._out.request(request.method, url, data=body or None, headers=headers, timeout=timeout)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._closed_to_watches:
            return abort(request)
        self._streams.append(request)
        try:
            async with self._ask(request, b"") as answer:
                response = web.StreamResponse(status=answer.status, headers=end_to_end(answer.headers))
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, ConnectionError):
            return abort(request)
        finally:
            self._streams.remove(request)


async def end_tasks() -> None:
    """Cancel whatever else runs in this loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def counted(request: web.BaseRequest) -> bool:
    """Whether this request may change what tenants have."""
    uncounted = any(part in request.path for part in UNCOUNTED) or "dryRun" in request.query
    return request.method in WRITING and not uncounted


def end_to_end(headers: Any) -> dict[str, str]:
    """The headers that are passed on."""
    return {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}


def abort(request: web.BaseRequest) -> web.Response:
    """Reset the connection; what is returned never arrives."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


def kill_and_wait(pid: int) -> None:
    """SIGKILL, and return when the process runs no more; nothing happens when it is gone already."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], PATIENCE_SECONDS)
        finally:
            os.close(handle)
