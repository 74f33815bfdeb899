"""What a fault is: the protocol of its value, and the words that planning, judging and reports share about faults.

A kind of fault is one file in `harness.faults`: a frozen value that implements `Fault`, its YAML shape, its driver and
its undo. Kinds are handed in to whatever reads or runs them, so that nothing below `harness.faults` knows any of them.
A kind that leaves out one of the members here is an error when it is declared (`harness.faults.kind.FaultKind`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

from harness.model.events import NodeSeen
from harness.model.requirement import Requirement
from harness.model.scenario import Write
from harness.model.state import Node
from harness.model.taints import Effect, Taint, taints_from_api, with_taints
from harness.model.wellknown import UNSCHEDULABLE, DisruptionReason

_CORDONED = Taint(UNSCHEDULABLE, Effect.NO_SCHEDULE)
"""What the node lifecycle controller puts on a cordoned node (taintNodeByCondition)."""


class Need(StrEnum):
    """What an experiment or its cluster must have for a fault. NODES: a target. WORKLOAD: pods of the experiment's
    own. LAB: control-plane components that may be killed.
    """

    NODES = "nodes"
    WORKLOAD = "workload"
    LAB = "lab"


@dataclass(frozen=True, slots=True)
class Right:
    """One RBAC rule that a user must grant. `group` "" is the core group; a subresource is ``pods/eviction``."""

    verbs: tuple[str, ...]
    resource: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class PlannedPod:
    """A pod as the plan sees it. `key`: ``namespace/name``."""

    key: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PlannedCluster:
    """The cluster at one moment of a plan, as far as the writes of faults depend on it.

    `before`: the taints of each node before the run. `taints`: those it has at this moment. `pods`: those in the
    namespaces of the workload; a fault touches no others.
    """

    before: Mapping[str, tuple[Taint, ...]]
    taints: Mapping[str, tuple[Taint, ...]]
    pods: tuple[PlannedPod, ...] = ()

    def matching(self, selector: Sequence[Requirement]) -> tuple[PlannedPod, ...]:
        """The pods that all terms match."""
        return tuple(pod for pod in self.pods if all(term.matches(pod.labels) for term in selector))


@dataclass(frozen=True, slots=True)
class NodeMark:
    """What a fault puts on its node for as long as it lasts: a taint, or spec.unschedulable (`taint` None)."""

    taint: Taint | None = None

    def is_on(self, node: NodeSeen) -> bool:
        """Whether the node was seen with it; a taint counts with key, value, effect and timeAdded."""
        return node.unschedulable if self.taint is None else self.taint in taints_from_api(node.taints)

    def written_by(self, node: NodeSeen) -> str:
        """Who wrote that field of the node last, and when (`NodeSeen.taints_by`)."""
        return node.unschedulable_by if self.taint is None else node.taints_by

    def put_on(self, node: Node) -> Node:
        """The node as the scheduler finds it with this on it."""
        if self.taint is None:
            return replace(node, unschedulable=True, taints=with_taints(node.taints, [_CORDONED]))
        return replace(node, taints=with_taints(node.taints, [self.taint]))

    def __str__(self) -> str:
        """``taint spot=x:NoExecute``, ``the cordon``."""
        return "the cordon" if self.taint is None else f"taint {self.taint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(ABC):
    """One fault of an experiment, `at_s` seconds into the fault phase. A fault that is undone lasts `for_s` seconds, or
    (None) until the end of the phase; the others have no `for_s`: ValueError.

    Class variables, each of which every kind sets:

    `kind`: its YAML key, and its tag in experiment.json and plan.json. `is_undone`: the plan has a heal step for it.
    `needs`: see Need. `rights`: what its writes need on a cluster. `departs_by`: the reason that pods carry which leave
    because of it; None: it makes none leave by itself. `unplanned`: what its predicted writes leave out, in words ("":
    nothing); the outcome of the pods that it acts on is then `unsure` in plans.

    `drains`, `ends_node`: see `harness.model.planned_fault.PlannedFault`, which every fault is; False unless a kind
    says otherwise.
    """

    kind: ClassVar[str]
    is_undone: ClassVar[bool]
    needs: ClassVar[frozenset[Need]]
    rights: ClassVar[tuple[Right, ...]]
    departs_by: ClassVar[DisruptionReason | None]
    unplanned: ClassVar[str]
    drains: ClassVar[bool] = False
    ends_node: ClassVar[bool] = False

    at_s: float = 0.0
    for_s: float | None = None

    def __post_init__(self) -> None:
        """ValueError for a length where nothing is undone."""
        if self.for_s is not None and not self.is_undone:
            raise ValueError(f"{self.kind} is not undone, so it has no length: {self.for_s!r}")

    @abstractmethod
    def subjects(self, targets: Sequence[str]) -> Sequence[str]:
        """What it is done to, one step each: node names of `targets`, a component, or ("",) for "the workload"."""

    @property
    @abstractmethod
    def holds(self) -> str:
        """What may be held by one fault at a time on a subject: ``spot:NoExecute``, ``the cordon``; "" for nothing.
        Two faults of an experiment that hold the same must follow each other.
        """

    @property
    @abstractmethod
    def pods_with(self) -> tuple[Requirement, ...] | None:
        """The selector of the workload's pods that it acts on itself; None when it acts on no pod."""

    @property
    @abstractmethod
    def mark(self) -> NodeMark | None:
        """What it puts on a node, to be seen there until it is undone; None when it puts nothing there."""

    def node_after(self, node: Node) -> Node:
        """The node as the scheduler finds it while this lasts: with its mark."""
        return node if self.mark is None else self.mark.put_on(node)

    @abstractmethod
    def writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """The writes, for the predictor, of doing it to `subject` at `at_s` of the predictor's clock. Those that no
        eviction depends on may be left out.
        """

    @abstractmethod
    def undo_writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """The writes of undoing it; () for a kind that is not undone."""

    @abstractmethod
    def __str__(self) -> str:
        """A few words for people: ``taint spot=x:NoExecute``."""
