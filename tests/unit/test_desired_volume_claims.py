"""Claims: the class comes from the pool, sizes are canonical and only grow."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.api.tenant_allocation import ClaimRequest
from bitgoeul.desired.volume_claims import build_volume_claims, never_shrunk
from tests.unit.desired_objects import make_target, make_world


def build(size: str, pool: str = "nvme") -> dict[str, Any]:
    """The claim ``data`` of one storage pool."""
    claim = ClaimRequest.model_validate({"name": "data", "size": size, "accessModes": ["ReadWriteMany"]})
    (result,) = build_volume_claims(make_target(), [(pool, claim)], make_world())
    return result


def size_of(claim: dict[str, Any]) -> str:
    """What a claim asks for."""
    size: str = claim["spec"]["resources"]["requests"]["storage"]
    return size


def test_claim_has_the_class_of_its_pool() -> None:
    """The pool's name and the storage class are different things."""
    claim = build("10Ti")
    assert claim["spec"]["storageClassName"] == "fast-nvme"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert (claim["metadata"]["namespace"], claim["metadata"]["name"]) == ("blue", "data")


def test_size_is_canonical() -> None:
    """The API server prints 10240Gi as 10Ti."""
    assert size_of(build("10240Gi")) == "10Ti"


def test_claim_outside_the_world_is_a_defect() -> None:
    """The planner refuses such an allocation; a claim without a class would land anywhere."""
    with pytest.raises(KeyError):
        build("10Ti", pool="vanished")


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        pytest.param("20Ti", "20Ti", id="a claim that the tenant has grown stays as it is"),
        pytest.param("5Ti", "10Ti", id="a smaller claim grows"),
        pytest.param("10240Gi", "10Ti", id="the same size spelled otherwise is the same"),
        pytest.param("10995116277760500m", "10995116277760500m", id="an odd size of somebody else is read too"),
    ],
)
def test_claims_never_shrink(observed: str, expected: str) -> None:
    """The API server would refuse it, and the repair would fail for ever."""
    seen = {"spec": {"resources": {"requests": {"storage": observed}}}}
    assert size_of(never_shrunk(build("10Ti"), seen)) == expected


def test_claim_that_does_not_exist_gets_its_size() -> None:
    """Nothing observed means the size that was asked for."""
    assert size_of(never_shrunk(build("10Ti"), {})) == "10Ti"
