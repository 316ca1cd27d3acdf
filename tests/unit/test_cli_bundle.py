"""What goes into a support archive: texts without secrets and people, known fields, and always the same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
from datetime import UTC, datetime
from typing import Any

import click
import pytest

from bitgoeul.api.names import ALLOCATION_UID_ANNOTATION
from bitgoeul.cli.bundle import Bundle, pack
from bitgoeul.cli.redact import ARGUMENT, LEFT_OUT, People, redacted
from bitgoeul.cli.run import run
from bitgoeul.cluster.kinds import DEPLOYMENT, NAMESPACE, POD, ROLE_BINDING, STORAGE_CLASS, TENANT_ALLOCATION
from tests.unit.builders import make_allocation

MIXED = "aB3" * 12
PEOPLE = People.of(
    [
        {"kind": "User", "name": "dain@gareum.example"},
        {"kind": "User", "name": "areum"},
        {"kind": "Group", "name": "crew"},
        {"kind": "Group", "name": "system:masters"},
        {"kind": "ServiceAccount", "name": "runner", "namespace": "gareum"},
    ]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Authorization: Bearer abc", f"Authorization: {LEFT_OUT}", id="a header"),
        pytest.param("sent bearer abcdef.123 twice", f"sent bearer {LEFT_OUT} twice", id="a bearer token"),
        pytest.param("password=p&user=u", f"password={LEFT_OUT}&user=u", id="a password in an address"),
        pytest.param('{"apiKey": "a b", "n": 1}', f'{{"apiKey": {LEFT_OUT}, "n": 1}}', id="a key in JSON"),
        pytest.param(r"{\"token\": \"a b\", 1}", rf"{{\"token\": {LEFT_OUT}, 1}}", id="a token in JSON in a text"),
        pytest.param("client-secret: 'a b' c", f"client-secret: {LEFT_OUT} c", id="a secret in quotes"),
        pytest.param("run --password hunter2 --x y", f"run --password {LEFT_OUT} --x y", id="an option"),
        pytest.param("password=ab,cd;ef", f"password={LEFT_OUT}", id="a password with commas"),
        pytest.param('{"password": "ab\\"cd"}', f'{{"password": {LEFT_OUT}}}', id="a quote in quotes"),
        pytest.param("AccountKey=ab", f"AccountKey={LEFT_OUT}", id="another word for a key"),
        pytest.param("join abcdef.0123456789abcdef", f"join {LEFT_OUT}", id="a token by which nodes join"),
        pytest.param("db://u:pa/ss@host", f"db://{LEFT_OUT}@host", id="a slash in a password"),
        pytest.param('users "areum" is forbidden', 'users "user-1" is forbidden', id="a member among users"),
        pytest.param('groups=["crew"]', 'groups=["group-1"]', id="a group in a list"),
        pytest.param("https://u:p@host/x", f"https://{LEFT_OUT}@host/x", id="a user in an address"),
        pytest.param("at eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOi.c2ln now", f"at {LEFT_OUT} now", id="a web token"),
        pytest.param("ghp_0123456789abcdefghij", LEFT_OUT, id="a token with a known beginning"),
        pytest.param(f"x {MIXED}= y", f"x {LEFT_OUT} y", id="long, and of all sorts of letters"),
        pytest.param("x " + "0a" * 20, f"x {LEFT_OUT}", id="long, and hexadecimal"),
        pytest.param("-----BEGIN KEY-----\nabc\n-----END KEY-----\nz", f"{LEFT_OUT}\nz", id="a key"),
        pytest.param("-----BEGIN KEY-----\nabc", LEFT_OUT, id="a key that is cut off"),
        pytest.param("to dain@gareum.example.", "to user-2.", id="the address of a member"),
        pytest.param("to minji@else.example", "to (e-mail left out)", id="the address of a stranger"),
        pytest.param('User "areum" cannot list', 'User "user-1" cannot list', id="a member, called a user"),
        pytest.param('user \\"minji\\" cannot', f'user \\"{LEFT_OUT}\\" cannot', id="a stranger, called a user"),
    ],
)
def test_a_text_loses_what_is_nobodys_business(text: str, expected: str) -> None:
    """And keeps the rest."""
    assert PEOPLE.text(text) == expected


def test_a_long_word_takes_no_longer_than_others() -> None:
    """A dump in a log; looked through from each of its letters it would take minutes."""
    word = "ab" * 100_000
    assert PEOPLE.text(f"x {word}- y").startswith("x ")


@pytest.mark.parametrize(
    "text",
    [
        "needs 8 of a100, 2 available; earliest start 2021-06-30 15:00Z",
        'User "system:serviceaccount:bitgoeul-system:bitgoeul" cannot list resource "pods" in API group "apps"',
        "registry.example.com/bitgoeul@sha256:" + "0a" * 32,
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "PATCH /apis/bitgoeul.dev/v1alpha1/tenantallocations/a-tenant-with-a-long-name-2021/status",
        "a-storage-class-whose-name-is-very-long-0123456789.storageclass.storage.k8s.io/requests.storage",
        "notices [720h, 168h]; kept in gareum-ai",
    ],
)
def test_a_text_that_helps_stays(text: str) -> None:
    """Reasons, names, digests and UIDs are no secrets."""
    assert PEOPLE.text(text) == text


def test_people_have_stand_ins() -> None:
    """The same for the same name, in the order of names; service accounts and Kubernetes' own are no people."""
    assert PEOPLE.names == {
        ("User", "areum"): "user-1",
        ("User", "dain@gareum.example"): "user-2",
        ("Group", "crew"): "group-1",
    }
    members = [{"kind": "Group", "name": "crew", "role": "view"}, {"kind": "ServiceAccount", "name": "runner"}]
    found = redacted(TENANT_ALLOCATION, make_allocation(members=members), PEOPLE)
    assert [member["name"] for member in found["spec"]["members"]] == ["group-1", "runner"]
    subjects = [{"kind": "User", "name": "nobody-knows"}, {"kind": "Group", "name": "system:masters"}]
    binding = redacted(ROLE_BINDING, {"metadata": {"name": "b"}, "subjects": subjects}, PEOPLE)
    assert [subject["name"] for subject in binding["subjects"]] == [LEFT_OUT, "system:masters"]


