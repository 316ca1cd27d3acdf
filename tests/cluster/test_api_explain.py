"""What people see of the API: `kubectl explain`, columns, short names, selectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bitgoeul.api.crd import Kind, build_crd
from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import API_VERSION, GROUP, VERSION
from tests.cluster.api_objects import CRD_NAMES, install_crds, make_allocation, make_pool, make_storage_pool
from tests.cluster.kubectl import Kubectl
from tests.cluster.waiting import eventually

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="module", autouse=True)
def _objects(kubectl: Kubectl) -> Iterator[None]:
    """One object of each kind, with a status as the operator writes it."""
    install_crds(kubectl)
    kubectl.apply(make_pool("api-a100"), make_storage_pool("api-lustre"), make_allocation("api-blue"))
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "WaitingForCapacity",
        "lastTransitionTime": "2021-04-15T00:00:00Z",
    }
    statuses: dict[str, dict[str, Any]] = {
        "apool/api-a100": {
            "currentStage": "pilot-2021",
            "devices": {"effective": 270, "granted": 212, "available": 58, "waiting": 0, "inUse": 171},
            "conditions": [ready],
        },
        "spool/api-lustre": {
            "currentStage": "pilot-2021",
            "summary": {"capacity": "10.7P", "granted": "50Ti", "available": "10.6P"},
            "conditions": [ready],
        },
        "ta/api-blue": {
            "phase": "Waiting",
            "queue": {"position": 2, "since": "2021-04-15T00:00:00Z", "asked": {"accelerators": {"a100": 8}}},
            "summary": {
                "accelerators": "a100×8",
                "namespaces": "0/1",
                "earliest": "2021-06-01",
                "end": "2021-12-31",
            },
            "conditions": [ready],
        },
    }
    for name, status in statuses.items():
        patch = json.dumps({"status": status})
        kubectl("patch", name, "--subresource=status", "--type=merge", "-p", patch)
    yield
    kubectl("delete", *statuses)


def table(text: str) -> list[str]:
    """The lines of a table with single blanks, the age replaced."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_crds_pass_strict_validation(kubectl: Kubectl) -> None:
    """The committed files hold nothing that the API server does not know, and each kind is served."""
    kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server", "-f", str(CRDS))
    for name in CRD_NAMES:
        crd = kubectl.get("crd", name)
        conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
        assert conditions["Established"] == "True"
        # NonStructuralSchema or violated naming would show here.
        assert set(conditions) <= {"Established", "NamesAccepted"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_is_explained(kubectl: Kubectl, kind: Kind) -> None:
    """The API server publishes each description of the schema, which is what `kubectl explain` reads."""
    wanted = build_crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    published = eventually(lambda: published_schema(kubectl, kind), f"{kind.name} in the OpenAPI document")
    for part in ("spec", "status"):
        assert descriptions(published["properties"][part]) == descriptions(wanted[part])


def published_schema(kubectl: Kubectl, kind: Kind) -> dict[str, Any]:
    """The schema of a kind as clients read it; empty: not published yet."""
    document = json.loads(kubectl("get", "--raw", f"/openapi/v3/apis/{API_VERSION}").stdout)
    schema: dict[str, Any] = document["components"]["schemas"].get(f"dev.bitgoeul.{VERSION}.{kind.name}", {})
    return schema


def descriptions(schema: dict[str, Any], path: str = "") -> dict[str, str]:
    """Every description below a node, by path."""
    found = {path: schema.get("description", "")}
    for name, child in schema.get("properties", {}).items():
        found |= descriptions(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            found |= descriptions(schema[key], f"{path}[]")
    return found


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("apool.spec.reserve", "Devices kept as spares and never granted"),
        ("spool.spec.capacity", "Kubernetes cannot measure it, so it is declared here"),
        ("ta.spec.accelerators.devices", "Whole devices, all or nothing, 1 to 1000000"),
        ("apool.spec.stages.from", "FIELD: from <string> DESCRIPTION: When the stage begins, in RFC 3339 with seconds"),
        ("spool.spec.stopPolicy", "ENUM: None Hold DESCRIPTION: None (default): the pool is open."),
        ("ta.spec.window.duration", "Instead of end: how long from the real start, such as 2160h or 90m"),
        ("ta.spec.expiry.deletionPolicy", "ENUM: Retain Delete DESCRIPTION: What becomes of namespaces and data"),
        ("ta.status.queue.position", "1 plus the number of earlier waiting requests"),
    ],
)
def test_explain_is_the_manual(kubectl: Kubectl, field: str, text: str) -> None:
    """`kubectl explain` finds fields by the short names and prints what they mean."""
    answer = eventually(lambda: kubectl("explain", field).stdout, f"explain {field}")
    assert text in " ".join(answer.split())


def test_columns_of_pools(kubectl: Kubectl) -> None:
    """A glance tells what a pool can still give."""
    header, row = table(kubectl("get", "apool", "api-a100").stdout)
    assert header == "NAME PRODUCT STAGE EFFECTIVE GRANTED AVAILABLE WAITING READY AGE"
    assert row.startswith("api-a100 A100-SXM4-80GB pilot-2021 270 212 58 0 False ")
    header, row = table(kubectl("get", "spool", "api-lustre").stdout)
    assert header == "NAME CLASS STAGE CAPACITY GRANTED AVAILABLE READY AGE"
    assert row.startswith("api-lustre lustre pilot-2021 10.7P 50Ti 10.6P False ")


