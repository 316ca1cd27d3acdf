"""Which answers of the API server say that a right is missing, and which that it is there."""

from __future__ import annotations

import pytest

from bitgoeul.cluster.rights import Rights
from bitgoeul.cluster.troubles import LASTING_SECONDS

QUOTA = "/api/v1/namespaces/blue/resourcequotas/bitgoeul"
ACCOUNT = "system:serviceaccount:bitgoeul-system:bitgoeul"


def denial(verb: str, resource: str, name: str = "bitgoeul") -> str:
    """What the API server says to somebody without a right."""
    what = resource.split("/", maxsplit=1)[0]
    return (
        f'{what} "{name}" is forbidden: User "{ACCOUNT}" cannot {verb} resource "{resource}" in API group "" '
        'in the namespace "blue"'
    )


class Ears:
    """Hears answers, all at one moment."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rights = Rights(lambda: self.now)

    def hear(self, method: str, path: str, status: int, message: str = "") -> None:
        self.rights.hear(method, path, status, message)

    def missing(self) -> set[str]:
        """What has been missing for a minute, if nothing more is said in it."""
        self.now += LASTING_SECONDS
        return set(self.rights.refused.lasting())


@pytest.mark.parametrize(
    ("method", "path", "said", "right"),
    [
        pytest.param("PATCH", QUOTA, denial("patch", "resourcequotas"), "patch resourcequotas", id="an apply"),
        pytest.param(
            "PATCH", QUOTA, denial("create", "resourcequotas"), "create resourcequotas", id="one that would create"
        ),
        pytest.param(
            "PATCH",
            "/apis/bitgoeul.dev/v1alpha1/tenantallocations/blue/status",
            denial("patch", "tenantallocations/status"),
            "patch tenantallocations/status",
            id="a status",
        ),
        pytest.param("GET", "/api/v1/pods", denial("list", "pods"), "list pods", id="a list"),
        pytest.param(
            "GET", "/api/v1/namespaces/blue", denial("get", "namespaces"), "get namespaces", id="one namespace"
        ),
        pytest.param(
            "POST",
            "/api/v1/namespaces/blue/pods/one/eviction",
            denial("create", "pods/eviction"),
            "create pods/eviction",
            id="an eviction",
        ),
        pytest.param(
            "DELETE", "/api/v1/namespaces/blue/pods/one", denial("delete", "pods"), "delete pods", id="a deletion"
        ),
    ],
)
def test_a_right_is_missing_until_a_request_that_needs_it_succeeds(
    method: str, path: str, said: str, right: str
) -> None:
    """By verb and resource, whichever object it is about."""
    ears = Ears()
    ears.hear(method, path, 403, said)
    assert ears.missing() == {right}
    ears.hear("GET", "/api/v1/nodes", 200)
    ears.hear(method, path, 403, said)
    assert ears.missing() == {right}
    ears.hear(method, path, 201)
    assert ears.missing() == set()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(403, 'admission webhook "other.tool" denied the request: no', id="a webhook"),
        pytest.param(
            403,
            "resourcequotas \"bitgoeul\" is forbidden: ValidatingAdmissionPolicy 'one' with binding 'one' denied it",
            id="a policy",
        ),
        pytest.param(403, 'pods "one" is forbidden: exceeded quota: bitgoeul, requested: pods=1', id="a quota"),
        pytest.param(
            403, "unable to create new content in namespace blue because it is being terminated", id="its end"
        ),
        pytest.param(
            403, 'rolebindings "one" is forbidden: user "a" is attempting to grant RBAC permissions', id="a role"
        ),
        pytest.param(422, "spec.hard: Invalid value", id="what cannot be"),
        pytest.param(500, "failed calling webhook: no endpoints", id="a dead webhook"),
        pytest.param(0, "", id="no answer"),
    ],
)
def test_what_is_refused_about_one_object_is_no_missing_right(status: int, said: str) -> None:
    """However long it is refused."""
    ears = Ears()
    ears.hear("PATCH", QUOTA, status, said)
    assert ears.missing() == set()


@pytest.mark.parametrize(("status", "there"), [(404, True), (409, True), (422, True), (401, False), (500, False)])
def test_answers_that_come_after_the_right_was_asked_for_show_it(status: int, there: bool) -> None:
    """A conflict is an answer to somebody who may write."""
    ears = Ears()
    ears.hear("PATCH", QUOTA, 403, denial("patch", "resourcequotas"))
    ears.hear("PATCH", QUOTA, status)
    assert (ears.missing() == set()) == there


def test_that_others_may_be_changed_does_not_show_that_one_may_be_created() -> None:
    """An apply needs both rights where there is nothing yet."""
    ears = Ears()
    ears.hear("PATCH", QUOTA, 403, denial("create", "resourcequotas"))
    ears.hear("PATCH", QUOTA, 200)
    assert ears.missing() == {"create resourcequotas"}
    ears.hear("PATCH", QUOTA, 403, denial("create", "resourcequotas"))
    ears.hear("PATCH", QUOTA, 201)
    assert ears.missing() == set()


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/api/v1/nodes", denial("list", "nodes")),
        ("POST", "/api/v1/namespaces/default/events", denial("create", "events")),
        ("PATCH", "/apis/coordination.k8s.io/v1/namespaces/a/leases/bitgoeul", denial("patch", "leases")),
    ],
)
def test_what_has_a_check_of_its_own_is_not_told_twice(method: str, path: str, said: str) -> None:
    """Lists of what is watched, Events and the Lease."""
    ears = Ears()
    ears.hear(method, path, 403, said)
    assert ears.missing() == set()


def test_what_nobody_asks_for_any_more_is_over() -> None:
    """The pod that could not be deleted is gone, and no other has to be: nothing would show that the right is back."""
    ears = Ears()
    ears.hear("DELETE", "/api/v1/namespaces/blue/pods/one", 403, denial("delete", "pods"))
    assert ears.missing() == {"delete pods"}
    assert ears.missing() == set()
