"""A world and a list of timed writes to it: what the predictor answers and what a replayer performs.

Times are float seconds after time 0. Nothing is implied: a pod has exactly the tolerations listed, in that order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from harness.model.state import Node, Pod
from harness.model.taints import Taint, Toleration


class Component(StrEnum):
    """The control-plane components whose restart changes who is evicted, or when."""

    KUBE_CONTROLLER_MANAGER = "kube-controller-manager"


class ConditionType(StrEnum):
    """The node conditions that the node lifecycle controller turns into taints."""

    READY = "Ready"
    MEMORY_PRESSURE = "MemoryPressure"
    DISK_PRESSURE = "DiskPressure"
    PID_PRESSURE = "PIDPressure"
    NETWORK_UNAVAILABLE = "NetworkUnavailable"


class ConditionStatus(StrEnum):
    """What a node condition can be."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class PodTrait(StrEnum):
    """What sets a pod apart from one created by hand. None of them protects it from a NoExecute taint.

    DAEMONSET: owned by a DaemonSet, whose controller deletes its untolerating pods itself. MIRROR: stands for a
    static pod; the kubelet creates it again. TERMINATING: deletionTimestamp is set already. FINISHED: Succeeded or
    Failed. DELETE_DENIED: an admission webhook refuses to let it be deleted.
    """

    DAEMONSET = "daemonset"
    MIRROR = "mirror"
    TERMINATING = "terminating"
    FINISHED = "finished"
    DELETE_DENIED = "delete-denied"


@cache
def traits_of(
    *, daemon_set: bool, mirror: bool = False, terminating: bool = False, finished: bool = False
) -> frozenset[PodTrait]:
    """The traits of a pod as a cluster shows it; `daemon_set`: its controller is one."""
    shown = {
        PodTrait.DAEMONSET: daemon_set,
        PodTrait.MIRROR: mirror,
        PodTrait.TERMINATING: terminating,
        PodTrait.FINISHED: finished,
    }
    return frozenset(trait for trait, is_so in shown.items() if is_so)


@dataclass(frozen=True, slots=True)
class ScenarioNode:
    """A node at time 0, `taints` in stored order. `labels` matter for the zone only. `ready`: its Ready condition; with
    Unknown its heartbeats stopped long ago.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    ready: ConditionStatus = ConditionStatus.TRUE


@dataclass(frozen=True, slots=True)
class ScenarioPod:
    """A pod bound to `node`. `key` is ``namespace/name``, or the bare name in a write script.

    `grace_s`: terminationGracePeriodSeconds, how long the object outlives its deletion. `uid` is passed through to
    the prediction.
    """

    key: str
    node: str
    tolerations: tuple[Toleration, ...] = ()
    grace_s: float = 0.0
    traits: frozenset[PodTrait] = frozenset()
    uid: str = ""


def scenario_node(node: Node) -> ScenarioNode:
    """`node` at time 0, taken for Ready: why it is not is not in a cluster state."""
    return ScenarioNode(node.name, node.labels, node.taints)


def scenario_pod(pod: Pod) -> ScenarioPod:
    """`pod` at time 0."""
    template = pod.template
    traits = traits_of(
        daemon_set=template.owner is not None and template.owner.kind == "DaemonSet",
        mirror=template.is_mirror,
        terminating=pod.deleting,
        finished=pod.finished,
    )
    return ScenarioPod(pod.key, pod.node, template.tolerations, float(template.grace_s), traits, pod.uid)


@dataclass(frozen=True, slots=True)
class SetTaints:
    """Replace spec.taints of `node` as a whole."""

    at_s: float
    node: str
    taints: tuple[Taint, ...]


@dataclass(frozen=True, slots=True)
class SetTolerations:
    """Replace spec.tolerations of the pod with key `pod` as a whole."""

    at_s: float
    pod: str
    tolerations: tuple[Toleration, ...]


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Create a pod that is bound to its node from birth."""

    at_s: float
    pod: ScenarioPod


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Somebody else deletes the pod with key `pod`."""

    at_s: float
    pod: str


@dataclass(frozen=True, slots=True)
class Restart:
    """SIGKILL of `component`, started again at once."""

    at_s: float
    component: Component = Component.KUBE_CONTROLLER_MANAGER


@dataclass(frozen=True, slots=True)
class DeleteNode:
    """The Node object is deleted; its pods stay behind."""

    at_s: float
    node: str


@dataclass(frozen=True, slots=True)
class StopHeartbeat:
    """The node's kubelet is gone: no lease renewal and no status update from now on."""

    at_s: float
    node: str


@dataclass(frozen=True, slots=True)
class StartHeartbeat:
    """The node's kubelet is back: it renews its lease and reports Ready=True."""

    at_s: float
    node: str


@dataclass(frozen=True, slots=True)
class SetCondition:
    """A node condition changes and stays so (no kubelet contradicts it)."""

    at_s: float
    node: str
    type: ConditionType
    status: ConditionStatus


Write = (
    SetTaints
    | SetTolerations
    | CreatePod
    | DeletePod
    | Restart
    | DeleteNode
    | StopHeartbeat
    | StartHeartbeat
    | SetCondition
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`nodes` and `pods` exist at time 0; `writes` in the order they go out (`at_s` not decreasing; writes of the same
    instant go out back to back); nobody looks after `until_s`.
    """

    nodes: tuple[ScenarioNode, ...]
    pods: tuple[ScenarioPod, ...]
    writes: tuple[Write, ...]
    until_s: float
