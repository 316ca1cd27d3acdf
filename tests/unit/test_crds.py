"""The CRDs: generated from the models, committed as they are, and written so that people and servers can use them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest
import yaml
from click.testing import CliRunner
from pydantic import Field

from bitgoeul.api.conditions import Phase
from bitgoeul.api.crd import Column, Kind, SchemaError, build_crd, render_crd
from bitgoeul.api.fields import INT_OR_STRING_KEY, ListType, Rule
from bitgoeul.api.kinds import KINDS
from bitgoeul.api.meta import ApiModel, ObjectMeta
from bitgoeul.cli.crds import crds
from bitgoeul.cli.main import main

CRDS = Path(__file__).parents[2] / "crds"

# They come with the work that makes them act; until then they would promise something that nobody does.
LATER = {"network", "deviceClassName", "ledger"}


class Node(NamedTuple):
    """One place in a schema."""

    kind: Kind
    path: str
    schema: dict[str, Any]


def walk(kind: Kind, path: str, schema: dict[str, Any]) -> Iterator[Node]:
    """A schema node and all below it."""
    yield Node(kind, path, schema)
    for name, child in schema.get("properties", {}).items():
        yield from walk(kind, f"{path}.{name}", child)
    for key, step in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from walk(kind, path + step, schema[key])


def schema_of(kind: Kind) -> dict[str, Any]:
    """The OpenAPI schema of a kind."""
    schema: dict[str, Any] = build_crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


NODES = [node for kind in KINDS for node in walk(kind, kind.name, schema_of(kind))]
RULES = [(node, rule) for node in NODES for rule in node.schema.get("x-kubernetes-validations", [])]


def places(nodes: list[Node]) -> list[str]:
    """Where the nodes stand, for a readable failure."""
    return [node.path for node in nodes]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_committed_crd_is_the_generated_one(kind: Kind) -> None:
    """Whoever changes a model runs `bitgoeul crds --output-dir crds` as well."""
    assert (CRDS / kind.file_name).read_text() == render_crd(kind), "run: bitgoeul crds --output-dir crds"


def test_crds_folder_holds_nothing_else() -> None:
    """`kubectl apply -f crds` must apply CRDs only."""
    assert {file.name for file in CRDS.iterdir()} == {kind.file_name for kind in KINDS}


def test_every_node_is_described() -> None:
    """`kubectl explain` is the manual: each node says what it means, in more than a word."""
    # The API server allows no description on metadata and brings its own.
    described = [node for node in NODES if not node.path.endswith(".metadata")]
    assert not places([node for node in described if len(node.schema.get("description", "")) < 20])


def test_every_spec_field_says_what_absence_means() -> None:
    """Whoever leaves an optional field out can read what happens then."""
    words = re.compile("Default|default|Absent|absent|Empty|empty")
    silent = [
        f"{node.path}.{name}"
        for node in NODES
        if ".spec" in node.path
        for name, child in node.schema.get("properties", {}).items()
        if name not in node.schema.get("required", []) and not words.search(child["description"])
    ]
    assert not silent


def test_lists_and_maps_are_bounded() -> None:
    """Nobody can store an object that rules cannot check in time."""
    lists = [node for node in NODES if node.schema.get("type") == "array"]
    maps = [node for node in NODES if "additionalProperties" in node.schema]
    assert not places([node for node in lists if "maxItems" not in node.schema])
    assert not places([node for node in maps if "maxProperties" not in node.schema])


def test_texts_are_bounded() -> None:
    """A text has a maximum length, a format or a closed choice."""
    texts = [
        node
        for node in NODES
        if (node.schema.get("type") == "string" or INT_OR_STRING_KEY in node.schema) and node.path.count(".") > 1
    ]
    bounded = {"maxLength", "enum", "format"}
    assert not places([node for node in texts if not bounded & set(node.schema)])


def test_list_keys_are_always_there() -> None:
    """A key that may be missing would make two entries look the same."""
    missing = []
    for node in NODES:
        for key in node.schema.get("x-kubernetes-list-map-keys", []):
            item = node.schema["items"]
            if key not in item.get("required", []):
                missing.append(f"{node.path}[].{key}")
    assert not missing


def test_no_entry_of_a_list_or_map_has_a_default() -> None:
    """An apply on the client's side replaces a whole list, and would find it changed for ever."""
    assert not places([node for node in NODES if "default" in node.schema and ("[]" in node.path or "{}" in node.path)])


