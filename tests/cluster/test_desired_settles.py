"""What builders give is what the API server stores: the next look finds nothing to write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bitgoeul.api import names
from bitgoeul.api.tenant_allocation import ClaimRequest
from bitgoeul.desired.admission_policies import build_pool_policies
from bitgoeul.desired.cluster_roles import build_reader, build_tenant_roles
from bitgoeul.desired.drift import differs
from bitgoeul.desired.namespace import amend_namespace, build_namespace
from bitgoeul.desired.resource_quota import build_resource_quota, empty_hard
from bitgoeul.desired.role_bindings import build_role_bindings
from bitgoeul.desired.tenant_policies import build_tenant_policies
from bitgoeul.desired.volume_claims import build_volume_claims
from bitgoeul.desired.world import Manifest, NamespaceTarget
from tests.cluster.desired_tenancy import POOLS, WORLD, apply, create
from tests.cluster.kubectl import Kubectl
from tests.cluster.waiting import eventually
from tests.unit.desired_objects import UID, make_member

# Sums and sizes whose spelling the API server has an opinion on.
TARGET = NamespaceTarget(
    name="desired-settles",
    allocation="settles",
    uid="an-allocation",
    devices={"a100": 2000, "h100": 1, "npu": 1000},
    storage={"lustre": 50 * 2**40, "nvme": 10_700 * 10**12},
    cpu_millis=2_000_500,
    memory_bytes=1536 * 2**20,
)
CLAIM = {"name": "data", "size": "10240Gi", "accessModes": ["ReadWriteOnce", "ReadOnlyMany"]}
MEMBERS = [
    make_member("admin"),
    make_member("edit", "lab", "Group"),
    make_member("view", "bot", "ServiceAccount", TARGET.name),
    make_member("view", "bob"),
]


def every_manifest() -> list[Manifest]:
    """The output of every builder but that of the namespace, which is never applied."""
    quota = build_resource_quota(TARGET, WORLD)
    return [
        empty_hard(quota),
        quota,
        *build_volume_claims(TARGET, [("lustre", ClaimRequest.model_validate(CLAIM))], WORLD),
        *build_role_bindings(TARGET, MEMBERS),
        *build_tenant_roles(),
        *build_tenant_policies(),
        *build_reader(TARGET.allocation, UID, MEMBERS),
        *(policy for name, spec in POOLS.items() for policy in build_pool_policies(f"{name}-settles", spec, UID)),
    ]


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[Manifest]:
    """The namespace of the target, as stored; everything that was applied goes with the module."""
    create(kubectl, build_namespace(TARGET))
    yield kubectl.get("namespace", TARGET.name)
    kubectl("delete", "namespace", TARGET.name, "--wait=false")
    for one in every_manifest():
        if "namespace" not in one["metadata"]:
            kubectl("delete", one["kind"].lower(), one["metadata"]["name"], "--ignore-not-found")


@pytest.mark.parametrize(
    "manifest",
    [pytest.param(one, id=f"{one['kind']} {one['metadata']['name']}") for one in every_manifest()],
)
def test_reapplying_writes_nothing(kubectl: Kubectl, namespace: Manifest, manifest: Manifest) -> None:
    """The stored object holds what was wanted, and a further apply keeps its version."""
    # An owner that does not exist would get the object collected as garbage.
    manifest = {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": []}}
    (stored,) = apply(kubectl, manifest)
    assert not differs(manifest, stored)

    def keeps_its_version() -> bool:
        place = ["-n", TARGET.name] if "namespace" in manifest["metadata"] else []
        before = kubectl.get(manifest["kind"].lower(), manifest["metadata"]["name"], *place)
        (after,) = apply(kubectl, manifest)
        assert not differs(manifest, after)
        return bool(before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"])

    # Controllers write status meanwhile, so it need not be the first time; a young quota controller takes half a minute
    # to learn of all kinds that it counts.
    eventually(keeps_its_version, "an apply that writes nothing", 180)


def test_stored_quota_is_spelled_as_built(kubectl: Kubectl, namespace: Manifest) -> None:
    """Quantities come back letter for letter, so that people see one spelling everywhere."""
    quota = build_resource_quota(TARGET, WORLD)
    (stored,) = apply(kubectl, quota)
    assert stored["spec"]["hard"] == quota["spec"]["hard"]


def test_namespace_settles(kubectl: Kubectl, namespace: Manifest) -> None:
    """Nothing has to be amended right after creation, and once amended nothing is left to do."""
    assert amend_namespace(TARGET, namespace) is None
    changed = replace(TARGET, devices={"a100": 1}, retained=True)
    patch = amend_namespace(changed, namespace)
    kubectl("patch", "namespace", TARGET.name, "--type=merge", "-p", json.dumps(patch))
    stored = kubectl.get("namespace", TARGET.name)
    assert amend_namespace(changed, stored) is None
    assert names.pool_label("h100") not in stored["metadata"]["labels"]


def test_amending_fails_on_a_namespace_that_was_replaced(kubectl: Kubectl, namespace: Manifest) -> None:
    """A namespace deleted and made anew by somebody else is not ours, whatever its name."""
    former = {**namespace, "metadata": {**namespace["metadata"], "uid": "of-the-former-one", "labels": {}}}
    patch = amend_namespace(TARGET, former)
    done = kubectl("patch", "namespace", TARGET.name, "--type=merge", "-p", json.dumps(patch), check=False)
    assert "field is immutable" in done.stderr
