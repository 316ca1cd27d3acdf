"""
The status of pools: the partition of their capacity, what changes it next, and conditions that say what is wrong.

Nothing in it counts seconds: until something happens it is the same to the letter, and is not written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bitgoeul.api.accelerator_pool import AcceleratorPoolSpec, StopPolicy
from bitgoeul.api.conditions import Condition, ConditionType, Reason, merge_conditions
from bitgoeul.api.quantities import format_brief, format_bytes, saturated
from bitgoeul.desired.allocation_status import instant
from bitgoeul.planning.decisions import PoolPlan
from bitgoeul.planning.moments import LATEST, date, day
from bitgoeul.planning.pools import Pool, PoolKey, PoolKind

# In a message; the rest is a number.
NAMED_NODES = 5
NAMED_TAINTS = 3
NAMED_ALLOCATIONS = 5


def petaflops(spec: AcceleratorPoolSpec, devices: int) -> Decimal:
    """What devices of a pool are worth in PFLOPS; 0 where the pool does not say."""
    return Decimal(spec.petaflops_per_device or "0") * devices


def build_accelerator_status(
    spec: AcceleratorPoolSpec,
    generation: int,
    pool: Pool,
    plan: PoolPlan,
    present: int,
    written: Mapping[str, Any],
    now: datetime,
    unmade: str = "",
) -> dict[str, Any]:
    """
    Build the whole status of an AcceleratorPool.

    Args:
        present: The moment by which was planned.
        now: Wall time, for transition times.
        unmade: What could not be made of what belongs to the pool; empty: all stands.
    """
    capacity = pool.capacity
    status: dict[str, Any] = {
        "observedGeneration": generation,
        **stages(pool, "devices"),
        "nodes": {
            "ready": pool.ready_nodes,
            "notReady": pool.not_ready_nodes,
            "cordoned": pool.cordoned_nodes,
            "tainted": pool.tainted_nodes,
        },
        "devices": bounded(
            {
                **planned(pool),
                "installed": capacity.installed,
                "highest": pool.highest,
                "schedulable": capacity.schedulable,
                "unavailable": {
                    "notReady": capacity.not_ready,
                    "cordoned": capacity.cordoned,
                    "tainted": capacity.tainted,
                    "unhealthy": capacity.unhealthy,
                },
                "reserved": capacity.reserved,
                "effective": capacity.effective,
                "granted": plan.granted,
                "scheduled": plan.scheduled,
                "available": plan.available,
                "inUse": plan.in_use,
                "waiting": plan.waiting,
            }
        ),
        "calendar": calendar(pool.key, plan),
        "conditions": merge_conditions(
            [*conditions(pool, plan, present, unmade), capacity_matched(pool)],
            written.get("conditions") or (),
            generation,
            now,
        ),
    }
    if spec.petaflops_per_device:
        status["petaflops"] = {
            "effective": plain(petaflops(spec, capacity.effective)),
            "granted": plain(petaflops(spec, plan.granted)),
            "inUse": plain(petaflops(spec, plan.in_use)),
        }
    return status


def build_storage_status(
    generation: int,
    pool: Pool,
    plan: PoolPlan,
    present: int,
    class_exists: bool,
    written: Mapping[str, Any],
    now: datetime,
    unmade: str = "",
) -> dict[str, Any]:
    """
    Build the whole status of a StoragePool.

    Args:
        present: The moment by which was planned.
        now: Wall time, for transition times.
        unmade: What could not be made of what belongs to the pool; empty: all stands.
    """
    capacity = pool.capacity
    found = Condition(
        ConditionType.CLASS_FOUND,
        class_exists,
        Reason.CLASS_FOUND if class_exists else Reason.CLASS_NOT_FOUND,
        "" if class_exists else f"there is no StorageClass {pool.limit}; claims stay Pending until it is created",
    )
    return {
        "observedGeneration": generation,
        **stages(pool, "capacity"),
        "bytes": bounded(
            {
                **planned(pool),
                "installed": capacity.installed,
                "reserved": capacity.reserved,
                "effective": capacity.effective,
                "granted": plan.granted,
                "scheduled": plan.scheduled,
                "retained": plan.retained,
                "available": plan.available,
                "inUse": plan.in_use,
                "waiting": plan.waiting,
            }
        ),
        "calendar": calendar(pool.key, plan),
        "summary": {
            "capacity": format_brief(capacity.installed),
            "granted": format_brief(plan.granted),
            "available": format_brief(plan.available),
        },
        "conditions": merge_conditions(
            [*conditions(pool, plan, present, unmade), found], written.get("conditions") or (), generation, now
        ),
    }


def stages(pool: Pool, field: str) -> dict[str, Any]:
    """The present and the next stage, as far as there are such; ``field`` is what a stage of this kind plans."""
    result: dict[str, Any] = {"currentStage": pool.stage} if pool.stage else {}
    if pool.stages:
        stage = pool.stages[0]
        result["nextStage"] = {
            "name": stage.name,
            "from": instant(date(stage.at)),
            field: as_field(pool.key, stage.amount),
        }
    return result


def bounded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Counts as integer fields can hold them: sums, and what nodes report, may be beyond 64 bits."""
    return {name: bounded(value) if isinstance(value, Mapping) else saturated(value) for name, value in fields.items()}


