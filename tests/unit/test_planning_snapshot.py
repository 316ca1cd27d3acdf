"""What allocations are charged, what data of the dead keeps, who may have a namespace, and which pool a limit means."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.planning.pools import accelerator, storage
from bitgoeul.planning.snapshot import Snapshot, Standing
from tests.unit.builders import (
    GPU,
    Manifest,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_namespace,
    make_quota,
    make_storage_pool,
    snapshot_of,
)

A100, H100, LUSTRE = accelerator("a100"), accelerator("h100"), storage("lustre")
TI = 2**40
POOLS = [make_accelerator_pool(), make_storage_pool()]


def standing_of(snapshot: Snapshot, name: str = "blue") -> Standing:
    """The standing of one allocation."""
    return next(s for s in snapshot.standings if s.allocation.name == name)


@pytest.mark.parametrize(
    ("grant", "hard", "enforced", "used", "expected"),
    [
        pytest.param(8, 0, 0, 0, 8, id="a promise that no quota shows yet"),
        pytest.param(0, 8, 8, 0, 8, id="a quota whose promise was lost"),
        pytest.param(8, 9, 8, 0, 9, id="a quota raised by hand"),
        pytest.param(4, 4, 8, 0, 8, id="a quota that is lowered but still enforced as before"),
        pytest.param(4, 4, 4, 6, 6, id="use beyond promise and quota"),
        pytest.param(0, 0, 0, 0, None, id="nothing"),
    ],
)
def test_the_most_of_promise_and_quota_is_charged(
    grant: int, hard: int, enforced: int, used: int, expected: int | None
) -> None:
    """A crash between two writes can make too much count as taken, never too little."""
    allocation = make_allocation(accelerators={"a100": 8}, grant={"accelerators": {"a100": grant}})
    quota = make_quota("blue", {GPU: hard}, {GPU: used}, {GPU: enforced})
    standing = standing_of(snapshot_of([*POOLS, allocation, make_namespace(), quota]))
    assert standing.charged.get(A100) == expected
    assert standing.in_use.get(A100, 0) == used


def test_namespaces_of_one_allocation_are_charged_together() -> None:
    """What one namespace holds beyond its share counts beside the shares of the others."""
    objects = [
        make_allocation(accelerators={"a100": 8}, grant={"accelerators": {"a100": 8}}),
        *make_held("train", {GPU: 6}, {GPU: 7}, owner="blue"),
        *make_held("serve", {GPU: 2}, {GPU: 1}, owner="blue"),
    ]
    standing = standing_of(snapshot_of([*POOLS, *objects]))
    assert standing.charged == {A100: 9}
    assert standing.in_use == {A100: 8}
    assert standing.used_in == {"train": {A100: 7}, "serve": {A100: 1}}


def test_what_no_quota_counts_is_not_in_use() -> None:
    """A new quota has no figures yet."""
    standing = standing_of(snapshot_of([*POOLS, make_allocation(), make_namespace(), make_quota("blue", {GPU: 8})]))
    assert standing.charged == {A100: 8}
    assert (standing.in_use, standing.used_in) == ({}, {})


def test_a_namespace_belongs_by_uid_not_by_name() -> None:
    """An allocation that was deleted and made anew is not charged for, and has no claim to, what the old one held."""
    namespace = make_namespace("blue")
    namespace["metadata"]["annotations"]["bitgoeul.dev/allocation-uid"] = "uid-of-the-old-blue"
    quota = make_quota("blue", {GPU: 8}, {GPU: 8})
    snapshot = snapshot_of([*POOLS, make_allocation(accelerators={"a100": 8}), namespace, quota])
    assert standing_of(snapshot).charged == {}
    assert snapshot.retained == {A100: 8}


def test_a_quota_without_its_namespace_holds_nothing() -> None:
    """A namespace goes last: its quota's deletion is on the way."""
    snapshot = snapshot_of([*POOLS, make_allocation(), make_quota("blue", {GPU: 8})])
    assert standing_of(snapshot).charged == {}
    assert snapshot.retained == {}


def test_a_namespace_that_lost_its_annotation_is_still_accounted_for() -> None:
    """Nobody owns it, and yet what it holds is not free."""
    objects = make_held("blue", {GPU: 4}, owner="")
    snapshot = snapshot_of([*POOLS, make_allocation("red"), *objects])
    assert snapshot.retained == {A100: 4}


