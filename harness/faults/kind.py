"""What a kind of fault is made of, and what its driver may use. Incomplete kinds are errors at import."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from harness.cluster.patience import Patience
from harness.cluster.ports import Cluster, Components, Json
from harness.cluster.undo import NodeChange, Put
from harness.formats.experiment.kinds import FaultEntry, PodMaker
from harness.formats.shapes import Record
from harness.model.faults import Fault
from harness.model.requirement import Requirement

Receipt = Mapping[str, Any]
"""What an injection or a heal came to, as plain JSON, for the history (`StepDone.detail`).

``resourceVersion``: of the node that was written. ``evicted``: UIDs of the pods that it made leave itself.
``found_missing``, ``left_alone``, ``gone``: what a heal found.
"""

F = TypeVar("F", bound=Fault)


class FaultContext(Protocol):
    """What a driver acts with; the run supplies it. Errors are those of the cluster port."""

    @property
    def cluster(self) -> Cluster:
        """The API server."""
        ...

    @property
    def components(self) -> Components | None:
        """Control-plane components that may be restarted; None: not a lab."""
        ...

    def patience(self, seconds: float) -> Patience:
        """For trying again, `seconds` from now."""
        ...

    def pods(self, selector: Sequence[Requirement]) -> list[Json]:
        """Pods of the workload's namespaces that all terms match and that are not being deleted, as last seen."""
        ...

    async def change_node(self, name: str, put: Put) -> Receipt:
        """Change a node, its undo in the ledger before, and on the node in the same write. Refused, Conflict,
        Indeterminate, or OSError when the ledger cannot be written (then nothing was changed).
        """
        ...

    async def revert_node(self, name: str, what: str) -> Receipt:
        """Undo the change with the id `what` and look whether it is undone; {} when it was never begun. ClusterError
        when it is not undone in time.
        """
        ...

    async def is_reverted(self, name: str, what: str) -> bool:
        """Whether nothing of that change is seen on the node (or the node is not there any more)."""
        ...


class Driver(ABC, Generic[F]):
    """Does one kind of fault. It imports no client and no event loop, only its context."""

    @abstractmethod
    async def inject(self, fault: F, subject: str, context: FaultContext) -> Receipt:
        """Do it to one of `fault.subjects`. Refused: it did not happen. Indeterminate: that is not known."""


class UndoingDriver(Driver[F]):
    """Does one kind of fault that is undone. What was there before travels with the node (`NodeChange`), so that a
    recovery needs no driver.
    """

    @abstractmethod
    async def heal(self, fault: F, subject: str, context: FaultContext) -> Receipt:
        """Undo it; safe to repeat. ClusterError when it is not undone."""

    @abstractmethod
    async def is_healed(self, fault: F, subject: str, context: FaultContext) -> bool:
        """Look whether nothing of it is left."""


class NodeDriver(UndoingDriver[F]):
    """The undoing half of a fault on a node: the context knows how to revert the change that the fault holds."""

    async def heal(self, fault: F, subject: str, context: FaultContext) -> Receipt:
        """Revert the change."""
        return await context.revert_node(subject, fault.holds)

    async def is_healed(self, fault: F, subject: str, context: FaultContext) -> bool:
        """Nothing of the change is on the node."""
        return await context.is_reverted(subject, fault.holds)


def _sound(fault: F, entry: FaultEntry) -> None:
    """The declaration says all that there is to say of one fault."""


def _any_pods(fault: F, makers: Sequence[PodMaker], entry: FaultEntry) -> None:
    """Every pod will do."""


_MEMBERS = ("kind", "is_undone", "needs", "rights", "departs_by", "unplanned")


@dataclass(frozen=True, slots=True, eq=False)
class FaultKind(Generic[F]):
    """One kind of fault, whole. `change`: what a node's undo record holds of it; None when it changes no node.
    `check`, `check_pods`: see `harness.formats.experiment.kinds.ReadableKind`.

    TypeError for a kind that is incomplete: a member of `Fault` that is missing, no heal for what is undone, a heal for
    what is not, a first key of the file's mapping that is not its name.
    """

    value: type[F]
    shape: Record
    driver: Driver[F]
    change: type[NodeChange] | None = None
    check: Callable[[F, FaultEntry], None] = _sound
    check_pods: Callable[[F, Sequence[PodMaker], FaultEntry], None] = _any_pods

    def __post_init__(self) -> None:
        """See the class."""
        name = self.value.__name__
        missing = [member for member in _MEMBERS if not hasattr(self.value, member)]
        if inspect.isabstract(self.value):
            missing += sorted(self.value.__abstractmethods__)
        if missing:
            raise TypeError(f"{name} lacks {', '.join(missing)}")
        if self.value.is_undone is not isinstance(self.driver, UndoingDriver):
            raise TypeError(f"{name}: is_undone is {self.value.is_undone}, its driver says otherwise")
        if self.shape.keys[0] != self.value.kind:
            raise TypeError(f"{name}: its mapping begins with {self.shape.keys[0]}, not {self.value.kind}")
