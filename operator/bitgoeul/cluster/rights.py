"""
Which rights the API server denies to this process, learnt from the answers to its own requests.

Only what its authorizer refuses counts. What a webhook, a policy or a quota refuses is about one object, and says
nothing of rights.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from bitgoeul.cluster.client import parts_of
from bitgoeul.cluster.kinds import EVENT, LEASE, WATCHED
from bitgoeul.cluster.troubles import Troubles

# Every authorizer's refusal reads like this; a resource may have a subresource.
REFUSAL = re.compile(r'is forbidden: User ".*?" cannot (\w+) resource "([^"]+)"')
# Whoever may not do something gets 403; these come after that was asked.
PERMITTED = frozenset({404, 409, 422})
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# Each of these has a check of its own.
TOLD_ELSEWHERE = frozenset({
    *(f"list {kind.plural}" for kind in WATCHED),
    *(f"{verb} {LEASE.plural}" for verb in ("get", "create", "patch")),
    f"create {EVENT.plural}",
})  # fmt: skip


class Rights:
    """Takes in each answer; see ``Api.on_answer``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.refused = Troubles(clock, fading=True)  # by verb and resource, such as "patch resourcequotas"

    def hear(self, method: str, path: str, status: int, message: str) -> None:
        """Learn from an answer whether a right is there."""
        refusal = REFUSAL.search(message) if status == 403 else None
        if refusal is not None:
            right = f"{refusal[1]} {refusal[2]}"
            if right not in TOLD_ELSEWHERE:
                self.refused.failed(right, message)
        elif status < 300 or status in PERMITTED:
            for right in rights_of(method, path, created=status == 201):
                self.refused.succeeded(right)


def rights_of(method: str, path: str, *, created: bool) -> tuple[str, ...]:
    """Return the rights that a request needed; who creates by apply needs both."""
    resource, *rest = parts_of(path) or ["other"]
    what = f"{resource}/{rest[1]}" if len(rest) > 1 else resource
    verb = VERBS.get(method, "get" if rest else "list")
    return (f"{verb} {what}", f"create {what}") if created and verb == "patch" else (f"{verb} {what}",)
