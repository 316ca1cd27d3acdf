"""How a family of metrics is declared: a value with name, type, labels, unit and meaning; it knows no registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FamilyType(StrEnum):
    """What Prometheus may do with the numbers."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Stability(StrEnum):
    """What users may rely on."""

    ALPHA = "alpha"  # name and labels may change with any version


@dataclass(frozen=True, slots=True)
class Family:
    """
    One family of metrics.

    Attributes:
        meaning: One or more sentences that say what is counted, in what unit, and what an absent series means.
        unit: The last part of the name (before ``_total``); empty for what has none.
        values: Labels of which every value is known beforehand, with these values.
    """

    name: str
    type: FamilyType
    labels: tuple[str, ...]
    meaning: str
    unit: str = ""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stability: Stability = Stability.ALPHA

    @property
    def help(self) -> str:
        """The text of the exposition; it opens with the stability, as those of Kubernetes do."""
        return f"[{self.stability.upper()}] {self.meaning}"
