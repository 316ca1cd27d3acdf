"""
Talks to the API server: sends a request, turns answers into values or errors, and renews credentials that are refused.

Credentials and TLS come from the official client's asyncio side; requests go over one aiohttp session as plain JSON,
because models and discovery cost two to three times the CPU and add nothing to objects that we build ourselves.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import orjson

from bitgoeul import __version__
from bitgoeul.cluster.credentials import TOKEN, load_configuration, usable
from bitgoeul.cluster.official import ConfigException, forget_files, kube
from bitgoeul.errors import ClusterError, UserError

log = logging.getLogger(__name__)

Object = dict[str, Any]
# verb, resource, status code (0: no answer), seconds
RequestObserver = Callable[[str, str, int, float], None]
# method, path, status code, what the API server said against it (empty: nothing)
AnswerListener = Callable[[str, str, int, str], None]
# The Date header of an answer (empty: it had none), and the seconds from sending the request until the answer began.
DateListener = Callable[[str, float], None]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
USER_AGENT = f"bitgoeul/{__version__}"

REQUEST_TIMEOUT_SECONDS = 10.0
TEXT_TIMEOUT_SECONDS = 30.0
PAGE_SIZE = 500
RELOAD_SECONDS = 5.0  # between two readings of credentials that are refused
OLD_SESSION_SECONDS = 30.0  # what is under way with the old credentials ends by then


class ApiError(ClusterError):
    """The API server answered with an error; ``status`` is the HTTP code, ``reason`` the machine-readable word."""

    def __init__(self, status: int, body: Mapping[str, Any], request: str) -> None:
        self.status = status
        self.reason = str(body.get("reason", ""))
        self.message = str(body.get("message", "")) or f"HTTP {status}"
        self.details: Mapping[str, Any] = body.get("details") or {}
        super().__init__(f"{request}: {self.message}")

    @property
    def not_found(self) -> bool:
        return self.status == 404

    @property
    def conflict(self) -> bool:
        """The object changed meanwhile; with ``AlreadyExists`` it exists, which is another matter."""
        return self.status == 409 and self.reason != "AlreadyExists"

    @property
    def already_exists(self) -> bool:
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def terminating(self) -> bool:
        """The namespace is being deleted."""
        return self.status == 403 and "is being terminated" in self.message

    @property
    def transient(self) -> bool:
        """Worth the same request again later; a 500 about fields is a defect of ours and is not."""
        return self.status in (429, 502, 503, 504) or (self.status == 500 and "typed patch object" not in self.message)


class NoAnswerError(ClusterError):
    """No answer: refused, reset or timed out. A write may or may not have happened."""


class UnusableTokenError(aiohttp.ClientConnectionError):
    """The pod's token, as it is on disk now, cannot be sent; to those who stream it is as if nobody answered."""


