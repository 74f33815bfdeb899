"""What a run acts with, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.clock import Clock
from harness.cluster.ports import LoadDriver, Metrics, Progress
from harness.history.record import Recorder
from harness.model.experiment import Experiment
from harness.model.faults import Fault
from harness.model.plan import Step
from harness.model.words import RunState
from harness.run.observe import Observer
from harness.run.workload import Workload
from harness.snapshot import LiveSnapshot


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """`leftovers`: what is still on the cluster, or not known to be gone, one line each. `defect`: what nobody foresaw,
    if that ended the run.
    """

    state: RunState
    message: str
    leftovers: tuple[str, ...]
    defect: BaseException | None = None


class FaultDrivers(Protocol):
    """Does and undoes faults: `harness.run.drivers.Drivers`. Called for several steps at the same time; what must not
    overlap on one node is its business.
    """

    async def inject(self, fault: Fault, subject: str) -> Mapping[str, Any]:
        """Do `fault` to `subject`; what the answer said, with ``resourceVersion`` when a node was written. May take as
        long as the fault takes. TaintlabError or OSError when it is not done, Indeterminate when that is not known.
        """
        ...

    async def heal(self, fault: Fault, subject: str, /) -> Mapping[str, Any]:
        """Undo that one fault; what was found. TaintlabError or OSError when it is not undone."""
        ...

    async def heal_all(self, deadline_ns: int, give_up: asyncio.Event | None = None) -> list[str]:
        """Undo all that is still ours until `deadline_ns` (monotonic) or until `give_up` is set; what is not undone, or
        not known to be, one line each.
        """
        ...

    async def renew(self, heartbeat: str) -> None:
        """Write `heartbeat` (RFC 3339) into every undo record that this run holds on a node."""
        ...


@dataclass(frozen=True, slots=True)
class RunContext:
    """Everything a run acts with. `before_fault` is called (in a thread: it computes) with the cluster as it is just
    before the first injection. `deadline_ns`: CLOCK_MONOTONIC, when the faults should be over and healing is given up.
    """

    experiment: Experiment
    steps: tuple[Step, ...]
    targets: tuple[str, ...]
    recorder: Recorder
    observer: Observer
    drivers: FaultDrivers
    workload: Workload
    load: LoadDriver | None
    metrics: Metrics | None
    progress: Progress
    kubernetes_version: str
    namespaces: frozenset[str]
    before_fault: Callable[[LiveSnapshot], None]
    clock: Clock
    deadline_ns: int
