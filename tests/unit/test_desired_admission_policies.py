"""A pool's policies: what they select, what they say, and that no value of a pool can break out of an expression."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitgoeul.api import names
from bitgoeul.desired.admission_policies import build_pool_policies, build_proof_pod, policy_acts
from bitgoeul.desired.trial_pod import TrialPod
from tests.unit.desired_objects import UID, make_pool, make_target

TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def build(**fields: Any) -> dict[str, dict[str, Any]]:
    """The four objects of pool a100 by kind."""
    return {one["kind"]: one for one in build_pool_policies("a100", make_pool(**fields), UID)}


def test_pool_has_two_policies_with_bindings() -> None:
    """All carry the pool's name and go with the pool."""
    objects = build()
    assert objects.keys() == {
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    for manifest in objects.values():
        assert manifest["metadata"]["name"] == "bitgoeul-pool-a100"
        (owner,) = manifest["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("AcceleratorPool", "a100", UID)


@pytest.mark.parametrize("kind", ["MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"])
def test_policy_selects_namespaces_of_the_pool(kind: str) -> None:
    """Only pods created in namespaces with the pool's label, and a failure refuses the pod."""
    spec = build()[kind]["spec"]
    match = spec["matchConstraints"]
    assert match["namespaceSelector"]["matchExpressions"] == [{"key": names.pool_label("a100"), "operator": "Exists"}]
    assert match["objectSelector"] == {}
    assert match["excludeResourceRules"] == []
    assert spec["failurePolicy"] == "Fail"


@pytest.mark.parametrize("kind", ["MutatingAdmissionPolicyBinding", "ValidatingAdmissionPolicyBinding"])
def test_binding_exempts_nobody(kind: str) -> None:
    """The binding states emptiness, so that an added exception counts as drift."""
    match = build()[kind]["spec"]["matchResources"]
    assert match["namespaceSelector"] == match["objectSelector"] == {}
    assert match["excludeResourceRules"] == match["resourceRules"] == []


def test_refusal_names_the_pool_and_the_way_out() -> None:
    """Whoever reads the message knows which pool speaks and what to change."""
    messages = [one["message"] for one in build()["ValidatingAdmissionPolicy"]["spec"]["validations"]]
    assert all(message.startswith("pool a100: ") for message in messages)
    assert "example.org/product=gpu" in messages[0]
    assert "leave nodeSelector out" in messages[0]
    assert "leave nodeName out" in messages[1]


def test_pool_without_tolerations_adds_none() -> None:
    """There is nothing to patch, so there is no second mutation."""
    assert len(build()["MutatingAdmissionPolicy"]["spec"]["mutations"]) == 1
    assert len(build(tolerations=[TOLERATION])["MutatingAdmissionPolicy"]["spec"]["mutations"]) == 2


@pytest.mark.parametrize("odd", ["", "a_b", "1.5", "true", "a'b", 'a"b', "a\\b", "a}b", "가", "\U0001f600", "a\nb"])
def test_values_are_quoted_for_cel(odd: str) -> None:
    """The schema refuses most of these; even if it did not, each stays one literal that reads back the same."""
    (variable,) = build(nodeSelector={"example.org/model": odd})["MutatingAdmissionPolicy"]["spec"]["variables"]
    assert json.loads(variable["expression"]) == {"example.org/model": odd}
    assert "\\ud" not in variable["expression"]


def test_expressions_do_not_depend_on_order() -> None:
    """The same selector written in another order is no edit of the policy."""
    there = {"example.org/a": "1", "example.org/b": "2"}
    assert build(nodeSelector=there) == build(nodeSelector=dict(reversed(there.items())))


def test_proof_pod_asks_for_one_device() -> None:
    """It leaves the node to the policy: that is what it proves."""
    pod = build_proof_pod(make_target(), make_pool(), TrialPod())
    (container,) = pod["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert pod["metadata"]["namespace"] == "blue"
    assert not {"nodeSelector", "tolerations", "nodeName", "affinity"} & pod["spec"].keys()


@pytest.mark.parametrize(
    ("answer", "acts"),
    [
        pytest.param({}, False, id="an untouched pod shows no policy"),
        pytest.param({"nodeSelector": {"example.org/product": "gpu"}}, False, id="a toleration is missing"),
        pytest.param({"tolerations": [TOLERATION]}, False, id="the selector is missing"),
        pytest.param(
            {"nodeSelector": {"example.org/product": "h100"}, "tolerations": [TOLERATION]},
            False,
            id="the selector is another pool's",
        ),
        pytest.param(
            {
                "nodeSelector": {"example.org/product": "gpu", "zone": "b"},
                "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}, TOLERATION],
            },
            True,
            id="selector and toleration stand beside others",
        ),
    ],
)
def test_policy_acts_when_the_pod_carries_everything(answer: dict[str, Any], acts: bool) -> None:
    """Access is given only after the proof pod came back with the pool's nodes."""
    assert policy_acts({"spec": answer}, make_pool(tolerations=[TOLERATION])) is acts
