"""
Proves that the admission policies of tenants and of pools act in a namespace, before members get in.

A new policy acts about a second after it was written. What the API server makes of a trial pod, in a dry run, shows
that it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime

from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import ApiError
from bitgoeul.cluster.kinds import MUTATING_BINDING, MUTATING_POLICY, VALIDATING_BINDING, VALIDATING_POLICY
from bitgoeul.cluster.writer import Writer
from bitgoeul.controller.trial import NO_RIGHT, Obstacle, read_refusal, used_up
from bitgoeul.desired.admission_policies import build_proof_pod, policy_acts, policy_name
from bitgoeul.desired.tenant_policies import POLICY_NAME, build_tenant_proof_pod, refused_for_grace
from bitgoeul.desired.trial_pod import TrialPod
from bitgoeul.desired.world import NamespaceTarget, World
from bitgoeul.planning.pools import PoolKey, PoolKind, accelerator

# A new admission policy acts after about a second; three times that, where it cannot be tried out.
POLICY_SECONDS = 3.0
POLICY_KINDS = (MUTATING_POLICY, MUTATING_BINDING, VALIDATING_POLICY, VALIDATING_BINDING)


class PolicyProof:
    """See the module's text; ``trial`` is what the trial pods say beside the device of their pool."""

    def __init__(self, cache: Cache, writer: Writer, clock: Callable[[], datetime], trial: TrialPod) -> None:
        self._cache = cache
        self._writer = writer
        self._clock = clock
        self._trial = trial
        self._proved: set[tuple[str, ...]] = set()  # versions of policies that were seen to act
        self._seen: dict[tuple[str, ...], float] = {}  # versions that are not proved yet → since when they stand

    async def obstacle(self, target: NamespaceTarget, world: World) -> Obstacle | None:
        """
        Ask the API server what it would make of pods here; None when the policies of tenants and pools act.

        Once for each version of the policies: what takes time is a new policy, not a new namespace.

        Returns:
            What is not yet as it should be.
        """
        obstacle = await self._of_tenants(target.name)
        if obstacle is not None:
            return obstacle
        for pool, devices in sorted(target.devices.items()):
            spec = world.accelerators.get(pool)
            if not devices or spec is None:
                continue
            versions = self._policy_versions(policy_name(pool))
            if versions is None:
                return Obstacle(f"the admission policies of {pool} are not in place yet")
            if versions in self._proved:
                continue
            try:
                answer = await self._writer.try_pod(build_proof_pod(target, spec, self._trial))
            except ApiError as error:
                if used_up(error) and accelerator(pool) not in self.new_pools([accelerator(pool)]):
                    continue  # all is in use, so that nothing can be tried; the policies have had their time
                refused = read_refusal(error, pool, target, self._trial)
                if refused is None:
                    raise
                return refused
            if not policy_acts(answer, spec):
                return Obstacle(f"the admission policy of {pool} does not act in {target.name} yet")
            self._proved.add(versions)
        return None

    async def _of_tenants(self, namespace: str) -> Obstacle | None:
        """The same for the policies of all tenants, by a pod that they have to refuse."""
        versions = self._policy_versions(POLICY_NAME)
        if versions is None:
            return Obstacle("the admission policies of all tenants are not in place yet")
        if versions in self._proved:
            return None
        since = self._seen.setdefault(versions, time.monotonic())
        try:
            await self._writer.try_pod(build_tenant_proof_pod(namespace, self._trial))
        except ApiError as error:
            if error.transient or error.not_found or error.conflict or error.terminating:
                raise
            if error.status == 401 or NO_RIGHT in error.message:
                raise  # says nothing about the pod
            refused = error.message
        else:
            refused = ""
        if not refused or "exceeded quota" in refused or "failed quota" in refused:  # quota comes after the policies
            return Obstacle(f"the admission policies of all tenants do not act in {namespace} yet")
        # Where a policy of somebody else refuses the trial pod before ours could, ours get time.
        waits = "service account" in refused or time.monotonic() < since + POLICY_SECONDS
        if waits and not refused_for_grace(refused):
            return Obstacle(f"a trial pod in {namespace} is refused: {refused}")
        self._seen.clear()
        self._proved.add(versions)
        return None

    def new_pools(self, asked: Iterable[PoolKey]) -> frozenset[PoolKey]:
        """Those of the pools whose policies may not act yet, because they are missing or a few seconds old."""
        new = set()
        for pool in asked:
            if pool.kind is PoolKind.ACCELERATORS:
                entries = [self._cache.get(kind, policy_name(pool.name)) for kind in POLICY_KINDS]
                if any(entry is None or self._age(entry) < POLICY_SECONDS for entry in entries):
                    new.add(pool)
        return frozenset(new)

    def _age(self, entry: Entry) -> float:
        created = datetime.fromisoformat(entry.obj["metadata"]["creationTimestamp"])
        return (self._clock() - created).total_seconds()

    def _policy_versions(self, name: str) -> tuple[str, ...] | None:
        """Which policies and bindings of this name stand; None when one is missing."""
        entries = [self._cache.get(kind, name) for kind in POLICY_KINDS]
        found = [entry for entry in entries if entry is not None]
        if len(found) < len(entries):
            return None
        # The generation: a status that the server writes does not make a policy new.
        return tuple(f"{entry.uid}/{entry.obj['metadata'].get('generation', 0)}" for entry in found)
