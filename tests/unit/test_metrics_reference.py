"""The page about metrics is made from the code, and the names keep to their rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bitgoeul.metrics.collector import SOURCES
from bitgoeul.metrics.families import Family, FamilyType
from bitgoeul.metrics.instruments import FAMILIES
from bitgoeul.metrics.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ALL = [*(source.family for source in SOURCES), *FAMILIES]
UNITS = {
    *("namespaces", "devices", "bytes", "seconds", "petaflops", "nodes", "allocations", "requests", "pods", "members")
}

each_family = pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)


def test_the_page_is_up_to_date() -> None:
    """Else run: python -m bitgoeul.metrics.reference > docs/metrics.md"""
    assert PAGE.read_text() == reference()


def test_every_family_has_one_row() -> None:
    """None is missing and none is there twice."""
    rows = re.findall(r"^\| `(bitgoeul_\w+)` \|", reference(), re.MULTILINE)
    assert sorted(rows) == sorted(family.name for family in ALL)


def test_queries_use_names_that_exist() -> None:
    """An example that finds nothing would be worse than none."""
    known = {family.name for family in ALL}
    known |= {family.name + "_bucket" for family in ALL if family.type is FamilyType.HISTOGRAM}
    assert set(re.findall(r"(?<!:)\bbitgoeul_\w+", reference())) <= known


@each_family
def test_a_name_ends_with_its_unit(family: Family) -> None:
    """Base units, in the plural, and _total for what only grows."""
    name = family.name
    assert re.fullmatch(r"bitgoeul(_[a-z]+)+", name)
    assert name.endswith("_total") == (family.type is FamilyType.COUNTER)
    unit = name.removesuffix("_total").rpartition("_")[2]
    assert family.unit == (unit if unit in UNITS else "")


@each_family
def test_a_family_is_explained(family: Family) -> None:
    """In sentences that fit into a cell of the page's table, after the stability."""
    assert family.meaning[0].isupper() or family.meaning[0].isdigit()
    assert family.meaning.endswith(".")
    assert not set("|\n\\") & set(family.meaning)
    assert family.help == f"[ALPHA] {family.meaning}"


@each_family
def test_closed_labels_are_labels(family: Family) -> None:
    """Values are declared for labels that the family has."""
    assert set(family.values) <= set(family.labels)
