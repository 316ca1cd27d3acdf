"""
Names of ClusterRoles that members may be given beside our own: which names are such at all, and which never are.

The built-in ``admin`` and ``edit`` write role bindings, network policies or resource claims, so that what bounds a
tenant would be in its own hands; ``system:`` belongs to the cluster, ``bitgoeul:`` to the operator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from bitgoeul.api.fields import Rule
from bitgoeul.errors import UserError

NEVER_BOUND = ("admin", "cluster-admin", "edit")
RESERVED_PREFIXES = ("system:", "bitgoeul:")
NEVER = f"{', '.join(NEVER_BOUND)} and names of {'… and '.join(RESERVED_PREFIXES)}… are never given to members"
MAX_NAME = 253

_PATTERN = "^[A-Za-z0-9][A-Za-z0-9:._-]*$"
_WORDS = "letters, digits, ':', '.', '_' and '-', beginning with a letter or digit"
_RESERVED = " || ".join(f"self.startsWith('{prefix}')" for prefix in RESERVED_PREFIXES)

ClusterRoleName = Annotated[
    str,
    Field(min_length=1, max_length=MAX_NAME, description="Name of a ClusterRole."),
    Rule(rule=f"self.matches('{_PATTERN}')", message=f"must be the name of one ClusterRole: {_WORDS}"),
    Rule(rule=f"!(self in {list(NEVER_BOUND)} || {_RESERVED})", message=f"cannot be given: {NEVER}"),
]


def read_allowed_roles(names: Iterable[str]) -> frozenset[str]:
    """
    Read the names of ClusterRoles that the operator may bind members to.

    Raises:
        UserError: One of them is no such name, or never may be bound.
    """
    allowed = frozenset(names)
    for name in sorted(allowed):
        if len(name) > MAX_NAME or not re.match(_PATTERN, name) or name != name.strip():
            raise UserError(f"--allowed-cluster-role {name!r}: must be the name of one ClusterRole: {_WORDS}")
        if name in NEVER_BOUND or name.startswith(RESERVED_PREFIXES):
            raise UserError(f"--allowed-cluster-role {name}: {NEVER}; make a ClusterRole of just what is needed")
    return allowed
