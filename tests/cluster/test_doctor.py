"""What the doctor finds on a real cluster, with the command that mends it, and what it exits with."""

from __future__ import annotations

from typing import Any

from bitgoeul.api.names import ALLOCATION_LABEL, GROUP, MANAGED_BY, MANAGED_BY_LABEL, QUOTA_NAME
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    DEVICE_CLASS,
    LIMIT_RANGE,
    MUTATING_BINDING,
    MUTATING_POLICY,
    NAMESPACE,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    TENANT_ALLOCATION,
    VALIDATING_BINDING,
    VALIDATING_POLICY,
)
from bitgoeul.desired.admission_policies import policy_name
from tests.cluster.asking import Asker, pinned
from tests.cluster.faults import forget_lease
from tests.cluster.kubectl import Kubectl
from tests.cluster.neighbours import EVERYTHING, await_alone
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.asking_fixtures"]

DEFINITION = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tenantallocations.{GROUP}"


def findings(asker: Asker, *arguments: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """What is found, by check."""
    finished = asker.run("doctor", "-o", "json", *arguments)
    assert (finished.code, finished.err) == (code, ""), finished
    return {one["check"]: one for one in asker.read_json(finished)["checks"]}


def test_a_healthy_installation_is_fine(world: World, asker: Asker, operator: OperatorProcess) -> None:
    """One line for each check, the next command, and exit code 0."""
    await_alone(world, EVERYTHING)
    world.active("blue", {world.pool(): 1})

    def healthy() -> bool:
        finished = asker.run("doctor")
        assert (finished.code, finished.err) == (0, ""), finished
        lines = pinned(finished.out.splitlines(), world.suffix)
        assert [line.split("  ")[0:2] for line in lines[:-2]] == [
            ["ok", check]
            for check in (
                *("kubernetes", "kinds", "operator", "clock", "admission", "dra"),
                *("quotas", "limits", "security", "roles", "retained", "leftovers", "pods", "enforced", "rights"),
            )
        ]
        assert lines[1] == "ok  kinds  3 kinds, as this version has them"
        assert lines[3] == "ok  clock  not shifted, and the same here as at the API server"
        assert lines[5] == "ok  dra  resource.k8s.io/v1 has 0 device classes; claims are closed to tenants"
        assert lines[8:12] == [
            "ok  security  pod security is baseline or stricter everywhere",
            "ok  roles  members may be given view (nobody has it)",
            "ok  retained  no data of deleted allocations is kept",
            "ok  leftovers  nothing without an allocation or a pool",
        ]
        assert lines[-1] == "Next  bitgoeul status"
        return True

    eventually(healthy, "all is ok")


def test_another_version_of_a_kind_is_bad(world: World, asker: Asker) -> None:
    """It says which, how to bring it up to date, and exits with 1."""
    version = world.admin.get(DEFINITION)["spec"]["versions"][0]
    changed = {**version, "additionalPrinterColumns": version["additionalPrinterColumns"][:-1]}
    world.admin.merge(DEFINITION, {"spec": {"versions": [changed]}})
    try:
        # For a moment the API server may not serve a kind that has changed.
        found = eventually(lambda: findings(asker, code=1), "another version is bad")["kinds"]
    finally:
        world.admin.merge(DEFINITION, {"spec": {"versions": [version]}})
    assert (found["verdict"], found["fix"]) == ("bad", "bitgoeul crds | kubectl apply -f -")
    assert f"tenantallocations.{GROUP} differ from those of this version" in found["found"]
    eventually(lambda: findings(asker)["kinds"]["verdict"] == "ok", "all is as it was")


def test_no_operator_is_not_ready(world: World, asker: Asker, operator: OperatorProcess) -> None:
    """Where no Lease is, nobody leads: exit code 2, and the command that starts one comes next."""
    operator.stop()
    forget_lease(world.admin)
    try:
        found = findings(asker, code=2)["operator"]
        finished = asker.run("doctor")
    finally:
        operator.start()
    assert found == {
        "check": "operator",
        "verdict": "bad",
        "found": "there is no Lease in namespace bitgoeul-system",
        "fix": "bitgoeul run",
    }
    assert (finished.code, finished.out.splitlines()[-1]) == (2, "Next  bitgoeul run")


def test_what_is_kept_left_over_or_too_much_is_told(world: World, asker: Asker) -> None:
    """A second quota, a role binding of nobody's, and data of a deleted allocation: warnings, each with its command."""
    pool = world.pool(devices=4)
    blue, gone = world.active("blue", {pool: 1}), world.active("gone", {pool: 1})
    world.delete(TENANT_ALLOCATION, gone)
    world.await_gone(TENANT_ALLOCATION, gone)
    mine = {"name": world.name("mine"), "namespace": blue}
    world.admin.create(RESOURCE_QUOTA.path("", blue), {"metadata": mine, "spec": {"hard": {"pods": "1"}}})
    elsewhere = world.name("elsewhere")
    world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})
    labels = {MANAGED_BY_LABEL: MANAGED_BY, ALLOCATION_LABEL: world.name("nobody")}
    left = {"name": world.name("left"), "namespace": elsewhere, "labels": labels}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    world.admin.create(ROLE_BINDING.path("", elsewhere), {"metadata": left, "roleRef": role})

    def told() -> bool:
        found = findings(asker)
        assert world.name("left") in found["leftovers"]["found"]
        assert found["leftovers"]["fix"] == f"kubectl delete rolebinding {world.name('left')} -n {elsewhere}"
        assert found["quotas"]["fix"] == f"kubectl delete resourcequota {world.name('mine')} -n {blue}"
        assert gone in found["retained"]["found"]
        assert found["retained"]["fix"] == f"kubectl get namespaces -l {GROUP}/retained=true"
        return {found[check]["verdict"] for check in ("leftovers", "quotas", "retained")} == {"warn"}

    eventually(told, "all three are told")
    world.delete(NAMESPACE, gone)