class OlderDataError(ClusterError):
    """The API server has older data than was seen: nothing that is remembered can be relied upon."""

    def __init__(self, what: str, version: str | int, known: int) -> None:
        super().__init__(
            f"the API server has older data than was seen ({what} at version {version}, {known} was known): restored "
            "from a backup? ending, to start afresh"
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody else as whom requests are sent: impersonation, which the API server allows or refuses."""

    user: str
    groups: tuple[str, ...] = ()


class Api:
    """
    One connection pool to one API server.

    Not for sharing between event loops. Each request has its own time limit; retries are the caller's business, since
    only the caller knows whether the decision behind a write still holds.
    """

    def __init__(
        self,
        configuration: kube.Configuration,
        observer: RequestObserver | None = None,
        identity: Identity | None = None,
        reload: Callable[[], Awaitable[kube.Configuration]] | None = None,
    ) -> None:
        """
        Args:
            reload: Reads the credentials anew when the API server refuses them; None: they stay as they are.
        """
        self._headers = [("User-Agent", USER_AGENT), ("Accept", "application/json")]
        if identity is not None:
            self._headers.append(("Impersonate-User", identity.user))
            self._headers += [("Impersonate-Group", group) for group in identity.groups]
        self._client = kube.ApiClient(configuration)
        self._reload = reload
        self._reloading = asyncio.Lock()
        self._reloaded_at = -RELOAD_SECONDS
        self._marks = fingerprint(configuration)
        self._old: list[tuple[aiohttp.ClientSession, kube.ApiClient]] = []
        self.server: str = configuration.host
        self.observer = observer
        self.on_answer: AnswerListener | None = None  # called with each answer that whoever asked gets
        # Since when, by the monotonic clock, the API server has refused our credentials; None: it takes them.
        self.refused_since: float | None = None
        self._session = self.open_session(pool=100)

    def open_session(self, pool: int = 0, *middlewares: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
        """A session with our credentials and user agent, for those who stream; 0 means no limit of connections."""
        ssl_context: ssl.SSLContext = self._client.rest_client.ssl_context
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=pool, ssl=ssl_context),
            headers=self._headers,
            middlewares=[*middlewares, self._authorize],
            proxy=self._client.configuration.proxy,
            read_bufsize=2**21,  # a watch event may be larger than aiohttp's default buffer
            trust_env=False,  # asking for proxies and netrc takes a thread twice per request
        )

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        configuration = self._client.configuration
        if configuration.api_key or configuration.refresh_api_key_hook is not None:
            # Asked for each request: tokens of a pod's account are renewed on disk.
            headers: dict[str, str] = {}
            try:
                await self._client.update_params_for_auth(headers, [], [TOKEN], "", request.method, None)
                request.headers.update({name: usable(value) for name, value in headers.items()})
            except (ConfigException, UserError, OSError, ValueError) as error:
                self._note_refused(refused=True)
                raise UnusableTokenError(f"the pod's token cannot be used: {error}") from error
        response = await handler(request)
        self._note_refused(refused=response.status == 401)
        return response

    def _note_refused(self, *, refused: bool) -> None:
        """Remember since when our credentials are refused."""
        if not refused:
            self.refused_since = None
        elif self.refused_since is None:
            self.refused_since = time.monotonic()

    async def renew_credentials(self) -> bool:
        """
        Read the credentials anew, as kubectl would at its next start; True when they are others than before.

        Rate limited: whoever asks sooner is told False.
        """
        refused = self._marks
        async with self._reloading:
            if self._marks != refused:
                return True  # somebody else has done it while this one waited
            if self._reload is None or time.monotonic() < self._reloaded_at + RELOAD_SECONDS:
                return False
            self._reloaded_at = time.monotonic()
            try:
                configuration = await self._reload()
                marks = fingerprint(configuration)
                if marks == refused:
                    return False
                client = kube.ApiClient(configuration)
                if configuration.ssl_ca_cert:  # streams that go on trust it too
                    self._client.rest_client.ssl_context.load_verify_locations(configuration.ssl_ca_cert)
            except (UserError, OSError, ssl.SSLError, ValueError) as error:
                log.warning("credentials are refused, and cannot be read anew: %s", error)
                return False
            finally:
                forget_files()
            old = (self._session, self._client)
            self._client, self._marks = client, marks
            self._session = self.open_session(pool=100)
            self._old.append(old)
            asyncio.get_running_loop().call_later(OLD_SESSION_SECONDS, self._drop, old)
            log.info("credentials were refused, and have been read anew")
            return True

    def _drop(self, old: tuple[aiohttp.ClientSession, kube.ApiClient]) -> None:
        if old in self._old:
            self._old.remove(old)
            self._closing = asyncio.ensure_future(close_both(*old))

    async def close(self) -> None:
        for old in (*self._old, (self._session, self._client)):
            await close_both(*old)
        self._old.clear()

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = REQUEST_TIMEOUT_SECONDS,  # noqa: ASYNC109 - aiohttp's own limit also bounds connecting
        on_date: DateListener | None = None,
    ) -> Object:
        """
        Send one request and return the answer's JSON.

        Args:
            path: Absolute, such as ``/api/v1/nodes``.
            body: Anything that is JSON; None sends no body.
            timeout: Seconds for connecting, sending and reading together.
            on_date: Called when an answer has come, with its time by the API server's clock.
        Raises:
            ApiError: The server answered with a status of 300 or more.
            NoAnswerError: There was no answer; whether a write happened is unknown.
        """
        data = None if body is None else orjson.dumps(body)
        all_headers = {**(headers or {}), **({"Content-Type": content_type} if data is not None else {})}
        return read_json(await self._exchange(method, path, data, params, all_headers, timeout, on_date))

    async def read_text(self, path: str, params: Mapping[str, str]) -> str:
        """
        Read what is no JSON, such as a log; what is no UTF-8 in it shows as such.

        Raises:
            ApiError, NoAnswerError: As for ``request``.
        """
        raw = await self._exchange("GET", path, None, params, {"Accept": "*/*"}, TEXT_TIMEOUT_SECONDS)
        return raw.decode(errors="replace")

    async def _exchange(
        self,
        method: str,
        path: str,
        data: bytes | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - see request
        on_date: DateListener | None = None,
    ) -> bytes:
        url = self.server + path + ("?" + urlencode(params) if params else "")
        try:
            status, raw = await self._send(method, path, url, data, headers, timeout, on_date)
        except NoAnswerError as error:
            # The API server's authority may have been renewed; nothing was sent.
            if not isinstance(error.__cause__, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
                raise
            if not await self.renew_credentials():
                raise
            status, raw = await self._send(method, path, url, data, headers, timeout, on_date)
        if status == 401 and await self.renew_credentials():
            status, raw = await self._send(method, path, url, data, headers, timeout, on_date)
        refusal = ApiError(status, read_json(raw), f"{method} {path}") if status >= 300 else None
        if self.on_answer is not None:
            self.on_answer(method, path, status, "" if refusal is None else refusal.message)
        if refusal is not None:
            raise refusal
        return raw

    async def _send(
        self,
        method: str,
        path: str,
        url: str,
        data: bytes | None,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - see request
        on_date: DateListener | None,
    ) -> tuple[int, bytes]:
        started = time.monotonic()
        status = 0
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, timeout=aiohttp.ClientTimeout(total=timeout)
            ) as response:
                if on_date is not None:
                    on_date(response.headers.get("Date", ""), time.monotonic() - started)
                raw = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = str(error) or type(error).__name__
            raise NoAnswerError(f"{method} {path}: no answer from {self.server}: {what}") from error
        finally:
            if self.observer is not None:
                self.observer(method, resource_of(path), status, time.monotonic() - started)
        return status, raw

    async def get(self, path: str, on_date: DateListener | None = None) -> Object | None:
        """Read one object; None when there is none. ``on_date`` as for ``request``."""
        try:
            return await self.request("GET", path, on_date=on_date)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def list_all(self, path: str, label_selector: str = "", field_selector: str = "") -> tuple[list[Object], str]:
        """List a whole collection page by page; returns the items and the version they were read at."""
        items: list[Object] = []
        token = ""
        while True:
            params = {"limit": str(PAGE_SIZE)}
            if label_selector:
                params["labelSelector"] = label_selector
            if field_selector:
                params["fieldSelector"] = field_selector
            if token:
                params["continue"] = token
            page = await self.request("GET", path, params=params, timeout=30)
            items.extend(page.get("items") or [])
            token = page.get("metadata", {}).get("continue", "")
            if not token:
                return items, str(page["metadata"].get("resourceVersion", ""))


def read_json(raw: bytes) -> Object:
    """The body as an object; proxies and a starting server may answer in plain text."""
    try:
        answer = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError:
        return {"message": raw.decode(errors="replace").strip()[:500]}
    return answer if isinstance(answer, dict) else {"message": str(answer)[:500]}


def resource_of(path: str) -> str:
    """The resource word of a path, for metrics: bounded in number, no names of objects."""
    return next(iter(parts_of(path)), "other")


def parts_of(path: str) -> list[str]:
    """Resource, name and subresource of a path, as far as it has them."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else []
    if len(rest) >= 3 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    return rest


def quoted(name: str) -> str:
    """A name as one path segment; names of role bindings may hold colons and more."""
    return quote(name, safe="")


@asynccontextmanager
async def connect(
    kubeconfig: str | Path | None = None,
    context: str | None = None,
    observer: RequestObserver | None = None,
    identity: Identity | None = None,
) -> AsyncIterator[Api]:
    """Open a connection for the body of a ``with`` block; see ``load_configuration`` for what is connected to."""
    try:
        configuration = await load_configuration(kubeconfig, context)
        try:
            api = Api(configuration, observer, identity, lambda: load_configuration(kubeconfig, context))
        except (OSError, ssl.SSLError, ValueError) as error:
            raise UserError(f"certificates of {configuration.host} cannot be loaded: {error}") from error
    finally:
        forget_files()
    try:
        yield api
    finally:
        await api.close()
        # aiohttp closes TLS transports in the next turn of the loop; without it, sockets are reported as leaked.
        await asyncio.sleep(0)


async def close_both(session: aiohttp.ClientSession, client: kube.ApiClient) -> None:
    await session.close()
    await client.close()  # type: ignore[no-untyped-call]


def fingerprint(configuration: kube.Configuration) -> tuple[object, ...]:
    """
    Return what tells one set of credentials from another: address, token, and the content of all files.

    Raises:
        OSError: A file cannot be read.
    """
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    contents = [hash(Path(file).read_bytes()) if file else None for file in files]
    return (configuration.host, dict(configuration.api_key), configuration.proxy, *contents)
