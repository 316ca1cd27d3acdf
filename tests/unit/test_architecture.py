"""
Imports point one way, and the core knows neither client nor clock: read out of the source, module by module.

The rules are data, ``breaches`` applies them to one module's text. So the tests below can show on small texts that each
rule bites, and on the real tree that all hold.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bitgoeul

ROOT = Path(bitgoeul.__file__).parent

# From below to above: each room and the rooms that it may import. Modules beside the rooms (``bitgoeul.errors``) are
# for everybody.
MAY_IMPORT: dict[str, set[str]] = {
    "api": set(),
    "planning": {"api"},
    "desired": {"api", "planning"},
    "whatif": {"api", "planning", "desired"},
    "cluster": {"api", "planning", "desired"},
    "metrics": {"api", "planning", "desired"},
    "controller": {"api", "planning", "desired", "cluster", "metrics"},
    "local": {"api", "planning", "desired", "cluster", "metrics", "controller"},
    "demo": {"api", "planning", "desired", "cluster", "metrics", "controller", "local"},
    "cli": {"api", "planning", "desired", "cluster", "metrics", "controller", "local", "demo", "whatif"},
}
PURE = {"api", "planning", "desired", "whatif"}

# Who may import what comes from outside; everybody else may not.
RESERVED = {"kubernetes": "cluster/", "kopf": "controller/handlers.py"}

# The core is told the time and what the cluster shows; it asks nobody.
WORLD = {
    "aiohttp",
    "click",
    "http",
    "os",
    "pathlib",
    "prometheus_client",
    "requests",
    "shutil",
    "signal",
    "socket",
    "ssl",
}
WORLD |= {"asyncio", "logging", "multiprocessing", "random", "secrets", "subprocess", "tempfile", "threading", "time"}
WORLD |= {"urllib", "uuid"}
CLOCKS = {"date.today", "datetime.now", "datetime.today", "datetime.utcnow"}
OPENERS = {"open", "input", "print", "__import__"}


def room_of(path: str) -> str:
    """The folder right below the package; "" for modules beside the rooms."""
    return path.split("/")[0] if "/" in path else ""


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module that is imported anywhere, also inside functions and for type checking only, by its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            # `from bitgoeul import cluster` imports bitgoeul.cluster.
            yield from (f"{base}.{alias.name}" for alias in node.names)


def breaches(path: str, source: str) -> list[str]:
    """
    What one module does that it may not.

    Args:
        path: Below the package, such as ``planning/plan.py``.
    """
    tree = ast.parse(source)
    room = room_of(path)
    found = [wrong for module in imported(tree) for wrong in import_breaches(path, room, module)]
    if room in PURE:
        found += [f"{path} calls {call}" for call in called(tree) if call in OPENERS or asks_the_clock(call)]
    return sorted(set(found))


def import_breaches(path: str, room: str, module: str) -> Iterator[str]:
    """What is wrong with one import."""
    top, _, rest = module.partition(".")
    if module.startswith("."):
        yield f"{path} imports {module}: relative imports hide the direction"
    elif top == "bitgoeul":
        other = rest.split(".")[0]
        if room in MAY_IMPORT and other in MAY_IMPORT and other not in MAY_IMPORT[room] | {room}:
            yield f"{path} imports {module}: {room} may not look at {other}"
        elif not room and other in MAY_IMPORT:
            yield f"{path} imports {module}: what is for everybody may not look into a room"
    elif top in RESERVED and not path.startswith(RESERVED[top]):
        yield f"{path} imports {module}: only {RESERVED[top]} may"
    elif room in PURE and top in WORLD:
        yield f"{path} imports {module}: the core does no I/O and has no clock"


def called(tree: ast.Module) -> Iterator[str]:
    """Everything that is called by name, such as ``open`` or ``datetime.datetime.now``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func)


def asks_the_clock(call: str) -> bool:
    """Whether a call tells the time, however its module was imported."""
    return ".".join(call.split(".")[-2:]) in CLOCKS


MODULES = {str(path.relative_to(ROOT)): path for path in sorted(ROOT.rglob("*.py"))}


