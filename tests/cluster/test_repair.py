"""What anybody changes or deletes comes back; what is not ours is left alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from bitgoeul.api.names import (
    ALLOCATION_LABEL,
    ALLOCATION_UID_ANNOTATION,
    MANAGED_BY_LABEL,
    QUOTA_NAME,
    RETAINED_LABEL,
    pool_label,
)
from bitgoeul.cluster.kinds import BY_KIND, NAMESPACE, RESOURCE_QUOTA, ROLE_BINDING, VOLUME_CLAIM
from bitgoeul.desired.tenant_policies import POLICY_NAME
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import History
from tests.cluster.api_objects import Manifest, make_claim
from tests.cluster.neighbours import await_alone
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, is_true, open_world, resource_of
from tests.cluster.waiting import eventually

MEMBERS = [{"kind": "User", "name": "ann@example.org", "role": "admin"}]
ANN, STRANGER = (
    {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
    for name in ("ann@example.org", "mallory@example.org")
)


@dataclass(frozen=True)
class Tenant:
    """One allocation with everything that an allocation can have."""

    world: World
    name: str
    pool: str

    def path(self, child: Child) -> str:
        """Where the API server has a child."""
        name = child.name.format(tenant=self.name, pool=self.pool)
        return BY_KIND[child.kind].path(name, self.name)

    def get(self, child: Child) -> Manifest:
        return self.world.admin.get(self.path(child))

    def find(self, child: Child) -> Manifest | None:
        return self.world.admin.find(self.path(child))


@dataclass(frozen=True)
class Child:
    """One object of ours: what it is called, how it is damaged, and in what of it the damage shows."""

    kind: str
    name: str
    damage: Manifest = field(hash=False)
    aspect: str = "spec"


CHILDREN = [
    Child("Namespace", "{tenant}", {"metadata": {"labels": {ALLOCATION_LABEL: "x"}}}, "metadata.labels"),
    Child("ResourceQuota", QUOTA_NAME, {"spec": {"hard": {"pods": "7", "requests.storage": None}}}),
    Child("PersistentVolumeClaim", "data", {"metadata": {"labels": {ALLOCATION_LABEL: "x"}}}, "metadata.labels"),
    Child("RoleBinding", "bitgoeul:admin", {"subjects": [STRANGER, ANN]}, "subjects"),
    Child("ClusterRole", "bitgoeul:allocation:{tenant}", {"rules": []}, "rules"),
    Child("ClusterRoleBinding", "bitgoeul:allocation:{tenant}", {"subjects": [STRANGER]}, "subjects"),
    Child("ClusterRole", "bitgoeul:tenant-view", {"rules": []}, "rules"),
    Child("MutatingAdmissionPolicy", "bitgoeul-pool-{pool}", {"spec": {"failurePolicy": "Ignore"}}),
    Child(
        "MutatingAdmissionPolicyBinding",
        "bitgoeul-pool-{pool}",
        {"spec": {"matchResources": {"objectSelector": {"matchLabels": {"a": "b"}}}}},
    ),
    Child("ValidatingAdmissionPolicy", "bitgoeul-pool-{pool}", {"spec": {"failurePolicy": "Ignore"}}),
    Child("ValidatingAdmissionPolicyBinding", "bitgoeul-pool-{pool}", {"spec": {"validationActions": ["Warn"]}}),
    Child("MutatingAdmissionPolicy", POLICY_NAME, {"spec": {"failurePolicy": "Ignore"}}),
    Child("MutatingAdmissionPolicyBinding", POLICY_NAME, {"spec": {"policyName": "other"}}),
    Child("ValidatingAdmissionPolicy", POLICY_NAME, {"spec": {"failurePolicy": "Ignore"}}),
    Child("ValidatingAdmissionPolicyBinding", POLICY_NAME, {"spec": {"validationActions": ["Warn"]}}),
]
CLAIM = next(child for child in CHILDREN if child.kind == "PersistentVolumeClaim")
# Keys of labels of a namespace; the first stands for the tenant's own pool.
POOL_LABEL, FORGED_LABEL, POD_SECURITY = "POOL", pool_label("forged"), "pod-security.kubernetes.io/enforce"


@pytest.fixture(scope="module")
def _tenant(control_plane: ControlPlane, _running: OperatorProcess) -> Iterator[Tenant]:
    _running.revive()
    with open_world(control_plane) as world:
        # Every quota names every pool: one of an earlier test that goes would look like damage that stays.
        await_alone(world)
        pool, disk = world.pool(), world.storage_pool()
        storage = {disk: {"size": "10Ti", "claims": [make_claim("data", "1Ti")]}}
        name = world.active("blue", {pool: 2}, storage, members=MEMBERS)
        yield Tenant(world, name, pool)


@pytest.fixture
def tenant(operator: OperatorProcess, _tenant: Tenant) -> Tenant:
    """The tenant, with nothing left to repair."""
    _tenant.world.await_grant(_tenant.name, {_tenant.pool: 2})
    return _tenant


def each(children: list[Child]) -> pytest.MarkDecorator:
    """One case for each child."""
    return pytest.mark.parametrize("child", [pytest.param(c, id=f"{c.kind} {c.name}") for c in children])


def look(obj: Manifest, aspect: str) -> Any:
    for part in aspect.split("."):
        obj = obj[part]
    return obj


def repairs(operator: OperatorProcess, kind: str) -> float:
    """How many objects of a kind were put right, by the metrics."""
    _, text = operator.fetch("/metrics")
    found = re.search(rf'^bitgoeul_drift_corrections_total{{kind="{kind}"}} (.*)$', text, re.MULTILINE)
    assert found
    return float(found[1])


@each(CHILDREN)
def test_an_edit_is_counted(tenant: Tenant, operator: OperatorProcess, child: Child) -> None:
    """Beside being taken back: an alert tells when somebody does not give in."""
    before = repairs(operator, child.kind)
    test_an_edit_is_taken_back(tenant, child)
    eventually(lambda: repairs(operator, child.kind) > before, "the repair is counted")


@each(CHILDREN)
def test_an_edit_is_taken_back(tenant: Tenant, child: Child) -> None:
    """Whoever changed it, the object says again what it has to say."""
    before = tenant.get(child)
    damaged = tenant.world.admin.merge(tenant.path(child), child.damage)
    assert look(damaged, child.aspect) != look(before, child.aspect)

    def repaired() -> bool:
        return bool(look(tenant.get(child), child.aspect) == look(before, child.aspect))

    eventually(repaired, f"{child.kind} is as before")
    assert tenant.get(child)["metadata"]["uid"] == before["metadata"]["uid"]


@each([child for child in CHILDREN if child.kind != "Namespace"])
def test_a_deleted_child_comes_back(tenant: Tenant, child: Child) -> None:
    """As it was, but as a new object."""
    before = tenant.get(child)
    tenant.world.admin.delete(tenant.path(child))

    def back() -> bool:
        found = tenant.find(child)
        return found is not None and found["metadata"]["uid"] != before["metadata"]["uid"]

    eventually(back, f"{child.kind} is back")
    ours = {key: value for key, value in before["metadata"]["labels"].items() if "bitgoeul" in (key + value)}
    eventually(lambda: tenant.get(child)["metadata"]["labels"].items() >= ours.items(), "with its labels")
    if child.kind not in ("Namespace", "PersistentVolumeClaim"):  # a claim is bound to another volume now
        eventually(lambda: look(tenant.get(child), child.aspect) == look(before, child.aspect), "as before")


@each([child for child in CHILDREN if child.kind != "Namespace"])
def test_a_child_without_our_label_gets_it_again(tenant: Tenant, child: Child) -> None:
    """Without the label it is out of our sight, and still repaired."""
    label = {"metadata": {"labels": {MANAGED_BY_LABEL: None}}}
    before = tenant.get(child)["metadata"]
    changed = tenant.world.admin.merge(tenant.path(child), label)["metadata"]
    assert MANAGED_BY_LABEL not in changed.get("labels", {})
    eventually(lambda: tenant.get(child)["metadata"].get("labels") == before["labels"], "has its labels again")
    assert tenant.get(child)["metadata"]["uid"] == before["uid"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param({"metadata": {"labels": {ALLOCATION_LABEL: "x"}}}, id="another allocation's name"),
        pytest.param({"metadata": {"labels": {ALLOCATION_LABEL: None}}}, id="no allocation's name"),
        pytest.param({"metadata": {"labels": {RETAINED_LABEL: "true"}}}, id="said to be retained"),
        pytest.param({"metadata": {"labels": {POOL_LABEL: None, FORGED_LABEL: "true"}}}, id="another pool's label"),
        pytest.param({"metadata": {"labels": {POD_SECURITY: "privileged"}}}, id="pod security opened"),
        pytest.param({"metadata": {"labels": {MANAGED_BY_LABEL: None}}}, id="not said to be managed"),
        pytest.param({"metadata": {"annotations": {ALLOCATION_UID_ANNOTATION: "x"}}}, id="another UID"),
        pytest.param({"metadata": {"annotations": {ALLOCATION_UID_ANNOTATION: None}}}, id="no UID"),
    ],
)
def test_marks_of_a_namespace_come_back(tenant: Tenant, control_plane: ControlPlane, damage: Manifest) -> None:
    """They decide whose it is and which policies act in it; meanwhile nobody inside loses anything."""
    world, name = tenant.world, tenant.name
    filled_in = json.loads(json.dumps(damage).replace(POOL_LABEL, pool_label(tenant.pool)))

    def marks() -> list[Manifest]:
        metadata = world.get(NAMESPACE, name)["metadata"]
        return [metadata["labels"], metadata.get("annotations")]

    before = marks()
    bindings = world.get(ROLE_BINDING, "bitgoeul:admin", name)
    with History(control_plane, RESOURCE_QUOTA.path("", name), ROLE_BINDING.path("", name)) as history:
        world.admin.merge(NAMESPACE.path(name), filled_in)
        eventually(lambda: marks() == before, "all as before")
        # Whatever else the damage set off comes before this, since keys are worked on in order.
        test_an_edit_is_taken_back(tenant, CLAIM)
    quotas = [change.obj["spec"]["hard"] for change in history.changes() if change.name == QUOTA_NAME]
    assert {hard[f"requests.{resource_of(tenant.pool)}"] for hard in quotas} == {"2"}
    assert world.get(ROLE_BINDING, "bitgoeul:admin", name)["metadata"]["uid"] == bindings["metadata"]["uid"]


def test_a_raised_quota_is_lowered_again(tenant: Tenant) -> None:
    """Nobody gives himself devices; meanwhile they count as taken, so that nobody else is promised them."""
    key = f"requests.{resource_of(tenant.pool)}"
    tenant.world.admin.merge(RESOURCE_QUOTA.path(QUOTA_NAME, tenant.name), {"spec": {"hard": {key: "8"}}})
    eventually(lambda: tenant.world.quota(tenant.name)["spec"]["hard"][key] == "2", "the quota says 2 again")
    tenant.world.await_limit(tenant.name, tenant.pool, 2)
    tenant.world.await_devices(tenant.pool, granted=2)


def test_what_others_add_is_left_alone(tenant: Tenant) -> None:
    """Labels, annotations, limits that are not ours, and whole objects stay, also through a repair."""
    world, name = tenant.world, tenant.name
    foreign = {"metadata": {"labels": {"team": "vision"}, "annotations": {"example.org/note": "keep"}}}
    for path in (NAMESPACE.path(name), RESOURCE_QUOTA.path(QUOTA_NAME, name), VOLUME_CLAIM.path("data", name)):
        world.admin.merge(path, foreign)
    world.admin.merge(RESOURCE_QUOTA.path(QUOTA_NAME, name), {"spec": {"hard": {"limits.cpu": "100"}}})
    others = [
        role_binding(name, "theirs"),
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "theirs", "namespace": name},
            "spec": {"hard": {"count/configmaps": "500"}},
        },
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "theirs", "namespace": name},
            "spec": {"limits": [{"type": "Pod", "max": {"cpu": "64"}}]},
        },
    ]
    made = [world.create(obj) for obj in others]
    for child in CHILDREN:
        if child.kind in ("Namespace", "ResourceQuota", "RoleBinding", "PersistentVolumeClaim"):
            test_an_edit_is_taken_back(tenant, child)
    for path in (NAMESPACE.path(name), RESOURCE_QUOTA.path(QUOTA_NAME, name), VOLUME_CLAIM.path("data", name)):
        metadata = world.admin.get(path)["metadata"]
        assert metadata["labels"]["team"] == "vision"
        assert metadata["annotations"]["example.org/note"] == "keep"
    assert world.quota(name)["spec"]["hard"]["limits.cpu"] == "100"
    for obj in made:
        now = world.get(BY_KIND[obj["kind"]], "theirs", name)
        assert {**now, "metadata": {}, "status": {}} == {**obj, "metadata": {}, "status": {}}
    world.await_status(name, lambda s: is_true(s, "Ready"), "is Ready all the same")
    for obj in made:
        world.delete(BY_KIND[obj["kind"]], "theirs", name)
    world.admin.merge(RESOURCE_QUOTA.path(QUOTA_NAME, name), {"spec": {"hard": {"limits.cpu": None}}})


def role_binding(namespace: str, name: str, **labels: str) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [STRANGER],
    }


def test_a_binding_that_leads_to_another_role_is_replaced(tenant: Tenant) -> None:
    """The role of a binding cannot be edited; one that stands in place of ours is deleted and made anew."""
    world, name = tenant.world, tenant.name
    path = ROLE_BINDING.path("bitgoeul:admin", name)
    before = world.admin.get(path)
    world.admin.delete(path)
    forged = role_binding(name, "bitgoeul:admin", **before["metadata"]["labels"])
    status, _ = world.admin.request("POST", ROLE_BINDING.path("", name), forged)
    assert status in (201, 409)  # 409: the repair was faster
    eventually(
        lambda: (
            (found := world.find(ROLE_BINDING, "bitgoeul:admin", name)) is not None
            and found["roleRef"] == before["roleRef"]
            and found["subjects"] == before["subjects"]
        ),
        "leads to our role again",
    )


def test_damage_done_while_the_operator_is_away_is_repaired(tenant: Tenant, operator: OperatorProcess) -> None:
    """A restart compares everything with what it should be."""
    quota = next(child for child in CHILDREN if child.kind == "ResourceQuota")
    binding = next(child for child in CHILDREN if child.kind == "RoleBinding")
    before = [tenant.get(quota), tenant.get(binding)]
    assert operator.stop() == 0
    tenant.world.admin.merge(tenant.path(quota), quota.damage)
    tenant.world.admin.delete(tenant.path(binding))
    operator.start()
    eventually(lambda: tenant.get(quota)["spec"] == before[0]["spec"], "the quota is as before")
    eventually(lambda: tenant.get(binding)["subjects"] == before[1]["subjects"], "access is back")
