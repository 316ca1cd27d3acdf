"""Credentials that are refused are read anew, whatever their form, or end the process; rights that go are told."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitgoeul.api.names import OPERATOR_NAMESPACE
from bitgoeul.cluster.kinds import CLUSTER_ROLE_BINDING, LEASE, NAMESPACE, RBAC, ROLE_BINDING
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import Admin
from tests.cluster.faults import ForkServer, Launch, make_kubeconfig
from tests.cluster.scenario import World
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.fault_fixtures"]

ACCOUNTS = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/serviceaccounts"
ROLES = f"/apis/{RBAC}/v1/namespaces/{OPERATOR_NAMESPACE}/roles"
ENDING_SECONDS = 120.0  # 60 s of refusals, and what it takes to notice and to end
HEALING_SECONDS = 420.0  # the longest pause between two tries
# What lasts is told after some seconds, not after a minute: the pauses between two tries have not grown by then.
SOON = "import bitgoeul.cluster.troubles as troubles; troubles.LASTING_SECONDS = 10.0; "
REFUSED = "Error: cannot go on: credentials are refused by "


class Accounts:
    """Service accounts with all rights, by name; a token of one that is deleted is refused."""

    def __init__(self, admin: Admin, world: World) -> None:
        self._admin, self._world = admin, world
        self.made: list[str] = []

    def token(self, word: str) -> str:
        """A token of a new account."""
        name = self._world.name(word)
        self._admin.create(ACCOUNTS, {"metadata": {"name": name}})
        self.bind(word)
        self.made.append(name)
        answer = self._admin.create(f"{ACCOUNTS}/{name}/token", {"spec": {"expirationSeconds": 3600}})
        return str(answer["status"]["token"])

    def allow_lease(self, word: str) -> None:
        """As the chart does, by a role of its own that stays when the other goes."""
        name = self._world.name(word)
        rule = {"apiGroups": [LEASE.group], "resources": [LEASE.plural], "verbs": ["create", "get", "patch"]}
        self._admin.create(ROLES, {"metadata": {"name": name}, "rules": [rule]})
        self._admin.create(ROLE_BINDING.path("", OPERATOR_NAMESPACE), {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": OPERATOR_NAMESPACE}],
        })  # fmt: skip

    def bind(self, word: str) -> None:
        """Give it all rights."""
        name = self._world.name(word)
        self._admin.create(CLUSTER_ROLE_BINDING.path(), {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": OPERATOR_NAMESPACE}],
        })  # fmt: skip

    def unbind(self, word: str) -> None:
        """Take these rights away; its token is taken all the same."""
        self._admin.delete(CLUSTER_ROLE_BINDING.path(self._world.name(word)))

    def delete(self, word: str) -> None:
        """The API server refuses its tokens from now on."""
        self._admin.delete(f"{ACCOUNTS}/{self._world.name(word)}")

    def clean_up(self) -> None:
        for name in self.made:
            self._admin.delete(f"{ACCOUNTS}/{name}")
            self._admin.delete(CLUSTER_ROLE_BINDING.path(name))
            self._admin.delete(f"{ROLES}/{name}")
            self._admin.delete(ROLE_BINDING.path(name, OPERATOR_NAMESPACE))


@pytest.fixture
def accounts(fault_world: World) -> Iterator[Accounts]:
    if fault_world.find(NAMESPACE, OPERATOR_NAMESPACE) is None:
        fault_world.admin.create(NAMESPACE.path(), {"metadata": {"name": OPERATOR_NAMESPACE}})
    made = Accounts(fault_world.admin, fault_world)
    yield made
    made.clean_up()


def write_kubeconfig(plane: ControlPlane, path: Path, **user: Any) -> Path:
    """A kubeconfig of this user, in place of what was there."""
    content = make_kubeconfig(plane.server, **user)
    ca = base64.b64encode(plane.layout.pki.cert("ca").read_bytes()).decode()
    content["clusters"][0]["cluster"]["certificate-authority-data"] = ca
    path.write_text(yaml.safe_dump(content))
    return path


def in_kubeconfig(plane: ControlPlane, folder: Path, token: str) -> Path:
    return write_kubeconfig(plane, folder / "kubeconfig", token=token)


def in_a_file(plane: ControlPlane, folder: Path, token: str) -> Path:
    (folder / "token").write_text(token)
    return write_kubeconfig(plane, folder / "kubeconfig", tokenFile=str(folder / "token"))


def in_a_file_of_lines(plane: ControlPlane, folder: Path, token: str) -> Path:
    """As editors and ``echo`` write it."""
    return in_a_file(plane, folder, f"{token}\n")


def by_a_plugin(plane: ControlPlane, folder: Path, token: str) -> Path:
    (folder / "token").write_text(token)
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "TOKEN"},
    }
    text = json.dumps(credential)
    script = f"print({text!r}.replace('TOKEN', open({str(folder / 'token')!r}).read()))"
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", script],
        "interactiveMode": "Never",
    }
    return write_kubeconfig(plane, folder / "kubeconfig", exec=plugin)


@pytest.mark.parametrize("give", [
    pytest.param(in_kubeconfig, id="in the kubeconfig"),
    pytest.param(in_a_file, id="in a file that the kubeconfig names"),
    pytest.param(in_a_file_of_lines, id="in a file that ends with a line break"),
    pytest.param(by_a_plugin, id="by a plugin"),
])  # fmt: skip
def test_a_token_that_was_replaced_is_read_anew(
    plane: ControlPlane, fault_world: World, accounts: Accounts, launch: Launch, tmp_path: Path, give: Any
) -> None:
    """The same process goes on: its requests with the new token, and its watches too."""
    operator = launch("operator", give(plane, tmp_path, accounts.token("old")))
    pid = operator.pid
    pool = fault_world.pool()
    tenant = fault_world.active("blue", {pool: 1})
    token = accounts.token("new")
    accounts.delete("old")
    eventually(lambda: "lease: " in operator.said(), "the old one is refused")
    give(plane, tmp_path, token)
    operator.wait_for("have been read anew")
    fault_world.ask(tenant, {pool: 2})
    fault_world.await_grant(tenant, {pool: 2})
    later = fault_world.active("later", {pool: 1})
    assert fault_world.grant(later) == {pool: 1}
    assert (operator.alive, operator.pid) == (True, pid)
    assert "Traceback" not in operator.said()


def test_credentials_that_stay_refused_end_it(
    plane: ControlPlane, fault_world: World, accounts: Accounts, launch: Launch, tmp_path: Path
) -> None:
    """Leader and standby alike, after a minute, with the reason in the last line, and without a flood of lines."""
    kubeconfig = in_kubeconfig(plane, tmp_path, accounts.token("gone"))
    leader = launch("leader", kubeconfig)
    standby = launch("standby", kubeconfig, leading=False)
    standby.wait_for("standing by: ")
    accounts.delete("gone")
    for operator in (leader, standby):
        assert operator.wait_for_end(ENDING_SECONDS) == 1
        lines = operator.said().splitlines()
        assert lines[-1].startswith(REFUSED), lines[-1]
        assert "Traceback" not in operator.said()
        assert len(lines) < ENDING_SECONDS * 8, "more than a line a second about each trouble"


def test_rights_that_are_revoked_are_told_and_come_back(
    plane: ControlPlane, fault_world: World, accounts: Accounts, launch: Launch, tmp_path: Path
) -> None:
    """Readiness, the metric and doctor say so of a leader that may renew its Lease and do nothing else."""
    world = fault_world
    kubeconfig = in_kubeconfig(plane, tmp_path, accounts.token("bound"))
    accounts.allow_lease("bound")
    operator = launch("operator", kubeconfig, prelude=SOON)
    pool = world.pool()
    world.active("blue", {pool: 1})
    accounts.unbind("bound")
    late = world.allocate("late", {pool: 1})

    def told() -> bool:
        status, text = operator.fetch("/readyz")
        assert status == 503, text
        checks = dict(line.split(": ", 1) for line in text.splitlines())
        assert " cannot " in checks["rights"], text
        assert checks["lease"] == "ok", text
        return 'bitgoeul_check_failing{check="rights"} 1' in operator.fetch("/metrics")[1]

    eventually(told, "readiness and the metric say so")
    with ForkServer(tmp_path) as commands:

        def advised() -> bool:
            out = commands.run("doctor", f"--kubeconfig={plane.kubeconfig}").out
            assert "leads, and cannot do its work; these of its checks fail: " in out, out
            return "rights (" in out

        eventually(advised, "doctor says so")
        finished = commands.run("why", late, f"--kubeconfig={plane.kubeconfig}")
        assert finished.code == 2
        assert f"{late} has no status yet: the operator runs and has not taken it up for " in finished.err
        assert finished.err.endswith(" s; see: bitgoeul doctor\n")
    accounts.bind("bound")
    eventually(lambda: operator.fetch("/readyz")[0] == 200, "it is ready again", HEALING_SECONDS)
    eventually(lambda: world.status(late).get("phase") == "Active", "what waited is there", HEALING_SECONDS)
    assert "Traceback" not in operator.said()