def test_of_annotations_only_ours_keep_their_values() -> None:
    """Of others it is to be seen that they are there."""
    annotations = {ALLOCATION_UID_ANNOTATION: "uid-blue", "example.org/note": "mine"}
    obj = {"metadata": {"name": "blue", "annotations": annotations, "managedFields": [{}], "selfLink": "x"}}
    expected = {"name": "blue", "annotations": {ALLOCATION_UID_ANNOTATION: "uid-blue", "example.org/note": LEFT_OUT}}
    assert redacted(NAMESPACE, obj, PEOPLE) == {"metadata": expected}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("run", "run"),
        ("--workers=4", "--workers=4"),
        ("--clock-offset=-24h", "--clock-offset=-24h"),
        ("--verbose", "--verbose"),
        ("--allowed-cluster-role=kubeflow-edit", "--allowed-cluster-role=kubeflow-edit"),
        ("--trial-pod-image=harbor.example:5000/pause:3.10", "--trial-pod-image=harbor.example:5000/pause:3.10"),
        ("--trial-pod-request=cpu=100m", "--trial-pod-request=cpu=100m"),
        ("--trial-pod-annotation=example.org/pass=word", LEFT_OUT),
        ("--workers=4 --x", LEFT_OUT),
        ("--kubeconfig=/x", LEFT_OUT),
        ("plain", LEFT_OUT),
    ],
)
def test_of_arguments_only_known_ones_stay(argument: str, expected: str) -> None:
    """In a Deployment and in its pods."""
    spec: dict[str, Any] = {"containers": [{"name": "operator", "args": [argument], "command": ["x"]}]}
    spec |= {"volumes": [{"secret": {"secretName": "x"}}]}
    contents = (
        redacted(POD, {"metadata": {}, "spec": spec}, PEOPLE)["spec"],
        redacted(DEPLOYMENT, {"metadata": {}, "spec": {"template": {"spec": spec}}}, PEOPLE)["spec"]["template"][
            "spec"
        ],
    )
    for content in contents:
        assert content == {"containers": [{"name": "operator", "args": [expected], "env": []}]}


def test_each_option_of_the_operator_is_known() -> None:
    """But where a kubeconfig is, and what people make up."""
    options = {option.opts[-1]: option for option in run.params if isinstance(option, click.Option)}
    for name in options.keys() - {"--kubeconfig", "--context", "--trial-pod-label", "--trial-pod-annotation"}:
        assert ARGUMENT.fullmatch(name if options[name].is_flag else f"{name}=value"), name


def test_parameters_of_a_class_lose_their_values() -> None:
    """Some provisioners take credentials there."""
    obj = {"metadata": {"name": "disk"}, "provisioner": "p", "parameters": {"user": "root"}}
    assert redacted(STORAGE_CLASS, obj, PEOPLE)["parameters"] == {"user": LEFT_OUT}


def test_the_same_content_gives_the_same_bytes() -> None:
    """In a folder of the archive's own name, with the index first; entries are their owner's, and of no user's name."""
    made = datetime(2021, 4, 15, 15, tzinfo=UTC)
    bundle = Bundle(made, {"version.json": {"gitVersion": "v1"}, "logs/one.log": "said\n"}, {"list nodes": "403"})
    assert pack(bundle) == pack(bundle)
    assert bundle.name == "bitgoeul-bundle-20210415T150000Z"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(pack(bundle)))) as archive:
        entries = archive.getmembers()
    assert [entry.name.removeprefix(f"{bundle.name}/") for entry in entries] == [
        "index.json",
        "version.json",
        "logs/one.log",
    ]
    assert {(entry.mode, entry.uid, entry.uname, int(entry.mtime)) for entry in entries} == {
        (0o600, 0, "", int(made.timestamp()))
    }
