"""What an edit does to those who hold something: evictions, access, namespaces, data, and when."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from bitgoeul.cli.consequences import Inventory, as_json, consequence_lines, in_short, uncounted_line
from bitgoeul.planning.moments import moment
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.snapshot import Snapshot
from bitgoeul.whatif.changes import change
from bitgoeul.whatif.consequences import NONE, Consequences, Eviction, consequences
from bitgoeul.whatif.future import open_snapshot
from bitgoeul.whatif.manifests import Manifest as Written
from tests.unit.builders import (
    GPU,
    NOW,
    Manifest,
    hour,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_node,
    make_record,
    make_storage_pool,
    observe,
)

TIB = 2**40
MEMBERS = [
    {"kind": "User", "name": "kim", "role": "admin"},
    {"kind": "Group", "name": "blue", "role": "edit"},
    {"kind": "ServiceAccount", "namespace": "ci", "name": "bot", "role": "view"},
]
SPEC: Manifest = {
    "window": {"end": hour(240)},
    "namespaces": [
        {"name": "train", "accelerators": {"a100": 6}, "storage": {"lustre": "10Ti"}},
        {"name": "dev", "accelerators": {"a100": 2}, "storage": {"lustre": "5Ti"}},
    ],
    "members": MEMBERS,
    "expiry": {"grace": "72h"},
}
POOL = make_accelerator_pool("a100")


def cluster(delete_at: float | None = None, **spec: Any) -> list[Manifest]:
    """``blue`` in force since yesterday with 8 devices in two namespaces; ``red`` waits for some of them."""
    given = SPEC | spec
    end = 240 if "end" in given["window"] else None
    blue = make_allocation(
        "blue",
        {"a100": 8},
        {"lustre": "15Ti"},
        grant={"accelerators": {"a100": 8}, "storage": {"lustre": "15Ti"}},
        status=make_record(0, end, drain=None if end is None else end + 72, delete=delete_at)
        | {
            "shares": [
                {"name": "train", "uid": "uid-train", "accelerators": {"a100": 6}, "storage": {"lustre": "10Ti"}},
                {"name": "dev", "uid": "uid-dev", "accelerators": {"a100": 2}, "storage": {"lustre": "5Ti"}},
            ]
        },
        **given,
    )
    return [
        POOL,
        make_storage_pool("lustre", "100Ti"),
        make_node(),
        blue,
        *make_held("train", {GPU: 6, "lustre": "10Ti"}, {GPU: 5, "lustre": "3Ti"}, owner="blue", pools=["a100"]),
        *make_held("dev", {GPU: 2, "lustre": "5Ti"}, {GPU: 1, "lustre": "1Ti"}, owner="blue", pools=["a100"]),
        make_allocation("red", {"a100": 4}, created=1),
    ]


def merged(spec: Manifest, changes: Manifest) -> Manifest:
    """A spec with changes, of which None takes a field away."""
    result = copy.deepcopy(spec) | changes
    return {key: value for key, value in result.items() if value is not None}


def tried(
    objects: list[Manifest], *changed: Written, allowed: frozenset[str] = frozenset()
) -> tuple[dict[str, Consequences], Snapshot]:
    observed = replace(observe(objects), allowed_roles=allowed)
    before = open_snapshot(observed, NOW, NOW)
    live = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
    after = open_snapshot(change(observed, changed, live, NOW), NOW, NOW)
    return consequences((before, make_plan(before)), (after, make_plan(after))), before


def edited(objects: list[Manifest], allowed: frozenset[str] = frozenset(), **changes: Any) -> Consequences:
    """What an edit of ``blue`` does to it; nobody else loses anything."""
    spec = next(obj for obj in objects if obj["metadata"]["name"] == "blue")["spec"]
    found, _ = tried(objects, Written("new.yaml", "TenantAllocation", "blue", merged(spec, changes)), allowed=allowed)
    assert found.keys() <= {"blue"}
    return found.get("blue", NONE)


def pods(number: int, namespace: str = "blue") -> list[Manifest]:
    """Pods of a namespace with a device each, the youngest last."""
    return [
        {
            "metadata": {
                "name": f"pod-{n}",
                "uid": f"{namespace}-{n}",
                "creationTimestamp": f"2021-04-15T00:00:{n:02}Z",
            },
            "spec": {"containers": [{"resources": {"limits": {GPU: "1"}}}]},
        }
        for n in range(number)
    ]


INVENTORY = Inventory(
    pods={"train": pods(5, "train"), "dev": pods(1, "dev")},
    claims={"dev": [{"metadata": {"name": "data"}}], "train": []},
)


def told(found: Consequences, inventory: Inventory = INVENTORY) -> list[str]:
    return consequence_lines("blue", found, inventory, moment(NOW))


LOOK = "User kim, Group blue may only look"


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        pytest.param(
            {"suspend": True},
            ["blue  evicts 6 pods at once (suspend)", f"blue  {LOOK} at once (suspend)"],
            id="suspend",
        ),
        pytest.param(
            {"suspend": True, "expiry": {"workload": "Keep"}},
            [f"blue  {LOOK} at once (suspend)"],
            id="suspend and keep",
        ),
        pytest.param(
            {"window": {"end": hour(20)}},
            [
                "blue  evicts 6 pods 2021-04-18 15:00Z (the window ends sooner)",
                f"blue  {LOOK} 2021-04-18 15:00Z (the window ends sooner)",
            ],
            id="an end that is over",
        ),
        pytest.param(
            {"window": {"end": hour(48)}},
            [
                "blue  evicts 6 pods 2021-04-19 15:00Z (the window ends sooner)",
                f"blue  {LOOK} 2021-04-19 15:00Z (the window ends sooner)",
            ],
            id="an earlier end",
        ),
        pytest.param(
            {"expiry": {"grace": "0s"}},
            [
                "blue  evicts 6 pods 2021-04-24 15:00Z (the grace is shorter)",
                f"blue  {LOOK} 2021-04-24 15:00Z (the grace is shorter)",
            ],
            id="a shorter grace",
        ),
        pytest.param({"window": {"end": hour(300)}}, [], id="a later end"),
        pytest.param({"priority": 900}, [], id="another place in the queue"),
        pytest.param({"expiry": {"grace": "72h", "workload": "Keep"}}, [], id="pods that are kept"),
        pytest.param(
            {
                "accelerators": [{"pool": "a100", "devices": 5}],
                "namespaces": [{**SPEC["namespaces"][0], "accelerators": {"a100": 3}}, SPEC["namespaces"][1]],
            },
            ["blue  evicts 2 pods 2021-04-18 15:00Z (in train: its share falls to 3 of a100)"],
            id="fewer devices than are used",
        ),
        pytest.param(
            {
                "namespaces": [
                    {**SPEC["namespaces"][0], "accelerators": {"a100": 8}},
                    {**SPEC["namespaces"][1], "accelerators": {}},
                ],
            },
            ["blue  evicts 1 pod 2021-04-18 15:00Z (in dev: its share falls to 0 of a100)"],
            id="devices that move to the other namespace",
        ),
        pytest.param(
            {
                "accelerators": [{"pool": "a100", "devices": 2}],
                "namespaces": [{**SPEC["namespaces"][0], "accelerators": {"a100": 2}}],
            },
            [
                "blue  evicts 1 pod at once (namespace dev is left)",
                "blue  evicts 3 pods 2021-04-18 15:00Z (shrinks to 2 of a100)",
                "blue  User kim, Group blue, ServiceAccount ci/bot lose access at once (namespace dev is left)",
                "blue  leaves namespace dev at once: it is closed, and kept with its data",
            ],
            id="fewer devices, in the one namespace that stays",
        ),
        pytest.param(
            {
                "accelerators": [{"pool": "a100", "devices": 5}],
                "namespaces": [{**SPEC["namespaces"][0], "accelerators": {"a100": 3}}, SPEC["namespaces"][1]],
                "expiry": {"grace": "0s"},
            },
            [
                "blue  evicts 2 pods at once (in train: its share falls to 3 of a100)",
                "blue  evicts 4 pods 2021-04-24 15:00Z (the grace is shorter)",
                f"blue  {LOOK} 2021-04-24 15:00Z (the grace is shorter)",
            ],
            id="fewer devices at once, and the rest sooner",
        ),
        pytest.param(
            {
                "accelerators": [{"pool": "a100", "devices": 5}],
                "namespaces": [{**SPEC["namespaces"][0], "accelerators": {"a100": 3}}, SPEC["namespaces"][1]],
                "expiry": {"grace": "72h", "workload": "Keep"},
            },
            [],
            id="fewer devices, and pods are kept",
        ),
        pytest.param(
            {
                "accelerators": [{"pool": "a100", "devices": 7}],
                "namespaces": [{**SPEC["namespaces"][0], "accelerators": {"a100": 5}}, SPEC["namespaces"][1]],
            },
            [],
            id="fewer devices, but not fewer than are used",
        ),
        pytest.param(
            {"namespaces": SPEC["namespaces"][:1]},
            [
                "blue  evicts 1 pod at once (namespace dev is left)",
                "blue  User kim, Group blue, ServiceAccount ci/bot lose access at once (namespace dev is left)",
                "blue  leaves namespace dev at once: it is closed, and kept with its data",
            ],
            id="a namespace that is dropped",
        ),
        pytest.param(
            {"namespaces": SPEC["namespaces"][:1], "expiry": {"grace": "72h", "deletionPolicy": "Delete"}},
            [
                "blue  evicts 1 pod at once (namespace dev is left)",
                "blue  User kim, Group blue, ServiceAccount ci/bot lose access at once (namespace dev is left)",
                "blue  deletes namespace dev with 1Ti of data in 1 claim at once (dev is not asked for any more)",
                "blue  deletes namespace train with 3Ti of data 2021-05-27 15:00Z (deletionPolicy Delete)",
            ],
            id="a namespace that is dropped, and Delete",
        ),
        pytest.param(
            {"members": [{**MEMBERS[0], "role": "view"}, MEMBERS[2]]},
            [
                "blue  User kim has view instead of admin at once (a lower role)",
                "blue  Group blue loses access at once (no longer a member)",
            ],
            id="fewer members, and lower roles",
        ),
        pytest.param(
            {"members": [{**MEMBERS[0], "name": "lee"}, *MEMBERS, {**MEMBERS[1], "role": "admin"}]},
            [],
            id="more members, and higher roles",
        ),
        pytest.param(
            {"expiry": {"grace": "72h", "deletionPolicy": "Delete"}},
            [
                "blue  deletes namespace dev with 1Ti of data in 1 claim 2021-05-27 15:00Z (deletionPolicy Delete)",
                "blue  deletes namespace train with 3Ti of data 2021-05-27 15:00Z (deletionPolicy Delete)",
            ],
            id="data that goes",
        ),
        pytest.param(
            {"accelerators": [{"pool": "a100", "devices": 99}], "namespaces": SPEC["namespaces"][:1]},
            [],
            id="a change that is refused",
        ),
    ],
)
def test_each_edit_says_what_it_does(changes: dict[str, Any], lines: list[str]) -> None:
    """How many, who, which and when; what does no harm says nothing."""
    assert told(edited(cluster(), **changes)) == lines


RAY, KUBEFLOW = "ray-user", "kubeflow-edit"
GIVEN = [
    {**MEMBERS[0], "clusterRoles": [RAY, KUBEFLOW]},
    {**MEMBERS[1], "clusterRoles": [RAY]},
    {**MEMBERS[2], "clusterRoles": [RAY]},
]
BOT = "ServiceAccount ci/bot"


@pytest.mark.parametrize(
    ("changes", "lines", "losing"),
    [
        pytest.param({"members": GIVEN}, [], {}, id="as before"),
        pytest.param(
            {"members": [{**GIVEN[0], "clusterRoles": [RAY]}, *GIVEN[1:]]},
            ["blue  User kim loses ClusterRole kubeflow-edit at once (no longer given)"],
            {"kim": [KUBEFLOW]},
            id="one of two",
        ),
        pytest.param(
            {"members": MEMBERS},
            [
                "blue  User kim loses ClusterRoles kubeflow-edit, ray-user at once (no longer given)",
                f"blue  Group blue, {BOT} lose ClusterRole ray-user at once (no longer given)",
            ],
            {"kim": [KUBEFLOW, RAY], "blue": [RAY], "bot": [RAY]},
            id="all",
        ),
        pytest.param(
            {"members": [{**GIVEN[0], "role": "edit", "clusterRoles": [RAY]}, GIVEN[2]]},
            [
                "blue  User kim has edit instead of admin at once (a lower role)",
                "blue  User kim loses ClusterRole kubeflow-edit at once (no longer given)",
                "blue  Group blue loses access at once (no longer a member)",
            ],
            {"kim": [KUBEFLOW], "blue": [RAY]},
            id="with a lower role, and one who is no longer a member",
        ),
        pytest.param(
            {"members": GIVEN, "suspend": True, "expiry": {"workload": "Keep"}},
            [f"blue  {LOOK} at once (suspend)", f"blue  {BOT} loses ClusterRole ray-user at once (suspend)"],
            {"kim": [KUBEFLOW, RAY], "blue": [RAY], "bot": [RAY]},
            id="suspend tells it only of who could look only before",
        ),
        pytest.param(
            {"members": MEMBERS, "suspend": True, "expiry": {"workload": "Keep"}},
            [f"blue  {LOOK} at once (suspend)", f"blue  {BOT} loses ClusterRole ray-user at once (suspend)"],
            {"kim": [KUBEFLOW, RAY], "blue": [RAY], "bot": [RAY]},
            id="suspend, and none is given any more",
        ),
        pytest.param(
            {"members": GIVEN[:2], "window": {"end": hour(48)}, "expiry": {"grace": "72h", "workload": "Keep"}},
            [
                "blue  User kim loses ClusterRoles kubeflow-edit, ray-user 2021-04-16 15:00Z (the window ends sooner)",
                f"blue  {LOOK} 2021-04-19 15:00Z (the window ends sooner)",
                "blue  Group blue loses ClusterRole ray-user 2021-04-16 15:00Z (the window ends sooner)",
                f"blue  {BOT} loses access at once (no longer a member)",
            ],
            {"kim": [KUBEFLOW, RAY], "blue": [RAY], "bot": [RAY]},
            id="an earlier end takes them before the grace",
        ),
    ],
)
def test_cluster_roles_that_are_lost_are_told(
    changes: dict[str, Any], lines: list[str], losing: dict[str, list[str]]
) -> None:
    """Whoever takes them out of the file, and when the grant is no longer in force; in one line with the role."""
    found = edited(cluster(members=GIVEN), frozenset({RAY, KUBEFLOW}), **changes)
    assert sorted(told(found)) == sorted(lines)
    access = as_json(found, INVENTORY)["accessLost"]
    assert {one["member"]["name"]: one["clusterRoles"] for one in access if one["clusterRoles"]} == losing
    number = len({one["member"]["name"] for one in access})
    verb = "member loses" if number == 1 else "members lose"
    assert in_short({"blue": found}, INVENTORY) == ([f"{number} {verb} access or rights"] if number else [])


def test_cluster_roles_that_are_not_allowed_are_not_lost() -> None:
    """Nobody was given them."""
    assert (
        edited(
            cluster(members=GIVEN),
            frozenset({KUBEFLOW}),
            members=[{**GIVEN[0], "clusterRoles": [KUBEFLOW]}, *MEMBERS[1:]],
        )
        == NONE
    )


def test_cluster_roles_are_lost_in_a_namespace_that_is_left() -> None:
    """With all other access to it."""
    found = edited(cluster(members=GIVEN), frozenset({RAY, KUBEFLOW}), members=GIVEN, namespaces=SPEC["namespaces"][:1])
    assert [(one.namespace, one.cluster_roles) for one in found.access] == [
        ("dev", (KUBEFLOW, RAY)),
        ("dev", (RAY,)),
        ("dev", (RAY,)),
    ]


def test_drain_instead_of_keep_evicts() -> None:
    """Of one that would have kept its pods after its end."""
    kept = cluster(expiry={"grace": "72h", "workload": "Keep"})
    next(obj for obj in kept if obj["metadata"]["name"] == "blue")["status"]["window"].pop("drainAt")
    assert told(edited(kept, expiry={"grace": "72h"})) == ["blue  evicts 6 pods 2021-04-27 15:00Z (workload Drain)"]


def test_a_shorter_retention_takes_data_sooner() -> None:
    """The date that is announced is an earlier one."""
    policy = {"grace": "72h", "deletionPolicy": "Delete", "retention": "720h"}
    found = edited(cluster(delete_at=240 + 72 + 720, expiry=policy), expiry={**policy, "retention": "48h"})
    assert told(found) == [
        "blue  deletes namespace dev with 1Ti of data in 1 claim 2021-04-29 15:00Z (the retention is shorter)",
        "blue  deletes namespace train with 3Ti of data 2021-04-29 15:00Z (the retention is shorter)",
    ]


def test_delete_after_an_end_that_is_over_takes_data_after_a_notice() -> None:
    """Data that should be gone already is announced first."""
    over = cluster(window={"end": hour(240)})
    found = edited(over, window={"end": hour(1)}, expiry={"grace": "0s", "retention": "0s", "deletionPolicy": "Delete"})
    assert {(one.name, one.fate, one.at) for one in found.namespaces} == {
        ("dev", "deleted", moment(NOW)),
        ("train", "deleted", moment(NOW)),
    }
    assert {(one.namespace, one.amount) for one in found.data} == {("dev", TIB), ("train", 3 * TIB)}


def test_a_change_that_has_to_wait_leaves_a_namespace_once_it_is_granted() -> None:
    """Until then all stays as it is."""
    more: dict[str, Any] = {
        "accelerators": [{"pool": "a100", "devices": 8}],
        "storage": [{"pool": "lustre", "size": "100Ti"}],
    }
    others = make_allocation(
        "green", storage={"lustre": "80Ti"}, grant={"storage": {"lustre": "80Ti"}}, status=make_record(0)
    )
    found = edited(
        [*cluster(), others, *make_held("green", {"lustre": "80Ti"})], **more, namespaces=[{"name": "train"}]
    )
    assert [(one.namespace, one.at) for one in found.evictions] == [("dev", None)]
    assert told(found)[0] == "blue  evicts 1 pod once it is granted (namespace dev is left)"


def test_a_namespace_that_goes_by_a_later_edit_is_told_with_that_edit() -> None:
    """One that is suspended keeps what it does not ask for any more, until it goes on."""
    delete: dict[str, Any] = {"expiry": {"deletionPolicy": "Delete"}}
    train: dict[str, Any] = {"namespaces": [SPEC["namespaces"][0]]}
    assert edited(cluster(suspend=True, **delete), **train).namespaces == ()
    resumed = edited(cluster(suspend=True, **delete, **train), suspend=False)
    assert [(one.name, one.fate) for one in resumed.namespaces] == [("dev", "deleted")]
    assert [(one.namespace, one.amount) for one in resumed.data] == [("dev", TIB)]
    assert edited(cluster(**delete, **train), window={"end": hour(300)}).namespaces == ()


def test_a_namespace_that_goes_sooner_or_with_its_data_is_told() -> None:
    """Where that is known already, and is not to be dated, a change by which it goes at once is news; so is Delete."""
    others = make_allocation(
        "green", storage={"lustre": "80Ti"}, grant={"storage": {"lustre": "80Ti"}}, status=make_record(0)
    )
    there = [others, *make_held("green", {"lustre": "80Ti"})]
    train: dict[str, Any] = {"namespaces": [{"name": "train"}], "expiry": {"deletionPolicy": "Delete"}}
    waits = [*cluster(**train), *there]
    blue = next(obj for obj in waits if obj["metadata"]["name"] == "blue")
    blue["spec"]["storage"] = [{"pool": "lustre", "size": "100Ti"}]
    assert edited(waits, priority=200).namespaces == ()
    sooner = edited(waits, storage=[{"pool": "lustre", "size": "15Ti"}])
    assert [(one.name, one.at) for one in sooner.namespaces] == [("dev", moment(NOW))]
    kept = cluster(**train | {"expiry": {"deletionPolicy": "Retain"}})
    assert ("dev", "deleted", moment(NOW)) in [(one.name, one.fate, one.at) for one in edited(kept, **train).namespaces]


def test_a_pool_that_drains_tells_of_its_holders() -> None:
    """They are suspended, and evicted after their grace; the change of a pool that moves nothing says nothing."""
    drained = {**POOL["spec"], "stopPolicy": "HoldAndDrain"}
    found, _ = tried(cluster(), Written("new.yaml", "AcceleratorPool", "a100", drained))
    assert found.keys() == {"blue"}
    assert told(found["blue"]) == [
        "blue  evicts 6 pods 2021-04-18 15:00Z (a100 is being drained)",
        f"blue  {LOOK} at once (a100 is being drained)",
    ]
    for harmless in ({"stopPolicy": "Hold"}, {"reserve": 8}, {"vendor": "Example"}):
        found, _ = tried(cluster(), Written("new.yaml", "AcceleratorPool", "a100", {**POOL["spec"], **harmless}))
        assert found == {}


def test_one_that_holds_nothing_loses_nothing() -> None:
    """A request that waits may be changed at will."""
    found, _ = tried(
        cluster(),
        Written("new.yaml", "TenantAllocation", "red", make_allocation("red", {"a100": 1}, suspend=True)["spec"]),
        Written("new.yaml", "TenantAllocation", "new", make_allocation("new", {"a100": 1})["spec"]),
    )
    assert found == {}


def test_who_may_not_list_is_told_the_rest() -> None:
    """How many pods there are is not known then, and said so."""
    found = edited(cluster(), suspend=True)
    blind = Inventory(refused=frozenset({"pods"}))
    assert told(found, blind)[0] == "blue  evicts pods at once (suspend)"
    assert uncounted_line(blind) == "pods not counted: you may not list pods"
    assert uncounted_line(INVENTORY) == ""
    assert in_short({"blue": found}, blind) == ["pods are evicted", "2 members lose access or rights"]
    assert as_json(found, blind)["evictions"][0]["pods"] is None


def test_the_summary_counts_all() -> None:
    """In a few words, whoever it is that loses."""
    found = edited(cluster(), namespaces=SPEC["namespaces"][:1], expiry={"grace": "72h", "deletionPolicy": "Delete"})
    assert in_short({"blue": found}, INVENTORY) == [
        "1 pod is evicted",
        "3 members lose access or rights",
        "2 namespaces are deleted",
    ]


def test_a_pod_that_goes_for_two_reasons_is_counted_once() -> None:
    """Once for less, and once for the end."""
    ends = Eviction("blue", 1, "end")
    both = Consequences(evictions=(replace(ends, at=2, limits={GPU: 0}, reason="less"), ends))
    inventory = Inventory(pods={"blue": pods(3)})
    assert in_short({"blue": both}, inventory) == ["3 pods are evicted"]
    assert told(both, inventory) == ["blue  evicts 3 pods at once (end)"]
    assert [one["pods"] for one in as_json(both, inventory)["evictions"]] == [0, 3]


def test_what_cannot_be_dated_comes_after_what_can() -> None:
    """Whatever stands first, a pod counts for what takes it first."""
    granted, ends = Eviction("blue", None, "less", {GPU: 1}), Eviction("blue", moment(NOW) + 86_400_000, "end")
    less = replace(granted, at=moment(NOW))
    inventory = Inventory(pods={"blue": pods(3)})
    assert told(Consequences((granted, ends)), inventory) == ["blue  evicts 3 pods 2021-04-16 15:00Z (end)"]
    assert told(Consequences((ends, less)), inventory) == [
        "blue  evicts 2 pods at once (less)",
        "blue  evicts 1 pod 2021-04-16 15:00Z (end)",
    ]


def test_no_line_says_that_no_pod_is_evicted() -> None:
    """Where nothing runs; pods that may not be listed are told all the same."""
    ends = Consequences((Eviction("blue", 1, "end"),))
    assert told(ends, Inventory(pods={"blue": []})) == []
    assert told(ends, Inventory()) == ["blue  evicts pods at once (end)"]


def test_programs_get_fields() -> None:
    """Each thing with its moment; what is not known is null."""
    found = edited(cluster(), namespaces=SPEC["namespaces"][:1], expiry={"grace": "72h", "deletionPolicy": "Delete"})
    data = as_json(found, INVENTORY)
    assert list(data) == ["evictions", "accessLost", "namespaces", "data"]
    now = "2021-04-15T15:00:00Z"
    assert data["evictions"] == [{"namespace": "dev", "pods": 1, "at": now, "reason": "namespace dev is left"}]
    assert data["accessLost"][2] == {
        "member": {"kind": "ServiceAccount", "namespace": "ci", "name": "bot"},
        "namespace": "dev",
        "from": "view",
        "to": None,
        "clusterRoles": [],
        "at": now,
        "reason": "namespace dev is left",
    }
    assert data["namespaces"][0] == {
        "name": "dev",
        "fate": "deleted",
        "at": now,
        "reason": "dev is not asked for any more",
    }
    assert data["data"][0] == {"namespace": "dev", "pool": "lustre", "bytes": TIB, "claims": ["data"], "at": now}
