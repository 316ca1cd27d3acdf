"""
Decides who gets what and when, who waits for what, and why.

Takes a frozen snapshot and gives one decision for each allocation. Pure and total: the same snapshot gives the same
plan, in whatever order its parts come, and a plan applied to its own snapshot decides the same again, to the letter.
"""

from __future__ import annotations

from bitgoeul.planning.decisions import Plan
from bitgoeul.planning.outlook import next_due, summarize
from bitgoeul.planning.snapshot import Snapshot
from bitgoeul.planning.succession import advance
from bitgoeul.planning.walk import Walk

# Who is given something in one walk holds it in the next, where nothing more is given; a fourth walk would be a defect.
MAX_WALKS = 4


def make_plan(snapshot: Snapshot) -> Plan:
    """Decide for everybody."""
    walk = Walk(snapshot)
    decisions = walk.decide()
    for _ in range(MAX_WALKS):
        # Texts and figures of those who wait are to agree with what was given after their turn: so once more, on that.
        following = advance(snapshot, decisions)
        if following is None:
            break
        snapshot = following
        walk = Walk(snapshot)
        decisions = walk.decide()
    return Plan(
        decisions,
        summarize(snapshot, decisions, walk.holds, walk.waiting),
        next_due(snapshot, decisions, walk.lives),
    )
