"""
The pages say what is true: links lead somewhere, examples are valid, and tables name exactly what the code has.

The tables of fields are made from the CRDs: ``python -m tests.unit.test_docs`` writes them anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import yaml

from bitgoeul.api import AcceleratorPool, StoragePool, TenantAllocation
from bitgoeul.api.conditions import ConditionType, Phase, Reason
from bitgoeul.api.crd import Kind, build_crd
from bitgoeul.api.fields import INT_OR_STRING_KEY
from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import API_VERSION
from bitgoeul.cli.main import cli
from bitgoeul.desired.resource_quota import OBJECT_COUNTS
from bitgoeul.metrics.collector import SOURCES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "operator" / "bitgoeul"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("charts/*/*.md")])
KIND_PAGES = {kind: DOCS / f"{kind.name.lower()}.md" for kind in KINDS}
MODELS = {model.__name__: model for model in (AcceleratorPool, StoragePool, TenantAllocation)}

# The tables of fields stand between such comments, one table for spec and one for status.
TABLE = re.compile(r"(<!-- (spec|status): [^\n]*-->\n)(.*?)(<!-- end -->\n)", re.DOTALL)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


class Example(NamedTuple):
    """One object in a fenced block of YAML."""

    page: Path
    obj: dict[str, Any]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text)


def fences(page: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks of a page in one of the languages."""
    return (body for language, body in FENCE.findall(page.read_text()) if language in languages)