def test_a_limit_of_no_pool_is_not_accounted_for() -> None:
    """The quota may name resources of pools that are gone."""
    snapshot = snapshot_of([*POOLS, make_allocation(), *make_held("blue", {"furiosa.ai/npu": 4})])
    assert standing_of(snapshot).charged == {}


# -- restoreFrom

KEPT = make_held("dead", {"lustre": "0"}, {"lustre": "10Ti"}, retained=True)
HEIR: dict[str, Any] = {"restoreFrom": "uid-dead", "namespaces": [{"name": "dead"}]}


def test_kept_data_is_charged_to_its_pool() -> None:
    """Without an heir it is retained."""
    assert snapshot_of([*POOLS, *KEPT]).retained == {LUSTRE: 10 * TI}


def test_an_heir_inherits_what_is_kept() -> None:
    """Before it is promised anything, the data is both retained and known to need no new room."""
    snapshot = snapshot_of([*POOLS, *KEPT, make_allocation("heir", storage={"lustre": "15Ti"}, **HEIR)])
    standing = standing_of(snapshot, "heir")
    assert (standing.inherits, standing.charged) == ({LUSTRE: 10 * TI}, {})
    assert standing.left_in == {"dead": {LUSTRE: 10 * TI}}
    assert snapshot.retained == {LUSTRE: 10 * TI}


def test_a_promised_heir_covers_what_is_kept() -> None:
    """Between the promise and the handing over of the namespace the data counts once."""
    heir = make_allocation("heir", storage={"lustre": "15Ti"}, grant={"storage": {"lustre": "15Ti"}}, **HEIR)
    snapshot = snapshot_of([*POOLS, *KEPT, heir])
    standing = standing_of(snapshot, "heir")
    assert (standing.inherits, standing.charged) == ({}, {LUSTRE: 15 * TI})
    assert snapshot.retained == {}


def test_an_heir_that_has_taken_over_holds_the_data_itself() -> None:
    """After the handing over nothing is retained, and nothing counts twice."""
    heir = make_allocation("heir", storage={"lustre": "15Ti"}, grant={"storage": {"lustre": "15Ti"}}, **HEIR)
    snapshot = snapshot_of([*POOLS, heir, *make_held("dead", {"lustre": "15Ti"}, {"lustre": "10Ti"}, owner="heir")])
    assert standing_of(snapshot, "heir").charged == {LUSTRE: 15 * TI}
    assert snapshot.retained == {}


def test_what_the_heir_does_not_name_stays_retained() -> None:
    """Of two kept namespaces one is taken over; the other's data goes on being charged to the pool."""
    other = make_held("dead-2", {"lustre": "0"}, {"lustre": "7Ti"}, owner="dead", retained=True)
    heir = make_allocation("heir", storage={"lustre": "15Ti"}, grant={"storage": {"lustre": "15Ti"}}, **HEIR)
    snapshot = snapshot_of([*POOLS, *KEPT, *other, heir])
    assert snapshot.retained == {LUSTRE: 7 * TI}


def test_a_promise_of_something_else_covers_nothing() -> None:
    """An heir that holds devices only, by whatever accident, does not make the kept data vanish from the account."""
    heir = make_allocation("heir", storage={"lustre": "15Ti"}, grant={"accelerators": {"a100": 1}}, **HEIR)
    snapshot = snapshot_of([*POOLS, *KEPT, heir])
    assert snapshot.retained == {LUSTRE: 10 * TI}
    assert standing_of(snapshot, "heir").inherits == {LUSTRE: 10 * TI}


def test_a_promise_of_less_covers_only_that() -> None:
    """The rest is still to be inherited, and still retained."""
    heir = make_allocation("heir", storage={"lustre": "15Ti"}, grant={"storage": {"lustre": "4Ti"}}, **HEIR)
    snapshot = snapshot_of([*POOLS, *KEPT, heir])
    assert standing_of(snapshot, "heir").inherits == {LUSTRE: 6 * TI}
    assert snapshot.retained == {LUSTRE: 6 * TI}


