"""What raw parts must look like: decoding into these shapes refuses anything else. Keys that are not named are dropped.

A part may be null wherever the API lets a client leave it out.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

Texts = dict[str, str] | None
"""Labels, a nodeSelector."""

Amounts = dict[str, str | int | float] | None
"""A ResourceList."""


class Taint(TypedDict, total=False):
    """core/v1 Taint."""

    key: str
    value: str | None
    effect: str
    timeAdded: str | None


class Toleration(TypedDict, total=False):
    """core/v1 Toleration."""

    key: str | None
    operator: str | None
    value: str | None
    effect: str | None
    tolerationSeconds: int | None


class Owner(TypedDict, total=False):
    """metav1.OwnerReference."""

    kind: str
    name: str
    uid: str
    controller: bool | None


class Resources(TypedDict, total=False):
    """core/v1 ResourceRequirements."""

    limits: Amounts
    requests: Amounts


class Port(TypedDict, total=False):
    """core/v1 ContainerPort."""

    hostPort: int | None
    protocol: str | None
    hostIP: str | None


class Gate(TypedDict):
    """core/v1 PodSchedulingGate."""

    name: str


class Expression(TypedDict, total=False):
    """metav1.LabelSelectorRequirement, core/v1 NodeSelectorRequirement."""

    key: str
    operator: str
    values: list[str] | None


class Selector(TypedDict, total=False):
    """metav1.LabelSelector."""

    matchLabels: Texts
    matchExpressions: list[Expression] | None


class NodeTerm(TypedDict, total=False):
    """core/v1 NodeSelectorTerm."""

    matchExpressions: list[Expression] | None
    matchFields: list[Expression] | None


class NodeSelector(TypedDict, total=False):
    """core/v1 NodeSelector."""

    nodeSelectorTerms: list[NodeTerm] | None


class PodTerm(TypedDict, total=False):
    """core/v1 PodAffinityTerm."""

    labelSelector: Selector | None
    topologyKey: str
    namespaces: list[str] | None
    namespaceSelector: Selector | None


class NodeAffinity(TypedDict, total=False):
    """core/v1 NodeAffinity: what is required."""

    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector | None


class PodAffinity(TypedDict, total=False):
    """core/v1 PodAffinity and PodAntiAffinity: what is required."""

    requiredDuringSchedulingIgnoredDuringExecution: list[PodTerm] | None


class Affinity(TypedDict, total=False):
    """core/v1 Affinity: what is required."""

    nodeAffinity: NodeAffinity | None
    podAffinity: PodAffinity | None
    podAntiAffinity: PodAffinity | None


class Spread(TypedDict, total=False):
    """core/v1 TopologySpreadConstraint."""

    maxSkew: int
    topologyKey: str
    whenUnsatisfiable: str
    labelSelector: Selector | None
    matchLabelKeys: list[str] | None
    minDomains: int | None
    nodeAffinityPolicy: str | None
    nodeTaintsPolicy: str | None


class ClaimSpec(TypedDict, total=False):
    """core/v1 PersistentVolumeClaimSpec: its storage class."""

    storageClassName: str | None


class ClaimTemplate(TypedDict, total=False):
    """core/v1 PersistentVolumeClaimTemplate."""

    spec: ClaimSpec | None


class Ephemeral(TypedDict, total=False):
    """core/v1 EphemeralVolumeSource: its storage class."""

    volumeClaimTemplate: ClaimTemplate | None


class ManifestMeta(TypedDict, total=False):
    """metadata of a manifest."""

    name: str | None
    namespace: str | None
    labels: Texts


class ManifestContainer(TypedDict, total=False):
    """core/v1 Container."""

    resources: Resources | None


class ManifestPodSpec(TypedDict, total=False):
    """core/v1 PodSpec, as far as admission looks at it."""

    containers: list[ManifestContainer] | None
    initContainers: list[ManifestContainer] | None
    tolerations: list[Toleration] | None
    priorityClassName: str | None
    volumes: list[dict[str, Any]] | None


class ManifestTemplate(TypedDict, total=False):
    """core/v1 PodTemplateSpec."""

    metadata: ManifestMeta | None
    spec: ManifestPodSpec | None


class _Named(TypedDict):
    name: str


class _ClaimWanted(TypedDict, total=False):
    storageClassName: str | None
    accessModes: list[str] | None


class _ClaimOfReplica(TypedDict):
    metadata: _Named
    spec: NotRequired[_ClaimWanted | None]


class ManifestWorkload(TypedDict, total=False):
    """spec of a Deployment, ReplicaSet, StatefulSet, ReplicationController, DaemonSet or Job."""

    replicas: int | None
    parallelism: int | None
    completions: int | None
    template: ManifestTemplate | None
    volumeClaimTemplates: list[_ClaimOfReplica] | None


class ManifestOfPod(TypedDict, total=False):
    """v1 Pod."""

    metadata: ManifestMeta | None
    spec: ManifestPodSpec | None


class ManifestOfWorkload(TypedDict, total=False):
    """What makes pods from a template."""

    metadata: ManifestMeta | None
    spec: ManifestWorkload | None


class ManifestOfOther(TypedDict, total=False):
    """Every other object."""

    metadata: ManifestMeta | None


Anything = list[dict[str, Any]] | None
"""A list of objects of which only the presence matters."""