def section(page: Path, heading: str) -> str:
    """What stands under a heading, down to the next one of the same level or above."""
    level = heading.index(" ")
    _, found, rest = f"\n{page.read_text()}".partition(f"\n{heading}\n")
    assert found, f"{page.name} has no heading {heading!r}"
    return re.split(rf"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, without headers and rulers."""
    tables = re.findall(r"(?:^\|.*\|\n)+", f"{text}\n", re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def codes(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def named(cells: Iterable[list[str]]) -> list[str]:
    """What the first column names."""
    return [name for row in cells for name in codes(row[0])]


# -- links


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_relative_links_resolve(page: Path) -> None:
    """A link leads to a file of the project, and to a heading that it has."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


# -- examples


def examples() -> Iterator[Example]:
    for page in PAGES:
        for block in fences(page, "yaml"):
            yield from (Example(page, obj) for obj in yaml.safe_load_all(block))


OURS = [example for example in examples() if (example.obj or {}).get("apiVersion") == API_VERSION]


def schema_of(kind: str) -> dict[str, Any]:
    """The OpenAPI schema of one of our kinds."""
    crd = build_crd(next(known for known in KINDS if known.name == kind))
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def unknown_fields(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Fields that the schema does not have; the models would ignore them, the API server drops them with a warning."""
    if isinstance(value, list):
        for item in value:
            yield from unknown_fields(item, schema["items"], f"{path}[]")
    elif isinstance(value, dict) and "properties" in schema:
        for key, child in value.items():
            if key in schema["properties"]:
                yield from unknown_fields(child, schema["properties"][key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"


def test_examples_are_whole_objects() -> None:
    """What is copied out of a page can be applied."""
    assert OURS
    assert not [example for example in examples() if not {"apiVersion", "kind", "metadata"} <= set(example.obj or {})]


@pytest.mark.parametrize("example", OURS, ids=lambda e: f"{e.page.name}: {e.obj['kind']} {e.obj['metadata']['name']}")
def test_an_example_is_valid(example: Example) -> None:
    """It can be read, and names no field that does not exist."""
    kind, schema = example.obj["kind"], schema_of(example.obj["kind"])
    MODELS[kind].model_validate(example.obj)
    found = {part: example.obj[part] for part in example.obj if part not in ("apiVersion", "kind", "metadata")}
    assert not list(unknown_fields(found, schema, kind))


def test_a_made_up_field_would_be_noticed() -> None:
    """The check above bites."""
    wrong = {"spec": {"accelerators": [{"pool": "a100", "gpus": 8}], "colour": {}}}
    found = list(unknown_fields(wrong, schema_of("TenantAllocation"), "ta"))
    assert found == ["ta.spec.accelerators[].gpus", "ta.spec.colour"]


# -- commands


def command_lines(page: Path) -> Iterator[str]:
    """Everything that looks like a command: lines of shell blocks, and code in the text."""
    for block in fences(page, "sh", "console"):
        yield from block.replace("\\\n", " ").splitlines()
    yield from codes(prose(page.read_text()))


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that these words call, and what is left of them."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]!r}"
        command, words = found, words[1:]
    return command, words


def options_of(command: click.Command) -> set[str]:
    """All spellings of all options, without those for help."""
    return {spelling for option in command.params for spelling in (*option.opts, *option.secondary_opts)}


def calls(line: str) -> Iterator[list[str]]:
    """The words after each ``bitgoeul`` that is called in a line of shell."""
    for part in re.split(r"\|\||&&|[|;()]", re.sub(r"\s#\s.*", "", line)):
        words = [word for word in part.replace('"', " ").replace("$", " ").split() if word != "eval"]
        if words[:2] == ["kubectl", "bitgoeul"]:
            words = words[1:]
        if words and Path(words[0]).name in ("bitgoeul", "kubectl-bitgoeul"):
            yield words[1:]


@each_page
def test_documented_commands_exist(page: Path) -> None:
    """Subcommands and options are those that ``bitgoeul --help`` shows."""
    known = {"--help", "-h"}
    for line in command_lines(page):
        for words in calls(line):
            command, rest = find_command([word for word in words if word != "…"])
            given = {word.split("=")[0] for word in rest if word.startswith("-")}
            assert given <= options_of(command) | known, line


@each_page
def test_documented_make_targets_exist(page: Path) -> None:
    """Whoever copies ``make something`` finds it."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = "\n".join(command_lines(page))
    assert set(re.findall(r"(?:^|\s)make ([a-z]+)\b", lines)) <= targets


def test_every_make_target_is_explained() -> None:
    """Those that ``make help`` shows are those of the page for contributors."""
    shown = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(named(rows(section(ROOT / "CONTRIBUTING.md", "## Set up")))) == sorted(
        f"make {name}" for name in shown
    )


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("operations.md", "run"),
        ("local-control-plane.md", "up"),
        ("local-control-plane.md", "down"),
        ("local-control-plane.md", "nodes add"),
        ("local-control-plane.md", "demo"),
        ("commands.md", "status"),
        ("commands.md", "pools"),
        ("commands.md", "expiring"),
        ("commands.md", "doctor"),
        ("commands.md", "bundle"),
        ("commands.md", "plan"),
        ("commands.md", "queue"),
        ("commands.md", "calendar"),
        ("commands.md", "why"),
    ],
)
def test_tables_of_options_are_complete(page: str, command: str) -> None:
    """Each option has its row, and no row is left over from an option that is gone."""
    found, _ = find_command(command.split())
    table = rows(section(DOCS / page, f"### `bitgoeul {command}`"))
    assert sorted(name.split()[0] for name in named(table)) == sorted(options_of(found))


@each_page
def test_patches_name_fields_that_exist(page: Path) -> None:
    """Patches of our kinds are JSON, and lead to a field of the spec."""
    short = {kind.short_name: kind.name for kind in KINDS}
    for line in command_lines(page):
        match = re.search(r"kubectl patch (\w+) .*?-p '([^']*)'", line)
        if not match or match[1] not in short:
            continue
        patch, schema = json.loads(match[2]), schema_of(short[match[1]])
        if isinstance(patch, dict):
            body = {key: value for key, value in patch.items() if key != "metadata"}
            assert not list(unknown_fields(body, schema, short[match[1]]))
            continue
        for operation in patch:
            node = schema
            for step in operation["path"].strip("/").split("/"):
                node = node["items"] if step.isdecimal() or step == "-" else node["properties"][step]


# -- tables


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Path, schema and necessity of all fields below a node."""
    for name, child in schema.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        yield below, child, name in schema.get("required", ())
        node, step = (child["items"], "[]") if "items" in child else (child, "")
        yield from fields(node, below + step)


def type_text(schema: dict[str, Any]) -> str:
    if schema.get("type") == "array":
        return f"list of {type_text(schema['items'])}s"
    if "additionalProperties" in schema:
        return f"map to {type_text(schema['additionalProperties'])}"
    return "integer or string" if INT_OR_STRING_KEY in schema else str(schema["type"])


def default_text(schema: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else ""


def field_table(kind: Kind, part: str) -> str:
    """The table of all fields of spec or status, with the words of ``kubectl explain``."""
    titles = ["Field", "Type", "Default", "Meaning"] if part == "spec" else ["Field", "Type", "Meaning"]
    lines = [titles, ["---"] * len(titles)]
    for path, schema, required in fields(schema_of(kind.name)["properties"][part], part):
        meaning = schema["description"].replace("|", "\\|")
        default = [default_text(schema, required)] if part == "spec" else []
        lines.append([f"`{path}`", type_text(schema), *default, meaning])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_tables(kind: Kind, text: str) -> str:
    """A page with its tables as they should be."""
    return TABLE.sub(lambda match: f"{match[1]}{field_table(kind, match[2])}{match[4]}", text)


@each_kind
def test_tables_of_fields_are_up_to_date(kind: Kind) -> None:
    """Else run: python -m tests.unit.test_docs"""
    text = KIND_PAGES[kind].read_text()
    assert [match[1] for match in TABLE.findall(text)] == ["spec", "status"]
    assert text == with_tables(kind, text)


@each_kind
def test_each_condition_of_a_kind_is_explained(kind: Kind) -> None:
    """Those that metrics know of the kind are those of its page."""
    families = {"AcceleratorPool": "pool", "StoragePool": "storage_pool", "TenantAllocation": "allocation"}
    name = f"bitgoeul_{families[kind.name]}_condition"
    family = next(source.family for source in SOURCES if source.family.name == name)
    assert named(rows(section(KIND_PAGES[kind], "## Conditions"))) == list(family.values["type"])


def test_conditions_of_all_kinds_are_all_there_are() -> None:
    """No condition is left without a page."""
    found = {name for page in KIND_PAGES.values() for name in named(rows(section(page, "## Conditions")))}
    assert found == set(ConditionType)


def test_each_phase_is_explained() -> None:
    """In the order in which the code lists them."""
    assert named(rows(section(DOCS / "tenantallocation.md", "## Phases"))) == list(Phase)


def test_each_reason_is_explained_once() -> None:
    """And no reason is explained that does not exist."""
    assert sorted(named(rows((DOCS / "reasons.md").read_text()))) == sorted(Reason)


def test_each_explained_reason_is_given_somewhere() -> None:
    """A word that no line of the operator writes need not be explained."""
    rooms = [file for room in ("planning", "desired", "controller") for file in (PACKAGE / room).glob("*.py")]
    given = {Reason[name] for file in rooms for name in re.findall(r"\bReason\.([A-Z_]+)", file.read_text())}
    assert given == set(Reason)


def test_object_counts_are_those_of_the_quota() -> None:
    """What bounds a namespace beyond its grant."""
    table = rows(section(DOCS / "tenantallocation.md", "### Object counts"))
    assert {name: int(row[1]) for row in table for name in codes(row[0])} == OBJECT_COUNTS


def test_the_table_of_files_is_the_tree() -> None:
    """Every module is listed, and every listed file exists."""
    table = rows(section(DOCS / "architecture.md", "## Which file does what"))
    listed = [name for row in table for name in codes(row[0])]
    modules = {file for file in PACKAGE.rglob("*.py") if file.name != "__init__.py"}
    beside = {PACKAGE / "local" / "stages.yaml", PACKAGE / "local" / "controlplane" / "main.go"}
    assert sorted(listed) == sorted(str(file.relative_to(PACKAGE)) for file in modules | beside)


# -- what must not be there


@each_page
def test_nothing_of_a_developers_machine_is_mentioned(page: Path) -> None:
    """No paths that only one machine has, and no notes to ourselves."""
    found = re.findall(r"(?<![\w.~}])/(?:work|root|home|farm)\b\S*|\bTODO\b|\bFIXME\b|\bXXX\b", page.read_text())
    assert not found


if __name__ == "__main__":
    for known_kind, known_page in KIND_PAGES.items():
        known_page.write_text(with_tables(known_kind, known_page.read_text()))
