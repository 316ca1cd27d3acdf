"""The chart: made files are up to date, values are described and checked, and what is rendered keeps its promises."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import helm_python
import pytest
import yaml

from bitgoeul import __version__
from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import GROUP, LEASE_NAME, OPERATOR_NAMESPACE
from bitgoeul.api.tenant_allocation import MemberRole
from bitgoeul.cli.main import cli
from bitgoeul.controller.preflight import MINIMUM_VERSION
from bitgoeul.desired.role_bindings import tenant_role
from bitgoeul.metrics.collector import SOURCES
from bitgoeul.metrics.instruments import FAMILIES as INSTRUMENTS
from tests.chart import BASE, CHART, KEEP, ROOT, Manifest, made, manifests, render, values_of_chart
from tests.dashboards.files import FOLDER
from tests.unit.test_docs import codes, rows, section

# Written by hand beside what is made.
BY_HAND = {BASE / "kustomization.yaml", BASE / "namespace.yaml"}
LEASE_KINDS = {"Namespace", "Role", "RoleBinding"}  # where the Lease is, not where the release is
# Checked by the API server instead: values that go into a manifest as Kubernetes' own types.
KUBERNETES_TYPES = {"nodeAffinity", "podAffinity", "podAntiAffinity", "podSelector", "namespaceSelector", "ipBlock"}
INFO = 1
# Of all data of a ConfigMap; the API server takes 1 MiB, and kubectl apply keeps a copy in 256 KiB of annotations.
MOST_BYTES = 200_000


def find(kind: str, values: Mapping[str, Any] | None = None) -> Manifest:
    """The one object of a kind."""
    (obj,) = (obj for obj in manifests(values) if obj["kind"] == kind)
    return obj


def pod_of(values: Mapping[str, Any] | None = None) -> Manifest:
    """The pod's spec of the Deployment."""
    spec: Manifest = find("Deployment", values)["spec"]["template"]["spec"]
    return spec


# -- made files


def test_made_files_are_up_to_date() -> None:
    """Else run: make generate"""
    assert [path for path, content in made().items() if not path.exists() or path.read_text() != content] == []


def test_nothing_is_left_of_what_is_made_no_longer() -> None:
    """A template that is gone leaves no manifest, a kind that is gone no template."""
    found = {*BASE.iterdir(), *(CHART / "templates" / "crds").iterdir()}
    assert found == {path for path in made() if path.name != "README.md"} | BY_HAND


def test_the_base_names_all_its_files() -> None:
    """kustomize takes what is listed, and nothing else."""
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    files = {file.name for file in BASE.iterdir()}
    assert set(listed) == files - {"kustomization.yaml"}


def test_helm_finds_nothing_wrong() -> None:
    """Strictly: warnings count too."""
    report = helm_python.lint(CHART, strict=True)
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]
    assert {message["severity"] for message in report["messages"]} == {INFO}


def test_versions_agree() -> None:
    """Chart, image and package are released together, and ask for the same Kubernetes; the changelog is about them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__, "not installed anew since the version changed: run make setup"
    newest = re.search(r"^## \[(.*?)\].*\n\n(?:To be ([\d.]+\d))?", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert (newest[2] if newest[1] == "Unreleased" else newest[1]) == __version__
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    assert chart["kubeVersion"] == f">={'.'.join(map(str, MINIMUM_VERSION))}.0-0"


# -- values


def leaves(values: Manifest, described: set[str], path: str = "") -> Iterator[str]:
    """Where values stand: those that are described, and of others what is in them."""
    for key, value in values.items():
        below = f"{path}{key}"
        if isinstance(value, dict) and value and below not in described:
            yield from leaves(value, described, f"{below}.")
        else:
            yield below


def test_every_value_is_described() -> None:
    """By the comment above it, which is its row in the README."""
    described = [value.path for value in values_of_chart()]
    assert described == list(leaves(yaml.safe_load((CHART / "values.yaml").read_text()), set(described)))


def objects(node: Any, path: str) -> Iterator[tuple[str, Manifest]]:
    """Every schema of an object below a node of the schema."""
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, child in node.items():
            yield from objects(child, f"{path}.{key}")


def schema_paths(node: Manifest, described: set[str], path: str = "") -> Iterator[str]:
    for key, child in node["properties"].items():
        below = f"{path}{key}"
        if "properties" in child and below not in described:
            yield from schema_paths(child, described, f"{below}.")
        else:
            yield below


def test_the_schema_is_closed_and_complete() -> None:
    """It knows exactly the values that there are; ``global`` is Helm's own."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    open_objects = [path for path, node in objects(schema, "") if node.get("additionalProperties", True) is True]
    assert {path.rsplit(".", 1)[1] for path in open_objects} == KUBERNETES_TYPES | {"global"}
    described = [value.path for value in values_of_chart()]
    assert list(schema_paths(schema, set(described))) == ["global", *described]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"replica": 2}, id="a value that does not exist"),
        pytest.param({"image": {"name": "x"}}, id="a value that does not exist further down"),
        pytest.param({"replicas": "2"}, id="a text for a number"),
        pytest.param({"replicas": -1}, id="less than nothing"),
        pytest.param({"workers": 257}, id="more workers than the command takes"),
        pytest.param({"metrics": {"port": 80}}, id="a port that user 10001 cannot have"),
        pytest.param({"image": {"repository": ""}}, id="no image"),
        pytest.param({"image": {"digest": "sha256:abc"}}, id="half a digest"),
        pytest.param({"log": {"format": "xml"}}, id="a format that is not known"),
        pytest.param({"resources": {"request": {}}}, id="a misspelt word of Kubernetes"),
        pytest.param({"networkPolicy": {"from": [{}]}}, id="a peer that is everybody"),
        pytest.param({"metrics": {"serviceMonitor": {"interval": "often"}}}, id="an interval that is none"),
        pytest.param({"metrics": {"dashboards": {"labels": {"a": 1}}}}, id="a label that is a number"),
        pytest.param({"metrics": {"dashboards": {"namespace": "My Own"}}}, id="a namespace that cannot be"),
    ],
)
def test_wrong_values_are_refused(values: Manifest) -> None:
    """Before anything is sent to a cluster."""
    with pytest.raises(helm_python.HelmValuesError):
        render(values)


