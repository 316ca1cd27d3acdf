"""The support archive: what helps is in it, and nothing that was planted to leak; also for tenants."""

from __future__ import annotations

import json
import secrets
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bitgoeul.api.names import FIELD_MANAGER, OPERATOR_NAMESPACE
from bitgoeul.cluster.kinds import DEPLOYMENT, EVENT, NAMESPACE, POD, TENANT_ALLOCATION
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.local.nodes import NodeShape, build_node
from tests.cluster.api_objects import Manifest, make
from tests.cluster.asking import Asker
from tests.cluster.fake_kubelet import fake_kubelet
from tests.cluster.faults import Finished, ForkServer, forget_lease
from tests.cluster.operator_process import SOURCE, OperatorProcess
from tests.cluster.scenario import POOL_LABEL, World, is_true, resource_of
from tests.cluster.waiting import eventually

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
SAID = '{"level": "info", "message": "leading as node-1"}'


class Center(NamedTuple):
    """
    A center in which secrets lie about.

    Attributes:
        planted: What must be in no archive, by where it was planted.
    """

    world: World
    pool: str
    tenant: str
    other: str
    person: str
    planted: dict[str, str]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    with ForkServer(tmp_path_factory.mktemp("commands")) as server:
        yield server


@pytest.fixture
def asker(commands: ForkServer, control_plane: ControlPlane, tmp_path: Path) -> Asker:
    return Asker(commands, control_plane, tmp_path)


@pytest.fixture
def center(world: World, control_plane: ControlPlane) -> Iterator[Center]:
    planted = {
        place: f"plain{secrets.token_hex(4)}"  # by its place it must be left out, not by its looks
        for place in (
            *("secret", "config map", "annotation", "applied", "class", "event", "environment"),
            *("argument", "sidecar", "log bearer", "log password", "log key", "node"),
        )
    }
    person = f"dain-{world.suffix}@gareum.example"
    planted |= {"person": person, "group": world.name("crew")}
    log = [
        SAID,
        f'{{"message": "request with Authorization: Bearer {planted["log bearer"]}"}}',
        f"connecting to https://operator:{planted['log password']}@proxy.example",
        f"-----BEGIN EC PRIVATE KEY-----\n{planted['log key']}\n-----END EC PRIVATE KEY-----",
        f'"{person}" came, and User "{planted["group"]}" cannot',
    ]
    with ExitStack() as stack:
        kubelet = stack.enter_context(fake_kubelet(control_plane, "\n".join(log)))
        pool = set_up_pool(world, kubelet, planted)
        disk = set_up_storage(world, planted)
        members = [
            {"kind": "User", "name": person, "role": "edit"},
            {"kind": "Group", "name": planted["group"], "role": "view"},
        ]
        tenant = world.active("gareum", {pool: 2}, {disk: "1Ti"}, members=members)
        other = world.active("narae", {pool: 1})
        litter(world, tenant, planted)
        stack.callback(world.delete, DEPLOYMENT, world.name("bitgoeul"), OPERATOR_NAMESPACE)
        deploy(world, pool, planted)
        yield Center(world, pool, tenant, other, person, planted)


def set_up_pool(world: World, kubelet: Manifest, planted: dict[str, str]) -> str:
    """A pool with one node, on which the operator's pod runs, too."""
    pool = world.declare_pool()
    node = build_node(f"node-{pool}", NodeShape(devices={resource_of(pool): "8"}, labels={POOL_LABEL: pool}))
    node["metadata"]["annotations"]["example.org/join"] = planted["node"]
    node["status"] |= kubelet
    world.create(node)
    world.await_effective(pool, 8)
    return pool


def set_up_storage(world: World, planted: dict[str, str]) -> str:
    """A storage pool whose class has credentials among its parameters."""
    disk = world.name("disk")
    world.create(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": disk},
            "provisioner": "example.org/disk",
            "parameters": {"password": planted["class"]},
        }
    )
    world.create(make("StoragePool", disk, {"storageClassName": disk, "capacity": "10Ti"}))
    eventually(lambda: is_true(world.storage_status(disk), "Ready"), f"storage pool {disk} is Ready")
    return disk


def litter(world: World, tenant: str, planted: dict[str, str]) -> None:
    """Secrets where people and tools leave them."""
    data = {"metadata": {"name": "mine"}, "stringData": {"key": planted["secret"]}}
    world.admin.create(f"/api/v1/namespaces/{tenant}/secrets", data)
    config = {"metadata": {"name": "mine"}, "data": {"key": planted["config map"]}}
    world.admin.create(f"/api/v1/namespaces/{tenant}/configmaps", config)
    notes = {"example.org/note": f"Bearer {planted['annotation']}", LAST_APPLIED: planted["applied"]}
    for kind in (TENANT_ALLOCATION, NAMESPACE):
        world.admin.merge(kind.path(tenant), {"metadata": {"annotations": notes}})
    event = {
        "metadata": {"generateName": f"{tenant}.", "namespace": "default"},
        "involvedObject": {"apiVersion": "bitgoeul.dev/v1alpha1", "kind": "TenantAllocation", "name": tenant},
        "reason": "Planted",
        "message": f"token={planted['event']}",
        "type": "Normal",
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
    }
    world.admin.create(EVENT.path("", "default"), event)


