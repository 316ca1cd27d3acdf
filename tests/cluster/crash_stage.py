"""
The stage of the crash tests: a control plane of its own, and operators that reach it through the proxy.

On it plays a story in steps, again and again under new names. Each step ends in a state that does not depend on what
went wrong on the way. A second pool is for crowds of tenants that all go at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bitgoeul.cluster.kinds import ACCELERATOR_POOL, BY_KIND, TENANT_ALLOCATION
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.local.nodes import NodeShape, build_node
from tests.cluster.admin import Admin, History, Manifest
from tests.cluster.api_objects import install_crds, make, make_claim
from tests.cluster.faults import ForkServer, differences, forget_lease, picture
from tests.cluster.faulty_proxy import FaultyProxy
from tests.cluster.kubectl import Kubectl
from tests.cluster.promises import FOLLOWED, Capacity, Replay
from tests.cluster.waiting import eventually

GPU = "nvidia.com/gpu"
NPU = "example.org/npu"
# Of the second as many as a deletion has writes, retries under load included, and that twice.
DEVICES = {GPU: 8, NPU: 40}
CAPACITIES = (
    Capacity(f"requests.{GPU}", ("accelerators", "a100"), DEVICES[GPU], GPU),
    Capacity(f"requests.{NPU}", ("accelerators", "crowd"), DEVICES[NPU], NPU),
    Capacity("lustre.storageclass.storage.k8s.io/requests.storage", ("storage", "lustre"), 10 * 2**40),
)


@dataclass
class Stage:
    """See the module's text."""

    plane: ControlPlane
    admin: Admin
    proxy: FaultyProxy
    servers: ForkServer
    log: Path
    history: History
    client: str = ""  # the operator that runs now
    pid: int = 0  # 0: none does
    starts: int = 0

    def start(self) -> None:
        """Start an operator that leads at once."""
        forget_lease(self.admin)
        self.starts += 1
        self.client = f"operator{self.starts}"
        self.pid = self.servers.start_operator(self.proxy.kubeconfig(self.client), self.log)

    def crash(self) -> None:
        """Kill the operator; nothing more of it arrives."""
        self.proxy.kill(self.client, self.pid)
        self.pid = 0

    def restart_if_dead(self) -> None:
        """Start the next operator where a fault has ended the last one."""
        if not self.pid:
            self.start()

    def create(self, *objects: Manifest) -> None:
        for obj in objects:
            self.admin.create(BY_KIND[obj["kind"]].path("", obj["metadata"].get("namespace", "")), obj)

    def check_promises(self) -> None:
        """At no moment so far was anything handed out twice, or before it was promised, and no operator complained."""
        assert Replay(CAPACITIES).play(self.history.changes()) == []
        said = self.log.read_text()
        assert "Traceback" not in said, said[-5000:]


@contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    """The stage with pools that are Ready and an operator that leads; nothing remains of it."""
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane.temporary(kcm_qps=200))
        install_crds(Kubectl(plane.binary, plane.kubeconfig))
        admin = Admin(plane)
        stack.callback(admin.close)
        proxy = stack.enter_context(FaultyProxy(plane, folder))
        servers = stack.enter_context(ForkServer(folder))
        history = stack.enter_context(History(plane, *FOLLOWED))
        stage = Stage(plane, admin, proxy, servers, folder / "log", history)
        stage.create(
            {"kind": "StorageClass", "metadata": {"name": "lustre"}, "provisioner": "example.org/disk"},
            make("StoragePool", "lustre", {"storageClassName": "lustre", "capacity": "10Ti"}),
        )
        for pool, resource in (("a100", GPU), ("crowd", NPU)):
            shape = NodeShape(devices={resource: str(DEVICES[resource])}, labels={"pool": pool})
            spec = {"type": "Other", "nodeSelector": {"pool": pool}, "resourceName": resource}
            stage.create(build_node(pool, shape), make("AcceleratorPool", pool, spec))
        stage.start()
        eventually(lambda: all(map(is_ready, admin.items(ACCELERATOR_POOL.path()))), "the pools are Ready")
        yield stage


