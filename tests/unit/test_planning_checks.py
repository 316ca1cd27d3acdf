"""Refusals by what is asked for and what pools are: exact messages, precedence, and what is no refusal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bitgoeul.api.conditions import REFUSALS, Reason
from bitgoeul.planning.checks import amount_text
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import accelerator, storage
from bitgoeul.planning.snapshot import build_snapshot
from tests.unit.builders import (
    NOW,
    Manifest,
    decide,
    make_accelerator_pool,
    make_allocation,
    make_claim,
    make_namespace,
    make_node,
    make_nodes,
    make_storage_pool,
    observe,
)

TI = 2**40
A100 = accelerator("a100")
# 16 A100, 8 H100 of the same resource name, 4 NPUs, 100Ti of lustre.
CLUSTER = [
    make_accelerator_pool("a100", created=1),
    make_accelerator_pool("h100", created=2),
    make_accelerator_pool("npu", "furiosa.ai/npu", created=3),
    *make_nodes(2, "a100"),
    *make_nodes(1, "h100"),
    *make_nodes(1, "npu", devices=4, resource="furiosa.ai/npu"),
    make_storage_pool(),
]


def refuse(*objects: Manifest, name: str = "blue") -> tuple[Reason, str]:
    """Reason and message of one allocation in the cluster with these objects beside."""
    decision = decide([*CLUSTER, *objects], name)
    assert decision.reason in REFUSALS
    assert not decision.met
    assert decision.queue is None
    return decision.reason, decision.message


# -- Misconfigured


def test_an_object_that_cannot_be_read_is_misconfigured() -> None:
    """The message names the field."""
    assert refuse(make_allocation(accelerators={"a100": 0})) == (
        Reason.MISCONFIGURED,
        "the object cannot be read: spec.accelerators.0.devices: Input should be greater than or equal to 1",
    )


def shares(*entries: dict[str, Any]) -> dict[str, Any]:
    """``spec.namespaces`` with these shares, named n1, n2 and so on."""
    return {"namespaces": [{"name": f"n{number}", **entry} for number, entry in enumerate(entries, start=1)]}


@pytest.mark.parametrize(
    ("allocation", "message"),
    [
        pytest.param(
            make_allocation(
                accelerators={"a100": 8},
                **shares({"accelerators": {"a100": 6}}, {"accelerators": {"a100": 3}}),
            ),
            "shares of a100 add up to 9, more than the 8 asked for",
            id="devices",
        ),
        pytest.param(
            make_allocation(
                storage={"lustre": "50Ti"}, **shares({"storage": {"lustre": "40Ti"}}, {"storage": {"lustre": "11Ti"}})
            ),
            "shares of lustre add up to 51Ti, more than the 50Ti asked for",
            id="storage",
        ),
        pytest.param(
            make_allocation(
                storage={"lustre": "10700T"},
                **shares({"storage": {"lustre": "10699999999999999"}}, {"storage": {"lustre": "2"}}),
            ),
            "shares of lustre add up to 10700000000000001, more than the 10700T asked for",
            id="one byte too many at 10.7 PB, which floating point cannot see",
        ),
        pytest.param(
            make_allocation(accelerators={"a100": 8}, **shares({"accelerators": {"npu": 1}})),
            "shares of npu add up to 1, more than the 0 asked for",
            id="a pool that is not asked for",
        ),
    ],
)
def test_shares_beyond_the_ask_are_misconfigured(allocation: Manifest, message: str) -> None:
    """Namespaces cannot divide more than there is."""
    assert refuse(allocation) == (Reason.MISCONFIGURED, message)


def test_shares_that_are_exactly_the_ask_are_fine() -> None:
    """To the byte, beyond what floating point can see."""
    entries = ({"storage": {"lustre": "9007199254740992"}}, {"storage": {"lustre": "1"}})
    allocation = make_allocation(storage={"lustre": "9007199254740993"}, **shares(*entries))
    assert decide([make_storage_pool(capacity="10700T"), allocation]).met


@pytest.mark.parametrize(
    ("claims", "spec", "message"),
    [
        pytest.param(
            [make_claim("a", "30Ti"), make_claim("b", "21Ti")],
            {},
            "claims of lustre in namespace blue add up to 51Ti, more than the 50Ti that it has",
            id="all together",
        ),
        pytest.param(
            [make_claim("a", "11Ti", "n2")],
            shares({"storage": {"lustre": "40Ti"}}, {"storage": {"lustre": "10Ti"}}),
            "claims of lustre in namespace n2 add up to 11Ti, more than the 10Ti that it has",
            id="in one namespace, though the whole would do",
        ),
        pytest.param(
            [make_claim("a", "1", "n2")],
            shares({}, {}),
            "claims of lustre in namespace n2 add up to 1, more than the 0 that it has",
            id="in a namespace without a share",
        ),
        pytest.param(
            [make_claim("a", "1Ti", "n3")],
            shares({}, {}),
            "claims are meant for namespace n3, which spec.namespaces does not name",
            id="in a namespace of nobody",
        ),
    ],
)
def test_claims_beyond_the_share_of_their_namespace_are_misconfigured(
    claims: list[Manifest], spec: dict[str, Any], message: str
) -> None:
    """The quota would refuse such a claim for ever."""
    allocation = make_allocation(storage={"lustre": "50Ti"}, claims={"lustre": claims}, **spec)
    assert refuse(allocation) == (Reason.MISCONFIGURED, message)


def test_claims_up_to_the_share_are_fine() -> None:
    """Each in its own namespace."""
    claims = {"lustre": [make_claim("a", "40Ti"), make_claim("b", "10Ti", "n2")]}
    spec = shares({"storage": {"lustre": "40Ti"}}, {"storage": {"lustre": "10Ti"}})
    assert decide([*CLUSTER, make_allocation(storage={"lustre": "50Ti"}, claims=claims, **spec)]).met


# -- PoolNotFound


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        pytest.param({"accelerators": {"b200": 1}}, "there is no AcceleratorPool b200", id="accelerators"),
        pytest.param({"storage": {"ceph": "1Ti"}}, "there is no StoragePool ceph", id="storage"),
        pytest.param({"accelerators": {"lustre": 1}}, "there is no AcceleratorPool lustre", id="the other kind"),
        pytest.param(
            {"accelerators": {"old": 1}},
            "AcceleratorPool old is being deleted and grants nothing new",
            id="accelerators on their way out",
        ),
        pytest.param(
            {"storage": {"tape": "1Ti"}},
            "StoragePool tape is being deleted and grants nothing new",
            id="storage on its way out",
        ),
        pytest.param(
            {"storage": {"odd": "1Ti"}},
            "StoragePool odd cannot be read: not a quantity: 'plenty'; write a number with a suffix, such as 500Gi, "
            "10T or 1500m",
            id="a pool that cannot be read",
        ),
    ],
)
def test_a_pool_that_is_not_there_is_named(ask: dict[str, Any], message: str) -> None:
    """The refusal heals by itself when the pool comes."""
    beside = [
        make_accelerator_pool("old", "example.org/old", deleting=True),
        make_storage_pool("tape", deleting=True),
        make_storage_pool("odd", "plenty"),
    ]
    assert refuse(make_allocation(**ask), *beside) == (Reason.POOL_NOT_FOUND, message)


def test_a_holder_keeps_what_it_has_of_a_pool_that_is_being_deleted() -> None:
    """The pool waits for its holders; they are not refused for it."""
    pool = make_accelerator_pool("a100", deleting=True)
    holder = make_allocation(accelerators={"a100": 8}, grant={"accelerators": {"a100": 8}})
    decision = decide([pool, *make_nodes(2), holder])
    assert decision.met
    assert decision.grant == {A100: 8}


def test_a_holder_gets_nothing_more_of_a_pool_that_is_being_deleted() -> None:
    """Growth is new."""
    pool = make_accelerator_pool("a100", deleting=True)
    holder = make_allocation(accelerators={"a100": 9}, grant={"accelerators": {"a100": 8}})
    decision = decide([pool, *make_nodes(2), holder])
    assert decision.reason is Reason.POOL_NOT_FOUND
    assert decision.admitted
    assert decision.grant == {A100: 8}


# -- RoleNotAllowed


def with_roles(*roles: str, **fields: Any) -> Manifest:
    """An allocation whose one member has these ClusterRoles."""
    member = {"kind": "User", "name": "ara", "role": "edit", "clusterRoles": list(roles)}
    return make_allocation(members=[member], **fields)


def decide_allowing(allowed: Iterable[str], *objects: Manifest) -> Decision:
    """What is decided for ``blue`` where these ClusterRoles may be given."""
    observed = replace(observe([*CLUSTER, *objects]), allowed_roles=frozenset(allowed))
    return make_plan(build_snapshot(observed, NOW)).decisions["blue"]


@pytest.mark.parametrize(
    ("allowed", "named", "told"),
    [
        pytest.param((), "ray-user, secret-reader", "none", id="nothing is allowed"),
        pytest.param(("jobset", "ray-user"), "secret-reader", "jobset, ray-user", id="one of two is allowed"),
    ],
)
def test_a_role_that_is_not_allowed_is_refused(allowed: tuple[str, ...], named: str, told: str) -> None:
    """The message names it, and what is allowed, and the way out; nobody's name."""
    found = decide_allowing(allowed, with_roles("secret-reader", "ray-user", accelerators={"a100": 1}))
    assert (found.reason, found.message) == (
        Reason.ROLE_NOT_ALLOWED,
        f"not allowed for members: ClusterRole {named} (allowed: {told}); leave it out of spec.members, or allow it to "
        "the operator with --allowed-cluster-role (chart value members.allowedClusterRoles)",
    )


