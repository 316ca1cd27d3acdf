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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import pytest
import yaml

from bitgoeul.demo.samples import IN_SOURCE_TREE, read_model_case
from bitgoeul.local.build import ensure_binary
from tests.cluster.api_objects import install_crds
from tests.cluster.kubectl import Kubectl
from tests.cluster.processes import processes_in
from tests.cluster.waiting import eventually

# The kernel ends it with us, even if we are killed ourselves. 1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
DEMO = "import ctypes; ctypes.CDLL(None).prctl(1, 9); from bitgoeul.cli.main import main; main()"
ESCAPE = "\x1b"
# The whole story takes 25 s on two idle cores.
PATIENCE_SECONDS = 300.0


@dataclass
class Demo:
    """One run in a home of its own; ``said`` and ``complained`` grow while it runs."""

    home: Path
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    complained: list[str] = field(default_factory=list)
    readers: list[Thread] = field(default_factory=list)

    def await_line(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until a line matches, and return it."""

        def look() -> str:
            ended = self.process.poll() is not None
            if ended:
                self.end()
            found = next((line for line in self.said if re.search(pattern, line)), "")
            if ended and not found:
                raise RuntimeError(f"it ended: {self.complained}")
            return found

        return eventually(look, f"a line like {pattern!r}", seconds)

    def end(self, seconds: float = PATIENCE_SECONDS) -> int:
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
    eventually(lambda: nothing_left(home), "nothing is left")


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
    with running(tmp_path_factory.mktemp("once"), "--once") as demo:
        demo.await_line("is ready after")
        ports = demo.ports()
        code = demo.end()
    assert (code, demo.complained) == (0, []), demo.complained
    assert all(map(refuses, ports))
    return Transcript(demo.said)


def test_the_pilot_is_admitted(transcript: Transcript) -> None:
    """On the first day of the pilot, which the operator's clock says: 11 tenants, until its last day."""
    assert "it is 15 February 2021, 09:00 in Korea, which is 00:00 UTC: stage pilot-2021 begins" in transcript.text
    assert "The 11 pilot tenants apply, until 2021-04-01 (exclusive). All fit, and are Active" in transcript.text
    assert "236 of 280 A100 are promised" in transcript.text


def test_the_formal_service_is_promised(transcript: Transcript) -> None:
    """Six fit on 15 April and are Scheduled; the stage of 2021 is all but full then."""
    promised = "gaon rngd×12, haneul a100×128, hyanggyo a100×48, miru a100×24, solbit a100×64, sora a100×8"
    assert f"Scheduled: {promised}" in transcript.text
    assert "promised its start, 2021-04-15: 272 of 280 A100 from then on" in transcript.text


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            "dambi rngd×160 Waiting, position 1. WindowNotOpen: asks to start 2021-04-15 and needs 160 of rngd, 20 "
            "available then; earliest start 2024-01-01 when stage full-2024 of rngd begins",
            id="for more of what there is",
        ),
        pytest.param(
            "hanbit h100×320 Waiting, position 1. WaitingForCapacity: needs 320 of h100, 0 available; "
            "earliest start 2024-01-01 when stage full-2024 of h100 begins",
            id="for what there is not yet",
        ),
        pytest.param(
            "nabi a100×80 Waiting, position 1. WindowNotOpen: asks to start 2021-04-15 and needs 80 of a100, 8 "
            "available then; earliest start 2022-01-02 when an earlier grant ends",
            id="for the end of an earlier grant",
        ),
        pytest.param("onggi rngd×96 Waiting, position 2. WindowNotOpen:", id="behind somebody"),
        pytest.param(
            "pureun a100×8 Waiting, position 2. BlockedByEarlier: would fit now (8 of a100 with 8 available), but "
            "would delay somebody ahead; 1 ahead; earliest start 2023-01-03",
            id="for somebody ahead, although it would fit",
        ),
        pytest.param(
            "taesan h100×2000 Refused. ExceedsPoolCapacity: needs 2000 of h100, which can never give more than 1240",
            id="for what no stage ever gives",
        ),
    ],
)
def test_those_who_wait_are_told_why_and_until_when(transcript: Transcript, answer: str) -> None:
    """With the reason, the numbers, and the event that gives them their earliest start."""
    assert answer in transcript.text