def test_an_account_of_ones_own_needs_its_name() -> None:
    """It is used everywhere, and not made."""
    with pytest.raises(helm_python.HelmRenderError, match="name is needed"):
        render({"serviceAccount": {"create": False}})
    given = {"serviceAccount": {"create": False, "name": "mine"}}
    assert pod_of(given)["serviceAccountName"] == "mine"
    assert find("ClusterRoleBinding", given)["subjects"][0]["name"] == "mine"
    assert find("RoleBinding", given)["subjects"][0]["name"] == "mine"
    assert "ServiceAccount" not in {obj["kind"] for obj in manifests(given)}


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        pytest.param({"crds": {"install": False}}, {"CustomResourceDefinition"}, id="CRDs"),
        pytest.param(
            {"rbac": {"create": False}}, {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}, id="roles"
        ),
    ],
)
def test_what_is_switched_off_is_not_made(values: Manifest, kinds: set[str]) -> None:
    """And all the rest is."""
    everything = {obj["kind"] for obj in manifests()}
    assert kinds < everything
    assert {obj["kind"] for obj in manifests(values)} == everything - kinds


# -- what is rendered


def test_crds_stay_when_the_release_goes() -> None:
    """Deleting one would delete all objects of its kind."""
    crds = [obj for obj in manifests() if obj["kind"] == "CustomResourceDefinition"]
    assert len(crds) == len(KINDS)
    assert all(KEEP.items() <= crd["metadata"]["annotations"].items() for crd in crds)


