"""Names that stand in the cluster: group, labels, annotations, finalizer. Changing one orphans what exists."""

from __future__ import annotations

GROUP = "bitgoeul.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

ACCELERATOR_POOLS = "acceleratorpools"
STORAGE_POOLS = "storagepools"
TENANT_ALLOCATIONS = "tenantallocations"

FIELD_MANAGER = "bitgoeul"

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "bitgoeul"
# On namespaces and everything in them: the allocation's name.
ALLOCATION_LABEL = f"{GROUP}/allocation"
# On a namespace whose allocation was deleted and whose data is kept.
RETAINED_LABEL = f"{GROUP}/retained"
# On namespaces, one for each pool granted there; the admission policies select by it.
POOL_LABEL_PREFIX = f"{GROUP}/pool-"
# On a namespace: the UID of the allocation it belongs to. Tenants cannot write it, so it proves ownership.
ALLOCATION_UID_ANNOTATION = f"{GROUP}/allocation-uid"

# On a namespace: its allocation is past its end or suspended. It goes when workloads have been told to try again.
CLOSED_ANNOTATION = f"{GROUP}/closed"
# On workloads: when their allocation came into force again, so that their controllers look at them anew.
RESUMED_ANNOTATION = f"{GROUP}/resumed-at"

# Must differ from kopf's own finalizer: kopf strips that one from objects it does not handle.
FINALIZER = f"{GROUP}/enforcement"

# One label key names a pool; its name part may have 63 characters, "pool-" takes 5.
MAX_POOL_NAME = 58

QUOTA_NAME = "bitgoeul"

# Where the Lease is, wherever an operator runs: one lock for each cluster.
OPERATOR_NAMESPACE = "bitgoeul-system"
LEASE_NAME = "bitgoeul"
# On the Lease: the namespace that its holder runs in.
RUNS_IN_ANNOTATION = f"{GROUP}/namespace"
# On the Lease: by how much the time is shifted by which the operator plans; absent: it is not.
CLOCK_OFFSET_ANNOTATION = f"{GROUP}/clock-offset"
# On the Lease: the ClusterRoles that members may be given, with commas between; absent: none.
ALLOWED_ROLES_ANNOTATION = f"{GROUP}/allowed-cluster-roles"
# On the Lease: the checks of its holder that keep it from its work; absent: none does.
NOT_READY_ANNOTATION = f"{GROUP}/not-ready"


def pool_label(pool: str) -> str:
    """The label key that a namespace carries while it is granted devices of this pool."""
    return f"{POOL_LABEL_PREFIX}{pool}"
