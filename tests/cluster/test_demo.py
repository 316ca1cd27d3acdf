"""`bitgoeul demo` as a person runs it: the story it tells, how it ends, and that nothing of it remains."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import pytest

from bitgoeul.demo.samples import IN_SOURCE_TREE
from bitgoeul.local.build import ensure_binary
from tests.cluster.api_objects import install_crds
from tests.cluster.kubectl import Kubectl
from tests.cluster.processes import processes_in
from tests.cluster.waiting import eventually

# The kernel ends it with us, even if we are killed ourselves. 1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
DEMO = "import ctypes; ctypes.CDLL(None).prctl(1, 9); from bitgoeul.cli.main import main; main()"
PILOTS = {
    "byeolmaru",
    "dallae",
    "dokkaebi",
    "gareum",
    "haenuri",
    "maru",
    "narae",
    "nuri",
    "onnuri",
    "saebyeok",
    "sarangbang",
}
ESCAPE = "\x1b"


@dataclass
class Demo:
    """One run in a home of its own; ``said`` and ``complained`` grow while it runs."""

    home: Path
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    complained: list[str] = field(default_factory=list)
    readers: list[Thread] = field(default_factory=list)

    def await_line(self, pattern: str, seconds: float = 120) -> str:
        """Wait until a line matches, and return it."""

        def look() -> str:
            assert self.process.poll() is None, f"it ended: {self.complained}"
            return next((line for line in self.said if re.search(pattern, line)), "")

        return eventually(look, f"a line like {pattern!r}", seconds)

    def end(self, seconds: float = 120) -> int:
        """Wait for the end; returns the exit code."""
        code = self.process.wait(seconds)
        for reader in self.readers:
            reader.join()
        return code

    def pid(self, component: str) -> int:
        """The process of a component of its control plane."""
        return next(pid for pid, line in processes_in(self.home).items() if line.startswith(component))

    def ports(self) -> list[int]:
        """The ports that its control plane listens on."""
        (state,) = self.home.glob("bitgoeul-*/state.json")
        return list(json.loads(state.read_text())["ports"].values())


@contextmanager
def running(home: Path, *options: str, terminal: bool = False) -> Iterator[Demo]:
    """A demo with its output in a pipe, or on a terminal; nothing of it may remain, however it ended."""
    environment = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    environment |= {"TMPDIR": str(home), "TERM": "xterm"}
    source, sink = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", DEMO, "demo", *options], env=environment, stdout=sink, stderr=subprocess.PIPE, text=True
    )
    os.close(sink)
    assert process.stderr is not None
    demo = Demo(home, process)
    with os.fdopen(source) as output, process:
        for stream, lines in ((output, demo.said), (process.stderr, demo.complained)):
            reader = Thread(target=read_into, args=(stream, lines))
            reader.start()
            demo.readers.append(reader)
        try:
            yield demo
        finally:
            process.kill()
            demo.end()
    eventually(lambda: nothing_left(home), "nothing is left", seconds=10)


def read_into(stream: Iterator[str], lines: list[str]) -> None:
    with contextlib.suppress(OSError):  # a terminal whose other side is closed
        for line in stream:
            lines.append(line.rstrip("\r\n"))


def nothing_left(home: Path) -> bool:
    """No process, and no file."""
    return not processes_in(home) and not list(home.iterdir())


def refuses(port: int) -> bool:
    """Whether nobody listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@dataclass(frozen=True)
class Transcript:
    """What one undisturbed run said."""

    lines: list[str]
    seconds: float

    @property
    def text(self) -> str:
        """As one line of words: facts may stand on both sides of a line break."""
        return " ".join(" ".join(self.lines).split())

    def row(self, *cells: str) -> list[str]:
        """The last line that starts with these cells, as its cells."""
        rows = [re.split(r"\s{2,}", line.strip()) for line in self.lines]
        return next(row for row in reversed(rows) if row[: len(cells)] == list(cells))

    def tenants(self, phase: str) -> set[str]:
        """Who has this phase in the last table."""
        start = max(number for number, line in enumerate(self.lines) if line.strip().startswith("NAME"))
        return {line.split()[0] for line in self.lines[start + 1 :] if f" {phase} " in line}