@pytest.mark.parametrize(
    ("grant", "retained"),
    [
        pytest.param("17Ti", {}, id="a promise of both covers both"),
        pytest.param("12Ti", {LUSTRE: 5 * TI}, id="what the first namespace holds is not there for the second"),
    ],
)
def test_what_was_taken_over_first_is_not_covered_twice(grant: str, retained: Any) -> None:
    """Of two kept namespaces one has changed hands: only what the promise leaves covers the other."""
    first = make_held("first", {"lustre": "10Ti"}, owner="heir")
    spec: dict[str, Any] = {"restoreFrom": "uid-dead", "namespaces": [{"name": "first", "storage": {"lustre": "10Ti"}}]}
    spec["namespaces"] += [{"name": "second", "storage": {"lustre": "7Ti"}}]
    second = make_held("second", {"lustre": "0"}, {"lustre": "7Ti"}, owner="dead", retained=True)
    heir = make_allocation("heir", storage={"lustre": "17Ti"}, grant={"storage": {"lustre": grant}}, **spec)
    assert snapshot_of([*POOLS, *first, *second, heir]).retained == retained


def test_of_two_heirs_the_older_inherits() -> None:
    """Data is inherited once."""
    heirs = [make_allocation(n, storage={"lustre": "15Ti"}, created=c, **HEIR) for n, c in (("new", 2), ("old", 1))]
    snapshot = snapshot_of([*POOLS, *KEPT, *heirs])
    assert standing_of(snapshot, "old").inherits == {LUSTRE: 10 * TI}
    assert standing_of(snapshot, "new").inherits == {}
    assert snapshot.claimants == {"dead": "uid-old"}


@pytest.mark.parametrize(
    ("kept", "heir"),
    [
        pytest.param(KEPT, {"deleting": True}, id="an heir that is being deleted"),
        pytest.param(
            make_held("dead", {"lustre": "0"}, {"lustre": "10Ti"}), {}, id="a namespace not yet labelled as retained"
        ),
        pytest.param(KEPT, {"restoreFrom": "uid-other"}, id="another UID"),
        pytest.param(KEPT, {"namespaces": [{"name": "elsewhere"}]}, id="another namespace"),
        pytest.param(
            make_held("dead", {"lustre": "0"}, {"lustre": "10Ti"}, owner="", retained=True),
            {"restoreFrom": ""},
            id="a namespace of nobody, by no UID at all",
        ),
    ],
)
def test_nothing_is_inherited_without_right(kept: list[Manifest], heir: dict[str, Any]) -> None:
    """The data stays where it is, and stays charged."""
    snapshot = snapshot_of([*POOLS, *kept, make_allocation("heir", storage={"lustre": "15Ti"}, **(HEIR | heir))])
    assert standing_of(snapshot, "heir").inherits == {}
    assert snapshot.retained == {LUSTRE: 10 * TI}


def test_devices_still_held_in_a_kept_namespace_are_inherited_up_to_its_share() -> None:
    """Pods of the dead take devices until they are gone; what the share does not hold stays retained."""
    kept = make_held("dead", {GPU: 0}, {GPU: 4}, retained=True)
    shares = [{"name": "dead", "accelerators": {"a100": 1}}, {"name": "new", "accelerators": {"a100": 7}}]
    heir = make_allocation("heir", {"a100": 8}, **(HEIR | {"namespaces": shares}))
    shareless = make_allocation("heir", {"a100": 8}, **(HEIR | {"namespaces": [{"name": "new"}, {"name": "dead"}]}))
    promised = heir | {"status": {"grant": {"accelerators": {"a100": 8}}}}
    assert standing_of(snapshot_of([*POOLS, *kept, heir]), "heir").inherits == {A100: 1}
    assert standing_of(snapshot_of([*POOLS, *kept, shareless]), "heir").inherits == {}
    assert snapshot_of([*POOLS, *kept, promised]).retained == {A100: 3}


# -- namespaces

TRAIN: dict[str, Any] = {"namespaces": [{"name": "train"}]}


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        pytest.param([], "uid-old", id="nobody has it: the older"),
        pytest.param([make_namespace("train", "new")], "uid-new", id="its present owner"),
        pytest.param([make_namespace("train", "gone")], "uid-gone", id="its owner, even if that is gone"),
        pytest.param([make_namespace("train", "")], "uid-old", id="somebody foreign has it: no matter"),
        pytest.param(
            [make_namespace("train", "new", retained=True)], "uid-new", id="its owner, though it was given up"
        ),
    ],
)
def test_a_namespace_may_be_had_by_its_owner_or_else_the_oldest(namespace: list[Manifest], expected: str) -> None:
    """Two allocations that want one namespace do not fight about it."""
    objects = [make_allocation("new", created=2, **TRAIN), make_allocation("old", created=1, **TRAIN)]
    assert snapshot_of([*objects, *namespace]).claimants == {"train": expected}


