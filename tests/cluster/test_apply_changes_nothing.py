"""Applying the same file again changes nothing and reports nothing, on the client's side and on the server's."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bitgoeul.api.crd import build_crd
from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import API_VERSION, GROUP
from bitgoeul.cluster.kinds import OWN_KINDS, TENANT_ALLOCATION
from bitgoeul.local.launcher import ControlPlane
from tests.chart import ROOT
from tests.cluster.api_objects import Manifest, install_crds, make
from tests.cluster.kubectl import Kubectl
from tests.cluster.scenario import World

SAMPLES = ROOT / "deploy" / "samples"
MOST = 30  # objects of a sample
SERVER_SIDE = ("--server-side", "--field-manager=gitops")

# Each field of each kind, as somebody may write it; every one that may be left out is left out once.
FULL: dict[str, Manifest] = {
    "AcceleratorPool": {
        "type": "GPU",
        "vendor": "NVIDIA",
        "product": "A100",
        "region": "honam",
        "nodeSelector": {"example.org/product": "a100"},
        "tolerations": [
            {"key": "nvidia.com/gpu"},
            {"key": "example.org/team", "operator": "Equal", "value": "ai", "effect": "NoSchedule"},
            {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        ],
        "resourceName": "nvidia.com/gpu",
        "petaflopsPerDevice": "0.0195",
        "perDevice": {"cpu": 16, "memory": "120Gi"},
        "reserve": 2,
        "stages": [{"name": "full", "from": "2030-01-01T00:00:00+09:00", "devices": 8}],
        "stopPolicy": "Hold",
    },
    "StoragePool": {
        "storageClassName": "lustre",
        "capacity": 10700000000000000,
        "reserve": "0.5Pi",
        "stages": [{"name": "full", "from": "2030-01-01T00:00:00+09:00", "capacity": "107P"}],
        "stopPolicy": "Hold",
    },
    "TenantAllocation": {
        "organization": {"name": "Blue Motors", "class": "Startup", "sector": "Automotive", "region": "honam"},
        "priority": 200,
        "window": {"start": "2030-01-01T00:00:00+09:00", "duration": "2160h"},
        "accelerators": [{"pool": "a100", "devices": 8}],
        "storage": [
            {
                "pool": "lustre",
                "size": "50Ti",
                "claims": [
                    {"name": "data", "size": "1.5Ti", "accessModes": ["ReadWriteMany", "ReadOnlyMany"]},
                    {"name": "scratch", "namespace": "serve", "size": 1000, "accessModes": ["ReadWriteOnce"]},
                ],
            }
        ],
        "compute": {"cpu": "1.5", "memory": 1073741824},
        "podSecurity": {"level": "privileged", "reason": "RDMA needs IPC_LOCK"},
        "namespaces": [
            {"name": "train", "accelerators": {"a100": 6}, "storage": {"lustre": "40Ti"}},
            {"name": "serve", "accelerators": {"a100": 2}, "storage": {"lustre": "10Ti"}},
        ],
        "members": [
            {"kind": "User", "name": "a@example.org", "role": "edit", "clusterRoles": ["ray-user"]},
            {"kind": "ServiceAccount", "name": "ci", "namespace": "tools", "role": "view"},
        ],
        "expiry": {
            "notice": ["168h", "24h"],
            "grace": "72h",
            "workload": "Keep",
            "retention": "2160h",
            "deletionPolicy": "Delete",
        },
        "suspend": True,
        "restoreFrom": "0f8fad5b-d9cb-469f-a165-70867728950e",
    },
}
# What the least object of a kind has beside what the schema requires.
LEAST: dict[str, Manifest] = {
    "AcceleratorPool": {},
    "StoragePool": {"capacity": 1},
    "TenantAllocation": {"compute": {"cpu": 1}},
}
# What cannot be left out of these objects, although the schema alone would allow it.
NEEDED = {
    "TenantAllocation.storage": "namespaces have shares of it",
    "TenantAllocation.accelerators": "namespaces have shares of it",
    "TenantAllocation.namespaces": "claims name one of them",
    "TenantAllocation.namespaces.0.storage": "claims take from it",
    "TenantAllocation.namespaces.1.storage": "claims take from it",
    "TenantAllocation.members.1.namespace": "a service account has one",
    "TenantAllocation.podSecurity.reason": "a weaker level has one",
    "AcceleratorPool.tolerations.0.key": "an entry without key needs operator Exists",
    "AcceleratorPool.tolerations.1.key": "an entry without key needs operator Exists",
    "AcceleratorPool.tolerations.2.operator": "only Exists may stand without a key",
    "AcceleratorPool.tolerations.2.effect": "tolerationSeconds need NoExecute",
}


def spec_schema(kind: str) -> Manifest:
    crd = build_crd(next(one for one in KINDS if one.name == kind))
    schema: Manifest = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def optional(value: Any, schema: Manifest, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all that stands in an object and need not, by its schema."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from optional(item, schema["items"], (*path, number))
    elif isinstance(value, dict) and "properties" in schema:
        for name, child in value.items():
            if name not in schema.get("required", ()):
                yield (*path, name)
            yield from optional(child, schema["properties"][name], (*path, name))


def defaults(schema: Manifest, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The place and the value of every default."""
    if "default" in schema:
        yield path, schema["default"]
    for name, child in schema.get("properties", {}).items():
        yield from defaults(child, (*path, name))


