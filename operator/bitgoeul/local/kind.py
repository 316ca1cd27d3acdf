"""
``bitgoeul up --kind``: a thin wrapper around kind, for machines with Docker.

The project's own tests have no Docker daemon: they cover what is said where something is missing, and no more.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bitgoeul.errors import UserError

# Beside the package in a clone; `pip install` of a wheel does not bring it.
CONFIG = Path(__file__).parents[3] / "deploy" / "kind" / "cluster.yaml"


def create(name: str, kubeconfig: Path | None) -> None:
    """
    Run ``kind create cluster``; its own output goes to the terminal.

    Args:
        kubeconfig: Where kind writes its kubeconfig; None: kind's own choice.
    Raises:
        UserError: Something that it needs is missing, or kind failed.
    """
    check_tools()
    command = ["kind", "create", "cluster", "--name", name, "--config", str(CONFIG)]
    if kubeconfig is not None:
        command += ["--kubeconfig", str(kubeconfig)]
    if subprocess.run(command, check=False).returncode != 0:
        raise UserError(f"kind failed: {' '.join(command)}")


def check_tools() -> None:
    for tool, source in (("docker", "https://docs.docker.com/get-docker"), ("kind", "https://kind.sigs.k8s.io")):
        if shutil.which(tool) is None:
            raise UserError(f"--kind needs the command {tool} ({source}); 'bitgoeul up' alone does not")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        raise UserError("--kind needs a running Docker daemon ('docker info' fails); 'bitgoeul up' alone does not")
    if not CONFIG.exists():
        raise UserError(f"--kind needs {CONFIG.name} of a clone of the project: {CONFIG} does not exist")
