"""
What holds for the pods of every tenant: two admission policies for all tenant namespaces, one pair for the cluster.

The mutating policy fills in small requests of cpu and memory for containers that state none, because a quota on cpu and
memory refuses them otherwise. A container with a limit is left to Kubernetes, which requests the limit, and so is a pod
that states the resource for itself as a whole. No limit is filled in: it would kill containers that use more. A grace
of 0 becomes 1: with 0 the API server forgets a pod while its process still runs.

The validating policy bounds how long a pod may take to stop, asked for in the pod, in its deletion or in its eviction,
and refuses deletions without any grace. So the devices of a pod are free when the pod is gone, and a few minutes after
the end of a grant. Kubelets, the controller manager and service accounts of ``kube-system`` delete as they have to, and
so does whoever holds the verb ``force-delete`` on pods. It also refuses pods that lack what the mutating policy fills
in, so that one trial pod shows that both policies act. Both fail closed.
"""

from __future__ import annotations

from bitgoeul.api import names
from bitgoeul.desired.admission_policies import API_VERSION, match_resources
from bitgoeul.desired.trial_pod import TrialPod, build_trial_pod
from bitgoeul.desired.world import Manifest

POLICY_NAME = "bitgoeul-tenants"
DEFAULT_REQUEST = {"cpu": "100m", "memory": "128Mi"}
# MAX_GRACE_SECONDS bounds how long a pod may take to stop, whoever asks.
MAX_GRACE_SECONDS = 300
# FORCE_VERB on pods is the right to delete a pod with any grace, as when its node is lost.
FORCE_VERB = "force-delete"
PROOF_POD_NAME = "bitgoeul-tenant-proof"

_PODS = {"apiGroups": [""], "apiVersions": ["v1"], "scope": "*"}
_CONTAINERS = "(object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : []))"


def build_tenant_policies() -> list[Manifest]:
    """Build the mutating policy, its binding, the validating policy and its binding; there is one set per cluster."""
    specs = {
        "MutatingAdmissionPolicy": _policy(
            [{**_PODS, "operations": ["CREATE"], "resources": ["pods"]}],
            {"reinvocationPolicy": "IfNeeded", "variables": _pod_level(), "mutations": _mutations()},
        ),
        "MutatingAdmissionPolicyBinding": _bind(),
        "ValidatingAdmissionPolicy": _policy(
            [
                {**_PODS, "operations": ["CREATE", "DELETE"], "resources": ["pods"]},
                {**_PODS, "operations": ["CREATE"], "resources": ["pods/eviction"]},
            ],
            {"variables": [*_pod_level(), *_removal()], "validations": _validations(), "auditAnnotations": []},
        ),
        "ValidatingAdmissionPolicyBinding": _bind() | {"validationActions": ["Deny"]},
    }
    metadata = {"name": POLICY_NAME, "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}}
    return [
        {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": content}
        for kind, content in specs.items()
    ]


def build_tenant_proof_pod(namespace: str, trial: TrialPod) -> Manifest:
    """
    Build a pod that the validating policy refuses for its grace alone, for a server-side dry run.

    It states no requests: where the mutating policy does not act, it is refused for them instead.
    """
    pod = build_trial_pod(PROOF_POD_NAME, namespace, trial, {})
    pod["spec"]["terminationGracePeriodSeconds"] = MAX_GRACE_SECONDS + 1
    return pod


def refused_for_grace(message: str) -> bool:
    """Tell whether a refusal is the one that the trial pod should get."""
    return f"'{POLICY_NAME}'" in message and "terminationGracePeriodSeconds" in message


def _policy(rules: list[Manifest], content: Manifest) -> Manifest:
    tenants = {"matchLabels": {}, "matchExpressions": [{"key": names.ALLOCATION_LABEL, "operator": "Exists"}]}
    return {
        "failurePolicy": "Fail",
        "matchConstraints": match_resources(tenants, rules),
        "matchConditions": [],
        **content,
    }


def _bind() -> Manifest:
    return {"policyName": POLICY_NAME, "matchResources": match_resources({}, [])}


def _pod_level() -> list[Manifest]:
    """Whether a pod states a resource for itself as a whole, as a variable for each resource."""
    return [
        {
            "name": f"podStates{resource.capitalize()}",
            "expression": f"has(object.spec.resources) && {_states('object.spec', resource)}",
        }
        for resource in DEFAULT_REQUEST
    ]


def _states(holder: str, resource: str) -> str:
    parts = (
        f"(has({holder}.resources.{part}) && '{resource}' in {holder}.resources.{part})"
        for part in ("requests", "limits")
    )
    return f"({' || '.join(parts)})"


def _mutations() -> list[Manifest]:
    grace = (
        "has(object.spec.terminationGracePeriodSeconds) && object.spec.terminationGracePeriodSeconds == 0"
        " ? [JSONPatch{op: 'replace', path: '/spec/terminationGracePeriodSeconds', value: 1}] : []"
    )
    expressions = [grace, *(_fill_in(resource, amount) for resource, amount in DEFAULT_REQUEST.items())]
    return [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}} for expression in expressions]


