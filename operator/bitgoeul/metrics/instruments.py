"""
What the operator counts about itself: requests, reconciliations, planning, the event loop.

These are kept in a registry of their own, not in the client's global one, so that two operators in one process (as in
tests) do not share figures. Of all objects only pools are named in labels, and their series go when they go: the number
of series is bounded.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version as version_of

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from bitgoeul.api.conditions import Phase
from bitgoeul.metrics.families import Family, FamilyType
from bitgoeul.planning.pools import PoolKey, PoolKind

RESULTS = ("success", "retry", "error")
CHECKS = ("cache", "lease", "lists", "rights", "clock", "event loop", "promises", "events")
POOL_KINDS = {PoolKind.ACCELERATORS: "AcceleratorPool", PoolKind.STORAGE: "StoragePool"}
# Kinds of the objects that the operator makes for an allocation or a pool, and puts right.
CHILD_KINDS = (
    "Namespace",
    "ResourceQuota",
    "PersistentVolumeClaim",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)

# A request to a local control plane takes 2 ms, and is given up after 10 s.
REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
RECONCILE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
PLAN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
# Below 5 ms it is the timer's own inaccuracy; from 0.25 s on, people notice.
LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
# The API server tells the time of a creation in whole seconds; 30 s is what alerts call too late.
DECISION_BUCKETS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
# 1 and 10 minutes, 1 and 6 hours, 1, 3, 7, 14 and 30 days.
WAIT_BUCKETS = (60.0, 600.0, 3600.0, 21600.0, 86400.0, 259200.0, 604800.0, 1209600.0, 2592000.0)

BUILD = Family(
    "bitgoeul_build_info",
    FamilyType.GAUGE,
    ("version", "python", "kopf", "kubernetes_client"),
    "Always 1; the labels are the versions of the operator and of what it runs on.",
)
LEADING = Family(
    "bitgoeul_leading",
    FamilyType.GAUGE,
    (),
    "1 while this replica holds the Lease and may write, 0 while it stands by, or could not renew the Lease.",
)
CLOCK_SKEW_SECONDS = Family(
    "bitgoeul_clock_skew_seconds",
    FamilyType.GAUGE,
    (),
    "Seconds by which the API server's clock is ahead of that of the operator's host; below 0: behind. NaN: not "
    "compared yet. While they differ by more than 30 s, nothing is evicted or deleted because a date has come.",
    unit="seconds",
)
CHECK_FAILING = Family(
    "bitgoeul_check_failing",
    FamilyType.GAUGE,
    ("check",),
    "1 while a check of this replica fails, 0 while it does not: those of /readyz, which say what is wrong; "
    "promises and events: for a minute the API server has not taken a promise, or Events.",
    values={"check": CHECKS},
)
REQUESTS = Family(
    "bitgoeul_kube_requests_total",
    FamilyType.COUNTER,
    ("verb", "resource", "code"),
    "Requests to the API server, watches left out, by HTTP method, resource and HTTP status; code 0: no answer.",
    unit="requests",
)
REQUEST_SECONDS = Family(
    "bitgoeul_kube_request_duration_seconds",
    FamilyType.HISTOGRAM,
    ("verb", "resource"),
    "Seconds from sending a request to the API server until its answer was read, or was given up.",
    unit="seconds",
)
RECONCILES = Family(
    "bitgoeul_reconcile_total",
    FamilyType.COUNTER,
    ("kind", "result"),
    "Passes over one subject of a kind; retry: somebody else was faster, or the API server did not answer, error: it "
    "refused. Both come again by themselves.",
    values={"result": RESULTS},
)
RECONCILE_SECONDS = Family(
    "bitgoeul_reconcile_duration_seconds",
    FamilyType.HISTOGRAM,
    ("kind",),
    "Seconds that one pass over a subject took, whatever its result.",
    unit="seconds",
)
RECONCILE_LAST_SUCCESS = Family(
    "bitgoeul_reconcile_last_success_timestamp_seconds",
    FamilyType.GAUGE,
    ("kind",),
    "When a pass over a subject of this kind last succeeded, in seconds since 1970. Absent: none has yet.",
    unit="seconds",
)
PLAN_SECONDS = Family(
    "bitgoeul_plan_duration_seconds",
    FamilyType.HISTOGRAM,
    (),
    "Seconds that one round of planning took to look at everything and decide; writing promises is not in it.",
    unit="seconds",
)
LOOP_LAG_SECONDS = Family(
    "bitgoeul_event_loop_lag_seconds",
    FamilyType.HISTOGRAM,
    (),
    "Seconds by which the event loop was late for a timer, measured about once a second.",
    unit="seconds",
)
DECISION_SECONDS = Family(
    "bitgoeul_allocation_decision_seconds",
    FamilyType.HISTOGRAM,
    (),
    "Seconds from the creation of an allocation, which the API server tells in whole seconds, until its first decision "
    "was written to its status; each allocation is counted once.",
    unit="seconds",
)
WAIT_SECONDS = Family(
    "bitgoeul_allocation_wait_seconds",
    FamilyType.HISTOGRAM,
    ("kind", "pool"),
    "Seconds from joining the queue until what was asked for was granted, for each pool of which more was granted; 0 "
    "for one that did not have to wait, and for a promised start that was kept. Gone when the pool goes.",
    unit="seconds",
    values={"kind": tuple(POOL_KINDS.values())},
)
TRANSITIONS = Family(
    "bitgoeul_allocation_transitions_total",
    FamilyType.COUNTER,
    ("to", "reason"),
    "Changes of the phase of allocations as they were written, by the new phase and the reason that goes with it. A "
    "series begins with its first change.",
    values={"to": tuple(Phase)},
)
CORRECTIONS = Family(
    "bitgoeul_drift_corrections_total",
    FamilyType.COUNTER,
    ("kind",),
    "Objects of the operator that somebody else had changed or deleted, and that were put right, by their kind. Only "
    "against what this process has seen to stand as wanted: what happened while no operator ran is put right and not "
    "counted.",
    values={"kind": CHILD_KINDS},
)
UNKEPT = Family(
    "bitgoeul_unkept_objects",
    FamilyType.GAUGE,
    ("kind",),
    "Objects of the operator that do not stand as it has written them, by their kind, because another admission policy "
    "or webhook changes what is written; tried again every 30 s.",
    values={"kind": CHILD_KINDS},
)

FAMILIES = (
    BUILD,
    LEADING,
    CLOCK_SKEW_SECONDS,
    CHECK_FAILING,
    REQUESTS,
    REQUEST_SECONDS,
    RECONCILES,
    RECONCILE_SECONDS,
    RECONCILE_LAST_SUCCESS,
    PLAN_SECONDS,
    LOOP_LAG_SECONDS,
    DECISION_SECONDS,
    WAIT_SECONDS,
    TRANSITIONS,
    CORRECTIONS,
    UNKEPT,
)


class Instruments:
    """The counters and histograms of one operator; ``registry`` also takes collectors of others."""

    def __init__(self, version: str) -> None:
        # A second series for each counter and histogram, with the time of its birth: nothing here looks at them.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._leading = self._gauge(LEADING)
        self._clock_skew = self._gauge(CLOCK_SKEW_SECONDS)
        self._clock_skew.set(math.nan)
        self._checks = self._gauge(CHECK_FAILING)
        for check in CHECKS:
            self._checks.labels(check).set(0)
        self._requests = self._counter(REQUESTS)
        self._request_seconds = self._histogram(REQUEST_SECONDS, REQUEST_BUCKETS)
        self._reconciles = self._counter(RECONCILES)
        self._reconcile_seconds = self._histogram(RECONCILE_SECONDS, RECONCILE_BUCKETS)
        self._reconcile_last_success = self._gauge(RECONCILE_LAST_SUCCESS)
        self._plan_seconds = self._histogram(PLAN_SECONDS, PLAN_BUCKETS)
        self._loop_lag_seconds = self._histogram(LOOP_LAG_SECONDS, LAG_BUCKETS)
        self._decision_seconds = self._histogram(DECISION_SECONDS, DECISION_BUCKETS)
        self._wait_seconds = self._histogram(WAIT_SECONDS, WAIT_BUCKETS)
        self._transitions = self._counter(TRANSITIONS)
        self._corrections = self._counter(CORRECTIONS)
        self._unkept = self._gauge(UNKEPT)
        self.set_unkept({})
        for kind in CHILD_KINDS:
            self._corrections.labels(kind)  # at 0 from the start, as the results below
        self._pools: frozenset[PoolKey] = frozenset()
        self._kinds: set[str] = set()
        versions = (version, platform.python_version(), version_of("kopf"), version_of("kubernetes"))
        self._gauge(BUILD).labels(*versions).set(1)

    def observe_request(self, verb: str, resource: str, status: int, seconds: float) -> None:
        """Count one request to the API server; ``status`` is the HTTP code, 0 when there was no answer."""
        self._requests.labels(verb, resource, str(status)).inc()
        self._request_seconds.labels(verb, resource).observe(seconds)

    def observe_reconcile(self, subject: str, result: str, seconds: float) -> None:
        """Count one pass over a subject of this kind; ``result`` is one of ``RESULTS``."""
        if subject not in self._kinds:
            self._kinds.add(subject)
            # All at 0 from the start: a rate over a series that begins at 1 misses its first event.
            for known in RESULTS:
                self._reconciles.labels(subject, known)
        self._reconciles.labels(subject, result).inc()
        self._reconcile_seconds.labels(subject).observe(seconds)
        if result == "success":
            self._reconcile_last_success.labels(subject).set_to_current_time()

    def observe_plan(self, seconds: float) -> None:
        """Count one round of planning."""
        self._plan_seconds.observe(seconds)

    def keep_pools(self, pools: Iterable[PoolKey]) -> None:
        """Show these pools, from 0 on, and no others any more."""
        current = frozenset(pools)
        for pool in current - self._pools:
            self._wait_seconds.labels(POOL_KINDS[pool.kind], pool.name)
        for pool in self._pools - current:
            self._wait_seconds.remove(POOL_KINDS[pool.kind], pool.name)
        self._pools = current

    def observe_decision(self, seconds: float) -> None:
        """Count the first decision about an allocation."""
        self._decision_seconds.observe(seconds)

    def observe_wait(self, pool: PoolKey, seconds: float) -> None:
        """Count that more of a pool was granted after so long; of one that is gone it is not shown."""
        if pool in self._pools:
            self._wait_seconds.labels(POOL_KINDS[pool.kind], pool.name).observe(seconds)

    def observe_transition(self, phase: str, reason: str) -> None:
        """Count that a new phase was written."""
        self._transitions.labels(phase, reason).inc()

    def observe_correction(self, kind: str) -> None:
        """Count one object of ours, of one of ``CHILD_KINDS``, that was put right."""
        self._corrections.labels(kind).inc()

    def set_unkept(self, counts: Mapping[str, int]) -> None:
        """Say how many objects, of each of ``CHILD_KINDS``, do not stand as they were written."""
        for kind in CHILD_KINDS:
            self._unkept.labels(kind).set(counts.get(kind, 0))

    def set_leading(self, leading: bool) -> None:
        """Say whether this replica acts."""
        self._leading.set(leading)

    def show_skew(self, seconds: float | None) -> None:
        """Say how far the API server's clock is ahead; None: not compared yet."""
        self._clock_skew.set(math.nan if seconds is None else seconds)

    def show_checks(self, checks: Mapping[str, str]) -> None:
        """Say which of ``CHECKS`` fail."""
        for check, problem in checks.items():
            self._checks.labels(check).set(bool(problem))

    def observe_loop_lag(self, seconds: float) -> None:
        """Count one look at how late the event loop is."""
        self._loop_lag_seconds.observe(seconds)

    def _counter(self, family: Family) -> Counter:
        return Counter(family.name, family.help, family.labels, unit=family.unit, registry=self.registry)

    def _gauge(self, family: Family) -> Gauge:
        return Gauge(family.name, family.help, family.labels, unit=family.unit, registry=self.registry)

    def _histogram(self, family: Family, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            family.name, family.help, family.labels, unit=family.unit, registry=self.registry, buckets=buckets
        )
