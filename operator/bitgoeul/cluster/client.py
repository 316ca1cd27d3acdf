"""
Talks to the API server: finds credentials, sends a request, turns answers into values or errors.

Credentials and TLS come from the official client's asyncio side; requests go over one aiohttp session as plain JSON,
because models and discovery cost two to three times the CPU and add nothing to objects that we build ourselves.
Never falls back to the default kubeconfig silently: a forgotten ``kubectl config use-context`` must not decide which
cluster gets quotas.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import orjson
from kubernetes.aio import client as kube
from kubernetes.aio import config as kube_config
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.kube_config import _cleanup_temp_files

from bitgoeul import __version__
from bitgoeul.errors import ClusterError, UserError

Object = dict[str, Any]
# verb, resource, status code (0: no answer), seconds
RequestObserver = Callable[[str, str, int, float], None]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
USER_AGENT = f"bitgoeul/{__version__}"

REQUEST_TIMEOUT_SECONDS = 10.0
TEXT_TIMEOUT_SECONDS = 30.0
PAGE_SIZE = 500
SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
SERVICE_ACCOUNT_NAMESPACE = SERVICE_ACCOUNT_TOKEN.with_name("namespace")


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
    ) -> None:
        self._headers = [("User-Agent", USER_AGENT), ("Accept", "application/json")]
        if identity is not None:
            self._headers.append(("Impersonate-User", identity.user))
            self._headers += [("Impersonate-Group", group) for group in identity.groups]
        self._client = kube.ApiClient(configuration)
        self._has_token = bool(configuration.api_key) or configuration.refresh_api_key_hook is not None
        self.server: str = configuration.host
        self.observer = observer
        self._session = self.open_session(pool=100)

    def open_session(self, pool: int = 0, *middlewares: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
        """A session with our credentials and user agent, for those who stream; 0 means no limit of connections."""
        ssl_context: ssl.SSLContext = self._client.rest_client.ssl_context
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=pool, ssl=ssl_context),
            headers=self._headers,
            middlewares=[*middlewares, self._authorize] if self._has_token else middlewares,
            proxy=self._client.configuration.proxy,
            read_bufsize=2**21,  # a watch event may be larger than aiohttp's default buffer
            trust_env=False,  # asking for proxies and netrc takes a thread twice per request
        )

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # Asked for each request: tokens of a pod's account and of exec plugins are renewed on disk.
        headers: dict[str, str] = {}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], "", request.method, None)
        request.headers.update(headers)
        return await handler(request)

    async def close(self) -> None:
        await self._session.close()
        await self._client.close()  # type: ignore[no-untyped-call]

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
    ) -> Object:
        """
        Send one request and return the answer's JSON.

        Args:
            path: Absolute, such as ``/api/v1/nodes``.
            body: Anything that is JSON; None sends no body.
            timeout: Seconds for connecting, sending and reading together.
        Raises:
            ApiError: The server answered with a status of 300 or more.
            NoAnswerError: There was no answer; whether a write happened is unknown.
        """
        data = None if body is None else orjson.dumps(body)
        all_headers = {**(headers or {}), **({"Content-Type": content_type} if data is not None else {})}
        return read_json(await self._exchange(method, path, data, params, all_headers, timeout))

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
    ) -> bytes:
        url = self.server + path + ("?" + urlencode(params) if params else "")
        started = time.monotonic()
        status = 0
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, timeout=aiohttp.ClientTimeout(total=timeout)
            ) as response:
                raw = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = str(error) or type(error).__name__
            raise NoAnswerError(f"{method} {path}: no answer from {self.server}: {what}") from error
        finally:
            if self.observer is not None:
                self.observer(method, resource_of(path), status, time.monotonic() - started)
        if status >= 300:
            raise ApiError(status, read_json(raw), f"{method} {path}")
        return raw

    async def get(self, path: str) -> Object | None:
        """Read one object; None when there is none."""
        try:
            return await self.request("GET", path)
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
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else []
    if len(rest) >= 3 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    return rest[0] if rest else "other"


def quoted(name: str) -> str:
    """A name as one path segment; names of role bindings may hold colons and more."""
    return quote(name, safe="")


@contextmanager
def overheard(logger: str) -> Iterator[list[str]]:
    """Errors that a library would log meanwhile; they are not logged."""
    said: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            said.append(record.getMessage())
        return record.levelno < logging.ERROR

    source = logging.getLogger(logger)
    source.addFilter(keep)
    try:
        yield said
    finally:
        source.removeFilter(keep)


async def load_configuration(kubeconfig: str | Path | None, context: str | None) -> kube.Configuration:
    """
    Find credentials: the file given, else ``KUBECONFIG``, else the pod's own service account.

    Raises:
        UserError: Nothing was found, or what was found cannot be read.
    """
    configuration = kube.Configuration()
    configuration.client_session_kwargs = {"trust_env": False}
    path = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    if not path:
        if context:
            raise UserError("--context needs --kubeconfig or KUBECONFIG to be looked up in")
        if not SERVICE_ACCOUNT_TOKEN.exists():
            raise UserError(
                "no cluster given: pass --kubeconfig FILE or set KUBECONFIG (outside a pod nothing is assumed); "
                "'bitgoeul up' starts a local control plane and prints its file"
            )
        try:
            kube_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        except ConfigException as error:
            raise UserError(f"the pod's service account cannot be used: {error}") from error
        return configuration
    missing = [part for part in path.split(os.pathsep) if part and not Path(part).is_file()]
    if missing and (kubeconfig or len(missing) == len(path.split(os.pathsep))):
        raise UserError(f"kubeconfig {missing[0]}: no such file")
    await read_kubeconfig(path, context, configuration)
    return configuration


async def read_kubeconfig(path: str, context: str | None, configuration: kube.Configuration) -> None:
    """
    Fill in what a kubeconfig says; ``path`` may name several, as KUBECONFIG does.

    Raises:
        UserError: It cannot be read, or does not say where the API server is.
    """
    try:
        with overheard("kubernetes.aio.config.kube_config") as complaints:
            await kube_config.load_kube_config(path, context, configuration)  # type: ignore[no-untyped-call]
        address = urlsplit(configuration.host)
    except ConfigException as error:
        raise UserError(f"kubeconfig {path}: {' '.join(str(error).split())}") from error
    except (TypeError, AttributeError) as error:
        raise UserError(
            f"kubeconfig {path} is none: it needs clusters, users, contexts and a current-context"
        ) from error
    except Exception as error:
        # The loader lets whatever a malformed file provokes escape: YAML, key and TLS errors alike.
        raise UserError(f"kubeconfig {path} cannot be read: {type(error).__name__}: {error}".splitlines()[0]) from error
    if complaints:  # of a credential plugin: the loader would go on without credentials
        raise UserError(f"kubeconfig {path}: {' '.join(complaints[0].split())}")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UserError(
            f"kubeconfig {path}: server {configuration.host!r} is no address such as https://127.0.0.1:6443"
        )


def current_namespace(kubeconfig: str | Path | None, context: str | None) -> str:
    """The namespace that is meant where none is named: of the kubeconfig's context, else the pod's own."""
    path = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    if not path:
        return SERVICE_ACCOUNT_NAMESPACE.read_text().strip() if SERVICE_ACCOUNT_NAMESPACE.exists() else "default"
    contexts, current = kube_config.list_kube_config_contexts(path)  # type: ignore[no-untyped-call]
    chosen = next((one for one in contexts if one["name"] == context), current)
    return str((chosen.get("context") or {}).get("namespace") or "default")


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
            api = Api(configuration, observer, identity)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise UserError(f"certificates of {configuration.host} cannot be loaded: {error}") from error
    finally:
        # The loader writes certificates and keys that stand in the kubeconfig itself into temporary files. They are in
        # memory now; at exit, when the loader would remove them, is too late for a process that is killed.
        _cleanup_temp_files()  # type: ignore[no-untyped-call]
    try:
        yield api
    finally:
        await api.close()
        # aiohttp closes TLS transports in the next turn of the loop; without it, sockets are reported as leaked.
        await asyncio.sleep(0)
