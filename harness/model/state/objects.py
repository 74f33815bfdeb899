"""The other objects that a plan looks at, each with the fields it looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.model.state.selectors import EVERYTHING, NOTHING, LabelSelector, LabelTerm, NodeTerm
from harness.model.taints import Taint


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `allocatable`: thousandths of a core for cpu, whole units otherwise, pods included."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    ready: bool = True
    allocatable: Mapping[str, int] = field(default_factory=dict)
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A Service. `selector` None: its endpoints are written by somebody else, and are `endpoints` (``namespace/name``
    of ready pods).
    """

    namespace: str
    name: str
    selector: LabelSelector | None
    endpoints: tuple[str, ...] = ()
    tolerates_unready: bool = False

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class PodDisruptionBudget:
    """A PodDisruptionBudget. `allowed`, `healthy`, `desired`: of its status, as its controller last counted.
    `evicts_unready`: unhealthyPodEvictionPolicy is AlwaysAllow.
    """

    namespace: str
    name: str
    selector: LabelSelector
    allowed: int
    healthy: int
    desired: int
    spec: str
    evicts_unready: bool = False

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Workload:
    """A controller of pods: ReplicaSet, Deployment, StatefulSet, DaemonSet or ReplicationController. `owner`:
    ``Kind/name`` of its own controller, or "".
    """

    kind: str
    namespace: str
    name: str
    replicas: int
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A batch/v1 Job. `ignores_disruption`: its podFailurePolicy keeps DisruptionTarget out of the count.
    `max_failures`: backoffLimit (or backoffLimitPerIndex, then `per_index`).
    """

    namespace: str
    name: str
    completions: int | None
    parallelism: int
    failed: int
    max_failures: int
    per_index: bool = False
    ignores_disruption: bool = False
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class PersistentVolumeClaim:
    """A PersistentVolumeClaim. `volume` "" while unbound. `storage_class` None: the default one, or none.
    `selected_node`: where a provisioner was told to provision.
    """

    namespace: str
    name: str
    volume: str = ""
    bound: bool = False
    lost: bool = False
    deleting: bool = False
    storage_class: str | None = None
    access_modes: tuple[str, ...] = ()
    size: int = 0
    selector: LabelSelector = NOTHING
    selected_node: str = ""


@dataclass(frozen=True, slots=True)
class PersistentVolume:
    """A PersistentVolume. `affinity` None: usable from every node. `claim`: ``namespace/name`` it is bound or reserved
    to. `zone_labels`: the old zone and region labels, which nodes must carry too.
    """

    name: str
    affinity: tuple[NodeTerm, ...] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = ""
    access_modes: tuple[str, ...] = ()
    size: int = 0
    claim: str = ""
    phase: str = ""


@dataclass(frozen=True, slots=True)
class StorageClass:
    """A StorageClass. `waits`: volumeBindingMode WaitForFirstConsumer. `topologies`: alternatives, as for nodes; none
    means everywhere. `provisions` False: volumes of this class are made by hand.
    """

    name: str
    waits: bool
    provisions: bool
    topologies: tuple[NodeTerm, ...] = ()
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class ResourceQuota:
    """A ResourceQuota: `hard` and `used` by resource name as the quota spells it (``requests.cpu``, ``pods`` ...), in
    the scheduler's units. `priority_classes` empty: of all; `scopes`: other scopes, by name.
    """

    namespace: str
    name: str
    hard: Mapping[str, int]
    used: Mapping[str, int]
    scopes: tuple[str, ...] = ()
    priority_classes: tuple[LabelTerm, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitRange:
    """The defaults of a LimitRange for containers: what a container without requests or limits is given."""

    namespace: str
    name: str
    default_requests: Mapping[str, str] = field(default_factory=dict)
    default_limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """A PriorityClass. `preempts`: preemptionPolicy is not Never."""

    name: str
    value: int
    preempts: bool = True
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Webhook:
    """A validating webhook (or admission policy) that is asked before pods are deleted. `namespaces` and `objects`:
    which it is asked about. `fails_closed`: no answer means no.
    """

    name: str
    fails_closed: bool
    namespaces: LabelSelector = EVERYTHING
    objects: LabelSelector = EVERYTHING
    is_policy: bool = False
