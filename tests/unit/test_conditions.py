"""The words of status, and how conditions are written without touching what did not change."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from bitgoeul.api.conditions import REFUSALS, Condition, ConditionType, Phase, Reason, merge_conditions
from bitgoeul.api.meta import StatusCondition

MIDNIGHT = datetime(2021, 4, 16, tzinfo=UTC)
EARLIER = "2021-04-01T00:00:00Z"
READY = Condition(ConditionType.READY, True, Reason.ENFORCED)


def written(**fields: Any) -> dict[str, Any]:
    """A Ready condition as it stands in a status."""
    before = {
        "type": "Ready",
        "status": "True",
        "reason": "Enforced",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": EARLIER,
    }
    return before | fields


def merge(*wanted: Condition, before: Any = (), generation: int = 1) -> list[dict[str, Any]]:
    """Merge at midnight UTC."""
    return merge_conditions(wanted, before, generation, MIDNIGHT)


def test_a_new_condition_carries_all_fields_of_the_standard_shape() -> None:
    """Times are UTC in whole seconds, as the API server prints them."""
    condition = Condition(ConditionType.ADMITTED, False, Reason.WAITING_FOR_CAPACITY, "needs 8")
    assert merge(condition, generation=4) == [
        {
            "type": "Admitted",
            "status": "False",
            "reason": "WaitingForCapacity",
            "message": "needs 8",
            "observedGeneration": 4,
            "lastTransitionTime": "2021-04-16T00:00:00Z",
        }
    ]


@pytest.mark.parametrize(
    ("before", "since"),
    [
        pytest.param(written(), EARLIER, id="the same keeps its time"),
        pytest.param(written(reason="Provisioning", message="soon"), EARLIER, id="another reason keeps its time"),
        pytest.param(written(observedGeneration=0), EARLIER, id="another generation keeps its time"),
        pytest.param(written(status="False"), "2021-04-16T00:00:00Z", id="another status starts anew"),
        pytest.param(written(status="Unknown"), "2021-04-16T00:00:00Z", id="unknown is another status"),
        pytest.param(written(type="Admitted"), "2021-04-16T00:00:00Z", id="another type is another condition"),
        pytest.param({"type": "Ready", "status": "True"}, "2021-04-16T00:00:00Z", id="a lost time starts anew"),
        pytest.param({}, "2021-04-16T00:00:00Z", id="an empty one starts anew"),
    ],
)
def test_the_time_is_that_of_the_last_change_of_status(before: dict[str, Any], since: str) -> None:
    """As the standard says: reason and message may change without a transition."""
    assert merge(READY, before=[before])[0]["lastTransitionTime"] == since


def test_times_are_written_in_utc_whatever_the_zone_of_the_clock() -> None:
    """09:00 in Korea is midnight UTC."""
    korea = MIDNIGHT.astimezone(timezone(timedelta(hours=9)))
    assert merge_conditions([READY], (), 1, korea)[0]["lastTransitionTime"] == "2021-04-16T00:00:00Z"


def test_merging_twice_changes_nothing() -> None:
    """What was written compares equal to what is wanted, so that nothing is written again."""
    first = merge(READY, Condition(ConditionType.STALLED, False, Reason.NOTHING_TO_DO))
    again = merge_conditions(
        [READY, Condition(ConditionType.STALLED, False, Reason.NOTHING_TO_DO)], first, 1, MIDNIGHT + timedelta(hours=1)
    )
    assert again == first


def test_conditions_stand_in_the_order_in_which_they_are_wanted() -> None:
    """What is not wanted any more disappears."""
    overlap = {"type": "NodesOverlap", "status": "True", "lastTransitionTime": EARLIER}
    result = merge(READY, Condition(ConditionType.STALLED, False, Reason.NOTHING_TO_DO), before=[overlap])
    assert [condition["type"] for condition in result] == ["Ready", "Stalled"]


def test_a_long_message_is_cut_and_fits_into_the_schema() -> None:
    """A condition must never be refused for its length."""
    result = merge(Condition(ConditionType.READY, False, Reason.APPLY_FAILED, "x" * 100_000))
    assert len(result[0]["message"]) == 1024
    StatusCondition.model_validate(result[0])


def test_what_is_written_can_be_read() -> None:
    """The model of the API accepts every condition type and reason."""
    for kind in ConditionType:
        for reason in Reason:
            StatusCondition.model_validate(merge(Condition(kind, True, reason))[0])


@pytest.mark.parametrize("word", [*Phase, *ConditionType, *Reason])
def test_words_are_one_camel_case_word(word: str) -> None:
    """They are compared by programs and stand in labels of metrics."""
    assert re.fullmatch(r"([A-Z][a-z]+)+", word)
    assert len(word) <= 63


def test_reasons_against_a_grant_come_first_in_order_of_precedence() -> None:
    """The order of the enum is the order in which reasons are shown; what may heal by waiting comes after refusals."""
    assert [*Reason][:12] == [
        "Misconfigured",
        "RoleNotAllowed",
        "PoolNotFound",
        "NamespaceConflict",
        "ResourceNameCollision",
        "ExceedsPoolCapacity",
        "WindowPassed",
        "Suspended",
        "PoolOnHold",
        "WindowNotOpen",
        "BlockedByEarlier",
        "WaitingForCapacity",
    ]
    assert set([*Reason][:6]) == REFUSALS


def test_no_reason_repeats_a_state() -> None:
    """A reason names the cause: a phase as a reason would say nothing. Suspended alone is both: spec.suspend is why."""
    assert {str(phase) for phase in Phase} & {str(reason) for reason in Reason} == {"Suspended"}
