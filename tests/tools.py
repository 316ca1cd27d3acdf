"""
Programs that are needed now and then, each with its pinned versions, kept under the user's cache directory.

They have requirements of their own that would not go together with ours. A folder is named by a hash of what is in it,
so another version is another folder; one that was left half-made is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bitgoeul.local.build import cache_directory, find_go

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements"
KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
OLDEST_GO = (1, 24)


def python_of(tool: str) -> Path:
    """A Python that has a tool of ``requirements/<tool>.txt``, installed by its hashes."""
    pins = REQUIREMENTS / f"{tool}.txt"
    name = f"{tool}-{digest(pins.read_bytes(), sys.version.encode())}"
    return once(name, lambda folder: install(pins, folder)) / "bin" / "python"


def install(pins: Path, folder: Path) -> None:
    uv = [sys.executable, "-m", "uv"]
    run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
    run([*uv, "pip", "sync", "--quiet", "--python", str(folder / "bin" / "python"), "--require-hashes", str(pins)])


def kube_score() -> Path:
    """kube-score, compiled by Go; Go checks what it fetches against its public record."""
    name = f"kube-score-{digest(KUBE_SCORE.encode())}"
    go = find_go(OLDEST_GO)
    return once(name, lambda folder: run([str(go), "install", KUBE_SCORE], GOBIN=str(folder))) / "kube-score"


def once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder in the cache; it is made where it is missing, and by one process at a time."""
    folder = cache_directory() / name
    ready = folder / ".ready"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (cache_directory() / "tools.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            ready.touch()
    return folder


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def run(command: list[str], **environment: str) -> None:
    """
    Run a command that says nothing unless it fails.

    Raises:
        SystemExit: It failed; with what it said.
    """
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
