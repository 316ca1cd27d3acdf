"""Admission policies of somebody else, as many clusters have them, about the pods of one namespace only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bitgoeul.cluster.kinds import ADMISSION, NAMESPACE, POD, VALIDATING_BINDING, VALIDATING_POLICY
from tests.cluster.api_objects import Manifest
from tests.cluster.scenario import World
from tests.cluster.waiting import eventually

PODS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["pods"]}


@contextmanager
def wanted(
    world: World, namespace: str, *expressions: str, message: str = "not like this", exempt: str = "", reason: str = ""
) -> Iterator[None]:
    """
    Have pods of a namespace refused for which not all expressions hold; begins when the policy acts.

    The namespace need not exist yet: a second one, of which the policy is too, shows that it acts.

    Args:
        exempt: CEL for requests that the policy is not about.
        reason: With which the API server answers; its own when empty.
    """
    name, beside = world.name("foreign"), world.name("beside")
    world.create({"apiVersion": "v1", "kind": NAMESPACE.kind, "metadata": {"name": beside}})
    conditions = [{"name": "here", "expression": f"request.namespace in ['{namespace}', '{beside}']"}]
    if exempt:
        conditions.append({"name": "exempt", "expression": f"!({exempt})"})
    more = {"message": message} | ({"reason": reason} if reason else {})
    spec = {
        "matchConstraints": {"resourceRules": [PODS]},
        "matchConditions": conditions,
        "validations": [{"expression": text, **more} for text in (*expressions, "object.metadata.name != 'never'")],
    }
    world.create(manifest(VALIDATING_POLICY.kind, name, spec))
    world.create(manifest(VALIDATING_BINDING.kind, name, {"policyName": name, "validationActions": ["Deny"]}))
    try:
        eventually(lambda: message in said_to(world, beside, "never"), f"{name} acts")
        yield
    finally:
        for kind in (VALIDATING_BINDING, VALIDATING_POLICY):
            world.delete(kind, name)


def manifest(kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": f"{ADMISSION}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def said_to(world: World, namespace: str, name: str) -> str:
    """What the API server says against a plain pod; empty when it would take it."""
    pod = {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "example.org/a:1"}]}}
    status, answer = world.admin.request("POST", f"{POD.path('', namespace)}?dryRun=All", pod)
    return str(answer["message"]) if status >= 400 else ""
