"""Planning over time agrees with a second, slow planner that was written from the design page alone."""

from __future__ import annotations

from hypothesis import HealthCheck, event, given, settings

from bitgoeul.api.conditions import REFUSALS
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.life import Course
from bitgoeul.planning.moments import FOREVER
from tests.unit.builders import in_hours, plan_of
from tests.unit.planning_reference import Case, Outcome, solve
from tests.unit.planning_timelines import cases, objects_of


def outcome_of(decision: Decision) -> Outcome:
    """A decision in the words of the reference."""
    if decision.reason in REFUSALS and decision.promised is None:
        return Outcome("refused")
    window = decision.window
    starts = in_hours(window.start) if window else None
    ends = in_hours(window.end) if window and window.end < FOREVER else None
    foreseen = in_hours(decision.queue.earliest) if decision.queue else None
    if decision.course is Course.OPEN:
        if decision.met:
            return Outcome("in force", int(starts or 0), None if ends is None else int(ends))
        return Outcome("growth waits", None if foreseen is None else int(foreseen), None if ends is None else int(ends))
    if decision.promised is not None:
        return Outcome("promised", int(starts or 0), None if ends is None else int(ends))
    return Outcome("waits", None if foreseen is None else int(foreseen))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases())
def test_planning_agrees_with_the_reference(case: Case) -> None:
    """Same admissions, same promised starts, same extensions, same earliest starts."""
    expected = solve(case)
    plan = plan_of(objects_of(case))
    for tenant in case.tenants:
        wanted = expected[tenant.name]
        found = outcome_of(plan.decisions[tenant.name])
        event(wanted.word)
        assert found == wanted, tenant.name
