"""Each cause for which the operator ends by itself: exit code 1, and a last line that docs/operations.md promises."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.cluster.faults import Launch, make_kubeconfig
from tests.cluster.faulty_proxy import FaultyProxy
from tests.cluster.operator_process import RUN, SOURCE
from tests.cluster.scenario import World

pytest_plugins = ["tests.cluster.fault_fixtures"]

TIMEOUT_SECONDS = 120
Prepare = Callable[[FaultyProxy, Path], list[str]]


class OldServer(http.server.BaseHTTPRequestHandler):
    """An API server that is too old."""

    def do_GET(self) -> None:
        body = json.dumps({"gitVersion": "v1.35.9"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def old_server() -> Iterator[int]:
    """Serve as one, on a port of its own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OldServer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def kubeconfig_for(folder: Path, port: int) -> str:
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(make_kubeconfig(f"http://127.0.0.1:{port}")))
    return f"--kubeconfig={path}"


def ended(*arguments: str, program: str = RUN) -> subprocess.CompletedProcess[str]:
    """Run an operator until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-c", program, "run", *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What it said last; AssertionError where it did not end with 1."""
    assert done.returncode == 1, done
    return done.stderr.splitlines()[-1]


def test_wrong_use() -> None:
    """An option that does not exist."""
    assert last_line(ended("--namspace=one")).startswith("Error: No such option '--namspace'")


def test_no_answer_at_its_start(tmp_path: Path) -> None:
    """Nobody listens."""
    assert last_line(ended(kubeconfig_for(tmp_path, 1))).startswith("Error: no answer from http://127.0.0.1:1")


def test_a_server_that_is_too_old(tmp_path: Path) -> None:
    """It says which version there is, and which it needs."""
    with old_server() as port:
        line = last_line(ended(kubeconfig_for(tmp_path, port)))
    assert "runs Kubernetes v1.35.9; bitgoeul needs 1.36 or newer" in line


def test_a_server_that_refuses_it_at_its_start(proxy: FaultyProxy) -> None:
    """With what the server says."""
    proxy.refusal = (403, "nobody may do anything")
    line = last_line(ended(f"--kubeconfig={proxy.kubeconfig('operator')}"))
    assert line.endswith("refuses: nobody may do anything")


def test_a_port_that_is_taken(proxy: FaultyProxy) -> None:
    """One that was asked for; the default is given up for a free one."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = last_line(ended(f"--kubeconfig={proxy.kubeconfig('operator')}", f"--metrics-port={port}"))
    assert line.startswith(f"Error: cannot serve metrics on 127.0.0.1 port {port}: ")


def test_a_watch_that_ends_for_good(fault_world: World, proxy: FaultyProxy, launch: Launch) -> None:
    """A kind that the server does not know any more."""
    operator = launch("operator", proxy.kubeconfig("operator"))
    fault_world.pool()
    proxy.refused = {"GET /apis/storage.k8s.io/v1/storageclasses": (404, "not here")}
    proxy.close_to_watches()
    proxy.open_to_watches()
    assert operator.wait_for_end() == 1
    assert operator.said().splitlines()[-1].startswith("Error: cannot go on: ")


def test_a_defect(proxy: FaultyProxy, fault_world: World) -> None:
    """With its traceback, for whoever is to mend it."""
    broken = "import bitgoeul.controller.planner as p; p.make_round = lambda *_: 1 / 0; "
    kubeconfig = f"--kubeconfig={proxy.kubeconfig('operator')}"
    done = ended(kubeconfig, "--metrics-port=0", program=broken + RUN)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
