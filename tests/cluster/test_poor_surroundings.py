"""Commands work without a user's name, a home folder or a terminal, and where output cannot hold every letter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.api_objects import make_allocation
from tests.cluster.contained import missing
from tests.cluster.operator_process import RUN, SOURCE
from tests.cluster.scenario import World

ORGANIZATION = "빛고을 자동차 🚀"  # EUC-KR has no rocket, ASCII nothing of it
TIMEOUT_SECONDS = 120


def run(
    *arguments: str, before: str = "", after: str = "", user: int | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with this environment and no other, by a shell that may redirect streams."""
    variables = {"PATH": os.defpath, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        ["/bin/sh", "-c", f'{before} "$@" {after}', "sh", sys.executable, "-c", RUN, *arguments],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        user=user,
    )


@pytest.fixture
def tenant(world: World) -> str:
    """An allocation of an organization whose name few encodings can hold."""
    pool = world.pool(devices=2)
    tenant = world.allocate("blue", {pool: 1}, organization={"name": ORGANIZATION, "class": "Startup"})
    world.await_phase(tenant, "Active")
    world.await_phase(world.allocate("red", {pool: 2}, organization={"name": ORGANIZATION, "class": "SME"}), "Waiting")
    return tenant


@pytest.mark.parametrize("encoding", ["euc-kr", "ascii", "utf-8"])
def test_every_command_says_what_it_can(
    world: World, control_plane: ControlPlane, tenant: str, tmp_path: Path, encoding: str
) -> None:
    """Without HOME, USER and TERM: letters that the output cannot hold are escaped, and JSON is right all the same."""
    file = tmp_path / "new.yaml"
    wanted = {"name": ORGANIZATION, "class": "SME"}
    file.write_text(
        yaml.safe_dump(make_allocation(world.name("new"), organization=wanted), allow_unicode=True), encoding="utf-8"
    )
    waiting = world.name("red")
    target = f"--kubeconfig={control_plane.kubeconfig}"
    looking = (
        *(("status",), ("status", tenant), ("why", tenant), ("why", waiting), ("queue",), ("calendar",), ("pools",)),
        *(("expiring",), ("doctor",), ("plan", "-f", str(file))),
    )
    for arguments in looking:
        done = run(*arguments, target, PYTHONIOENCODING=encoding)
        assert b"Traceback" not in done.stderr, done
        assert done.returncode in (0, 1), done
        done = run(*arguments, target, "-o", "json", PYTHONIOENCODING=encoding)
        assert b"Traceback" not in done.stderr, done
        assert json.loads(done.stdout), done
    found = json.loads(run("why", tenant, target, "-o", "json", PYTHONIOENCODING=encoding).stdout)
    assert ORGANIZATION in json.dumps(found, ensure_ascii=False)
    for alone in (("--help",), ("run", "--help"), ("crds",), ("completion", "bash")):
        done = run(*alone, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b""), done
    output = str(tmp_path / "bundle.tar.gz")
    done = run("bundle", target, "-o", output, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b""), done


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        pytest.param("up", "XDG_STATE_HOME", id="up"),
        pytest.param("down", "XDG_STATE_HOME", id="down"),
        pytest.param("demo", "XDG_CACHE_HOME", id="demo"),
    ],
)
@pytest.mark.skipif(missing() != "", reason=missing())
def test_a_command_that_needs_a_folder_says_what_to_set(command: str, variable: str) -> None:
    """In one line, where there is no home folder."""
    rights = "setpriv --reuid=10001 --regid=10001 --clear-groups"
    done = run(command, before=rights)
    assert (done.returncode, done.stderr.decode()) == (
        1,
        f"Error: there is no home folder: set {variable} or HOME to a folder that you may write to\n",
    )


@pytest.mark.parametrize(
    "closing",
    [
        pytest.param("<&-", id="standard input"),
        pytest.param(">&-", id="standard output"),
        pytest.param("2>&-", id="standard error"),
        pytest.param("<&- >&- 2>&-", id="all three"),
    ],
)
def test_a_stream_that_is_closed_harms_nobody(control_plane: ControlPlane, world: World, closing: str) -> None:
    """No socket takes the place of one, to be written to by mistake."""
    done = run("status", f"--kubeconfig={control_plane.kubeconfig}", after=closing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_nothing_on_standard_input_is_told(control_plane: ControlPlane, world: World) -> None:
    """A plan that is to be read from an input that is closed has nothing in it: one line."""
    done = run("plan", "-f", "-", f"--kubeconfig={control_plane.kubeconfig}", after="<&-")
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1, done


def test_a_reader_that_goes_away_is_no_error(control_plane: ControlPlane, world: World, tenant: str) -> None:
    """As with ``head -1``: nothing is said about it."""
    done = run("crds", after="| head -1")
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")
    done = run("status", f"--kubeconfig={control_plane.kubeconfig}", after="| head -1")
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")


def test_a_disk_that_is_full_is_told_in_a_line() -> None:
    """Not in thirty."""
    done = run("crds", after="> /dev/full")
    assert done.returncode == 1
    assert done.stderr.decode() == "Error: the output cannot be written: No space left on device\n"


def test_a_folder_that_is_gone_is_no_error(control_plane: ControlPlane, world: World, tmp_path: Path) -> None:
    """The working directory was deleted; what is named by its whole path is found."""
    gone = tmp_path / "gone"
    gone.mkdir()
    target = f"--kubeconfig={control_plane.kubeconfig}"
    done = run("status", target, before=f"cd {gone}; rmdir {gone};")
    assert (done.returncode, done.stderr) == (0, b"")
    done = run("bundle", target, before=f"mkdir {gone}; cd {gone}; rmdir {gone};")
    assert done.returncode == 1
    assert done.stderr.decode().endswith("cannot be written: No such file or directory; name another file with -o\n")


@pytest.mark.skipif(missing() != "", reason=missing())
def test_a_kubeconfig_is_read_where_nothing_may_be_written(control_plane: ControlPlane, world: World) -> None:
    """The certificates that stand in it need no file: not even a temporary folder is there."""
    read_only = (
        "mount --make-rprivate / && cut -d' ' -f5 /proc/self/mountinfo | while read -r place; do "
        'case "$place" in /proc*|/sys*) continue;; esac; mount -o remount,bind,ro "$place"; done'
    )
    script = (
        f"unshare --mount /bin/sh -c '{read_only.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}"
        '; exec "$@"\' sh'
    )
    done = run("status", f"--kubeconfig={control_plane.kubeconfig}", before=script)
    assert (done.returncode, done.stderr) == (0, b""), done
