"""
Bad input is refused by the API server itself, with the field and what would be right; it never reaches the operator.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import API_VERSION, GROUP
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.api_objects import (
    Manifest,
    devices,
    install_crds,
    make_allocation,
    make_claim,
    make_pool,
    make_storage_pool,
    member,
    organization,
    shares,
    storage,
)
from tests.cluster.bad_allocations import BAD_ALLOCATIONS, expiry, window
from tests.cluster.bad_pools import BAD_POOLS, YEARS, device_stages, storage_stages, toleration
from tests.cluster.kubectl import Kubectl

PLURALS = {kind.name: kind.plural for kind in KINDS}

UID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture(scope="module", autouse=True)
def _api(kubectl: Kubectl) -> Iterator[None]:
    """The CRDs, and nothing of these tests left behind."""
    install_crds(kubectl)
    yield
    # By the kinds' own names: their category takes the API server some seconds more.
    plurals = ",".join(f"{plural}.{GROUP}" for plural in PLURALS.values())
    names = [name for name in kubectl("get", plurals, "-o", "name").stdout.split() if "/api-" in name]
    if names:
        kubectl("delete", *names)


REFUSED = BAD_POOLS | BAD_ALLOCATIONS


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_field_and_reason(control_plane: ControlPlane, case: str) -> None:
    """The answer names the field and says what would be right, in words and not in a regular expression."""
    manifest, field, message = REFUSED[case]
    answer = post(control_plane, manifest)
    assert answer["kind"] == "Status", "the API server took it"
    said = [(cause.get("field", ""), cause["message"]) for cause in answer.get("details", {}).get("causes", [])]
    assert [text for place, text in said or [("", answer["message"])] if place == field and message in text], said
    noise = ("evaluating rule", "cost limit", "unable to parse", "regex used for validation is '^")
    assert not [text for _, text in said if any(word in text for word in noise)]


@pytest.mark.parametrize(
    ("make", "field"),
    [
        pytest.param(window, "spec.window.start", id="the start of a window"),
        pytest.param(lambda moment: window(end=moment), "spec.window.end", id="the end of a window"),
        pytest.param(device_stages, "spec.stages[0].from", id="a stage of a pool"),
        pytest.param(storage_stages, "spec.stages[0].from", id="a stage of a storage pool"),
    ],
)
@pytest.mark.parametrize("offset", ["", "+99:99", "+0900", "x", "z"])
def test_a_moment_that_nobody_can_read_is_refused(
    control_plane: ControlPlane, make: Callable[[str], Manifest], field: str, offset: str
) -> None:
    """What the format lets through is refused by the rule, in the API server's words and ours; all name the text."""
    answer = post(control_plane, make(f"2021-04-15T00:00:00{offset}"))
    assert answer["kind"] == "Status", "the API server took it"
    said = {cause["field"]: cause["message"] for cause in answer["details"]["causes"]}[field]
    assert f"2021-04-15T00:00:00{offset}" in said
    assert YEARS in said or "must be of type date-time" in said


