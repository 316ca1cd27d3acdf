"""The demo's member at work, in a namespace whose quota is miscounted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.cluster.client import connect
from bitgoeul.cluster.kinds import POD, RESOURCE_QUOTA
from bitgoeul.demo.samples import Tester as Member
from bitgoeul.demo.tenant import DEVICES_PER_POD, Tenant
from bitgoeul.desired.cluster_roles import build_tenant_roles
from bitgoeul.desired.role_bindings import build_role_bindings
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import Admin, Manifest
from tests.cluster.audit import entries, mark
from tests.cluster.desired_tenancy import GPU, apply, tenants
from tests.cluster.kubectl import Kubectl
from tests.cluster.waiting import eventually
from tests.unit.desired_objects import make_member

PODS = 2
USER = "ann"


@pytest.fixture
def tester(kubectl: Kubectl) -> Iterator[Member]:
    """A member of a namespace with devices for two pods."""
    with tenants(kubectl) as make:
        target = make("work", devices={"a100": PODS * DEVICES_PER_POD})
        apply(kubectl, *build_tenant_roles(), *build_role_bindings(target, [make_member("edit", USER)]))
        yield Member(USER, "work", "Work", target.name, "a100", PODS * DEVICES_PER_POD)
    kubectl("delete", "clusterrole", *(role["metadata"]["name"] for role in build_tenant_roles()))


def test_a_pod_that_slips_past_a_miscounted_quota_is_taken_back(control_plane: ControlPlane, tester: Member) -> None:
    """What is told is the API server's own refusal all the same, and no pod too many stays."""
    place = mark(control_plane)
    with closing(Admin(control_plane)) as admin:

        async def work() -> str:
            async with connect(control_plane.kubeconfig) as api:
                tenant = Tenant(api, tester, GPU)
                if not admin.items(POD.path("", tester.namespace)):
                    assert await tenant.fill() == PODS
                # As if the quota controller had not heard of the pods.
                quota = RESOURCE_QUOTA.path(QUOTA_NAME, tester.namespace, "status")
                admin.merge(quota, {"status": {"used": {f"requests.{GPU}": "0"}}})
                return await tenant.overstep(PODS + 1)

        def slipped() -> bool:
            # The API server may not have heard of the wrong count yet, or the controller may have put it right.
            said = asyncio.run(work())
            assert f"exceeded quota: {QUOTA_NAME}, requested: requests.{GPU}={DEVICES_PER_POD}" in said
            gone = {entry["objectRef"].get("name") for entry in entries(control_plane, place) if is_deletion(entry)}
            return f"train-{PODS + 1}" in gone

        eventually(slipped, "a pod too many is let in, and taken back")
        left = {pod["metadata"]["name"] for pod in admin.items(POD.path("", tester.namespace))}
        assert left == {f"train-{number}" for number in range(1, PODS + 1)}


def is_deletion(entry: Manifest) -> bool:
    """Whether an entry of the audit log is about a pod that the demo has deleted."""
    return bool(entry.get("userAgent") == "bitgoeul-demo" and entry["verb"] == "delete")