def test_the_end_is_told_before_it_comes(transcript: Transcript) -> None:
    """Everybody of the pilot is Expiring three days before, and can read what will happen when."""
    assert "29 March 2021, three days before the end. All 11 pilot tenants work on, now Expiring" in transcript.text
    notice = "notice of 2021-03-25: ends 2021-04-01, no new pods from then on; pods are evicted 2021-04-02"
    assert f"> {notice}" in transcript.text


def test_after_the_end_nothing_new_begins(transcript: Transcript) -> None:
    """The quota is 0, by the word of the API server, and running pods have their grace."""
    assert "the quotas 0, the 10 without pods Expired. The 3 pods of sarangbang have a day of grace" in transcript.text
    assert "limited: pods=0,requests.nvidia.com/gpu=0" in transcript.text


def test_after_the_grace_all_is_given_back_but_data(transcript: Transcript) -> None:
    """Pods are evicted, devices free, and the claim is still there."""
    assert "the pods are evicted, all 11 are Expired, and 280 A100 are free" in transcript.text
    assert "Data is kept: drives (10T) of sarangbang is still bound" in transcript.text


def test_promises_are_kept(transcript: Transcript) -> None:
    """On 15 April all that were promised it are Active, and the others see their earliest start."""
    assert "15 April 2021: the formal service begins. The 6 promised starts are kept" in transcript.text
    start = next(number for number, line in enumerate(transcript.lines) if line.startswith("10 15 April"))
    rows = [re.split(r"\s{2,}", line.strip()) for line in transcript.lines[start + 3 : start + 15]]
    assert {row[0]: row[2] for row in rows} == {
        **dict.fromkeys(("gaon", "haneul", "hyanggyo", "miru", "solbit", "sora"), "Active"),
        **dict.fromkeys(("dambi", "hanbit", "nabi", "onggi", "pureun"), "Waiting"),
        "taesan": "Refused",
    }
    assert {row[0]: row[4] for row in rows if row[2] == "Waiting"} == {
        "dambi": "2024-01-01",
        "hanbit": "2024-01-01",
        "nabi": "2022-01-02",
        "onggi": "2026-01-02",
        "pureun": "2023-01-03",
    }


def test_forecasts_hold(transcript: Transcript) -> None:
    """Who waited for the end of an earlier grant starts when it ends, and who waited for the stage when it begins."""
    assert "1 January 2022: solbit and sora end" in transcript.text
    assert "so that nabi, told 2022-01-02 nine months ago, starts a day sooner" in transcript.text
    assert "1240 H100 are installed and 0 can be granted: the stage has not begun" in transcript.text
    assert "1 January 2024: stage full-2024 begins, with 88.5 PF and 107 PB" in transcript.text
    assert "dambi and hanbit are Active, on the day that they were told in 2021; so is pureun" in transcript.text


def test_the_last_tables_add_up(transcript: Transcript) -> None:
    """Who has what in 2024, and what the pools have left."""
    assert transcript.tenants("Active") == {"dambi", "gaon", "hanbit", "haneul", "hyanggyo", "miru", "pureun"}
    assert transcript.tenants("Waiting") == {"onggi"}
    assert transcript.tenants("Refused") == {"taesan"}
    assert transcript.tenants("Expired") == {"nabi", "solbit", "sora"}
    assert "(left out here: 11 pilot tenants, Expired)" in transcript.text
    # effective, granted, available, waiting, in use
    assert transcript.row("a100", "A100-SXM4-80GB")[2:] == ["full-2024", "280", "208", "72", "0", "0", "True"]
    assert transcript.row("h100", "H100-SXM5-80GB")[2:] == ["full-2024", "1240", "320", "920", "0", "0", "True"]
    assert transcript.row("rngd", "RNGD")[2:] == ["full-2024", "256", "172", "84", "96", "0", "True"]
    assert transcript.row("lustre", "lustre")[2:4] == ["full-2024", "107P"]
    assert "All is settled, 23 tenants: 7 Active, 1 Waiting, 1 Refused, 14 Expired." in transcript.text


def test_the_readme_shows_what_the_demo_does(transcript: Transcript) -> None:
    """Its table line by line, and its allocation field by field: the first thing that people see is true."""
    readme = (IN_SOURCE_TREE.parents[1] / "README.md").read_text()
    allocation = yaml.safe_load(readme.partition("```yaml\n")[2].partition("```")[0])
    solbit = next(obj for obj in read_model_case().formal if obj["metadata"]["name"] == "solbit")
    assert allocation["spec"] == solbit["spec"]
    table = readme.partition("$ kubectl get ta")[2].partition("```")[0].splitlines()[1:]
    printed = {line.strip() for line in transcript.lines}
    assert len(table) > 4
    assert [line for line in table if line not in printed] == []


