"""What is read out of a TenantAllocation: ask, shares, claims, and what its status remembers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitgoeul.planning.allocations import Share, at_least, read_allocation, total
from bitgoeul.planning.pools import accelerator, storage
from tests.unit.builders import START, Manifest, make_allocation, make_claim, make_queue

A100, NPU, LUSTRE = accelerator("a100"), accelerator("npu"), storage("lustre")
TI = 2**40


def test_an_allocation_is_read_with_all_that_planning_needs() -> None:
    """Ask, priority, age and owner come from spec and metadata."""
    allocation = read_allocation(make_allocation("blue", {"a100": 8}, {"lustre": "50Ti"}, created=3, priority=7))
    assert (allocation.name, allocation.uid, allocation.generation) == ("blue", "uid-blue", 1)
    assert allocation.organization == "blue (example)"
    assert allocation.priority == 7
    assert (allocation.created - START).total_seconds() == 180
    assert allocation.ask == {A100: 8, LUSTRE: 50 * TI}
    assert allocation.guarded
    assert not allocation.deleting
    assert not allocation.problem


def test_an_allocation_without_finalizer_is_not_guarded() -> None:
    """Nothing may be promised before a deletion can be noticed."""
    obj = make_allocation(deleting=True)
    del obj["metadata"]["finalizers"]
    assert not read_allocation(obj).guarded
    assert read_allocation(obj).deleting


def test_sizes_are_read_to_the_byte() -> None:
    """One byte over 10.7 PB is more than 10.7 PB."""
    allocation = read_allocation(make_allocation(storage={"lustre": "10700000000000001"}))
    assert allocation.ask == {LUSTRE: 10_700_000_000_000_001}


def test_asks_stand_in_the_order_of_the_pools() -> None:
    """Of several pools at fault the first is named, however the spec lists them."""
    ask = read_allocation(make_allocation(accelerators={"npu": 1, "a100": 1}, storage={"lustre": "1Ti"})).ask
    assert [*ask] == [A100, NPU, LUSTRE]


@pytest.mark.parametrize(
    ("namespaces", "expected"),
    [
        pytest.param(
            [], (Share("blue", {A100: 8, LUSTRE: 50 * TI}),), id="without namespaces the one of its name has all"
        ),
        pytest.param(
            [{"name": "train"}],
            (Share("train", {A100: 8, LUSTRE: 50 * TI}),),
            id="a pool that nobody mentions goes to the first",
        ),
        pytest.param(
            [{"name": "train"}, {"name": "serve"}],
            (Share("train", {A100: 8, LUSTRE: 50 * TI}), Share("serve", {})),
            id="of two, too",
        ),
        pytest.param(
            [{"name": "train", "accelerators": {"a100": 6}}, {"name": "serve", "accelerators": {"a100": 2}}],
            (Share("train", {A100: 6, LUSTRE: 50 * TI}), Share("serve", {A100: 2})),
            id="shares are as stated",
        ),
        pytest.param(
            [{"name": "train"}, {"name": "serve", "accelerators": {"a100": 2}}],
            (Share("train", {LUSTRE: 50 * TI}), Share("serve", {A100: 2})),
            id="an omitted share is 0 once anybody mentions the pool, and the rest is unassigned",
        ),
        pytest.param(
            [{"name": "train"}, {"name": "serve", "storage": {"lustre": "0"}}],
            (Share("train", {A100: 8}), Share("serve", {LUSTRE: 0})),
            id="a share of 0 is a mention",
        ),
    ],
)
def test_the_ask_is_divided_among_the_namespaces(namespaces: list[Manifest], expected: tuple[Share, ...]) -> None:
    """Shares say who gets what; what is left over belongs to no namespace."""
    spec: dict[str, Any] = {"namespaces": namespaces} if namespaces else {}
    assert read_allocation(make_allocation("blue", {"a100": 8}, {"lustre": "50Ti"}, **spec)).shares == expected


def test_claims_are_added_up_in_their_namespaces() -> None:
    """A claim without namespace goes to the first one."""
    claims = {"lustre": [make_claim("a", "1Ti"), make_claim("b", "2Ti", "train"), make_claim("c", "4Ti", "serve")]}
    spec: dict[str, Any] = {"namespaces": [{"name": "train"}, {"name": "serve"}]}
    allocation = read_allocation(make_allocation(storage={"lustre": "50Ti"}, claims=claims, **spec))
    assert allocation.claimed == (Share("serve", {LUSTRE: 4 * TI}), Share("train", {LUSTRE: 3 * TI}))


def test_claims_without_namespaces_go_to_the_one_of_the_name() -> None:
    """An allocation without namespaces has one of its own name."""
    allocation = read_allocation(
        make_allocation(storage={"lustre": "2Ti"}, claims={"lustre": [make_claim("a", "1Ti")]})
    )
    assert allocation.claimed == (Share("blue", {LUSTRE: TI}),)


def test_the_status_remembers_the_grant_and_the_wait() -> None:
    """What was promised, since when it waits, and what it asked for then."""
    grant: dict[str, Any] = {"accelerators": {"a100": 4}, "storage": {"lustre": "10Ti"}}
    allocation = read_allocation(make_allocation(grant=grant, queue=make_queue(7, {"a100": 8}, lustre="20Ti")))
    assert allocation.granted == {A100: 4, LUSTRE: 10 * TI}
    assert allocation.queued_since is not None
    assert (allocation.queued_since - START).total_seconds() == 420
    assert allocation.queued_ask == {A100: 8, LUSTRE: 20 * TI}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        pytest.param(lambda obj: obj.pop("spec"), "spec: Input should be", id="no spec"),
        pytest.param(lambda obj: obj["spec"].pop("organization"), "spec.organization: Field required", id="a gap"),
        pytest.param(
            lambda obj: obj["spec"].update(accelerators=[{"pool": "a100", "devices": 0}]),
            "spec.accelerators.0.devices: Input should be greater than or equal to 1",
            id="no devices",
        ),
        pytest.param(
            lambda obj: obj["spec"]["organization"].update({"class": "Hyperscaler"}),
            "spec.organization.class: Input should be 'Startup'",
            id="a choice of a newer version",
        ),
        pytest.param(
            lambda obj: obj["spec"].update(storage=[{"pool": "lustre", "size": "plenty"}]),
            "not a quantity: 'plenty'",
            id="a size that is a word",
        ),
        pytest.param(
            lambda obj: obj["spec"].update(storage=[{"pool": "lustre", "size": "-1Ti"}]),
            "less than nothing: '-1Ti'",
            id="a size below nothing",
        ),
        pytest.param(
            lambda obj: obj["spec"].update(namespaces=[{"name": "train", "storage": {"lustre": "-1Ti"}}]),
            "less than nothing: '-1Ti'",
            id="a share below nothing, which would let others have more",
        ),
        pytest.param(
            lambda obj: obj["spec"].update(
                storage=[{"pool": "lustre", "size": "1Ti", "claims": [make_claim("data", "much")]}]
            ),
            "not a quantity: 'much'",
            id="a claim that is a word",
        ),
    ],
)
def test_a_spec_that_cannot_be_read_asks_for_nothing_and_says_why(
    spoil: Callable[[Manifest], Any], problem: str
) -> None:
    """It keeps its name and its promise, and is refused by name."""
    obj = make_allocation("blue", {"a100": 8}, grant={"accelerators": {"a100": 8}}, created=2)
    spoil(obj)
    allocation = read_allocation(obj)
    assert allocation.problem.startswith(problem)
    assert (allocation.name, allocation.uid, allocation.guarded) == ("blue", "uid-blue", True)
    assert (allocation.spec, allocation.ask, allocation.shares, allocation.claimed) == (None, {}, (), ())
    assert (allocation.organization, allocation.restore_from) == ("", "")
    assert allocation.granted == {A100: 8}


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(None, id="null"),
        pytest.param({"grant": "everything", "queue": "first"}, id="words"),
        pytest.param({"grant": {"storage": {"lustre": "much"}}, "queue": {"position": 0}}, id="values out of range"),
        pytest.param({"grant": {"accelerators": {"a100": -8}}}, id="a grant below nothing"),
        pytest.param({"grant": {"storage": {"lustre": "-1Ti"}}}, id="storage below nothing"),
        pytest.param({"queue": make_queue(0) | {"since": "yesterday"}}, id="a date that is a word"),
        pytest.param({"queue": make_queue(0, None, lustre="much")}, id="an ask that is a word"),
    ],
)
def test_a_status_that_cannot_be_read_counts_as_absent(status: Any) -> None:
    """A status can be rebuilt; the spec goes on being served."""
    allocation = read_allocation(make_allocation(accelerators={"a100": 8}) | {"status": status})
    assert not allocation.problem
    assert allocation.ask == {A100: 8}
    assert allocation.granted == {}
    assert (allocation.queued_since, allocation.queued_ask) == (None, {})


def test_one_unreadable_part_of_the_status_leaves_the_others() -> None:
    """A queue that somebody has spoilt takes no grant away."""
    allocation = read_allocation(make_allocation(grant={"accelerators": {"a100": 8}}, queue={"since": "yesterday"}))
    assert allocation.granted == {A100: 8}
    assert allocation.queued_since is None


def test_a_time_without_zone_counts_as_absent() -> None:
    """Times without zone cannot be compared with others: one such status would stop the plan for everybody."""
    queue = make_queue(0) | {"since": "2021-04-15T00:00:00"}
    assert read_allocation(make_allocation(queue=queue)).queued_since is None


def test_metadata_that_cannot_be_read_keeps_the_name() -> None:
    """Whatever is odd in the metadata, the refusal must reach the right object."""
    obj = make_allocation()
    obj["metadata"]["creationTimestamp"] = "long ago"
    allocation = read_allocation(obj)
    assert (allocation.name, allocation.uid) == ("blue", "uid-blue")


def test_amounts_are_added_pool_by_pool() -> None:
    """Devices and bytes are never mixed: a pool is told by its kind and name."""
    same_name = storage("a100")
    assert total([{A100: 1}, {A100: 2, same_name: 5}, {}]) == {A100: 3, same_name: 5}
    assert total([]) == {}


def test_the_larger_amount_is_taken_pool_by_pool() -> None:
    """Nothing is left out but zeros."""
    assert at_least({A100: 1, NPU: 5, LUSTRE: 0}, {A100: 2, NPU: 3, LUSTRE: 0}) == {A100: 2, NPU: 5}
    assert at_least({}, {A100: 1}) == {A100: 1}
