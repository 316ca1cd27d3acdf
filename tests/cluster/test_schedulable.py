"""What a pool calls schedulable is where the real scheduler puts the pool's own pods."""

from __future__ import annotations

from itertools import product

from bitgoeul.api.accelerator_pool import Toleration
from bitgoeul.cluster.kinds import NODE, POD
from bitgoeul.local.nodes import NodeShape, Taint, build_node
from bitgoeul.planning.observed import node_view
from bitgoeul.planning.pools import untolerated
from tests.cluster.api_objects import Manifest
from tests.cluster.scenario import POOL_LABEL, World, condition, resource_of
from tests.cluster.waiting import eventually

SICK = "example.org/sick"
TAINTS: dict[str, tuple[Taint, ...]] = {
    "none": (),
    "wish": (Taint(SICK, "yes", "PreferNoSchedule"),),
    "schedule": (Taint(SICK, "yes", "NoSchedule"),),
    "empty": (Taint(SICK, "", "NoSchedule"),),
    "execute": (Taint(SICK, "yes", "NoExecute"),),
    "pressure": (Taint("node.kubernetes.io/disk-pressure", "", "NoSchedule"),),
    "both": (Taint(SICK, "yes", "NoSchedule"), Taint("example.org/upgrade", "now", "NoExecute")),
}
TOLERATIONS: dict[str, list[Manifest]] = {
    "nothing": [],
    "value": [{"key": SICK, "operator": "Equal", "value": "yes", "effect": "NoSchedule"}],
    "novalue": [{"key": SICK, "effect": "NoSchedule"}],
    "exists": [{"key": SICK, "operator": "Exists"}],
    "seconds": [{"key": SICK, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 86400}],
    "effect": [{"operator": "Exists", "effect": "NoSchedule"}],
    "everything": [{"operator": "Exists"}],
    "two": [{"key": SICK, "operator": "Exists"}, {"key": "example.org/upgrade", "value": "now", "effect": "NoExecute"}],
}


def test_taints_and_tolerations_are_matched_as_the_scheduler_does(world: World) -> None:
    """Each taint with each toleration: a pod of the pool is placed exactly where its devices count."""
    pools = {
        word: world.declare_pool(word, nodeSelector={POOL_LABEL: world.suffix}, tolerations=tolerations)
        for word, tolerations in TOLERATIONS.items()
    }
    shape = {resource_of(pool): "1" for pool in pools.values()}
    for word, taints in TAINTS.items():
        world.create(
            build_node(world.name(word), NodeShape(devices=shape, labels={POOL_LABEL: world.suffix}, taints=taints))
        )
    for (taint, _), (word, tolerations) in product(TAINTS.items(), TOLERATIONS.items()):
        world.create(make_pod(world.name(f"{taint}-{word}"), world.name(taint), resource_of(pools[word]), tolerations))
    try:
        counted = dict.fromkeys(pools, 0)
        for (taint, _), (word, tolerations) in product(TAINTS.items(), TOLERATIONS.items()):
            name = world.name(f"{taint}-{word}")
            view = node_view(world.get(NODE, world.name(taint)))
            ours = not untolerated(view.taints, [Toleration.model_validate(one) for one in tolerations])
            assert placed(world, name) == ours, (taint, word)
            counted[word] += ours
        for word, pool in pools.items():
            world.await_devices(pool, installed=len(TAINTS), schedulable=counted[word])
            status = world.pool_status(pool)
            tainted = len(TAINTS) - counted[word]
            assert (status["devices"]["unavailable"]["tainted"], status["nodes"]["tainted"]) == (tainted, tainted)
            if not tainted:
                assert "NodesTainted" not in [one["type"] for one in status["conditions"]]
                continue
            found = condition(status, "NodesTainted")
            assert found["reason"] == "TaintsNotTolerated"
            assert world.suffix in found["message"]
            assert "spec.tolerations" in found["message"]
    finally:
        for (taint, _), (word, _) in product(TAINTS.items(), TOLERATIONS.items()):
            world.delete(POD, world.name(f"{taint}-{word}"), "default")


def placed(world: World, name: str) -> bool:
    """Whether the scheduler has found a node for a pod, once it has looked."""

    def verdict() -> str:
        pod = world.get(POD, name, "default")
        (found,) = (row["status"] for row in pod["status"]["conditions"] if row["type"] == "PodScheduled")
        return str(found)

    return eventually(verdict, f"the scheduler has looked at {name}") == "True"


def make_pod(name: str, node: str, resource: str, tolerations: list[Manifest]) -> Manifest:
    """A pod as the pool's policy makes them, for one node only."""
    container = {"name": "main", "image": "example.org/train:1", "resources": {"limits": {resource: "1"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "containers": [container],
            "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": tolerations,
            "terminationGracePeriodSeconds": 0,
        },
    }
