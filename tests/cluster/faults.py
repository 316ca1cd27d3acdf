"""Commands that start in milliseconds, servers that fail, and what a cluster looks like to those who compare."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitgoeul.api.names import ALLOCATION_LABEL, LEASE_NAME, OPERATOR_NAMESPACE
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    CHILD_KINDS,
    LEASE,
    NAMESPACE,
    OWN_KINDS,
    TENANT_ALLOCATION,
)
from bitgoeul.local.components import API_SERVER, CLIENTS
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import MERGE, Admin, Manifest
from tests.cluster.operator_process import SOURCE, OperatorProcess
from tests.cluster.waiting import eventually

# Starts an operator; see the fixture ``launch``.
Launch = Callable[..., OperatorProcess]

Kubeconfig = dict[str, Any]

# What no two runs have in common, and nobody decides by.
RANDOM = {
    *("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields"),
    *("lastTransitionTime", "since", "observedGeneration", "volumeName", "generateName"),
    # Of a window that begins when there is room, and of what is taken back when its time is over.
    *("start", "drainAt", "excessDrainAt", "drainStartedAt", "dataDeleteStartedAt"),
}


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str


class ForkServer:
    """Starts commands of bitgoeul by forking; see ``fork_server``. What it has started ends with it."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: For what the commands say.
        """
        self._folder = folder

    def __enter__(self) -> ForkServer:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.fork_server"],
            cwd=Path(__file__).parents[2],
            env={"PYTHONPATH": str(SOURCE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start_operator(self, kubeconfig: Path, log: Path) -> int:
        """Start one operator; gives its pid."""
        return self._order(["run", f"--kubeconfig={kubeconfig}", "--metrics-port=0"], {}, log, log, wait=False)

    def run(self, *arguments: str, **environment: str) -> Finished:
        """Run a command to its end, with this environment and no other."""
        out, err = self._folder / "out", self._folder / "err"
        for file in (out, err):
            file.unlink(missing_ok=True)
        code = self._order(list(arguments), environment, out, err, wait=True)
        return Finished(code, out.read_text(), err.read_text())

    def _order(self, arguments: list[str], environment: dict[str, str], out: Path, err: Path, *, wait: bool) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "arguments": arguments,
            "environment": {"HOME": str(self._folder), "PATH": os.defpath, **environment},
            "out": str(out),
            "err": str(err),
            "wait": wait,
        }
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


def make_kubeconfig(server: str, **user: str) -> Kubeconfig:
    """A kubeconfig for a server, without any certificate."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "one", "cluster": {"server": server}}],
        "users": [{"name": "one", "user": user}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        "current-context": "one",
    }


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """A process that stands still meanwhile, and does not know it."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def forget_lease(admin: Admin) -> None:
    """Let the next operator lead at once; how long it waits for the Lease of a dead one is shown elsewhere."""
    admin.delete(LEASE.path(LEASE_NAME, OPERATOR_NAMESPACE))


def release_all(admin: Admin) -> None:
    """Let go what waits for an operator before it may be deleted: there is none any more."""
    for kind in OWN_KINDS:
        for obj in admin.items(kind.path()):
            metadata = obj["metadata"]
            if metadata.get("deletionTimestamp") and metadata.get("finalizers"):
                admin.request("PATCH", kind.path(metadata["name"]), {"metadata": {"finalizers": None}}, MERGE)


def pass_time(until: float) -> None:
    """Wait for a moment of the monotonic clock."""
    eventually(lambda: time.monotonic() >= until, "time passes", 600)


def bring_back_api_server(plane: ControlPlane) -> None:
    """
    Start the API server that was killed, and wait until all is ready.

    Its other clients start afresh: after an outage they would pause for up to half a minute, which is their business.
    """
    plane.start_component(API_SERVER)
    eventually(lambda: plane.call("GET", "/readyz")[0] == 200, "the API server is ready")
    for component in CLIENTS:
        plane.kill_component(component)
        plane.start_component(component)
    plane.wait_ready()


def compact(plane: ControlPlane, admin: Admin) -> None:
    """Have etcd forget all versions but the newest, so that no watch can go on from an older one."""
    revision = int(admin.get("/api/v1/namespaces")["metadata"]["resourceVersion"])
    with closing(http.client.HTTPConnection("etcd")) as connection, socket.socket(socket.AF_UNIX) as etcd:
        etcd.connect(str(plane.layout.directory / "etcd.sock:0"))
        connection.sock = etcd
        connection.request("POST", "/v3/kv/compaction", json.dumps({"revision": revision, "physical": True}))
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()


def picture(admin: Admin, allocations: Iterable[str], names: dict[str, str]) -> dict[str, Any]:
    """
    All that stands for some allocations, without what differs from run to run.

    Args:
        names: What replaces which word everywhere: names that differ from run to run, and UIDs. UIDs of the
            allocations that exist are added.
    """
    wanted = set(allocations)
    own = [one for one in admin.items(TENANT_ALLOCATION.path()) if one["metadata"]["name"] in wanted]
    live = {one["metadata"]["uid"]: f"uid-of-{names[one['metadata']['name']]}" for one in own}
    names.update(live)
    selector = f"?labelSelector={ALLOCATION_LABEL}%20in%20({','.join(sorted(wanted))})"
    found = {TENANT_ALLOCATION.kind: own}
    for kind in (NAMESPACE, *CHILD_KINDS):
        found[kind.kind] = [one for one in admin.items(kind.path() + selector) if is_owned(one, live.keys())]
    pools = [one["status"] for one in admin.items(ACCELERATOR_POOL.path()) if "status" in one]
    text = json.dumps([steady(found), steady(pools)])
    words = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
    objects, pools = json.loads(words.sub(lambda match: names[match[0]], text))
    return {
        "pools": pools,
        **{
            f"{kind} {one['metadata'].get('namespace', '')}/{one['metadata']['name']}": one
            for kind, items in objects.items()
            for one in items
        },
    }


def steady(value: Any) -> Any:
    """A copy without the fields that differ from run to run; a deletion under way stays to be seen."""
    if isinstance(value, list):
        return [steady(item) for item in value]
    if isinstance(value, dict):
        kept = {key: steady(item) for key, item in value.items() if key not in RANDOM}
        return kept | ({"deleting": True} if "deletionTimestamp" in value else {})
    return value


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Where two pictures differ, one line each."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for key in sorted(expected.keys() | found.keys())
            for line in differences(expected.get(key), found.get(key), f"{path}.{key}" if path else key)
        ]
    return [] if expected == found else [f"{path}: {expected!r} → {found!r}"]


def is_owned(obj: Manifest, live: Set[str]) -> bool:
    """
    False for what has lost its owner: the garbage collector deletes it in its own time.

    It also removes single references to owners that are gone, so these are left out of the object here.
    """
    metadata = obj["metadata"]
    owners = metadata.get("ownerReferences", [])
    metadata["ownerReferences"] = [owner for owner in owners if owner["uid"] in live]
    return bool(metadata["ownerReferences"]) or not owners
