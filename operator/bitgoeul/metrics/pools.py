"""
Figures of pools: the partition of their capacity, stages, nodes, petaflops, conditions and who waits.

A figure is called and described as the field of the pool's status is, so that it means the same in both places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from bitgoeul.api.accelerator_pool import PoolDevices
from bitgoeul.api.conditions import ConditionType, Reason
from bitgoeul.api.meta import ApiModel
from bitgoeul.api.storage_pool import PoolBytes
from bitgoeul.desired.pool_status import petaflops
from bitgoeul.metrics.exposition import Row
from bitgoeul.metrics.state import CONDITION_MEANING, STATUSES, Source, State, conditions_of, gauge
from bitgoeul.planning.decisions import HORIZONS, PoolPlan
from bitgoeul.planning.line import missing
from bitgoeul.planning.pools import Pool, PoolKey, PoolKind

# None: the pool has no such figure.
FIGURES: Mapping[str, Callable[[Pool, PoolPlan], int | None]] = {
    "planned": lambda pool, plan: pool.capacity.planned,
    "installed": lambda pool, plan: pool.capacity.installed,
    "highest": lambda pool, plan: pool.highest,
    "schedulable": lambda pool, plan: pool.capacity.schedulable,
    "reserved": lambda pool, plan: pool.capacity.reserved,
    "effective": lambda pool, plan: pool.capacity.effective,
    "granted": lambda pool, plan: plan.granted,
    "scheduled": lambda pool, plan: plan.scheduled,
    "retained": lambda pool, plan: plan.retained,
    "available": lambda pool, plan: plan.available,
    "in_use": lambda pool, plan: plan.in_use,
    "waiting": lambda pool, plan: plan.waiting,
}
UNAVAILABLE: Mapping[str, Callable[[Pool], int]] = {
    "NotReady": lambda pool: pool.capacity.not_ready,
    "Cordoned": lambda pool: pool.capacity.cordoned,
    "Tainted": lambda pool: pool.capacity.tainted,
    "Unhealthy": lambda pool: pool.capacity.unhealthy,
}
NODES: Mapping[str, Callable[[Pool], int]] = {
    "Ready": lambda pool: pool.ready_nodes,
    "NotReady": lambda pool: pool.not_ready_nodes,
    "Cordoned": lambda pool: pool.cordoned_nodes,
    "Tainted": lambda pool: pool.tainted_nodes,
}
# Those with a place in the queue have these; who is refused, suspended or on hold has none.
WAITING_REASONS = (Reason.WINDOW_NOT_OPEN, Reason.BLOCKED_BY_EARLIER, Reason.WAITING_FOR_CAPACITY)


def figure_rows(state: State, kind: PoolKind, figure: str) -> Iterator[Row]:
    """One figure of each pool, in devices or bytes."""
    read = FIGURES[figure]
    for pool in state.pools(kind):
        number = read(pool, state.plan.pools[pool.key])
        if number is not None:
            yield (pool.key.name, pool.limit), number


def petaflops_rows(state: State, figure: str) -> Iterator[Row]:
    """The same in petaflops, of pools that say what a device is worth."""
    read = FIGURES[figure]
    for pool in state.pools(PoolKind.ACCELERATORS):
        spec = state.world.accelerators[pool.key.name]
        number = read(pool, state.plan.pools[pool.key])
        if spec.petaflops_per_device and number is not None:
            yield (pool.key.name,), float(petaflops(spec, number))


def info_rows(state: State) -> Iterator[Row]:
    """What each accelerator pool is made of."""
    for pool in state.pools(PoolKind.ACCELERATORS):
        spec = state.world.accelerators[pool.key.name]
        yield (pool.key.name, pool.limit, spec.type, spec.vendor or "", spec.product or "", spec.region or ""), 1


def stage_rows(state: State, kind: PoolKind) -> Iterator[Row]:
    """The stage that is in force, of pools that have one."""
    for pool in state.pools(kind):
        if pool.stage:
            yield (pool.key.name, pool.stage), 1


def next_stage_rows(state: State, kind: PoolKind) -> Iterator[Row]:
    """When the next stage begins, of pools that have one ahead."""
    for pool in state.pools(kind):
        if pool.stages:
            yield (pool.key.name, pool.stages[0].name), pool.stages[0].at / 1000


def unavailable_rows(state: State) -> Iterator[Row]:
    """What of each pool cannot be scheduled, by cause."""
    for pool in state.pools(PoolKind.ACCELERATORS):
        for reason, read in UNAVAILABLE.items():
            yield (pool.key.name, pool.limit, reason), read(pool)


def node_rows(state: State) -> Iterator[Row]:
    """The nodes of each pool, by state."""
    for pool in state.pools(PoolKind.ACCELERATORS):
        for node_state, read in NODES.items():
            yield (pool.key.name, node_state), read(pool)


def waiting_rows(state: State, kind: PoolKind) -> Iterator[Row]:
    """How many wait for each pool, by reason; 0 is shown as well."""
    waiters: Counter[tuple[PoolKey, str]] = Counter()
    for standing, decision in state.decided():
        if decision.queue is not None and decision.queue.position is not None:
            waiters.update((key, decision.reason) for key in missing(standing))
    for pool in state.pools(kind):
        for reason in WAITING_REASONS:
            yield (pool.key.name, reason), waiters[pool.key, reason]


def condition_rows(state: State, kind: PoolKind) -> Iterator[Row]:
    """The conditions of each pool as they are written."""
    for pool in state.pools(kind):
        for condition in conditions_of(state.pool_statuses.get(pool.key, {})):
            yield (pool.key.name, *condition), 1


def forecast_rows(state: State, kind: PoolKind) -> Iterator[Row]:
    """What will be available of each pool, by how far ahead."""
    for pool in state.pools(kind):
        for horizon, amount in zip(HORIZONS, state.plan.pools[pool.key].forecast, strict=True):
            yield (pool.key.name, pool.limit, horizon), amount


def forecast(prefix: str, kind: PoolKind, label: str, unit: str) -> Source:
    """What both kinds of pools foresee."""
    return gauge(
        f"{prefix}_forecast_available_{unit}",
        ("pool", label, "horizon"),
        f"{unit.capitalize()} available so far ahead, by what is granted and promised now and by the stages, if nobody "
        "extends and nobody new comes; those who wait are not reckoned with. Below 0 where more is promised than there "
        "will be.",
        partial(forecast_rows, kind=kind),
        unit=unit,
        values={"horizon": tuple(HORIZONS)},
    )


def figures(prefix: str, kind: PoolKind, labels: tuple[str, str], model: type[ApiModel], unit: str) -> list[Source]:
    """A family for each figure that the status of this kind of pool has."""
    return [
        gauge(
            f"{prefix}_{figure}_{unit}",
            labels,
            model.model_fields[figure].description or "",
            partial(figure_rows, kind=kind, figure=figure),
            unit=unit,
        )
        for figure in FIGURES
        if figure in model.model_fields
    ]


def stages(prefix: str, kind: PoolKind) -> list[Source]:
    """Where both kinds of pools stand in their capacity plan."""
    return [
        gauge(
            f"{prefix}_stage_info",
            ("pool", "stage"),
            "Always 1; the stage of the capacity plan that is in force. Absent: none has begun, or there are none.",
            partial(stage_rows, kind=kind),
        ),
        gauge(
            f"{prefix}_next_stage_timestamp_seconds",
            ("pool", "stage"),
            "When the next stage begins, in seconds since 1970, with its name. Absent: none is ahead.",
            partial(next_stage_rows, kind=kind),
            unit="seconds",
        ),
    ]


def conditions(prefix: str, kind: PoolKind, own_types: tuple[ConditionType, ...]) -> list[Source]:
    """What both kinds of pools have to say about why."""
    types = (ConditionType.READY, ConditionType.OVERCOMMITTED, ConditionType.EXHAUSTED, *own_types)
    return [
        gauge(
            f"{prefix}_waiting_allocations",
            ("pool", "reason"),
            "Allocations that wait for the pool, by reason; one that waits for several pools counts in each.",
            partial(waiting_rows, kind=kind),
            unit="allocations",
            values={"reason": WAITING_REASONS},
        ),
        gauge(
            f"{prefix}_condition",
            ("pool", "type", "status", "reason"),
            CONDITION_MEANING,
            partial(condition_rows, kind=kind),
            values={"type": types, "status": STATUSES},
        ),
    ]


ACCELERATOR_SOURCES = (
    gauge(
        "bitgoeul_pool_info",
        ("pool", "resource", "type", "vendor", "product", "region"),
        "Always 1; the labels say what the pool is made of. What its spec does not say is empty.",
        info_rows,
    ),
    *stages("bitgoeul_pool", PoolKind.ACCELERATORS),
    *figures("bitgoeul_pool", PoolKind.ACCELERATORS, ("pool", "resource"), PoolDevices, "devices"),
    forecast("bitgoeul_pool", PoolKind.ACCELERATORS, "resource", "devices"),
    gauge(
        "bitgoeul_pool_unavailable_devices",
        ("pool", "resource", "reason"),
        "Installed devices that new pods cannot get, by cause; each is counted once, in the order NotReady, Cordoned, "
        "Tainted, Unhealthy.",
        unavailable_rows,
        unit="devices",
        values={"reason": tuple(UNAVAILABLE)},
    ),
    gauge(
        "bitgoeul_pool_nodes",
        ("pool", "state"),
        "Nodes that count for the pool, by state; each is counted once, in the order NotReady, Cordoned, Tainted.",
        node_rows,
        unit="nodes",
        values={"state": tuple(NODES)},
    ),
    *(
        gauge(
            f"bitgoeul_pool_{figure}_petaflops",
            ("pool",),
            f"Petaflops of the {what}. Absent where the pool does not say petaflopsPerDevice.",
            partial(petaflops_rows, figure=figure),
            unit="petaflops",
        )
        for figure, what in (
            ("installed", "installed devices"),
            ("effective", "effective devices"),
            ("granted", "granted devices"),
            ("in_use", "devices in use"),
        )
    ),
    *conditions(
        "bitgoeul_pool",
        PoolKind.ACCELERATORS,
        (ConditionType.CAPACITY_MATCHED, ConditionType.NODES_OVERLAP, ConditionType.NODES_TAINTED),
    ),
)
STORAGE_SOURCES = (
    *stages("bitgoeul_storage_pool", PoolKind.STORAGE),
    *figures("bitgoeul_storage_pool", PoolKind.STORAGE, ("pool", "storage_class"), PoolBytes, "bytes"),
    forecast("bitgoeul_storage_pool", PoolKind.STORAGE, "storage_class", "bytes"),
    *conditions("bitgoeul_storage_pool", PoolKind.STORAGE, (ConditionType.CLASS_FOUND,)),
)