def test_the_pod_may_nothing_that_it_does_not_need() -> None:
    """No root, nothing to write to, no capabilities, no rights gained, the runtime's own seccomp profile."""
    pod = pod_of()
    (container,) = pod["containers"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    assert "volumes" not in pod


def test_one_replica_by_default_and_no_gap_between_two() -> None:
    """The new pod is ready before the old one ends."""
    spec = find("Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_the_operator_may_bind_just_the_roles_that_are_allowed() -> None:
    """By name; and by default none beside its own three, so that there is no such rule."""
    allowed = ["ray-user", "kubeflow:user"]
    before, after = (
        find("ClusterRole", values)["rules"] for values in ({}, {"members": {"allowedClusterRoles": allowed}})
    )
    (added,) = (rule for rule in after if rule not in before)
    assert added == {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterroles"],
        "resourceNames": allowed,
        "verbs": ["bind"],
    }
    assert len(after) == len(before) + 1


@pytest.mark.parametrize(
    "name", ["admin", "cluster-admin", "edit", "system:node", "bitgoeul:tenant-admin", "*", "", "a,b", "a b"]
)
def test_roles_that_give_too_much_are_refused_by_the_schema(name: str) -> None:
    """As the operator would refuse them, but before anything is installed."""
    with pytest.raises(helm_python.HelmValuesError):
        render({"members": {"allowedClusterRoles": [name]}})


def test_arguments_are_those_of_the_command() -> None:
    """Whatever the values: an option that does not exist would end every pod."""
    run = cli.get_command(None, "run")  # type: ignore[arg-type]
    assert run is not None
    trial = {
        "image": "harbor.example/pause:3.10",
        "labels": {"team": "platform"},
        "annotations": {"example.org/note": 'so "it" is = {{ 100 % }}'},
        "resources": {"requests": {"cpu": 1, "memory": 1000000}, "limits": {"cpu": 1.5, "memory": "1Gi"}},
    }
    values = {
        "log": {"format": "text", "verbose": True},
        "workers": 4,
        "trialPod": trial,
        "members": {"allowedClusterRoles": ["ray-user", "kubeflow:user"]},
    }
    arguments = pod_of(values)["containers"][0]["args"]
    context = run.make_context("run", arguments[1:])
    assert arguments[0] == "run"
    expected = {
        "metrics_host": "0.0.0.0",  # noqa: S104 - in a pod
        "metrics_port": 9400,
        "workers": 4,
        "log_format": "text",
        "verbose": True,
        "allowed_roles": ("ray-user", "kubeflow:user"),
        "trial_pod_image": "harbor.example/pause:3.10",
        "trial_pod_label": ("team=platform",),
        "trial_pod_annotation": ('example.org/note=so "it" is = {{ 100 % }}',),
        "trial_pod_request": ("cpu=1", "memory=1e+06"),
        "trial_pod_limit": ("cpu=1.5", "memory=1Gi"),
    }
    assert {key: context.params[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param({}, f"registry.example.com/bitgoeul/bitgoeul:{__version__}", id="by default the chart's version"),
        pytest.param({"repository": "r/b", "tag": "next"}, "r/b:next", id="a tag"),
        pytest.param(
            {"repository": "r/b", "tag": "next", "digest": f"sha256:{'a' * 64}"},
            f"r/b@sha256:{'a' * 64}",
            id="a digest, and the tag no longer counts",
        ),
    ],
)
def test_the_image_is_what_the_values_say(image: Manifest, expected: str) -> None:
    """A digest names exactly one image, a tag any."""
    assert pod_of({"image": image})["containers"][0]["image"] == expected


@pytest.mark.parametrize("namespace", [OPERATOR_NAMESPACE, "operators"])
def test_the_lease_is_in_the_same_place_for_all(namespace: str) -> None:
    """Wherever a release is: its rights to the Lease are there, and a namespace that is missing is made and kept."""
    objects = manifests(name="center", namespace=namespace)
    by_kind = {obj["kind"]: obj for obj in objects}
    assert {by_kind[kind]["metadata"]["namespace"] for kind in ("Role", "RoleBinding")} == {OPERATOR_NAMESPACE}
    (subject,) = by_kind["RoleBinding"]["subjects"]
    assert subject["namespace"] == by_kind["Deployment"]["metadata"]["namespace"] == namespace
    made = [obj["metadata"] for obj in objects if obj["kind"] == "Namespace"]
    assert [(one["name"], one["annotations"]) for one in made] == (
        [] if namespace == OPERATOR_NAMESPACE else [(OPERATOR_NAMESPACE, KEEP)]
    )


def test_who_selects_finds_the_pods_and_their_port() -> None:
    """Service, NetworkPolicy, PodDisruptionBudget and ServiceMonitor, under any name of the release."""
    values = {
        "metrics": {"port": 9500, "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
        "networkPolicy": {"enabled": True, "from": [{"podSelector": {}}]},
    }
    objects = manifests(values, name="center", namespace="operators")
    by_kind = {obj["kind"]: obj for obj in objects if obj["kind"] not in LEASE_KINDS}
    service, monitor, policy = (by_kind[kind] for kind in ("Service", "ServiceMonitor", "NetworkPolicy"))
    budget = by_kind["PodDisruptionBudget"]
    template = by_kind["Deployment"]["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    (port,) = template["spec"]["containers"][0]["ports"]
    assert by_kind["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert service["spec"]["selector"].items() <= labels
    assert (service["spec"]["ports"][0]["targetPort"], port["containerPort"]) == (port["name"], 9500)
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels
    assert policy["spec"]["ingress"] == [
        {"from": [{"podSelector": {}}], "ports": [{"port": port["name"], "protocol": "TCP"}]}
    ]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == (service["spec"]["ports"][0]["name"], "/metrics")
    assert (endpoint["interval"], endpoint["honorLabels"]) == ("30s", True)
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert {obj["metadata"].get("namespace") for obj in by_kind.values()} == {"operators", None}


def test_a_policy_without_peers_lets_nobody_in() -> None:
    """An empty list of peers in a rule would be everybody."""
    spec = find("NetworkPolicy", {"networkPolicy": {"enabled": True}})["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    assert "ingress" not in spec


def test_nothing_looks_like_the_operators_own() -> None:
    """It would put back, or delete, what carries its label."""
    for obj in manifests():
        assert "app.kubernetes.io/managed-by" not in obj["metadata"].get("labels", {})


def test_the_notes_name_three_commands_and_the_placeholder() -> None:
    """What to do next, and why no pod starts."""
    notes = render()["NOTES.txt"]
    assert len(re.findall(r"^  kubectl ", notes, re.MULTILINE)) == 3
    assert "placeholder" in notes
    assert "placeholder" not in render({"image": {"repository": "ghcr.io/you/bitgoeul"}})["NOTES.txt"]


# -- dashboards


def dashboard_maps(**values: Any) -> list[Manifest]:
    """The ConfigMaps of dashboards, under a name of the release that does not have ours in it."""
    objects = manifests({"metrics": {"dashboards": values}}, name="center", namespace="operators")
    return [obj for obj in objects if obj["kind"] == "ConfigMap"]


def test_each_dashboard_is_a_config_map() -> None:
    """With the file as it is: braces in it are Grafana's, not Helm's. None is too large for the API server."""
    maps = dashboard_maps(enabled=True)
    data = {name: text for obj in maps for name, text in obj["data"].items()}
    assert data == {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert all(len(obj["data"]) == 1 for obj in maps)
    assert max(len(text.encode()) for text in data.values()) < MOST_BYTES
    assert [obj["metadata"]["name"] for obj in maps] == sorted(
        f"center-bitgoeul-dashboard-{path.stem.removeprefix('bitgoeul-')}" for path in FOLDER.iterdir()
    )


def test_a_sidecar_finds_dashboards_by_label() -> None:
    """By that of kube-prometheus-stack, or any other; in the namespace of the release, or where the sidecar looks."""
    for obj in dashboard_maps(enabled=True):
        assert obj["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert obj["metadata"]["namespace"] == "operators"
        assert "annotations" not in obj["metadata"]
    folder = {"grafana_folder": "Bitgoeul"}
    own = {"grafana_dashboard": "yes", "team": "platform"}
    for obj in dashboard_maps(enabled=True, labels=own, annotations=folder, namespace="monitoring"):
        assert own.items() <= obj["metadata"]["labels"].items()
        assert obj["metadata"]["annotations"] == folder
        assert obj["metadata"]["namespace"] == "monitoring"


def test_dashboards_are_made_where_they_are_wanted() -> None:
    """Not by default: who has no Grafana needs none."""
    assert dashboard_maps() == []


# -- what the operator may do


def test_the_role_names_what_it_gives() -> None:
    """No wildcards, no addresses; where a name is known, only that one."""
    rules = [*find("ClusterRole")["rules"], *find("Role")["rules"]]
    assert "*" not in json.dumps(rules)
    assert all(set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"} for rule in rules)
    named = [(rule["verbs"], rule["resourceNames"]) for rule in rules if "resourceNames" in rule]
    assert named == [
        (["get"], [f"{kind.plural}.{GROUP}" for kind in KINDS]),
        (["bind", "escalate"], [tenant_role(role) for role in MemberRole]),
        (["get", "patch"], [LEASE_NAME]),
    ]


def test_the_page_about_permissions_is_the_role() -> None:
    """Each rule has its row: resources, names, verbs."""
    rules = [*find("ClusterRole")["rules"], *find("Role")["rules"]]
    expected = [(rule["resources"], rule.get("resourceNames", []), rule["verbs"]) for rule in rules]
    table = rows(section(ROOT / "docs" / "operations.md", "## Permissions"))
    assert [(codes(row[0]), codes(row[1]), row[2].split(", ")) for row in table] == expected


def test_no_metric_has_a_label_that_a_scrape_adds() -> None:
    """What the Prometheus operator adds of the pod stands beside our labels, and takes the place of none."""
    added = {"namespace", "service", "pod", "container", "endpoint", "job", "instance", "node"}
    families = [*(source.family for source in SOURCES), *INSTRUMENTS]
    assert [family.name for family in families if added & set(family.labels)] == []


# -- the image


def test_the_image_runs_as_the_chart_says() -> None:
    """The user, the port and the command of the Dockerfile are those of the pod."""
    text = (ROOT / "Dockerfile").read_text()
    context = pod_of()["securityContext"]
    assert f"\nUSER {context['runAsUser']}:{context['runAsGroup']}\n" in text
    (port,) = pod_of()["containers"][0]["ports"]
    assert f"\nEXPOSE {port['containerPort']}\n" in text
    assert 'ENTRYPOINT ["/opt/bitgoeul/bin/bitgoeul"]' in text


def test_the_image_is_built_of_what_is_sent() -> None:
    """What the Dockerfile copies exists, and .dockerignore lets exactly that through."""
    copied = [
        name.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        for name in line.split()
    ]
    sent = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(sent)
    assert [name for name in copied if not (ROOT / name).exists()] == []