def deploy(world: World, pool: str, planted: dict[str, str]) -> None:
    """A Deployment of the operator as somebody may have changed it, and its pod."""
    labels = {"app.kubernetes.io/name": "bitgoeul", "app.kubernetes.io/component": "operator", "of": world.suffix}
    environment = [{"name": "HTTPS_PROXY", "value": planted["environment"]}]
    arguments = ["run", "--workers=4", f"--token={planted['argument']}"]
    containers = [
        {"name": "operator", "image": "example.org/bitgoeul:1", "args": arguments, "env": environment},
        {"name": "side", "image": "example.org/side:1", "command": ["sh", "-c", planted["sidecar"]]},
    ]
    spec = {"containers": containers, "nodeSelector": {POOL_LABEL: pool}}
    deployment = {
        "metadata": {"name": world.name("bitgoeul"), "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }
    world.admin.create(DEPLOYMENT.path("", OPERATOR_NAMESPACE), deployment)

    def running() -> Manifest:
        pods = [pod for pod in world.items(POD, OPERATOR_NAMESPACE) if pod["metadata"]["labels"]["of"] == world.suffix]
        assert [pod["status"]["phase"] for pod in pods] == ["Running"]
        return pods[0]

    pod = eventually(running, "the operator's pod runs")
    told = f"token={planted['event']}"
    before = {"terminated": {"exitCode": 1, "reason": "Error", "message": told}}
    status = {"name": "operator", "image": "x", "imageID": "", "ready": True, "restartCount": 1, "lastState": before}
    path = POD.path(pod["metadata"]["name"], OPERATOR_NAMESPACE, "status")
    world.admin.merge(path, {"status": {"containerStatuses": [status]}})


class Archive:
    """An archive that was unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with tarfile.open(path) as archive:
            entries = {entry.name.partition("/")[2]: archive.extractfile(entry) for entry in archive}
            self.files = {name: file.read().decode() for name, file in entries.items() if file is not None}
        self.index = self.json("index.json")

    def json(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.files[name])
        return found

    def objects(self, plural: str) -> dict[str, Manifest]:
        """The objects of a kind by their names."""
        return {obj["metadata"]["name"]: obj for obj in self.json(f"objects/{plural}.json")["items"]}


def make_archive(asker: Asker, path: Path, *arguments: str, code: int = 0) -> tuple[Archive, Finished]:
    finished = asker.run("bundle", "-o", str(path), *arguments)
    assert (finished.code, finished.err) == (code, ""), finished
    return Archive(path), finished


def leaked(archive: Archive, planted: dict[str, str]) -> list[tuple[str, str]]:
    """Where something planted can be read."""
    return [
        (place, name)
        for place, secret in planted.items()
        for name, text in archive.files.items()
        if secret in text or secret in name
    ]


def test_nothing_planted_is_in_it(center: Center, asker: Asker, tmp_path: Path) -> None:
    """No secret, no token, no person: neither in objects nor in Events nor in logs; and only its owner can read it."""
    archive, _ = make_archive(asker, tmp_path / "made.tar.gz")
    assert leaked(archive, center.planted) == []
    assert stat.S_IMODE(archive.path.stat().st_mode) == 0o600
    assert not [name for name in archive.files if "secret" in name or "configmap" in name]
    assert not [name for name, text in archive.files.items() if '"managedFields"' in text]


def test_what_helps_is_in_it(center: Center, asker: Asker, tmp_path: Path) -> None:
    """Our kinds, what was made for tenants, nodes, Events, the operator with its log, and what the commands say."""
    archive, finished = make_archive(asker, tmp_path / "made.tar.gz")
    world, tenant = center.world, center.tenant
    allocation = archive.objects("tenantallocations")[tenant]
    assert allocation["status"]["grant"]["accelerators"] == {center.pool: 2}
    user, group = (member["name"] for member in allocation["spec"]["members"])
    assert (user.split("-")[0], group.split("-")[0]) == ("user", "group")
    quotas = {quota["metadata"]["namespace"]: quota for quota in archive.json("objects/resourcequotas.json")["items"]}
    assert quotas[tenant]["status"]["hard"][f"requests.{resource_of(center.pool)}"] == "2"
    bound = [
        subject["name"]
        for binding in archive.json("objects/rolebindings.json")["items"]
        for subject in binding["subjects"]
        if binding["metadata"]["namespace"] == tenant
    ]
    assert set(bound) == {user, group}
    node = archive.objects("nodes")[f"node-{center.pool}"]
    assert node["status"]["allocatable"][resource_of(center.pool)] == "8"
    assert node["metadata"]["labels"][POOL_LABEL] == center.pool
    for plural in ("acceleratorpools", "mutatingadmissionpolicies", "validatingadmissionpolicybindings"):
        assert center.pool in "".join(archive.objects(plural))
    assert archive.objects("storageclasses")[world.name("disk")]["provisioner"] == "example.org/disk"
    [planted] = [event for event in archive.objects("events").values() if event["reason"] == "Planted" and
                 event["involvedObject"]["name"] == tenant]  # fmt: skip
    assert planted["message"] == "token=(left out)"
    container, _ = archive.objects("deployments")[world.name("bitgoeul")]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["run", "--workers=4", "(left out)"]
    assert container["env"] == ["HTTPS_PROXY"]
    logs = {name: text for name, text in archive.files.items() if name.startswith(f"logs/{world.name('bitgoeul')}")}
    assert sorted(name.partition(".")[2] for name in logs) == ["log", "previous.log"]
    assert all(text.startswith(f"{SAID}\n") for text in logs.values())
    [pod] = [pod for name, pod in archive.objects("pods").items() if name.startswith(world.name("bitgoeul"))]
    ended = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert ended == {"exitCode": 1, "reason": "Error", "message": "token=(left out)"} | {
        "startedAt": None,
        "finishedAt": None,
    }
    assert archive.objects("leases")["bitgoeul"]["spec"]["holderIdentity"]
    assert archive.json("version.json")["gitVersion"].startswith("v1.")
    assert {one["check"] for one in archive.json("doctor.json")["checks"]} >= {"operator", "admission"}
    assert center.pool in {pool["name"] for pool in archive.json("status.json")["pools"]}
    assert center.pool in {pool["name"] for pool in archive.json("calendar.json")["pools"]}
    assert "queue" in archive.json("queue.json")
    assert {file["path"] for file in archive.index["files"]} == archive.files.keys() - {"index.json"}
    # Pods of other tests may be on their way out.
    not_read = [one["what"] for one in archive.index["notRead"]]
    assert [what for what in not_read if not what.startswith("read ") or world.suffix in what] == []
    lines = finished.out.splitlines()
    assert lines[0] == str(archive.path)
    assert lines[-1].startswith(f"Next  tar -xzOf {archive.path} bitgoeul-bundle-")


def test_a_tenant_gets_its_own(center: Center, asker: Asker, tmp_path: Path) -> None:
    """What it may read and no more, and what was refused is listed."""
    arguments = ("-n", center.tenant, "--as", center.person)
    archive, _ = make_archive(asker, tmp_path / "made.tar.gz", *arguments)
    assert leaked(archive, center.planted) == []
    assert archive.objects("tenantallocations").keys() == {center.tenant}
    assert [one["metadata"]["namespace"] for one in archive.json("objects/resourcequotas.json")["items"]] == [
        center.tenant
    ]
    assert archive.json("status.json")["name"] == center.tenant
    assert center.other not in "".join(archive.files.values())
    refused = {one["what"]: one["why"] for one in archive.index["notRead"]}
    assert refused["list nodes"] == "403 Forbidden"
    assert refused[f"get lease in {OPERATOR_NAMESPACE}"] == "403 Forbidden"


def test_whoever_may_read_nothing_gets_the_list_of_it(world: World, asker: Asker, tmp_path: Path) -> None:
    """The archive is written all the same."""
    archive, finished = make_archive(asker, tmp_path / "made.tar.gz", "--as", "somebody")
    assert not [name for name in archive.files if name.startswith("objects/")]
    assert "list tenantallocations (403 Forbidden)" in finished.out
    assert "somebody" not in "".join(archive.files.values())


def test_a_file_that_is_there_stays(world: World, asker: Asker, tmp_path: Path) -> None:
    """It is not overwritten, and exit code 1 says so; a folder that is not there is an error, too."""
    there = tmp_path / "there.tar.gz"
    there.write_text("mine")
    assert asker.refusal("bundle", "-o", str(there)) == f"{there} is there already; name another file with -o"
    assert there.read_text() == "mine"
    assert "cannot be written" in asker.refusal("bundle", "-o", str(tmp_path / "nowhere" / "new.tar.gz"))


def test_one_of_what_is_not_ready_is_written_too(
    world: World, asker: Asker, operator: OperatorProcess, tmp_path: Path
) -> None:
    """Exit code 2, and the doctor's finding is in it."""
    operator.stop()
    forget_lease(world.admin)
    try:
        archive, _ = make_archive(asker, tmp_path / "made.tar.gz", code=2)
    finally:
        operator.start()
    found = {one["check"]: one["found"] for one in archive.json("doctor.json")["checks"]}
    assert found["operator"] == "there is no Lease in namespace bitgoeul-system"


def test_its_name_has_the_time(operator: OperatorProcess, control_plane: ControlPlane, tmp_path: Path) -> None:
    """Without -o it goes to the folder where one is."""
    command = [sys.executable, "-c", "from bitgoeul.cli.main import main; main()", "bundle"]
    environment = {"PYTHONPATH": str(SOURCE), "KUBECONFIG": str(control_plane.kubeconfig)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    [made] = tmp_path.iterdir()
    assert made.match("bitgoeul-bundle-????????T??????Z.tar.gz")
    assert made.name == done.stdout.splitlines()[0]
