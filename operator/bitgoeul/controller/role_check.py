"""
Looks whether the ClusterRoles exist that members are bound to: a binding to one that is not there gives nothing.

They are not ours and not watched. One that was found is believed in for a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from bitgoeul.cluster.client import Api
from bitgoeul.cluster.kinds import CLUSTER_ROLE

BELIEVED_SECONDS = 60.0


class RoleCheck:
    """See the module's text."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._seen_at: dict[str, float] = {}

    async def missing(self, names: Iterable[str]) -> list[str]:
        """Return those that do not exist, in the order of their names."""
        absent = []
        for name in sorted(set(names)):
            if time.monotonic() < self._seen_at.get(name, -BELIEVED_SECONDS) + BELIEVED_SECONDS:
                continue
            # With list, which the operator may do anyway, and not with get.
            found, _ = await self._api.list_all(CLUSTER_ROLE.path(), field_selector=f"metadata.name={name}")
            if found:
                self._seen_at[name] = time.monotonic()
            else:
                self._seen_at.pop(name, None)
                absent.append(name)
        return absent
