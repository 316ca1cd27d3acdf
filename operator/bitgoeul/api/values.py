"""
Field types that several kinds share: names, quantities, texts for display. Each carries its bounds and the rule that
explains them.

A field with a rule has no ``pattern``: both would answer, and the first answer would be a raw regular expression.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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

_BYTES = "self.matches('^[0-9]{1,15}(k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$')"

#: A size in whole bytes, more than nothing.
Size = Annotated[
    str,
    Field(max_length=20, description="A size in bytes as a quantity, such as 500Gi or 10Ti."),
    Rule(
        rule=f"{_BYTES} && sign(quantity(self)) > 0 && quantity(self).compareTo(quantity('1E')) <= 0",
        message="must be a whole number of bytes such as 500Gi or 10Ti, more than 0 and at most 1E",
    ),
]

#: A size in whole bytes, or nothing.
SizeOrZero = Annotated[
    str,
    Field(max_length=20, description="A size in bytes as a quantity, such as 500Gi or 10Ti, or 0."),
    Rule(
        rule=f"{_BYTES} && quantity(self).compareTo(quantity('1E')) <= 0",
        message="must be a whole number of bytes such as 500Gi or 10Ti, at least 0 and at most 1E",
    ),
]

Cpu = Annotated[
    str,
    Field(max_length=20, description='CPU cores as a quantity, such as "16", "1.5" or "1500m".'),
    Rule(
        rule="self.matches('^([0-9]{1,9}([.][0-9]{1,3})?|[0-9]{1,12}m)$') && sign(quantity(self)) > 0",
        message="must be a number of CPU cores such as 16, 1.5 or 1500m, more than 0",
    ),
]

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
