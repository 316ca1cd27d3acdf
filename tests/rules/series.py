"""How series run through the three parts of a case, and how they are written for promtool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, chain, repeat

# None: the series is absent. A function gets the seconds since the beginning, which is 1970.
Value = float | Callable[[float], float] | None
Steps = list[float | None]

HANDOVER = 2  # so many steps before the alert is looked for, another replica takes over
ABSENT, GONE = "_", "stale"  # as promtool writes that there is no sample, and that a series has ended


@dataclass(frozen=True)
class Level:
    """A gauge: what it is while all is well, and while it is not."""

    good: Value
    bad: Value


@dataclass(frozen=True)
class Count:
    """A counter: how much it grows with each step."""

    good: float
    bad: float


@dataclass(frozen=True)
class Case:
    """
    What makes an alert fire, or what does not although it looks like it.

    Attributes:
        series: Name with labels, to how it runs; a plain number stays as it is.
        labels: What the alert says beside its name, severity and the labels of the scrape; None: it does not fire.
        steps: How long all is well, how long not, and how long it is well again.
        step_seconds: The time between two samples.
    """

    alert: str
    what: str
    series: Mapping[str, Level | Count | float]
    labels: Mapping[str, str] | None = field(default_factory=dict)
    steps: tuple[int, int, int] = (30, 65, 65)
    step_seconds: int = 120

    @property
    def quiet_at(self) -> int:
        """The last step at which all is well."""
        return self.steps[0] - 1

    @property
    def firing_at(self) -> int:
        """The last step at which it is not."""
        return self.steps[0] + self.steps[1] - 1

    @property
    def resolved_at(self) -> int:
        """The last step of all."""
        return sum(self.steps) - 1

    def input_series(self) -> list[dict[str, str]]:
        """All series of all clusters and replicas."""
        result = []
        for name, run in self.series.items():
            there = self._values(run)
            at = self.firing_at - HANDOVER
            first = [*there[:at], *repeat(None, len(there) - at)]
            rest = there[at:]
            if isinstance(run, Count):  # a new process counts from 0
                rest = [0.0 if value is None else value - (there[at] or 0.0) for value in rest]
            result += [
                written(name, {"cluster": "a", "pod": "one", "instance": "10.0.0.1:9400"}, first),
                written(name, {"cluster": "a", "pod": "two", "instance": "10.0.0.2:9400"}, [*repeat(None, at), *rest]),
                written(name, {"cluster": "b", "pod": "one", "instance": "10.1.0.1:9400"}, self._values(well(run))),
            ]
        return result

    def _values(self, run: Level | Count | float) -> Steps:
        if isinstance(run, Count):
            before, during, after = self.steps
            grows = chain(repeat(run.good, before), repeat(run.bad, during), repeat(run.good, after))
            return list(accumulate(grows))
        level = run if isinstance(run, Level) else Level(run, run)
        return [number(value, step * self.step_seconds) for step, value in enumerate(self._phases(level))]

    def _phases(self, level: Level) -> Iterator[Value]:
        before, during, after = self.steps
        return chain(repeat(level.good, before), repeat(level.bad, during), repeat(level.good, after))


def well(run: Level | Count | float) -> Level | Count | float:
    """The same where nothing goes wrong."""
    return run if isinstance(run, float | int) else type(run)(run.good, run.good)  # type: ignore[arg-type]


def number(value: Value, seconds: float) -> float | None:
    return value(seconds) if callable(value) else value


def written(name: str, target: Mapping[str, str], values: Steps) -> dict[str, str]:
    """One series as promtool takes it, with the labels that its scrape adds."""
    metric, _, own = name.removesuffix("}").partition("{")
    added = ",".join(f'{label}="{value}"' for label, value in {"job": "bitgoeul", **target}.items())
    texts = []
    for before, value in zip([None, *values], values, strict=False):
        texts.append(f"{value:.10g}" if value is not None else ABSENT if before is None else GONE)
    return {"series": f"{metric}{{{own}{',' if own else ''}{added}}}", "values": " ".join(texts)}
