"""Shells complete what is typed, by kubectl itself and by bash itself: commands, options, and names in the cluster."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cluster.kubectl import Kubectl
from tests.cluster.operator_process import SOURCE
from tests.cluster.scenario import World
from tests.cluster.waiting import eventually

TIMEOUT_SECONDS = 60
NO_FILES, FILES = ":4", ":0"
BASH = """\
eval "$(bitgoeul completion bash)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_bitgoeul_completion bitgoeul
printf '%s\\n' "${COMPREPLY[@]}"
"""


def environment(kubeconfig: Path | None) -> dict[str, str]:
    known = {"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}
    return {"PATH": f"{sysconfig.get_path('scripts')}:/usr/bin:/bin", "PYTHONPATH": str(SOURCE), **known}


def output_of(command: Sequence[str], kubeconfig: Path | None) -> list[str]:
    """The lines that a command prints."""
    done = subprocess.run(
        command,
        env=environment(kubeconfig),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done
    return done.stdout.splitlines()


def complete(kubectl: Kubectl, *words: str, cluster: bool = True) -> list[str]:
    """What kubectl offers for ``kubectl bitgoeul …``, and last its directive."""
    command = [str(kubectl.binary), "kubectl", "__complete", "bitgoeul", *words]
    return [line.split("\t")[0] for line in output_of(command, kubectl.kubeconfig if cluster else None)]


def test_kubectl_completes_commands_and_options(kubectl: Kubectl) -> None:
    """It asks kubectl_complete-bitgoeul, which is installed beside the plugin."""
    assert {"status", "queue", "bundle"} <= set(complete(kubectl, ""))
    assert complete(kubectl, "ex") == ["expiring", NO_FILES]
    assert complete(kubectl, "pools", "--o") == ["--output", NO_FILES]
    assert complete(kubectl, "pools", "--output", "") == ["table", "wide", "json", "yaml", NO_FILES]
    assert complete(kubectl, "plan", "-f", "") == [FILES]
    # Names of other tests' allocations may be among what is offered.
    assert complete(kubectl, "status", "--no-such-option", "")[-1] == NO_FILES


def test_kubectl_completes_names(world: World, kubectl: Kubectl) -> None:
    """Of allocations and of pools, as far as whoever asks may see them."""
    pool, disk = world.pool(devices=2), world.storage_pool()
    member = {"kind": "User", "name": f"dain-{world.suffix}", "role": "view"}
    name = world.active("gareum", {pool: 1}, members=[member])
    other = world.allocate("narae", {pool: 4})
    # A cluster that takes its time counts as none.
    eventually(lambda: {name, other} <= set(complete(kubectl, "status", "")), "allocations are offered")
    eventually(lambda: complete(kubectl, "why", name[:-1]) == [name, NO_FILES], "one is offered")
    eventually(lambda: {pool, disk} <= set(complete(kubectl, "calendar", "--pool", "")), "pools are offered")
    eventually(lambda: complete(kubectl, "plan", "--pool", pool[:-1]) == [pool, NO_FILES], "a pool is offered")
    assert disk not in complete(kubectl, "plan", "--pool", "")
    tenant = ("status", "-n", name, "--as", member["name"], "")
    eventually(lambda: complete(kubectl, *tenant) == [name, NO_FILES], "its own is offered")
    assert complete(kubectl, "status", "--as", "somebody", "") == [NO_FILES]


@pytest.mark.parametrize("words", [("status", ""), ("calendar", "--pool", "")], ids="-".join)
def test_without_a_cluster_there_are_no_names(kubectl: Kubectl, words: tuple[str, ...]) -> None:
    """Nothing is offered, nothing is said, and no default file is looked for."""
    assert complete(kubectl, *words, cluster=False) == [NO_FILES]


def test_bash_completes(world: World, kubectl: Kubectl) -> None:
    """By the script that ``bitgoeul completion`` prints."""
    name = world.allocate("gareum", {world.name("none"): 1})

    def typed(*words: str) -> list[str]:
        return output_of(["bash", "-c", BASH, "bash", "bitgoeul", *words], kubectl.kubeconfig)

    assert typed("ex") == ["expiring"]
    eventually(lambda: typed("status", name[:-1]) == [name], "its name is offered")
