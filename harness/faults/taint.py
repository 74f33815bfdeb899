"""The fault ``taint``: a taint on every target, and the exact restoring of what stood there before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec

from harness.cluster.undo import NodeChange, NodeUndo, Spec, Undone
from harness.faults.kind import FaultContext, FaultKind, NodeDriver, Receipt
from harness.formats.experiment.fields_faults import AT, FOR, TAINT
from harness.formats.experiment.kinds import FaultEntry
from harness.formats.shapes import Field, Record
from harness.model.faults import Fault, Need, NodeMark, PlannedCluster, Right
from harness.model.scenario import SetTaints, Write
from harness.model.taints import Effect, Taint, taint_from_api, with_taints
from harness.model.wellknown import CONTROLLER_TAINTS, DisruptionReason

_Entry = dict[str, Any]
"""One taint of a node's spec, with fields that we may not know."""


@dataclass(frozen=True, slots=True)
class TaintFault(Fault):
    """Put `taint` on every target. One of the same key and effect is replaced, and put back."""

    kind: ClassVar = "taint"
    is_undone: ClassVar = True
    needs: ClassVar = frozenset((Need.NODES,))
    rights: ClassVar = (Right(("get", "patch"), "nodes"),)
    departs_by: ClassVar = DisruptionReason.TAINT_MANAGER
    unplanned: ClassVar = ""

    taint: Taint

    def subjects(self, targets: Sequence[str]) -> Sequence[str]:
        """The targets."""
        return targets

    @property
    def holds(self) -> str:
        """The API allows one taint of each key and effect on a node."""
        return _id(self.taint)

    @property
    def pods_with(self) -> None:
        """It acts on nodes."""
        return None

    @property
    def mark(self) -> NodeMark:
        """The taint."""
        return NodeMark(self.taint)

    def writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """The node's taints with this one."""
        return (SetTaints(at_s, subject, with_taints(cluster.taints.get(subject, ()), [self.taint])),)

    def undo_writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """The node's taints without it, or with the one that stood there before."""
        now, ours = cluster.taints.get(subject, ()), self.taint.identity
        before = [taint for taint in cluster.before.get(subject, ()) if taint.identity == ours]
        rest = with_taints(now, before) if before else tuple(taint for taint in now if taint.identity != ours)
        return (SetTaints(at_s, subject, rest),)

    def __str__(self) -> str:
        """``taint spot=x:NoExecute``."""
        return f"taint {self.taint}"


SHAPE = Record(
    "TaintFault",
    "Put a taint on every target.",
    (Field("taint", "taint", TAINT, "The taint.", required=True), AT, FOR),
    TaintFault,
    slips=dict.fromkeys(TAINT.keys, "it belongs into taint: {...}"),
)


def _check(fault: TaintFault, entry: FaultEntry) -> None:
    """A taint that Kubernetes removes at once cannot be held for an experiment."""
    if fault.taint.effect is Effect.NO_SCHEDULE and fault.taint.key in CONTROLLER_TAINTS:
        entry.note(
            ("taint", "key"),
            f"key: the node lifecycle controller takes {fault.taint.key}:NoSchedule off within milliseconds "
            "unless the node's condition says so",
            "use a key of your own, or bring the condition about with taintlab lab pressure",
        )


class TaintDriver(NodeDriver[TaintFault]):
    """Puts the taint on the node; the undo is `TaintChange`."""

    async def inject(self, fault: TaintFault, subject: str, context: FaultContext) -> Receipt:
        """Put it on."""
        return await context.change_node(subject, lambda spec, claim: put_taint(spec, claim, fault.taint))