def test_every_quantity_may_be_a_number() -> None:
    """As in every other manifest: cpu: 64 and size: 1073741824 need no quotes."""
    rules = {node.path for node, rule in RULES if "quantity(self)" in rule["rule"]}
    assert rules == {node.path for node in NODES if INT_OR_STRING_KEY in node.schema and "etaflops" not in node.path}


def test_every_list_says_how_it_merges() -> None:
    """Server-side apply needs to know whether entries have owners."""
    lists = [node for node in NODES if node.schema.get("type") == "array"]
    assert not places([node for node in lists if "x-kubernetes-list-type" not in node.schema])


def test_rules_answer_instead_of_patterns() -> None:
    """A pattern would answer with a raw regular expression."""
    assert not places([node for node in NODES if "pattern" in node.schema])


def test_every_rule_has_a_message_on_one_line() -> None:
    """A refusal says what would be right."""
    assert all(len(rule["message"]) > 10 for _, rule in RULES)
    assert not [rule for _, rule in RULES for text in rule.values() if text != " ".join(text.split())]


def test_rules_over_objects_point_at_a_field() -> None:
    """A message at the whole object leaves people searching; only a rule about the object itself may have none."""
    pointless = [
        f"{node.path}: {rule['message']}"
        for node, rule in RULES
        if node.schema.get("type") == "object" and "properties" in node.schema and "fieldPath" not in rule
    ]
    assert [text.split(":")[0] for text in pointless] == [
        "AcceleratorPool.spec.perDevice",
        "TenantAllocation.spec",
        "TenantAllocation.spec.compute",
    ]


def test_status_states_no_defaults() -> None:
    """A default in status would claim a finding that nobody made."""
    assert not places([node for node in NODES if ".status" in node.path and "default" in node.schema])


def test_nested_defaults_appear_in_absent_objects() -> None:
    """deletionPolicy stands in the object even if nobody wrote expiry; a window without defaults is not made up."""
    spec = schema_of(KINDS[2])["properties"]["spec"]["properties"]
    assert spec["expiry"]["default"] == {}
    assert {name: field["default"] for name, field in spec["expiry"]["properties"].items() if "default" in field} == {
        "grace": "24h",
        "workload": "Drain",
        "retention": "720h",
        "deletionPolicy": "Retain",
    }
    assert "default" not in spec["window"]


def test_every_moment_has_a_rule_that_reads_it() -> None:
    """The format alone lets texts pass that nothing can read; a condition's time is text and never read."""
    moments = [node for node in NODES if node.schema.get("format") == "date-time"]
    unread = places([node for node in moments if "x-kubernetes-validations" not in node.schema])
    assert len(moments) > len(unread)
    assert {path.rsplit(".", 1)[-1] for path in unread} == {"lastTransitionTime"}


def test_stop_policies_are_those_that_a_pool_can_carry_out() -> None:
    """Storage cannot be drained."""
    device, storage = (schema_of(kind)["properties"]["spec"]["properties"]["stopPolicy"] for kind in KINDS[:2])
    assert (device["enum"], device["default"]) == (["None", "Hold", "HoldAndDrain"], "None")
    assert (storage["enum"], storage["default"]) == (["None", "Hold"], "None")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_files_have_no_anchors(kind: Kind) -> None:
    """Each part is written out where it stands, whatever else has the same content."""
    assert not re.search(r"[&*]id\d+", render_crd(kind))


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_is_explained(phase: Phase) -> None:
    """Whoever sees a phase finds in the manual what it means."""
    status = schema_of(KINDS[2])["properties"]["status"]["properties"]
    assert f"{phase} (" in status["phase"]["description"]


def test_fields_that_do_nothing_yet_are_not_there() -> None:
    """The schema promises only what the operator does."""
    assert not {node.path.rsplit(".", 1)[-1] for node in NODES} & LATER


def test_kinds_are_served_as_documented() -> None:
    """Scope, category, short names and the status subresource."""
    documents = [build_crd(kind) for kind in KINDS]
    assert {tuple(document["spec"]["names"]["shortNames"]) for document in documents} == {
        ("apool",),
        ("spool",),
        ("ta",),
    }
    for document in documents:
        assert document["spec"]["scope"] == "Cluster"
        assert document["spec"]["names"]["categories"] == ["bitgoeul"]
        assert document["spec"]["versions"][0]["subresources"] == {"status": {}}


