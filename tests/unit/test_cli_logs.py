"""At most one line a second about the same trouble, and no other line is lost."""

from __future__ import annotations

import logging

import pytest

from bitgoeul.cli.logs import CROWD, OncePerSecond
from tests.unit.clocks import Clock


@pytest.fixture
def limit(clock: Clock) -> OncePerSecond:
    return OncePerSecond(clock)


def record(
    text: str,
    *arguments: object,
    name: str = "bitgoeul.one",
    level: int = logging.WARNING,
    error: Exception | None = None,
) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, text, arguments, (type(error), error, None) if error else None)


def test_the_same_trouble_of_many_is_told_once_a_second(limit: OncePerSecond, clock: Clock) -> None:
    """Whatever names and numbers stand in it; the next line says how many were left out."""
    lines = [record("%s: %s; again in %.1f s", f"tenant-{n}", OSError(f'ns "t{n}" denied'), n) for n in range(50)]
    assert [limit.filter(line) for line in lines] == [True, *[False] * 49]
    clock.now += 1
    last = record("%s: %s; again in %.1f s", "blue", OSError('ns "blue" denied'), 2)
    assert limit.filter(last)
    assert last.getMessage() == 'blue: ns "blue" denied; again in 2.0 s (49 more like this were left out)'


def test_another_trouble_is_told_all_the_same(limit: OncePerSecond) -> None:
    """Another text, another error in the same text, another source."""
    assert limit.filter(record("%s: %s", "blue", OSError("denied")))
    assert limit.filter(record("%s: %s", "blue", OSError("no answer")))
    assert limit.filter(record("listing: %s", OSError("denied")))
    assert limit.filter(record("%s: %s", "blue", OSError("denied"), name="bitgoeul.two"))


def test_what_does_not_stand_of_another_object_is_another_trouble(limit: OncePerSecond) -> None:
    """It is told once only: what was left out would never be told."""
    objects = ["RoleBinding bitgoeul:edit in blue", "ResourceQuota bitgoeul in blue", "ResourceQuota bitgoeul in green"]
    lines = [record("%s", f"{one}: a field stays 1 although 2 was written") for one in [*objects, *objects]]
    assert [limit.filter(line) for line in lines] == [True] * 3 + [False] * 3


def test_a_crowd_of_objects_is_no_flood(limit: OncePerSecond, clock: Clock) -> None:
    """Some are told of by name, and how many there are besides."""
    lines = [record("%s", f"Namespace tenant-{number}: a label stays") for number in range(1000)]
    assert [limit.filter(line) for line in lines].count(True) == CROWD + 1
    assert limit.filter(record("another text of %s", "blue"))
    clock.now += 1
    last = record("%s", "Namespace blue: a label stays")
    assert limit.filter(last)
    assert last.getMessage() == f"Namespace blue: a label stays ({1000 - CROWD - 1} more like this were left out)"


def test_the_same_defect_of_many_is_one_trouble(limit: OncePerSecond) -> None:
    """Its traceback is long."""
    lines = [record("%s: defect", f"tenant-{number}", error=KeyError(number)) for number in range(50)]
    assert [limit.filter(line) for line in lines].count(True) == 1


def test_one_text_with_a_name_in_it_is_one_trouble(limit: OncePerSecond) -> None:
    """kopf puts all into its text."""
    lines = [record(f"Request attempt #{n}/9 failed; GET https://one/api/{n}", name="kopf.client") for n in range(9)]
    assert [limit.filter(line) for line in lines].count(True) == 1


def test_what_is_no_trouble_passes(limit: OncePerSecond) -> None:
    """However often it is said."""
    assert all(limit.filter(record("leading", level=logging.INFO)) for _ in range(9))


def test_what_is_long_over_is_forgotten(limit: OncePerSecond, clock: Clock) -> None:
    """A process that runs for a year does not keep all that was ever said."""
    for number in range(5000):
        clock.now += 1
        assert limit.filter(record(f"trouble {number}"))
    assert len(limit._passed) <= 1000
