"""How long a pod may take to stop, and what it takes while it does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitgoeul.controller.pods import grace_of
from bitgoeul.planning.pods import devices_of
from tests.unit.builders import NOW

GPU = "example.com/gpu"


def stopping(grace: int | None) -> dict[str, Any]:
    return {"spec": {} if grace is None else {"terminationGracePeriodSeconds": grace}}


@pytest.mark.parametrize(
    ("own", "minutes", "given_"),
    [
        pytest.param(20, 0, 20, id="a short grace is the pod's own"),
        pytest.param(None, 0, 30, id="none is Kubernetes' own"),
        pytest.param(300, 0, 300, id="the longest that a policy admits"),
        pytest.param(31_536_000, 0, 300, id="one from before the policy is cut"),
        pytest.param(300, 7, 180, id="no longer than patience lasts"),
        pytest.param(300, 60, 30, id="a little when patience is over"),
        pytest.param(10, 60, 10, id="never more than the pod asks for"),
        pytest.param(0, 0, 1, id="never 0, which frees devices too early"),
    ],
)
def test_the_first_request_carries_the_grace(own: int | None, minutes: int, given_: int) -> None:
    """A kubelet takes no other one afterwards."""
    assert grace_of(stopping(own), NOW, NOW + timedelta(minutes=minutes)) == given_


@given(st.integers(0, 10**9), st.integers(-3600, 7200))
def test_all_pods_are_gone_in_time(own: int, seconds: int) -> None:
    """Whoever is sent off within 10 minutes is gone after them, save for the least that each pod gets."""
    grace = grace_of(stopping(own), NOW, NOW + timedelta(seconds=seconds))
    assert 1 <= grace <= 300
    assert seconds + grace <= max(600, seconds + 30)


def container(gpus: str = "", **more: Any) -> dict[str, Any]:
    return {"resources": {"limits": {GPU: gpus, "cpu": "8"}} if gpus else {}, **more}


def sidecar(gpus: str) -> dict[str, Any]:
    return container(gpus, restartPolicy="Always")


@pytest.mark.parametrize(
    ("spec", "devices"),
    [
        pytest.param({"containers": [container("2"), container("1")]}, 3, id="containers together"),
        pytest.param({"containers": [container("1")], "initContainers": [container("4")]}, 4, id="a large init"),
        pytest.param({"containers": [container("1")], "initContainers": [sidecar("2")]}, 3, id="a sidecar beside"),
        pytest.param(
            {"containers": [container("1")], "initContainers": [sidecar("2"), container("3")]},
            5,
            id="an init container beside the sidecar before it",
        ),
        pytest.param(
            {"containers": [container("1")], "initContainers": [container("3"), sidecar("2")]},
            3,
            id="an init container before the sidecar",
        ),
        pytest.param({"containers": [container("1k")], "overhead": {GPU: "1", "cpu": "1"}}, 1001, id="overhead on top"),
    ],
)
def test_devices_are_what_runs_together_at_most(spec: dict[str, Any], devices: int) -> None:
    """As Kubernetes reckons; a test on the API server compares random pods."""
    assert devices_of({"spec": spec}) == {GPU: devices}
