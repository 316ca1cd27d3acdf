"""Writes that did not take are known, told, and tried again after a while."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.controller.unkept import RETRY_SECONDS, Unkept


def namespace(level: str = "baseline", version: str = "1", **metadata: Any) -> dict[str, Any]:
    """A namespace of blue with a pod security level."""
    labels = {"bitgoeul.dev/allocation": "blue", "level": level}
    metadata = {"name": "blue-1", "labels": labels, "resourceVersion": version, **metadata}
    return {"kind": "Namespace", "metadata": metadata, "status": {"phase": version}}


WANTED = {"kind": "Namespace", "metadata": {"name": "blue-1", "labels": namespace()["metadata"]["labels"]}}
SAID = (
    "Namespace blue-1: label level stays privileged although baseline was written: "
    "another admission policy or webhook changes it"
)


def test_what_stands_is_not_told() -> None:
    """Most writes are as they were meant."""
    unkept = Unkept()
    assert unkept.judge(WANTED, namespace())
    assert (unkept.texts("blue"), unkept.bars("blue-1")) == ([], "")
    assert not unkept.waits(WANTED, namespace())


def test_what_was_changed_back_is_told_and_bars_the_namespace() -> None:
    """With the field, what stands, and what was written."""
    counts: list[Any] = []
    unkept = Unkept(counts.append)
    assert not unkept.judge(WANTED, namespace("privileged"))
    assert unkept.texts("blue") == [SAID]
    assert unkept.bars("blue-1") == SAID
    assert unkept.texts("green") == []
    assert unkept.judge(WANTED, namespace())
    assert (unkept.texts("blue"), unkept.bars("blue-1")) == ([], "")
    assert counts == [{"Namespace": 1}, {}]


def test_the_same_write_waits_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version alone, as each status brings, is no change; another wish, another content, and time are."""
    now = [100.0]
    monkeypatch.setattr("bitgoeul.controller.unkept.time.monotonic", lambda: now[0])
    unkept = Unkept()
    unkept.judge(WANTED, namespace("privileged"))
    assert unkept.waits(WANTED, namespace("privileged", version="2"))
    assert not unkept.waits(WANTED, namespace("restricted"))
    assert not unkept.waits(WANTED, namespace("privileged", annotations={"touched": "1"}))
    other = {"kind": "Namespace", "metadata": {"name": "blue-1", "labels": {"level": "restricted"}}}
    assert not unkept.waits(other, namespace("privileged"))
    now[0] += RETRY_SECONDS
    assert not unkept.waits(WANTED, namespace("privileged"))


def test_parts_of_an_object_are_kept_apart() -> None:
    """A mark that stands says nothing of the labels."""
    unkept = Unkept()
    unkept.judge(WANTED, namespace("privileged"))
    mark = {"kind": "Namespace", "metadata": {"name": "blue-1", "annotations": {"a": "b"}}}
    assert unkept.judge(mark, namespace("privileged", annotations={"a": "b"}), part="a")
    assert unkept.texts("blue") == [SAID]


def test_what_is_gone_is_forgotten() -> None:
    """With a namespace all that was in it."""
    unkept = Unkept()
    quota = {"kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "blue-1"}, "spec": {"hard": {"a": "1"}}}
    unkept.judge(WANTED, namespace("privileged"))
    unkept.judge(quota, {**quota, "spec": {"hard": {"a": "2"}}})
    assert "ResourceQuota q in blue-1: spec.hard.a stays 2 although 1 was written" in unkept.bars("blue-1")
    unkept.forget("Namespace", "blue-1")
    assert unkept.bars("blue-1") == ""


def test_of_an_allocation_that_is_gone_nothing_is_remembered() -> None:
    """Its roles go with it, and nobody writes them any more."""
    unkept = Unkept()
    unkept.judge(WANTED, namespace("privileged"))
    unkept.forget_allocation("green")
    assert unkept.texts("blue") == [SAID]
    unkept.forget_allocation("blue")
    assert unkept.texts("blue") == []
