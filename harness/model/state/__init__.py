"""A cluster for planning: richer than `harness.model.world`, lean enough for 150,000 pods.

Pods of one workload share one `PodTemplate`, told apart by identity; everything else is as the API server stores it,
numbers parsed. What could not be read is named in `Inventory.missing`, never silently empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.model.state.index import TemplateIndex
from harness.model.state.objects import (
    Job,
    LimitRange,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    PodDisruptionBudget,
    PriorityClass,
    ResourceQuota,
    Service,
    StorageClass,
    Webhook,
    Workload,
)
from harness.model.state.pods import (
    HostPort,
    Inclusion,
    NewPod,
    Phase,
    Pod,
    PodTemplate,
    PodTerm,
    TopologySpreadConstraint,
)
from harness.model.state.quantity import amount, parse_quantity
from harness.model.state.selectors import (
    NOTHING,
    LabelSelector,
    LabelTerm,
    NodeTerm,
    Operator,
    any_matches,
)

__all__ = [
    "NOTHING",
    "ClusterState",
    "HostPort",
    "Inclusion",
    "Job",
    "LabelSelector",
    "LabelTerm",
    "LimitRange",
    "NewPod",
    "Node",
    "NodeTerm",
    "Operator",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Phase",
    "Pod",
    "PodDisruptionBudget",
    "PodTemplate",
    "PodTerm",
    "PriorityClass",
    "ResourceQuota",
    "Service",
    "StorageClass",
    "Subject",
    "TemplateIndex",
    "TopologySpreadConstraint",
    "Webhook",
    "Workload",
    "amount",
    "any_matches",
    "parse_quantity",
]


class Subject(StrEnum):
    """What an inventory is made of: resource names as permissions spell them."""

    NODES = "nodes"
    PODS = "pods"
    NAMESPACES = "namespaces"
    SERVICES = "services"
    ENDPOINT_SLICES = "endpointslices.discovery.k8s.io"
    BUDGETS = "poddisruptionbudgets.policy"
    REPLICA_SETS = "replicasets.apps"
    DEPLOYMENTS = "deployments.apps"
    STATEFUL_SETS = "statefulsets.apps"
    DAEMON_SETS = "daemonsets.apps"
    JOBS = "jobs.batch"
    CLAIMS = "persistentvolumeclaims"
    VOLUMES = "persistentvolumes"
    STORAGE_CLASSES = "storageclasses.storage.k8s.io"
    QUOTAS = "resourcequotas"
    LIMIT_RANGES = "limitranges"
    PRIORITY_CLASSES = "priorityclasses.scheduling.k8s.io"
    WEBHOOKS = "validatingwebhookconfigurations.admissionregistration.k8s.io"
    POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True, repr=False)
class ClusterState:
    """A cluster at one moment. `namespaces`: labels by name. `kubernetes_version`: gitVersion, "" when unknown.
    `flags`: of the control plane's components (``COMPONENT=--name=value``) that decide evictions, as far as known.
    `taken`: RFC 3339, None when unknown. `missing`: what could not be read, and why.
    """

    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    budgets: tuple[PodDisruptionBudget, ...] = ()
    workloads: tuple[Workload, ...] = ()
    jobs: tuple[Job, ...] = ()
    claims: tuple[PersistentVolumeClaim, ...] = ()
    volumes: tuple[PersistentVolume, ...] = ()
    storage_classes: tuple[StorageClass, ...] = ()
    quotas: tuple[ResourceQuota, ...] = ()
    limit_ranges: tuple[LimitRange, ...] = ()
    priority_classes: tuple[PriorityClass, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    kubernetes_version: str = ""
    flags: tuple[str, ...] = ()
    taken: str | None = None
    missing: Mapping[Subject, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """In short: whoever prints one by accident (asyncio does, on exit) would wait for 150,000 pods."""
        return f"<Inventory of {len(self.nodes)} nodes and {len(self.pods)} pods>"

    def knows(self, *subjects: Subject) -> bool:
        """Whether all of these were read."""
        return not any(subject in self.missing for subject in subjects)