def is_ready(obj: Manifest) -> bool:
    """Whether the condition Ready is true."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in obj.get("status", {}).get("conditions", ()))


def blue(name: str, devices: int, **spec: Any) -> Manifest:
    """The tenant that everything happens to: devices, storage with a claim, a member, and the right of way."""
    given = {
        "organization": {"name": "Blue", "class": "Startup"},
        "priority": 200,
        "accelerators": ask(devices),
        "storage": [{"pool": "lustre", "size": "10Gi", "claims": [make_claim(size="5Gi")]}],
        "members": [{"kind": "Group", "name": "blue", "role": "admin"}],
    }
    return make("TenantAllocation", name, given | spec)


def green(name: str, devices: int) -> Manifest:
    """The tenant that waits for what the other one has."""
    return make(
        "TenantAllocation",
        name,
        {"organization": {"name": "Green", "class": "SME"}, "accelerators": ask(devices)},
    )


def ask(devices: int, pool: str = "a100") -> list[Manifest]:
    return [{"pool": pool, "devices": devices}]


def make_pod(namespace: str, resource: str) -> Manifest:
    """A pod that takes one device."""
    container = {"name": "main", "image": "example.org/train:1", "resources": {"limits": {resource: "1"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "train", "namespace": namespace},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


@dataclass
class Story:
    """
    The life of two tenants, once.

    Attributes:
        outcomes: Phase and promised devices of each tenant after each step.
    """

    stage: Stage
    number: int
    names: dict[str, str] = field(default_factory=dict)  # what no two stories have in common → what stands for it

    outcomes = {  # noqa: RUF012 - a table, not a default
        "admit": {"blue": ("Active", 3), "green": ("Waiting", 0)},
        "grow": {"blue": ("Active", 5), "green": ("Waiting", 0)},
        "shrink": {"blue": ("Active", 2), "green": ("Active", 6)},
        "delete": {"green": ("Active", 6)},
        "restore": {"blue": ("Active", 2), "green": ("Active", 6)},
        "suspend": {"blue": ("Suspended", 0), "green": ("Active", 6)},
        "resume": {"blue": ("Active", 2), "green": ("Active", 6)},
        "spread": {"blue": ("Active", 2), "green": ("Active", 6)},
        "leave": {},
    }

    def __post_init__(self) -> None:
        self.blue, self.green = f"blue-{self.number}", f"green-{self.number}"
        self.names |= {self.blue: "blue", self.green: "green"}

    @property
    def steps(self) -> dict[str, Callable[[], None]]:
        """In their order."""
        return {name: getattr(self, name) for name in self.outcomes}

    def admit(self) -> None:
        """One is served, the other one waits."""
        self.stage.create(blue(self.blue, 3), green(self.green, 6))

    def grow(self) -> None:
        self._edit(accelerators=ask(5))

    def shrink(self) -> None:
        """What becomes free is given to the one that waits."""
        self._edit(accelerators=ask(2))

    def delete(self) -> None:
        """Data is retained."""
        self.stage.admin.delete(TENANT_ALLOCATION.path(self.blue))

    def restore(self) -> None:
        """Under the same name, by the UID of the former one."""
        former = next(uid for uid, word in self.names.items() if word == "uid-of-blue")
        self.names[former] = "uid-of-the-former-blue"
        self.stage.create(blue(self.blue, 2, restoreFrom=former))

    def suspend(self) -> None:
        """What it holds is given back, data and view access stay."""
        self._edit(suspend=True)

    def resume(self) -> None:
        """It asks anew, and nobody has taken its place."""
        self._edit(suspend=False)

    def spread(self) -> None:
        """One of the two devices moves to a second namespace."""
        names = (self.blue, f"second-{self.blue}")
        self._edit(namespaces=[{"name": name, "accelerators": {"a100": 1}} for name in names])

    def leave(self) -> None:
        """Both go, so that the next story finds the devices free."""
        for name in (self.blue, self.green):
            self.stage.admin.delete(TENANT_ALLOCATION.path(name))

    def _edit(self, **spec: Any) -> None:
        self.stage.admin.merge(TENANT_ALLOCATION.path(self.blue), {"spec": spec})

    def picture(self) -> dict[str, Any]:
        """What stands of it all, comparable with other stories."""
        return picture(self.stage.admin, (self.blue, self.green), self.names)

    def await_outcome(self, step: str) -> None:
        """Wait until phases and promises are what the step should lead to."""

        def reached() -> bool:
            tenants = [one for key, one in self.picture().items() if key.startswith("TenantAllocation ")]
            seen = {one["metadata"]["name"]: summary(one.get("status", {})) for one in tenants}
            assert seen == self.outcomes[step], seen
            return True

        eventually(reached, f"{step} has its outcome")

    def await_picture(self, expected: dict[str, Any], what: str, seconds: float = 120) -> None:
        """Wait until everything is as expected; an operator that has died is replaced meanwhile."""

        def same() -> bool:
            self.stage.restart_if_dead()
            found = differences(expected, self.picture())
            assert not found, "\n".join(found)
            return True

        eventually(same, what, seconds)


def summary(status: Manifest) -> tuple[str, int]:
    return status.get("phase", ""), status.get("grant", {}).get("accelerators", {}).get("a100", 0)
