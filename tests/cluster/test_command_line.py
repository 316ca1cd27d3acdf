"""What a user can get wrong: one line that says what is wrong and what would be right, and exit code 1."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import Admin
from tests.cluster.faults import Finished, ForkServer, Kubeconfig, make_kubeconfig
from tests.cluster.scenario import World

pytest_plugins = ["tests.cluster.fault_fixtures"]


@pytest.fixture(scope="module")
def bitgoeul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """The command line, with an environment that names no cluster."""
    folder = tmp_path_factory.mktemp("command-line")
    # A forgotten default file must not decide which cluster is meant.
    (folder / ".kube").mkdir()
    (folder / ".kube" / "config").write_text(yaml.safe_dump(make_kubeconfig("https://127.0.0.1:1")))
    with ForkServer(folder) as server:
        yield server


def write(folder: Path, content: Kubeconfig) -> Path:
    """Put a kubeconfig into a file."""
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(content))
    return file


def complaint(finished: Finished) -> str:
    """The one line that a failure says; AssertionError when it is not one line, or no ordinary failure."""
    lines = finished.err.splitlines()
    assert finished.code == 1, finished
    assert len(lines) == 1, finished.err
    assert lines[0].startswith("Error: ")
    assert finished.out == ""
    return lines[0].removeprefix("Error: ")


@pytest.mark.parametrize(("arguments", "said"), [
    pytest.param("rnu", "No such command 'rnu'", id="an unknown command"),
    pytest.param("run --kubeconfg x", "No such option '--kubeconfg'", id="an unknown option"),
    pytest.param("run now", "unexpected extra argument", id="an argument too many"),
    pytest.param("run --kubeconfig", "requires an argument", id="an option without its value"),
    pytest.param("run --metrics-port 99999", "0<=x<=65535", id="a port that does not exist"),
    pytest.param("run --metrics-port http", "not a valid integer", id="a port that is a word"),
    pytest.param("run --workers 0", "1<=x<=256", id="no workers"),
    pytest.param("run --log-format xml", "not one of 'text', 'json'", id="an unknown log format"),
    pytest.param("run --kubeconfig /tmp", "is a directory", id="a folder as kubeconfig"),
    pytest.param("run --kubeconfig FILE --namespace Our_System", "'Our_System'", id="a namespace that cannot be"),
    pytest.param("run --kubeconfig FILE --namespace=", "namespace ''", id="an empty namespace"),
    pytest.param("run", "no cluster given", id="no cluster"),
    pytest.param("run --kubeconfig /nowhere/config", "/nowhere/config: no such file", id="a missing kubeconfig"),
    pytest.param("run --context two", "--kubeconfig", id="a context and nowhere to look it up"),
    pytest.param("run --kubeconfig FILE --context two", "two", id="a context that is not there"),
    pytest.param("crds --output-dir /proc/nowhere", "cannot write", id="a folder that cannot be made"),
    pytest.param("nodes add --count 0", "1<=x<=10000", id="no nodes"),
    pytest.param("up --port 80", "1024<=x<=65535", id="a port for administrators"),
    pytest.param("plan --pool a100", "--pool and --devices belong together", id="a pool without devices"),
    pytest.param("plan --duration 24h", "--duration goes with them", id="a duration of nothing"),
    pytest.param("plan --pool a100 --devices 0", "1<=x<=1000000", id="no devices"),
    pytest.param("plan --pool a100 --devices 8 --duration 2w", "--duration: not a length of time: '2w'", id="weeks"),
    pytest.param("plan --pool a100 --devices 8 --duration 3651d", "at most 87600h", id="more than ten years"),
    pytest.param("plan --pool a100 --devices 8 --duration 0s", "must be more than 0s", id="no time at all"),
    pytest.param("plan -f /nowhere/new.yaml", "/nowhere/new.yaml: No such file", id="a missing file"),
    pytest.param("plan -f /proc", "/proc: Is a directory", id="a folder as file"),
    pytest.param("plan -f -", "standard input: there is no object in it", id="an empty standard input"),
    pytest.param("plan -o csv", "not one of 'table', 'json', 'yaml'", id="an unknown output"),
    pytest.param("queue --as-group lab", "--as-group needs --as", id="a group without a user"),
    pytest.param("queue --as ab\x07c", "other characters that cannot be sent", id="a control character in a name"),
    pytest.param("why", "Missing argument 'NAME'", id="nobody's why"),
    pytest.param("queue", "no cluster given", id="a queue of no cluster"),
    pytest.param("calendar --kubeconfig FILE", "no answer from https://127.0.0.1:1", id="a calendar without answer"),
])  # fmt: skip
def test_wrong_use_is_told_in_one_line(bitgoeul: ForkServer, tmp_path: Path, arguments: str, said: str) -> None:
    """Also usage errors exit with 1: here 2 means that something is not ready."""
    file = write(tmp_path, make_kubeconfig("https://127.0.0.1:1"))
    assert said in complaint(bitgoeul.run(*(str(file) if word == "FILE" else word for word in arguments.split(" "))))


def broken(change: Callable[[Kubeconfig], object]) -> bytes:
    """A good kubeconfig after a change for the worse."""
    content = make_kubeconfig("https://127.0.0.1:1", token="secret")
    change(content)
    return yaml.safe_dump(content).encode()


NO_PEM = base64.b64encode(b"no certificate").decode()


NO_PLUGIN = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}}
NO_FILES = {"client-certificate": "/nowhere/me.crt", "client-key": "/nowhere/me.key"}
NO_CERTIFICATES = {"client-certificate-data": NO_PEM, "client-key-data": NO_PEM}


def with_server(**fields: str) -> bytes:
    """A good kubeconfig but for what it says of its cluster."""
    return broken(lambda content: content["clusters"][0]["cluster"].update(fields))


def with_user(user: Kubeconfig) -> bytes:
    """A good kubeconfig but for its credentials."""
    return broken(lambda content: content["users"][0].update(user=user))


@pytest.mark.parametrize(("content", "said"), [
    pytest.param(b"", "is none", id="an empty file"),
    pytest.param(b"clusters: [", "ParserError", id="no YAML"),
    pytest.param(b"- a\n- list\n", "is none", id="a list"),
    pytest.param(b"just a text", "is none", id="a text"),
    pytest.param(b"\x00\xff\xfe\x00", "UnicodeDecodeError", id="bytes"),
    pytest.param(b"apiVersion: v1\nkind: Config\n", "current-context", id="nothing in it"),
    pytest.param(broken(lambda c: c.update({"current-context": "two"})), "two", id="an unknown current context"),
    pytest.param(broken(lambda c: c.pop("current-context")), "current-context", id="no current context"),
    pytest.param(broken(lambda c: c.update(clusters=[])), "one", id="no cluster"),
    pytest.param(broken(lambda c: c.update(clusters=None)), "clusters", id="null for clusters"),
    pytest.param(broken(lambda c: c["clusters"][0]["cluster"].clear()), "server", id="no server"),
    pytest.param(with_server(server=""), "server ''", id="an empty server"),
    pytest.param(with_server(server="hello"), "hello", id="a server that is no URL"),
    pytest.param(with_server(server="ftp://x.invalid"), "ftp", id="a server of another protocol"),
    pytest.param(with_server(**{"certificate-authority": "/nowhere/ca"}), "/nowhere/ca", id="a missing CA file"),
    pytest.param(with_server(**{"certificate-authority-data": "%%%"}), "certificate", id="a CA that is no base64"),
    pytest.param(with_server(**{"certificate-authority-data": NO_PEM}), "certificate", id="a CA that is none"),
    pytest.param(with_user(NO_FILES), "/nowhere/me.crt", id="a certificate file that is missing"),
    pytest.param(with_user(NO_CERTIFICATES), "certificates", id="a certificate that is none"),
    pytest.param(with_user(NO_PLUGIN), "no-such-plugin", id="a credential plugin that is missing"),
])  # fmt: skip
def test_a_broken_kubeconfig_is_told_in_one_line(
    bitgoeul: ForkServer, tmp_path: Path, content: bytes, said: str
) -> None:
    """The line names the file or what is wrong in it, whatever a file may hold."""
    file = tmp_path / "kubeconfig"
    file.write_bytes(content)
    line = complaint(bitgoeul.run("run", f"--kubeconfig={file}"))
    assert said in line


Answer = tuple[int, bytes]
VERSION = json.dumps({"major": "1", "minor": "36", "gitVersion": "v1.36.3"}).encode()
EMPTY_LIST = (200, b'{"items": [], "metadata": {"resourceVersion": "1"}}')


def refusal(code: int, message: str) -> Answer:
    """What an API server says when it refuses."""
    return code, json.dumps({"kind": "Status", "code": code, "message": message}).encode()


@contextmanager
def serving(version: Answer, kinds: Answer) -> Iterator[str]:
    """A server with one answer to /version and another one to everything else; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, body = version if self.path == "/version" else kinds
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


