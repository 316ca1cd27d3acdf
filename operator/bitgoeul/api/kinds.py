"""The three kinds as the API server serves them: plural, short name, columns of ``kubectl get``, field selectors."""

from __future__ import annotations

from bitgoeul.api.accelerator_pool import AcceleratorPool
from bitgoeul.api.crd import Column, Kind
from bitgoeul.api.names import ACCELERATOR_POOLS, STORAGE_POOLS, TENANT_ALLOCATIONS
from bitgoeul.api.storage_pool import StoragePool
from bitgoeul.api.tenant_allocation import TenantAllocation

_READY = '.status.conditions[?(@.type=="Ready")]'
_AGE = Column("Age", "date", ".metadata.creationTimestamp", "Time since the object was created.")

KINDS = (
    Kind(
        model=AcceleratorPool,
        plural=ACCELERATOR_POOLS,
        short_name="apool",
        columns=(
            Column("Product", "string", ".spec.product", "Product name of the devices."),
            Column("Stage", "string", ".status.currentStage", "Stage of the capacity plan that is in force now."),
            Column("Effective", "integer", ".status.devices.effective", "Devices that can be promised."),
            Column("Granted", "integer", ".status.devices.granted", "Devices promised to allocations now."),
            Column("Available", "integer", ".status.devices.available", "Devices that can still be granted."),
            Column("Waiting", "integer", ".status.devices.waiting", "Devices that waiting allocations ask for."),
            Column("Ready", "string", f"{_READY}.status", "Whether the pool can be granted from."),
            _AGE,
            Column("Resource", "string", ".spec.resourceName", "Extended resource of the devices.", wide=True),
            Column("In Use", "integer", ".status.devices.inUse", "Granted devices that pods hold now.", wide=True),
            Column("Reason", "string", f"{_READY}.reason", "Why the pool is ready, or why it is not.", wide=True),
        ),
        selectable_fields=(".spec.resourceName", ".spec.type"),
    ),
    Kind(
        model=StoragePool,
        plural=STORAGE_POOLS,
        short_name="spool",
        columns=(
            Column("Class", "string", ".spec.storageClassName", "Storage class that the pool is."),
            Column("Stage", "string", ".status.currentStage", "Stage of the capacity plan that is in force now."),
            Column("Capacity", "string", ".status.summary.capacity", "Capacity, rounded."),
            Column("Granted", "string", ".status.summary.granted", "What is promised to allocations now, rounded."),
            Column("Available", "string", ".status.summary.available", "What can still be granted, rounded."),
            Column("Ready", "string", f"{_READY}.status", "Whether the pool can be granted from."),
            _AGE,
            Column("Reason", "string", f"{_READY}.reason", "Why the pool is ready, or why it is not.", wide=True),
        ),
        selectable_fields=(".spec.storageClassName",),
    ),
    Kind(
        model=TenantAllocation,
        plural=TENANT_ALLOCATIONS,
        short_name="ta",
        columns=(
            Column("Organization", "string", ".spec.organization.name", "Who the allocation is for."),
            Column("Accelerators", "string", ".status.summary.accelerators", "Devices asked for, by pool."),
            Column("Phase", "string", ".status.phase", "Summary of where the allocation stands."),
            Column("Position", "integer", ".status.queue.position", "Place in the queue; blank when nothing waits."),
            # Texts: a column of type date prints what lies ahead as <invalid>.
            Column("Earliest", "string", ".status.summary.earliest", "Earliest start of what waits, as forecast."),
            Column("End", "string", ".status.summary.end", "When the window ends; blank when it is open-ended."),
            _AGE,
            Column("Priority", "integer", ".spec.priority", "Higher goes first.", wide=True),
            Column("Reason", "string", f"{_READY}.reason", "Why the allocation is Ready, or why not.", wide=True),
            Column("Namespaces", "string", ".status.summary.namespaces", "Namespaces ready out of all.", wide=True),
        ),
        selectable_fields=(".status.phase", ".spec.priority", ".spec.organization.class"),
    ),
)
