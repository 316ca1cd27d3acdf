"""The one word for people, and the conditions for programs, at each turn of an allocation's life."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.desired.allocation_status import Progress, news
from tests.unit.builders import NOW, Manifest
from tests.unit.lives import LIVES, ahead, holding, recorded, status_of


def said(status: Manifest) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


@pytest.mark.parametrize(
    ("objects", "progress", "phase"), [pytest.param(*life, id=name) for name, life in LIVES.items()]
)
def test_each_turn_of_life_has_its_phase(objects: list[Manifest], progress: Progress, phase: str) -> None:
    """And one of Ready, Reconciling and Stalled tells programs the same."""
    status = status_of(objects, progress)
    assert status["phase"] == phase
    conditions = said(status)
    holds = phase in ("Active", "Expiring") and progress.ready
    assert conditions["Ready"][0] == str(holds)
    assert conditions["Stalled"][0] == str(phase == "Refused")
    assert conditions["Reconciling"][0] == str(phase in ("Pending", "Waiting"))


def test_the_window_stands_in_absolute_times() -> None:
    """With what follows the end; what does not come is left out."""
    window = {"end": ahead(48)}
    kept = status_of(holding(recorded(-1, 48), window=window, expiry={"grace": "2h"}))
    assert kept["window"] == {"start": ahead(-1), "end": ahead(48), "drainAt": ahead(50)}
    gone = {"grace": "0s", "workload": "Keep", "deletionPolicy": "Delete", "retention": "10h"}
    deleted = status_of(holding(recorded(-1, 48), window=window, expiry=gone))
    assert deleted["window"] == {"start": ahead(-1), "end": ahead(48), "dataDeleteAt": ahead(58)}
    assert "end" not in status_of(holding(recorded(-1)))["window"]


def test_a_suspension_that_is_over_is_told() -> None:
    """The condition stays, as False, so that a wait for it ends."""
    record = recorded(-1, suspended=True, admitted=True)
    assert said(status_of(holding(record)))["Suspended"] == ("False", "NotSuspended")
    assert "Suspended" not in said(status_of(holding({"window": {"start": ahead(-1)}})))


def test_each_notice_is_news() -> None:
    """The phase is the same as before, the notice is another one."""
    window, notices = {"end": ahead(10)}, ["24h", "12h"]
    record = recorded(-100, 10)
    first = status_of(holding(record, window=window, expiry={"notice": notices[:1]}))
    second = status_of(holding(record, window=window, expiry={"notice": notices}))
    told = news(first, second)
    assert told is not None
    assert told[0] == "NoticeGiven"
    assert news(second, second) is None


FAILED = Progress(reason=Reason.APPLY_FAILED, message="another policy says no")


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        pytest.param(Progress(), None, id="being provisioned is not news"),
        pytest.param(FAILED, ("ApplyFailed", FAILED.message, True), id="what has failed for a minute is"),
        pytest.param(replace(FAILED, failed=True), ("ApplyFailed", FAILED.message, True), id="what fails for good is"),
        pytest.param(
            Progress(reason=Reason.POLICY_NOT_EFFECTIVE, message="not yet"), None, id="a policy that is new is not"
        ),
        pytest.param(
            Progress(reason=Reason.POLICY_NOT_EFFECTIVE, message="refused", failed=True),
            ("PolicyNotEffective", "refused", True),
            id="a trial pod that is refused is",
        ),
    ],
)
def test_what_keeps_one_from_being_provisioned_is_news(progress: Progress, told: tuple[str, str, bool] | None) -> None:
    """As a warning, once, although the phase is Pending before and after."""
    granted = holding(recorded(-1))
    before, after = status_of(granted, Progress(reason=Reason.QUOTA_NOT_ENFORCED)), status_of(granted, progress)
    assert news(before, after) == told
    assert news(after, after) is None


def test_ready_says_that_members_can_work_whatever_else_does_not_stand() -> None:
    """What does not stand is said where it belongs."""
    unkept = Progress(
        ready=True, provisioned=False, reason=Reason.APPLY_FAILED, message="a label stays", namespaces={"blue": True}
    )
    said_of = {one["type"]: one for one in status_of(holding(recorded(-1)), unkept)["conditions"]}
    assert (said_of["Ready"]["status"], said_of["Ready"]["reason"]) == ("True", "Enforced")
    assert said_of["Ready"]["message"] == (
        "quota enforced and access given in 1 namespace; what does not stand is in condition Provisioned"
    )
    assert (said_of["Provisioned"]["reason"], said_of["Provisioned"]["message"]) == ("ApplyFailed", "a label stays")


def test_namespaces_are_ready_as_long_as_members_have_access() -> None:
    """A pass that fails takes it from nobody; a deletion begins with it. The column says the same as the rows."""
    objects = holding(recorded(-1))
    objects[0]["status"]["namespaces"] = [{"name": "blue", "ready": True}]
    failed = status_of(objects, Progress(reason=Reason.APPLY_FAILED))
    assert (failed["namespaces"], failed["summary"]["namespaces"]) == ([{"name": "blue", "ready": True}], "1/1")
    objects[0]["metadata"]["deletionTimestamp"] = NOW.isoformat()
    leaving = status_of(objects, Progress(reason=Reason.DRAINING, message="2 pods left", draining=True))
    assert (leaving["namespaces"], leaving["summary"]["namespaces"]) == ([{"name": "blue", "ready": False}], "0/1")
