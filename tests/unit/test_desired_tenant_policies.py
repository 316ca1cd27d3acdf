"""The policies of all tenants: where they act, that they fail closed, and the pod that proves them."""

from __future__ import annotations

import pytest

from bitgoeul.api.names import ALLOCATION_LABEL, MANAGED_BY_LABEL
from bitgoeul.desired.cluster_roles import build_tenant_roles
from bitgoeul.desired.tenant_policies import (
    FORCE_VERB,
    MAX_GRACE_SECONDS,
    POLICY_NAME,
    build_tenant_policies,
    build_tenant_proof_pod,
    refused_for_grace,
)
from bitgoeul.desired.trial_pod import TrialPod


def test_both_act_in_every_tenant_namespace_and_fail_closed() -> None:
    """Also in those whose allocation is gone; nowhere else."""
    policies = {one["kind"]: one for one in build_tenant_policies()}
    assert len(policies) == 4
    for one in policies.values():
        assert one["metadata"] == {"name": POLICY_NAME, "labels": {MANAGED_BY_LABEL: "bitgoeul"}}
    for kind in ("MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"):
        spec = policies[kind]["spec"]
        assert spec["failurePolicy"] == "Fail"
        (selector,) = spec["matchConstraints"]["namespaceSelector"]["matchExpressions"]
        assert selector == {"key": ALLOCATION_LABEL, "operator": "Exists"}
    assert policies["ValidatingAdmissionPolicyBinding"]["spec"]["validationActions"] == ["Deny"]


def test_the_proof_pod_is_refused_for_its_grace_alone() -> None:
    """It states no requests, so that it is refused for those first where nothing fills them in."""
    pod = build_tenant_proof_pod("blue", TrialPod())
    assert pod["spec"]["terminationGracePeriodSeconds"] == MAX_GRACE_SECONDS + 1
    assert pod["spec"]["containers"][0]["resources"] == {}


@pytest.mark.parametrize(
    ("message", "proof"),
    [
        (f"policy '{POLICY_NAME}' denied request: spec.terminationGracePeriodSeconds is 301: write", True),
        (f"policy '{POLICY_NAME}' denied request: a container states no requests.cpu", False),
        ("policy 'other' denied request: spec.terminationGracePeriodSeconds is too long", False),
        ("exceeded quota: bitgoeul", False),
    ],
)
def test_only_our_own_refusal_is_a_proof(message: str, proof: bool) -> None:
    """Somebody else's says nothing about ours."""
    assert refused_for_grace(message) == proof


def test_no_member_may_force_a_deletion() -> None:
    """The verb is for platform engineers."""
    verbs = {verb for role in build_tenant_roles() for rule in role["rules"] for verb in rule["verbs"]}
    assert FORCE_VERB not in verbs
    assert "*" not in verbs
