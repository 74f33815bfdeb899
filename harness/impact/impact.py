"""The whole impact of a policy, before it is judged: who leaves, who stays, who comes back where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from harness.formats.values import format_duration
from harness.model.plan import Prediction
from harness.model.planned_fault import PlannedFault, TimedFault
from harness.model.scenario import SetCondition, StopHeartbeat
from harness.model.state import ClusterState, LabelSelector, Pod, PodTemplate, TemplateIndex
from harness.semantics.scheduling import Placement


class Replacement(StrEnum):
    """Who brings a pod back, if anybody.

    NEW: its controller makes another one at once. SAME_NAME: a StatefulSet makes it again under the same name, once the
    old one is gone. STUCK_TERMINATING: it would, or a DaemonSet, but the old one never goes, since its node's kubelet
    is dead. SAME_NODE: its DaemonSet or kubelet, on the same node. EVICT_LOOP: a DaemonSet, on the same node, to be
    evicted again. NOT_RECREATED: a DaemonSet, but not on a node that it does not tolerate. DONE: it had finished. NONE:
    a bare pod.
    """

    NEW = "new"
    SAME_NAME = "same-name"
    STUCK_TERMINATING = "stuck-terminating"
    SAME_NODE = "same-node"
    EVICT_LOOP = "evict-loop"
    NOT_RECREATED = "not-recreated"
    DONE = "done"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Leaving:
    """A pod that leaves. `placement` None: no replacement looks for a node."""

    pod: Pod
    prediction: Prediction
    comes_back: Replacement
    placement: Placement | None = None


@dataclass(frozen=True, slots=True)
class Staying:
    """A pod on a target that stays. `blanket`: the toleration at work tolerates every key."""

    pod: Pod
    prediction: Prediction
    blanket: bool = False


@dataclass(frozen=True, slots=True)
class Displaced:
    """A pod elsewhere that is preempted by a replacement. `placement` None: nothing brings it back."""

    pod: Pod
    by: str
    placement: Placement | None


@dataclass(slots=True)
class Group:
    """The pods of one template: how many are alive, how many of them ready, and those that leave."""

    alive: int = 0
    ready: int = 0
    leaving: list[Leaving] = field(default_factory=list)


class Population:
    """Live pods by template, before anything is done."""

    def __init__(self, pods: Iterable[Pod], leaving: Iterable[Leaving]) -> None:
        """Of `pods`, with those that leave among them."""
        self.groups: dict[PodTemplate, Group] = {}
        for pod in pods:
            group = self.groups.get(pod.template)
            if group is None:
                group = self.groups[pod.template] = Group()
            if pod.alive:
                group.alive += 1
                group.ready += pod.ready
        for each in leaving:
            if each.pod.alive:
                self.groups[each.pod.template].leaving.append(each)
        self._index = TemplateIndex(self.groups)

    def selected(self, namespace: str, selector: LabelSelector) -> list[Group]:
        """Those that a selector selects."""
        return [self.groups[template] for template in self._index.selected(namespace, selector)]


@dataclass(frozen=True, repr=False)  # no slots: `population` is kept in the instance's dict
class Impact:
    """`targets`: names of the nodes. `unsure`: pods whose outcome is a race. `idle`: pods that were Pending before, by
    key, with their placement now. `words`: what is done, one for each of `faults`. `notes`: what else is to be said.
    `unplanned`: faults that are not in the impact at all.
    """

    inventory: ClusterState
    targets: tuple[str, ...]
    faults: tuple[TimedFault, ...]
    words: tuple[str, ...]
    leaving: tuple[Leaving, ...]
    staying: tuple[Staying, ...] = ()
    unsure: tuple[Staying, ...] = ()
    displaced: tuple[Displaced, ...] = ()
    idle: Mapping[str, Placement] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unplanned: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """In short, see `ClusterState`."""
        return f"<Impact of {', '.join(self.words)}: {len(self.leaving)} pods leave>"

    @property
    def drains(self) -> bool:
        """Whether pods are asked to leave the way kubectl drain does it."""
        return any(each.fault.drains for each in self.faults)

    @property
    def ends_s(self) -> float | None:
        """When the first node ends, in seconds; None: they stay."""
        return min((each.on_s for each in self.faults if each.fault.ends_node), default=None)

    @cached_property
    def lost(self) -> frozenset[str]:
        """The nodes whose kubelet goes."""
        return lost_nodes(self.faults)

    @cached_property
    def conditions(self) -> tuple[SetCondition, ...]:
        """The conditions that are set, one write for each kind."""
        writes = (write for each in self.faults for write in each.own_writes() if isinstance(write, SetCondition))
        return tuple({(write.type, write.status): write for write in writes}.values())

    @cached_property
    def population(self) -> Population:
        """Counted once, for every rule that asks: 150,000 pods take a while."""
        return Population(self.inventory.pods, self.leaving)


def lost_nodes(faults: Iterable[TimedFault]) -> frozenset[str]:
    """The nodes whose kubelet stops because of the faults, for however long."""
    writes = (write for each in faults for write in each.own_writes())
    return frozenset(write.node for write in writes if isinstance(write, StopHeartbeat))


def words_of(fault: PlannedFault) -> str:
    """What is done and when, by the fault's own clock: ``taint spot=x:NoExecute at 5s for 10s``."""
    at = f" at {format_duration(fault.at_s)}" if fault.at_s else ""
    return f"{fault}{at}" + (f" for {format_duration(fault.for_s)}" if fault.for_s is not None else "")


def workload_of(template: PodTemplate) -> str:
    """How people call what a pod belongs to: ``Deployment shop/web``, ``Job shop/train``, ``Pod shop/`` for bare ones.

    A ReplicaSet named after its pods' template hash is a Deployment's (deployment_controller names it so).
    """
    owner = template.owner
    if owner is None:
        return f"bare pods in {template.namespace}"
    kind, name = owner.kind, owner.name
    suffix = template.labels.get("pod-template-hash")
    if kind == "ReplicaSet" and suffix and name.endswith(f"-{suffix}"):
        kind, name = "Deployment", name.removesuffix(f"-{suffix}")
    return f"{kind} {template.namespace}/{name}"


def by_workload(leaving: Iterable[Leaving]) -> dict[str, list[Leaving]]:
    """Grouped by `workload_of`."""
    names: dict[PodTemplate, str] = {}
    groups: dict[str, list[Leaving]] = defaultdict(list)
    for each in leaving:
        template = each.pod.template
        name = names.get(template)
        if name is None:
            name = names[template] = workload_of(template)
        groups[name].append(each)
    return groups
