"""What somebody else's policy changes as it is written is said, not counted as mended, and mended when it can be."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.cluster.kinds import BY_KIND, NAMESPACE, RESOURCE_QUOTA
from bitgoeul.local.launcher import ControlPlane
from tests.cluster import audit
from tests.cluster.asking import Asker
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, condition, is_true, resource_of
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.asking_fixtures"]

MEMBERS = [{"kind": "User", "name": "ann@example.org", "role": "admin"}]
LEVEL = "pod-security.kubernetes.io/enforce"
API = "admissionregistration.k8s.io/v1"


@contextmanager
def mutator(world: World, resource: str, expression: str, namespace: str, group: str = "") -> Iterator[None]:
    """A policy of somebody else that changes what is written to one namespace."""
    name = world.name("pins")
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
    spec = {
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [rule]},
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
    }
    policy, binding = BY_KIND["MutatingAdmissionPolicy"], BY_KIND["MutatingAdmissionPolicyBinding"]
    world.create({"apiVersion": API, "kind": policy.kind, "metadata": {"name": name}, "spec": spec})
    select = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    bound = {"policyName": name, "matchResources": select}
    world.create({"apiVersion": API, "kind": binding.kind, "metadata": {"name": name}, "spec": bound})
    try:
        yield
    finally:
        world.delete(binding, name)
        world.delete(policy, name)


def pinned_level(level: str) -> str:
    return f"Object{{metadata: Object.metadata{{labels: {{'{LEVEL}': '{level}'}}}}}}"


def metric(operator: OperatorProcess, name: str, kind: str) -> float:
    _, text = operator.fetch("/metrics")
    found = re.search(rf'^{name}{{kind="{kind}"}} (.*)$', text, re.MULTILINE)
    assert found, name
    return float(found[1])


def level_of(world: World, namespace: str) -> str:
    return str(world.get(NAMESPACE, namespace)["metadata"]["labels"].get(LEVEL))


def test_a_label_that_is_pinned_is_told_and_heals(
    world: World, operator: OperatorProcess, control_plane: ControlPlane, asker: Asker
) -> None:
    """Members stay in; no repair is counted and nothing is written for ever; afterwards it heals without an event."""
    pool = world.pool()
    blue = world.active("blue", {pool: 2}, members=MEMBERS)
    repaired = metric(operator, "bitgoeul_drift_corrections_total", "Namespace")
    with mutator(world, "namespaces", pinned_level("privileged"), blue):
        pinned = lambda: touched(world, blue) == "privileged"  # noqa: E731 - asked again and again
        eventually(pinned, "the policy acts")
        told = world.await_reason(blue, "Provisioned", "ApplyFailed")
        assert told["status"] == "False"
        assert told["message"] == (
            f"Namespace {blue}: label {LEVEL} stays privileged although baseline was written: "
            "another admission policy or webhook changes it"
        )
        assert is_true(world.status(blue), "Ready")
        place, since = audit.mark(control_plane), time.monotonic()
        assert metric(operator, "bitgoeul_unkept_objects", "Namespace") >= 1
        why = asker.json("why", blue)
        assert (why["reason"], LEVEL in why["message"]) == ("ApplyFailed", True)
        found = {one["check"]: one for one in json.loads(asker.run("doctor", "-o", "json").out)["checks"]}
        assert found["admission"]["verdict"] == "warn"
        assert blue in found["admission"]["found"]
        touched(world, blue)
        writes = [
            entry
            for entry in audit.entries(control_plane, place)
            if entry["verb"] == "patch" and entry.get("userAgent", "").startswith(audit.OPERATOR_AGENT)
            and entry["objectRef"].get("name") == blue and entry["objectRef"]["resource"] == "namespaces"
        ]  # fmt: skip
        # One for each change that somebody makes (two a touch), and one each half a minute.
        assert len(writes) <= 2 + 1 + (time.monotonic() - since) / 30 + 1
    eventually(lambda: level_of(world, blue) == "baseline", "it is as it should be")
    world.await_status(blue, lambda s: is_true(s, "Provisioned"), "is Provisioned again")
    assert metric(operator, "bitgoeul_drift_corrections_total", "Namespace") <= repaired + 1


def touched(world: World, namespace: str) -> str:
    """Change something else of a namespace; gives its pod security level then."""
    world.admin.merge(NAMESPACE.path(namespace), {"metadata": {"annotations": {"example.org/touched": world.suffix}}})
    world.admin.merge(NAMESPACE.path(namespace), {"metadata": {"annotations": {"example.org/touched": None}}})
    return level_of(world, namespace)


def test_nobody_is_let_in_while_pod_security_does_not_stand(world: World) -> None:
    """Who would be first into the namespace could run anything; it opens when the level stands."""
    pool = world.pool()
    name = world.name("blue")
    with mutator(world, "namespaces", pinned_level("privileged"), name):
        await_acting(world, name)
        blue = world.allocate("blue", {pool: 2}, members=MEMBERS)
        told = world.await_reason(blue, "Ready", "ApplyFailed")
        assert f"label {LEVEL} stays privileged although baseline was written" in told["message"]
        assert world.bindings(blue) == {}
    world.await_phase(blue, "Active")
    assert level_of(world, blue) == "baseline"
    assert world.bindings(blue) == {"bitgoeul:admin": ["ann@example.org"]}


def test_what_was_pinned_while_suspended_bars_nobody_afterwards(world: World) -> None:
    """A suspension wants the default level, which does not stand; going on wants the one that does."""
    pool = world.pool()
    level = {"level": "privileged", "reason": "a test"}
    blue = world.active("blue", {pool: 2}, members=MEMBERS, podSecurity=level)
    with mutator(world, "namespaces", pinned_level("privileged"), blue):
        eventually(lambda: tried(world, blue, "restricted") == "privileged", "the policy acts")
        world.edit(blue, suspend=True)
        told = world.await_reason(blue, "Suspended", "Suspended")
        assert told["status"] == "True"
        world.await_status(
            blue, lambda s: f"label {LEVEL} stays privileged" in condition(s, "Ready")["message"], "says what stays"
        )
        world.edit(blue, suspend=False)
        world.await_phase(blue, "Active")
        eventually(lambda: world.bindings(blue) == {"bitgoeul:admin": ["ann@example.org"]}, "members are in again")


def tried(world: World, namespace: str, level: str) -> str:
    """The level that a namespace would have if somebody wrote another one."""
    body = {"metadata": {"labels": {LEVEL: level}}}
    answer = world.admin.merge(f"{NAMESPACE.path(namespace)}?dryRun=All", body)
    return str(answer["metadata"]["labels"][LEVEL])


def await_acting(world: World, name: str) -> None:
    """Wait until a policy changes a namespace of this name as it is made."""

    def acts() -> bool:
        answer = world.admin.create(f"{NAMESPACE.path()}?dryRun=All", {"metadata": {"name": name}})
        return bool(answer["metadata"]["labels"].get(LEVEL) == "privileged")

    eventually(acts, "the policy acts")


def test_a_quota_that_is_pinned_is_told_and_charged(world: World) -> None:
    """What it lets in counts as taken; nobody who is in loses anything."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 2}, members=MEMBERS)
    key = f"requests.{resource_of(pool)}"
    patch = f"[JSONPatch{{op: 'replace', path: '/spec/hard/' + jsonpatch.escapeKey('{key}'), value: '5'}}]"
    with json_mutator(world, "resourcequotas", patch, blue):

        def raised() -> bool:
            world.admin.merge(RESOURCE_QUOTA.path(QUOTA_NAME, blue), {"spec": {"hard": {key: "5"}}})
            said = condition(world.status(blue), "Provisioned")
            return said["reason"] == "ApplyFailed" and "stays 5 although 2 was written" in said["message"]

        eventually(raised, "it is told")
        world.await_devices(pool, granted=5, available=3)
        assert is_true(world.status(blue), "Ready")
    world.await_limit(blue, pool, 2)
    world.await_devices(pool, granted=2, available=6)


