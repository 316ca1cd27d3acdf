"""What the page about GitOps tells people to run works: waiting by conditions, and the patch for Argo CD."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.chart import ROOT
from tests.cluster.kubectl import Kubectl
from tests.cluster.scenario import World

PAGE = (ROOT / "docs" / "gitops.md").read_text()
WAITS = re.findall(r"^kubectl (wait \S+/NAME .*?) +#", PAGE, re.MULTILINE)
# Which object has what is waited for.
HAVING = {
    "--for=condition=Ready": "active",
    "--for=condition=Reconciling=False": "active",
    "--for=condition=Stalled": "refused",
    "--for=jsonpath={.status.queue.position}": "waiting",
    "--for=jsonpath={.status.phase}=Active": "active",
}


def test_kubectl_waits_by_conditions(world: World, kubectl: Kubectl) -> None:
    """Each command ends when what it names is so; one about something else does not."""
    pool = world.pool(devices=4)
    names = {
        "active": world.active("active", {pool: 4}),
        "waiting": world.allocate("waiting", {pool: 2}),
        "refused": world.allocate("refused", {pool: 99}),
    }
    assert len(WAITS) == len(HAVING) + 1
    for command in WAITS:
        wait, subject, condition, timeout = shlex.split(command)
        kind = subject.split("/")[0]
        name = pool if kind == "apool" else names[HAVING[condition]]
        done = kubectl(wait, f"{kind}/{name}", condition, timeout)
        assert done.stdout.endswith("condition met\n")
    for state, condition in (("waiting", "Ready"), ("waiting", "Stalled"), ("refused", "Reconciling")):
        done = kubectl("wait", f"ta/{names[state]}", f"--for=condition={condition}", "--timeout=0", check=False)
        assert done.returncode == 1, (state, condition)


@pytest.fixture
def argocd(kubectl: Kubectl) -> Iterator[None]:
    """The ConfigMap of an Argo CD, with something in it already."""
    kubectl("create", "namespace", "argocd")
    kubectl("create", "configmap", "argocd-cm", "-n", "argocd", "--from-literal=url=x")
    yield
    kubectl("delete", "namespace", "argocd")


def test_the_patch_for_argo_cd_adds_its_keys(kubectl: Kubectl, argocd: None) -> None:
    """And leaves what is there."""
    [command] = re.findall(r"^kubectl (patch configmap .*)$", PAGE, re.MULTILINE)
    arguments = [str(ROOT / word) if word.startswith("deploy/") else word for word in shlex.split(command)]
    kubectl(*arguments)
    data = kubectl.get("configmap", "argocd-cm", "-n", "argocd")["data"]
    assert data["url"] == "x"
    assert len(data) == 4