ACCEPTED = {
    "everything in the documented example": make_pool(),
    "a storage pool": make_storage_pool(),
    "a pool name of 58 characters": make_pool("a" * 58),
    "an allocation name of 63 characters": make_allocation("a" * 63),
    "a resource name with capitals": make_pool(resourceName="rebellions.ai/ATOM"),
    "a toleration of every taint": toleration(operator="Exists"),
    "an allocation": make_allocation(),
    "compute alone": make_allocation(accelerators=None, storage=None),
    "devices written as 1e2": devices(1e2),
    "a size in plain bytes": storage("64"),
    "shares that add up exactly": shares(
        {"accelerators": {"a100": 8}, "storage": {"lustre": "40Ti"}},
        {"accelerators": {"a100": 0}, "storage": {"lustre": "10240Gi"}},
    ),
    "claims that fill their share": storage(
        "50Ti",
        make_claim("data", "40Ti"),
        make_claim("data", "10Ti", namespace="serve"),
        namespaces=[
            {"name": "train", "storage": {"lustre": "40Ti"}},
            {"name": "serve", "storage": {"lustre": "10Ti"}},
        ],
    ),
    "a claim in the namespace of the allocation's name": storage("50Ti", make_claim(namespace="api-blue")),
    "all service accounts of one namespace": member(kind="Group", name="system:serviceaccounts:tools"),
    "a service account": member(kind="ServiceAccount", name="ci", namespace="tools"),
    "names in any script": organization(name="한빛 인공지능 ‘AI’ 🚀"),
    "null for what may be left out": make_allocation() | {"spec": make_allocation()["spec"] | {"namespaces": None}},
    "a UID as restoreFrom": make_allocation(restoreFrom=UID),
    "an empty window": window(),
    "a window that is already over": window("2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z"),
    "an end alone": window(end="2199-12-31T23:59:59Z"),
    "a start and a duration": window("2021-04-15T00:00:00+09:00", duration="2160h"),
    "the longest duration": window(duration="87600h"),
    "a duration of mixed parts": window(duration="1h30m15s"),
    "an offset of a whole day": window("2021-04-15T00:00:00+24:00", "2021-04-16T00:00:00-23:60"),
    "an offset behind UTC": window("2021-04-15T00:00:00-11:30", "2021-04-15T00:00:00-12:00"),
    "moments with fractions": window("2021-04-15T00:00:00.123456789+09:00", "2021-04-15T00:00:00,5+09:00"),
    "notices that fit into the duration": window(duration="24h", expiry={"notice": ["1439m", "1h"]}),
    "notices that fit between start and end": window(
        "2021-04-15T00:00:00Z", "2021-04-16T00:00:00Z", expiry={"notice": ["86399s"]}
    ),
    "any notice where the start is open": window(end="2021-04-16T00:00:00Z", expiry={"notice": ["87600h"]}),
    "no notice": expiry(notice=[]),
    "no grace and no retention": expiry(grace="0s", retention="0s", workload="Keep", deletionPolicy="Delete"),
    "a suspended allocation": make_allocation(suspend=True),
    "32 stages": device_stages(*(f"{2021 + n}-01-01T00:00:00+09:00" for n in range(32))),
    "32 stages of storage": storage_stages(*(f"{2021 + n}-01-01T00:00:00Z" for n in range(32))),
    "a stage of no devices": device_stages("2021-02-15T00:00:00Z", devices=0),
    "a capacity until the first stage": make_storage_pool(
        stages=[{"name": "full", "from": "2024-01-01T00:00:00Z", "capacity": "0"}]
    ),
    "an empty plan": make_pool(stages=[]),
    "a storage pool on hold": make_storage_pool(stopPolicy="Hold"),
    "a pool that is drained": make_pool(stopPolicy="HoldAndDrain"),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_good_input_is_taken(control_plane: ControlPlane, case: str) -> None:
    """The rules refuse nothing that works."""
    answer = post(control_plane, ACCEPTED[case])
    assert answer["kind"] == ACCEPTED[case]["kind"], answer.get("message")


def test_defaults_are_filled_in(control_plane: ControlPlane) -> None:
    """What was left out stands in the stored object."""
    spec = post(control_plane, make_allocation())["spec"]
    assert spec["priority"] == 100
    assert spec["expiry"] == {"grace": "24h", "workload": "Drain", "retention": "720h", "deletionPolicy": "Retain"}
    assert spec["restoreFrom"] == ""
    assert spec["suspend"] is False
    assert "namespace" not in spec["members"][0]
    assert not {"window", "namespaces"} & set(spec)
    assert post(control_plane, make_pool())["spec"]["stopPolicy"] == "None"
    assert post(control_plane, make_storage_pool())["spec"]["stopPolicy"] == "None"


def test_one_bad_object_does_not_hold_up_others(kubectl: Kubectl) -> None:
    """Of three objects in one file, the bad one is named and the others are stored."""
    good, bad, late = make_pool("api-first"), make_pool("api-bad", reserve=-1), make_pool("api-last")
    answer = kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, [good, bad, late])), check=False)
    assert answer.returncode == 1
    assert 'AcceleratorPool "api-bad" is invalid' in answer.stderr
    assert "api-first created" in answer.stdout
    assert "api-last created" in answer.stdout