def test_the_beginning_adds_up(transcript: Transcript) -> None:
    """The pools have the figures of the model case, of both stages."""
    for line in (
        "a100: 280 devices (5.46 PF) on 35 nodes; from 2024-01-01: 280 devices (5.46 PF)",
        "h100: no node yet; from 2024-01-01: 1240 devices (83.08 PF)",
        "rngd: 32 devices on 4 nodes; from 2024-01-01: 256 devices",
        "lustre: 10.7 PB as declared; from 2024-01-01: 107 PB",
    ):
        assert line in transcript.text


def test_a_tenant_runs_up_to_its_quota(transcript: Transcript) -> None:
    """Three pods run on nodes of the pool, and what is in use rises by their devices."""
    for number in (1, 2, 3):
        ready, status, node = transcript.row(f"train-{number}")[1:]
        assert (ready, status) == ("1/1", "Running")
        assert re.fullmatch(r"a100-\d\d", node)
    assert "Of a100 236 are granted, and 0 → 6 in use" in transcript.text


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
    assert "Simulated: nodes, what runs on them, time." in transcript.text
    assert "Assumed: NPUs, how 88.5 PF divide into devices, the day in 2024" in transcript.text


def test_every_step_names_the_command_that_shows_the_same(transcript: Transcript) -> None:
    """A step without its command could not be checked by the reader."""
    steps = re.split(r"^\d+ +", "\n".join(transcript.lines), flags=re.MULTILINE)[1:]
    assert len(steps) == 13
    assert all("\n   $ kubectl " in step for step in steps)


def test_a_pipe_gets_plain_text(transcript: Transcript) -> None:
    """No escapes; short enough for a page, narrow enough for any terminal."""
    assert ESCAPE not in transcript.text
    assert len(transcript.lines) < 150
    assert max(map(len, transcript.lines)) < 100
    assert not [line for line in transcript.lines if line != line.rstrip()]


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
        eventually(lambda: moment(demo), "the moment", PATIENCE_SECONDS)
        demo.process.send_signal(number)
        assert demo.end() == code
        assert demo.complained == []


def test_without_once_it_goes_on_until_ctrl_c(home: Path) -> None:
    """The cluster stays open to kubectl, changes are told, and Ctrl-C is the ordinary end."""
    with running(home) as demo:
        demo.await_line("yours until Ctrl-C")
        kubeconfig = demo.await_line(r"export KUBECONFIG=").partition("=")[2]
        ports = demo.ports()
        kubectl = Kubectl(ensure_binary(), Path(kubeconfig))
        kubectl("delete", "tenantallocation", "dambi")
        demo.await_line(r"22 tenants: 7 Active, 1 Refused, 14 Expired; a100 208 of 280 granted, 0 in use")
        demo.process.send_signal(signal.SIGINT)
        assert demo.end() == 0
        assert demo.complained == []
    assert all(map(refuses, ports))


def test_on_a_terminal_the_board_is_live(home: Path) -> None:
    """The tables are drawn again and again in their place, with colours."""
    with running(home, "--once", terminal=True) as demo:
        demo.await_line("NAME.*ACCELERATORS.*PHASE")
        demo.await_line(f"{ESCAPE}.*byeolmaru.*Active")
        demo.process.send_signal(signal.SIGINT)
        assert demo.end() == 130
        assert demo.complained == []


def test_what_does_not_settle_is_named(home: Path) -> None:
    """Without a controller manager no quota is ever enforced: nobody gets access, and the demo says so."""
    # Longer than the operator has patience with what is being set up, before it tells what hinders it.
    with running(home, "--once", "--timeout", "20") as demo:
        demo.await_line("^2  ")
        os.kill(demo.pid("kube-controller-manager"), signal.SIGKILL)
        assert demo.end() == 1
        (complaint,) = demo.complained
    assert re.match(r"Error: the (pilot|pools) did not settle within 20 s: .*QuotaNotEnforced", complaint)


@pytest.mark.parametrize("path", sorted(path.name for path in IN_SOURCE_TREE.iterdir()))
def test_samples_pass_strict_validation(kubectl: Kubectl, path: str) -> None:
    """The API server knows every field of every sample, and has nothing against any value."""
    install_crds(kubectl)
    kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(IN_SOURCE_TREE / path))
