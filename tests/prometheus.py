"""
A real Prometheus and promtool for tests: those on PATH, else out of Debian's package, unpacked into the cache.

``python -m tests.prometheus`` gets them. Nothing is installed on the machine, and no right of root is needed but for
``apt-get update``, where the machine has no package lists yet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from bitgoeul.local.build import cache_directory

PACKAGE = "prometheus"
HOW = (
    "tests of rules and dashboards need prometheus and promtool 2.42 or newer on PATH, or apt-get to fetch Debian's "
    f"package {PACKAGE}"
)


class Tools(NamedTuple):
    """The two programs."""

    prometheus: Path
    promtool: Path


class MissingError(Exception):
    """Neither PATH nor Debian's packages have them; says why."""


def find() -> Tools | None:
    """The programs on PATH, else those in the cache; None when there are none."""
    on_path = shutil.which("prometheus"), shutil.which("promtool")
    if on_path[0] and on_path[1]:
        return Tools(Path(on_path[0]), Path(on_path[1]))
    unpacked = sorted(cache_directory().glob(f"{PACKAGE}_*/usr/bin"))
    return Tools(unpacked[-1] / "prometheus", unpacked[-1] / "promtool") if unpacked else None


def ensure() -> Tools:
    """
    Get the programs if they are not there.

    Raises:
        MissingError: They are not to be had.
    """
    if found := find():
        return found
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise MissingError(HOW)
    cache_directory().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".prometheus-", dir=cache_directory()) as name:
        folder = Path(name)
        package = download(folder)
        run("dpkg-deb", "--extract", str(package), "unpacked", folder=folder)
        target = cache_directory() / package.stem
        if not target.exists():  # another run may have been faster
            (folder / "unpacked").rename(target)
    found = find()
    assert found is not None
    return found


def download(folder: Path) -> Path:
    """Fetch the package; a machine without package lists reads them first."""
    try:
        run("apt-get", "--quiet", "download", PACKAGE, folder=folder)
    except MissingError:
        run("apt-get", "--quiet", "update", folder=folder)
        run("apt-get", "--quiet", "download", PACKAGE, folder=folder)
    [package] = folder.glob("*.deb")
    return package


def run(*command: str, folder: Path) -> None:
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise MissingError(f"{HOW}; {' '.join(command)}: {finished.stderr.strip()}")


@pytest.fixture(scope="session")
def prometheus_tools() -> Tools:
    """The programs; without them the test is skipped, and in CI it fails."""
    try:
        return ensure()
    except MissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


if __name__ == "__main__":
    try:
        ensure()
    except MissingError as error:
        print(error, file=sys.stderr)  # "make test" goes on: it skips what needs them, and in CI fails there
