"""Cases for the alerts about pools."""

from __future__ import annotations

from tests.rules.operator import A100, DISK, LUSTRE, POOL, TIB
from tests.rules.series import Case, Level

EXCEEDS = 'type="Overcommitted",status="True",reason="PromisesExceedPlan"'


def condition(kind: str, pool: str, labels: str) -> dict[str, Level]:
    """A condition that is there while something is wrong."""
    return {f'bitgoeul_{kind}_condition{{pool="{pool}",{labels}}}': Level(None, 1)}


def said(kind: str, pool: str, labels: str) -> dict[str, str]:
    """What an alert on a condition says."""
    own = dict(part.split("=") for part in labels.replace('"', "").split(","))
    return {"pool": pool, "kind": kind} | own


NO_NODES = 'type="Ready",status="False",reason="NoNodesMatch"'
NO_CLASS = 'type="StorageClassFound",status="False",reason="ClassNotFound"'
ON_HOLD = 'type="Ready",status="False",reason="OnHold"'
DIFFERS = 'type="CapacityMatched",status="False",reason="DiffersFromPlan"'

CASES = (
    Case(
        "BitgoeulPoolOvercommitted",
        "a node is lost",
        {f"bitgoeul_pool_available_devices{{{POOL}}}": Level(0, -4)},
        A100,
    ),
    Case(
        "BitgoeulStoragePoolOvercommitted",
        "the capacity is lowered",
        {f"bitgoeul_storage_pool_available_bytes{{{DISK}}}": Level(0, -TIB)},
        LUSTRE,
    ),
    Case(
        "BitgoeulPoolPromisesExceedPlan",
        "a stage is made smaller",
        condition("pool", "a100", EXCEEDS),
        said("AcceleratorPool", "a100", EXCEEDS),
    ),
    Case(
        "BitgoeulPoolPromisesExceedPlan",
        "a stage of storage is made smaller",
        condition("storage_pool", "lustre", EXCEEDS),
        said("StoragePool", "lustre", EXCEEDS),
    ),
    Case(
        "BitgoeulPoolExhausted",
        "the last device is granted",
        {
            f"bitgoeul_pool_available_devices{{{POOL}}}": Level(3, 0),
            f"bitgoeul_pool_waiting_devices{{{POOL}}}": 8,
        },
        A100,
    ),
    Case(
        "BitgoeulPoolExhausted",
        "nothing is left, and nobody waits",
        {
            f"bitgoeul_pool_available_devices{{{POOL}}}": Level(3, 0),
            f"bitgoeul_pool_waiting_devices{{{POOL}}}": 0,
        },
        labels=None,
    ),
    Case(
        "BitgoeulStoragePoolExhausted",
        "somebody waits for the last bytes",
        {
            f"bitgoeul_storage_pool_available_bytes{{{DISK}}}": 0,
            f"bitgoeul_storage_pool_waiting_bytes{{{DISK}}}": Level(0, TIB),
        },
        LUSTRE,
    ),
    Case(
        "BitgoeulPoolForecastExhausted",
        "more is waited for than will come free",
        {
            f"bitgoeul_pool_waiting_devices{{{POOL}}}": Level(4, 8),
            f'bitgoeul_pool_forecast_available_devices{{{POOL},horizon="7d"}}': 4,
            f'bitgoeul_pool_forecast_available_devices{{{POOL},horizon="30d"}}': 40,
        },
        A100,
    ),
    Case(
        "BitgoeulPoolForecastExhausted",
        "more is promised than there will be, and nobody waits",
        {
            f"bitgoeul_pool_waiting_devices{{{POOL}}}": 0,
            f'bitgoeul_pool_forecast_available_devices{{{POOL},horizon="7d"}}': Level(4, -4),
        },
        labels=None,
    ),
    Case(
        "BitgoeulStoragePoolForecastExhausted",
        "more is waited for than will come free",
        {
            f"bitgoeul_storage_pool_waiting_bytes{{{DISK}}}": Level(0, TIB),
            f'bitgoeul_storage_pool_forecast_available_bytes{{{DISK},horizon="7d"}}': 0,
        },
        LUSTRE,
    ),
    Case(
        "BitgoeulPoolCapacityLost",
        "an eighth is on nodes that are not ready",
        {
            f"bitgoeul_pool_installed_devices{{{POOL}}}": 16,
            f'bitgoeul_pool_unavailable_devices{{{POOL},reason="NotReady"}}': Level(0, 1),
            f'bitgoeul_pool_unavailable_devices{{{POOL},reason="Cordoned"}}': 1,
        },
        A100,
    ),
    Case(
        "BitgoeulPoolStageDiffersFromPlan",
        "nodes are missing",
        condition("pool", "a100", DIFFERS),
        {key: value for key, value in said("", "a100", DIFFERS).items() if key != "kind"},
    ),
    Case(
        "BitgoeulPoolNotReady",
        "no node matches",
        condition("pool", "a100", NO_NODES),
        said("AcceleratorPool", "a100", NO_NODES),
    ),
    Case(
        "BitgoeulPoolNotReady",
        "the storage class is missing",
        condition("storage_pool", "lustre", NO_CLASS),
        said("StoragePool", "lustre", NO_CLASS),
    ),
    Case(
        "BitgoeulPoolNotReady",
        "somebody has put it on hold",
        condition("pool", "a100", ON_HOLD) | condition("storage_pool", "lustre", ON_HOLD),
        labels=None,
    ),
)
