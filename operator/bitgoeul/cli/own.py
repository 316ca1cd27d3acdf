"""
One allocation as its own status tells of it, so that a tenant, who may read no more than that, can be shown it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bitgoeul.api.conditions import Phase, Reason
from bitgoeul.cli.advice import (
    ALL_IS_THERE,
    WATCH,
    Advice,
    Turn,
    advice_for,
    advise_on_held_up,
    advise_on_lost,
    advise_without_date,
    held_up_by_clocks,
)
from bitgoeul.cli.expiring import left_text
from bitgoeul.cli.output import amounts_in_brief, format_facts, instant_of
from bitgoeul.cli.picture import present
from bitgoeul.cli.why import command_for, enforcement_headline, shortage_text
from bitgoeul.desired.allocation_status import headline_condition, holdings, pending_message
from bitgoeul.desired.pod_security import pod_security_text
from bitgoeul.errors import NotReadyError
from bitgoeul.planning.allocations import Allocation, Amounts, read_allocation, read_grant
from bitgoeul.planning.moments import FOREVER, LATEST, day, moment
from bitgoeul.planning.pools import PoolKey, accelerator, storage
from bitgoeul.planning.terms import Recorded, read_moment

PLATFORM_COMMAND = "bitgoeul why {name}"


@dataclass(frozen=True, slots=True)
class Own:
    """
    What is shown of one allocation.

    Attributes:
        now: By the operator's clock, as far as it is known.
        status: As the operator has written it.
        current: Whether it is about the newest spec.
    """

    allocation: Allocation
    now: int
    offset: timedelta
    status: Mapping[str, Any]
    current: bool
    advice: Advice
    reason: str
    message: str
    command: str

    @property
    def phase(self) -> str:
        return str(self.status.get("phase", ""))

    @property
    def queue(self) -> Mapping[str, Any]:
        return self.status.get("queue") or {}

    @property
    def conditions(self) -> list[Mapping[str, Any]]:
        return list(self.status.get("conditions") or ())

    @property
    def notices(self) -> list[int]:
        """When notice is given, ascending."""
        recorded = self.allocation.recorded
        return self.allocation.terms.notice_times(recorded.start, recorded.end) if recorded else []

    def as_lines(self, *, wide: bool) -> list[str]:
        """What a person reads; ``wide`` shows each condition with its type and since when it is so."""
        allocation, queue = self.allocation, self.queue
        granted, used = allocation.granted, read_grant(self.status.get("inUse"))
        position = f", position {queue['position']}" if "position" in queue else ""
        stale = "" if self.current else " (of an older spec; the operator has not looked at the newest yet)"
        organization = f" ({allocation.organization})" if allocation.organization else ""
        held = any(granted.values())
        facts = [
            ("Has", amounts_in_brief(granted) if held else "nothing"),
            ("Asks", amounts_in_brief(allocation.ask) if dict(granted) != dict(allocation.ask) or not held else ""),
            ("In use", in_use_text(used) if held else ""),
            ("Too much", excess_text(allocation)),
            ("Pods", pending_message(self.status)),
            ("Window", window_text(allocation.recorded, self.now)),
            ("Notices", notices_text(self.notices, self.now)),
            ("After the end", after_text(allocation.recorded)),
            ("Since", moment_text(queue.get("since"))),
            ("Short now", shortage_text(blocked(queue)) if queue else ""),
            ("Earliest start", moment_text(queue.get("earliestStart")) or ("none is known" if queue else "")),
            ("Namespaces", namespaces_text(self.status, allocation)),
            ("Pod security", pod_security_text(allocation)),
            *(("" if number else "Conditions", text) for number, text in enumerate(self._conditions(wide))),
            ("Reason", f"{self.reason}: {self.message}" if self.message else self.reason),
            ("Turn", f"{self.advice.turn}: {self.advice.text}"),
            ("Next", self.command),
        ]
        return format_facts(f"{allocation.name}{organization} is {self.phase}{position}{stale}", facts)

    def _conditions(self, wide: bool) -> list[str]:
        texts = []
        for one in self.conditions:
            answer = {"True": "yes", "False": "no"}.get(str(one.get("status")), "unknown")
            since = f" since {moment_text(one.get('lastTransitionTime'))}" if wide else ""
            said = f": {one['message']}" if wide and one.get("message") else ""
            texts.append(f"{one.get('type')} {answer}{since} ({one.get('reason')}){said}")
        return texts if wide else [", ".join(texts)]

    def as_json(self) -> dict[str, Any]:
        """What a program reads."""
        allocation, recorded = self.allocation, self.allocation.recorded
        ends = recorded is not None and recorded.end <= LATEST
        return {
            "time": instant_of(self.now),
            "name": allocation.name,
            "organization": allocation.organization,
            "phase": self.phase,
            "current": self.current,
            "reason": self.reason,
            "message": self.message,
            "has": holdings(allocation.granted),
            "asks": holdings(allocation.ask),
            "inUse": holdings(read_grant(self.status.get("inUse"))),
            "excess": holdings(allocation.excess),
            "window": recorded
            and {
                "start": instant_of(recorded.start),
                "end": instant_of(recorded.end),
                "leftSeconds": max(0, recorded.end - self.now) // 1000 if ends else None,
                "drainAt": instant_of(recorded.drain_at),
                "dataDeleteAt": instant_of(recorded.delete_at),
            },
            "notices": [{"at": instant_of(at), "given": at <= self.now} for at in self.notices],
            "queue": self.status.get("queue"),
            "namespaces": list(self.status.get("namespaces") or ()),
            "podSecurity": pod_security_text(allocation) or None,
            "conditions": self.conditions,
            "turn": self.advice.turn,
            "advice": self.advice.text,
            "next": self.command,
        }


def find_own(obj: Mapping[str, Any], offset: timedelta, *, lists: bool, pools: Iterable[Mapping[str, Any]] = ()) -> Own:
    """
    Put together what an object says.

    Args:
        lists: Whether commands that look at everything answer this person.
        pools: Those that it has devices of, as far as they may be read.
    Raises:
        NotReadyError: The operator has not seen it.
    """
    allocation, status = read_allocation(obj), obj.get("status") or {}
    if not status.get("phase"):
        raise NotReadyError(
            f"{allocation.name} has no status yet: the operator has not seen it; is it running? bitgoeul doctor"
        )
    served = status["phase"] in (Phase.ACTIVE, Phase.EXPIRING) and not status.get("queue")
    said = enforcement_headline(status) if served else headline_condition(status)
    reason, message = held_up_by_clocks(status) or said
    held_up = advise_on_held_up(message)
    if held_up is None and hopeless(reason, status.get("queue") or {}):
        advice = advise_without_date(message)
    else:
        advice = advice_for(reason, message, allocation)
    if advice is ALL_IS_THERE:
        advice = lost(pools) or advice
    # Which pool is at issue, only the whole plan tells; what a platform engineer does, a tenant may not.
    elsewhere = "{pool}" in advice.command or (advice.turn is Turn.ENGINEER and not lists)
    command = (PLATFORM_COMMAND if lists else WATCH).format(name=allocation.name)
    return Own(
        allocation=allocation,
        now=moment(present() + offset),
        offset=offset,
        status=status,
        current=status.get("observedGeneration") == obj["metadata"].get("generation"),
        advice=advice,
        reason=reason,
        message=message,
        command=command if elsewhere else command_for(advice, allocation, None),
    )


def lost(pools: Iterable[Mapping[str, Any]]) -> Advice | None:
    """What is to be done about a pool that has fewer devices than are granted from it; None: each has enough."""
    for pool in pools:
        devices = (pool.get("status") or {}).get("devices") or {}
        there, granted = int(devices.get("schedulable", 0)), int(devices.get("granted", 0))
        if there < granted:
            return advise_on_lost(pool["metadata"]["name"], there, granted)
    return None


def hopeless(reason: str, queue: Mapping[str, Any]) -> bool:
    """Whether it waits for what has no date."""
    return reason in (Reason.WAITING_FOR_CAPACITY, Reason.BLOCKED_BY_EARLIER) and "earliestStart" not in queue


def blocked(queue: Mapping[str, Any]) -> dict[PoolKey, int]:
    """What is short, as the status of a waiting one says."""
    rows = queue.get("blockedBy") or ()
    found = {accelerator(str(row["pool"])): int(row["devices"]) for row in rows if "devices" in row}
    sizes = read_grant({"storage": {str(row["pool"]): row["size"] for row in rows if "size" in row}})
    return found | {storage(pool.name): amount for pool, amount in sizes.items()}


def in_use_text(used: Amounts) -> str:
    return amounts_in_brief(used) if any(used.values()) else "nothing"


def excess_text(allocation: Allocation) -> str:
    """What is in use beyond what is asked for, and when it goes."""
    if not any(allocation.excess.values()):
        return ""
    at = allocation.excess_drain_at
    return f"{amounts_in_brief(allocation.excess)}{'' if at is None else f', evicted {day(at)}'}"


def window_text(recorded: Recorded | None, now: int) -> str:
    """From when until when, and how much of it is left."""
    if recorded is None:
        return ""
    ahead = f"; starts in {left_text(recorded.start, now)}" if recorded.start > now else ""
    if recorded.end >= FOREVER:
        return f"from {day(recorded.start)}, open-ended{ahead}"
    left = f", {left_text(recorded.end, now)} left" if recorded.end > now else ", over"
    return f"{day(recorded.start)} to {day(recorded.end)}{ahead or left}"


def notices_text(times: list[int], now: int) -> str:
    return ", ".join(f"{'given' if at <= now else 'due'} {day(at)}" for at in times)


def after_text(recorded: Recorded | None) -> str:
    """What goes when the window is over."""
    if recorded is None or recorded.end >= FOREVER:
        return ""
    pods = f"pods go {day(recorded.drain_at)}" if recorded.drain_at is not None else "pods stay"
    data = f"data is deleted {day(recorded.delete_at)}" if recorded.delete_at is not None else "data is kept"
    return f"{pods}, {data}"


def moment_text(raw: object) -> str:
    """A moment of a status; empty where it is absent."""
    at = read_moment(raw)
    return "" if at is None else day(at)


def namespaces_text(status: Mapping[str, Any], allocation: Allocation) -> str:
    """The namespaces, whether they are ready, and their shares where there are several."""
    rows = list(status.get("namespaces") or ())
    texts = []
    for row in rows:
        share = allocation.placed.get(str(row.get("name")), {})
        part = f" {amounts_in_brief(share)}" if len(rows) > 1 and share else ""
        texts.append(f"{row.get('name')}{part}{'' if row.get('ready') else ' (not ready)'}")
    return ", ".join(texts)
