"""Cases for the alerts about the operator itself and its sums."""

from __future__ import annotations

from tests.rules.series import Case, Count, Level

DECIDED = "bitgoeul_allocation_decision_seconds_count"
IN_TIME = 'bitgoeul_allocation_decision_seconds_bucket{le="30.0"}'
ANSWERED = 'bitgoeul_kube_requests_total{verb="GET",resource="leases",code="200"}'
UNANSWERED = 'bitgoeul_kube_requests_total{verb="GET",resource="leases",code="0"}'
POOL = 'pool="a100",resource="nvidia.com/gpu"'
DISK = 'pool="lustre",storage_class="lustre"'
A100 = {"pool": "a100", "resource": "nvidia.com/gpu"}
LUSTRE = {"pool": "lustre", "storage_class": "lustre"}
TIB = 2**40

CASES = (
    Case("BitgoeulOperatorDown", "the last replica is gone", {"bitgoeul_leading": Level(1, None)}),
    Case("BitgoeulOperatorDown", "all replicas stand by", {"bitgoeul_leading": Level(1, 0)}),
    Case(
        "BitgoeulStateStale",
        "no round has come to its end",
        {
            "bitgoeul_leading": 1,
            "bitgoeul_snapshot_timestamp_seconds": Level(lambda seconds: seconds, 3500),
        },
    ),
    Case(
        "BitgoeulStateStale",
        "one leads that has never planned",
        {"bitgoeul_leading": 1, "bitgoeul_snapshot_timestamp_seconds": Level(lambda seconds: seconds, None)},
    ),
    Case(
        "BitgoeulStateStale",
        "nothing changes, and a round comes once a minute all the same",
        {
            "bitgoeul_leading": 1,
            "bitgoeul_snapshot_timestamp_seconds": Level(lambda seconds: seconds, lambda seconds: seconds - 60),
        },
        labels=None,
    ),
    Case("BitgoeulNoAnswer", "the API server is away", {ANSWERED: Count(6, 0), UNANSWERED: Count(0, 1)}),
    Case("BitgoeulNoAnswer", "of ten one has no answer", {ANSWERED: Count(9, 9), UNANSWERED: Count(0, 1)}, labels=None),
    Case("BitgoeulClockSkew", "the host's clock is ahead", {"bitgoeul_clock_skew_seconds": Level(0.2, -3600)}),
    Case("BitgoeulClockSkew", "the host's clock is behind", {"bitgoeul_clock_skew_seconds": Level(0.2, 31)}),
    Case(
        "BitgoeulClockSkew", "the clocks differ by seconds", {"bitgoeul_clock_skew_seconds": Level(0, -29)}, labels=None
    ),
    Case(
        "BitgoeulCheckFailing",
        "a kind may not be listed any more",
        {'bitgoeul_check_failing{check="lists"}': Level(0, 1), 'bitgoeul_check_failing{check="cache"}': 0},
        {"check": "lists"},
    ),
    Case(
        "BitgoeulCheckFailing",
        "clocks differ, which has an alert of its own",
        {'bitgoeul_check_failing{check="clock"}': Level(0, 1)},
        labels=None,
    ),
    Case("BitgoeulDecisionSLOFastBurn", "a half is late", {DECIDED: Count(1, 1), IN_TIME: Count(1, 0.5)}),
    Case(
        "BitgoeulDecisionSLOFastBurn",
        "one an hour is late",
        {DECIDED: Count(0, 1 / 30), IN_TIME: Count(0, 0)},
        labels=None,
    ),
    Case("BitgoeulDecisionSLOSlowBurn", "of ten one is late", {DECIDED: Count(1, 1), IN_TIME: Count(1, 0.9)}),
    Case(
        "BitgoeulReconcileErrors",
        "of six one fails",
        {
            'bitgoeul_reconcile_total{kind="Pool",result="success"}': Count(1, 1),
            'bitgoeul_reconcile_total{kind="Pool",result="error"}': Count(0, 0.2),
            'bitgoeul_reconcile_total{kind="Pool",result="retry"}': Count(0, 0),
        },
        {"kind": "Pool"},
    ),
    Case(
        "BitgoeulReconcileErrors",
        "somebody else was faster",
        {
            'bitgoeul_reconcile_total{kind="Pool",result="success"}': Count(1, 1),
            'bitgoeul_reconcile_total{kind="Pool",result="error"}': Count(0, 0),
            'bitgoeul_reconcile_total{kind="Pool",result="retry"}': Count(0, 1),
        },
        labels=None,
    ),
    Case(
        "BitgoeulDrift",
        "six repairs an hour",
        {'bitgoeul_drift_corrections_total{kind="ResourceQuota"}': Count(0, 0.2)},
        {"kind": "ResourceQuota"},
    ),
    Case(
        "BitgoeulDrift",
        "one repair an hour",
        {'bitgoeul_drift_corrections_total{kind="ResourceQuota"}': Count(0, 1 / 30)},
        labels=None,
    ),
    Case(
        "BitgoeulUnkept",
        "a policy of somebody else pins a label of a namespace",
        {'bitgoeul_unkept_objects{kind="Namespace"}': Level(0, 1)},
        {"kind": "Namespace"},
    ),
    Case("BitgoeulUnkept", "all stands", {'bitgoeul_unkept_objects{kind="Namespace"}': 0}, labels=None),
    Case(
        "BitgoeulLedgerMismatch",
        "a device is neither schedulable nor unavailable",
        {
            f"bitgoeul_pool_installed_devices{{{POOL}}}": 16,
            f"bitgoeul_pool_schedulable_devices{{{POOL}}}": 13,
            f'bitgoeul_pool_unavailable_devices{{{POOL},reason="NotReady"}}': Level(2, 1),
            f'bitgoeul_pool_unavailable_devices{{{POOL},reason="Cordoned"}}': 1,
        },
        A100 | {"sum": "installed = schedulable + unavailable"},
    ),
    Case(
        "BitgoeulLedgerMismatch",
        "more is granted and available than there is",
        {
            f"bitgoeul_pool_effective_devices{{{POOL}}}": 10,
            f"bitgoeul_pool_granted_devices{{{POOL}}}": 8,
            f"bitgoeul_pool_available_devices{{{POOL}}}": Level(2, 3),
            f'bitgoeul_allocation_granted_devices{{{POOL},allocation="blue"}}': 8,
        },
        A100 | {"sum": "effective = granted + available"},
    ),
    Case(
        "BitgoeulLedgerMismatch",
        "allocations have less than the pool has granted",
        {
            f"bitgoeul_pool_granted_devices{{{POOL}}}": 8,
            f'bitgoeul_allocation_granted_devices{{{POOL},allocation="blue"}}': 5,
            f'bitgoeul_allocation_granted_devices{{{POOL},allocation="green"}}': Level(3, 2),
        },
        A100 | {"sum": "granted = that of all allocations"},
    ),
    Case(
        "BitgoeulLedgerMismatch",
        "something is granted, and there are no allocations",
        {f"bitgoeul_pool_granted_devices{{{POOL}}}": Level(0, 3)},
        A100 | {"sum": "granted = that of all allocations"},
    ),
    Case(
        "BitgoeulLedgerMismatch",
        "bytes are missing",
        {
            f"bitgoeul_storage_pool_effective_bytes{{{DISK}}}": 90 * TIB,
            f"bitgoeul_storage_pool_granted_bytes{{{DISK}}}": 50 * TIB,
            f"bitgoeul_storage_pool_retained_bytes{{{DISK}}}": Level(5 * TIB, 4 * TIB),
            f"bitgoeul_storage_pool_available_bytes{{{DISK}}}": 35 * TIB,
            f'bitgoeul_allocation_granted_storage_bytes{{{DISK},allocation="blue"}}': 50 * TIB,
        },
        LUSTRE | {"sum": "effective = granted + retained + available"},
    ),
    Case(
        "BitgoeulLedgerMismatch",
        "allocations have more bytes than the pool has granted",
        {
            f"bitgoeul_storage_pool_granted_bytes{{{DISK}}}": 50 * TIB,
            f'bitgoeul_allocation_granted_storage_bytes{{{DISK},allocation="blue"}}': Level(50 * TIB, 51 * TIB),
        },
        LUSTRE | {"sum": "granted = that of all allocations"},
    ),
)