OLD = json.dumps({"major": "1", "minor": "35+", "gitVersion": "v1.35.2-eks"}).encode()


@pytest.mark.parametrize(("version", "kinds", "said"), [
    pytest.param((200, OLD), EMPTY_LIST, ("v1.35.2-eks", "1.36 or newer"), id="a server that is too old"),
    pytest.param((200, b"<html>Welcome</html>"), EMPTY_LIST, ("no Kubernetes API server",), id="a web page"),
    pytest.param((200, b"{}"), EMPTY_LIST, ("no Kubernetes API server",), id="some other server"),
    pytest.param((200, b'{"gitVersion": ""}'), EMPTY_LIST, ("no Kubernetes API server",), id="no version"),
    pytest.param((200, b'{"gitVersion": null}'), EMPTY_LIST, ("no Kubernetes API server",), id="an odd version"),
    pytest.param((404, b"404 page not found"), EMPTY_LIST, ("404 page not found",), id="a server without a version"),
    pytest.param(refusal(401, "Unauthorized"), EMPTY_LIST, ("Unauthorized",), id="refused credentials"),
    pytest.param(
        (200, VERSION), (404, b"404 page not found"),
        ("AcceleratorPool, StoragePool, TenantAllocation", "bitgoeul crds | kubectl apply -f -"), id="no kinds of ours",
    ),
    pytest.param((200, VERSION), refusal(403, 'User "me" cannot'), ('User "me" cannot',), id="missing rights"),
    pytest.param((200, VERSION), (403, b"first\nsecond"), ("first second",), id="an error of two lines"),
])  # fmt: skip
def test_a_server_that_is_not_what_it_should_be(
    bitgoeul: ForkServer, tmp_path: Path, version: Answer, kinds: Answer, said: tuple[str, ...]
) -> None:
    """The line names the server, what it answered, and the command that helps where there is one."""
    with serving(version, kinds) as address:
        file = write(tmp_path, make_kubeconfig(address))
        line = complaint(bitgoeul.run("run", f"--kubeconfig={file}", "--metrics-port=0"))
    assert [text for text in said if text not in line] == [], line


