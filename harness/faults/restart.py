"""The fault ``restart``: SIGKILL of a control-plane component of the lab, which is started again at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.errors import LabError
from harness.faults.kind import Driver, FaultContext, FaultKind, Receipt
from harness.formats.experiment.fields_faults import AT
from harness.formats.leaves import choice
from harness.formats.shapes import Field, Record
from harness.formats.values import COMPONENTS
from harness.model.faults import Fault, Need, PlannedCluster
from harness.model.scenario import Component, Restart, Write

RESTARTABLE = tuple(name for name in COMPONENTS if name != "kubelet")


@dataclass(frozen=True, slots=True)
class RestartFault(Fault):
    """Kill `component` and start it again. Lab only; it is back by itself, so nothing is undone."""

    kind: ClassVar = "restart"
    is_undone: ClassVar = False
    needs: ClassVar = frozenset((Need.LAB,))
    rights: ClassVar = ()
    departs_by: ClassVar = None
    unplanned: ClassVar = ""

    component: str

    def subjects(self, targets: Sequence[str]) -> Sequence[str]:
        """The component."""
        return (self.component,)

    @property
    def holds(self) -> str:
        """Nothing: it is over at once."""
        return ""

    @property
    def pods_with(self) -> None:
        """It acts on no pod."""
        return None

    @property
    def mark(self) -> None:
        """It puts nothing on a node."""
        return None

    def writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """The restart of a component that timers live in; none of another: they do not touch evictions."""
        return (Restart(at_s, Component(subject)),) if subject in set(Component) else ()

    def undo_writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """None."""
        return ()

    def __str__(self) -> str:
        """``restart kube-controller-manager``."""
        return f"restart {self.component}"


SHAPE = Record(
    "RestartFault",
    "Kill a component of the lab's control plane (SIGKILL) and start it again. Lab only.",
    (
        Field(
            "restart",
            "component",
            choice("a component that can be restarted", {name: name for name in RESTARTABLE}),
            "The component.",
            required=True,
        ),
        AT,
    ),
    RestartFault,
    slips={"for": "a restarted component is back at once, so take for out"},
)


class RestartDriver(Driver[RestartFault]):
    """Asks the lab for it."""

    async def inject(self, fault: RestartFault, subject: str, context: FaultContext) -> Receipt:
        """LabError on a cluster that is no lab."""
        if context.components is None:
            raise LabError(f"restart {subject}: only the lab's components can be restarted")
        await context.components.restart(subject)
        return {}


KIND = FaultKind(RestartFault, SHAPE, RestartDriver())