def empties(value: Any, schema: Manifest, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all lists that may stand there with nothing in them."""
    for name, child in value.items() if isinstance(value, dict) else ():
        below = schema.get("properties", {}).get(name, {})
        if isinstance(child, list) and not below.get("minItems"):
            yield (*path, name)
        yield from empties(child, below, (*path, name))


def without(spec: Manifest, path: tuple[str | int, ...]) -> Manifest:
    changed = copy.deepcopy(spec)
    node: Any = changed
    for step in path[:-1]:
        node = node[step]
    del node[path[-1]]
    return changed


def stating(spec: Manifest, path: tuple[str | int, ...], value: Any) -> Manifest:
    changed = copy.deepcopy(spec)
    node: Any = changed
    for step in path[:-1]:
        node = node.setdefault(step, {})
    node[path[-1]] = value
    return changed


def variants(kind: str) -> list[Manifest]:
    """An object that says all, one for each thing that it can leave out, and one for each default that it can state."""
    full, schema = FULL[kind], spec_schema(kind)
    paths = [path for path in optional(full, schema) if ".".join(map(str, (kind, *path))) not in NEEDED]
    specs = [full, *(without(full, path) for path in paths)]
    specs += [stating(full, path, value) for path, value in defaults(schema)]
    specs += [
        stating(full, path, []) for path in empties(full, schema) if ".".join(map(str, (kind, *path))) not in NEEDED
    ]
    specs.append({name: full[name] for name in schema["required"]} | LEAST[kind])
    return [make(kind, f"{kind.lower()}-{number}", spec) for number, spec in enumerate(specs)]


# What cannot stand in the same object as what is in it.
APART = {"TenantAllocation.window.end"}


@pytest.mark.parametrize("kind", FULL)
def test_each_field_is_tried(kind: str) -> None:
    """A field that is added to a kind has to be added here."""

    def fields(schema: Manifest, path: str) -> Iterator[str]:
        below = schema.get("items", schema)
        for name, child in (below.get("properties") or {}).items():
            yield f"{path}.{name}"
            yield from fields(child, f"{path}.{name}")

    def stated(value: Any, path: str) -> Iterator[str]:
        for item in value if isinstance(value, list) else [value]:
            for name, child in item.items() if isinstance(item, dict) else ():
                yield f"{path}.{name}"
                yield from stated(child, f"{path}.{name}")

    assert set(fields(spec_schema(kind), kind)) - APART <= set(stated(FULL[kind], kind))


@pytest.fixture(scope="module")
def apart(_binary: None) -> Iterator[Kubectl]:
    """kubectl on a control plane of its own without an operator: samples have names that others have too."""
    with ControlPlane.temporary() as plane:
        kubectl = Kubectl(plane.binary, plane.kubeconfig)
        install_crds(kubectl)
        yield kubectl


def versions(kubectl: Kubectl) -> dict[str, tuple[str, int]]:
    """Version and generation of all our objects."""
    plurals = ",".join(f"{kind.plural}.{GROUP}" for kind in OWN_KINDS)
    return {
        f"{one['kind']} {one['metadata']['name']}": (
            one["metadata"]["resourceVersion"],
            one["metadata"]["generation"],
        )
        for one in kubectl.get(plurals)["items"]
    }


def ours(text: str) -> str:
    """The objects of a file that are of our kinds; of a hundred that are alike the first few."""
    found = [one for one in yaml.safe_load_all(text) if one and one["apiVersion"] == API_VERSION]
    return yaml.safe_dump_all(found[:MOST]) if found else ""


INPUTS = [*FULL, *sorted(str(file.relative_to(SAMPLES)) for file in SAMPLES.rglob("*.yaml"))]


def text_of(name: str) -> str:
    """The variants of a kind, or a sample."""
    return yaml.safe_dump_all(variants(name)) if name in FULL else ours((SAMPLES / name).read_text())


@pytest.mark.parametrize("name", INPUTS)
def test_a_second_apply_finds_nothing_to_change(apart: Kubectl, name: str) -> None:
    """Neither an apply of the client's nor one of the server's, whatever is left out and whatever is stated."""
    text = text_of(name)
    if not text:
        return
    apart("delete", "--ignore-not-found", "-f", "-", stdin=text)
    apart("apply", "-f", "-", stdin=text)
    before = versions(apart)
    again = apart("apply", "-f", "-", stdin=text).stdout.splitlines()
    assert again
    assert [line for line in again if not line.endswith(" unchanged")] == []
    assert apart("diff", "-f", "-", stdin=text, check=False).stdout == ""
    assert versions(apart) == before
    apart("apply", *SERVER_SIDE, "--force-conflicts", "-f", "-", stdin=text)
    before = versions(apart)
    apart("apply", *SERVER_SIDE, "-f", "-", stdin=text)
    assert apart("diff", *SERVER_SIDE, "-f", "-", stdin=text, check=False).stdout == ""
    assert versions(apart) == before


@pytest.mark.parametrize("kind", FULL)
def test_what_must_not_be_left_out_is_refused(apart: Kubectl, kind: str) -> None:
    """So nothing is kept out of the test above that an object can do without."""
    full = FULL[kind]
    for path in optional(full, spec_schema(kind)):
        if ".".join(map(str, (kind, *path))) in NEEDED:
            obj = json.dumps(make(kind, "lacks", without(full, path)))
            assert apart("create", "--dry-run=server", "-f", "-", stdin=obj, check=False).returncode == 1, path


def test_an_apply_beside_the_operator_finds_nothing_to_change(world: World, kubectl: Kubectl) -> None:
    """What the operator writes, finalizer and status, is nobody's difference."""
    pool = world.pool(devices=4, tolerations=[{"key": "example.org/gpu"}])
    disk = world.storage_pool()
    name = world.name("steady")
    obj = make(
        "TenantAllocation",
        name,
        {
            "organization": {"name": "Steady", "class": "SME"},
            "accelerators": [{"pool": pool, "devices": 2}],
            "storage": [
                {
                    "pool": disk,
                    "size": "1.5Ti",
                    "claims": [{"name": "data", "size": 1000, "accessModes": ["ReadWriteOnce"]}],
                }
            ],
            "members": [{"kind": "User", "name": "a@example.org", "role": "edit"}],
        },
    )
    kubectl.apply(obj)
    world.await_phase(name, "Active")
    generation = world.get(TENANT_ALLOCATION, name)["metadata"]["generation"]
    assert kubectl.apply(obj).stdout.strip().endswith("unchanged")
    text = json.dumps(obj)
    assert kubectl("diff", "-f", "-", stdin=text, check=False).stdout == ""
    for _ in range(2):
        kubectl.apply(obj, arguments=SERVER_SIDE)
    assert kubectl("diff", *SERVER_SIDE, "-f", "-", stdin=text, check=False).stdout == ""
    found = world.get(TENANT_ALLOCATION, name)
    assert found["metadata"]["generation"] == generation
    assert found["metadata"]["finalizers"]
    assert found["status"]["phase"] == "Active"


def test_a_status_in_a_manifest_is_passed_over(apart: Kubectl) -> None:
    """Whoever applies what kubectl get has written takes nothing from the operator, and claims nothing."""
    name = "exported"
    obj = make("TenantAllocation", name, FULL["TenantAllocation"])
    apart.apply(obj)
    status = {"status": {"phase": "Waiting", "observedGeneration": 1}}
    apart("patch", "ta", name, "--subresource=status", "--type=merge", "-p", json.dumps(status))
    for arguments in ((), (*SERVER_SIDE, "--force-conflicts")):
        apart.apply({**obj, "status": {"phase": "Active"}}, arguments=arguments)
        assert apart.get("ta", name)["status"] == status["status"]


def test_two_managers_share_an_allocation(apart: Kubectl) -> None:
    """Entries with a pool or a name belong to whoever applied them; lists of members and of claims are one whole."""
    name = "shared"
    base = make("TenantAllocation", name, without(FULL["TenantAllocation"], ("restoreFrom",)))
    apart.apply(base, arguments=SERVER_SIDE)
    other = ("--server-side", "--field-manager=other")
    extra = {
        "accelerators": [{"pool": "npu", "devices": 4}],
        "storage": [{"pool": "ceph", "size": "1Ti"}],
        "namespaces": [{"name": "more", "accelerators": {"npu": 4}}],
    }
    apart.apply(make("TenantAllocation", name, extra), arguments=other)
    apart.apply(base, arguments=SERVER_SIDE)
    spec = apart.get("ta", name)["spec"]
    assert [one["pool"] for one in spec["accelerators"]] == ["a100", "npu"]
    assert [one["pool"] for one in spec["storage"]] == ["lustre", "ceph"]
    assert [one["name"] for one in spec["namespaces"]] == ["train", "serve", "more"]
    members = [{"kind": "User", "name": "b@example.org", "role": "view"}]
    text = json.dumps(make("TenantAllocation", name, {"members": members}))
    refused = apart("apply", *other, "-f", "-", stdin=text, check=False)
    assert refused.returncode == 1
    assert 'conflict with "gitops": .spec.members' in refused.stderr