@pytest.mark.parametrize("command", ["plan", "queue", "calendar", "why blue"])
def test_a_cluster_without_our_kinds_is_not_ready(bitgoeul: ForkServer, tmp_path: Path, command: str) -> None:
    """Exit code 2, and the command that helps."""
    with serving((200, VERSION), (404, b"404 page not found")) as address:
        finished = bitgoeul.run(*command.split(), f"--kubeconfig={write(tmp_path, make_kubeconfig(address))}")
    assert (finished.code, finished.out) == (2, "")
    assert len(finished.err.splitlines()) == 1
    assert "bitgoeul crds | kubectl apply -f -" in finished.err


def test_an_allocation_that_nobody_has_seen_is_not_ready(
    bitgoeul: ForkServer, plane: ControlPlane, fault_world: World
) -> None:
    """Exit code 2 where the answer needs a status: without an operator there is none."""
    name = fault_world.allocate("unseen", {fault_world.name("nowhere"): 1})
    finished = bitgoeul.run("why", name, f"--kubeconfig={plane.kubeconfig}")
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.splitlines() == [
        f"Error: {name} has no status yet: the operator has not seen it; is it running? bitgoeul run"
    ]


@pytest.mark.parametrize(("time", "said"), [
    pytest.param("tomorrow", "--at: not a time: 'tomorrow'", id="a word"),
    pytest.param("2027-01-01", "--at: not a time", id="a date without time"),
    pytest.param("2027-01-01T00:00:00", "--at: not a time", id="a time without zone"),
    pytest.param("2027-02-30T00:00:00Z", "--at: not a time", id="a day that does not exist"),
    pytest.param("2001-01-01T00:00:00Z", "name a time ahead", id="a time that is over"),
    pytest.param("9999-12-31T23:59:59Z", "before the year 2200", id="a time too far ahead"),
    pytest.param("-24h", "--at: not a time", id="a time ago"),
])  # fmt: skip
def test_a_time_that_cannot_be_asked_about(bitgoeul: ForkServer, tmp_path: Path, time: str, said: str) -> None:
    """The line says what would be right."""
    with serving((200, VERSION), EMPTY_LIST) as address:
        file = write(tmp_path, make_kubeconfig(address))
        assert said in complaint(bitgoeul.run("plan", f"--kubeconfig={file}", f"--at={time}"))


