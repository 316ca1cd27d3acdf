"""Which pods go when more is held than may be: the youngest first, and no more of them than needed."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.controller.eviction import youngest_beyond

GPU = "nvidia.com/gpu"
NPU = "furiosa.ai/npu"


def pod(name: str, age: int, going: bool = False, **devices: int) -> dict[str, Any]:
    """A pod that was created so many minutes ago."""
    limits = {{"gpu": GPU, "npu": NPU}[kind]: str(count) for kind, count in devices.items()}
    metadata = {"name": name, "uid": name, "creationTimestamp": f"2021-04-15T00:{59 - age:02}:00Z"}
    if going:
        metadata["deletionTimestamp"] = "2021-04-15T01:00:00Z"
    return {"metadata": metadata, "spec": {"containers": [{"name": "main", "resources": {"limits": limits}}]}}


@pytest.mark.parametrize(("pods", "limits", "expected"), [
    pytest.param([pod("old", 9, gpu=4), pod("new", 1, gpu=4)], {GPU: 8}, [], id="all fit, so nobody goes"),
    pytest.param([pod("old", 9, gpu=4), pod("new", 1, gpu=4)], {GPU: 4}, ["new"], id="the youngest goes"),
    pytest.param(
        [pod("new", 1, gpu=4), pod("mid", 5, gpu=2), pod("old", 9, gpu=2)], {GPU: 2}, ["new", "mid"],
        id="as many as needed, whatever order they come in",
    ),
    pytest.param([pod("old", 9, gpu=8), pod("new", 1, gpu=1)], {GPU: 4}, ["new", "old"], id="a large one in the end"),
    pytest.param([pod("old", 9, gpu=4), pod("plain", 1)], {GPU: 0}, ["old"], id="who holds nothing stays"),
    pytest.param([pod("npu", 1, npu=2), pod("gpu", 9, gpu=2)], {NPU: 2, GPU: 0}, ["gpu"], id="each by its own limit"),
    pytest.param([pod("rdma", 1, npu=2), pod("gpu", 9, gpu=2)], {GPU: 2}, [], id="others do not matter"),
    pytest.param(
        [pod("old", 9, gpu=4), pod("new", 1, going=True, gpu=4)], {GPU: 4}, [],
        id="one on its way out makes room already",
    ),
    pytest.param([], {GPU: 0}, [], id="no pods"),
])  # fmt: skip
def test_the_youngest_go_until_the_rest_fits(
    pods: list[dict[str, Any]], limits: dict[str, int], expected: list[str]
) -> None:
    """In the order in which they are to be evicted."""
    assert [one["metadata"]["name"] for one in youngest_beyond(pods, limits)] == expected
