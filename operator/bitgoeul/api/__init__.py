"""The API group bitgoeul.dev/v1alpha1: the three kinds as models, their words, and the CRDs made from them."""

from bitgoeul.api.accelerator_pool import AcceleratorPool
from bitgoeul.api.meta import ObjectMeta
from bitgoeul.api.storage_pool import StoragePool
from bitgoeul.api.tenant_allocation import TenantAllocation

__all__ = ["AcceleratorPool", "ObjectMeta", "StoragePool", "TenantAllocation"]
