"""Which writes are repairs: those of what stood as it is wanted still."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.controller.corrections import Corrections


def quota(devices: str = "8", namespace: str = "blue") -> dict[str, Any]:
    """What a quota is wanted to be."""
    metadata = {"name": "bitgoeul", "namespace": namespace}
    return {"kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"requests.nvidia.com/gpu": devices}}}


def namespace(name: str = "blue") -> dict[str, Any]:
    """What a namespace is wanted to be."""
    return {"kind": "Namespace", "metadata": {"name": name, "labels": {"a": "b"}}}


@pytest.fixture
def counted() -> list[str]:
    """The kinds that were counted, in their order."""
    return []


@pytest.fixture
def corrections(counted: list[str]) -> Corrections:
    """One that knows nothing yet, as after a start."""
    return Corrections(counted.append)


def test_the_first_write_is_no_repair(corrections: Corrections, counted: list[str]) -> None:
    """It is the creation, or what a restart finds: nobody knows how it stood before."""
    corrections.stands(quota(), written=True)
    assert counted == []


def test_a_write_for_the_same_wish_is_a_repair(corrections: Corrections, counted: list[str]) -> None:
    """Each time, whether the first look wrote it or found it so; and not by the order in which it is spelt."""
    corrections.stands(quota(), written=False)
    corrections.stands(quota(), written=True)
    corrections.stands(dict(reversed(quota().items())), written=True)
    corrections.stands(quota(), written=False)
    assert counted == ["ResourceQuota", "ResourceQuota"]


def test_a_change_of_the_wish_is_no_repair(corrections: Corrections, counted: list[str]) -> None:
    """Also where it goes back to what it was before."""
    for devices in ("8", "4", "8"):
        corrections.stands(quota(devices), written=True)
    assert counted == []


def test_only_what_is_wanted_still_can_be_put_right_in_part(corrections: Corrections, counted: list[str]) -> None:
    """One who was a member until now was given access by us, a stranger was not."""
    corrections.stands(quota("8"), written=True)
    corrections.put_right(quota("4"))
    assert counted == []
    corrections.put_right(quota("8"))
    assert counted == ["ResourceQuota"]


def test_what_we_have_deleted_is_made_anew_without_being_counted(corrections: Corrections, counted: list[str]) -> None:
    """With a namespace goes all that was in it."""
    corrections.stands(namespace(), written=True)
    corrections.stands(quota(), written=True)
    corrections.stands(quota(namespace="green"), written=True)
    corrections.deleted("Namespace", "blue")
    corrections.deleted("ResourceQuota", "bitgoeul", "green")
    for wanted in (namespace(), quota(), quota(namespace="green")):
        corrections.stands(wanted, written=True)
    assert counted == []


def test_a_namespace_that_somebody_deletes_counts_once(corrections: Corrections, counted: list[str]) -> None:
    """Not once more for each thing that was in it."""
    corrections.stands(namespace(), written=True)
    corrections.stands(quota(), written=True)
    corrections.emptied("blue")
    corrections.stands(namespace(), written=True)
    corrections.stands(quota(), written=True)
    assert counted == ["Namespace"]


def test_marks_that_went_while_nobody_looked_do_not_count(corrections: Corrections, counted: list[str]) -> None:
    """After a restart nothing is known of what stood before."""
    corrections.marks_restored("blue")
    corrections.stands(namespace(), written=True)
    assert counted == []


def test_marks_that_are_given_back_count_once(corrections: Corrections, counted: list[str]) -> None:
    """Whatever else has to be written to the namespace with it."""
    corrections.stands(namespace(), written=True)
    corrections.marks_restored("blue")
    corrections.stands(namespace(), written=True)
    assert counted == ["Namespace"]
    corrections.stands(namespace(), written=True)
    assert counted == ["Namespace", "Namespace"]
