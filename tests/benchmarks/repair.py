"""Repair: how long a child that somebody edited or deleted takes to be as it was."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from bitgoeul.api.names import ALLOCATION_LABEL, pool_label
from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    NAMESPACE,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    VOLUME_CLAIM,
    Kind,
)
from tests.benchmarks.client import Client, until
from tests.benchmarks.figures import Detail, Figure, Goal, Outcome, percentile
from tests.benchmarks.objects import POOL
from tests.benchmarks.setting import Setting

DAMAGES = 100
SEED = 2021
P99 = Goal(1.0)

Key = tuple[str, str]  # namespace and name


@dataclass(frozen=True)
class Damage:
    """What is done to a child: a merge patch, or None to delete it."""

    kind: Kind
    patch: Object | None = None

    @property
    def what(self) -> str:
        return f"{self.kind.kind} {'edited' if self.patch else 'deleted'}"


# No namespace is deleted here: how long it takes to go depends on the controller manager, and is minutes at times.
CHOICES = (
    Damage(RESOURCE_QUOTA),
    Damage(RESOURCE_QUOTA, {"spec": {"hard": {"requests.nvidia.com/gpu": "64"}}}),
    Damage(VOLUME_CLAIM),
    Damage(ROLE_BINDING),
    Damage(ROLE_BINDING, {"subjects": []}),
    Damage(CLUSTER_ROLE),
    Damage(CLUSTER_ROLE, {"rules": []}),
    Damage(CLUSTER_ROLE_BINDING),
    Damage(CLUSTER_ROLE_BINDING, {"subjects": []}),
    Damage(NAMESPACE, {"metadata": {"labels": {pool_label(POOL): None}}}),
)


async def measure_repair(setting: Setting) -> Outcome:
    """Damage one child after the other, each kind of damage as often, tenants at random."""
    hall = await setting.hall()
    setting.say(f"filling up to {setting.tenants} tenants")
    await hall.fill(setting.tenants)
    setting.say(f"{DAMAGES} damages")
    chance = random.Random(SEED)
    seconds: dict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        children = {choice.kind: Children(choice.kind) for choice in CHOICES}
        for kind, watched in children.items():
            await stack.enter_async_context(hall.cluster.client.watching(kind, watched.seen))
        for number in range(DAMAGES):
            damage = CHOICES[number % len(CHOICES)]
            seconds[damage.what].append(await children[damage.kind].suffer(damage, hall.cluster.client, chance))
    every = [one for several in seconds.values() for one in several]
    return Outcome(
        name="repair",
        method=(
            f"at {len(hall.tenants.ready_at)} tenants {DAMAGES} children are deleted or edited one after the other, "
            "from sending the damage until a watch shows the child as it was"
        ),
        figures=(
            Figure("repair of a child, p50", percentile(every, 0.5), "s"),
            Figure("repair of a child, p99", percentile(every, 0.99), "s", P99),
            Figure("repair of a child, slowest", max(every), "s"),
        ),
        details=(
            Detail(
                "repair by kind of damage",
                ("damage", "times", "p50, ms", "slowest, ms"),
                tuple(
                    (what, str(len(took)), f"{1000 * percentile(took, 0.5):.0f}", f"{1000 * max(took):.0f}")
                    for what, took in sorted(seconds.items())
                ),
                in_page=True,
            ),
        ),
    )


class Children:
    """All tenants' children of one kind, as a watch shows them."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._standing: dict[Key, Object] = {}
        self._watched: Key | None = None
        self._whole: Object = {}
        self._damaged = False
        self._back_at = 0.0

    def seen(self, change: str, obj: Object, at: float) -> None:
        """Take in one change; the object under observation is first seen damaged, and then as it was."""
        metadata = obj["metadata"]
        if ALLOCATION_LABEL not in (metadata.get("labels") or {}):
            return
        key = (metadata.get("namespace", ""), metadata["name"])
        if change == "DELETED":
            self._standing.pop(key, None)
        else:
            self._standing[key] = obj
        if key == self._watched:
            if change == "DELETED" or essence(obj) != self._whole:
                self._damaged = True
            elif self._damaged and not self._back_at:
                self._back_at = at

    async def suffer(self, damage: Damage, client: Client, chance: random.Random) -> float:
        """Damage one child; the seconds until it is as it was."""
        namespace, name = self._watched = chance.choice(sorted(self._standing))
        self._whole = essence(self._standing[self._watched])
        self._damaged, self._back_at = False, 0.0
        strike = (
            partial(client.delete, self.kind, name, namespace)
            if damage.patch is None
            else partial(client.merge, self.kind, name, damage.patch, namespace)
        )
        sent = time.perf_counter()
        await strike()
        await until(lambda: bool(self._back_at), f"{damage.what}: {namespace}/{name} is as it was", 60, pause=0.001)
        return self._back_at - sent


def essence(obj: Object) -> Object:
    """What of a child is the operator's business: all but status and what the API server adds."""
    rest = {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}
    if "spec" in rest:
        rest["spec"] = {key: value for key, value in rest["spec"].items() if key != "volumeName"}
    return {**rest, "labels": obj["metadata"].get("labels")}