def test_columns_of_allocations(kubectl: Kubectl) -> None:
    """A glance tells who waits, where in the queue and until when; -o wide tells why."""
    header, row = table(kubectl("get", "ta", "api-blue").stdout)
    assert header == "NAME ORGANIZATION ACCELERATORS PHASE POSITION EARLIEST END AGE"
    assert row.startswith("api-blue Blue Motors a100×8 Waiting 2 2021-06-01 2021-12-31 ")
    header, row = table(kubectl("get", "ta", "api-blue", "-o", "wide").stdout)
    assert header.endswith(" AGE PRIORITY REASON NAMESPACES")
    assert row.endswith(" 100 WaitingForCapacity 0/1")


def test_category_shows_all_kinds(kubectl: Kubectl) -> None:
    """`kubectl get bitgoeul` is the first command to try."""
    names = set(kubectl("get", "bitgoeul", "-o", "name").stdout.split())
    assert {
        f"acceleratorpool.{GROUP}/api-a100",
        f"storagepool.{GROUP}/api-lustre",
        f"tenantallocation.{GROUP}/api-blue",
    } <= names


@pytest.mark.parametrize(
    ("kind", "selector", "name"),
    [
        ("ta", "status.phase=Waiting,spec.priority=100", "api-blue"),
        ("ta", "spec.organization.class=Startup", "api-blue"),
        ("apool", "spec.resourceName=nvidia.com/gpu,spec.type=GPU", "api-a100"),
        ("spool", "spec.storageClassName=lustre", "api-lustre"),
    ],
)
def test_fields_can_be_selected(kubectl: Kubectl, kind: str, selector: str, name: str) -> None:
    """The API server filters by the fields that people ask for."""
    assert name in kubectl("get", kind, f"--field-selector={selector}", "-o", "name").stdout
    assert name not in kubectl("get", kind, f"--field-selector={selector.replace('=', '!=', 1)}", "-o", "name").stdout


def test_status_is_stored_whole(kubectl: Kubectl) -> None:
    """A status with every field of the models comes back as it was written."""
    status = {
        "observedGeneration": 1,
        "phase": "Active",
        "grant": {"accelerators": {"a100": 8}, "storage": {"lustre": "50Ti"}},
        "window": {
            "start": "2021-04-15T00:00:00Z",
            "end": "2021-12-31T00:00:00Z",
            "drainAt": "2022-01-03T00:00:00Z",
            "dataDeleteAt": "2022-04-03T00:00:00Z",
        },
        "promised": {"accelerators": {"a100": 1}, "storage": {"lustre": "1Ti"}},
        "inUse": {"accelerators": {"a100": 5}, "storage": {"lustre": "12Ti"}},
        "excess": {"accelerators": {"a100": 1}, "storage": {"lustre": "2Ti"}},
        "reclaimed": False,
        "queue": {
            "position": 1,
            "since": "2021-04-15T00:00:00Z",
            "earliestStart": "2021-06-01T00:00:00Z",
            "asked": {"accelerators": {"a100": 9}, "storage": {"lustre": "60Ti"}},
            "blockedBy": [{"pool": "a100", "devices": 1}, {"pool": "lustre", "size": "10Ti"}],
        },
        "namespaces": [{"name": "api-status", "ready": True}],
        "summary": {"accelerators": "a100×8", "namespaces": "1/1", "earliest": "2021-06-01", "end": "2021-12-31"},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Enforced",
                "message": "",
                "observedGeneration": 1,
                "lastTransitionTime": "2021-04-15T00:00:00Z",
            }
        ],
    }
    kubectl.apply(make_allocation("api-status"))
    answer = kubectl(
        "patch", "ta", "api-status", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
    )
    stored = kubectl.get("ta", "api-status")["status"]
    kubectl("delete", "ta", "api-status")
    assert stored == status
    assert "unknown field" not in answer.stderr


STAGE_2024 = {"name": "full-2024", "from": "2024-01-01T00:00:00+09:00"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        pytest.param(
            "apool",
            {
                "currentStage": "pilot-2021",
                "nextStage": STAGE_2024 | {"devices": 2800},
                "devices": {"planned": 280, "scheduled": 16},
                "calendar": [{"at": "2021-12-31T00:00:00Z", "available": -2, "change": -8, "cause": "a start"}] * 10,
            },
            id="accelerators",
        ),
        pytest.param(
            "spool",
            {
                "currentStage": "pilot-2021",
                "nextStage": STAGE_2024 | {"capacity": "107P"},
                "bytes": {"planned": 10_700 * 10**12, "scheduled": 5},
                "calendar": [{"at": "2021-12-31T00:00:00Z", "available": "-1T", "change": "-8Ti", "cause": "a"}] * 10,
            },
            id="storage",
        ),
    ],
)
def test_the_plan_of_a_pool_is_stored_whole(kubectl: Kubectl, kind: str, status: dict[str, Any]) -> None:
    """What lies ahead of a pool comes back as it was written."""
    pool = make_pool("api-plan") if kind == "apool" else make_storage_pool("api-plan")
    kubectl.apply(pool)
    patch = json.dumps({"status": status})
    answer = kubectl("patch", kind, "api-plan", "--subresource=status", "--type=merge", "-p", patch)
    stored = kubectl.get(kind, "api-plan")["status"]
    kubectl("delete", kind, "api-plan")
    assert stored == status
    assert "unknown field" not in answer.stderr