@pytest.mark.parametrize("path", MODULES)
def test_a_module_keeps_to_its_room(path: str) -> None:
    """Imports point one way; only ``cluster`` knows the client, only the handlers know kopf, the core has no clock."""
    assert breaches(path, MODULES[path].read_text()) == []


def test_every_folder_is_a_room() -> None:
    """A new folder needs its place in the order, and a room that is gone needs none."""
    assert {room_of(path) for path in MODULES} - {""} == set(MAY_IMPORT)


def test_the_order_of_rooms_has_no_circle() -> None:
    """Who may import somebody is never imported by it, not even by way of others."""
    for room, others in MAY_IMPORT.items():
        assert room not in others
        assert all(room not in MAY_IMPORT[other] for other in others)
        assert all(MAY_IMPORT[other] <= others for other in others)


@pytest.mark.parametrize(
    ("path", "source", "breach"),
    [
        pytest.param("api/x.py", "import bitgoeul.planning.plan", "api may not look at planning", id="api looks up"),
        pytest.param(
            "planning/x.py", "from bitgoeul.desired import world", "may not look at desired", id="planning too"
        ),
        pytest.param("planning/x.py", "from bitgoeul import cluster", "may not look at cluster", id="by its package"),
        pytest.param("cluster/x.py", "from bitgoeul.controller.x import Y", "not look at controller", id="cluster too"),
        pytest.param("local/x.py", "import bitgoeul.cli.main", "local may not look at cli", id="local looks at cli"),
        pytest.param("errors.py", "from bitgoeul.api import names", "may not look into a room", id="errors look in"),
        pytest.param(
            "api/x.py", "def f():\n    import bitgoeul.cli.main", "api may not look at cli", id="inside a function"
        ),
        pytest.param(
            "desired/x.py",
            "if TYPE_CHECKING:\n    from bitgoeul.cluster.client import Api",
            "desired may not look at cluster",
            id="for type checking only",
        ),
        pytest.param("planning/x.py", "from ..cluster import client", "relative imports", id="by a relative import"),
        pytest.param("controller/x.py", "import kubernetes.aio", "only cluster/ may", id="the client elsewhere"),
        pytest.param("cli/x.py", "from kubernetes.aio import client", "only cluster/ may", id="the client in commands"),
        pytest.param("controller/x.py", "import kopf", "only controller/handlers.py may", id="kopf elsewhere"),
        pytest.param("cluster/x.py", "from kopf import on", "only controller/handlers.py may", id="kopf in cluster"),
        pytest.param("planning/x.py", "import time", "has no clock", id="the core imports time"),
        pytest.param("desired/x.py", "from asyncio import sleep", "does no I/O", id="the core sleeps"),
        pytest.param("api/x.py", "import urllib.request", "does no I/O", id="the core reads the net"),
        pytest.param("planning/x.py", "now = datetime.now(UTC)", "calls datetime.now", id="the core asks the time"),
        pytest.param("planning/x.py", "datetime.datetime.utcnow()", "utcnow", id="the core asks the time in full"),
        pytest.param("desired/x.py", "text = open('x').read()", "calls open", id="the core opens a file"),
    ],
)
def test_a_breach_is_found(path: str, source: str, breach: str) -> None:
    """Each rule bites: the same check that passes on the tree fails on a text that breaks it."""
    found = breaches(path, source)
    assert len(found) == 1
    assert breach in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        pytest.param("planning/x.py", "from bitgoeul.api import names", id="a lower room"),
        pytest.param("planning/x.py", "from bitgoeul.planning.pools import Pool", id="the own room"),
        pytest.param("api/x.py", "from bitgoeul.errors import QuantityError", id="what is for everybody"),
        pytest.param("cluster/client.py", "from kubernetes.aio import client", id="the client in its room"),
        pytest.param("controller/handlers.py", "import kopf", id="kopf in the handlers"),
        pytest.param("planning/x.py", "from datetime import UTC, datetime", id="dates without asking for now"),
        pytest.param("controller/x.py", "import time\nnow = datetime.now(UTC)", id="the time outside the core"),
    ],
)
def test_what_is_allowed_is_no_breach(path: str, source: str) -> None:
    """The rules refuse nothing that the design allows."""
    assert breaches(path, source) == []
