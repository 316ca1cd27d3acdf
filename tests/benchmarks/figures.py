"""
What a measure gives: figures with their goals, tables of detail, and how percentiles are taken.

Values only. A goal that is missed is a figure like any other, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound in the figure's own unit: an upper one, or with ``least`` a lower one."""

    bound: float
    least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.bound if self.least else value <= self.bound

    @property
    def text(self) -> str:
        return f"{'≥' if self.least else '≤'} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the results' table; without a goal it explains the others."""

    what: str
    value: float
    unit: str
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        """None: there is nothing to meet."""
        return self.goal.met(self.value) if self.goal else None

    @property
    def text(self) -> str:
        """The value as people read it: three digits that count, whole numbers whole."""
        if self.value == int(self.value) or abs(self.value) >= 1000:
            return f"{self.value:.0f}"
        return f"{self.value:.{max(0, 2 - math.floor(math.log10(abs(self.value))))}f}"


@dataclass(frozen=True, slots=True)
class Detail:
    """A table of its own, below the figures; on the page, too, if ``in_page``, else on the terminal only."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    in_page: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What one measure found.

    Attributes:
        method: One sentence: what was done, how often, and with what.
        error: Why there are no figures, or not all; empty when all went well.
    """

    name: str
    method: str
    figures: tuple[Figure, ...] = ()
    details: tuple[Detail, ...] = ()
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Report:
    """One run of some measures on one machine, growing; ``about`` says on which, when, and with what."""

    title: str
    about: Mapping[str, str]
    outcomes: list[Outcome] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "about": dict(self.about),
            "outcomes": [outcome.as_json() for outcome in self.outcomes],
        }


def read_report(data: Mapping[str, Any]) -> Report:
    """The reverse of ``as_json``."""
    return Report(data["title"], data["about"], [read_outcome(outcome) for outcome in data["outcomes"]])


def read_outcome(data: Mapping[str, Any]) -> Outcome:
    figures = tuple(
        Figure(**{**figure, "goal": Goal(**figure["goal"]) if figure["goal"] else None}) for figure in data["figures"]
    )
    details = tuple(
        Detail(
            detail["title"], tuple(detail["columns"]), tuple(tuple(row) for row in detail["rows"]), detail["in_page"]
        )
        for detail in data["details"]
    )
    return Outcome(data["name"], data["method"], figures, details, data["error"])


def percentile(values: Sequence[float], share: float) -> float:
    """
    The smallest value that at least this share of all values do not exceed (nearest rank).

    With fewer than 100 values the 99th is the largest: no value is invented between two measured ones.
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
