"""
The LimitRange of a tenant namespace: small requests for containers that state none.

A quota on cpu and memory refuses such containers otherwise. Only ``defaultRequest`` is set: a default limit would
refuse every container that asks for more than it.
"""

from __future__ import annotations

from bitgoeul.api import names
from bitgoeul.desired.world import Manifest, NamespaceTarget, child_metadata

DEFAULT_REQUEST = {"cpu": "100m", "memory": "128Mi"}


def build_limit_range(target: NamespaceTarget) -> Manifest:
    """Build the LimitRange of a namespace."""
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": child_metadata(target, names.LIMIT_RANGE_NAME),
        "spec": {"limits": [{"type": "Container", "defaultRequest": dict(DEFAULT_REQUEST)}]},
    }
