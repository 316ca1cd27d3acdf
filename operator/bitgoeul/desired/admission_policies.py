"""
What keeps a pool's pods on the pool's nodes: two admission policies per pool, and the pod that proves that they act.

Devices of two pools may carry one resource name (A100 and H100 are both ``nvidia.com/gpu``), so the name alone does
not say where a pod belongs. In namespaces that carry the pool's label, the mutating policy adds the pool's
nodeSelector and tolerations to pods that ask for its devices, and the validating policy refuses pods that end up with
another nodeSelector or choose a node themselves. With the labels of two such pools in one namespace the pools
contradict each other, and every pod is refused.

A quantity of 0 asks for nothing. Ephemeral containers cannot have devices. A node affinity is left alone: it can only
narrow the choice further. Both policies fail closed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bitgoeul.api import names
from bitgoeul.api.accelerator_pool import AcceleratorPoolSpec, Toleration, TolerationOperator
from bitgoeul.desired.trial_pod import TrialPod, build_trial_pod, fitted_requests
from bitgoeul.desired.world import Manifest, NamespaceTarget

API_VERSION = "admissionregistration.k8s.io/v1"
PROOF_POD_NAME = "bitgoeul-proof"


def policy_name(pool: str) -> str:
    """The name that a pool's policies and bindings share."""
    return f"bitgoeul-pool-{pool}"


def build_pool_policies(name: str, spec: AcceleratorPoolSpec, uid: str) -> list[Manifest]:
    """
    Build the mutating policy, its binding, the validating policy and its binding of one pool.

    Args:
        name, uid: Of the AcceleratorPool, which owns the policies: they go with it.
    """
    mutating = {"reinvocationPolicy": "IfNeeded", "mutations": _mutations(spec)}
    validating = {"validations": _validations(name, spec), "auditAnnotations": []}
    specs = {
        "MutatingAdmissionPolicy": _match(name, spec) | mutating,
        "MutatingAdmissionPolicyBinding": _bind(name),
        "ValidatingAdmissionPolicy": _match(name, spec) | validating,
        "ValidatingAdmissionPolicyBinding": _bind(name) | {"validationActions": ["Deny"]},
    }
    return [
        {"apiVersion": API_VERSION, "kind": kind, "metadata": _metadata(name, uid), "spec": content}
        for kind, content in specs.items()
    ]


def build_proof_pod(target: NamespaceTarget, spec: AcceleratorPoolSpec, trial: TrialPod) -> Manifest:
    """
    Build a pod that asks for one device, for a server-side dry run (POST with ``dryRun=All``).

    It says nothing about nodes, and needs a quota that has a device left.

    Args:
        target: The namespace with its share of CPU and memory, which the pod does not exceed.
        trial: What other admission policies of the cluster want of a pod.
    """
    resources = {
        "requests": fitted_requests(trial, target),
        "limits": {**trial.limits, spec.resource_name: "1"},
    }
    return build_trial_pod(PROOF_POD_NAME, target.name, trial, resources)


def policy_acts(answer: Mapping[str, Any], spec: AcceleratorPoolSpec) -> bool:
    """Tell whether the proof pod came back with the pool's whole nodeSelector and every toleration."""
    pod = answer.get("spec", {})
    selector = pod.get("nodeSelector") or {}
    tolerations = pod.get("tolerations") or []
    return all(selector.get(key) == value for key, value in spec.node_selector.items()) and all(
        _toleration_fields(toleration) in tolerations for toleration in spec.tolerations
    )


def _metadata(pool: str, uid: str) -> Manifest:
    return {
        "name": policy_name(pool),
        "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
        "ownerReferences": [{"apiVersion": names.API_VERSION, "kind": "AcceleratorPool", "name": pool, "uid": uid}],
    }


def _match(pool: str, spec: AcceleratorPoolSpec) -> Manifest:
    return {
        "failurePolicy": "Fail",
        "matchConstraints": _match_pods(pool),
        "matchConditions": [{"name": "asks-for-devices", "expression": _asks(spec.resource_name)}],
        "variables": [{"name": "selector", "expression": _cel_map(spec.node_selector)}],
    }


def _bind(pool: str) -> Manifest:
    return {"policyName": policy_name(pool), "matchResources": match_resources({}, [])}


def _match_pods(pool: str) -> Manifest:
    pods = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
        "scope": "*",
    }
    labelled = {"matchLabels": {}, "matchExpressions": [{"key": names.pool_label(pool), "operator": "Exists"}]}
    return match_resources(labelled, [pods])