@dataclass(frozen=True, slots=True)
class TaintChange(NodeChange):
    """We put `ours` on the node; `before` (same key and effect) stood at `index` of the list, or None: there was
    none.
    """

    kind: ClassVar = "taint"

    ours: Taint
    before: Taint | None
    index: int

    @property
    def id(self) -> str:
        """``spot:NoExecute``."""
        return _id(self.ours)

    def to_data(self) -> dict[str, Any]:
        """See `NodeChange`."""
        before = self.before.to_api() if self.before else None
        return {"ours": self.ours.to_api(), "before": before, "index": self.index}

    @classmethod
    def from_data(cls, data: object) -> TaintChange:
        """See `NodeChange`."""
        read = msgspec.convert(data, type=_Data)
        change = cls(_taint(read.ours), _taint(read.before) if read.before else None, read.index)
        if change.before is not None and change.before.identity != change.ours.identity:
            raise ValueError("what stood there before is another taint")
        return change

    def undo(self, spec: Spec, *, claimed: bool) -> Undone:
        """What was there before comes back where it stood.

        A taint of ours whose value somebody else changed since is theirs now: it is left alone and named. When the
        claim is not on the node any more, a taint of before us that is gone is not put back either: whoever took off
        both had the last word.
        """
        taints = _taints(spec)
        undone = self._undo(taints, claimed=claimed)
        if taints and taints != _taints(spec):
            spec["taints"] = taints
        elif _taints(spec) and not taints:
            del spec["taints"]
        return undone

    def _undo(self, taints: list[_Entry], *, claimed: bool) -> Undone:
        at, ours, before = _at(taints, self.ours), self.ours, self.before
        if at is None:
            left_alone = ""
            if before is not None and claimed:
                taints.insert(min(self.index, len(taints)), before.to_api())
            elif before is not None:
                left_alone = f"taint {before}: it was there before us; it is gone, and so is our claim on the node"
            return Undone(f"taint {ours}", left_alone)
        if _value(taints[at]) == ours.value:
            if before is None:
                del taints[at]
            elif before.value != ours.value or before.time_added != taints[at].get("timeAdded"):
                taints[at] = before.to_api()
            return Undone()
        if before is not None and before.value == _value(taints[at]):
            return Undone(f"taint {ours}")
        there = taint_from_api(taints[at])
        return Undone(f"taint {ours}", f"taint {there}: changed by somebody else since we wrote {ours}")

    def is_on(self, spec: Mapping[str, Any]) -> bool:
        """With our key, effect and value, unless that very taint stood there before us."""
        if self.before is not None and self.before.value == self.ours.value:
            return False
        taints = _taints(spec)
        at = _at(taints, self.ours)
        return at is not None and _value(taints[at]) == self.ours.value

    def __str__(self) -> str:
        """``taint spot=x:NoExecute``."""
        return f"taint {self.ours}"


def put_taint(spec: Spec, claim: NodeUndo, taint: Taint) -> TaintChange:
    """Put `taint` on a node's spec. One of the same key and effect is replaced where it stands and remembered, unless
    this run put it there itself: then what was there before that stays remembered.
    """
    taints = _taints(spec)
    index = _at(taints, taint)
    before = None if index is None else taint_from_api(taints[index])
    if index is None:
        index = len(taints)
        taints.append(taint.to_api())
    else:
        taints[index] = taint.to_api()
    spec["taints"] = taints
    earlier = claim.change(_id(taint))
    if isinstance(earlier, TaintChange):
        return TaintChange(taint, earlier.before, earlier.index)
    return TaintChange(taint, before, index)


class _TaintData(msgspec.Struct, rename="camel"):
    key: Annotated[str, msgspec.Meta(min_length=1)]
    effect: Effect
    value: str = ""
    time_added: str | None = None


class _Data(msgspec.Struct):
    ours: _TaintData
    before: _TaintData | None
    index: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def _taint(data: _TaintData) -> Taint:
    return Taint(data.key, data.effect, data.value, data.time_added)


def _id(taint: Taint) -> str:
    return f"{taint.key}:{taint.effect}"


def _taints(spec: Mapping[str, Any]) -> list[_Entry]:
    return list(spec.get("taints") or ())


def _at(taints: list[_Entry], taint: Taint) -> int | None:
    same = (i for i, entry in enumerate(taints) if (entry.get("key"), entry.get("effect")) == taint.identity)
    return next(same, None)


def _value(entry: _Entry) -> str:
    return entry.get("value") or ""


KIND = FaultKind(TaintFault, SHAPE, TaintDriver(), change=TaintChange, check=_check)
