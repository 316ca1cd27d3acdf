"""kubectl against one control plane, as the administrator or as somebody else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TIMEOUT_SECONDS = 180  # more than any --timeout given to it


@dataclass(frozen=True)
class Kubectl:
    """Runs the kubectl that is built into the control plane's binary."""

    binary: Path
    kubeconfig: Path

    def __call__(
        self,
        *arguments: str,
        stdin: str | None = None,
        as_user: str | None = None,
        as_groups: Iterable[str] = (),
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """
        Run one command; with ``as_user`` under that identity, which is how tenants are played.

        With ``check``, a failure raises an AssertionError with what kubectl said.
        """
        identity = [f"--as={as_user}"] if as_user else []
        identity += [f"--as-group={group}" for group in as_groups]
        command = [str(self.binary), "kubectl", f"--kubeconfig={self.kubeconfig}", *identity, *arguments]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def get(self, *arguments: str, **options: Any) -> dict[str, Any]:
        """The object, or the list, that ``kubectl get`` answers."""
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json", **options).stdout)
        return found

    def apply(
        self, *objects: dict[str, Any], arguments: Sequence[str] = (), **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Apply objects, with further ``arguments`` such as ``--server-side``."""
        return self("apply", *arguments, "-f", "-", stdin=yaml.safe_dump_all(objects), **options)
