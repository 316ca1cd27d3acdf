"""The samples that people start from: they can be read, they say what they claim, and a wheel carries them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bitgoeul.api import AcceleratorPool, StoragePool, TenantAllocation
from bitgoeul.api.conditions import REFUSALS, Reason
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
from bitgoeul.demo.story import FORMAL_SERVICE_BEGINS, FULL_STAGE_BEGINS, PILOT_BEGINS, PILOT_ENDS, names_of
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.moments import day, moment
from bitgoeul.planning.pools import accelerator
from tests import many_tenants
from tests.unit.builders import Manifest, make_metadata, make_node, plan_of, written_back

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


def test_figures_of_2021_are_exact(case: ModelCase) -> None:
    """280 A100 on 35 nodes make 5.5 of the 8.85 PF; 10.7 PB; 11 pilot tenants, from 15 February to 31 March."""
    per_node = [node["status"]["capacity"].get("nvidia.com/gpu") for node in case.nodes]
    a100 = find(case.pools, "AcceleratorPool", "a100").spec
    assert [count for count in per_node if count] == ["8"] * 35
    assert 280 * float(a100.petaflops_per_device) == pytest.approx(5.46)
    assert parse_bytes(find(case.pools, "StoragePool", "lustre").spec.stages[0].capacity) == 10_700 * 10**12
    windows = [TenantAllocation.model_validate(obj).spec.window for obj in case.pilot]
    # The end is exclusive.
    assert [(window.start, window.end) for window in windows] == [(PILOT_BEGINS, PILOT_ENDS)] * 11
    assert (PILOT_BEGINS.date(), PILOT_ENDS.date()) == (date(2021, 2, 15), date(2021, 4, 1))


def test_figures_of_2024_are_exact(case: ModelCase) -> None:
    """All pools that say a computing power have 88.5 PF together, ten times 2021; 107 PB."""
    pools = [AcceleratorPool.model_validate(obj).spec for obj in case.pools if obj["kind"] == "AcceleratorPool"]
    petaflops = sum(pool.stages[-1].devices * float(pool.petaflops_per_device or 0) for pool in pools)
    assert petaflops == pytest.approx(88.5, abs=0.05)
    assert parse_bytes(find(case.pools, "StoragePool", "lustre").spec.stages[-1].capacity) == 107_000 * 10**12


def test_nodes_have_what_the_stages_plan(case: ModelCase) -> None:
    """Each node belongs to one pool, and those of a stage have just as many devices as it plans."""
    pools = [AcceleratorPool.model_validate(obj).spec for obj in case.pools if obj["kind"] == "AcceleratorPool"]
    for now, nodes in ((PILOT_BEGINS, case.nodes), (FULL_STAGE_BEGINS, case.nodes + case.full_stage)):
        installed = Counter[str]()
        for node in nodes:
            labels, capacity = node["metadata"]["labels"], node["status"]["capacity"]
            (home,) = [pool for pool in pools if pool.node_selector.items() <= labels.items()]
            installed[home.product or ""] += int(capacity[home.resource_name])
        begun = {pool.product: [stage.devices for stage in pool.stages if stage.from_ <= now] for pool in pools}
        assert dict(installed) == {product: devices[-1] for product, devices in begun.items() if devices}
    names = [node["metadata"]["name"] for node in case.nodes + case.full_stage]
    assert len(set(names)) == len(names)


def test_those_who_come_first_have_the_priority(case: ModelCase) -> None:
    """Local firms, firms moving to the region and project participants stand above all others; the pilot above both."""
    for obj in case.pilot + case.formal:
        entitled = obj["metadata"].get("labels", {}).get(COMES_FIRST)
        assert entitled in (None, "local-firm", "moving-firm", "project-participant")
        expected = 300 if obj in case.pilot else 200 if entitled else 100
        assert obj["spec"]["priority"] == expected
        if entitled == "local-firm":
            assert obj["spec"]["organization"]["region"] == "honam"


EARLIEST = {
    "dambi": "2024-01-01",  # the next stage
    "hanbit": "2024-01-01",
    "nabi": "2022-01-02",  # an earlier grant ends, and its grace
    "onggi": "2026-01-02",  # after dambi
    "pureun": "2023-01-03",  # after nabi
}


@pytest.mark.parametrize(
    ("pilot_minute", "formal_minute"),
    [pytest.param(0, 5, id="the pilot first"), pytest.param(0, 0, id="all in the same second")],
)
def test_the_model_case_shows_every_answer(case: ModelCase, pilot_minute: int, formal_minute: int) -> None:
    """The pilot fits; of those after it six are promised their start, five told their earliest, one is refused."""
    objects = stored(case.nodes + case.pools + case.pilot, pilot_minute) + stored(case.formal, formal_minute)
    plan = plan_of(objects, PILOT_BEGINS)
    decisions = plan.decisions
    pilots = names_of(case.pilot)
    assert all(decisions[name].met for name in pilots)
    others = {name: decisions[name] for name in names_of(case.formal)}
    promised = {name: decision.window for name, decision in others.items() if decision.promised}
    assert set(promised) == {"gaon", "haneul", "hyanggyo", "miru", "solbit", "sora"}
    assert {window.start for window in promised.values() if window} == {moment(FORMAL_SERVICE_BEGINS)}
    assert foretold(others) == EARLIEST
    assert {name for name, decision in others.items() if decision.reason in REFUSALS} == {"taesan"}
    assert plan.pools[accelerator("a100")].scheduled == 272

    # With the pilot over, the formal service begins.
    objects = [obj for obj in written_back(objects, plan, PILOT_BEGINS) if obj["metadata"]["name"] not in pilots]
    plan = plan_of(objects, FORMAL_SERVICE_BEGINS)
    assert {name for name, decision in plan.decisions.items() if decision.met} == set(promised)
    assert foretold(plan.decisions) == EARLIEST
    assert plan.decisions["pureun"].reason is Reason.BLOCKED_BY_EARLIER
    positions = {name: decision.queue.position for name, decision in plan.decisions.items() if decision.queue}
    assert positions == {"dambi": 1, "onggi": 2, "hanbit": 1, "nabi": 1, "pureun": 2}


def test_a_hundred_are_served_by_priority(case: ModelCase) -> None:
    """Both pools are given out to the last device; who waits is told until when, and those who come first go first."""
    assert many_tenants.FILE.read_text() == many_tenants.text(), "run: make generate"
    asked = read_sample(many_tenants.FILE)
    plan = plan_of(stored(case.nodes + case.pools + asked, 0), FORMAL_SERVICE_BEGINS)
    specs = {obj["metadata"]["name"]: TenantAllocation.model_validate(obj).spec for obj in asked}
    assert len(specs) == 100
    found = Counter(
        (spec.accelerators[0].pool, spec.priority, plan.decisions[name].met) for name, spec in specs.items()
    )
    assert found == {
        ("a100", 200, True): 34,
        ("a100", 100, True): 17,
        ("a100", 100, False): 29,
        ("rngd", 200, True): 7,
        ("rngd", 200, False): 2,
        ("rngd", 100, True): 2,
        ("rngd", 100, False): 9,
    }
    assert [
        (plan.pools[accelerator(name)].granted, plan.pools[accelerator(name)].available) for name in ("a100", "rngd")
    ] == [
        (280, 0),
        (32, 0),
    ]
    waiting = {name for name, decision in plan.decisions.items() if not decision.met}
    assert foretold(plan.decisions).keys() == waiting


def foretold(decisions: Mapping[str, Decision]) -> dict[str, str]:
    """Who waits, and the earliest start that it is told."""
    return {
        name: day(decision.queue.earliest)
        for name, decision in decisions.items()
        if decision.queue and decision.queue.earliest is not None
    }


def test_a_staged_pool_tells_when_it_grows() -> None:
    """The dated tenant is promised its start, and the one that is too big waits for the second stage."""
    objects = read_sample(FILES["staged-capacity.yaml"])
    labels = find(objects, "AcceleratorPool", "growing").spec.node_selector
    nodes = [make_node(f"node-{number}") for number in range(8)]
    for node in nodes:
        node["metadata"]["labels"] = labels
    now = datetime(2027, 1, 4, tzinfo=UTC)
    plan = plan_of(stored(objects, 0) + nodes, now)
    maru, haenuri = plan.decisions["maru"], plan.decisions["haenuri"]
    assert maru.promised == {accelerator("growing"): 48}
    assert maru.window is not None
    assert [day(at) for at in (maru.window.start, maru.window.end)] == ["2027-02-01", "2027-08-01"]
    assert [day(at) for at in (maru.window.drain_at or 0, maru.window.delete_at or 0)] == ["2027-08-04", "2027-11-02"]
    assert foretold(plan.decisions) == {"haenuri": "2028-01-01"}
    assert "when stage second-hall of growing begins" in haenuri.message


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