def test_limits_of_others_are_told(world: World, asker: Asker) -> None:
    """What a policy engine puts into each new namespace is told with what it caps; the command takes it away."""
    blue = world.active("blue", {world.pool(): 1})
    limits = [{"type": "Container", "default": {"memory": "512Mi", "cpu": "500m"}}]
    mine = {"name": world.name("limits"), "namespace": blue}
    world.admin.create(LIMIT_RANGE.path("", blue), {"metadata": mine, "spec": {"limits": limits}})
    found = findings(asker)["limits"]
    assert found["verdict"] == "warn"
    assert blue in found["found"]
    assert "Container limited to cpu 500m, memory 512Mi where nothing is said" in found["found"]
    assert found["fix"] == f"kubectl delete limitrange {world.name('limits')} -n {blue}"
    others = {"name": world.name("more-limits"), "namespace": blue}
    bounds = [{"type": "Pod", "max": {"cpu": "2"}}]
    world.admin.create(LIMIT_RANGE.path("", blue), {"metadata": others, "spec": {"limits": bounds}})
    found = findings(asker)["limits"]
    assert f"{world.name('more-limits')} in {blue}: Pod at most cpu 2" in found["found"]
    assert len(found["fix"].split(" && ")) == 2


def test_a_tenant_without_its_quota_is_bad(world: World, asker: Asker, operator: OperatorProcess) -> None:
    """Nothing limits it while no operator puts the quota back; the allocation is named by the command."""
    blue = world.active("blue", {world.pool(): 1})
    operator.stop()
    try:
        world.admin.delete(RESOURCE_QUOTA.path(QUOTA_NAME, blue))
        found = findings(asker, code=2)["quotas"]
    finally:
        operator.start()
    assert found["verdict"] == "bad"
    assert f"no quota of ours in {blue}" in found["found"]
    assert found["fix"] == f"bitgoeul why {blue}"
    eventually(lambda: findings(asker)["quotas"]["verdict"] == "ok", "the quota is back")


def test_what_a_pool_leaves_behind_is_told(world: World, asker: Asker, kubectl: Kubectl) -> None:
    """Deleted without what belongs to it, its policies stay; the command takes all four away."""
    pool = world.pool()
    eventually(lambda: world.find(VALIDATING_BINDING, policy_name(pool)) is not None, "it has its policies")
    kubectl("delete", "apool", pool, "--cascade=orphan")
    world.await_gone(ACCELERATOR_POOL, pool)
    found = findings(asker)["leftovers"]
    assert policy_name(pool) in found["found"]
    for command in found["fix"].split(" && "):
        kubectl(*command.split()[1:])
    for kind in (MUTATING_POLICY, MUTATING_BINDING, VALIDATING_POLICY, VALIDATING_BINDING):
        world.await_gone(kind, policy_name(pool))
    assert policy_name(pool) not in findings(asker)["leftovers"]["found"]


def test_a_missing_policy_is_bad(world: World, asker: Asker, operator: OperatorProcess) -> None:
    """Without it pods may leave their pool; while no operator puts it back, that is found, and so is who is missing."""
    pool = world.pool()
    world.active("blue", {pool: 1})
    operator.stop()
    try:
        world.delete(VALIDATING_BINDING, policy_name(pool))
        found = findings(asker, code=2)
    finally:
        operator.start()
    assert (found["admission"]["verdict"], found["admission"]["fix"]) == ("bad", f"kubectl describe apool {pool}")
    assert found["operator"]["found"] == "nobody leads: the last operator gave its Lease up"
    eventually(lambda: findings(asker)["admission"]["verdict"] == "ok", "the policy is back")


def test_a_device_class_that_opens_a_resource_is_told(world: World, asker: Asker, kubectl: Kubectl) -> None:
    """And the command that it prints closes it: every tenant's quota has the resource at 0."""
    tenant = world.active("blue", {world.pool(): 1})
    resource = f"{world.suffix}.example.org/slice"
    name = world.name("slices")
    spec = {"selectors": [{"cel": {"expression": "false"}}], "extendedResourceName": resource}
    world.admin.create(DEVICE_CLASS.path(), {"metadata": {"name": name}, "spec": spec})
    try:
        found = findings(asker)["dra"]
        assert (found["verdict"], found["found"]) == (
            "warn",
            f"open to tenants, because no pool names it: {resource} of DeviceClass {name}",
        )
        _, printed, _ = found["fix"].split("'")
        kubectl("apply", "-f", "-", stdin=printed)
        eventually(lambda: world.quota(tenant)["status"]["hard"].get(f"requests.{resource}") == "0", "it is closed")
        assert findings(asker)["dra"]["verdict"] == "ok"
    finally:
        world.delete(DEVICE_CLASS, name)
        world.delete(ACCELERATOR_POOL, f"closed-{world.suffix}-example-org-slice")


def test_whoever_may_read_nothing_is_told_so(world: World, asker: Asker) -> None:
    """Each check that could not be made says which right it needs; none fails for it."""
    found = findings(asker, "--as", "somebody")
    assert found["rights"]["found"].startswith("somebody may not list acceleratorpools, list storagepools")
    assert found["rights"]["fix"].endswith("--clusterrole=bitgoeul-reader --user=somebody")
    assert found["operator"]["found"] == "not checked: you may not get leases"
    assert {found[check]["verdict"] for check in found} == {"ok", "warn"}
