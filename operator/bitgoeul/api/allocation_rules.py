"""
CEL rules of a TenantAllocation that look at several fields. Each message names what is wrong, with its numbers.

Quantities are added as floating point numbers: exact up to 9 PB, about right above; planning checks to the byte. Where
a rule looks down from above, parsers are guarded (``is_quantity``): the field's own rule says what is wrong with it.
The API server reckons the worst case of a rule beforehand. It takes what is reached through a filtered list for
unbounded, so lists within lists are mapped and flattened instead.
"""

from __future__ import annotations

from bitgoeul.api.fields import Rule, RuleReason
from bitgoeul.api.quantity_fields import is_quantity, number, quantity
from bitgoeul.api.values import LABEL_WORDS, is_duration, is_label, not_reserved, short_label


def _none(offenders: str, message: str, *, field_path: str, given: str) -> Rule:
    """
    The rule that a list is empty; the message names what is in it.

    Args:
        offenders: CEL for the list, of texts.
        message: What they are; the texts follow after a colon.
        given: CEL that must hold for the list to exist; else the rule is satisfied.
    """
    return Rule(
        rule=f"!({given}) || {offenders}.size() == 0",
        message=message,
        message_expression=f"'{message}: %s'.format([{offenders}])",
        field_path=field_path,
    )


def _namespace(obj: str) -> str:
    """CEL for the namespace that a claim or a member names; "" where it names none."""
    return f"(has({obj}.__namespace__) ? {obj}.__namespace__ : '')"


def _claims(spec: str) -> str:
    """CEL for all claims of all storage requests."""
    return f"{spec}.storage.map(s, has(s.claims) ? s.claims : []).flatten()"


# -- parts of the spec

STORAGE_REQUEST = (
    Rule(
        rule=f"""
            !has(self.claims) || {number("self.size")} <= 0.0 ||
            self.claims.map(c, {number("c.size")}).sum() <= {number("self.size")}
        """,
        message="the claims add up to more than the size of the request",
        message_expression="""
            'the claims add up to more than the %s asked for: %s'.format([self.size,
                self.claims.map(c, '%s: %s'.format([c.name, c.size]))])
        """,
        field_path=".claims",
    ),
)

ACCESS_MODES = Rule(
    rule="!('ReadWriteOncePod' in self) || size(self) == 1",
    message="ReadWriteOncePod cannot stand beside other access modes",
)

DISTINCT_NOTICES = Rule(
    rule="self.distinct().size() == self.size()",
    message="each notice must be there once",
)

COMPUTE = (
    Rule(
        rule="has(self.cpu) || has(self.memory)",
        message="must say cpu, memory or both; leave compute out if devices bring all that is needed",
        reason=RuleReason.REQUIRED,
    ),
)

MEMBER_NAME = Rule(
    rule="self.trim() == self && !self.matches('[*\\\\pC\\\\p{Zl}\\\\p{Zp}]')",
    message="must be one exact name: no *, no control or invisible characters, no blanks at its ends",
)

MEMBER_NAMESPACE = Rule(
    rule=f"self == '' || {is_label('self')}",
    message=f"must be the name of a namespace: {LABEL_WORDS}",
)

MEMBER = (
    Rule(
        rule=f"(self.kind == 'ServiceAccount') == ({_namespace('self')} != '')",
        message="is required for kind ServiceAccount, and must be left out for User and Group",
        message_expression="""
            self.kind == 'ServiceAccount' ? 'is required for kind ServiceAccount' :
                '%s: must be left out for kind %s'.format([self.__namespace__, self.kind])
        """,
        field_path=".namespace",
    ),
    Rule(
        rule="""
            !self.name.startsWith('system:') ||
            (self.kind == 'Group' && self.name.matches('^system:serviceaccounts:[a-z0-9-]+$'))
        """,
        message="belongs to the cluster",
        message_expression="""
            '%s: belongs to the cluster; allowed are groups system:serviceaccounts:NAMESPACE, and single accounts as
            kind ServiceAccount with their namespace'.format([self.name])
        """,
        field_path=".name",
    ),
    Rule(
        rule="self.kind != 'ServiceAccount' || !format.dns1123Subdomain().validate(self.name).hasValue()",
        message="must be the name of a service account",
        message_expression="""
            '%s: must be the name of a service account: lower-case letters, digits, dashes and dots'.format([self.name])
        """,
        field_path=".name",
    ),
)

_MEMBER_KEY = f"[m.kind, {_namespace('m')}, m.name]"
_SAME_MEMBER = f"o.kind == m.kind && o.name == m.name && {_namespace('o')} == {_namespace('m')}"

#: On the list of members: nobody stands in it twice, whatever the roles.
DISTINCT_MEMBERS = Rule(
    rule=f"self.map(m, {_MEMBER_KEY}).distinct().size() == self.size()",
    message="a member stands here more than once: leave one role",
    message_expression=f"""
        'members stand here more than once, leave one role for each: %s'.format([
            self.filter(m, self.filter(o, {_SAME_MEMBER}).size() > 1)
            .map(m, '%s %s as %s'.format([m.kind, m.name, m.role]))])
    """,
)

