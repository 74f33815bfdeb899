"""Pods as scheduling and planning see them: a template that many share, and what is a pod's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.model.state.selectors import NOTHING, LabelSelector, NodeTerm
from harness.model.taints import Toleration
from harness.model.world import Owner


class Phase(StrEnum):
    """status.phase."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


_FINISHED = (Phase.SUCCEEDED, Phase.FAILED)


class Inclusion(StrEnum):
    """Whether a spread constraint leaves out the nodes that the pod's affinity, or its tolerations, rule out."""

    HONOR = "Honor"
    IGNORE = "Ignore"


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port taken on the node itself. `ip` 0.0.0.0 stands for all addresses."""

    port: int
    protocol: str = "TCP"
    ip: str = "0.0.0.0"  # noqa: S104 -- Kubernetes' word for any address; nothing is bound here

    def conflicts(self, other: HostPort) -> bool:
        """Whether both cannot be had on one node."""
        wild = "0.0.0.0"  # noqa: S104 -- see above
        same_ip = self.ip == other.ip or wild in (self.ip, other.ip)
        return same_ip and self.port == other.port and self.protocol == other.protocol


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A required term of podAffinity or podAntiAffinity: pods that `selector` selects in `namespaces` and in the
    namespaces that `namespace_selector` selects, counted by the node label `topology_key`.
    """

    selector: LabelSelector
    topology_key: str
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector = NOTHING


@dataclass(frozen=True, slots=True)
class TopologySpreadConstraint:
    """A topologySpreadConstraint with whenUnsatisfiable DoNotSchedule. `match_label_keys` are merged into `selector`
    with the pod's own values.
    """

    max_skew: int
    topology_key: str
    selector: LabelSelector
    min_domains: int = 1
    node_affinity: Inclusion = Inclusion.HONOR
    node_taints: Inclusion = Inclusion.IGNORE


@dataclass(frozen=True, slots=True, eq=False)
class PodTemplate:
    """What pods of one workload share; equal only to itself, so that thousands of pods are told apart by identity.

    `requests`: thousandths of a core for cpu, whole units otherwise, the count of pods not included.
    `node_affinity` None: no required node affinity (an empty tuple matches no node). `claims`: names of
    PersistentVolumeClaims in the pod's namespace. `ephemeral_classes`: storage classes ("" for the default) of generic
    ephemeral volumes. `preempts`: preemptionPolicy is not Never. `has_local_data`: an emptyDir. `unmodelled`: words for
    what the scheduler would consider and this model does not know; then only a refusal is certain.
    """

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: Owner | None = None
    tolerations: tuple[Toleration, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    node_selector: tuple[tuple[str, str], ...] = ()
    node_affinity: tuple[NodeTerm, ...] | None = None
    affinity: tuple[PodTerm, ...] = ()
    anti_affinity: tuple[PodTerm, ...] = ()
    spread: tuple[TopologySpreadConstraint, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    claims: tuple[str, ...] = ()
    ephemeral_classes: tuple[str, ...] = ()
    priority: int = 0
    priority_class: str = ""
    preempts: bool = True
    grace_s: int = 30
    scheduler: str = "default-scheduler"
    gates: tuple[str, ...] = ()
    is_mirror: bool = False
    has_local_data: bool = False
    unmodelled: tuple[str, ...] = ()

    @property
    def workload(self) -> str:
        """``ReplicaSet shop/web-7d9``, or ``bare pods of shop`` without a controller."""
        if self.owner is None:
            return f"bare pods of {self.namespace}"
        return f"{self.owner.kind} {self.namespace}/{self.owner.name}"


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. `node` is "" while unbound; `started` is RFC 3339 or None."""

    name: str
    uid: str
    node: str
    phase: Phase
    ready: bool
    deleting: bool
    template: PodTemplate
    started: str | None = None

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.template.namespace}/{self.name}"

    @property
    def alive(self) -> bool:
        """Bound, not finished and not on its way out."""
        return bool(self.node) and not self.deleting and self.phase not in _FINISHED

    @property
    def finished(self) -> bool:
        """Succeeded or Failed: takes no room on its node."""
        return self.phase in _FINISHED


@dataclass(frozen=True, slots=True)
class NewPod:
    """A pod that will be created. `everywhere`: one on each node that it can run on."""

    name: str
    template: PodTemplate
    everywhere: bool = False
