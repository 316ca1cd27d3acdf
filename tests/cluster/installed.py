"""
The operator as the chart installs it: Helm's release on a control plane, and the process that its pod would run.

The simulated nodes execute nothing, so the process runs here: with the arguments and the environment of the rendered
container, and the token of the rendered account.
"""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import helm_python
import yaml

from bitgoeul.api.names import OPERATOR_NAMESPACE
from bitgoeul.cluster.kinds import DEPLOYMENT
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.local.ports import CHOICE, is_free
from tests.chart import CHART, RELEASE, Manifest
from tests.cluster.admin import Admin
from tests.cluster.operator_process import RUN, SOURCE, OperatorProcess

GIVEN_ROLE = "ray-user"  # that members may be given
ACCOUNT = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{RELEASE}"
TOKEN_SECONDS = 3600
WROTE = "opened for writing: "
# The container's command, but for two things. The account's files are in a folder that anybody can have. And it is told
# what is opened for writing: the container's root file system is read-only.
RUN_AS_POD = f"""\
import os, sys
from pathlib import Path
def notice(event, arguments):
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & writing and arguments[0] != os.devnull:
        print("{WROTE}", arguments[0], file=sys.stderr)
sys.addaudithook(notice)
import bitgoeul.cluster.credentials
import kubernetes.aio.config.incluster_config as account
folder = Path(os.environ.pop("ACCOUNT_FOLDER"))
bitgoeul.cluster.credentials.SERVICE_ACCOUNT_TOKEN = folder / "token"
account.SERVICE_TOKEN_FILENAME, account.SERVICE_CERT_FILENAME = str(folder / "token"), str(folder / "ca.crt")
{RUN}"""


class Release:
    """One release of the chart, made by Helm itself."""

    def __init__(self, plane: ControlPlane) -> None:
        self._config = helm_python.Config(kubeconfig_path=plane.kubeconfig, namespace=OPERATOR_NAMESPACE)
        # The container's port has to be free on this machine.
        self._values = {"metrics": {"port": free_port()}, "members": {"allowedClusterRoles": [GIVEN_ROLE]}}

    def install(self) -> list[Manifest]:
        """Install, and give what was installed."""
        return objects_of(self._config.install(CHART, RELEASE, self._values))

    def upgrade(self, chart: Path, **values: Any) -> None:
        """Upgrade to another chart, with more values."""
        self._config.upgrade(chart, RELEASE, self._values | values)

    def rollback(self) -> None:
        self._config.rollback(RELEASE)

    def uninstall(self) -> None:
        self._config.uninstall(RELEASE)

    def close(self) -> None:
        self._config.close()


def objects_of(release: dict[str, Any]) -> list[Manifest]:
    return [obj for obj in yaml.safe_load_all(release["manifest"]) if obj]


def free_port() -> int:
    return next(port for port in random.sample(CHOICE, len(CHOICE)) if is_free(port))


class InstalledProcess(OperatorProcess):
    """What the container of the release's Deployment would run, with nothing of this process's environment."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        super().__init__(plane.kubeconfig, folder / "log")
        with closing(Admin(plane)) as admin:
            pod = admin.get(DEPLOYMENT.path(RELEASE, OPERATOR_NAMESPACE))["spec"]["template"]["spec"]
            (folder / "token").write_text(token_of(admin, pod["serviceAccountName"]))
        shutil.copy(plane.layout.pki.cert("ca"), folder / "ca.crt")
        (self.container,) = pod["containers"]
        environment = {
            **{variable["name"]: field_of_pod(variable) for variable in self.container["env"]},
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(plane.ports.api_server),
            "ACCOUNT_FOLDER": str(folder),
            "PYTHONPATH": str(SOURCE),
            "PYTHONDONTWRITEBYTECODE": "1",  # as in the Dockerfile
        }
        variables = [f"{name}={value}" for name, value in environment.items()]
        self._command = ["env", "-i", *variables, sys.executable, "-c", RUN_AS_POD, *self.container["args"]]


def field_of_pod(variable: Manifest) -> str:
    """What the kubelet would fill in."""
    return {"metadata.namespace": OPERATOR_NAMESPACE}[variable["valueFrom"]["fieldRef"]["fieldPath"]]


def token_of(admin: Admin, account: str) -> str:
    """A token as a pod of this account gets it."""
    path = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/serviceaccounts/{account}/token"
    token: str = admin.create(path, {"spec": {"expirationSeconds": TOKEN_SECONDS}})["status"]["token"]
    return token


@contextmanager
def release_on(plane: ControlPlane) -> Iterator[Release]:
    release = Release(plane)
    try:
        yield release
    finally:
        release.close()
