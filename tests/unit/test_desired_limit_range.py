"""The limit range gives small requests and nothing else."""

from __future__ import annotations

from bitgoeul.desired.limit_range import build_limit_range
from tests.unit.desired_objects import make_target


def test_limit_range_sets_requests_only() -> None:
    """A default limit, or a minimum or maximum, would refuse pods."""
    (limit,) = build_limit_range(make_target())["spec"]["limits"]
    assert limit.keys() == {"type", "defaultRequest"}
    assert limit["defaultRequest"].keys() == {"cpu", "memory"}
