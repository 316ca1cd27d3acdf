"""The operator starts as the chart has it run: no such user, no home folder, nothing that may be written to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bitgoeul.api.names import OPERATOR_NAMESPACE
from bitgoeul.cluster.kinds import NAMESPACE
from bitgoeul.local.launcher import ControlPlane
from tests.chart import Manifest, manifests
from tests.cluster.contained import ContainedProcess, missing
from tests.cluster.installed import free_port, token_of
from tests.cluster.kubectl import Kubectl
from tests.cluster.scenario import World

pytest_plugins = ["tests.cluster.fault_fixtures"]

RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


@pytest.fixture
def chart(fault_world: World, fault_kubectl: Kubectl) -> Iterator[list[Manifest]]:
    """The chart as it renders by default, with the operator's account and rights in the cluster."""
    objects = manifests({"metrics": {"port": free_port()}})
    if fault_world.find(NAMESPACE, OPERATOR_NAMESPACE) is None:
        fault_world.admin.create(NAMESPACE.path(), {"metadata": {"name": OPERATOR_NAMESPACE}})
    rights = yaml.safe_dump_all(one for one in objects if one["kind"] in RIGHTS)
    fault_kubectl("apply", "-f", "-", stdin=rights)
    yield objects
    fault_kubectl("delete", "-f", "-", stdin=rights)


@pytest.mark.skipif(missing() != "", reason=missing())
def test_it_starts_as_the_chart_has_it_run(
    chart: list[Manifest], plane: ControlPlane, fault_world: World, tmp_path: Path
) -> None:
    """As a user without an entry, without USER and HOME, on a read-only root: it leads, works, and ends by SIGTERM."""
    (deployment,) = (one for one in chart if one["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text(token_of(fault_world.admin, pod["serviceAccountName"]))
    (account / "namespace").write_text(OPERATOR_NAMESPACE)
    shutil.copy(plane.layout.pki.cert("ca"), account / "ca.crt")
    with ContainedProcess(plane, tmp_path, pod, account) as operator:
        fault_world.active("blue", {fault_world.pool(): 1})
        assert operator.stop() == 0
    assert "Traceback" not in operator.said()
