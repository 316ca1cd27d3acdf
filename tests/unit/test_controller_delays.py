"""What lasts moments as a rule is told once when it has lasted a minute."""

from __future__ import annotations

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.controller.delays import MOMENTARY, Delays
from bitgoeul.desired.allocation_status import Progress
from tests.unit.builders import NOW, Manifest
from tests.unit.clocks import Clock
from tests.unit.lives import holding, recorded, status_of

WEBHOOK = 'failed calling webhook "x.example.org": service "x" not found'


@pytest.fixture
def delays(clock: Clock) -> Delays:
    return Delays(clock)


def held_up(reason: Reason, message: str = WEBHOOK, *, failed: bool = False) -> Manifest:
    """The status of one that is promised and cannot be used yet."""
    return status_of(holding(recorded(-1)), Progress(reason=reason, message=message, failed=failed))


def leaving(message: str) -> Manifest:
    """The status of one on its way out."""
    objects = holding(recorded(-1))
    objects[0]["metadata"]["deletionTimestamp"] = NOW.isoformat()
    return status_of(objects, Progress(reason=Reason.DRAINING, message=message, draining=True))


@pytest.mark.parametrize("reason", sorted(MOMENTARY - {Reason.DELETING}))
def test_what_has_lasted_a_minute_is_told_once(delays: Delays, clock: Clock, reason: Reason) -> None:
    """As a warning; the ordinary start of a new pool takes seconds, and is not told."""
    status = held_up(reason)
    assert delays.news("blue", status) is None
    clock.now += 59
    assert delays.news("blue", status) is None
    clock.now += 1
    assert delays.news("blue", status) == (reason, WEBHOOK, True)
    clock.now += 600
    assert delays.news("blue", status) is None


def test_a_deletion_that_hangs_is_told(delays: Delays, clock: Clock) -> None:
    """With what holds it at that moment."""
    assert delays.news("blue", leaving("2 pods left")) is None
    clock.now += 60
    assert delays.news("blue", leaving("namespace blue is being deleted")) == (
        "Deleting", "namespace blue is being deleted", True,
    )  # fmt: skip


def test_what_was_over_in_between_begins_anew(delays: Delays, clock: Clock) -> None:
    """So does what is held up by something else, and by an allocation of the same name."""
    policy, quota = held_up(Reason.POLICY_NOT_EFFECTIVE), held_up(Reason.QUOTA_NOT_ENFORCED)
    active = status_of(holding(recorded(-1)), Progress(ready=True, namespaces={"blue": True}))
    for between in (active, quota):
        assert delays.news("blue", policy) is None
        clock.now += 59
        assert delays.news("blue", between) is None
        clock.now += 1
    assert delays.news("blue", policy) is None
    clock.now += 59
    delays.forget("blue")
    clock.now += 1
    assert delays.news("blue", policy) is None


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(held_up(Reason.POLICY_NOT_EFFECTIVE, failed=True), id="stalled, which is told at once"),
        pytest.param(held_up(Reason.APPLY_FAILED), id="refused, which is told at once"),
        pytest.param(held_up(Reason.PROVISIONING), id="being made"),
    ],
)
def test_the_rest_is_no_delay(delays: Delays, clock: Clock, status: Manifest) -> None:
    """Nothing is told twice."""
    assert delays.news("blue", status) is None
    clock.now += 600
    assert delays.news("blue", status) is None
