"""Whose time ends, and who stays in the list after the end: whoever still has something that goes with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bitgoeul.cli.expiring import find_endings, then_text, undrained
from bitgoeul.cli.picture import Picture
from bitgoeul.planning.moments import day, moment
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.snapshot import Observed
from tests.unit.builders import (
    GPU,
    NOW,
    Manifest,
    make_allocation,
    make_held,
    make_namespace,
    make_quota,
    make_storage_pool,
    snapshot_of,
)
from tests.unit.lives import POOLS, ahead, recorded

SOON, LATER = (day(moment(NOW + timedelta(hours=hours))) for hours in (1, 9))
PAST = day(moment(NOW - timedelta(hours=2)))


def over(devices: int, phase: str, record: Manifest, **expiry: Any) -> list[Manifest]:
    """Blue, whose end was two hours ago, with as many devices as its pods still hold."""
    grant = {"accelerators": {"a100": devices} if devices else {}}
    blue = make_allocation(
        "blue",
        {"a100": 4},
        grant=grant,
        status={**record, "phase": phase},
        window={"end": ahead(-2)},
        expiry={"grace": "0s", **expiry},
    )
    return [*POOLS, make_storage_pool(), blue, *make_held("blue", {GPU: devices}, pools=["a100"])]


def then_of(objects: list[Manifest]) -> str | None:
    """What stands in the last column of blue's line; None: it is not listed."""
    live = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
    snapshot = snapshot_of(objects)
    month = snapshot.now + timedelta(days=30) // timedelta(milliseconds=1)
    running = undrained(Picture(Observed(), live, NOW, timedelta()))
    found = find_endings(snapshot, make_plan(snapshot), month, running)
    return then_text(found[0], snapshot.now) if found else None


KEEP = {"workload": "Keep"}
DELETE = {"deletionPolicy": "Delete", "retention": "11h"}
CLOSED = recorded(-9, -2, admitted=False)
DRAINED = recorded(-9, -2, admitted=False, drain=22, delete=33)


@pytest.mark.parametrize(
    ("objects", "then"),
    [
        pytest.param(over(1, "Expiring", CLOSED, **KEEP), "pods stay, data is kept", id="a pod that may stay holds"),
        pytest.param(over(0, "Expired", CLOSED, **KEEP), None, id="its pods have ended"),
        pytest.param(over(0, "Expiring", CLOSED, **KEEP), "pods stay, data is kept", id="pods without devices"),
        pytest.param(
            over(1, "Expiring", recorded(-9, -2, admitted=False, drain=22)), f"pods were to go {PAST}, data is kept",
            id="pods outlast the drain",
        ),
        pytest.param(
            over(0, "Expiring", recorded(-9, -2, admitted=False, drain=22)), f"pods were to go {PAST}, data is kept",
            id="pods without devices outlast it",
        ),
        pytest.param(over(4, "Active", recorded(-9, -2)), f"pods were to go {PAST}, data is kept", id="held by clocks"),
        pytest.param(
            over(0, "Expiring", recorded(-9, -2, admitted=False, drain=25), grace="3h"),
            f"pods go {SOON}, data is kept", id="in the grace",
        ),
        pytest.param(over(0, "Expired", DRAINED, **DELETE), f"data is deleted {LATER}", id="data is to be deleted"),
        pytest.param(
            over(0, "Expired", recorded(-9, -2, admitted=False, drain=22, delete=22), **DELETE | {"retention": "0s"}),
            f"data was to be deleted {PAST}", id="its namespace does not go",
        ),
        pytest.param(over(0, "Expired", recorded(-9, -2, admitted=False, drain=22)), None, id="data is kept"),
    ],
)  # fmt: skip
def test_whose_time_is_over_is_listed_while_it_has_what_goes(objects: list[Manifest], then: str | None) -> None:
    """Pods, devices, and data that its policy deletes; what happened to the dates does not matter."""
    assert then_of(objects) == then


def test_storage_that_is_kept_keeps_nobody_in_the_list() -> None:
    """Claims of one that is Expired are charged for as long as it exists."""
    blue = make_allocation(
        "blue",
        storage={"lustre": "5Ti"},
        grant={"storage": {"lustre": "5Ti"}},
        status={**recorded(-9, -2, admitted=False, drain=22), "phase": "Expired"},
        window={"end": ahead(-2)},
        expiry={"grace": "0s"},
    )
    objects = [*POOLS, make_storage_pool(), blue, make_namespace("blue"), make_quota("blue", {"lustre": "5Ti"})]
    assert then_of(objects) is None
