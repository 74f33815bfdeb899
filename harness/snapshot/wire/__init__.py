"""The API's own JSON, as far as a plan reads it: what is declared here is what a snapshot file keeps.

Decoded by msgspec, which skips everything else without building it.
"""

from __future__ import annotations

from harness.snapshot.wire.base import Expression, NodeSelector, Selector
from harness.snapshot.wire.pods import Container, Node, Own, Pod, PodGroup, PodSpec, PodStatus, VolumeSource
from harness.snapshot.wire.policies import (
    AdmissionPolicy,
    Claim,
    LimitRange,
    PriorityClass,
    Quota,
    StorageClass,
    Volume,
    WebhookConfiguration,
    WebhookRule,
)
from harness.snapshot.wire.workloads import (
    Budget,
    DaemonSet,
    Deployment,
    EndpointSlice,
    Job,
    Namespace,
    ReplicaSet,
    Service,
    StatefulSet,
)

__all__ = [
    "AdmissionPolicy",
    "Budget",
    "Claim",
    "Container",
    "DaemonSet",
    "Deployment",
    "EndpointSlice",
    "Expression",
    "Item",
    "Job",
    "LimitRange",
    "Namespace",
    "Node",
    "NodeSelector",
    "Own",
    "Pod",
    "PodGroup",
    "PodSpec",
    "PodStatus",
    "PriorityClass",
    "Quota",
    "ReplicaSet",
    "Selector",
    "Service",
    "StatefulSet",
    "StorageClass",
    "Volume",
    "VolumeSource",
    "WebhookConfiguration",
    "WebhookRule",
]

Item = (
    Pod
    | PodGroup
    | Node
    | Namespace
    | Service
    | EndpointSlice
    | Budget
    | ReplicaSet
    | Deployment
    | StatefulSet
    | DaemonSet
    | Job
    | Claim
    | Volume
    | StorageClass
    | Quota
    | LimitRange
    | PriorityClass
    | WebhookConfiguration
    | AdmissionPolicy
)
"""Every kind that is read."""
