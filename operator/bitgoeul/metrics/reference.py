"""
Prints the page about metrics, made from the declarations: ``python -m bitgoeul.metrics.reference > docs/metrics.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from bitgoeul.metrics import instruments
from bitgoeul.metrics.allocations import ALLOCATION_SOURCES
from bitgoeul.metrics.collector import STATE_SOURCES
from bitgoeul.metrics.families import Family
from bitgoeul.metrics.pools import ACCELERATOR_SOURCES, STORAGE_SOURCES

INTRODUCTION = """\
# Metrics

<!-- Made by `python -m bitgoeul.metrics.reference > docs/metrics.md`; a test fails when it differs from the code. -->

`bitgoeul run` serves Prometheus metrics on `http://127.0.0.1:9400/metrics` (`--metrics-host`, `--metrics-port`), in the
text format or as OpenMetrics, as the scraper asks, and compressed if it likes. Beside it stand `/healthz` (the process
is alive) and `/readyz` (it has seen the cluster): 200 when all is well, else 503, with one line of text for each check.
There is no authentication, and names of organisations are shown: whoever may reach the port may read them.

- Pools and allocations are read from one frozen state at each scrape. All figures of a scrape belong together, and a
  deleted tenant or pool leaves no series behind.
- Only the replica that leads shows pools and allocations; one that stands by shows only what it counts about itself.
- Words are those of `kubectl explain`: *granted* is what is promised, *in use* what pods and volume claims hold.
- An empty label is the same as a missing one, to Prometheus.
- A pool adds about 45 series; an allocation about 15, with one accelerator pool and one storage pool, and a few more
  with a window that ends. No series is labelled with a pod, a user or a message.
- What lies ahead is given as a moment, not as seconds to go. With `--clock-offset`, compare starts, ends and stages
  with `time() + scalar(bitgoeul_clock_offset_seconds)`; where one Prometheus scrapes several operators, `scalar` has no
  value, and the recorded `allocation:bitgoeul_expiry:remaining_seconds` and its like are what to use.
- Alerts and recording rules come with the chart, and as a plain file: [alerts](installation.md#alerts). What to do
  about each alert: [runbooks](runbooks.md).
- The label `resource` is the API's own name, such as `nvidia.com/gpu`; kube-state-metrics writes `nvidia_com_gpu` for
  nodes and pods, and `requests.nvidia.com/gpu` for quotas.
- Stability *alpha*: name and labels may change with any version, and the changelog says so.

## What always adds up

| | |
|---|---|
| installed | = schedulable + all unavailable |
| schedulable | = reserved + effective; where there are stages, the lesser of planned and schedulable is; for storage \
installed is |
| effective | = granted + available; for storage granted + retained + available |
| available | is below 0 only after capacity was lost; then nothing new is granted, and nobody is stopped |
| scheduled | is promised for starts ahead, and not part of granted |
| nodes | each counts in one state, and for one pool |
| allocations | what they are granted of a pool adds up to what the pool has granted. Devices in a namespace whose \
allocation is gone count for the pool alone, until its quota is closed |
"""

QUERIES = """\
## Queries to begin with

```promql
# Share of each pool that is promised
bitgoeul_pool_granted_devices / bitgoeul_pool_effective_devices

# Promised but not used, by organisation
sum by (organization) (
  (bitgoeul_allocation_granted_devices - bitgoeul_allocation_in_use_devices)
  * on (allocation) group_left (organization) bitgoeul_allocation_info
)

# Who waits, and for how many hours
(time() - bitgoeul_allocation_queued_timestamp_seconds) / 3600

# Hours until each that waits can start, as forecast today
(bitgoeul_allocation_earliest_start_timestamp_seconds - (time() + scalar(bitgoeul_clock_offset_seconds))) / 3600

# What ends within three days and is still in use
bitgoeul_allocation_expiry_timestamp_seconds - (time() + scalar(bitgoeul_clock_offset_seconds)) < 3 * 86400
  and on (allocation) bitgoeul_allocation_in_use_devices > 0

# Days until the next stage of each pool
(bitgoeul_pool_next_stage_timestamp_seconds - (time() + scalar(bitgoeul_clock_offset_seconds))) / 86400

# Pools whose nodes are not what the stage plans, and pools that promised more than there is or will be
bitgoeul_pool_condition{type="CapacityMatched", status="False"}
bitgoeul_pool_condition{type="Overcommitted", status="True"}

# Requests for which waiting will not help
bitgoeul_allocation_condition{type="Stalled", status="True"}

# Pools that have promised more than they have
bitgoeul_pool_available_devices < 0

# Time in which 99 % of the passes over an allocation end
histogram_quantile(0.99, sum by (le) (rate(bitgoeul_reconcile_duration_seconds_bucket{kind="TenantAllocation"}[5m])))
```
"""

OPERATOR_NOTE = """\
Beside these stand the Prometheus client's own `process_*` (memory, CPU, open files) and `python_gc_*`.
"""

NOT_THERE = """\
## Not there, and why

- **When an allocation last used a device**: quotas tell what is used now, and nothing remembers more; ask
  Prometheus for `max_over_time(bitgoeul_allocation_in_use_devices[7d])`.
- **Device-seconds** as a counter: it would begin anew with each operator, and miss what happens while none runs; ask
  for `sum_over_time` or `avg_over_time` of what is granted or in use.
- **Pods that a quota has refused**: the API server tells only whoever asked, and keeps no count that can be watched.
- **Devices that pods are bound to**, apart from what quotas count: pods are not watched. kube-state-metrics has them.
- **How busy a device is**: that is the hardware's to tell; join the vendor's exporter by namespace.
"""

HEAD = "| Metric | Type | Labels | Meaning | Stability |\n|---|---|---|---|---|\n"


def reference() -> str:
    """The whole page, in Markdown."""
    return "\n".join(
        (
            INTRODUCTION,
            section("Accelerator pools", (source.family for source in ACCELERATOR_SOURCES)),
            section("Storage pools", (source.family for source in STORAGE_SOURCES)),
            section("Allocations", (source.family for source in (*ALLOCATION_SOURCES, *STATE_SOURCES))),
            section("The operator itself", instruments.FAMILIES),
            OPERATOR_NOTE,
            NOT_THERE,
            QUERIES,
        )
    )


def section(title: str, families: Iterable[Family]) -> str:
    """A table of families."""
    return f"## {title}\n\n{HEAD}" + "".join(row(family) for family in families)


def row(family: Family) -> str:
    """One family as a row of a table."""
    labels = ", ".join(label_text(family, label) for label in family.labels)
    return f"| `{family.name}` | {family.type} | {labels} | {family.meaning} | {family.stability} |\n"


def label_text(family: Family, label: str) -> str:
    """A label, and its values where they are known beforehand."""
    values = family.values.get(label, ())
    return f"`{label}`: {' / '.join(values)}" if values else f"`{label}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
