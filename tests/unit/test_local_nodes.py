"""Simulated nodes: their names, their shape, and what a person can mistype."""

from __future__ import annotations

import pytest

from bitgoeul.cli.main import main
from bitgoeul.local.nodes import NodeShape, Taint, build_node, next_names


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        pytest.param(set(), ["gpu-0", "gpu-1"], id="an empty cluster starts at 0"),
        pytest.param({"gpu-0", "gpu-7"}, ["gpu-8", "gpu-9"], id="numbering goes on after the highest"),
        pytest.param({"gpu-x", "my-gpu-5", "gpu-3-a"}, ["gpu-0", "gpu-1"], id="other names do not count"),
    ],
)
def test_names_never_repeat(existing: set[str], expected: list[str]) -> None:
    """A second call adds nodes, it does not collide."""
    assert next_names(existing, "gpu", 2) == expected


def test_a_node_shows_its_devices() -> None:
    """Capacity and allocatable agree, and labels and taints are there."""
    shape = NodeShape(
        cpu="64",
        memory="512Gi",
        devices={"nvidia.com/gpu": "8"},
        labels={"product": "a100"},
        taints=(Taint("nvidia.com/gpu", "", "NoSchedule"),),
    )
    node = build_node("gpu-0", shape)
    kubelet = {"pods": "110", "ephemeral-storage": "100Gi"}
    assert node["status"]["capacity"] == {"cpu": "64", "memory": "512Gi", "nvidia.com/gpu": "8", **kubelet}
    assert node["status"]["allocatable"] == node["status"]["capacity"]
    assert node["metadata"]["labels"]["product"] == "a100"
    assert node["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "", "effect": "NoSchedule"}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--device", "nvidia.com/gpu"], "write KEY=VALUE", id="a device without a count"),
        pytest.param(["--device", "nvidia.com/gpu=0.5"], "whole number", id="half a device"),
        pytest.param(["--device", "gpu=8"], "has a domain", id="a device without a domain"),
        pytest.param(["--label", "a=1", "--label", "a=2"], "given twice", id="a label twice"),
        pytest.param(["--taint", "a=b"], "KEY=VALUE:EFFECT", id="a taint without effect"),
        pytest.param(["--taint", "a=b:Nothing"], "NoSchedule", id="a taint of an unknown effect"),
        pytest.param(["--cpu", "many"], "a quantity such as", id="a quantity that is none"),
        pytest.param(["--count", "0"], "0 is not in the range", id="no nodes"),
        pytest.param(["--name-prefix", "GPU"], "lower-case", id="a name that Kubernetes refuses"),
        pytest.param(["--kubeconfig", "/nowhere"], "/nowhere: no such file", id="a kubeconfig that is not there"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is mistyped: exit code 1, one line, no traceback."""
    with pytest.raises(SystemExit) as stopped:
        main(["nodes", "add", *arguments])
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