def test_an_allowed_role_is_no_obstacle() -> None:
    """What is asked for is granted."""
    assert decide_allowing(("ray-user",), with_roles("ray-user", accelerators={"a100": 1})).admitted


def test_a_role_is_looked_at_before_pools_and_after_the_spec_itself() -> None:
    """The first thing to put right is told first."""
    assert decide_allowing((), with_roles("ray-user", accelerators={"gone": 1})).reason is Reason.ROLE_NOT_ALLOWED
    odd = shares({"accelerators": {"a100": 9}})
    assert decide_allowing((), with_roles("ray-user", accelerators={"a100": 1}, **odd)).reason is Reason.MISCONFIGURED


# -- ExceedsPoolCapacity


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        pytest.param(
            {"accelerators": {"a100": 17}},
            "needs 17 of a100, which can never give more than 16; ask for at most that",
            id="devices",
        ),
        pytest.param(
            {"accelerators": {"spare": 7}},
            "needs 7 of spare, which can never give more than 6 (8 less the reserve); ask for at most that",
            id="devices with a reserve",
        ),
        pytest.param(
            {"accelerators": {"held-back": 1}},
            "needs 1 of held-back, which can never give more than 0 (8 less the reserve); ask for at most that",
            id="devices that are all reserve",
        ),
        pytest.param(
            {"storage": {"lustre": "101Ti"}},
            "needs 101Ti of lustre, which can never give more than 100Ti; ask for at most that",
            id="storage",
        ),
        pytest.param(
            {"storage": {"nvme": "9Ti"}},
            "needs 9Ti of nvme, which can never give more than 8Ti (10Ti less the reserve); ask for at most that",
            id="storage with a reserve",
        ),
        pytest.param(
            {"accelerators": {"a100": 8, "npu": 5}},
            "needs 5 of npu, which can never give more than 4; ask for at most that",
            id="one of two pools",
        ),
    ],
)
def test_more_than_a_pool_could_ever_give_is_refused(ask: dict[str, Any], message: str) -> None:
    """Waiting does not help: the limit is what is installed less the reserve."""
    beside = [
        make_accelerator_pool("spare", "example.org/spare", reserve=2),
        make_node("spare", "spare", 8, "example.org/spare"),
        make_accelerator_pool("held-back", "example.org/held-back", reserve=9),
        make_node("held-back", "held-back", 8, "example.org/held-back"),
        make_storage_pool("nvme", "10Ti", reserve="2Ti"),
    ]
    assert refuse(make_allocation(**ask), *beside) == (Reason.EXCEEDS_POOL_CAPACITY, message)


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param([make_node(ready=False)], id="the only node is NotReady"),
        pytest.param([make_node(cordoned=True)], id="the only node is cordoned"),
        pytest.param([make_node(healthy=0)], id="all devices are unhealthy"),
        pytest.param([make_node(devices=0)], id="no device has shown itself yet"),
        pytest.param([], id="no node matches yet"),
    ],
)
def test_what_may_come_back_makes_wait_and_is_not_refused(objects: list[Manifest]) -> None:
    """Installed devices may become healthy again, and a bare pool may still get its nodes."""
    decision = decide([make_accelerator_pool(), *objects, make_allocation(accelerators={"a100": 8})])
    assert decision.reason is Reason.WAITING_FOR_CAPACITY


