"""The API server as its administrator sees it, over one kept connection: reads, writes, and a history of changes."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.waiting import eventually

Manifest = dict[str, Any]
MERGE = "application/merge-patch+json"
PATIENCE_SECONDS = 60
PAUSE_SECONDS = 0.1


class Admin:
    """Sends requests; kubectl would take a hundred times as long for each. Belongs to one thread."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._connection: http.client.HTTPSConnection | None = None

    def request(
        self, method: str, path: str, body: Manifest | None = None, content_type: str = "application/json"
    ) -> tuple[int, Manifest]:
        """
        Status and answer; asked again for a while where the API server wants patience, as for a kind that is new.

        Raises:
            OSError: The API server is away.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            status, answer = self._send(method, path, body, content_type)
            if status != 429 or "eviction" in path or time.monotonic() > deadline:
                return status, answer
            time.sleep(PAUSE_SECONDS)

    def _send(self, method: str, path: str, body: Manifest | None, content_type: str) -> tuple[int, Manifest]:
        data = None if body is None else json.dumps(body)
        for attempt in ("kept connection", "new connection"):
            fresh = self._connection is None
            self._connection = self._connection or connect(self._plane)
            try:
                self._connection.request(method, path, data, {"Content-Type": content_type})
                answer = self._connection.getresponse()
                return answer.status, json.loads(answer.read() or b"{}")
            except (OSError, http.client.HTTPException):
                self.close()
                if fresh or attempt == "new connection":
                    raise
        raise AssertionError("not reached")

    def get(self, path: str) -> Manifest:
        """An object or a list; what is absent is an AssertionError."""
        return self._expect("GET", path)

    def find(self, path: str) -> Manifest | None:
        """An object; None when there is none."""
        status, answer = self.request("GET", path)
        return None if status == 404 else checked(f"GET {path}", status, answer)

    def items(self, path: str) -> list[Manifest]:
        """The objects of a list."""
        found: list[Manifest] = self.get(path)["items"]
        return found

    def create(self, path: str, body: Manifest) -> Manifest:
        return self._expect("POST", path, body)

    def merge(self, path: str, body: Manifest) -> Manifest:
        """Merge patch."""
        return self._expect("PATCH", path, body, MERGE)

    def delete(self, path: str) -> None:
        """Delete; what is gone already is fine."""
        status, answer = self.request("DELETE", path)
        if status != 404:
            checked(f"DELETE {path}", status, answer)

    def _expect(self, method: str, path: str, *body: Any) -> Manifest:
        return checked(f"{method} {path}", *self.request(method, path, *body))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def checked(what: str, status: int, answer: Manifest) -> Manifest:
    """The answer, if it is no refusal."""
    assert status < 300, f"{what}: HTTP {status} {answer.get('message', '')}"
    return answer


def connect(plane: ControlPlane, timeout: float | None = PATIENCE_SECONDS) -> http.client.HTTPSConnection:
    """A connection with the administrator's certificate."""
    pki = plane.layout.pki
    tls = ssl.create_default_context(cafile=str(pki.cert("ca")))
    tls.load_cert_chain(pki.cert("admin"), pki.key("admin"))
    return http.client.HTTPSConnection("127.0.0.1", plane.ports.api_server, timeout=timeout, context=tls)


@dataclass(frozen=True, slots=True)
class Change:
    """
    One version of one object; versions count all changes of the cluster, whatever their kind.

    Attributes:
        found: It was there when the history began: its version says when it was last written, not in which order.
    """

    version: int
    gone: bool
    obj: Manifest
    found: bool = False

    @property
    def kind(self) -> str:
        return str(self.obj["kind"])

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.obj["metadata"].get("namespace", ""))


class History:
    """
    Everything that happens to some collections, from the API server's own streams, while the ``with`` block runs.

    A stream that breaks is an error: what it missed might have been what was looked for. Streams come a little later
    than answers: whoever asks for the changes, or leaves the block, gets all up to that moment.
    """

    def __init__(self, plane: ControlPlane, *paths: str) -> None:
        self._plane = plane
        self._paths = paths
        self._changes: list[Change] = []
        self._problems: list[str] = []
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._ending = False

    def __enter__(self) -> History:
        with closing(Admin(self._plane)) as admin:
            for path in self._paths:
                self._begin(path, admin.get(path))
        return self

    def _begin(self, path: str, found: Manifest) -> None:
        kind = found["kind"].removesuffix("List")
        for obj in found["items"]:
            self._changes.append(Change(version_of(obj), False, {**obj, "kind": kind}, found=True))
        stream = connect(self._plane, timeout=None)
        stream.request("GET", f"{path}?watch=1&resourceVersion={found['metadata']['resourceVersion']}")
        answer = stream.getresponse()
        self._sockets.append(stream.sock)
        thread = threading.Thread(target=self._follow, args=(path, stream, answer), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _follow(self, path: str, stream: http.client.HTTPSConnection, answer: http.client.HTTPResponse) -> None:
        with closing(stream), closing(answer), suppress(OSError, ValueError, http.client.HTTPException):
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    self._problems.append(f"{path}: {event['object']}")
                    return
                gone = event["type"] == "DELETED"
                self._changes.append(Change(version_of(event["object"]), gone, event["object"]))
        if not self._ending:
            self._problems.append(f"{path}: the stream ended")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._catch_up()
        finally:
            self._end()

    def _end(self) -> None:
        self._ending = True
        for stream in self._sockets:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def changes(self) -> list[Change]:
        """What was there at first, then what has happened so far, in the order in which it happened."""
        if not self._ending:
            self._catch_up()
        assert not self._problems, self._problems
        return sorted(self._changes, key=lambda change: (not change.found, change.version))

    def _catch_up(self) -> None:
        """Wait until the streams have shown what a list shows now."""
        listed: dict[str, int] = {}  # kind → version of the list
        there: dict[str, int] = {}  # UID → version
        with closing(Admin(self._plane)) as admin:
            for path in self._paths:
                found = admin.get(path)
                listed[found["kind"].removesuffix("List")] = version_of(found)
                there |= {uid_of(obj): version_of(obj) for obj in found["items"]}

        def missing() -> list[str]:
            newest = {uid_of(change.obj): change for change in sorted(self._changes, key=lambda one: one.version)}
            unseen = [uid for uid, version in there.items() if uid not in newest or newest[uid].version < version]
            undead = [
                uid
                for uid, change in newest.items()
                if not change.gone and uid not in there and change.version <= listed[change.kind]
            ]
            return unseen + undead

        def shown() -> bool:
            assert not self._problems, self._problems
            return not missing()

        eventually(shown, "the streams have come this far")


def uid_of(obj: Manifest) -> str:
    return str(obj["metadata"]["uid"])


def version_of(obj: Manifest) -> int:
    """Of an object, or of a whole list."""
    return int(obj["metadata"]["resourceVersion"])
