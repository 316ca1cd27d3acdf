"""What pods hold that no quota counts any more, and where pods are looked at for it."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.cluster.cache import Entry
from bitgoeul.controller.lingering import hidden, may_linger, uncharged
from bitgoeul.planning.observed import quota_view

GPU = "example.com/gpu"


def pod(gpus: int, *, ending: bool = False) -> dict[str, Any]:
    metadata = {"deletionTimestamp": "2021-02-15T00:00:00Z"} if ending else {}
    return {"metadata": metadata, "spec": {"containers": [{"resources": {"limits": {GPU: str(gpus)}}}]}}


@pytest.mark.parametrize(
    ("pods", "used", "devices"),
    [
        pytest.param([pod(2), pod(1)], 3, 0, id="all are counted"),
        pytest.param([pod(2), pod(1, ending=True)], 3, 0, id="one that ends is counted until its time is over"),
        pytest.param([pod(2), pod(1, ending=True)], 2, 1, id="one that ends is counted no more"),
        pytest.param([pod(2), pod(1, ending=True), pod(4, ending=True)], 3, 4, id="one of two is counted no more"),
        pytest.param([pod(2), pod(1, ending=True)], 0, 1, id="a quota that is behind hides no more than what ends"),
        pytest.param([pod(1, ending=True)], 5, 0, id="a quota that is behind hides nothing"),
    ],
)
def test_what_ends_is_added_as_far_as_it_is_not_counted(pods: list[Any], used: int, devices: int) -> None:
    """Nothing is counted twice."""
    assert hidden(pods, {GPU: used}).get(GPU, 0) == devices


def quota(gpus: int, charged: int, there: int) -> Entry:
    used = {f"requests.{GPU}": str(gpus), "pods": str(charged), "count/pods": str(there)}
    obj = {"metadata": {"name": "q", "namespace": "blue"}, "spec": {"hard": used}, "status": {"used": used}}
    return Entry("uid", 1, obj, quota_view(obj))


def test_pods_are_looked_at_where_devices_have_become_fewer_and_pods_have_not() -> None:
    """A pod that ended as it should leaves no pod behind that is not charged."""
    assert uncharged(quota(4, 2, 3).obj) == 1
    assert may_linger(quota(4, 2, 2), quota(2, 1, 2))
    assert not may_linger(quota(4, 2, 2), quota(2, 1, 1))
    assert not may_linger(quota(2, 1, 2), quota(2, 1, 2))
    assert not may_linger(None, quota(2, 1, 2))
    assert not may_linger(quota(2, 1, 2), None)
