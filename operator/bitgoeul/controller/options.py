"""
How an operator is run: what its command line says, in values that are checked already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from bitgoeul.api.names import OPERATOR_NAMESPACE
from bitgoeul.desired.trial_pod import TrialPod
from bitgoeul.planning.pending import PENDING_AFTER


@dataclass(frozen=True, slots=True)
class Options:
    """
    How to run.

    Attributes:
        metrics_port: 0 takes a free one; None serves nothing.
        namespace: Where this operator runs, for those who look for it.
        workers: Allocations and pools that are worked on at the same time.
        clock_offset: Shifts the time by which is planned; Lease, Events and transition times keep to the real one.
        trial_pod: What the trial pods say, so that other policies of the cluster let them through.
        pending_after: How long a pod waits for a node before its allocation tells of it.
        allowed_roles: ClusterRoles that members may be given beside our own.
    """

    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = 9400
    namespace: str = OPERATOR_NAMESPACE
    workers: int = 16
    clock_offset: timedelta = timedelta(0)
    trial_pod: TrialPod = field(default_factory=TrialPod)
    pending_after: timedelta = PENDING_AFTER
    allowed_roles: frozenset[str] = frozenset()
