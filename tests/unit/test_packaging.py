"""The package installs as people install tools: from a clean copy, in an environment of its own, with all programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitgoeul import __version__
from bitgoeul.api.kinds import KINDS

ROOT = Path(__file__).parents[2]
# What a clone does not have.
LOCAL = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "dist", "build")
PROGRAMS = {"bitgoeul", "kubectl-bitgoeul", "kubectl_complete-bitgoeul"}
TIMEOUT_SECONDS = 300  # of the installation, which may have to fetch every package


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of programs after ``uv tool install .``, with the versions that are pinned."""
    folder = tmp_path_factory.mktemp("tool")
    copy = shutil.copytree(ROOT, folder / "copy", ignore=LOCAL)
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")},
        "UV_TOOL_DIR": str(folder / "tools"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    command = [sys.executable, "-m", "uv", "tool", "install", "--quiet", "--python", sys.executable]
    pins = ["--constraints", "requirements/runtime.txt", "--build-constraints", "requirements/dev.txt"]
    done = subprocess.run(
        [*command, *pins, "."],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(copy)  # what was installed needs it no more
    yield folder / "bin"
    shutil.rmtree(folder)


def run(program: Path, *arguments: str) -> str:
    """What a program prints that knows nothing but its own folder."""
    environment = {"PATH": f"{program.parent}:{os.defpath}", "HOME": str(program.parent)}
    done = subprocess.run(
        [program, *arguments], env=environment, cwd="/", capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_programs_work(programs: Path) -> None:
    """Each under its name, also the two that kubectl looks for."""
    assert {file.name for file in programs.iterdir()} == PROGRAMS
    assert run(programs / "bitgoeul", "--version") == f"bitgoeul, version {__version__}\n"
    assert run(programs / "kubectl-bitgoeul", "--help").startswith("Usage: kubectl bitgoeul [OPTIONS] COMMAND")
    assert run(programs / "kubectl_complete-bitgoeul", "doc").startswith("doctor\t")


def test_what_is_packed_is_there(programs: Path) -> None:
    """The kinds, the source of the control plane, and the samples of the demo."""
    assert run(programs / "bitgoeul", "crds").count("kind: CustomResourceDefinition") == len(KINDS)
    python = next((programs.parent / "tools" / "bitgoeul" / "bin").glob("python"))
    look = (
        "from bitgoeul.demo.samples import find_samples, read_model_case; from bitgoeul.local.build import read_source;"
        "print(find_samples().name, len(read_model_case().pilot), read_source().kubernetes)"
    )
    found = run(python, "-c", look).split()
    assert found[:2] == ["samples", "11"]
    assert found[2].startswith("v1.")
