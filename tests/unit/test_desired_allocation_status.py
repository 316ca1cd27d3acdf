"""The one word for people, and the conditions for programs, at each turn of an allocation's life."""

from __future__ import annotations

import pytest

from bitgoeul.desired.allocation_status import Progress, news
from tests.unit.builders import Manifest
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