def match_resources(namespaces: Manifest, rules: list[Manifest]) -> Manifest:
    """Every field is stated, also the empty ones: what somebody adds there would exempt pods, and counts as drift."""
    return {
        "namespaceSelector": namespaces,
        "objectSelector": {},
        "matchPolicy": "Equivalent",
        "resourceRules": rules,
        "excludeResourceRules": [],
    }


def _asks(resource: str) -> str:
    key = _cel_string(resource)
    amounts = [
        f"(has(c.resources.{part}) && {key} in c.resources.{part} && c.resources.{part}[{key}] != '0')"
        for part in ("limits", "requests")
    ]
    return (
        "(object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : []))"
        f".exists(c, has(c.resources) && ({' || '.join(amounts)}))"
    )


def _mutations(spec: AcceleratorPoolSpec) -> list[Manifest]:
    selector = (
        "has(object.spec.nodeSelector)"
        " ? variables.selector.map(k, k).filter(k, !(k in object.spec.nodeSelector)).map(k, JSONPatch{op: 'add',"
        " path: '/spec/nodeSelector/' + jsonpatch.escapeKey(k), value: variables.selector[k]})"
        " : [JSONPatch{op: 'add', path: '/spec/nodeSelector', value: variables.selector}]"
    )
    expressions = [selector]
    if spec.tolerations:
        expressions.append(_tolerate(spec.tolerations))
    return [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}} for expression in expressions]


def _tolerate(tolerations: tuple[Toleration, ...]) -> str:
    """One patch per toleration that the pod does not have in exactly this form."""
    steps = ["(has(object.spec.tolerations) ? [] : [JSONPatch{op: 'add', path: '/spec/tolerations', value: []}])"]
    for toleration in tolerations:
        fields = _toleration_fields(toleration)
        same = " && ".join(_has_field(field, fields.get(field)) for field in TOLERATION_FIELDS)
        value = ", ".join(f"{field}: {_cel_literal(content)}" for field, content in fields.items())
        steps.append(
            f"(has(object.spec.tolerations) && object.spec.tolerations.exists(t, {same}) ? []"
            f" : [JSONPatch{{op: 'add', path: '/spec/tolerations/-', value: Object.spec.tolerations{{{value}}}}}])"
        )
    return " + ".join(steps)


TOLERATION_FIELDS = ("key", "operator", "value", "effect", "tolerationSeconds")


def _toleration_fields(toleration: Toleration) -> dict[str, str | int]:
    """The fields as they stand in a pod: only those that say something."""
    fields = {
        "key": toleration.key,
        "operator": toleration.operator or TolerationOperator.EQUAL,
        "value": toleration.value,
        "effect": toleration.effect,
        "tolerationSeconds": toleration.toleration_seconds,
    }
    return {
        field: content if isinstance(content, int) else str(content)
        for field, content in fields.items()
        if content is not None and content != ""
    }


def _has_field(field: str, content: str | int | None) -> str:
    if content is None:
        return f"!has(t.{field})"
    return f"has(t.{field}) && t.{field} == {_cel_literal(content)}"


def _validations(name: str, spec: AcceleratorPoolSpec) -> list[Manifest]:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(spec.node_selector.items()))
    return [
        {
            "expression": "has(object.spec.nodeSelector) && variables.selector.all(k,"
            " k in object.spec.nodeSelector && object.spec.nodeSelector[k] == variables.selector[k])",
            "message": f"pool {name}: devices {spec.resource_name} of this namespace are on nodes with {labels}:"
            " leave nodeSelector out, or repeat these labels",
            "reason": "Forbidden",
        },
        {
            "expression": "!has(object.spec.nodeName) || object.spec.nodeName == ''",
            "message": f"pool {name}: a pod with devices {spec.resource_name} may not choose its node:"
            " leave nodeName out, and the scheduler places it in the pool",
            "reason": "Forbidden",
        },
    ]


def _cel_map(entries: Mapping[str, str]) -> str:
    pairs = (f"{_cel_string(key)}: {_cel_string(value)}" for key, value in sorted(entries.items()))
    return "{" + ", ".join(pairs) + "}"


def _cel_literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else _cel_string(value)


def _cel_string(text: str) -> str:
    """Quote for CEL: its escapes include those of JSON, save the surrogate pairs that ASCII-only JSON would use."""
    return json.dumps(text, ensure_ascii=False)
