"""What a role grants and what somebody used of it, in the same words: group, resource with subresource, verb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.audit import entries

# Reads too, which the control plane's own policy leaves out; of one account, or they would be many.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {{level: Metadata, users: ["{user}"]}}
- {{level: None}}
"""


class Permission(NamedTuple):
    """One cell of a role."""

    group: str
    resource: str
    verb: str


def granted(rules: Iterable[Mapping[str, Any]]) -> Iterator[Permission]:
    """Each permission that rules give; names to which they are limited are not looked at."""
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield from (Permission(group, resource, verb) for verb in rule["verbs"])


def requests_of(plane: ControlPlane, user: str) -> list[dict[str, Any]]:
    """What the audit log has of a user's requests for resources, in the order of their answers."""
    return [entry for entry in entries(plane) if entry["user"]["username"] == user and "objectRef" in entry]


def forbidden(request: Mapping[str, Any]) -> bool:
    """Whether it was refused for want of a permission; a quota's refusal is none."""
    return bool(request["annotations"].get("authorization.k8s.io/decision") != "allow")


def used(requests: Iterable[Mapping[str, Any]]) -> Iterator[Permission]:
    """The permissions that these requests needed. Who creates by apply needs to be allowed both."""
    for request in requests:
        target = request["objectRef"]
        resource = "/".join(part for part in (target["resource"], target.get("subresource", "")) if part)
        permission = Permission(target.get("apiGroup", ""), resource, request["verb"])
        yield permission
        if request["verb"] == "patch" and request["responseStatus"]["code"] == 201:
            yield permission._replace(verb="create")
