"""
The operator as a container runs it: the chart's user, arguments and environment, on a root file system that is
read-only, with its account's files where the kubelet would put them. Needs root, for a mount namespace of its own.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

from bitgoeul.cluster.credentials import SERVICE_ACCOUNT_TOKEN
from bitgoeul.local.launcher import ControlPlane
from tests.chart import Manifest
from tests.cluster.operator_process import RUN, SOURCE, OperatorProcess

# As in the Dockerfile.
IMAGE_ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
# What a container has and may write to is no part of its root file system; here nothing may be written to at all.
SPECIAL = ("/proc", "/sys", "/dev")


class ContainedProcess(OperatorProcess):
    """
    One instance, as the container of a Deployment.

    Args:
        pod: The spec of the Deployment's pods.
        account: A folder with the files ``token``, ``ca.crt`` and ``namespace``.
    """

    def __init__(self, plane: ControlPlane, folder: Path, pod: Manifest, account: Path) -> None:
        super().__init__(plane.kubeconfig, folder / "log")
        (container,) = pod["containers"]
        security = {**pod["securityContext"], **container["securityContext"]}
        assert security["readOnlyRootFilesystem"], "nothing here would show that it is"
        fields = {"metadata.namespace": (account / "namespace").read_text()}
        environment = {
            **IMAGE_ENVIRONMENT,
            **{one["name"]: fields[one["valueFrom"]["fieldRef"]["fieldPath"]] for one in container["env"]},
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(plane.ports.api_server),
            "PYTHONPATH": str(SOURCE),
        }
        user = [f"--reuid={security['runAsUser']}", f"--regid={security['runAsGroup']}", "--clear-groups"]
        rights = ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
        variables = [f"{name}={value}" for name, value in environment.items()]
        command = [sys.executable, "-c", RUN, *container["args"]]
        script = folder / "contain.sh"
        script.write_text(contain(folder / "stage", account, seen=[sys.base_prefix, sys.prefix, str(SOURCE)]))
        self._command = ["unshare", "--mount", "sh", str(script), "setpriv", *user, *rights]
        self._command += ["env", "-i", *variables, *command]


def contain(stage: Path, account: Path, seen: list[str]) -> str:
    """
    Write the script that makes the container's file system, then becomes the command in its arguments.

    Args:
        stage: A folder that exists nowhere else, for the time of the script.
        seen: What the command needs of this machine; made visible where only root may enter.
    """
    stage.mkdir()
    closed = sorted({folder for path in seen if (folder := first_closed(Path(path))) is not None})
    hidden = [path for path in seen if first_closed(Path(path)) is not None]
    lines = ["set -e", "mount --make-rprivate /", f"mount -t tmpfs tmpfs {stage}"]
    for number, path in enumerate(hidden):
        lines += [f"mkdir {stage}/{number}", f"mount --bind {path} {stage}/{number}"]
    lines += [f"mkdir {stage}/account", f"cp {account}/* {stage}/account/", f"chmod -R a+rX {stage}/account"]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {folder}" for folder in closed]
    for number, path in enumerate(hidden):
        lines += [f"mkdir -p {path}", f"mount --bind {stage}/{number} {path}"]
    secrets = SERVICE_ACCOUNT_TOKEN.parent
    lines += ["mount -t tmpfs -o mode=755 tmpfs /run"]
    lines += [f"mkdir -p {secrets}", f"mount --bind {stage}/account {secrets}"]
    special = "|".join(f"{path}|{path}/*" for path in SPECIAL if path != "/dev")
    lines += [
        "cut -d' ' -f5 /proc/self/mountinfo | while read -r place; do",
        f'  case "$place" in {special}|/dev/pts*) continue;; esac',
        '  mount -o remount,bind,ro "$place"',
        "done",
        'exec "$@"',
    ]
    return "\n".join(lines) + "\n"


def first_closed(path: Path) -> Path | None:
    """Find the folder on the way to a path that others than its owner may not enter."""
    for folder in reversed([path, *path.parents]):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def missing() -> str:
    """Say what this machine lacks to do so; empty: nothing."""
    if os.geteuid() != 0:
        return "only root may make a mount namespace and be another user"
    absent = [program for program in ("unshare", "setpriv", "mount") if shutil.which(program) is None]
    return f"there is no {', '.join(absent)}" if absent else ""
