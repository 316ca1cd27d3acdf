"""Figures beyond 64 bits freeze no status, and columns stay short."""

from __future__ import annotations

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.api.quantities import MOST
from bitgoeul.cluster.kinds import RESOURCE_QUOTA
from tests.cluster.api_objects import Manifest
from tests.cluster.kubectl import Kubectl
from tests.cluster.scenario import World
from tests.cluster.waiting import eventually


def test_a_sum_beyond_64_bits_leaves_the_status_alive(world: World) -> None:
    """Twelve ask for an exabyte each: the first has it, and the pool says so."""
    disk = world.storage_pool("exa", capacity="1E")
    for number in range(12):
        world.allocate(f"exa-{number:02}", storage={disk: "1E"})

    def counted() -> Manifest:
        figures: Manifest = world.storage_status(disk)["bytes"]
        assert (figures["granted"], figures["available"]) == (10**18, 0), figures
        assert figures["waiting"] == MOST, figures
        return figures

    eventually(counted, "the pool counts all who wait")


def test_nodes_may_report_absurd_numbers(world: World) -> None:
    """Two nodes with as many devices as an integer holds: the most is told, and devices are granted."""
    pool = world.declare_pool()
    world.nodes(pool, "one", "two", devices=MOST)
    world.await_devices(pool, installed=MOST, effective=MOST)
    world.active("modest", {pool: 4})
    world.await_devices(pool, granted=4)


def test_a_share_of_memory_beyond_64_bits_is_no_byte(world: World) -> None:
    """An exabyte for each of thirty devices: the quota has the most that the API server knows, not one byte."""
    pool = world.pool(devices=30, perDevice={"memory": "1E"})
    name = world.active("much", {pool: 30})
    hard = world.get(RESOURCE_QUOTA, QUOTA_NAME, name)["status"]["hard"]
    assert hard["requests.memory"] == str(MOST)


def test_the_columns_of_a_storage_pool_are_short(world: World, kubectl: Kubectl) -> None:
    """Capacity in T and grants in Ti leave what has no short exact text; the bytes are exact."""
    disk = world.storage_pool(capacity="500T")
    world.active("units", storage={disk: "10Ti"})

    def shown() -> str:
        line = kubectl("get", "spool", disk, "--no-headers").stdout
        assert line.split()[2:5] == ["500T", "10Ti", "444.7Ti"], line
        return line

    eventually(shown, "the columns are short")
    assert world.storage_status(disk)["bytes"]["available"] == 500 * 10**12 - 10 * 2**40