# -- edits


def edit(kubectl: Kubectl, kind: str, name: str, **spec: Any) -> str:
    """Change fields of a stored object; returns the refusal, empty when it was taken."""
    answer = kubectl("patch", kind, name, "--type=merge", "-p", json.dumps({"spec": spec}), check=False)
    return answer.stderr


def set_status(kubectl: Kubectl, name: str, **status: Any) -> None:
    """Write status as the operator does."""
    kubectl("patch", "ta", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


def lustre(size: str, *claims: Manifest) -> list[Manifest]:
    """The storage of an edit."""
    return [{"pool": "lustre", "size": size, "claims": list(claims)}]


@pytest.mark.parametrize(
    ("pool", "kind", "field", "value"),
    [
        pytest.param(make_pool("api-fixed"), "apool", "resourceName", "nvidia.com/mig-1g.5gb", id="resourceName"),
        pytest.param(make_storage_pool("api-fixed"), "spool", "storageClassName", "ceph", id="storageClassName"),
    ],
)
def test_what_grants_hang_on_cannot_change(kubectl: Kubectl, pool: Manifest, kind: str, field: str, value: str) -> None:
    """Grants are enforced under the old name; other fields can be edited."""
    kubectl.apply(pool)
    assert f"spec.{field}: Forbidden: cannot change" in edit(kubectl, kind, "api-fixed", **{field: value})
    assert f"spec.{field}: Required value" in edit(kubectl, kind, "api-fixed", **{field: None})
    assert not edit(kubectl, kind, "api-fixed", reserve=3 if kind == "apool" else "3T")


def test_restore_from_is_for_new_objects(kubectl: Kubectl) -> None:
    """An existing allocation cannot reach for the data of another, nor forget whose data it took."""
    kubectl.apply(make_allocation("api-plain"), make_allocation("api-heir", restoreFrom=UID))
    only = "spec.restoreFrom: Forbidden: can be set only when the allocation is created"
    assert only in edit(kubectl, "ta", "api-plain", restoreFrom=UID)
    assert only in edit(kubectl, "ta", "api-heir", restoreFrom="")
    assert only in edit(kubectl, "ta", "api-heir", restoreFrom=None)
    assert not edit(kubectl, "ta", "api-heir", priority=200)


def test_storage_in_use_cannot_be_given_away(kubectl: Kubectl) -> None:
    """A size below what claims hold is refused with both numbers; every other edit and status write stays possible."""
    kubectl.apply(make_allocation("api-full", storage=lustre("200Ti")))
    set_status(kubectl, "api-full", inUse={"storage": {"lustre": "150Ti"}})

    smaller = edit(kubectl, "ta", "api-full", storage=lustre("100Ti"))
    assert 'must not be less than what volume claims hold: ["lustre: 100Ti asked, 150Ti in use"]' in smaller
    assert '["lustre: nothing asked, 150Ti in use"]' in edit(kubectl, "ta", "api-full", storage=None)
    assert not edit(kubectl, "ta", "api-full", storage=lustre("150Ti"))

    set_status(kubectl, "api-full", inUse={"storage": {"lustre": "170Ti"}})
    assert not edit(kubectl, "ta", "api-full", priority=7)
    assert not edit(kubectl, "ta", "api-full", storage=lustre("160Ti"))
    set_status(kubectl, "api-full", inUse={"storage": {"lustre": "0"}})
    assert not edit(kubectl, "ta", "api-full", storage=None)


def test_granted_claims_only_grow(kubectl: Kubectl) -> None:
    """Volumes cannot shrink or change their modes; before the grant everything can still be corrected."""
    kubectl.apply(make_allocation("api-claims", storage=lustre("50Ti", make_claim(size="10Ti"))))
    assert not edit(kubectl, "ta", "api-claims", storage=lustre("50Ti", make_claim(size="9Ti")))

    set_status(kubectl, "api-claims", grant={"storage": {"lustre": "50Ti"}})
    refusal = 'a granted claim can grow, but neither shrink nor change its access modes: ["data in lustre"]'
    assert refusal in edit(kubectl, "ta", "api-claims", storage=lustre("50Ti", make_claim(size="8Ti")))
    once = make_claim(size="9Ti", accessModes=["ReadWriteOnce"])
    assert refusal in edit(kubectl, "ta", "api-claims", storage=lustre("50Ti", once))
    assert not edit(kubectl, "ta", "api-claims", storage=lustre("50Ti", make_claim(size="9216Gi"), make_claim("new")))


def test_status_holds_no_moment_that_cannot_be_read(kubectl: Kubectl) -> None:
    """A time that passes as a format only would make the object unreadable for the operator."""
    kubectl.apply(make_allocation("api-since"))
    wrong = "2021-04-15T00:00:00+99:99"
    queue = {"position": 1, "since": wrong, "asked": {}, "earliestStart": wrong}
    patch = json.dumps({"status": {"queue": queue, "window": {"start": wrong, "end": wrong, "drainAt": wrong}}})
    answer = kubectl("patch", "ta", "api-since", "--subresource=status", "--type=merge", "-p", patch, check=False)
    for field in ("queue.since", "queue.earliestStart", "window.start", "window.end", "window.drainAt"):
        assert f"status.{field}: " in answer.stderr


def test_moments_beyond_the_years_of_the_spec_can_be_reported(kubectl: Kubectl) -> None:
    """A window may end long after what people wrote, when many wait; its status must not be refused for that."""
    kubectl.apply(make_allocation("api-late"))
    late = {"start": "2199-12-31T00:00:00Z", "end": "2209-12-28T00:00:00Z", "dataDeleteAt": "9998-12-31T00:00:00Z"}
    set_status(kubectl, "api-late", window=late)
    assert kubectl.get("ta", "api-late")["status"]["window"] == late


def test_the_largest_allocation_is_checked_in_time(kubectl: Kubectl) -> None:
    """An object at every bound at once stays within the API server's budget for rules, also when it is edited."""
    names = [f"pool-{n:02d}-{'x' * 50}" for n in range(16)]
    teams = [f"team-{n:02d}-{'y' * 54}" for n in range(32)]

    def request(number: int, size: str) -> Manifest:
        claims = [
            make_claim(f"claim-{n:02d}-{'z' * 53}", "1Gi", namespace=teams[(number + 2 * n) % 32]) for n in range(16)
        ]
        return {"pool": names[number], "size": size, "claims": claims}

    largest = make_allocation(
        "api-largest",
        accelerators=[{"pool": name, "devices": 64} for name in names],
        storage=[request(number, "64Ti") for number in range(16)],
        namespaces=[
            {"name": team, "accelerators": dict.fromkeys(names, 2), "storage": dict.fromkeys(names, "2Ti")}
            for team in teams
        ],
        members=[
            {"kind": "ServiceAccount", "namespace": f"tools-{n}", "name": "ci", "role": "view"} for n in range(64)
        ],
        window={"start": "2021-04-15T00:00:00Z", "end": "2021-12-31T00:00:00Z"},
        expiry={"notice": ["720h", "168h", "24h", "0h59m59s"], "grace": "72h"},
    )
    kubectl("create", "-f", "-", stdin=json.dumps(largest))
    held = dict.fromkeys(names, "64Ti")
    set_status(kubectl, "api-largest", phase="Active", grant={"storage": held}, inUse={"storage": held})
    assert not edit(kubectl, "ta", "api-largest", storage=[request(number, "65Ti") for number in range(16)])
    refusal = edit(kubectl, "ta", "api-largest", storage=[request(number, "63Ti") for number in range(16)])
    assert "must not be less than what volume claims hold" in refusal
    assert "cost limit" not in refusal


def post(control_plane: ControlPlane, manifest: Manifest) -> Manifest:
    """Create without storing, as strictly as kubectl asks for it; returns the object, or the Status that refuses it."""
    path = f"/apis/{API_VERSION}/{PLURALS[manifest['kind']]}?dryRun=All&fieldValidation=Strict"
    _, body = control_plane.call("POST", path, manifest)
    answer: Manifest = json.loads(body)
    return answer