@pytest.fixture
def home(tmp_path: Path, _binary: None) -> Path:
    """Where a demo keeps its temporary files; the control plane is built."""
    return tmp_path


@pytest.fixture(scope="module")
def transcript(_binary: None, tmp_path_factory: pytest.TempPathFactory) -> Transcript:
    """`bitgoeul demo --once`, from its start to its end."""
    started = time.monotonic()
    with running(tmp_path_factory.mktemp("once"), "--once") as demo:
        demo.await_line("is ready after")
        ports = demo.ports()
        code = demo.end()
        seconds = time.monotonic() - started
    assert (code, demo.complained) == (0, [])
    assert all(map(refuses, ports))
    return Transcript(demo.said, seconds)


def test_the_pilot_is_admitted(transcript: Transcript) -> None:
    """11 tenants of the pilot, and the one after them whom nobody ahead hinders."""
    assert "The 11 pilot tenants apply" in transcript.text
    assert transcript.tenants("Active") == PILOTS | {"gaon"}


def test_those_who_wait_are_told_why(transcript: Transcript) -> None:
    """In the order of the queue, with reason, numbers and a way out."""
    assert transcript.tenants("Waiting") == {"solbit", "hyanggyo", "miru"}
    text = transcript.text
    assert "solbit Waiting, position 1, priority 200. WaitingForCapacity: needs 64 of a100, 44 available" in text
    assert "hyanggyo Waiting, position 2, priority 100. WaitingForCapacity: needs 48 of a100" in text
    assert "miru Waiting, position 3, priority 100. BlockedByEarlier: would fit now" in text


def test_the_impossible_is_refused(transcript: Transcript) -> None:
    """300 of 280 will never fit: refused at once, with what would be possible."""
    assert transcript.tenants("Refused") == {"taesan"}
    assert "ExceedsPoolCapacity: needs 300 of a100, which can never give more than 280" in transcript.text


def test_pools_add_up(transcript: Transcript) -> None:
    """The last table has the figures of the model case, and what pods hold."""
    assert "a100: 280 devices on 35 nodes, 5.46 PF" in transcript.text
    assert "lustre: 10.7 PB" in transcript.text
    # effective, granted, available, waiting, in use
    assert transcript.row("a100", "A100-SXM4-80GB")[2:] == ["280", "236", "44", "128", "6", "True"]
    assert transcript.row("rngd", "RNGD")[2:] == ["32", "28", "4", "0", "0", "True"]


def test_a_tenant_runs_up_to_its_quota(transcript: Transcript) -> None:
    """Three pods run on nodes of the pool, and what is in use rises by their devices."""
    for number in (1, 2, 3):
        ready, status, node = transcript.row(f"train-{number}")[1:]
        assert (ready, status) == ("1/1", "Running")
        assert re.fullmatch(r"a100-\d\d", node)
    assert "0 → 6 in use" in transcript.text


def test_one_pod_more_is_refused_by_the_api_server(transcript: Transcript) -> None:
    """The text is the API server's own, with what was asked, used and allowed."""
    refusal = (
        'pods "train-4" is forbidden: exceeded quota: bitgoeul, requested: requests.nvidia.com/gpu=2, '
        "used: requests.nvidia.com/gpu=6, limited: requests.nvidia.com/gpu=6"
    )
    assert refusal in transcript.text


def test_it_says_what_is_not_real(transcript: Transcript) -> None:
    """Nodes are simulated, organisations invented, and figures that are assumed are called so."""
    assert "They are simulated: kwok plays their kubelets." in transcript.text
    assert "All organisations are invented examples." in transcript.text
    assert "Assumed: NPUs, what tenants ask for." in transcript.text


def test_every_step_names_the_command_that_shows_the_same(transcript: Transcript) -> None:
    """A step without its command could not be checked by the reader."""
    steps = re.split(r"^\d  ", "\n".join(transcript.lines), flags=re.MULTILINE)[1:]
    assert len(steps) == 7
    assert all("\n   $ kubectl " in step for step in steps)


