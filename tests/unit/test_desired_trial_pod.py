"""The trial pod's options: what is taken, what is refused and how, and what the pod becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.desired.admission_policies import build_proof_pod
from bitgoeul.desired.trial_pod import DEFAULT_IMAGE, TrialPod, cut_requests, fitted_requests, read_trial_pod
from bitgoeul.errors import UserError
from tests.unit.desired_objects import make_pool, make_target


def build(trial: TrialPod, **target: Any) -> dict[str, Any]:
    """The trial pod in a namespace."""
    return build_proof_pod(make_target(**target), make_pool(), trial)


def test_options_become_the_pod() -> None:
    """Each stands where the API server and other policies look for it, beside the device."""
    trial = read_trial_pod(
        "harbor.example:8443/library/pause:3.10",
        ["team=platform", "example.org/empty="],
        ["example.org/owner=the platform, who else = nobody"],
        ["cpu=100m"],
        ["cpu=1", "memory=128Mi"],
    )
    pod = build(trial)
    assert pod["metadata"] == {
        "name": "bitgoeul-proof",
        "namespace": "blue",
        "labels": {"team": "platform", "example.org/empty": ""},
        "annotations": {"example.org/owner": "the platform, who else = nobody"},
    }
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "harbor.example:8443/library/pause:3.10"
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "1Mi"},
        "limits": {"cpu": "1", "memory": "128Mi", "nvidia.com/gpu": "1"},
    }


def test_nothing_is_said_that_was_not_asked_for() -> None:
    """By default the pod has no labels and no annotations, and limits of its device only."""
    pod = build(TrialPod())
    assert pod["metadata"] == {"name": "bitgoeul-proof", "namespace": "blue"}
    (container,) = pod["spec"]["containers"]
    assert (container["image"], container["resources"]["limits"]) == (DEFAULT_IMAGE, {"nvidia.com/gpu": "1"})
    assert read_trial_pod() == TrialPod()


@pytest.mark.parametrize(
    "image",
    [
        "pause",
        "pause:3.10",
        "registry:5000/pause",
        "[fd00::1]:5000/pause:3.10",
        "10.0.0.1/a/b-c__d.e/pause",
        f"harbor.example/pause@sha256:{'0' * 64}",
        f"harbor.example/pause:3.10@sha256:{'0' * 64}",
    ],
)
def test_names_of_images_are_taken(image: str) -> None:
    """As registries of all kinds have them."""
    assert read_trial_pod(image).image == image


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"image": ""}, "--trial-pod-image ''", id="no image"),
        pytest.param({"image": "Pause 3"}, "--trial-pod-image 'Pause 3'", id="an image with a blank"),
        pytest.param({"labels": ["team"]}, "must be KEY=VALUE, such as team=platform", id="a label without a value"),
        pytest.param({"labels": ["=x"]}, "--trial-pod-label ''", id="a label without a key"),
        pytest.param({"labels": ["a=1", "a=2"]}, "a is given twice", id="one key twice"),
        pytest.param({"labels": ["a b=1"]}, "--trial-pod-label 'a b'", id="a key with a blank"),
        pytest.param({"labels": [f"{'a' * 64}=1"]}, "at most 63", id="a key that is too long"),
        pytest.param({"labels": ["Example.org/a=1"]}, "with a domain", id="a domain in capitals"),
        pytest.param({"labels": ["a=b c"]}, "a value has at most 63", id="a value with a blank"),
        pytest.param({"labels": ["a=-"]}, "begins and ends with", id="a value that ends with a dash"),
        pytest.param(
            {"annotations": ["a/b/c=1"]}, "--trial-pod-annotation 'a/b/c'", id="an annotation with two slashes"
        ),
        pytest.param({"annotations": [f"a={'x' * 262144}"]}, "262144 bytes", id="annotations that are too large"),
        pytest.param({"requests": ["nvidia.com/gpu=2"]}, "cpu, memory, ephemeral-storage", id="devices"),
        pytest.param({"requests": ["cpu=much"]}, "not a quantity: 'much'", id="no quantity"),
        pytest.param({"requests": ["cpu=-1"]}, "must be 0 or more", id="less than nothing"),
        pytest.param({"limits": ["memory=1Ki"]}, "at least what the trial pod requests, 1Mi", id="a limit below"),
        pytest.param(
            {"requests": ["cpu=2"], "limits": ["cpu=1500m"]}, "at least what the trial pod requests, 2", id="both given"
        ),
    ],
)
def test_what_the_api_server_would_refuse_is_refused_at_start(given: dict[str, Any], said: str) -> None:
    """In one line that names the option and says what would be right."""
    with pytest.raises(UserError) as refused:
        read_trial_pod(**given)
    assert said in str(refused.value)
    assert str(refused.value).startswith("--trial-pod-")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("caps", "requests", "cut"),
    [
        pytest.param({}, {"cpu": "2", "memory": "4Gi"}, "", id="not capped"),
        pytest.param({"cpu_millis": 2000, "memory_bytes": 2**32}, {"cpu": "2", "memory": "4Gi"}, "", id="just enough"),
        pytest.param(
            {"cpu_millis": 1500, "memory_bytes": 2**30},
            {"cpu": "1500m", "memory": "1Gi"},
            "cpu 1500m instead of 2, memory 1Gi instead of 4Gi",
            id="less than that",
        ),
        pytest.param(
            {"cpu_millis": 0}, {"cpu": "0", "memory": "4Gi"}, "cpu 0 instead of 2", id="nothing of one of them"
        ),
    ],
)
def test_requests_are_cut_to_the_quota(caps: dict[str, int], requests: dict[str, str], cut: str) -> None:
    """A namespace that may use less than the trial pod requests can be proved all the same."""
    trial = read_trial_pod(requests=["cpu=2", "memory=4Gi"])
    assert fitted_requests(trial, make_target(**caps)) == requests
    assert cut_requests(trial, make_target(**caps)) == cut