RESTORE_FROM = (
    Rule(
        rule="self == '' || self.matches('^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')",
        message="must be the UID of a deleted allocation, such as 0f8fad5b-d9cb-469f-a165-70867728950e; its "
        "namespaces carry it as annotation bitgoeul.dev/allocation-uid",
    ),
    Rule(
        rule="self == oldSelf",
        message="can be set only when the allocation is created",
        reason=RuleReason.FORBIDDEN,
    ),
)

WINDOW = (
    Rule(
        rule="!(has(self.end) && has(self.duration))",
        message="must be left out where end is given: a window has one of the two, or neither",
        message_expression="""
            '%s: must be left out where end is given (%s): a window has one of the two, or neither'.format([
                self.duration, self.end])
        """,
        field_path=".duration",
    ),
    Rule(
        rule="!(has(self.start) && has(self.end)) || self.end > self.start",
        message="must be later than start",
        message_expression="'%s: must be later than start, which is %s'.format([self.end, self.start])",
        field_path=".end",
    ),
)

# -- the whole spec

# One text for each pool a of which the namespaces' shares are too large.
_DEVICE_SHARES = """
    self.namespaces.map(n, has(n.accelerators) && a.pool in n.accelerators ? n.accelerators[a.pool] : 0).sum()
"""
_TOO_MANY_DEVICES = f"""
    self.accelerators.filter(a, {_DEVICE_SHARES} > a.devices)
    .map(a, '%s: %d of %d'.format([a.pool, {_DEVICE_SHARES}, a.devices]))
"""
_TOO_MUCH_STORAGE = f"""
    self.storage.filter(s, {is_quantity("s.size")} &&
        self.namespaces.map(n, has(n.storage) && s.pool in n.storage ? {number("n.storage[s.pool]")} : 0.0).sum() >
        {number("s.size")})
    .map(s, '%s: %s of %s'.format([s.pool,
        self.namespaces.filter(n, has(n.storage) && s.pool in n.storage).map(n, n.storage[s.pool]), s.size]))
"""


def _unasked(holding: str) -> str:
    """CEL for the pools of which a namespace has a share and the allocation asks nothing."""
    return f"""
        self.namespaces.map(n, has(n.{holding}) ? n.{holding}.filter(p,
            !has(self.{holding}) || !self.{holding}.exists(a, a.pool == p)) : []).flatten()
    """


def _key(claim: str) -> str:
    """CEL for namespace and name of a claim; "" is the first namespace, and without a list there is only one."""
    return f"""
        [!has(self.namespaces) || size(self.namespaces) == 0 ? '' :
            {_namespace(claim)} == '' ? self.namespaces[0].name : {claim}.__namespace__, {claim}.name]
    """


_SAME_CLAIMS = f"""
    self.storage.map(s, has(s.claims) ? s.claims.filter(c, self.storage.map(t, has(t.claims) ?
        t.claims.filter(d, d.name == c.name && {_key("d")} == {_key("c")}).size() : 0).sum() > 1)
    .map(c, '%s in %s'.format([c.name, s.pool])) : []).flatten()
"""

# What the claims of a request s ask for in the namespace n, the i-th one, and what share of s it has.
_CLAIMED = f"""
    s.claims.map(c, {_namespace("c")} == n.name || ({_namespace("c")} == '' && i == 0) ? {number("c.size")} : 0.0)
    .sum()
"""
_SHARE = f"""
    (has(n.storage) && s.pool in n.storage ? {number("n.storage[s.pool]")} :
        i == 0 && !self.namespaces.exists(m, has(m.storage) && s.pool in m.storage) ? {number("s.size")} : 0.0)
"""
_OVERCLAIMED = f"""
    self.storage.map(s, has(s.claims) ? self.namespaces.transformList(i, n, {_CLAIMED} > {_SHARE},
        '%s in %s'.format([s.pool, n.name])) : []).flatten()
"""

# A notice that is no duration is the matter of its own rule; the start's year keeps the sum inside what CEL can say.
_LONG_FOR_DURATION = f"""
    self.expiry.notice.filter(n, {is_duration("n")} && duration(n) >= duration(self.window.duration))
    .map(n, '%s in a window of %s'.format([n, self.window.duration]))
"""
_LONG_FOR_END = f"""
    self.expiry.notice.filter(n, {is_duration("n")} && self.window.start + duration(n) >= self.window.end)
    .map(n, '%s in a window from %s to %s'.format([n, self.window.start, self.window.end]))
"""

