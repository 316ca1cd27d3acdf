"""The pod that proves a pool's policies passes everybody else's policies, or the status says how it can."""

from __future__ import annotations

import pytest

from tests.cluster.faults import Launch, forget_lease
from tests.cluster.foreign_policies import wanted
from tests.cluster.scenario import World, said

pytest_plugins = ["tests.cluster.fault_fixtures"]

REGISTRY = "object.spec.containers.all(c, c.image.startsWith('harbor.gj-ai.example/'))"
TEAM = "has(object.metadata.labels) && 'team' in object.metadata.labels"
OWNER = "has(object.metadata.annotations) && 'example.org/owner' in object.metadata.annotations"
MINIMUM = (
    "object.spec.containers.all(c, has(c.resources.requests) && 'cpu' in c.resources.requests &&"
    " quantity(c.resources.requests.cpu).compareTo(quantity('100m')) >= 0)"
)
LIMITS = (
    "object.spec.containers.all(c, has(c.resources.limits) && 'cpu' in c.resources.limits"
    " && 'memory' in c.resources.limits)"
)
MEMBERS = [{"kind": "Group", "name": "blue", "role": "edit"}]


@pytest.mark.parametrize(
    ("expression", "options"),
    [
        pytest.param(
            REGISTRY, ["--trial-pod-image=harbor.gj-ai.example/library/pause:3.10"], id="only images of one registry"
        ),
        pytest.param(TEAM, ["--trial-pod-label=team=platform"], id="a label on every pod"),
        pytest.param(OWNER, ["--trial-pod-annotation=example.org/owner=platform"], id="an annotation on every pod"),
        pytest.param(MINIMUM, ["--trial-pod-request=cpu=100m"], id="a minimum of CPU"),
        pytest.param(LIMITS, ["--trial-pod-limit=cpu=1", "--trial-pod-limit=memory=128Mi"], id="limits on every pod"),
        pytest.param(
            "object.spec.?securityContext.?runAsGroup.orValue(0) > 0"
            " && object.spec.?securityContext.?fsGroup.orValue(0) > 0"
            " && object.spec.containers.all(c, c.?securityContext.?readOnlyRootFilesystem.orValue(false))",
            [],
            id="nobody's group and a read-only root file system, without any option",
        ),
    ],
)
def test_what_other_policies_want_is_an_option(
    fault_world: World, launch: Launch, expression: str, options: list[str]
) -> None:
    """An operator that is told what they want grants; one that is not is told how, by name, and waits for somebody."""
    world, message = fault_world, "as the platform wants it"
    blue = world.name("blue")
    with wanted(world, blue, expression, message=message):
        first = launch("plain")
        pool = world.pool(devices=8)
        world.allocate("blue", {pool: 8}, members=MEMBERS)
        if not options:
            world.await_phase(blue, "Active")
            return
        ready = world.await_reason(blue, "Ready", "PolicyNotEffective")
        assert f"a trial pod for {pool} in {blue} is refused: " in ready["message"]
        assert message in ready["message"]
        assert options[0].split("=")[0] in ready["message"]
        assert "chart value trialPod" in ready["message"]
        assert said(world.status(blue), "Reconciling", "Stalled") == {
            "Reconciling": ("False", "PolicyNotEffective"),
            "Stalled": ("True", "PolicyNotEffective"),
        }
        assert world.bindings(blue) == {}
        first.kill()
        forget_lease(world.admin)
        launch("told", None, *options)
        world.await_phase(blue, "Active")
        assert world.bindings(blue) == {"bitgoeul:edit": ["blue"]}


def test_it_heals_when_the_other_policy_is_gone(fault_world: World, launch: Launch) -> None:
    """Nobody has to touch the allocation."""
    world = fault_world
    launch()
    pool, blue = world.pool(devices=8), world.name("blue")
    with wanted(world, blue, REGISTRY):
        world.allocate("blue", {pool: 8}, members=MEMBERS)
        world.await_reason(blue, "Ready", "PolicyNotEffective")
    world.await_phase(blue, "Active")


@pytest.mark.parametrize("reason", ["Forbidden", "Invalid", "RequestEntityTooLarge"])
def test_any_word_of_refusal_is_told(fault_world: World, launch: Launch, reason: str) -> None:
    """A policy may answer with 403, 413 or 422: it is a refusal of the trial pod, and no other trouble."""
    world = fault_world
    launch()
    pool, blue = world.pool(devices=8), world.name("blue")
    with wanted(world, blue, REGISTRY, reason=reason):
        world.allocate("blue", {pool: 8}, members=MEMBERS)
        ready = world.await_reason(blue, "Ready", "PolicyNotEffective")
    assert "--trial-pod-image" in ready["message"]


def test_a_policy_may_exempt_dry_runs_of_the_operator(fault_world: World, launch: Launch) -> None:
    """For what no option can say: nothing is stored by a dry run, so that the exemption gives nothing away."""
    world = fault_world
    launch()
    pool, blue = world.pool(devices=8), world.name("blue")
    mine = "request.dryRun && request.name == 'bitgoeul-proof'"
    with wanted(
        world, blue, "has(object.spec.priorityClassName)", exempt=mine, message="name a class", reason="Forbidden"
    ):
        world.allocate("blue", {pool: 8}, members=MEMBERS)
        world.await_phase(blue, "Active")
        assert "name a class" in world.refused(blue, "plain", pool, 1)


def test_a_quota_smaller_than_the_trial_pod_is_no_obstacle(fault_world: World, launch: Launch) -> None:
    """The trial pod asks for no more than the namespace may use, also where that is nothing."""
    world = fault_world
    launch("large", None, "--trial-pod-request=cpu=4", "--trial-pod-request=memory=8Gi")
    pool = world.pool(devices=8, perDevice={"cpu": "500m", "memory": "1Gi"})
    bare = world.pool("bare", devices=8)
    spaces = [
        {"name": world.name("first"), "accelerators": {pool: 1}},
        {"name": world.name("second"), "accelerators": {bare: 1}},
    ]
    world.active("blue", {pool: 1, bare: 1}, members=MEMBERS, namespaces=spaces)


def test_a_cut_request_is_told(fault_world: World, launch: Launch) -> None:
    """Where somebody wants more than the tenant may use, the message says that too."""
    world = fault_world
    launch("large", None, "--trial-pod-request=cpu=1")
    pool = world.pool(devices=8, perDevice={"cpu": "50m"})
    blue = world.name("blue")
    with wanted(world, blue, MINIMUM):
        world.allocate("blue", {pool: 1}, members=MEMBERS)
        ready = world.await_reason(blue, "Ready", "PolicyNotEffective")
    assert "it asks for cpu 50m instead of 1, because the namespace may use no more" in ready["message"]
