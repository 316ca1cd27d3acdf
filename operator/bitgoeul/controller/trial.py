"""
What a refused trial pod means: who refuses it, whether that passes by itself, and the way out. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.cluster.client import ApiError
from bitgoeul.desired.admission_policies import policy_name
from bitgoeul.desired.trial_pod import TrialPod, cut_requests
from bitgoeul.desired.world import NamespaceTarget

MAX_QUOTED = 500  # characters of somebody else's message; the way out has to fit behind it
# A policy answers with 403, 413 or 422, a webhook with 400 or any code of its own.
ANSWERED = frozenset({400, 403, 404, 413, 422, 500})
DENIED = "denied"
# What a refusal says that has nothing to do with what the pod looks like, or passes by itself.
OUR_POLICY = policy_name("")
PASSING = (
    OUR_POLICY,
    "error looking up service account",
    "not yet ready to handle request",
    "is being terminated",
)
NO_RIGHT = "cannot create resource"
WAY_OUT = (
    "if another policy of the cluster wants the trial pod otherwise, say how: bitgoeul run --trial-pod-image, "
    "--trial-pod-label, --trial-pod-annotation, --trial-pod-request or --trial-pod-limit (chart value trialPod)"
)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """
    Why it is not proved that the policies of a pool act.

    Attributes:
        lasting: Nothing changes before somebody changes something.
    """

    message: str
    lasting: bool = False


def used_up(error: ApiError) -> bool:
    """Tell whether the quota that we wrote has nothing left for a trial pod; a quota of others does not count."""
    return f"exceeded quota: {QUOTA_NAME}," in error.message


def read_refusal(error: ApiError, pool: str, target: NamespaceTarget, trial: TrialPod) -> Obstacle | None:
    """Say who refused a trial pod and what to do; None: the answer is not about the pod."""
    if error.status not in ANSWERED and not (400 <= error.status < 500 and DENIED in error.message):
        return None
    quoted = error.message if len(error.message) <= MAX_QUOTED else f"{error.message[:MAX_QUOTED]}…"
    found = f"a trial pod for {pool} in {target.name} is refused: {quoted}"
    if error.status in (404, 500) or any(text in error.message for text in PASSING):
        return Obstacle(found)
    if NO_RIGHT in error.message:
        return Obstacle(found, lasting=True)
    cut = cut_requests(trial, target)
    less = f"; it asks for {cut}, because the namespace may use no more" if cut else ""
    return Obstacle(f"{found}{less}; {WAY_OUT}", lasting=True)
