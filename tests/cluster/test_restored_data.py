"""etcd is put back to a backup under a running operator: it ends, and starts afresh from what there is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitgoeul.cluster.kinds import TENANT_ALLOCATION
from bitgoeul.local.components import API_SERVER, ETCD
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.api_objects import install_crds
from tests.cluster.conftest import KCM_QPS
from tests.cluster.faults import bring_back_api_server
from tests.cluster.kubectl import Kubectl
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, open_world


@pytest.fixture
def plane(_binary: None) -> Iterator[ControlPlane]:
    """A control plane of its own: what others have made in it would be gone."""
    with ControlPlane.temporary(audit=True, kcm_qps=KCM_QPS) as made:
        install_crds(Kubectl(made.binary, made.kubeconfig))
        yield made


@pytest.fixture
def world(plane: ControlPlane) -> Iterator[World]:
    with open_world(plane) as made:
        yield made


def without_etcd(plane: ControlPlane, source: Path, target: Path) -> None:
    """Copy a data folder while nobody writes to it, and go on."""
    plane.kill_component(API_SERVER)
    plane.kill_component(ETCD)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    plane.start_component(ETCD)
    bring_back_api_server(plane)


def test_a_restored_backup_ends_it_before_anything_is_written(
    plane: ControlPlane, world: World, tmp_path: Path
) -> None:
    """What was edited, deleted and made since the backup is as it was then; the next process knows."""
    data, backup = plane.layout.etcd_data, tmp_path / "backup"
    operator = OperatorProcess(plane.kubeconfig, tmp_path / "log")
    with operator:
        pool = world.pool(devices=8)
        edited = world.active("edited", {pool: 3})
        deleted = world.active("deleted", {pool: 1})
        without_etcd(plane, data, backup)
        pid = operator.pid
        world.ask(edited, {pool: 5})
        world.await_grant(edited, {pool: 5})
        world.delete(TENANT_ALLOCATION, deleted)
        world.await_gone(TENANT_ALLOCATION, deleted)
        made = world.active("made", {pool: 2})
        assert operator.pid == pid

        without_etcd(plane, backup, data)
        assert operator.wait_for_end() == 1
        last = operator.said().splitlines()[-1]
        assert last.startswith("Error: cannot go on: the API server has older data than was seen")
        assert world.grant(edited) == {pool: 3}, "it has written before it noticed"
        operator.start()
        world.ask(edited, {pool: 4})
        world.await_grant(edited, {pool: 4})
        world.await_limit(edited, pool, 4)
        world.await_grant(deleted, {pool: 1})
        assert world.find(TENANT_ALLOCATION, made) is None
        world.await_devices(pool, granted=5)