SPEC = (
    Rule(
        rule="""
            (has(self.accelerators) && size(self.accelerators) > 0) || (has(self.storage) && size(self.storage) > 0) ||
            has(self.compute)
        """,
        message="must ask for something: accelerators, storage or compute",
        reason=RuleReason.REQUIRED,
    ),
    _none(
        _TOO_MANY_DEVICES,
        "shares of the namespaces add up to more than asked for",
        field_path=".namespaces",
        given="has(self.namespaces) && has(self.accelerators)",
    ),
    _none(
        _TOO_MUCH_STORAGE,
        "shares of the namespaces add up to more than asked for",
        field_path=".namespaces",
        given="has(self.namespaces) && has(self.storage)",
    ),
    _none(
        _unasked("accelerators"),
        "shares of pools that spec.accelerators does not ask for",
        field_path=".namespaces",
        given="has(self.namespaces)",
    ),
    _none(
        _unasked("storage"),
        "shares of pools that spec.storage does not ask for",
        field_path=".namespaces",
        given="has(self.namespaces)",
    ),
    Rule(
        # Counting is cheap; who is double is worked out only for the message.
        rule=f"""
            !has(self.storage) || {_claims("self")}.map(c, {_key("c")}).distinct().size() == {_claims("self")}.size()
        """,
        message="claims of the same name in the same namespace",
        message_expression=f"'claims of the same name in the same namespace: %s'.format([{_SAME_CLAIMS}])",
        field_path=".storage",
    ),
    _none(
        _LONG_FOR_DURATION,
        "a notice must be shorter than the window",
        field_path=".expiry.notice",
        given=f"""
            has(self.window) && has(self.window.duration) && {is_duration("self.window.duration")} &&
            has(self.expiry) && has(self.expiry.notice)
        """,
    ),
    _none(
        _LONG_FOR_END,
        "a notice must be shorter than the window",
        field_path=".expiry.notice",
        given="""
            has(self.window) && has(self.window.start) && has(self.window.end) &&
            self.window.start.getFullYear() < 2200 && self.window.end > self.window.start &&
            has(self.expiry) && has(self.expiry.notice)
        """,
    ),
    _none(
        _OVERCLAIMED,
        "claims add up to more than the share of their namespace",
        field_path=".storage",
        given="has(self.storage) && has(self.namespaces)",
    ),
)

# -- the object with its name, its former self and its status

_IN_USE = "oldSelf.status.inUse.storage"
_SHRUNK = f"""
    oldSelf.spec.storage.filter(o, o.pool in {_IN_USE} && isQuantity({_IN_USE}[o.pool]) && {is_quantity("o.size")} &&
        sign(quantity({_IN_USE}[o.pool])) > 0 &&
        !(has(self.spec.storage) && self.spec.storage.exists(s, s.pool == o.pool && (!{is_quantity("s.size")} ||
            {quantity("s.size")}.compareTo({quantity("o.size")}) >= 0 ||
            {quantity("s.size")}.compareTo(quantity({_IN_USE}[o.pool])) >= 0))))
    .map(o, '%s: %s asked, %s in use'.format([o.pool,
        has(self.spec.storage) && self.spec.storage.exists(s, s.pool == o.pool) ?
            self.spec.storage.filter(s, s.pool == o.pool)[0].size : 'nothing',
        {_IN_USE}[o.pool]]))
"""

# Claims that differ from their former selves d in a way that a volume cannot follow.
_BENT = f"""
    self.spec.storage.map(s, has(s.claims) && s.pool in oldSelf.status.grant.storage ?
        s.claims.filter(c, oldSelf.spec.storage.exists(o, o.pool == s.pool && has(o.claims) && o.claims.exists(d,
            d.name == c.name && {_namespace("d")} == {_namespace("c")} && (d.accessModes != c.accessModes ||
            ({is_quantity("c.size")} && {is_quantity("d.size")} &&
            {quantity("c.size")}.isLessThan({quantity("d.size")}))))))
        .map(c, '%s in %s'.format([c.name, s.pool])) : []).flatten()
"""

_STRAY = f"""
    {_claims("self.spec")}.filter(c, {_namespace("c")} != '' &&
        !(has(self.spec.namespaces) && size(self.spec.namespaces) > 0 ?
            self.spec.namespaces.exists(n, n.name == c.__namespace__) : c.__namespace__ == self.metadata.name))
    .map(c, '%s (claim %s)'.format([c.__namespace__, c.name]))
"""

ALLOCATION = (
    short_label("names a namespace and stands in labels", 63),
    not_reserved("self.metadata.name", ".metadata.name"),
    _none(
        _SHRUNK,
        "must not be less than what volume claims hold",
        field_path=".spec.storage",
        given=f"has(oldSelf.status) && has(oldSelf.status.inUse) && has({_IN_USE}) && has(oldSelf.spec.storage)",
    ),
    _none(
        _BENT,
        "a granted claim can grow, but neither shrink nor change its access modes",
        field_path=".spec.storage",
        given="""
            has(oldSelf.status) && has(oldSelf.status.grant) && has(oldSelf.status.grant.storage) &&
            has(self.spec.storage) && has(oldSelf.spec.storage)
        """,
    ),
    _none(
        _STRAY,
        "not a namespace of this allocation",
        field_path=".spec.storage",
        given="has(self.spec.storage)",
    ),
)