@pytest.mark.parametrize(
    ("kind", "narrow"),
    [
        (KINDS[0], "Product Stage Effective Granted Available Waiting Ready Age"),
        (KINDS[1], "Class Stage Capacity Granted Available Ready Age"),
        (KINDS[2], "Organization Accelerators Phase Position Earliest End Age"),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else "",
)
def test_columns_answer_the_first_questions(kind: Kind, narrow: str) -> None:
    """`kubectl get` shows these; the rest waits for -o wide."""
    assert [column.name for column in kind.columns if not column.wide] == narrow.split()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_columns_and_selectors_name_fields_that_exist(kind: Kind) -> None:
    """A misspelt path would print an empty column for ever."""
    fields = {node.path.removeprefix(kind.name) for node in NODES if node.kind is kind}
    paths = [column.json_path for column in kind.columns] + list(kind.selectable_fields)
    simple = {path.replace('[?(@.type=="Ready")]', "[]") for path in paths} - {".metadata.creationTimestamp"}
    assert simple <= fields


# -- what the generator cannot say


class Toleration(ApiModel):
    """An entry of a list with a default of its own."""

    operator: str = "Equal"


class Named(ApiModel):
    """An entry of a list that two fields tell apart."""

    type: str
    name: str


def kind_with(annotation: Any) -> Kind:
    """A kind whose spec has one field."""

    class Spec(ApiModel):
        """A spec with one field."""

        field: annotation

    class Sample(ApiModel):
        """A kind for tests."""

        metadata: ObjectMeta
        spec: Spec
        status: Spec | None = None

    return Kind(Sample, "samples", "s", (Column("Age", "date", ".metadata.creationTimestamp", "Age of it."),))


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        pytest.param(int | str, "a choice between types", id="a choice between types"),
        pytest.param(tuple[int, ...], "a list needs a ListType", id="a list without a merge type"),
        pytest.param(tuple[int, str], "prefixItems", id="a tuple of fixed types"),
        pytest.param(Annotated[str, Field(pattern="^a")], "pattern cannot be said", id="a pattern"),
        pytest.param(Annotated[int, Field(gt=0)], "exclusiveMinimum cannot be said", id="an exclusive bound"),
        pytest.param(Any, "has no single type", id="anything"),
        pytest.param(dict[str, Any], "additionalProperties needs a schema", id="a map of anything"),
        pytest.param(
            Annotated[tuple[Toleration, ...], ListType("atomic")], "a default inside a list", id="a default in a list"
        ),
    ],
)
def test_what_a_crd_cannot_say_is_an_error(annotation: Any, message: str) -> None:
    """A constraint is never lost silently; the error names its place."""
    with pytest.raises(SchemaError, match=rf"^spec\.field.*: .*{message}"):
        build_crd(kind_with(annotation))


def test_rules_of_a_type_and_of_its_use_add_up() -> None:
    """A shared type keeps its rules where a field adds its own."""
    low = Annotated[str, Rule(rule="a", message="first")]
    both = build_crd(kind_with(Annotated[low | None, Rule(rule="b", message="second")]))
    field = both["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["field"]
    assert [rule["message"] for rule in field["x-kubernetes-validations"]] == ["first", "second"]


def test_list_keys_are_written_out() -> None:
    """ListType gives the merge type and the keys."""
    listed = build_crd(kind_with(Annotated[tuple[Named, ...], ListType("map", "type", "name")]))
    field = listed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["field"]
    assert field["x-kubernetes-list-type"] == "map"
    assert field["x-kubernetes-list-map-keys"] == ["type", "name"]


# -- the command


def test_command_prints_all_crds() -> None:
    """The output goes straight into `kubectl apply -f -`."""
    result = CliRunner().invoke(crds)
    assert result.exit_code == 0
    assert [document["metadata"]["name"] for document in yaml.safe_load_all(result.stdout)] == [
        "acceleratorpools.bitgoeul.dev",
        "storagepools.bitgoeul.dev",
        "tenantallocations.bitgoeul.dev",
    ]


def test_command_writes_the_committed_files(tmp_path: Path) -> None:
    """`--output-dir` makes the folder and writes one file for each kind, printing nothing."""
    folder = tmp_path / "new" / "crds"
    result = CliRunner().invoke(crds, ["--output-dir", str(folder)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        file.name: file.read_text() for file in CRDS.iterdir()
    }


def test_unwritable_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that cannot be a folder ends with exit 1 and one line."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SystemExit) as stop:
        main(["crds", "--output-dir", str(file)])
    assert stop.value.code == 1
    assert re.fullmatch(r"Error: cannot write .*/file: File exists; .*\n", capsys.readouterr().err)
