"""The samples that people start from: they can be read, they say what they claim, and a wheel carries them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bitgoeul.api import AcceleratorPool, StoragePool, TenantAllocation
from bitgoeul.api.conditions import Reason
from bitgoeul.api.quantities import parse_bytes
from bitgoeul.demo.samples import (
    IN_SOURCE_TREE,
    ModelCase,
    build_tenant,
    find_samples,
    find_tester,
    generate_tenants,
    read_model_case,
    read_sample,
)
from tests.unit.builders import Manifest, make_metadata, plan_of

MODELS: dict[str, Any] = {
    "AcceleratorPool": AcceleratorPool,
    "StoragePool": StoragePool,
    "TenantAllocation": TenantAllocation,
}
FILES = {str(path.relative_to(IN_SOURCE_TREE)): path for path in sorted(IN_SOURCE_TREE.rglob("*.yaml"))}
COMES_FIRST = "example.org/comes-first-as"


@pytest.fixture(scope="module")
def case() -> ModelCase:
    """The model case as the demo reads it."""
    return read_model_case()


def find(objects: list[Manifest], kind: str, name: str) -> Any:
    """One object as its model."""
    return next(
        MODELS[kind].model_validate(obj) for obj in objects if obj["kind"] == kind and obj["metadata"]["name"] == name
    )


def stored(objects: list[Manifest], created: int) -> list[Manifest]:
    """The objects as the API server would have them, nodes Ready, all created at that minute."""
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    return [
        obj
        | {"metadata": make_metadata(obj["metadata"]["name"], created, labels=obj["metadata"].get("labels", {}))}
        | ({"status": obj["status"] | ready} if obj["kind"] == "Node" else {})
        for obj in objects
        if obj["kind"] in (*MODELS, "Node")
    ]


@pytest.mark.parametrize("name", FILES)
def test_a_sample_can_be_read(name: str) -> None:
    """Every object of ours is one that the models accept; the API server's word is asked in the cluster tests."""
    objects = read_sample(FILES[name])
    assert objects
    for obj in objects:
        if obj["kind"] in MODELS:
            MODELS[obj["kind"]].model_validate(obj)


@pytest.mark.parametrize("name", FILES)
def test_organisations_are_marked_as_examples(name: str) -> None:
    """Nobody takes an invented tenant for a real one, nor an invented person."""
    for obj in read_sample(FILES[name]):
        if obj["kind"] == "TenantAllocation":
            spec = TenantAllocation.model_validate(obj).spec
            assert spec.organization.name.endswith(" (example)")
            assert all(member.name.endswith(".example") for member in spec.members if "@" in member.name)


def test_figures_of_the_model_case_are_exact(case: ModelCase) -> None:
    """280 A100 on 35 nodes make 5.5 of the 8.85 PF; 10.7 PB; 11 pilot tenants."""
    per_node = [node["status"]["capacity"].get("nvidia.com/gpu") for node in case.nodes]
    a100 = find(case.pools, "AcceleratorPool", "a100").spec
    assert [count for count in per_node if count] == ["8"] * 35
    assert 280 * float(a100.petaflops_per_device) == pytest.approx(5.46)
    assert parse_bytes(find(case.pools, "StoragePool", "lustre").spec.capacity) == 10_700 * 10**12
    assert len(case.pilot) == 11


def test_every_node_has_a_pool(case: ModelCase) -> None:
    """The pools' selectors and resource names are those of the nodes, each node in one pool."""
    pools = [AcceleratorPool.model_validate(obj).spec for obj in case.pools if obj["kind"] == "AcceleratorPool"]
    for node in case.nodes:
        labels, capacity = node["metadata"]["labels"], node["status"]["capacity"]
        homes = [pool for pool in pools if pool.node_selector.items() <= labels.items()]
        assert [pool.resource_name in capacity for pool in homes] == [True]


def test_those_who_come_first_have_the_priority(case: ModelCase) -> None:
    """Local firms, firms moving to the region and project participants stand above all others; the pilot above both."""
    for obj in case.pilot + case.formal:
        entitled = obj["metadata"].get("labels", {}).get(COMES_FIRST)
        assert entitled in (None, "local-firm", "moving-firm", "project-participant")
        expected = 300 if obj in case.pilot else 200 if entitled else 100
        assert obj["spec"]["priority"] == expected
        if entitled == "local-firm":
            assert obj["spec"]["organization"]["region"] == "honam"


@pytest.mark.parametrize(
    ("pilot_minute", "formal_minute"),
    [pytest.param(0, 5, id="the pilot first"), pytest.param(0, 0, id="all in the same second")],
)
def test_the_model_case_shows_every_answer(case: ModelCase, pilot_minute: int, formal_minute: int) -> None:
    """The pilot fits; of those after it one is granted, three wait for two reasons, one is refused."""
    plan = plan_of(stored(case.nodes + case.pools + case.pilot, pilot_minute) + stored(case.formal, formal_minute))
    decisions = plan.decisions
    assert all(decisions[obj["metadata"]["name"]].met for obj in case.pilot)
    others = {obj["metadata"]["name"]: decisions[obj["metadata"]["name"]] for obj in case.formal}
    assert {name: decision.reason for name, decision in others.items()} == {
        "gaon": Reason.GRANTED,
        "solbit": Reason.WAITING_FOR_CAPACITY,
        "hyanggyo": Reason.WAITING_FOR_CAPACITY,
        "miru": Reason.BLOCKED_BY_EARLIER,
        "taesan": Reason.EXCEEDS_POOL_CAPACITY,
    }
    positions = {name: decision.queue.position for name, decision in others.items() if decision.queue}
    assert positions == {"solbit": 1, "hyanggyo": 2, "miru": 3}


def test_somebody_can_try_the_grant_out(case: ModelCase) -> None:
    """One member is a person, with an even number of devices in one namespace, for pods of two."""
    tester = find_tester(case.pilot)
    assert tester.user == "minji@sarangbang.example"
    assert (tester.allocation, tester.namespace, tester.pool) == ("sarangbang", "sarangbang-train", "a100")
    assert tester.devices % 2 == 0


def test_generated_tenants_are_the_same_each_time() -> None:
    """The same number gives the same tenants, all valid, behind everybody of the model case."""
    tenants = generate_tenants(12)
    assert tenants == generate_tenants(12)
    assert tenants[:5] == generate_tenants(5)
    assert [tenant["metadata"]["name"] for tenant in tenants][::11] == ["tenant-0001", "tenant-0012"]
    specs = [TenantAllocation.model_validate(tenant).spec for tenant in tenants]
    assert sum(bool(spec.accelerators) for spec in specs) == 2
    assert {spec.priority for spec in specs} == {50}
    assert TenantAllocation.model_validate(build_tenant(2000)).metadata.name == "tenant-2000"


def test_a_wheel_carries_the_samples(tmp_path: Path) -> None:
    """Whoever installs the package has the demo, without a source tree."""
    root = IN_SOURCE_TREE.parents[1]
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        inside = {name for name in wheel.namelist() if name.startswith("bitgoeul/demo/samples/")}
    assert inside == {f"bitgoeul/demo/samples/{name}" for name in FILES}, (
        'pyproject.toml: [tool.hatch.build.targets.wheel.force-include] has to map "deploy/samples" to them'
    )


def test_the_source_tree_is_read_where_it_is() -> None:
    """In a checkout, edits of the samples show at once."""
    assert find_samples() == IN_SOURCE_TREE
