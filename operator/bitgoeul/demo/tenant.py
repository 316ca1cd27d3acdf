"""
A tenant at work: somebody with no rights but those of a member, who starts pods until the API server says no.

The administrator impersonates the member, as `kubectl --as` does: every request is judged as the member's own.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.cluster.client import Api, ApiError
from bitgoeul.cluster.kinds import POD, RESOURCE_QUOTA, VOLUME_CLAIM, Kind
from bitgoeul.demo.board import Row, read_table
from bitgoeul.demo.samples import Object, Tester
from bitgoeul.errors import UserError

DEVICES_PER_POD = 2
ACCESS_SECONDS = 30.0
RUNNING_SECONDS = 60.0
COUNTED_SECONDS = 60.0  # every 15 s a quota is counted anew
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Tenant:
    """One member in one namespace."""

    api: Api
    tester: Tester
    resource: str  # what the pool's devices are called in a pod

    @property
    def headers(self) -> dict[str, str]:
        return {"Impersonate-User": self.tester.user, "User-Agent": "bitgoeul-demo"}

    @property
    def kubectl(self) -> str:
        """The start of a command that does the same."""
        return f"kubectl --as {self.tester.user} -n {self.tester.namespace}"

    async def fill(self) -> int:
        """
        Start as many pods as the share has room for, and return how many.

        Raises:
            UserError: The API server refuses one of them.
        """
        count = self.tester.devices // DEVICES_PER_POD
        await self._await_access()
        for number in range(1, count + 1):
            try:
                await self._start(number)
            except ApiError as error:
                raise UserError(f"pod train-{number} is within the quota and was refused: {error.message}") from error
        return count

    async def overstep(self, number: int) -> str:
        """
        Start a pod beyond the quota, and return the API server's refusal.

        A quota that is counted anew just when pods come misses one, and lets in one too many, until it is counted once
        more. What comes in so is taken back, and tried again.

        Raises:
            UserError: It was not refused: nothing that this program says about enforcement would be true.
        """
        deadline = time.monotonic() + COUNTED_SECONDS
        while True:
            try:
                await self._start(number)
            except ApiError as error:
                if "exceeded quota" in error.message:
                    return error.message
                raise UserError(f"pod train-{number} was refused for another reason than its quota: {error}") from error
            await self._take_back(number)
            counted = False
            while not counted:
                if time.monotonic() > deadline:
                    raise UserError(f"pod train-{number} exceeds the quota of {self.tester.namespace} and was admitted")
                await asyncio.sleep(POLL_SECONDS)
                counted = await self._counted() == (number - 1) * DEVICES_PER_POD

    async def running(self, count: int) -> list[Row]:
        """
        Wait until all pods run, and return them.

        Raises:
            UserError: They do not, within the time.
        """
        deadline = time.monotonic() + RUNNING_SECONDS
        while True:
            pods = await self.table(POD)
            if len(pods) == count and all(pod.cells["Status"] == "Running" for pod in pods):
                return pods
            if time.monotonic() > deadline:
                raise UserError(
                    f"{count} pods should run in {self.tester.namespace} by now; there are: {listing(pods)}"
                )
            await asyncio.sleep(POLL_SECONDS)

    async def table(self, kind: Kind) -> list[Row]:
        """What the member sees in its namespace."""
        return await read_table(self.api, kind.path("", self.tester.namespace), self.headers)

    async def bound_claims(self) -> list[Row]:
        """
        The volume claims, all of them bound.

        Raises:
            UserError: There is none, or one has lost its volume.
        """
        claims = await self.table(VOLUME_CLAIM)
        if not claims or any(claim.cells["Status"] != "Bound" for claim in claims):
            raise UserError(f"the data of {self.tester.namespace} should still be there; there is: {listing(claims)}")
        return claims

    async def _start(self, number: int) -> None:
        """Start a pod; while its quota is being counted, writing down one more may come too late, and is repeated."""
        pod = build_pod(f"train-{number}", self.resource)
        deadline = time.monotonic() + COUNTED_SECONDS
        while True:
            try:
                await self.api.request("POST", POD.path("", self.tester.namespace), pod, headers=self.headers)
            except ApiError as error:
                if not (error.conflict and "resourcequotas" in error.message) or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(POLL_SECONDS)
            else:
                return

    async def _take_back(self, number: int) -> None:
        path = POD.path(f"train-{number}", self.tester.namespace)
        await self.api.request("DELETE", path, {"gracePeriodSeconds": 1}, headers=self.headers)

    async def _counted(self) -> int:
        """Devices that the quota says are used."""
        path = RESOURCE_QUOTA.path(QUOTA_NAME, self.tester.namespace)
        status = (await self.api.request("GET", path, headers=self.headers)).get("status") or {}
        return int((status.get("used") or {}).get(f"requests.{self.resource}", "0"))

    async def _await_access(self) -> None:
        """The API server learns of new role bindings a moment after they are stored."""
        attributes = {"namespace": self.tester.namespace, "verb": "create", "resource": "pods"}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        deadline = time.monotonic() + ACCESS_SECONDS
        while not (await self.api.request("POST", path, review, headers=self.headers))["status"]["allowed"]:
            if time.monotonic() > deadline:
                raise UserError(f"{self.tester.user} has no access to {self.tester.namespace}, although it is Ready")
            await asyncio.sleep(POLL_SECONDS)


def listing(rows: list[Row]) -> str:
    """``train-1 Running, train-2 Pending``."""
    return ", ".join(f"{row.name} {row.cells['Status']}" for row in rows) or "none"


def build_pod(name: str, resource: str) -> Object:
    """A pod as a tenant writes it: how many devices, and nothing about nodes."""
    container = {
        "name": "train",
        "image": "registry.example.org/train:1",  # never pulled: the node is simulated
        "resources": {"limits": {resource: str(DEVICES_PER_POD)}},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}
