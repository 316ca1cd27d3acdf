"""The status of pools: the partition of their capacity, and conditions that say what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bitgoeul.api.accelerator_pool import AcceleratorPoolSpec
from bitgoeul.api.conditions import Condition, ConditionType, Reason, merge_conditions
from bitgoeul.api.quantities import format_bytes
from bitgoeul.planning.checks import amount_text
from bitgoeul.planning.plan import PoolPlan
from bitgoeul.planning.pools import Pool, PoolKind

NAMED_NODES = 5  # in a message; the rest is a number


def petaflops(spec: AcceleratorPoolSpec, devices: int) -> Decimal:
    """What devices of a pool are worth in PFLOPS; 0 where the pool does not say."""
    return Decimal(spec.petaflops_per_device or "0") * devices


def build_accelerator_status(
    spec: AcceleratorPoolSpec, generation: int, pool: Pool, plan: PoolPlan, written: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Build the whole status of an AcceleratorPool; ``now`` is wall time, for transition times."""
    capacity = pool.capacity
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "nodes": {"ready": pool.ready_nodes, "notReady": pool.not_ready_nodes, "cordoned": pool.cordoned_nodes},
        "devices": {
            "installed": capacity.installed,
            "schedulable": capacity.schedulable,
            "unavailable": {
                "notReady": capacity.not_ready,
                "cordoned": capacity.cordoned,
                "unhealthy": capacity.unhealthy,
            },
            "reserved": capacity.reserved,
            "effective": capacity.effective,
            "granted": plan.granted,
            "available": plan.available,
            "inUse": plan.in_use,
            "waiting": plan.waiting,
        },
        "conditions": merge_conditions(conditions(pool, plan), written.get("conditions") or (), generation, now),
    }
    if spec.petaflops_per_device:
        status["petaflops"] = {
            "effective": plain(petaflops(spec, capacity.effective)),
            "granted": plain(petaflops(spec, plan.granted)),
            "inUse": plain(petaflops(spec, plan.in_use)),
        }
    return status


def build_storage_status(
    generation: int, pool: Pool, plan: PoolPlan, class_exists: bool, written: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Build the whole status of a StoragePool; ``now`` is wall time, for transition times."""
    capacity = pool.capacity
    found = Condition(
        ConditionType.CLASS_FOUND,
        class_exists,
        Reason.CLASS_FOUND if class_exists else Reason.CLASS_NOT_FOUND,
        "" if class_exists else f"there is no StorageClass {pool.limit}; claims stay Pending until it is created",
    )
    return {
        "observedGeneration": generation,
        "bytes": {
            "installed": capacity.installed,
            "reserved": capacity.reserved,
            "effective": capacity.effective,
            "granted": plan.granted,
            "retained": plan.retained,
            "available": plan.available,
            "inUse": plan.in_use,
            "waiting": plan.waiting,
        },
        "summary": {
            "capacity": format_bytes(capacity.installed),
            "granted": format_bytes(plan.granted),
            "available": amount_text(pool.key, plan.available),
        },
        "conditions": merge_conditions(
            [*conditions(pool, plan), found], written.get("conditions") or (), generation, now
        ),
    }


def conditions(pool: Pool, plan: PoolPlan) -> list[Condition]:
    """The conditions that both kinds of pool have."""
    lost = -plan.available
    overcommitted = lost > 0
    exhausted = plan.available <= 0 and plan.waiters > 0
    result = [
        ready(pool, plan),
        Condition(
            ConditionType.OVERCOMMITTED,
            overcommitted,
            Reason.CAPACITY_LOST if overcommitted else Reason.WITHIN_CAPACITY,
            f"{amount_text(pool.key, lost)} more granted than there is; nothing new is granted, nobody is stopped"
            if overcommitted
            else "",
        ),
        Condition(
            ConditionType.EXHAUSTED,
            exhausted,
            Reason.NOTHING_AVAILABLE if exhausted else Reason.CAPACITY_AVAILABLE,
            f"nothing available, {plan.waiters} waiting for {amount_text(pool.key, plan.waiting)}" if exhausted else "",
        ),
    ]
    if pool.overlaps:
        result.append(Condition(ConditionType.NODES_OVERLAP, True, Reason.NODES_SHARED, overlap_text(pool)))
    return result


def ready(pool: Pool, plan: PoolPlan) -> Condition:
    """Whether the pool can grant."""
    if pool.deleting:
        held = amount_text(pool.key, plan.granted + plan.retained)
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
    return Condition(ConditionType.READY, True, Reason.AVAILABLE)


def overlap_text(pool: Pool) -> str:
    """Which nodes are shared with which pools, the first few by name."""
    parts = []
    for other, nodes in sorted((pool.overlaps or {}).items()):
        named = ", ".join(nodes[:NAMED_NODES])
        more = f" and {len(nodes) - NAMED_NODES} more" if len(nodes) > NAMED_NODES else ""
        parts.append(f"{named}{more} also match {other}")
    return f"{'; '.join(parts)}; each node counts for the older pool only"


def plain(number: Decimal) -> str:
    """A decimal without exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
