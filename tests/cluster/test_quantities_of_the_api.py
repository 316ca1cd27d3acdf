"""Quantities as people write them: what the schema takes, the operator reads, and reads as the API server does."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import API_VERSION
from bitgoeul.api.quantities import parse_bytes, parse_cpu, parse_quantity
from bitgoeul.api.tenant_allocation import TenantAllocationSpec
from bitgoeul.errors import QuantityError
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.planning.allocations import read_allocation
from bitgoeul.planning.pools import storage as storage_key
from tests.cluster.api_objects import (
    BYTE_BOUNDS,
    BYTES,
    CORE_BOUNDS,
    CORES,
    WHOLE_BYTES,
    WHOLE_MILLICORES,
    Manifest,
    install_crds,
    make_allocation,
    make_pool,
    make_storage_pool,
)
from tests.cluster.kubectl import Kubectl

SEVERAL = 16  # pools in one allocation: as many values are tried at once
PLURALS = {kind.name: kind.plural for kind in KINDS}


@pytest.fixture(scope="module", autouse=True)
def _api(kubectl: Kubectl) -> None:
    install_crds(kubectl)


def dry(plane: ControlPlane, path: str, manifest: Manifest) -> Manifest:
    """Create without storing; the object, or the Status that refuses it."""
    _, body = plane.call("POST", f"{path}?dryRun=All&fieldValidation=Strict", manifest)
    answer: Manifest = json.loads(body)
    return answer


def own(plane: ControlPlane, manifest: Manifest) -> Manifest:
    return dry(plane, f"/apis/{API_VERSION}/{PLURALS[manifest['kind']]}", manifest)


def refusals(answer: Manifest) -> dict[str, list[str]]:
    """What the API server says, by field."""
    found: dict[str, list[str]] = {}
    for cause in (answer.get("details") or {}).get("causes", ()):
        found.setdefault(cause.get("field", ""), []).append(cause["message"])
    return found


def canonical(plane: ControlPlane, values: list[Any]) -> list[str]:
    """Quantities as the API server itself writes them."""
    hard = {f"requests.example.org/value-{number}": value for number, value in enumerate(values)}
    quota = {"metadata": {"name": "values"}, "spec": {"hard": hard}}
    answer = dry(plane, "/api/v1/namespaces/default/resourcequotas", quota)
    assert answer["kind"] == "ResourceQuota", answer
    return [answer["spec"]["hard"][f"requests.example.org/value-{number}"] for number in range(len(values))]


def exact(value: Any) -> Decimal | None:
    """A value by our own reckoning; None where it is no quantity."""
    try:
        return parse_quantity(str(value))
    except QuantityError:
        return None


def verdict(value: Any, most: int, parts: int, words: tuple[str, str, str]) -> str:
    """What is wrong with a value, in the words of its field; empty where nothing is."""
    number = exact(value)
    if number is None:
        return words[0]
    if not 0 < number <= most:
        return words[1]
    return "" if number * parts == (number * parts).to_integral_value() else words[2]


SUFFIXES = ["", *"numkMGTPE", *(f"{letter}i" for letter in "KMGTPE"), "e3", "E3", "e-3", "e06", "e+2", "b", "g", " Gi"]
FRACTIONS = ["", ".", ".0", ".5", ".25", ".0625", ".1", ".001", ".000000001", ".123456789"]
texts = st.builds(
    lambda sign, whole, fraction, suffix: f"{sign}{whole}{fraction}{suffix}",
    st.sampled_from(["", "", "", "", "+", "-"]),
    st.one_of(st.integers(0, 9999).map(str), st.integers(0, 2 * 10**18).map(str), st.just("")),
    st.sampled_from(FRACTIONS),
    st.sampled_from(SUFFIXES),
).filter(lambda text: len(text) <= 20)
numbers = st.one_of(
    st.integers(-5, 2000), st.integers(2**53 - 5, 2**53 + 5), st.integers(10**18 - 3, 10**18 + 3), st.just(2**63 - 1)
)
values = st.lists(st.one_of(texts, texts, numbers), min_size=SEVERAL, max_size=SEVERAL)
steady = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # without looking for a smaller example: each one asks an API server
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@steady
@given(found=values)
def test_sizes_are_taken_and_read_alike(control_plane: ControlPlane, found: list[Any]) -> None:
    """What is a whole number of bytes within bounds is taken and read as the API server reads it; the rest is told."""
    requests = [{"pool": f"pool-{number}", "size": value} for number, value in enumerate(found)]
    said = refusals(own(control_plane, make_allocation(storage=requests)))
    wrong = [verdict(value, 10**18, 1, (BYTES, BYTE_BOUNDS, WHOLE_BYTES)) for value in found]
    for number, words in enumerate(wrong):
        answers = said.get(f"spec.storage[{number}].size", [])
        assert len(answers) == bool(words), (found[number], answers)
        assert all(words in answer for answer in answers), (found[number], answers)
    taken = [number for number, words in enumerate(wrong) if not words]
    if not taken:
        return
    stored = own(control_plane, make_allocation(storage=[requests[number] for number in taken]))
    assert [request["size"] for request in stored["spec"]["storage"]] == [found[number] for number in taken]
    ask = read_allocation(stored).ask
    theirs = canonical(control_plane, [found[number] for number in taken])
    assert [ask[storage_key(f"pool-{number}")] for number in taken] == [parse_bytes(text) for text in theirs]


@steady
@given(found=values)
def test_cores_are_taken_and_read_alike(control_plane: ControlPlane, found: list[Any]) -> None:
    """What is a whole number of millicores is taken, and read as the API server reads it; the rest is told."""
    for value in found[:4]:
        answer = own(control_plane, make_allocation(compute={"cpu": value}))
        words = verdict(value, 10**9, 1000, (CORES, CORE_BOUNDS, WHOLE_MILLICORES))
        answers = refusals(answer).get("spec.compute.cpu", [])
        assert len(answers) == bool(words), (value, answers)
        assert all(words in one for one in answers), (value, answers)
        if not words:
            compute = TenantAllocationSpec.model_validate(answer["spec"]).compute
            assert compute is not None
            assert parse_cpu(compute.cpu or "") == parse_cpu(canonical(control_plane, [value])[0])


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(make_storage_pool(capacity=10**16, reserve=5), id="a storage pool"),
        pytest.param(
            make_storage_pool(
                capacity="1.5Pi", reserve=0, stages=[{"name": "full", "from": "2030-01-01T00:00:00Z", "capacity": 0}]
            ),
            id="stages of a storage pool",
        ),
        pytest.param(
            make_pool(perDevice={"cpu": 16, "memory": 128849018880}, petaflopsPerDevice=2), id="shares of a device"
        ),
        pytest.param(
            make_allocation(
                compute={"cpu": 64, "memory": "0.5Ti"},
                storage=[
                    {
                        "pool": "lustre",
                        "size": 2000,
                        "claims": [{"name": "data", "size": 1000, "accessModes": ["ReadWriteOnce"]}],
                    }
                ],
                namespaces=[{"name": "train", "storage": {"lustre": 2000}}],
            ),
            id="claims, shares and compute",
        ),
    ],
)
def test_numbers_need_no_quotes_anywhere(control_plane: ControlPlane, manifest: Manifest) -> None:
    """Each field that holds a quantity takes a number as well as a text."""
    answer = own(control_plane, manifest)
    assert answer["kind"] == manifest["kind"], answer
    assert answer["spec"] | manifest["spec"] == answer["spec"]
