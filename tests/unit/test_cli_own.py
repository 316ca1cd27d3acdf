"""One allocation as its own status tells of it: what is shown to a tenant, and to a platform engineer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.cli.own import Own, find_own
from bitgoeul.errors import NotReadyError
from tests.unit.builders import Manifest, make_allocation

ON_HOLD = {"type": "Ready", "status": "False", "reason": "PoolOnHold", "message": "a100 is on hold"}
SHORT = {
    "since": "2021-04-14T16:00:00Z",
    "blockedBy": [{"pool": "a100", "devices": 6}, {"pool": "disk", "size": "5Ti"}],
}
SUSPENDED = {"type": "Ready", "status": "False", "reason": "Suspended"}


def waits(reason: str = Reason.WAITING_FOR_CAPACITY, **queue: Any) -> Manifest:
    """A status of one that waits."""
    conditions = [{"type": "Reconciling", "status": "True", "reason": reason, "message": "needs 8"}]
    return {"phase": "Waiting", "queue": {**SHORT, **queue}, "conditions": conditions}


def own(status: Manifest, *, lists: bool = True, **spec: Any) -> Own:
    obj = make_allocation("blue", {"a100": 8}, **spec)
    obj["status"] = {"observedGeneration": obj["metadata"]["generation"], **status}
    return find_own(obj, timedelta(), lists=lists)


@pytest.mark.parametrize(
    ("status", "turn", "engineer", "tenant"),
    [
        pytest.param(
            waits(earliestStart="2021-06-30T15:00:00Z"),
            *("nobody", "bitgoeul why blue", "kubectl get ta blue --watch"),
            id="who waits with a date waits",
        ),
        pytest.param(
            waits(),
            *("platform engineer", "bitgoeul why blue", "kubectl get ta blue --watch"),
            id="without a date somebody has to act",
        ),
        pytest.param(
            {"phase": "Pending", "conditions": [ON_HOLD]},
            *("platform engineer", "bitgoeul why blue", "kubectl get ta blue --watch"),
            id="the pool on hold is not guessed",
        ),
        pytest.param(
            {"phase": "Expiring", "conditions": [{"type": "Expiring", "status": "True", "reason": "NoticeGiven"}]},
            *("tenant", "kubectl get pods -n blue", "kubectl get pods -n blue"),
            id="what is the tenant's to do is the same for both",
        ),
    ],
)
def test_the_next_command_is_one_that_the_reader_may_run(
    status: Manifest, turn: str, engineer: str, tenant: str
) -> None:
    """A tenant may not list, and changes nothing of an allocation."""
    assert (own(status).advice.turn, own(status).command) == (turn, engineer)
    assert own(status, lists=False).command == tenant


def test_a_tenant_is_not_told_to_change_its_allocation() -> None:
    """That is a platform engineer's."""
    status = {"phase": "Suspended", "conditions": [SUSPENDED]}
    assert own(status).command.startswith("kubectl patch ta blue")
    assert own(status, lists=False).command == "kubectl get ta blue --watch"


def test_what_is_short_is_named_with_all_pools() -> None:
    """Devices and storage, by the status alone."""
    lines = own(waits()).as_lines(wide=False)
    assert "  Short now       6 of a100, 5Ti of disk" in lines
    assert "  Earliest start  none is known" in lines


def test_wide_shows_each_condition_with_its_time_and_message() -> None:
    """One line each."""
    condition = {**ON_HOLD, "lastTransitionTime": "2021-04-14T16:00:00Z"}
    lines = own({"phase": "Pending", "conditions": [condition, SUSPENDED]}).as_lines(wide=True)
    assert "  Conditions  Ready no since 2021-04-14 16:00Z (PoolOnHold): a100 is on hold" in lines


def test_what_is_too_much_is_shown_with_its_end() -> None:
    """After a shrink."""
    grant = {"accelerators": {"a100": 12}}
    excess = {"excess": {"accelerators": {"a100": 4}}, "excessDrainAt": "2021-06-30T15:00:00Z"}
    lines = own({"phase": "Active", "grant": grant, **excess}).as_lines(wide=False)
    assert {"  Has       a100×12", "  Asks      a100×8", "  Too much  a100×4, evicted 2021-06-30 15:00Z"} <= set(lines)


def test_an_older_spec_and_no_status_are_told() -> None:
    """What the operator has not looked at is not passed off as new."""
    assert "of an older spec" in own({**waits(), "observedGeneration": 0}).as_lines(wide=False)[0]
    with pytest.raises(NotReadyError, match="bitgoeul doctor"):
        own({})


def test_pods_that_no_node_takes_are_told() -> None:
    """To the tenant too, who sees no other status."""
    pends = {"type": "PodsPending", "status": "True", "reason": "PodsUnschedulable", "message": "8 pods have been …"}
    found = own({"phase": "Active", "conditions": [pends]}, lists=False)
    assert found.reason == Reason.PODS_UNSCHEDULABLE
    assert any(line.split()[:2] == ["Pods", "8"] for line in found.as_lines(wide=False))