def test_a_pipe_gets_plain_text(transcript: Transcript) -> None:
    """No escapes; short enough for a page, narrow enough for any terminal."""
    assert ESCAPE not in transcript.text
    assert len(transcript.lines) < 80
    assert max(map(len, transcript.lines)) < 100
    assert not [line for line in transcript.lines if line != line.rstrip()]


def test_it_is_quick(transcript: Transcript) -> None:
    """Long enough to get a cup of tea would be too long; 15 s are usual on two cores, and this machine may be busy."""
    assert transcript.seconds < 90


def starting(demo: Demo) -> object:
    """The control plane is on its way up, and no event loop runs yet."""
    return any(line.startswith("kube-apiserver") for line in processes_in(demo.home).values())


def provisioning(demo: Demo) -> object:
    """Tenants have been created, and the operator is at work."""
    return any(line.startswith("2  ") for line in demo.said)


@pytest.mark.parametrize(
    ("moment", "number", "code"),
    [
        pytest.param(starting, signal.SIGINT, 130, id="Ctrl-C while the control plane starts"),
        pytest.param(provisioning, signal.SIGINT, 130, id="Ctrl-C while tenants are provisioned"),
        pytest.param(provisioning, signal.SIGTERM, 143, id="SIGTERM while tenants are provisioned"),
        pytest.param(provisioning, signal.SIGKILL, -9, id="kill -9 while tenants are provisioned"),
    ],
)
def test_an_interrupted_run_leaves_nothing(
    home: Path, moment: Callable[[Demo], object], number: signal.Signals, code: int
) -> None:
    """It did not get to its end, so the exit code says by what it ended; nothing is complained about."""
    with running(home, "--once") as demo:
        eventually(lambda: moment(demo), "the moment", seconds=60)
        demo.process.send_signal(number)
        assert demo.end(20) == code
        assert demo.complained == []


def test_without_once_it_goes_on_until_ctrl_c(home: Path) -> None:
    """The cluster stays open to kubectl, changes are told, and Ctrl-C is the ordinary end."""
    with running(home) as demo:
        demo.await_line("yours until Ctrl-C")
        kubeconfig = demo.await_line(r"export KUBECONFIG=").partition("=")[2]
        ports = demo.ports()
        kubectl = Kubectl(ensure_binary(), Path(kubeconfig))
        kubectl("delete", "tenantallocation", "narae")
        demo.await_line(r"15 tenants: 12 Active, 2 Waiting, 1 Refused; a100 268 of 280 granted, 6 in use")
        demo.process.send_signal(signal.SIGINT)
        assert demo.end(20) == 0
        assert demo.complained == []
    assert all(map(refuses, ports))


def test_on_a_terminal_the_board_is_live(home: Path) -> None:
    """The tables are drawn again and again in their place, with colours."""
    with running(home, "--once", terminal=True) as demo:
        demo.await_line("NAME.*ACCELERATORS.*PHASE")
        demo.await_line(f"{ESCAPE}.*sarangbang.*Active")
        demo.process.send_signal(signal.SIGINT)
        assert demo.end(20) == 130
        assert demo.complained == []


def test_what_does_not_settle_is_named(home: Path) -> None:
    """Without a controller manager no quota is ever enforced: nobody gets access, and the demo says so."""
    with running(home, "--once", "--timeout", "8") as demo:
        demo.await_line("^2  ")
        os.kill(demo.pid("kube-controller-manager"), signal.SIGKILL)
        assert demo.end() == 1
        (complaint,) = demo.complained
    assert re.match(r"Error: the (pilot|pools) did not settle within 8 s: .*QuotaNotEnforced", complaint)


@pytest.mark.parametrize("path", ["model-case", "one-gpu-pool.yaml", "gpu-beside-npu.yaml"])
def test_samples_pass_strict_validation(kubectl: Kubectl, path: str) -> None:
    """The API server knows every field of every sample, and has nothing against any value."""
    install_crds(kubectl)
    kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(IN_SOURCE_TREE / path))