def planned(pool: Pool) -> dict[str, int]:
    """What the present stage plans, of a pool that has stages."""
    return {} if pool.capacity.planned is None else {"planned": pool.capacity.planned}


def calendar(pool: PoolKey, plan: PoolPlan) -> list[dict[str, Any]]:
    """The changes ahead, as far as the API has dates for them."""
    return [
        {
            "at": instant(date(entry.at)),
            "available": as_field(pool, entry.available),
            "change": as_field(pool, entry.change),
            "cause": entry.cause,
        }
        for entry in plan.calendar
        if entry.at <= LATEST
    ]


def as_field(pool: PoolKey, amount: int) -> int | str:
    """An amount as status has it: devices as a number, bytes as a quantity."""
    return saturated(amount) if pool.kind is PoolKind.ACCELERATORS else format_bytes(amount)


def brief_text(pool: PoolKey, amount: int) -> str:
    """An amount in a message: devices as a number, bytes in short."""
    return str(amount) if pool.kind is PoolKind.ACCELERATORS else format_brief(amount)


def conditions(pool: Pool, plan: PoolPlan, present: int, unmade: str = "") -> list[Condition]:
    """The conditions that both kinds of pool have."""
    exhausted = plan.available <= 0 and plan.waiters > 0
    result = [
        ready(pool, plan, unmade),
        overcommitted(pool, plan, present),
        Condition(
            ConditionType.EXHAUSTED,
            exhausted,
            Reason.NOTHING_AVAILABLE if exhausted else Reason.CAPACITY_AVAILABLE,
            f"nothing available, {plan.waiters} waiting for {brief_text(pool.key, plan.waiting)}" if exhausted else "",
        ),
    ]
    if pool.overlaps:
        result.append(Condition(ConditionType.NODES_OVERLAP, True, Reason.NODES_SHARED, overlap_text(pool)))
    if pool.tainted:
        result.append(Condition(ConditionType.NODES_TAINTED, True, Reason.TAINTS_NOT_TOLERATED, taints_text(pool)))
    return result


def overcommitted(pool: Pool, plan: PoolPlan, present: int) -> Condition:
    """Whether more is granted than there is, or more promised than there will be."""
    lost = -plan.available
    if lost > 0:
        message = f"{brief_text(pool.key, lost)} more granted than there is; nothing new is granted, nobody is stopped"
        return Condition(ConditionType.OVERCOMMITTED, True, Reason.CAPACITY_LOST, f"{message}{hurt_text(plan)}")
    if plan.short_from is not None:
        short = brief_text(pool.key, plan.short_by)
        ahead = plan.short_from > present
        when = f"from {day(plan.short_from)} on up to {short}" if ahead else f"up to {short}"
        message = f"{when} more granted and promised than there {'will be' if ahead else 'is'}"
        return Condition(ConditionType.OVERCOMMITTED, True, Reason.PROMISES_EXCEED_PLAN, f"{message}{hurt_text(plan)}")
    return Condition(ConditionType.OVERCOMMITTED, False, Reason.WITHIN_CAPACITY)


def hurt_text(plan: PoolPlan) -> str:
    """Whose promised starts are in danger, the first few by name."""
    if not plan.hurts:
        return ""
    named = ", ".join(plan.hurts[:NAMED_ALLOCATIONS])
    more = f" and {len(plan.hurts) - NAMED_ALLOCATIONS} more" if len(plan.hurts) > NAMED_ALLOCATIONS else ""
    return f"; promised starts that it may delay: {named}{more}"


