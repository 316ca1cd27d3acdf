"""
What of an object, or of a text, goes into a support archive: what helps, without secrets and without people's names.

Of each kind only the fields that are named here are taken, so a field that nobody thought of is left out. Every text
that is taken is looked through for what looks like a secret. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bitgoeul.api.names import (
    ALLOCATION_UID_ANNOTATION,
    ALLOWED_ROLES_ANNOTATION,
    CLOCK_OFFSET_ANNOTATION,
    CLOSED_ANNOTATION,
)
from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    DEPLOYMENT,
    EVENT,
    LEASE,
    NODE,
    POD,
    ROLE_BINDING,
    STORAGE_CLASS,
    TENANT_ALLOCATION,
    VOLUME_CLAIM,
    Kind,
)

LEFT_OUT = "(left out)"
E_MAIL = "(e-mail left out)"

METADATA = (
    *("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"),
    *("labels", "finalizers", "ownerReferences"),
)
# Of others only the name stays: people and tools put anything there, a whole object with its secrets too.
ANNOTATIONS = (ALLOCATION_UID_ANNOTATION, ALLOWED_ROLES_ANNOTATION, CLOCK_OFFSET_ANNOTATION, CLOSED_ANNOTATION)
# Arguments of the operator's container; what else stands there may be anything, and so may values that people choose.
ARGUMENT = re.compile(
    r"run|-v|--verbose|--(metrics-host|metrics-port|namespace|workers|clock-offset|log-format|allowed-cluster-role)"
    r"(=[\w.:-]*)?|--trial-pod-(image|request|limit)=[\w.:/@=-]*"
)
CONTAINER = ("name", "image", "imagePullPolicy", "ports", "resources", "securityContext")
CONTAINER_STATUS = ("name", "ready", "restartCount", "started", "state", "lastState", "image")
POD_STATUS = ("phase", "reason", "message", "conditions", "startTime")
NODE_INFO = ("architecture", "containerRuntimeVersion", "kernelVersion", "kubeletVersion", "osImage")
EVENT_FIELDS = ("type", "reason", "message", "count", "firstTimestamp", "lastTimestamp", "eventTime", "source")
CLAIM = ("accessModes", "resources", "storageClassName", "volumeMode", "volumeName")
CLASS = ("provisioner", "reclaimPolicy", "volumeBindingMode", "allowVolumeExpansion")

# Words beside which a secret stands.
WORDS = r"passw(?:or)?d|pwd|passphrase|secret|token|(?:api|access|account|private)[-_]?key|credentials?"

# What looks like a secret in a text, and what stands in its place; in this order. Each begins at the edge of a word: a
# long one, such as a dump in a log, would else be looked through from each of its letters.
SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [^-]*-----.*?(-----END [^-]*-----|\Z)", re.DOTALL), LEFT_OUT),
    (re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*)[^\r\n]+"), rf"\g<1>{LEFT_OUT}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\g<1> {LEFT_OUT}"),
    (
        re.compile(
            rf"(?i)((?<![\w.-])[\w.-]*(?:{WORDS})[\w.-]*\\?[\"']?\s*(?:=|:)\s*)"
            r"(\"(?:\\.|[^\"\\])*\"|\\?\"[^\"]*\"|'[^']*'|[^\s\"'&]+)"
        ),
        rf"\g<1>{LEFT_OUT}",
    ),
    (re.compile(rf"(?i)((?<![\w-])--?[\w-]*(?:{WORDS})[\w-]*\s+)[^\s-]\S*"), rf"\g<1>{LEFT_OUT}"),
    (re.compile(r"(\w://)[^\s@]+@"), rf"\g<1>{LEFT_OUT}@"),
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), LEFT_OUT),  # as kubeadm gives them to nodes that join
    (re.compile(r"\beyJ[\w-]{8,}(\.[\w-]*)*"), LEFT_OUT),
    (
        re.compile(r"\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|ASIA|hf_|sk-|nvapi-)[\w-]{16,}"),
        LEFT_OUT,
    ),
    # Long and of all sorts of letters: no name in Kubernetes is.
    (re.compile(r"(?<![\w+/-])(?=[\w+/-]*[a-z])(?=[\w+/-]*[A-Z])(?=[\w+/-]*\d)[\w+/-]{32,}={0,2}"), LEFT_OUT),
    (re.compile(r"(?<![\w:-])[0-9a-fA-F]{32,}(?![\w-])"), LEFT_OUT),
)
MAIL = re.compile(r"(?<![\w.!#$%&'*+=?^`{|}~-])[\w.!#$%&'*+=?^`{|}~-]+@(?!sha256:)[\w-]+(?:\.[\w-]+)*")
# How the API server, and so a log, speaks of a user.
QUOTED_USER = re.compile(r"""((?i:\busers?|(?<!API )\bgroups?)\s*[:=]?\s*\[?)(\\?["'])([^"'\\]+)(\\?["'])""")


@dataclass(frozen=True)
class People:
    """
    Stand-ins for people: ``user-1``, ``group-1``, the same for the same name everywhere in one archive.

    Attributes:
        names: Kind (``User``, ``Group``) and name → stand-in.
    """

    names: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, subjects: Iterable[Mapping[str, Any]]) -> People:
        """Stand-ins for members and for subjects of bindings; those of service accounts are no people."""
        known = sorted({(str(one.get("kind")), str(one.get("name"))) for one in subjects if is_person(one)})
        found: dict[tuple[str, str], str] = {}
        for kind in ("User", "Group"):
            of_kind = [name for one, name in known if one == kind]
            found |= {(kind, name): f"{kind.lower()}-{number}" for number, name in enumerate(of_kind, 1)}
        return cls(found)

    def subject(self, one: Mapping[str, Any]) -> Object:
        """A member, or a subject of a binding, with its stand-in."""
        if not is_person(one):
            return dict(one)
        return {**one, "name": self.names.get((str(one["kind"]), str(one["name"])), LEFT_OUT)}

    def text(self, text: str) -> str:
        """A text without secrets, e-mail addresses, and names that are called those of a user or a group."""
        for pattern, stand_in in SECRETS:
            text = pattern.sub(stand_in, text)
        text = QUOTED_USER.sub(lambda found: f"{found[1]}{found[2]}{self._called(found[3])}{found[4]}", text)
        return MAIL.sub(lambda found: self.names.get(("User", found[0]), E_MAIL), text)

    def _called(self, name: str) -> str:
        if name.startswith("system:"):
            return name
        return self.names.get(("User", name)) or self.names.get(("Group", name)) or LEFT_OUT

    def value(self, value: Any) -> Any:
        """Any JSON with all its texts looked through."""
        if isinstance(value, Mapping):
            return {key: self.value(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(one) for one in value]
        return self.text(value) if isinstance(value, str) else value


def is_person(subject: Mapping[str, Any]) -> bool:
    """Whether a subject is a user or a group of people; those of ``system:`` are Kubernetes' own."""
    return subject.get("kind") in ("User", "Group") and not str(subject.get("name")).startswith("system:")


def subjects_of(kind: Kind, obj: Object) -> list[Object]:
    """Whoever gets access by an object."""
    if kind is TENANT_ALLOCATION:
        return list((obj.get("spec") or {}).get("members") or ())
    return list(obj.get("subjects") or ()) if kind in (ROLE_BINDING, CLUSTER_ROLE_BINDING) else []


def redacted(kind: Kind, obj: Object, people: People) -> Object:
    """What of an object goes into the archive."""
    metadata = obj.get("metadata") or {}
    kept = taken(metadata, METADATA)
    if annotations := metadata.get("annotations"):
        kept["annotations"] = {key: text if key in ANNOTATIONS else LEFT_OUT for key, text in annotations.items()}
    content = CONTENT.get(kind, spec_and_status)(obj)
    if kind is TENANT_ALLOCATION and "members" in content.get("spec", {}):
        content["spec"] = {**content["spec"], "members": [people.subject(one) for one in content["spec"]["members"]]}
    if "subjects" in content:
        content["subjects"] = [people.subject(one) for one in content["subjects"]]
    value: Object = people.value({"metadata": kept, **content})
    return value


# -- what of each kind


def taken(obj: Mapping[str, Any], keys: Iterable[str]) -> Object:
    return {key: obj[key] for key in keys if key in obj}


def spec_and_status(obj: Object) -> Object:
    return taken(obj, ("spec", "status"))


def of_node(obj: Object) -> Object:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return {
        "spec": taken(spec, ("unschedulable", "taints")),
        "status": {
            **taken(status, ("capacity", "allocatable", "conditions")),
            "nodeInfo": taken(status.get("nodeInfo") or {}, NODE_INFO),
        },
    }


def of_claim(obj: Object) -> Object:
    status = taken(obj.get("status") or {}, ("phase", "capacity", "conditions"))
    return {"spec": taken(obj.get("spec") or {}, CLAIM), "status": status}


def of_class(obj: Object) -> Object:
    """Of parameters only the names: some provisioners take their credentials there."""
    return {**taken(obj, CLASS), "parameters": dict.fromkeys(obj.get("parameters") or {}, LEFT_OUT)}


def of_event(obj: Object) -> Object:
    involved = taken(obj.get("involvedObject") or {}, ("kind", "namespace", "name", "uid"))
    return {"involvedObject": involved, **taken(obj, EVENT_FIELDS)}


def of_deployment(obj: Object) -> Object:
    spec = obj.get("spec") or {}
    template = spec.get("template") or {}
    return {
        "spec": {
            **taken(spec, ("replicas", "strategy")),
            "template": {"spec": of_pod_spec(template.get("spec") or {})},
        },
        "status": obj.get("status") or {},
    }


def of_pod(obj: Object) -> Object:
    status = obj.get("status") or {}
    containers = [taken(one, CONTAINER_STATUS) for one in status.get("containerStatuses") or ()]
    return {
        "spec": of_pod_spec(obj.get("spec") or {}),
        "status": {**taken(status, POD_STATUS), "containerStatuses": containers},
    }


def of_pod_spec(spec: Object) -> Object:
    kept = taken(spec, ("nodeName", "serviceAccountName", "priorityClassName", "securityContext"))
    return {**kept, "containers": [of_container(one) for one in spec.get("containers") or ()]}


def of_container(container: Object) -> Object:
    """Without the values of its environment, and with only those arguments that are the operator's own."""
    arguments = [one if ARGUMENT.fullmatch(one) else LEFT_OUT for one in container.get("args") or ()]
    environment = [str(one.get("name")) for one in container.get("env") or ()]
    return {**taken(container, CONTAINER), "args": arguments, "env": environment}


CONTENT: Mapping[Kind, Callable[[Object], Object]] = {
    NODE: of_node,
    VOLUME_CLAIM: of_claim,
    STORAGE_CLASS: of_class,
    EVENT: of_event,
    DEPLOYMENT: of_deployment,
    POD: of_pod,
    LEASE: lambda obj: taken(obj, ("spec",)),
    ROLE_BINDING: lambda obj: taken(obj, ("roleRef", "subjects")),
    CLUSTER_ROLE_BINDING: lambda obj: taken(obj, ("roleRef", "subjects")),
    CLUSTER_ROLE: lambda obj: taken(obj, ("rules",)),
}
