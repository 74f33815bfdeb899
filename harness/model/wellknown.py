"""Keys and reasons that Kubernetes itself gives a meaning, spelled once.

Sources: k8s.io/api/core/v1/{well_known_taints,well_known_labels,annotation_key_constants,types}.go; pkg/apis/core;
https://kubernetes.io/docs/reference/labels-annotations-taints/.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from harness.model.scenario import ConditionStatus, ConditionType

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
MEMORY_PRESSURE = "node.kubernetes.io/memory-pressure"
DISK_PRESSURE = "node.kubernetes.io/disk-pressure"
PID_PRESSURE = "node.kubernetes.io/pid-pressure"
NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable"

CONDITION_TAINTS: Mapping[tuple[ConditionType, ConditionStatus], str] = {
    (ConditionType.READY, ConditionStatus.FALSE): NOT_READY,
    (ConditionType.READY, ConditionStatus.UNKNOWN): UNREACHABLE,
    (ConditionType.MEMORY_PRESSURE, ConditionStatus.TRUE): MEMORY_PRESSURE,
    (ConditionType.DISK_PRESSURE, ConditionStatus.TRUE): DISK_PRESSURE,
    (ConditionType.PID_PRESSURE, ConditionStatus.TRUE): PID_PRESSURE,
    (ConditionType.NETWORK_UNAVAILABLE, ConditionStatus.TRUE): NETWORK_UNAVAILABLE,
}
"""The taint keys that the node lifecycle controller makes of conditions (nodeConditionToTaintKeyStatusMap)."""

CONTROLLER_TAINTS = frozenset((*CONDITION_TAINTS.values(), UNSCHEDULABLE))
"""The keys whose NoSchedule taints that controller keeps equal to the node's conditions and to spec.unschedulable
(taintKeyToNodeConditionMap, and the key of a cordon).
"""

DEFAULT_TOLERATED = (NOT_READY, UNREACHABLE)
"""The NoExecute keys that admission lets new pods tolerate for a while (its plugin DefaultTolerationSeconds)."""
DEFAULT_TOLERATION_S = 300
"""For how long, unless kube-apiserver's flags say otherwise."""

HOSTNAME = "kubernetes.io/hostname"
OS = "kubernetes.io/os"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
BETA_ZONE = "failure-domain.beta.kubernetes.io/zone"
BETA_REGION = "failure-domain.beta.kubernetes.io/region"
EXCLUDE_DISRUPTION = "node.kubernetes.io/exclude-disruption"
NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label of every Namespace with its own name."""
SERVICE_NAME = "kubernetes.io/service-name"
"""The label of an EndpointSlice with its Service's name."""

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of the API object that stands for a static pod."""


class DisruptionReason(StrEnum):
    """Who is about to end a pod: the reason of its condition DisruptionTarget (podutil, kubelet, scheduler)."""

    TAINT_MANAGER = "DeletionByTaintManager"
    EVICTION_API = "EvictionByEvictionAPI"
    POD_GC = "DeletionByPodGC"
    KUBELET = "TerminationByKubelet"
    PREEMPTION = "PreemptionByScheduler"
