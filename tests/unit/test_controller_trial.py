"""What a refused trial pod means, by the answer of the API server."""

from __future__ import annotations

import pytest

from bitgoeul.cluster.client import ApiError
from bitgoeul.controller.trial import Obstacle, read_refusal, used_up
from bitgoeul.desired.trial_pod import TrialPod
from tests.unit.desired_objects import make_target

WEBHOOK = 'admission webhook "validate.kyverno.svc-fail" denied the request: resource Pod was blocked'
FOREIGN = "pods \"bitgoeul-proof\" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'x' denied request: no"
OWN = (
    "pods \"bitgoeul-proof\" is forbidden: ValidatingAdmissionPolicy 'bitgoeul-pool-a100' with binding "
    "'bitgoeul-pool-a100' denied request: pool a100: devices"
)
MINIMUM = 'pods "bitgoeul-proof" is forbidden: minimum cpu usage per Container is 100m, but request is 1m'


def read(status: int, message: str) -> Obstacle | None:
    error = ApiError(status, {"message": message}, "POST pods")
    return read_refusal(error, "a100", make_target(), TrialPod())


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param(400, WEBHOOK, id="a webhook that names no code"),
        pytest.param(418, WEBHOOK, id="a webhook with a code of its own"),
        pytest.param(401, WEBHOOK, id="a webhook that calls it unauthorized"),
        pytest.param(403, FOREIGN, id="a policy that forbids it"),
        pytest.param(413, FOREIGN, id="a policy that calls it too large"),
        pytest.param(422, FOREIGN, id="a policy that calls it invalid"),
        pytest.param(403, MINIMUM, id="a LimitRange of somebody else"),
        pytest.param(403, "failed quota: theirs: must specify limits.cpu for: proof", id="a quota of somebody else"),
        pytest.param(403, 'violates PodSecurity "restricted:latest"', id="pod security"),
    ],
)
def test_somebody_elses_refusal_lasts_and_names_the_way_out(status: int, message: str) -> None:
    """Waiting does not help; the options do."""
    found = read(status, message)
    assert found is not None
    assert found.lasting
    assert found.message.startswith(f"a trial pod for a100 in blue is refused: {message}; ")
    assert "--trial-pod-image" in found.message


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param(403, OWN, id="the pool's own policy, before its other half acts"),
        pytest.param(403, "error looking up service account blue/default", id="a namespace that is new"),
        pytest.param(404, 'namespaces "blue" not found', id="a namespace that is not known yet"),
        pytest.param(500, 'failed calling webhook "x"', id="a webhook that does not answer"),
    ],
)
def test_what_passes_by_itself_names_no_way_out(status: int, message: str) -> None:
    """Nobody has to do anything about the trial pod."""
    assert read(status, message) == Obstacle(f"a trial pod for a100 in blue is refused: {message}")


def test_a_missing_right_is_no_matter_of_the_trial_pod() -> None:
    """It stays until the role is whole again."""
    found = read(403, 'User "x" cannot create resource "pods" in API group ""')
    assert found is not None
    assert found.lasting
    assert "--trial-pod" not in found.message


@pytest.mark.parametrize("status", [401, 409, 429, 503])
def test_other_answers_are_not_about_the_pod(status: int) -> None:
    """Credentials, conflicts and an API server that is busy are left to those who know."""
    assert read(status, "try again") is None


def test_a_long_refusal_leaves_room_for_the_way_out() -> None:
    """A message in a condition has 1024 characters."""
    found = read(403, "x" * 3000)
    assert found is not None
    assert len(found.message) < 1024
    assert found.message.endswith("(chart value trialPod)")


@pytest.mark.parametrize(("quota", "ours"), [("bitgoeul", True), ("bitgoeul-more", False), ("theirs", False)])
def test_only_our_own_quota_can_be_used_up(quota: str, ours: bool) -> None:
    """By the tenant's pods; a quota of somebody else is in the way, and that is told."""
    message = f"exceeded quota: {quota}, requested: requests.cpu=1m, used: requests.cpu=1, limited: requests.cpu=1"
    assert used_up(ApiError(403, {"message": message}, "POST pods")) is ours
