"""Capacity of pools: which nodes count, what of their devices may be granted, and who owns what two pools claim."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.planning.pools import Capacity, Pool, accelerator, storage
from tests.unit.builders import (
    GPU,
    PRODUCT_LABEL,
    Manifest,
    make_accelerator_pool,
    make_node,
    make_nodes,
    make_storage_pool,
    snapshot_of,
)


def pool_of(*objects: Manifest, name: str = "a100") -> Pool:
    """An accelerator pool as measured."""
    return snapshot_of(objects).pools[accelerator(name)]


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        pytest.param({}, Capacity(installed=8), id="a Ready node gives all its devices"),
        pytest.param(
            {"healthy": 6}, Capacity(installed=8, unhealthy=2), id="devices that are not offered are unhealthy"
        ),
        pytest.param({"ready": False}, Capacity(installed=8, not_ready=8), id="a silent node gives none"),
        pytest.param({"cordoned": True}, Capacity(installed=8, cordoned=8), id="a cordoned node gives none"),
        pytest.param(
            {"ready": False, "cordoned": True}, Capacity(installed=8, not_ready=8), id="NotReady goes before Cordoned"
        ),
        pytest.param(
            {"cordoned": True, "healthy": 6}, Capacity(installed=8, cordoned=8), id="Cordoned goes before Unhealthy"
        ),
        pytest.param(
            {"ready": False, "healthy": 0}, Capacity(installed=8, not_ready=8), id="NotReady goes before Unhealthy"
        ),
        pytest.param({"taints": ["sick:NoSchedule"]}, Capacity(installed=8, tainted=8), id="a tainted node gives none"),
        pytest.param({"taints": ["sick:NoExecute"]}, Capacity(installed=8, tainted=8), id="by NoExecute as well"),
        pytest.param({"taints": ["sick:PreferNoSchedule"]}, Capacity(installed=8), id="a wish keeps nobody off"),
        pytest.param(
            {"taints": ["sick:NoSchedule"], "healthy": 6},
            Capacity(installed=8, tainted=8),
            id="Tainted goes before Unhealthy",
        ),
        pytest.param(
            {"taints": ["sick:NoSchedule"], "cordoned": True},
            Capacity(installed=8, cordoned=8),
            id="Cordoned goes before Tainted",
        ),
        pytest.param(
            {
                "taints": [
                    f"node.kubernetes.io/{word}:NoExecute" for word in ("unschedulable", "not-ready", "unreachable")
                ]
            },
            Capacity(installed=8),
            id="what Kubernetes taints for a cordon or a silent node is told otherwise",
        ),
        pytest.param(
            {"taints": ["node.kubernetes.io/memory-pressure:NoSchedule"]},
            Capacity(installed=8, tainted=8),
            id="pressure keeps new pods off",
        ),
        pytest.param({"healthy": 9}, Capacity(installed=8), id="a node never gives more than it has"),
        pytest.param({"devices": "eight"}, Capacity(), id="what cannot be read is nothing"),
        pytest.param({"devices": "-8", "healthy": "-8"}, Capacity(), id="less than nothing is nothing"),
        pytest.param({"healthy": "six"}, Capacity(installed=8, unhealthy=8), id="an offer that cannot be read is none"),
        pytest.param({"resource": "furiosa.ai/npu"}, Capacity(), id="another resource does not count"),
        pytest.param({"product": "h100"}, Capacity(), id="a node with another label does not count"),
    ],
)
def test_devices_are_counted_once_by_the_state_of_their_node(node: dict[str, Any], expected: Capacity) -> None:
    """Every installed device is schedulable or unavailable for exactly one reason."""
    assert pool_of(make_accelerator_pool(), make_node(**node)).capacity == expected


def test_nodes_are_counted_by_state() -> None:
    """A node is in one state, NotReady before cordoned; one without devices counts as well."""
    nodes = [
        make_node("n1"),
        make_node("n2", devices=0),
        make_node("n3", cordoned=True),
        make_node("n4", cordoned=True, ready=False),
    ]
    pool = pool_of(make_accelerator_pool(), *nodes)
    assert (pool.ready_nodes, pool.not_ready_nodes, pool.cordoned_nodes, pool.nodes) == (2, 1, 1, 4)


def test_every_label_of_the_selector_must_match() -> None:
    """A node that carries only some of the labels belongs to somebody else."""
    pool = make_accelerator_pool(nodeSelector={PRODUCT_LABEL: "a100", "example.org/zone": "b"})
    near, far = make_node("near"), make_node("far", devices=4)
    far["metadata"]["labels"]["example.org/zone"] = "b"
    assert pool_of(pool, near, far).capacity.installed == 4


def test_a_selector_may_ask_for_an_empty_value() -> None:
    """An empty label value is a value: a node without the label does not have it."""
    pool = make_accelerator_pool(nodeSelector={"example.org/idle": ""})
    idle = make_node("idle", devices=4)
    idle["metadata"]["labels"]["example.org/idle"] = ""
    assert pool_of(pool, make_node("busy"), idle).capacity.installed == 4


def test_an_empty_selector_matches_no_node() -> None:
    """The API refuses it; where it slips through, it must not mean every node of the cluster."""
    assert pool_of(make_accelerator_pool(nodeSelector={}), make_node()).capacity == Capacity()


@pytest.mark.parametrize(
    ("reserve", "healthy", "expected"),
    [
        pytest.param(0, 8, (0, 8, 8), id="no reserve"),
        pytest.param(2, 8, (2, 6, 6), id="the reserve is taken off"),
        pytest.param(2, 5, (2, 3, 6), id="off what is schedulable"),
        pytest.param(2, 1, (1, 0, 6), id="no more is held back than is there"),
        pytest.param(20, 8, (8, 0, 0), id="a reserve beyond the pool leaves nothing"),
    ],
)
def test_the_reserve_is_never_granted(reserve: int, healthy: int, expected: tuple[int, int, int]) -> None:
    """Reserved, effective, and what could be attained were all devices healthy."""
    pool = pool_of(make_accelerator_pool(reserve=reserve), make_node(healthy=healthy))
    assert (pool.capacity.reserved, pool.capacity.effective, pool.attainable) == expected


def test_a_node_of_two_pools_counts_for_the_older_one_and_both_say_so() -> None:
    """Two pools of one resource name must not both hand out a device."""
    old = make_accelerator_pool("old", created=1, nodeSelector={PRODUCT_LABEL: "a100"})
    new = make_accelerator_pool("new", created=2, nodeSelector={"example.org/zone": "b"})
    other = make_node("other", product="none", devices=4)
    shared = [make_node("shared-2", devices=4), make_node("shared-1", devices=4)]
    for node in (*shared, other):
        node["metadata"]["labels"]["example.org/zone"] = "b"
    pools = snapshot_of([new, old, other, *shared]).pools
    assert pools[accelerator("old")].capacity.installed == 8
    assert pools[accelerator("new")].capacity.installed == 4
    assert pools[accelerator("old")].overlaps == {"new": ("shared-1", "shared-2")}
    assert pools[accelerator("new")].overlaps == {"old": ("shared-1", "shared-2")}


def test_of_two_pools_of_one_age_the_first_by_name_counts_the_node() -> None:
    """Objects applied together have the same second of creation."""
    pools = [make_accelerator_pool(name, nodeSelector={PRODUCT_LABEL: "a100"}) for name in ("b", "a")]
    measured = snapshot_of([*pools, make_node()]).pools
    assert measured[accelerator("a")].capacity.installed == 8
    assert measured[accelerator("b")].capacity.installed == 0


def test_the_older_pool_counts_the_node_whatever_labels_the_pools_ask_for() -> None:
    """Age alone decides, also beside a third pool of another resource."""
    zone = {"example.org/zone": "b"}
    pools = [
        make_accelerator_pool("first", "furiosa.ai/npu", created=1, nodeSelector={PRODUCT_LABEL: "a100"}),
        make_accelerator_pool("old", created=2, nodeSelector=zone),
        make_accelerator_pool("new", created=3, nodeSelector={PRODUCT_LABEL: "a100"}),
    ]
    node = make_node()
    node["metadata"]["labels"] |= zone
    measured = snapshot_of([*pools, node]).pools
    assert measured[accelerator("old")].capacity.installed == 8
    assert measured[accelerator("new")].capacity.installed == 0


def test_a_node_that_offers_nothing_has_only_unhealthy_devices() -> None:
    """Its device plugin has gone, and with it the resource in what can be allocated."""
    node = make_node()
    del node["status"]["allocatable"][GPU]
    assert pool_of(make_accelerator_pool(), node).capacity == Capacity(installed=8, unhealthy=8)


def test_a_node_may_serve_pools_of_different_resources() -> None:
    """A node with GPUs and NPUs belongs to both pools and overlaps in none."""
    gpu = make_accelerator_pool("gpu", nodeSelector={PRODUCT_LABEL: "mixed"})
    npu = make_accelerator_pool("npu", "furiosa.ai/npu", nodeSelector={PRODUCT_LABEL: "mixed"})
    node = make_node(product="mixed")
    node["status"]["capacity"]["furiosa.ai/npu"] = node["status"]["allocatable"]["furiosa.ai/npu"] = "2"
    pools = snapshot_of([gpu, npu, node]).pools
    assert pools[accelerator("gpu")].capacity.effective == 8
    assert pools[accelerator("npu")].capacity.effective == 2
    assert pools[accelerator("gpu")].overlaps is None


def test_a_pool_without_devices_is_bare() -> None:
    """Nothing is known of what such a pool could give: its nodes or their device plugin may still come."""
    assert pool_of(make_accelerator_pool()).bare
    assert pool_of(make_accelerator_pool(), make_node(devices=0)).bare
    assert not pool_of(make_accelerator_pool(), make_node(ready=False)).bare
    assert not snapshot_of([make_storage_pool()]).pools[storage("lustre")].bare


def test_bytes_are_counted_exactly_beyond_what_floats_can_tell_apart() -> None:
    """10.7 PB less one byte is not 10.7 PB."""
    pool = snapshot_of([make_storage_pool(capacity="10700T", reserve="1")]).pools[storage("lustre")]
    assert pool.capacity.installed == 10_700_000_000_000_000
    assert pool.capacity.effective == 10_699_999_999_999_999


def test_of_two_storage_pools_with_one_class_the_older_has_it() -> None:
    """A quota knows the class only, so that the younger pool may grant nothing."""
    old = make_storage_pool("old", created=1, storageClassName="nvme")
    new = make_storage_pool("new", created=2, storageClassName="nvme")
    pools = snapshot_of([new, old]).pools
    assert pools[storage("old")].shadowed_by == ""
    assert pools[storage("new")].shadowed_by == "old"


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"capacity": "plenty"}, id="a capacity that is a word"),
        pytest.param({"capacity": "10Ti", "reserve": "some"}, id="a reserve that is a word"),
        pytest.param({"capacity": "0.5.1"}, id="a capacity that is no number"),
    ],
)
def test_a_storage_pool_that_cannot_be_read_has_nothing_and_says_why(spec: dict[str, Any]) -> None:
    """It grants nothing, and the others go on."""
    pools = snapshot_of([make_storage_pool("odd", **spec), make_storage_pool("fine")]).pools
    assert pools[storage("odd")].capacity == Capacity()
    assert pools[storage("odd")].problem.startswith("not a quantity")
    assert not pools[storage("odd")].bare
    assert pools[storage("fine")].capacity.effective == 100 * 2**40


def test_a_storage_pool_below_nothing_has_nothing() -> None:
    """The API refuses it; where it slips through, the partition still adds up."""
    assert (
        snapshot_of([make_storage_pool(capacity="-5Ti", reserve="-1")]).pools[storage("lustre")].capacity == Capacity()
    )


def test_a_pool_that_is_being_deleted_is_still_measured() -> None:
    """Its holders keep what they have, so its partition goes on being shown."""
    pool = pool_of(make_accelerator_pool(deleting=True), *make_nodes(2))
    assert pool.deleting
    assert pool.capacity.effective == 16
    assert pool.limit == GPU


@pytest.mark.parametrize(
    ("tolerations", "tolerated"),
    [
        pytest.param([], False, id="none"),
        pytest.param([{"key": "sick", "operator": "Exists"}], True, id="any value, any effect"),
        pytest.param([{"key": "sick", "value": "yes"}], True, id="this value, any effect"),
        pytest.param([{"key": "sick", "value": "no"}], False, id="another value"),
        pytest.param([{"key": "sick"}], False, id="the empty value"),
        pytest.param([{"key": "sick", "operator": "Exists", "effect": "NoExecute"}], False, id="another effect"),
        pytest.param([{"operator": "Exists"}], True, id="every key"),
        pytest.param([{"operator": "Exists", "effect": "NoSchedule"}], True, id="every key with this effect"),
        pytest.param([{"key": "other", "operator": "Exists"}, {"key": "sick", "value": "yes"}], True, id="one of two"),
    ],
)
def test_a_toleration_is_matched_as_the_scheduler_does(tolerations: list[Manifest], tolerated: bool) -> None:
    """Compared with the real scheduler in tests/cluster."""
    pool = pool_of(make_accelerator_pool(tolerations=tolerations), make_node(taints=["sick=yes:NoSchedule"]))
    assert pool.capacity.tainted == (0 if tolerated else 8)
    assert (pool.ready_nodes, pool.tainted_nodes, pool.nodes) == ((1, 0, 1) if tolerated else (0, 1, 1))


def test_each_of_several_taints_has_to_be_tolerated() -> None:
    """What the pool tolerates already is not named."""
    node = make_node(taints=["sick:NoSchedule", "upgrade=now:NoExecute"])
    pool = pool_of(make_accelerator_pool(tolerations=[{"key": "sick", "operator": "Exists"}]), node)
    assert {str(taint): nodes for taint, nodes in pool.tainted.items()} == {"upgrade=now:NoExecute": ("node-1",)}


def remembering(highest: int, **spec: Any) -> Manifest:
    """A pool that has had so many devices."""
    return make_accelerator_pool(**spec) | {"status": {"devices": {"highest": highest}}}


def test_what_was_there_may_come_back() -> None:
    """The most that was ever installed is what could be had, and it never gets less."""
    pool = pool_of(remembering(16, reserve=2), make_node(devices=8))
    assert (pool.highest, pool.attainable, pool.away, pool.bare) == (16, 14, 8, False)
    grown = pool_of(remembering(16), *make_nodes(3))
    assert (grown.highest, grown.away) == (24, 0)
    gone = pool_of(remembering(16))
    assert (gone.attainable, gone.away, gone.bare) == (16, 16, False)


def test_a_plan_says_what_could_be_had_whatever_was_there() -> None:
    """Stages are declared; so a pool can be made smaller for good."""
    pool = pool_of(
        remembering(16, stages=[{"name": "s", "from": "2020-01-01T00:00:00Z", "devices": 4}]), *make_nodes(2)
    )
    assert (pool.highest, pool.attainable, pool.away) == (16, 4, 0)
