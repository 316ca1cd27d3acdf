"""What is counted when a status is written, told from the one before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bitgoeul.controller.milestones import Milestones
from bitgoeul.metrics.instruments import Instruments
from bitgoeul.planning.pools import accelerator, storage

NOW = datetime(2021, 4, 15, 12, 0, tzinfo=UTC)
OBJECT = {"metadata": {"name": "blue", "creationTimestamp": "2021-04-15T11:59:48Z"}}
A100, LUSTRE = accelerator("a100"), storage("lustre")


def status(phase: str, ready: str, reason: str, **fields: Any) -> dict[str, Any]:
    """A status with one condition."""
    return {"phase": phase, "conditions": [{"type": "Ready", "status": ready, "reason": reason}], **fields}


WAITING = status("Waiting", "False", "WaitingForCapacity", queue={"since": "2021-04-15T10:30:00Z"})
ACTIVE = status("Active", "True", "Enforced")


class Book:
    """Milestones, and what they have counted."""

    def __init__(self) -> None:
        self.instruments = Instruments("1.2.3")
        self.instruments.keep_pools([A100, LUSTRE])
        self.milestones = Milestones(self.instruments, lambda: NOW)

    def value(self, name: str, **labels: str) -> float | None:
        return self.instruments.registry.get_sample_value(name, labels)


def test_the_first_status_is_the_decision() -> None:
    """By the time since the creation; a later status, as after a restart, is no decision any more."""
    book = Book()
    book.milestones.written(OBJECT, {}, WAITING)
    book.milestones.written(OBJECT, WAITING, ACTIVE)
    name = "bitgoeul_allocation_decision_seconds"
    assert (book.value(f"{name}_count"), book.value(f"{name}_sum")) == (1, 12)
    assert (book.value(f"{name}_bucket", le="10.0"), book.value(f"{name}_bucket", le="30.0")) == (0, 1)


def test_a_clock_that_is_behind_does_not_count_below_nothing() -> None:
    """The API server's clock may be ahead of ours."""
    book = Book()
    book.milestones.written({"metadata": {"creationTimestamp": "2021-04-15T12:00:03Z"}}, {}, WAITING)
    assert book.value("bitgoeul_allocation_decision_seconds_sum") == 0


def test_a_change_of_phase_is_counted_with_its_reason() -> None:
    """What keeps the phase is none."""
    book = Book()
    other = status("Waiting", "False", "BlockedByEarlier")
    for before, after in (({}, WAITING), (WAITING, other), (other, ACTIVE)):
        book.milestones.written(OBJECT, before, after)
    name = "bitgoeul_allocation_transitions_total"
    assert book.value(name, to="Waiting", reason="WaitingForCapacity") == 1
    assert book.value(name, to="Waiting", reason="BlockedByEarlier") is None
    assert book.value(name, to="Active", reason="Enforced") == 1


def test_a_wait_ends_with_the_grant() -> None:
    """For each pool of which there is more now, counted from when it joined the queue."""
    book = Book()
    book.milestones.granted(WAITING, {LUSTRE: 5}, {A100: 8, LUSTRE: 5})
    name = "bitgoeul_allocation_wait_seconds"
    assert book.value(f"{name}_sum", kind="AcceleratorPool", pool="a100") == 90 * 60
    assert book.value(f"{name}_count", kind="StoragePool", pool="lustre") == 0


def test_who_asks_again_waits_only_since_then() -> None:
    """The place in the queue is as old as before; what was held meanwhile is no wait."""
    book = Book()
    again = {"type": "Reconciling", "status": "True", "reason": "Waiting", "lastTransitionTime": "2021-04-15T11:50:00Z"}
    book.milestones.granted({**WAITING, "conditions": [again]}, {}, {A100: 8})
    name = "bitgoeul_allocation_wait_seconds"
    assert book.value(f"{name}_sum", kind="AcceleratorPool", pool="a100") == 10 * 60


def test_a_time_that_cannot_be_read_counts_as_nothing() -> None:
    """Somebody may have written a status by hand."""
    book = Book()
    for since in ("soon", "2021-04-15t11:30:00z", None):
        book.milestones.granted({"queue": {"since": since}}, {}, {A100: 8})
    assert book.value("bitgoeul_allocation_wait_seconds_sum", kind="AcceleratorPool", pool="a100") == 30 * 60


def test_who_did_not_wait_counts_as_nothing() -> None:
    """So that the share of those who had to wait can be told."""
    book = Book()
    book.milestones.granted({}, {}, {A100: 8})
    name = "bitgoeul_allocation_wait_seconds"
    labels = {"kind": "AcceleratorPool", "pool": "a100"}
    assert (book.value(f"{name}_count", **labels), book.value(f"{name}_sum", **labels)) == (1, 0)


def test_what_is_not_more_is_no_grant() -> None:
    """An extension, or a shrink that has taken effect."""
    book = Book()
    book.milestones.granted(WAITING, {A100: 8}, {A100: 8})
    book.milestones.granted(WAITING, {A100: 8}, {A100: 2})
    assert book.value("bitgoeul_allocation_wait_seconds_count", kind="AcceleratorPool", pool="a100") == 0
