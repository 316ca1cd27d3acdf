"""Cases for the alerts about allocations."""

from __future__ import annotations

from tests.rules.operator import DISK, POOL, TIB
from tests.rules.series import Case, Level

BLUE = {"allocation": "blue"}
OFFSET = "bitgoeul_clock_offset_seconds"
LATER = 10_000_000.0  # seconds since 1970, where the cases begin
DAYS_AHEAD = 200_000.0  # more than two days, less than three
YEARS = 100_000_000.0


def of_blue(name: str, labels: str = "") -> str:
    """A series of the allocation blue."""
    return f'bitgoeul_allocation_{name}{{allocation="blue"{"," if labels else ""}{labels}}}'


def condition(type_: str, status: str, reason: str) -> str:
    """One condition of blue."""
    return of_blue("condition", f'type="{type_}",status="{status}",reason="{reason}"')


def said(type_: str, status: str, reason: str) -> dict[str, str]:
    """What an alert on it says."""
    return BLUE | {"type": type_, "status": status, "reason": reason}


EXPIRY, DRAIN = of_blue("expiry_timestamp_seconds"), of_blue("drain_timestamp_seconds")
DELETION = of_blue("data_delete_timestamp_seconds")
GRANTED, IN_USE = of_blue("granted_devices", POOL), of_blue("in_use_devices", POOL)
STORED = of_blue("granted_storage_bytes", DISK)
POSITION, QUEUED = of_blue("queue_position"), of_blue("queued_timestamp_seconds")
EARLIEST = of_blue("earliest_start_timestamp_seconds")
TWO_DAYS_AGO = -200_000.0

CASES = (
    Case(
        "BitgoeulQueueHeadBlocked",
        "there is no forecast any more",
        {POSITION: 1, QUEUED: TWO_DAYS_AGO, EARLIEST: Level(LATER, None)},
        BLUE,
    ),
    Case(
        "BitgoeulQueueHeadBlocked",
        "it has only just come",
        {POSITION: 1, QUEUED: 0, EARLIEST: Level(LATER, None)},
        labels=None,
    ),
    Case(
        "BitgoeulQueueHeadBlocked",
        "somebody stands before it",
        {POSITION: 2, QUEUED: TWO_DAYS_AGO, EARLIEST: Level(LATER, None)},
        labels=None,
    ),
    Case(
        "BitgoeulAllocationMisconfigured",
        "a pool does not exist",
        {condition("Stalled", "True", "PoolNotFound"): Level(None, 1)},
        said("Stalled", "True", "PoolNotFound"),
    ),
    Case(
        "BitgoeulAllocationMisconfigured",
        "it waits",
        {condition("Stalled", "False", "WaitingForCapacity"): Level(None, 1)},
        labels=None,
    ),
    Case(
        "BitgoeulAllocationNotReady",
        "a quota is not enforced",
        {
            condition("Admitted", "True", "Granted"): 1,
            condition("Ready", "False", "QuotaNotEnforced"): Level(None, 1),
        },
        said("Ready", "False", "QuotaNotEnforced"),
    ),
    Case(
        "BitgoeulAllocationNotReady",
        "it waits",
        {
            condition("Admitted", "False", "WaitingForCapacity"): 1,
            condition("Ready", "False", "WaitingForCapacity"): Level(None, 1),
        },
        labels=None,
    ),
    Case(
        "BitgoeulAllocationPodsPending",
        "no node takes three pods",
        {of_blue("pending_pods"): Level(None, 3)},
        BLUE,
    ),
    Case(
        "BitgoeulAllocationPodsPending",
        "all pods have found a node",
        {IN_USE: 3},
        labels=None,
    ),
    Case(
        "BitgoeulAllocationExpiringSoon",
        "the end is moved to the day after tomorrow",
        {EXPIRY: Level(LATER, DAYS_AHEAD), IN_USE: 3, OFFSET: 0},
        BLUE,
    ),
    Case(
        "BitgoeulAllocationExpiringSoon",
        "years are played in minutes",
        {EXPIRY: YEARS + DAYS_AHEAD, IN_USE: 3, OFFSET: Level(0, YEARS)},
        BLUE,
    ),
    Case(
        "BitgoeulAllocationExpiringSoon",
        "nothing of it is in use",
        {EXPIRY: Level(LATER, DAYS_AHEAD), IN_USE: 0, OFFSET: 0},
        labels=None,
    ),
    Case(
        "BitgoeulExpiredNotReclaimed",
        "pods do not go",
        {DRAIN: Level(LATER, 0), GRANTED: 2, OFFSET: 0},
        BLUE,
    ),
    Case(
        "BitgoeulExpiredNotReclaimed",
        "data does not go",
        {DELETION: Level(LATER, 0), STORED: TIB, OFFSET: 0},
        BLUE,
    ),
    Case(
        "BitgoeulExpiredNotReclaimed",
        "everything has come back",
        {DRAIN: Level(LATER, 0), GRANTED: 0, DELETION: Level(LATER, 0), STORED: 0, OFFSET: 0},
        labels=None,
    ),
    Case(
        "BitgoeulAllocationIdle",
        "nothing has run for a week",
        {GRANTED: 8, IN_USE: Level(1, 0)},
        BLUE | {"pool": "a100", "resource": "nvidia.com/gpu"},
        steps=(30, 180, 30),
        step_seconds=3600,
    ),
    Case(
        "BitgoeulAllocationIdle",
        "something has run three days ago",
        {GRANTED: 8, IN_USE: Level(1, 0)},
        labels=None,
        steps=(200, 72, 30),
        step_seconds=3600,
    ),
    Case(
        "BitgoeulAllocationIdle",
        "it was granted only yesterday",
        {GRANTED: Level(None, 8), IN_USE: Level(None, 0)},
        labels=None,
        steps=(200, 24, 30),
        step_seconds=3600,
    ),
    Case(
        "BitgoeulDataDeletionSoon",
        "the deletion is two days away",
        {DELETION: Level(LATER, DAYS_AHEAD), OFFSET: 0},
        BLUE,
    ),
)
