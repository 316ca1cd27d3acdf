"""States as a round of planning leaves them, for tests of what is shown of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry

from bitgoeul.desired.world import World
from bitgoeul.metrics.collector import State, StateCollector
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import PoolKey
from bitgoeul.planning.snapshot import build_snapshot
from tests.unit.builders import NOW, Manifest, observe

# Type, status and reason of each.
Conditions = tuple[tuple[str, str, str], ...]
Labels = tuple[tuple[str, str], ...]
Shown = dict[str, dict[Labels, float]]


def make_state(
    objects: Iterable[Manifest],
    conditions: Mapping[str, Conditions] | None = None,
    pool_conditions: Mapping[PoolKey, Conditions] | None = None,
    now: datetime = NOW,
    allowed_roles: frozenset[str] = frozenset(),
) -> State:
    """What a round makes of a cluster with just these objects; ``now`` is the time by which is planned."""
    observed = replace(observe(objects), allowed_roles=allowed_roles)
    snapshot = build_snapshot(observed, now, NOW)
    world = World(
        {pool.metadata.name: pool.spec for pool in observed.accelerator_pools},
        {pool.metadata.name: pool.spec for pool in observed.storage_pools},
    )
    statuses = {name: status_with(rows) for name, rows in (conditions or {}).items()}
    pool_statuses = {key: status_with(rows) for key, rows in (pool_conditions or {}).items()}
    return State(snapshot, make_plan(snapshot), world, statuses, pool_statuses)


def status_with(conditions: Conditions) -> dict[str, Any]:
    """A status with these conditions."""
    return {"conditions": [{"type": t, "status": s, "reason": r} for t, s, r in conditions]}


def registry_of(state: State | None) -> CollectorRegistry:
    """A registry that shows this state and nothing else."""
    registry = CollectorRegistry()
    registry.register(StateCollector(lambda: state))
    return registry


def shown(state: State | None) -> Shown:
    """All samples: name → labels → number. Fails on a series that appears twice, which Prometheus would refuse."""
    result: Shown = {}
    for metric in registry_of(state).collect():
        for sample in metric.samples:
            labels = of(**sample.labels)
            series = result.setdefault(sample.name, {})
            assert labels not in series, f"{sample.name}{labels} appears twice"
            series[labels] = sample.value
    return result


def of(**labels: str) -> Labels:
    """Labels as the key of a series."""
    return tuple(sorted(labels.items()))
