"""
Field types that several kinds share: names, moments, durations, stages, texts for display. Each carries its
bounds and the rule that explains them.

A field with a rule has no ``pattern``: both would answer, and the first answer would be a raw regular expression.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field

from bitgoeul.api.fields import Rule
from bitgoeul.api.names import MAX_POOL_NAME, OPERATOR_NAMESPACE

#: More devices than any one place has; keeps every sum far inside 32 bits.
MAX_DEVICES = 1_000_000

#: Names that no tenant may take, for messages.
RESERVED_NAMES = f"kube-*, default and {OPERATOR_NAMESPACE}"

LABEL_WORDS = "lower-case letters, digits and dashes, starting and ending with a letter or digit"


def is_label(text: str) -> str:
    """CEL that tells whether a text is a DNS label."""
    return f"!format.dns1123Label().validate({text}).hasValue()"


def not_reserved(name: str, field_path: str = "") -> Rule:
    """The rule that a name belongs neither to the cluster nor to the operator."""
    return Rule(
        rule=f"!({name}.startsWith('kube-') || {name} in ['default', '{OPERATOR_NAMESPACE}'])",
        message=f"is reserved: {RESERVED_NAMES} belong to the cluster and the operator",
        field_path=field_path,
    )


PoolName = Annotated[
    str,
    Field(max_length=MAX_POOL_NAME, description=f"Name of a pool: a DNS label of at most {MAX_POOL_NAME} characters."),
    Rule(rule=is_label("self"), message=f"must be the name of a pool: {LABEL_WORDS}"),
]

NamespaceName = Annotated[
    str,
    Field(max_length=63, description="Name of a namespace: a DNS label of at most 63 characters."),
    Rule(rule=is_label("self"), message=f"must be the name of a namespace: {LABEL_WORDS}"),
    not_reserved("self"),
]

ClaimName = Annotated[
    str,
    Field(max_length=63, description="Name of a PersistentVolumeClaim: a DNS label of at most 63 characters."),
    Rule(rule=is_label("self"), message=f"must be the name of a claim: {LABEL_WORDS}"),
]


_OFFSET = re.compile(r"(.+)([+-])([0-9]{2}):([0-9]{2})", re.DOTALL)


def _read_moment(value: object) -> object:
    """Read RFC 3339 into UTC: also what the API server takes and pydantic does not, a comma before the fraction."""
    if not isinstance(value, str):
        return value
    match = _OFFSET.fullmatch(value)
    if match is None:
        return datetime.fromisoformat(value)
    # The API server also takes +24:00, for which Python has no zone: the offset is taken off here.
    local, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    at = datetime.fromisoformat(f"{local}+00:00")
    try:
        return at - offset if sign == "+" else at + offset
    except OverflowError as error:
        raise ValueError(f"{value} lies outside the calendar") from error


_ANY_MOMENT = Annotated[AwareDatetime, BeforeValidator(_read_moment)]

# Without a rule that reads the value, the format date-time lets offsets such as +99:99 pass, which nothing can read.

#: A moment that people write; the bounds leave room for what is reckoned from it.
Moment = Annotated[
    _ANY_MOMENT,
    Field(description="A moment in RFC 3339 with seconds and offset, such as 2021-04-15T00:00:00+09:00."),
    Rule(
        rule="self.getFullYear() >= 2000 && self.getFullYear() < 2200",
        message="must be a moment between the years 2000 and 2199 (UTC), such as 2021-04-15T00:00:00+09:00",
    ),
]

#: A moment that the operator reckons; it may lie years behind what people wrote.
ReckonedMoment = Annotated[
    _ANY_MOMENT,
    Field(description="A moment in UTC and RFC 3339, such as 2021-04-15T00:00:00Z."),
    Rule(
        rule="self.getFullYear() >= 1970 && self.getFullYear() < 9999",
        message="must be a moment between the years 1970 and 9998 (UTC), such as 2021-04-15T00:00:00Z",
    ),
]


def is_duration(text: str) -> str:
    """CEL that tells whether a text can be read as a duration; bounds are a matter of the field."""
    return f"{text}.matches('^([0-9]{{1,5}}[hms])+$')"


def _between(least: str, most: str, words: str) -> Rule:
    """The rule that a duration can be read and lies within bounds; ``least`` is CEL such as ``> duration('0s')``."""
    return Rule(
        rule=f"{is_duration('self')} && duration(self) {least} && duration(self) <= duration('{most}')",
        message=f"must be a duration of whole hours, minutes or seconds such as 2160h, 90m or 1h30m, {words} and at "
        f"most {most}; a day is 24h",
    )


#: A stretch of time, more than nothing and at most ten years.
Duration = Annotated[
    str,
    Field(max_length=16, description="A duration such as 2160h or 90m."),
    _between("> duration('0s')", "87600h", "more than 0s"),
]

#: A stretch of time or none, at most ten years.
DurationOrZero = Annotated[
    str,
    Field(max_length=16, description="A duration such as 2160h or 90m, or 0s."),
    _between(">= duration('0s')", "87600h", "at least 0s"),
]

#: A stretch of time or none, at most a year.
GraceDuration = Annotated[
    str,
    Field(max_length=16, description="A duration such as 72h or 90m, or 0s."),
    _between(">= duration('0s')", "8760h", "at least 0s"),
]


StageName = Annotated[
    str,
    Field(max_length=63, description="Name of a stage: a DNS label of at most 63 characters."),
    Rule(rule=is_label("self"), message=f"must be the name of a stage: {LABEL_WORDS}"),
]

#: On a list of stages: each begins later than the one before it.
ASCENDING = Rule(
    rule="self.all(i, s, i == 0 || s.from > self[i - 1].from)",
    message="stages must begin one after the other, each later than the one before it",
    message_expression="""
        'stages must begin one after the other, each later than the one before it: %s'.format([
            self.transformList(i, s, i > 0 && s.from <= self[i - 1].from, '%s from %s stands after %s from %s'.format([
                s.name, s.from, self[i - 1].name, self[i - 1].from]))])
    """,
)

# Control characters break tables and logs, direction marks make one name look like another.
_NO_TRICKS = (
    "self.matches('[\\\\p{Cc}\\\\p{Zl}\\\\p{Zp}\\\\x{200E}\\\\x{200F}\\\\x{202A}-\\\\x{202E}\\\\x{2066}-\\\\x{2069}]')"
)

DisplayText = Annotated[
    str,
    Field(min_length=1, max_length=128, description="A text for people; shown in tables, logs and metrics."),
    Rule(
        rule=f"self.trim() == self && !{_NO_TRICKS}",
        message="must have no control characters, line breaks, text-direction marks, or blanks at its ends",
    ),
]

DeviceCount = Annotated[int, Field(ge=0, le=MAX_DEVICES, description="A number of whole devices.")]


def short_label(what_for: str, limit: int) -> Rule:
    """The rule that an object's own name is a DNS label; the API server itself allows dots and 253 characters."""
    # Not format.dns1123Label(): its cost is reckoned for a name without bound, whatever the schema says.
    return Rule(
        rule=f"size(self.metadata.name) <= {limit} && !self.metadata.name.contains('.')",
        message=f"must be a DNS label of at most {limit} characters, without dots: it {what_for}",
        field_path=".metadata.name",
    )
