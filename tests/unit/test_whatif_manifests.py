"""Objects out of files: what is right is read, what is wrong is told in one line with place, field and value."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from bitgoeul.errors import UserError
from bitgoeul.whatif.documents import load
from bitgoeul.whatif.manifests import Manifest, Skipped, read_manifests

API = "apiVersion: bitgoeul.dev/v1alpha1\n"
ALLOCATION = f"""{API}kind: TenantAllocation
metadata: {{name: blue}}
spec:
  organization: {{name: Blue Motors, class: Startup}}
  accelerators: [{{pool: a100, devices: 8}}]
"""
POOL = f"""{API}kind: AcceleratorPool
metadata: {{name: a100}}
spec:
  type: GPU
  resourceName: nvidia.com/gpu
  nodeSelector: {{example.org/product: a100}}
  stages: [{{name: full, from: 2024-01-01T00:00:00+09:00, devices: 8}}]
"""


def read(text: str) -> list[Manifest | Skipped]:
    return list(read_manifests("new.yaml", text))


def allocation(**spec: Any) -> str:
    """A document with an allocation that differs from the usual one."""
    obj = yaml.safe_load(ALLOCATION)
    return json.dumps({**obj, "spec": {**obj["spec"], **spec}})


def test_several_documents_are_read_in_order() -> None:
    """Empty documents count, and hold nothing; what planning does not look at is named."""
    other = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: lustre}\n"
    found = read(f"{POOL}---\n---\n{ALLOCATION}---\n{other}")
    assert [(type(one).__name__, one.place, one.name) for one in found] == [
        ("Manifest", "new.yaml, document 1", "a100"),
        ("Manifest", "new.yaml, document 3", "blue"),
        ("Skipped", "new.yaml, document 4", "lustre"),
    ]


def test_a_list_is_unfolded() -> None:
    """As kubectl get -o yaml writes it."""
    items = [yaml.safe_load(ALLOCATION), {**yaml.safe_load(ALLOCATION), "metadata": {"name": "red"}}]
    found = read(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    assert [one.name for one in found] == ["blue", "red"]


@pytest.mark.parametrize(("text", "value"), [
    ("1e+06", 1_000_000), ("8.0", 8), ("010", 8), ("08", 8), ("0x10", 16), ("1_000", 1000), ("!!float 2", 2),
    ("100000000000000000000", 10**20), ("-0.0", 0),
])  # fmt: skip
def test_numbers_are_read_as_kubectl_reads_them(text: str, value: int) -> None:
    """As Helm writes them, and as YAML 1.1 has them; tests on a control plane compare with kubectl itself."""
    [found] = load("new.yaml", f"a: {text}")
    assert (found["a"], type(found["a"])) == (value, int)


@pytest.mark.parametrize(("text", "value"), [
    ("yes", True), ("y", True), ("off", False), ("~", None), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"),
    ("!!str 8", "8"), ("'yes'", "yes"), ("1e400", "1e400"), ("0x", "0x"), ("_1", "_1"), ("1.5", 1.5),
])  # fmt: skip
def test_words_are_read_as_kubectl_reads_them(text: str, value: Any) -> None:
    """Truth values of YAML 1.1, and texts that only look like something else."""
    assert list(load("new.yaml", f"a: {text}")) == [{"a": value}]


def test_what_comes_later_wins_over_what_is_merged_before() -> None:
    """In the order of the file, as kubectl has it; of several mappings in one merge the first wins."""
    text = "top: {a: 1, <<: [{a: 2, b: 2}, {a: 3, b: 3, c: 3}], b: 4}"
    assert list(load("new.yaml", text)) == [{"top": {"a": 2, "b": 4, "c": 3}}]


def test_a_field_that_is_null_is_left_out() -> None:
    """As the API server does before it judges."""
    found = read(f"{ALLOCATION}  suspend: ~\n  window: {{start: null}}\n")[0]
    assert isinstance(found, Manifest)
    assert ("suspend" in found.spec, found.spec["window"]) == (False, {})


def test_a_moment_stays_the_text_that_it_is() -> None:
    """YAML would make a date of it, and lose how it was written."""
    found = read(POOL)[0]
    assert isinstance(found, Manifest)
    assert found.spec["stages"][0]["from"] == "2024-01-01T00:00:00+09:00"


@pytest.mark.parametrize(("text", "said"), [
    pytest.param("", "new.yaml: there is no object in it", id="an empty file"),
    pytest.param("a: [", "new.yaml, line 1, column 5: not YAML", id="no YAML"),
    pytest.param("a: \x00", "new.yaml: not YAML", id="a null byte"),
    pytest.param("spec: 1\nspec: 2", "line 2, column 1: not YAML: 'spec' stands here twice", id="a key twice"),
    pytest.param("just a text", "new.yaml, document 1: 'just a text' is no object", id="a text"),
    pytest.param("a: 1", "apiVersion and kind are required", id="no kind"),
    pytest.param(f"{API}kind: TenantAllocation", "metadata.name: nothing: must be the name", id="no name"),
    pytest.param(ALLOCATION.replace("Tenant", "Tenent"), "there is no TenentAllocation", id="an unknown kind"),
    pytest.param(ALLOCATION.replace("v1alpha1", "v2"), "of bitgoeul.dev/v2; write bitgoeul.dev/v1alpha1", id="version"),
    pytest.param(f"{API}kind: StoragePool\nmetadata: {{name: x}}", "spec: nothing: must be a mapping", id="no spec"),
    pytest.param(
        allocation(acelerators=[]),
        "new.yaml, document 1, TenantAllocation blue: spec.acelerators: there is no such field; spec has accelerators,",
        id="a misspelt field",
    ),
    pytest.param(
        allocation(accelerators=[{"pool": "a100", "gpus": 8}]),
        "spec.accelerators[0].gpus: there is no such field; spec.accelerators[0] has devices, pool",
        id="a misspelt field in a list",
    ),
    pytest.param(
        allocation(accelerators=[{"pool": "a100", "devices": -3}]),
        "spec.accelerators[0].devices: -3: must be greater than or equal to 1",
        id="a number out of bounds",
    ),
    pytest.param(
        allocation(accelerators=[{"pool": "a100", "devices": "8"}]),
        "spec.accelerators[0].devices: '8': must be a valid integer",
        id="a text for a number",
    ),
    pytest.param(allocation(accelerators=[{"pool": "a100"}]), "spec.accelerators[0].devices: is required", id="absent"),
    pytest.param(
        allocation(window={"start": "tomorrow"}),
        "spec.window.start: 'tomorrow': must be a moment between the years 2000 and 2199",
        id="no moment",
    ),
    pytest.param(
        allocation(window={"end": "2027-01-01T00:00:00"}), "spec.window.end: '2027-01-01T00:00:00': must be a moment",
        id="a moment without a zone",
    ),
    pytest.param(
        allocation(expiry={"workload": "Kill"}), "spec.expiry.workload: 'Kill': must be 'Drain' or 'Keep'",
        id="a word that is none of the choices",
    ),
    pytest.param(ALLOCATION + "  priority: .nan\n", "spec.priority: nan: must be a number between", id="not a number"),
    pytest.param(ALLOCATION + "  priority: 1e30\n", "spec.priority: 1e+30: must be a number between", id="too large"),
    pytest.param(ALLOCATION + "  priority: 1.5\n", "spec.priority: 1.5: must be a valid integer", id="a fraction"),
    pytest.param(ALLOCATION + "  priority: on\n", "spec.priority: True: must be a valid integer", id="a truth value"),
    pytest.param(
        ALLOCATION + "  compute: {cpu: 1.5}\n", "spec.compute.cpu: 1.5: must be a number of CPU cores such as",
        id="a fraction without quotes",
    ),
    pytest.param(
        allocation(organization={"name": False, "class": "SME"}),
        "spec.organization.name: False: must be text: put it in quotes", id="a truth value for a text",
    ),
    pytest.param(
        allocation(organization={"name": "x", "class": "SME", "region": 800}),
        "spec.organization.region: 800: must be text: put it in quotes", id="a number for a text",
    ),
    pytest.param(
        allocation(organization={"name": ["x"], "class": "SME"}), "spec.organization.name: ['x']: must be text",
        id="a list for a text",
    ),
    pytest.param(
        POOL.replace("product: a100", "product: y"),
        "spec.nodeSelector.example.org/product: True: must be text: put it in quotes", id="a truth value in a map",
    ),
    pytest.param(ALLOCATION + "  priority: !!int on\n", "line 7, column 13: not YAML: 'on' is no int", id="a bad tag"),
    pytest.param(ALLOCATION + "  ~: 1\n", "not YAML: a key must be a text; put ~ in quotes", id="nothing for a key"),
    pytest.param(ALLOCATION + "  <<: 1\n", "not YAML: << needs a mapping", id="a number merged"),
    pytest.param(ALLOCATION + "  ? {a: 1}\n  : 2\n", "not YAML", id="a mapping for a key"),
    pytest.param(ALLOCATION + "  1: 2\n", "spec.1: there is no such field", id="a number for a key"),
])  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(text: str, said: str) -> None:
    """File, document, object, field, value, and what would be right."""
    with pytest.raises(UserError) as raised:
        read(text)
    assert said in str(raised.value)
    assert "\n" not in " ".join(str(raised.value).split())