def test_a_holder_of_more_than_the_pool_has_left_is_not_refused() -> None:
    """Nodes were taken out: the promise stands, the pool is overcommitted."""
    holder = make_allocation(accelerators={"a100": 8}, grant={"accelerators": {"a100": 8}})
    decision = decide([make_accelerator_pool(), make_node(devices=4), holder])
    assert decision.met
    assert decision.grant == {A100: 8}


# -- precedence


def test_refusals_are_shown_in_order_of_precedence() -> None:
    """Of several faults the first in the order of the enum is shown; mending it shows the next."""
    spec: dict[str, Any] = {"namespaces": [{"name": "taken", "accelerators": {"a100": 18}}]}
    steps: list[tuple[dict[str, int], dict[str, Any]]] = [
        ({"a100": 17, "h100": 1, "gone": 1}, spec),  # shares beyond the ask
        ({"a100": 17, "h100": 1, "gone": 1}, {"namespaces": [{"name": "taken"}]}),
        ({"a100": 17, "h100": 1}, {"namespaces": [{"name": "taken"}]}),
        ({"a100": 17, "h100": 1}, {}),
        ({"a100": 17}, {}),
    ]
    taken = make_namespace("taken", "")
    reasons = [decide([*CLUSTER, taken, make_allocation(accelerators=ask, **more)]).reason for ask, more in steps]
    assert reasons == [
        Reason.MISCONFIGURED,
        Reason.POOL_NOT_FOUND,
        Reason.NAMESPACE_CONFLICT,
        Reason.RESOURCE_NAME_COLLISION,
        Reason.EXCEEDS_POOL_CAPACITY,
    ]
    order = [*Reason]
    assert [order.index(reason) for reason in reasons] == sorted(order.index(reason) for reason in reasons)


def test_of_several_pools_at_fault_the_first_by_name_is_shown() -> None:
    """The message does not depend on how the spec lists them."""
    first = refuse(make_allocation(accelerators={"y": 1, "x": 1}))
    assert first == refuse(make_allocation(accelerators={"x": 1, "y": 1}))
    assert first == (Reason.POOL_NOT_FOUND, "there is no AcceleratorPool x")


# -- texts


def test_amounts_are_written_as_people_write_them() -> None:
    """Devices as a number, bytes as a quantity."""
    assert amount_text(A100, 1024) == "1024"
    assert amount_text(storage("lustre"), 50 * TI) == "50Ti"
