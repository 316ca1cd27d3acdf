"""Drift: what counts as a difference, and what the API server or other people may do to an object."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.desired.drift import differs, first_difference

RULE = {"apiGroups": [""], "resources": ["pods"]}


def user(name: str) -> dict[str, Any]:
    """A subject of a role binding."""
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}


@pytest.mark.parametrize(
    ("desired", "observed"),
    [
        pytest.param({"spec": {"a": 1}}, {"spec": {"a": 1, "b": 2}, "status": {}}, id="fields of others"),
        pytest.param(
            {"metadata": {"labels": {"ours": "1"}}}, {"metadata": {"labels": {"ours": "1", "theirs": "2"}}}, id="labels"
        ),
        pytest.param(
            {"spec": {"hard": {"cpu": "1.5"}}}, {"spec": {"hard": {"cpu": "1500m"}}}, id="a quantity respelled"
        ),
        pytest.param(
            {"spec": {"hard": {"a": "1"}}}, {"spec": {"hard": {"a": "1", "pods": "5"}}}, id="a quota key of others"
        ),
        pytest.param(
            {"limits": [{"defaultRequest": {"memory": "1024Mi"}}]},
            {"limits": [{"defaultRequest": {"memory": "1Gi"}}]},
            id="a quantity respelled inside a list",
        ),
        pytest.param({"spec": {"objectSelector": {}}}, {"spec": {}}, id="an empty mapping that is not stored"),
        pytest.param({"spec": {"rules": []}}, {"spec": {"rules": None}}, id="an empty list that is null"),
        pytest.param({"rules": [RULE]}, {"rules": [RULE | {"scope": None}]}, id="a null inside a list item"),
        pytest.param(
            {"metadata": {"ownerReferences": [{"uid": "1"}]}},
            {"metadata": {"ownerReferences": [{"uid": "2"}, {"uid": "1", "controller": True}]}},
            id="an owner beside ours",
        ),
    ],
)
def test_settled(desired: dict[str, Any], observed: dict[str, Any]) -> None:
    """Nothing has to be written."""
    assert not differs(desired, observed)


@pytest.mark.parametrize(
    ("desired", "observed"),
    [
        pytest.param({"spec": {"a": 1}}, {"spec": {"a": 2}}, id="another value"),
        pytest.param({"spec": {"a": 0}}, {"spec": {}}, id="a missing value, even if it is 0"),
        pytest.param({"spec": {"a": ""}}, {"spec": {}}, id="a missing value, even if it is an empty text"),
        pytest.param({"spec": {"a": {"b": 1}}}, {"spec": {"a": None}}, id="a missing branch"),
        pytest.param({"spec": {"a": {"b": 1}}}, {"spec": {"a": "text"}}, id="a branch that is a text"),
        pytest.param({"spec": {"hard": {"a": "8"}}}, {"spec": {"hard": {"a": "9"}}}, id="another quantity"),
        pytest.param({"spec": {"hard": {"a": "0"}}}, {"spec": {"hard": {}}}, id="a quota key that was removed"),
        pytest.param({"spec": {"hard": {"a": "8"}}}, {"spec": {"hard": {"a": "lots"}}}, id="a quantity that is none"),
        pytest.param(
            {"spec": {"size": "1024Mi"}}, {"spec": {"size": "1Gi"}}, id="a text that only looks like a quantity"
        ),
        pytest.param({"spec": {"objectSelector": {}}}, {"spec": {"objectSelector": {"a": 1}}}, id="an exception added"),
        pytest.param({"rules": []}, {"rules": [RULE]}, id="an entry where none may be"),
        pytest.param({"subjects": ["a"]}, {"subjects": ["a", "b"]}, id="a foreign entry in a list"),
        pytest.param({"subjects": ["a", "b"]}, {"subjects": ["b", "a"]}, id="another order"),
        pytest.param({"subjects": ["a"]}, {}, id="a missing list"),
        pytest.param({"subjects": ["a"]}, {"subjects": "a"}, id="a list that is a text"),
        pytest.param(
            {"rules": [RULE]}, {"rules": [RULE | {"resourceNames": ["x"]}]}, id="a field added to a list item"
        ),
        pytest.param(
            {"limits": [{"defaultRequest": {"cpu": "1"}}]},
            {"limits": [{"defaultRequest": {"cpu": "1", "memory": "1Gi"}}]},
            id="a quantity added inside a list item",
        ),
        pytest.param(
            {"metadata": {"ownerReferences": [{"uid": "1"}]}}, {"metadata": {}}, id="an owner that was removed"
        ),
    ],
)
def test_drifted(desired: dict[str, Any], observed: dict[str, Any]) -> None:
    """The object has to be written."""
    assert differs(desired, observed)


@pytest.mark.parametrize(
    ("desired", "observed", "told"),
    [
        pytest.param(
            {"metadata": {"labels": {"level": "baseline"}}},
            {"metadata": {"labels": {"level": "privileged", "other": "x"}}},
            "label level stays privileged although baseline was written",
            id="a label",
        ),
        pytest.param(
            {"metadata": {"annotations": {"uid": "1"}}},
            {"metadata": {"annotations": None}},
            'annotations is missing although {"uid": "1"} was written',
            id="what is absent",
        ),
        pytest.param(
            {"spec": {"hard": {"cpu": "1500m", "gpu": "2"}}},
            {"spec": {"hard": {"cpu": "1.5", "gpu": "5"}}},
            "spec.hard.gpu stays 5 although 2 was written",
            id="a quantity, by value",
        ),
        pytest.param(
            {"spec": {"exclude": []}},
            {"spec": {"exclude": ["x"]}},
            'spec.exclude stays ["x"] although it was taken away',
            id="what should not be there",
        ),
        pytest.param(
            {"subjects": [user("bo"), user("ara")]},
            {"subjects": [user("ara"), user("eve"), user("mallory")]},
            'subjects stays with {"name": "eve"}, {"name": "mallory"} too much and without {"name": "bo"}',
            id="items of a list, by what tells them apart",
        ),
        pytest.param(
            {"subjects": [user("ara")]},
            {"subjects": [user("ara")] * 2},
            'subjects stays with {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ara"} too much',
            id="an item that is there twice",
        ),
        pytest.param(
            {"subjects": [user("ara"), user("bo")]},
            {"subjects": [user("ara"), user("bob")]},
            "subjects[1].name stays bob although bo was written",
            id="one item of a list",
        ),
        pytest.param(
            {"rules": [RULE]},
            {"rules": [RULE | {"resourceNames": ["x"]}]},
            'rules[0].resourceNames stays ["x"] although it was taken away',
            id="a field too much in an item",
        ),
        pytest.param(
            {"limits": [{"default": {"cpu": "1", "memory": "1Gi"}}]},
            {"limits": [{"default": {"cpu": "1000m"}}]},
            "limits[0].default.memory is missing although 1Gi was written",
            id="a quantity in an item",
        ),
        pytest.param(
            {"finalizers": ["a"]},
            {"finalizers": ["a", "b", "c", "d", "e"]},
            "finalizers stays with b, c, d and 1 more too much",
            id="many items",
        ),
        pytest.param(
            {"args": ["a", "b"]},
            {"args": ["b", "a"]},
            "args stays in another order than it was written",
            id="another order",
        ),
        pytest.param(
            {"metadata": {"ownerReferences": [{"uid": "1"}]}},
            {"metadata": {"ownerReferences": [{"uid": "2"}]}},
            'ownerReferences is missing although [{"uid": "1"}] was written',
            id="an owner beside those of others",
        ),
        pytest.param(
            {"expression": f"{'a' * 100}{'b' * 100}"},
            {"expression": f"{'a' * 100}{'c' * 10}"},
            f"expression stays …{'a' * 69}{'c' * 10} although …{'a' * 20}{'b' * 59}… was written",
            id="a long text, from shortly before the difference",
        ),
        pytest.param({"rules": [RULE]}, {"rules": [RULE]}, "None", id="nothing"),
    ],
)
def test_the_first_difference_is_told(desired: dict[str, Any], observed: dict[str, Any], told: str) -> None:
    """By the field, what stands, and what was written."""
    found = first_difference(desired, observed)
    assert str(found) == told
    assert differs(desired, observed) == (found is not None)