def test_a_kept_namespace_is_for_its_heir_whoever_else_asks_for_the_name() -> None:
    """An older allocation that merely has the name cannot keep the heir from its data."""
    objects = [make_allocation("dead", created=1), make_allocation("heir", created=2, **HEIR)]
    objects[0]["metadata"]["uid"] = "uid-of-the-new-dead"
    assert snapshot_of([*objects, *KEPT]).claimants == {"dead": "uid-heir"}


# -- which pool a limit means

TWO_POOLS = [make_accelerator_pool("a100", created=1), make_accelerator_pool("h100", created=2)]


@pytest.mark.parametrize(
    ("labels", "grant", "ask", "expected"),
    [
        pytest.param(["h100"], {}, {}, H100, id="the label says it"),
        pytest.param(["h100"], {"a100": 1}, {"a100": 1}, H100, id="the label says it, whatever was granted"),
        pytest.param([], {"h100": 1}, {"a100": 1}, H100, id="without label: what is granted"),
        pytest.param([], {}, {"h100": 1}, H100, id="without grant: what is asked for there"),
        pytest.param([], {}, {}, A100, id="without any trace: the oldest pool"),
        pytest.param(["a100", "h100"], {"h100": 1}, {"a100": 1}, H100, id="with two labels: what is granted"),
        pytest.param(["a100", "h100"], {"a100": 1, "h100": 1}, {"h100": 1}, H100, id="with two of both: what is asked"),
    ],
)
def test_the_pool_behind_a_shared_resource_name_is_found(
    labels: list[str], grant: dict[str, int], ask: dict[str, int], expected: Any
) -> None:
    """A100 and H100 are both nvidia.com/gpu to a quota."""
    allocation = make_allocation("blue", ask, grant={"accelerators": grant})
    snapshot = snapshot_of([*TWO_POOLS, allocation, *make_held("blue", {GPU: 5}, pools=labels)])
    held = {pool: amount for pool, amount in standing_of(snapshot).charged.items() if amount == 5}
    assert held == {expected: 5}


def test_two_namespaces_tell_two_pools_of_one_resource_apart_without_labels() -> None:
    """Each namespace's share says which pool is meant there, when labels were lost and both pools are granted."""
    shares = [{"name": "train", "accelerators": {"a100": 6}}, {"name": "serve", "accelerators": {"h100": 2}}]
    grant = {"accelerators": {"a100": 6, "h100": 2}}
    allocation = make_allocation("blue", {"a100": 6, "h100": 2}, namespaces=shares, grant=grant)
    held = [*make_held("train", {GPU: 6}, owner="blue"), *make_held("serve", {GPU: 2}, owner="blue")]
    assert standing_of(snapshot_of([*TWO_POOLS, allocation, *held])).charged == {A100: 6, H100: 2}


def test_devices_left_by_the_dead_are_found_by_their_label() -> None:
    """There is no owner to ask."""
    held = make_held("dead", {GPU: 3}, retained=True, pools=["h100"])
    assert snapshot_of([*TWO_POOLS, *held]).retained == {H100: 3}


def test_a_class_of_two_storage_pools_is_charged_to_the_older() -> None:
    """The younger one grants nothing, so it holds nothing."""
    pools = [make_storage_pool(name, created=age, storageClassName="nvme") for age, name in enumerate(("old", "new"))]
    snapshot = snapshot_of([*pools, make_allocation(), *make_held("blue", {"nvme": "1Ti"})])
    assert standing_of(snapshot).charged == {storage("old"): TI}


# -- the closed world


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        pytest.param([], 0, id="no quota at all"),
        pytest.param([make_quota("a", {GPU: 0, "lustre": "0"})], 0, id="a quota that names it"),
        pytest.param([make_quota("a", {"lustre": "0"})], 1, id="a quota that does not"),
        pytest.param([make_quota("a", {GPU: 0}, {}, {"lustre": "0"})], 1, id="one that asks but is not enforced yet"),
        pytest.param([make_quota("a", {GPU: 0, "lustre": "0"}, {}, {})], 0, id="a new one, which nobody can use yet"),
        pytest.param([make_quota(name, {}, {}, {"lustre": "0"}) for name in ("a", "b")], 2, id="two that do not"),
    ],
)
def test_quotas_that_do_not_name_a_pool_are_counted(quotas: list[Manifest], expected: int) -> None:
    """What a quota does not name is not limited, so a pool grants nothing before all name it."""
    assert snapshot_of([*POOLS, *quotas]).pools[A100].unnamed_in == expected