def test_an_empty_cluster_has_nothing_to_tell(bitgoeul: ForkServer, tmp_path: Path) -> None:
    """A person is told so on standard error, and what to run next as ever."""
    with serving((200, VERSION), EMPTY_LIST) as address:
        option = f"--kubeconfig={write(tmp_path, make_kubeconfig(address))}"
        found = {command: bitgoeul.run(command, option) for command in ("queue", "calendar", "plan")}
        unknown = complaint(bitgoeul.run("plan", option, "--pool=a100", "--devices=8"))
    assert [(one.code, one.out, one.err) for one in found.values()] == [
        (0, "\nNext  bitgoeul calendar\n", "nobody waits\n"),
        (0, "\nNext  kubectl explain apool.spec\n", "there is no pool yet\n"),
        (0, "nobody is delayed\n\nNext  bitgoeul pools\n", ""),
    ]
    assert "there is no AcceleratorPool a100; there is none at all" in unknown


@pytest.mark.parametrize("address", [
    pytest.param("https://127.0.0.1:{closed}", id="nobody listens"),
    pytest.param("https://nowhere.invalid:6443", id="a name that nobody knows"),
    pytest.param("https://127.0.0.1:{plain}", id="no TLS on the other side"),
])  # fmt: skip
def test_a_server_that_does_not_answer(bitgoeul: ForkServer, tmp_path: Path, address: str) -> None:
    """The line names the address that was tried."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with serving((200, VERSION), EMPTY_LIST) as plain:
        tried = address.format(closed=port, plain=plain.rpartition(":")[2])
        file = write(tmp_path, make_kubeconfig(tried))
        line = complaint(bitgoeul.run("run", f"--kubeconfig={file}"))
    assert line.startswith(f"no answer from {tried}")


def altered(plane: ControlPlane, folder: Path, **user: str) -> tuple[Path, Kubeconfig]:
    """The administrator's kubeconfig with another user, in a file."""
    content = yaml.safe_load(plane.kubeconfig.read_text())
    if user:
        content["users"][0]["user"] = user
    return write(folder, content), content


def test_an_unknown_certificate_is_told(bitgoeul: ForkServer, plane: ControlPlane, tmp_path: Path) -> None:
    """The certificate authority of another cluster does not vouch for this one."""
    _, content = altered(plane, tmp_path)
    content["clusters"][0]["cluster"].pop("certificate-authority-data")
    line = complaint(bitgoeul.run("run", f"--kubeconfig={write(tmp_path, content)}"))
    assert "certificate verify failed" in line


def test_an_invalid_token_is_told(bitgoeul: ForkServer, plane: ControlPlane, tmp_path: Path) -> None:
    """As one that has expired."""
    file, _ = altered(plane, tmp_path, token="no-such-token")
    line = complaint(bitgoeul.run("run", f"--kubeconfig={file}"))
    assert "Unauthorized" in line


def test_missing_rights_are_told(bitgoeul: ForkServer, plane: ControlPlane, tmp_path: Path) -> None:
    """The line says who may not do what."""
    with closing(Admin(plane)) as admin:
        account = {"metadata": {"name": "powerless", "namespace": "default"}}
        admin.request("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        asked = admin.create("/api/v1/namespaces/default/serviceaccounts/powerless/token", {"spec": {}})
    file, _ = altered(plane, tmp_path, token=asked["status"]["token"])
    line = complaint(bitgoeul.run("run", f"--kubeconfig={file}"))
    assert 'User "system:serviceaccount:default:powerless" cannot list resource' in line


@pytest.mark.parametrize(("options", "said"), [
    pytest.param(["--metrics-port={taken}"], "port {taken}: Address already in use", id="a port that is taken"),
    pytest.param(["--metrics-port=0", "--metrics-host=300.1.2.3"], "300.1.2.3", id="no address"),
    pytest.param(["--metrics-port=0", "--metrics-host=192.0.2.1"], "192.0.2.1", id="somebody else's address"),
])  # fmt: skip
def test_metrics_that_cannot_be_served_are_told(
    bitgoeul: ForkServer, plane: ControlPlane, options: list[str], said: str
) -> None:
    """Before anything is done: nobody runs an operator that cannot be looked at."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        arguments = [option.format(taken=taken) for option in options]
        line = complaint(bitgoeul.run("run", f"--kubeconfig={plane.kubeconfig}", *arguments))
    assert said.format(taken=taken) in line
