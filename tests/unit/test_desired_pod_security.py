"""What status and Events say of a pod security level, at each turn of an allocation's life."""

from __future__ import annotations

import pytest

from bitgoeul.desired.allocation_status import Progress
from bitgoeul.desired.pod_security import level_news, pod_security_text
from bitgoeul.planning.allocations import read_allocation
from tests.unit.builders import Manifest, make_allocation
from tests.unit.lives import LIVES, ahead, holding, recorded, status_of

RDMA = {"level": "privileged", "reason": "RDMA needs IPC_LOCK"}


def relaxed(status: Manifest) -> list[tuple[str, str, str]]:
    return [
        (one["status"], one["reason"], one["message"])
        for one in status["conditions"]
        if one["type"] == "PodSecurityRelaxed"
    ]


@pytest.mark.parametrize(("objects", "progress"), [pytest.param(*life[:2], id=name) for name, life in LIVES.items()])
def test_the_condition_is_there_just_while_the_grant_is_in_force(objects: list[Manifest], progress: Progress) -> None:
    """Before, afterwards and in between no pod may do more; with the promise alone no namespace has the level yet."""
    for obj in objects:
        if obj["kind"] == "TenantAllocation":
            obj["spec"] = obj["spec"] | {"podSecurity": RDMA}
    status = status_of(objects, progress)
    admitted = next(one["status"] for one in status["conditions"] if one["type"] == "Admitted")
    found = [("True", "PodSecurityLowered", "privileged: RDMA needs IPC_LOCK")]
    assert relaxed(status) == (found if admitted == "True" and progress.namespaces else [])


@pytest.mark.parametrize("given", [None, {"level": "baseline", "reason": "as ever"}, {"level": "restricted"}])
def test_a_level_that_is_no_weaker_is_not_worth_a_condition(given: Manifest | None) -> None:
    """The default and stricter ones take nothing from anybody."""
    more = {"podSecurity": given} if given else {}
    assert relaxed(status_of(holding(recorded(-1), window={"end": ahead(9)}, **more))) == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, ""),
        ({"level": "baseline", "reason": "as ever"}, ""),
        ({"level": "restricted"}, "restricted"),
        ({"level": "restricted", "reason": "guests"}, "restricted: guests"),
        (RDMA, "privileged: RDMA needs IPC_LOCK"),
    ],
)
def test_what_differs_from_the_default_is_named(given: Manifest | None, text: str) -> None:
    """With its reason, if there is one."""
    assert pod_security_text(read_allocation(make_allocation(podSecurity=given))) == text


def test_a_door_that_opens_changes_or_shuts_is_news_once() -> None:
    """Another reason is news too; a status that says the same is none."""
    shut = status_of(holding(recorded(-1)))
    opened = status_of(holding(recorded(-1), podSecurity=RDMA))
    other = status_of(holding(recorded(-1), podSecurity=RDMA | {"reason": "eBPF"}))
    assert level_news(shut, opened) == ("PodSecurityLowered", "pod security is privileged: RDMA needs IPC_LOCK", True)
    assert level_news(opened, other) == ("PodSecurityLowered", "pod security is privileged: eBPF", True)
    assert level_news(other, shut) == (
        "PodSecurityRestored",
        "pod security is as usual again for new pods; it was privileged: eBPF",
        False,
    )
    assert level_news(opened, opened) is level_news(shut, shut) is None
