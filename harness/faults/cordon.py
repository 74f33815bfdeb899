"""The fault ``cordon``: spec.unschedulable on every target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from harness.cluster.undo import NodeChange, NodeUndo, Spec, Undone
from harness.faults.kind import FaultContext, FaultKind, NodeDriver, Receipt
from harness.formats.experiment.fields_faults import AT, FOR
from harness.formats.shapes import Field, Record
from harness.model.faults import Fault, Need, NodeMark, PlannedCluster, Right
from harness.model.scenario import Write

_HELD = "the cordon"


@dataclass(frozen=True, slots=True)
class CordonFault(Fault):
    """Set spec.unschedulable on every target."""

    kind: ClassVar = "cordon"
    is_undone: ClassVar = True
    needs: ClassVar = frozenset((Need.NODES,))
    rights: ClassVar = (Right(("get", "patch"), "nodes"),)
    departs_by: ClassVar = None
    unplanned: ClassVar = ""

    def subjects(self, targets: Sequence[str]) -> Sequence[str]:
        """The targets."""
        return targets

    @property
    def holds(self) -> str:
        """A node is cordoned or not."""
        return _HELD

    @property
    def pods_with(self) -> None:
        """It acts on nodes."""
        return None

    @property
    def mark(self) -> NodeMark:
        """spec.unschedulable."""
        return NodeMark()

    def writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """None: a cordon evicts nobody, and neither does the NoSchedule taint that follows it."""
        return ()

    def undo_writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """None."""
        return ()

    def __str__(self) -> str:
        """``cordon``."""
        return "cordon"


def _no_settings() -> tuple[()]:
    return ()


def _build(nothing: tuple[()], at_s: float, for_s: float | None = None) -> CordonFault:
    return CordonFault(at_s=at_s, for_s=for_s)


SHAPE = Record(
    "CordonFault",
    "Set spec.unschedulable on every target.",
    (
        Field("cordon", "nothing", Record("Cordon", "No settings.", (), _no_settings), "Written `{}`.", required=True),
        AT,
        FOR,
    ),
    _build,
)


class CordonDriver(NodeDriver[CordonFault]):
    """Cordons the node; the undo is `CordonChange`."""

    async def inject(self, fault: CordonFault, subject: str, context: FaultContext) -> Receipt:
        """Cordon it."""
        return await context.change_node(subject, cordon)


@dataclass(frozen=True, slots=True)
class CordonChange(NodeChange):
    """We set spec.unschedulable; `before`: it was set already."""

    kind: ClassVar = "cordon"

    before: bool

    @property
    def id(self) -> str:
        """One on a node."""
        return _HELD

    def to_data(self) -> dict[str, Any]:
        """See `NodeChange`."""
        return {"before": self.before}

    @classmethod
    def from_data(cls, data: object) -> CordonChange:
        """See `NodeChange`."""
        return cls(msgspec.convert(data, type=_Data).before)

    def undo(self, spec: Spec, *, claimed: bool) -> Undone:
        """Uncordon, unless the node was cordoned before us. One that had been, and that somebody uncordoned since, is
        left alone and named.
        """
        if not spec.get("unschedulable"):
            why = "cordon: it was there before us, and somebody else uncordoned the node since"
            return Undone("cordon", why if self.before else "")
        if not self.before:
            del spec["unschedulable"]
        return Undone()

    def is_on(self, spec: Mapping[str, Any]) -> bool:
        """Unless the node was cordoned before us."""
        return not self.before and bool(spec.get("unschedulable"))

    def __str__(self) -> str:
        """``cordon``."""
        return "cordon"


def cordon(spec: Spec, claim: NodeUndo) -> CordonChange:
    """Cordon a node's spec, and remember whether it was before the run's first cordon."""
    before = bool(spec.get("unschedulable"))
    spec["unschedulable"] = True
    earlier = claim.change(_HELD)
    return earlier if isinstance(earlier, CordonChange) else CordonChange(before)


class _Data(msgspec.Struct):
    before: bool


KIND = FaultKind(CordonFault, SHAPE, CordonDriver(), change=CordonChange)
