"""
Says how each component of the control plane is run: its flags, and the configuration files beside them.

Nothing is started here. Every listener is on 127.0.0.1 or on a Unix socket in the control plane's folder, which only
its owner may enter; flags that a component would fill with a guess about the machine's network are all given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bitgoeul.local.pki import Pki

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
KWOK = "kwok"

# In the order in which they are started; they are ended the other way round.
COMPONENTS = (ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, KWOK)
# These talk to the API server, and are started when it answers.
CLIENTS = (CONTROLLER_MANAGER, SCHEDULER, KWOK)

STAGES = Path(__file__).parent / "stages.yaml"

# Socket names relative to the working directory: a Unix socket's path is limited to 107 bytes, a home folder's is not.
ETCD_SOCKET = "unix://etcd.sock:0"
ETCD_PEER_SOCKET = "unix://etcd-peer.sock:0"

# Writes only, each once: what a test or a benchmark counts. Reads would be many times as many lines.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: Metadata}
"""


@dataclass(frozen=True)
class Ports:
    """The TCP ports in use, all on 127.0.0.1."""

    api_server: int
    controller_manager: int
    scheduler: int


@dataclass(frozen=True)
class Layout:
    """Where a control plane keeps its files: one folder of mode 0700, also the components' working directory."""

    directory: Path

    @property
    def pki(self) -> Pki:
        return Pki(self.directory / "pki")

    @property
    def admin_kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    def kubeconfig(self, component: str) -> Path:
        return self.directory / "pki" / f"{component}.kubeconfig"

    @property
    def audit_policy(self) -> Path:
        return self.directory / "audit-policy.yaml"

    @property
    def etcd_data(self) -> Path:
        return self.directory / "etcd"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"


@dataclass(frozen=True)
class Options:
    """What a person may choose."""

    port: int | None = None  # of the API server; None: a free one
    audit_log: Path | None = None  # None: no audit log
    kcm_qps: int | None = None  # requests per second of each controller; None: the controller manager's own 20


def flags(component: str, layout: Layout, ports: Ports, options: Options) -> list[str]:
    """The command line of one component, after its name."""
    pki = layout.pki
    serving = [f"--tls-cert-file={pki.cert('serving')}", f"--tls-private-key-file={pki.key('serving')}"]
    match component:
        case "etcd":
            return [
                "--name=bitgoeul",
                f"--data-dir={layout.etcd_data}",
                f"--listen-client-urls={ETCD_SOCKET}",
                f"--advertise-client-urls={ETCD_SOCKET}",
                f"--listen-peer-urls={ETCD_PEER_SOCKET}",
                f"--initial-advertise-peer-urls={ETCD_PEER_SOCKET}",
                f"--initial-cluster=bitgoeul={ETCD_PEER_SOCKET}",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ]
        case "kube-apiserver":
            return [
                f"--etcd-servers={ETCD_SOCKET}",
                f"--secure-port={ports.api_server}",
                "--bind-address=127.0.0.1",
                # Never used: no endpoint is published. Without it the server asks the machine's network for one.
                "--advertise-address=192.0.2.1",
                "--endpoint-reconciler-type=none",
                *serving,
                f"--client-ca-file={pki.cert('ca')}",
                f"--service-account-key-file={pki.service_accounts}",
                f"--service-account-signing-key-file={pki.service_accounts}",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged",
                *audit_flags(layout, options),
            ]
        case "kube-controller-manager":
            qps = options.kcm_qps
            return [
                f"--kubeconfig={layout.kubeconfig(component)}",
                f"--secure-port={ports.controller_manager}",
                "--bind-address=127.0.0.1",
                *serving,
                f"--service-account-private-key-file={pki.service_accounts}",
                f"--root-ca-file={pki.cert('ca')}",
                "--use-service-account-credentials",
                "--leader-elect=false",
                # A quota that is counted while a pod is being created misses it until it is counted again: after the
                # usual 5 minutes, which is long where whole lives are played in seconds.
                "--resource-quota-sync-period=15s",
                *([f"--kube-api-qps={qps}", f"--kube-api-burst={2 * qps}"] if qps else []),
            ]
        case "kube-scheduler":
            return [
                f"--kubeconfig={layout.kubeconfig(component)}",
                f"--secure-port={ports.scheduler}",
                "--bind-address=127.0.0.1",
                *serving,
                "--leader-elect=false",
            ]
        case "kwok":
            return [
                f"--kubeconfig={layout.kubeconfig(component)}",
                f"--config={STAGES}",
                "--manage-all-nodes",
                "--node-lease-duration-seconds=40",
            ]
    raise ValueError(f"no component {component!r}")


def audit_flags(layout: Layout, options: Options) -> list[str]:
    if options.audit_log is None:
        return []
    return [
        f"--audit-policy-file={layout.audit_policy}",
        f"--audit-log-path={options.audit_log}",
        "--audit-log-mode=blocking",  # what was answered is in the file
        "--audit-log-maxsize=1000",
    ]
