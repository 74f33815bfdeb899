"""What a plan has to know of a fault: less than a run, so that it can be asked of faults that nothing does yet.

Every kind of fault of an experiment (`harness.model.faults.Fault`) has it, and so have the values that only plans know
(`harness.impact.planned`). A kind that gets a driver takes the place of such a value, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.model.faults import PlannedCluster
from harness.model.scenario import Write
from harness.model.state import Node


class PlannedFault(Protocol):
    """One fault, `at_s` seconds after the start, for `for_s` seconds (None: for good, or as long as its run says)."""

    @property
    def at_s(self) -> float:
        """When it is done, in seconds."""
        ...

    @property
    def for_s(self) -> float | None:
        """How long it lasts, in seconds."""
        ...

    @property
    def drains(self) -> bool:
        """Whether it evicts the pods of its nodes the way kubectl drain does (`harness.semantics.drain`)."""
        ...

    @property
    def ends_node(self) -> bool:
        """Whether its nodes end with it, and with them every pod that is still there."""
        ...

    def subjects(self, targets: Sequence[str]) -> Sequence[str]:
        """What it is done to; names of nodes, unless it concerns no node."""
        ...

    def writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """The writes, for the predictor, of doing it to `subject` at `at_s` of the predictor's clock."""
        ...

    def undo_writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """The writes of undoing it; () for what is not undone."""
        ...

    def node_after(self, node: Node) -> Node:
        """The node as the scheduler finds it while this lasts."""
        ...

    def __str__(self) -> str:
        """A few words for people."""
        ...


@dataclass(frozen=True, slots=True)
class TimedFault:
    """A fault with the `subjects` that it is done to. It is on from `on_s`, seconds after the first write of the plan,
    until `off_s` (None: for good).
    """

    fault: PlannedFault
    subjects: tuple[str, ...]
    on_s: float = 0.0
    off_s: float | None = None

    def is_on(self, at_s: float) -> bool:
        """Whether it is on at `at_s`, its first instant included and its last one not."""
        return self.on_s <= at_s and (self.off_s is None or at_s < self.off_s)

    def own_writes(self) -> Iterator[Write]:
        """What it writes when it comes on, apart from what else is on the cluster."""
        nothing = PlannedCluster({}, {})
        for subject in self.subjects:
            yield from self.fault.writes(subject, nothing, self.on_s)


def timed(faults: Sequence[PlannedFault], targets: Sequence[str]) -> tuple[TimedFault, ...]:
    """`faults` done to `targets` by their own times, counted from the plan's first write."""
    return tuple(
        TimedFault(
            fault, tuple(fault.subjects(targets)), fault.at_s, None if fault.for_s is None else fault.at_s + fault.for_s
        )
        for fault in faults
    )
