"""
Fixtures of tests that kill and starve operators and servers: a control plane for them alone.

A plug-in of the test modules that name it, not of all cluster tests: the others should never meet it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.api_objects import install_crds
from tests.cluster.faults import Launch, forget_lease, release_all
from tests.cluster.faulty_proxy import FaultyProxy
from tests.cluster.kubectl import Kubectl
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, open_world


@pytest.fixture(scope="session")
def fault_plane(_binary: None) -> Iterator[ControlPlane]:
    """A control plane with our kinds and an audit log, whose components may be killed; they are whole again after."""
    with ControlPlane.temporary(audit=True, kcm_qps=200) as plane:
        install_crds(Kubectl(plane.binary, plane.kubeconfig))
        yield plane


@pytest.fixture
def plane(fault_plane: ControlPlane) -> ControlPlane:
    """The control plane, with all its components running."""
    fault_plane.wait_ready()
    return fault_plane


@pytest.fixture
def fault_kubectl(plane: ControlPlane) -> Kubectl:
    """kubectl as its administrator."""
    return Kubectl(plane.binary, plane.kubeconfig)


@pytest.fixture
def fault_world(plane: ControlPlane) -> Iterator[World]:
    """Pools and allocations of one test; no operator looks after them before the test starts one."""
    with open_world(plane) as world:
        forget_lease(world.admin)
        yield world
        world.clean_up()
        release_all(world.admin)


@pytest.fixture
def proxy(plane: ControlPlane, tmp_path: Path) -> Iterator[FaultyProxy]:
    """A proxy before the API server."""
    with FaultyProxy(plane, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def launch(plane: ControlPlane, tmp_path: Path) -> Iterator[Launch]:
    """
    Starts operators by name; what still runs at the end is killed.

    ``launch(name, kubeconfig, *options, leading=True, prelude="")``; without a kubeconfig it is the administrator's.
    """
    with ExitStack() as stack:

        def start(
            name: str = "operator",
            kubeconfig: Path | None = None,
            *options: str,
            leading: bool = True,
            prelude: str = "",
        ) -> OperatorProcess:
            log = tmp_path / f"{name}.log"
            process = OperatorProcess(kubeconfig or plane.kubeconfig, log, *options, prelude=prelude)
            stack.push(process)
            process.start(leading=leading)
            return process

        yield start