def _fill_in(resource: str, amount: str) -> str:
    """One patch for each container that states nothing of a resource, if the pod as a whole does not either."""
    steps = []
    for field in ("containers", "initContainers"):
        path = f"'/spec/{field}/' + string(i) + '/resources"
        patch = (
            f"!has(c.resources) ? JSONPatch{{op: 'add', path: {path}',"
            f" value: {{'requests': {{'{resource}': '{amount}'}}}}}}"
            f" : !has(c.resources.requests) ? JSONPatch{{op: 'add', path: {path}/requests',"
            f" value: {{'{resource}': '{amount}'}}}}"
            f" : JSONPatch{{op: 'add', path: {path}/requests/{resource}', value: '{amount}'}}"
        )
        lacks = f"!(has(c.resources) && {_states('c', resource)})"
        steps.append(f"(has(object.spec.{field}) ? object.spec.{field}.transformList(i, c, {lacks}, {patch}) : [])")
    return f"variables.podStates{resource.capitalize()} ? [] : {' + '.join(steps)}"


def _removal() -> list[Manifest]:
    """
    What the validations ask of a deletion or an eviction.

    The API server puts the grace that holds into the options of a deletion before it asks: the pod's own where none is
    stated, and 0 for a pod that no node has, or that has ended. An eviction without a grace has the pod's own, which
    was bounded when the pod was made.
    """
    expressions = {
        "evicts": "request.?subResource.orValue('') == 'eviction'",
        "removes": "request.operation == 'DELETE' || variables.evicts",
        "asked": "variables.evicts ? object.?deleteOptions.?gracePeriodSeconds.orValue(30)"
        " : request.?options.?gracePeriodSeconds.orValue(30)",
        "own": "object.?spec.?terminationGracePeriodSeconds.orValue(30)",
        "idle": "request.operation == 'DELETE' && (oldObject.?spec.?nodeName.orValue('') == ''"
        " || oldObject.?status.?phase.orValue('') in ['Succeeded', 'Failed'])",
        "mayForce": "request.userInfo.username in ['system:kube-controller-manager', 'system:kube-scheduler']"
        " || request.userInfo.?groups.orValue([]).exists(g,"
        " g == 'system:nodes' || g == 'system:serviceaccounts:kube-system')"
        f" || authorizer.group('').resource('pods').namespace(request.namespace).check('{FORCE_VERB}').allowed()",
    }
    return [{"name": name, "expression": expression} for name, expression in expressions.items()]


def _validations() -> list[Manifest]:
    bounds = f"write 1 to {MAX_GRACE_SECONDS}"
    way_out = f"; the verb {FORCE_VERB} on pods allows any grace, for a node that is lost: ask a platform engineer"
    rows = [
        *(_requests_row(resource) for resource in DEFAULT_REQUEST),
        (
            f"variables.removes || (variables.own >= 1 && variables.own <= {MAX_GRACE_SECONDS})",
            f"'spec.terminationGracePeriodSeconds is ' + string(variables.own) + ': {bounds}; devices are given on"
            " when their pod is gone, so it may neither be forgotten at once nor stop for longer'",
            f"spec.terminationGracePeriodSeconds: {bounds}",
        ),
        (
            "!variables.removes || variables.asked != 0 || variables.idle || variables.mayForce",
            "'gracePeriodSeconds is 0: the pod would be forgotten while its process still runs on its devices;"
            f" leave --force out, or write --grace-period=1 to {MAX_GRACE_SECONDS} (--now is 1){way_out}'",
            f"gracePeriodSeconds: {bounds}",
        ),
        (
            f"!variables.removes || variables.asked <= {MAX_GRACE_SECONDS} || variables.mayForce",
            "'gracePeriodSeconds is ' + string(variables.asked) + ', asked for or of the pod itself: write"
            f" --grace-period=1 to {MAX_GRACE_SECONDS}; a pod that takes longer to stop would hold its devices beyond"
            f" the end of the grant{way_out}'",
            f"gracePeriodSeconds: {bounds}",
        ),
    ]
    return [
        {"expression": expression, "messageExpression": told, "message": brief, "reason": "Forbidden"}
        for expression, told, brief in rows
    ]


def _requests_row(resource: str) -> tuple[str, str, str]:
    stated = f"has(c.resources) && has(c.resources.requests) && '{resource}' in c.resources.requests"
    told = (
        f"a container states no requests.{resource}, and the mutating policy {POLICY_NAME} did not fill it in:"
        f" write it, or try again in a few seconds"
    )
    return (
        f"variables.removes || variables.podStates{resource.capitalize()} || {_CONTAINERS}.all(c, {stated})",
        f"'{told}'",
        told,
    )