def capacity_matched(pool: Pool) -> Condition:
    """Whether the nodes have what the present stage plans."""
    capacity = pool.capacity
    if capacity.planned is None:
        return Condition(ConditionType.CAPACITY_MATCHED, True, Reason.NO_STAGES)
    if capacity.installed == capacity.planned:
        return Condition(ConditionType.CAPACITY_MATCHED, True, Reason.AS_PLANNED)
    plans = f"stage {pool.stage} plans {capacity.planned}" if pool.stage else "no stage has begun, so 0 are planned"
    message = f"{plans}, {capacity.installed} installed"
    return Condition(ConditionType.CAPACITY_MATCHED, False, Reason.DIFFERS_FROM_PLAN, message)


def ready(pool: Pool, plan: PoolPlan, unmade: str = "") -> Condition:
    """Whether the pool can grant."""
    if unmade:
        return Condition(ConditionType.READY, False, Reason.APPLY_FAILED, unmade)
    if pool.deleting:
        held = brief_text(pool.key, plan.granted + plan.retained)
        message = f"being deleted; {held} still held, the pool goes when its holders are gone"
        return Condition(ConditionType.READY, False, Reason.STILL_HELD, message)
    if pool.shadowed_by:
        message = (
            f"the older StoragePool {pool.shadowed_by} has the storage class {pool.limit}; nothing is granted here"
        )
        return Condition(ConditionType.READY, False, Reason.CLASS_SHARED, message)
    if pool.key.kind is PoolKind.ACCELERATORS and pool.nodes == 0:
        message = "no node matches nodeSelector"
        return Condition(ConditionType.READY, False, Reason.NO_NODES_MATCH, message)
    if pool.unnamed_in:
        message = f"{pool.unnamed_in} quotas do not name {pool.limit} yet; nothing is granted before all do"
        return Condition(ConditionType.READY, False, Reason.PREPARING, message)
    if pool.stop is not StopPolicy.NONE:
        return Condition(ConditionType.READY, False, Reason.ON_HOLD, on_hold_text(pool.stop))
    return Condition(ConditionType.READY, True, Reason.AVAILABLE)


def on_hold_text(stop: StopPolicy) -> str:
    """What a stop policy does."""
    if stop is StopPolicy.HOLD:
        return "stopPolicy Hold: nothing new is granted and no scheduled start begins; what is held and promised stays"
    return (
        "stopPolicy HoldAndDrain: nothing new is granted and no scheduled start begins; holders are suspended, and "
        "drained after their grace"
    )


def overlap_text(pool: Pool) -> str:
    """Which nodes are shared with which pools, the first few by name."""
    parts = []
    for other, nodes in sorted((pool.overlaps or {}).items()):
        named = ", ".join(nodes[:NAMED_NODES])
        more = f" and {len(nodes) - NAMED_NODES} more" if len(nodes) > NAMED_NODES else ""
        parts.append(f"{named}{more} also match {other}")
    return f"{'; '.join(parts)}; each node counts for the older pool only"


def taints_text(pool: Pool) -> str:
    """Which taints keep the pool's pods off which nodes, the first few by name, and what to do."""
    parts = []
    for taint, nodes in list(pool.tainted.items())[:NAMED_TAINTS]:
        named = ", ".join(nodes[:NAMED_NODES])
        more = f" and {len(nodes) - NAMED_NODES} more" if len(nodes) > NAMED_NODES else ""
        parts.append(f"{taint} on {named}{more}")
    more = f"; and {len(pool.tainted) - NAMED_TAINTS} more taints" if len(pool.tainted) > NAMED_TAINTS else ""
    taint = next(iter(pool.tainted))
    lost = pool.capacity.tainted
    return (
        f"{lost} device{'s' if lost != 1 else ''} cannot be had, by taints that the pool does not tolerate: "
        f"{'; '.join(parts)}{more}. Take the taint away, or add it to spec.tolerations, such as "
        f"{{key: {taint.key}, operator: Exists, effect: {taint.effect}}}"
    )


def plain(number: Decimal) -> str:
    """A decimal without exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