@contextmanager
def json_mutator(world: World, resource: str, expression: str, namespace: str, group: str = "") -> Iterator[None]:
    """The same by a JSON patch."""
    with mutator(world, resource, "Object{}", namespace, group):
        policy = BY_KIND["MutatingAdmissionPolicy"]
        change: dict[str, Any] = {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
        path = policy.path(world.name("pins"))
        world.admin.merge(path, {"spec": {"mutations": [change]}})
        yield


def test_a_binding_that_is_pinned_is_told(world: World) -> None:
    """Any child: who was added by somebody else's policy stays, and everybody can see it."""
    pool = world.pool()
    blue = world.active("blue", {pool: 1}, members=MEMBERS)
    expression = "Object{metadata: Object.metadata{labels: {'bitgoeul.dev/allocation': 'other'}}}"
    with mutator(world, "rolebindings", expression, blue, group="rbac.authorization.k8s.io"):
        path = BY_KIND["RoleBinding"].path("bitgoeul:admin", blue)

        def told() -> bool:
            world.admin.merge(path, {"metadata": {"annotations": {"touched": "1"}}})
            world.admin.merge(path, {"metadata": {"annotations": {"touched": None}}})
            said = condition(world.status(blue), "Provisioned")
            return "RoleBinding bitgoeul:admin in " in said["message"]

        eventually(told, "it is told")
        assert is_true(world.status(blue), "Ready")
    world.await_status(blue, lambda s: is_true(s, "Provisioned"), "is Provisioned again")


def test_a_role_of_all_tenants_that_is_pinned_is_counted_and_heals(world: World, operator: OperatorProcess) -> None:
    """What belongs to no allocation is in the metrics and the log, and is not written over and over."""
    role = BY_KIND["ClusterRole"].path("bitgoeul:tenant-view")
    before = world.admin.get(role)["rules"]
    patch = (
        "object.metadata.name == 'bitgoeul:tenant-view'"
        " ? [JSONPatch{op: 'replace', path: '/rules', value: object.rules.filter(r, r.resources != ['events'])}] : []"
    )
    with json_mutator(world, "clusterroles", patch, "any", group="rbac.authorization.k8s.io"):

        def counted() -> bool:
            world.admin.merge(role, {"metadata": {"annotations": {"touched": "1"}}})
            world.admin.merge(role, {"metadata": {"annotations": {"touched": None}}})
            return metric(operator, "bitgoeul_unkept_objects", "ClusterRole") == 1

        eventually(counted, "it is counted")
        assert "ClusterRole bitgoeul:tenant-view: rules stays" in operator.said()
    eventually(lambda: world.admin.get(role)["rules"] == before, "the role is as it should be")
    eventually(lambda: metric(operator, "bitgoeul_unkept_objects", "ClusterRole") == 0, "nothing is counted")
