"""Pods and nodes: many, so what pods share word for word stays raw bytes, parsed once for all of them."""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType, field

from harness.snapshot.wire.base import Condition, Notes, Part


class Meta(Part):
    """metadata."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: Raw | UnsetType = UNSET
    annotations: Notes | None = None
    owner_references: Raw | UnsetType = UNSET
    deletion_timestamp: str | None = None


class Container(Part):
    """spec.containers[] and spec.initContainers[]."""

    resources: Raw | UnsetType = UNSET
    ports: Raw | UnsetType = UNSET
    restart_policy: str = ""


class ClaimSource(Part):
    """spec.volumes[].persistentVolumeClaim."""

    claim_name: str = ""


class VolumeSource(Part):
    """spec.volumes[]: only what binds a pod to a place is kept."""

    persistent_volume_claim: ClaimSource | None = None
    ephemeral: Raw | UnsetType = UNSET
    empty_dir: Raw | UnsetType = UNSET


class PodSpec(Part):
    """spec of a Pod."""

    node_name: str = ""
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    tolerations: Raw | UnsetType = UNSET
    affinity: Raw | UnsetType = UNSET
    node_selector: Raw | UnsetType = UNSET
    topology_spread_constraints: Raw | UnsetType = UNSET
    volumes: list[VolumeSource] | None = None
    overhead: Raw | UnsetType = UNSET
    resources: Raw | UnsetType = UNSET
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str | None = None
    scheduler_name: str = "default-scheduler"
    scheduling_gates: Raw | UnsetType = UNSET
    termination_grace_period_seconds: int | None = None
    resource_claims: Raw | UnsetType = UNSET


class PodStatus(Part):
    """status of a Pod."""

    phase: str = "Pending"
    conditions: list[Condition] | None = None
    start_time: str | None = None


class Pod(Part, tag_field="kind", tag="Pod"):
    """v1 Pod."""

    metadata: Meta
    spec: PodSpec = field(default_factory=PodSpec)
    status: PodStatus = field(default_factory=PodStatus)


class Own(Struct, array_like=True, gc=False):
    """What is a pod's own, as an array."""

    name: str
    uid: str
    node: str
    phase: str
    ready: bool
    deleting: bool
    started: str | None


class PodGroup(Part, tag_field="kind", tag="PodGroup"):
    """Of our own making: pods that are the same but for `own`. World files are a tenth of the size for it."""

    template: Pod
    own: list[Own]


class NodeMeta(Part):
    """metadata of a Node: annotations as they are, since prices and claims of ours may be in them."""

    name: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class NodeSpec(Part):
    """spec of a Node."""

    taints: Raw | UnsetType = UNSET
    unschedulable: bool = False


class NodeStatus(Part):
    """status of a Node."""

    allocatable: dict[str, str | int | float] | None = None
    capacity: dict[str, str | int | float] | None = None
    conditions: list[Condition] | None = None


class Node(Part, tag_field="kind", tag="Node"):
    """v1 Node."""

    metadata: NodeMeta
    spec: NodeSpec = field(default_factory=NodeSpec)
    status: NodeStatus = field(default_factory=NodeStatus)
