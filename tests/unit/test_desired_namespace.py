"""The namespace: labels that decide which policies act in it, and how an existing one is amended."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from bitgoeul.api import names
from bitgoeul.api.pod_security import PodSecurityLevel
from bitgoeul.desired.drift import differs
from bitgoeul.desired.namespace import amend_namespace, build_namespace, closing_marks
from tests.unit.desired_objects import UID, make_target


def stored(namespace: dict[str, Any], **labels: str) -> dict[str, Any]:
    """The namespace as the API server gives it back."""
    observed = deepcopy(namespace)
    observed["metadata"]["uid"] = "a-namespace"
    observed["metadata"]["labels"] |= {"kubernetes.io/metadata.name": "blue", **labels}
    observed["spec"] = {"finalizers": ["kubernetes"]}
    return observed


def test_namespace_says_whose_it_is() -> None:
    """The label is for selection, the annotation with the UID is the proof."""
    metadata = build_namespace(make_target())["metadata"]
    assert metadata["labels"][names.ALLOCATION_LABEL] == "blue"
    assert metadata["labels"][names.MANAGED_BY_LABEL] == "bitgoeul"
    assert metadata["annotations"] == {names.ALLOCATION_UID_ANNOTATION: UID}


def test_namespace_enforces_pod_security() -> None:
    """Baseline is enforced and restricted warned about, in every tenant namespace."""
    labels = build_namespace(make_target())["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert labels["pod-security.kubernetes.io/warn"] == "restricted"


@pytest.mark.parametrize(
    ("level", "warned"), [("privileged", "baseline"), ("baseline", "restricted"), ("restricted", "restricted")]
)
def test_a_level_is_enforced_and_the_next_stricter_one_warned_about(level: str, warned: str) -> None:
    """So that people see what a stricter level would refuse, also of a Deployment, where nothing is refused yet."""
    labels = build_namespace(make_target(pod_security=PodSecurityLevel(level)))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == level
    assert labels["pod-security.kubernetes.io/warn"] == warned


def test_a_namespace_that_closes_goes_back_to_the_default_level() -> None:
    """Its pools' labels stay, for what is still held; a second look finds nothing to do."""
    target = make_target(devices={"a100": 8}, pod_security=PodSecurityLevel.PRIVILEGED)
    open_one = stored(build_namespace(target))
    marks = closing_marks(target)
    assert marks["metadata"] == {
        "name": target.name,
        "labels": {
            names.ALLOCATION_LABEL: target.allocation,
            "pod-security.kubernetes.io/enforce": "baseline",
            "pod-security.kubernetes.io/warn": "restricted",
        },
        "annotations": {names.CLOSED_ANNOTATION: "true"},
    }
    assert differs(marks, open_one)
    for field in ("labels", "annotations"):
        open_one["metadata"][field] |= marks["metadata"][field]
    assert not differs(marks, open_one)


def test_only_granted_pools_are_labelled() -> None:
    """A pool of which nothing is granted has no label: its policy would pin pods to nodes that they may not use."""
    labels = build_namespace(make_target(devices={"a100": 8, "npu": 0}))["metadata"]["labels"]
    assert [key for key in labels if key.startswith(names.POOL_LABEL_PREFIX)] == [names.pool_label("a100")]


def test_retained_namespace_is_labelled() -> None:
    """Kept data can be found by label."""
    assert names.RETAINED_LABEL in build_namespace(make_target(retained=True))["metadata"]["labels"]
    assert names.RETAINED_LABEL not in build_namespace(make_target())["metadata"]["labels"]


def test_settled_namespace_needs_no_patch() -> None:
    """What the server and other people add is no difference."""
    target = make_target(devices={"a100": 8})
    assert amend_namespace(target, stored(build_namespace(target), team="vision")) is None


def test_amending_removes_what_is_no_longer_granted() -> None:
    """Labels of former pools and of retention go, foreign labels stay out of the patch."""
    before = stored(build_namespace(make_target(devices={"h100": 1}, retained=True)), team="vision")
    patch = amend_namespace(make_target(devices={"a100": 1}), before)
    assert patch == {
        "metadata": {
            "uid": "a-namespace",
            "labels": {
                names.pool_label("a100"): "true",
                names.pool_label("h100"): None,
                names.RETAINED_LABEL: None,
            },
            "annotations": {},
        }
    }


def test_amending_brings_back_what_was_edited() -> None:
    """A weakened pod security level and a stripped annotation are repaired."""
    target = make_target()
    observed = stored(build_namespace(target))
    observed["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"
    observed["metadata"]["annotations"] = None
    patch = amend_namespace(target, observed)
    assert patch is not None
    assert patch["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "baseline"}
    assert patch["metadata"]["annotations"] == {names.ALLOCATION_UID_ANNOTATION: UID}
