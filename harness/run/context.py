"""What a run acts with, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.clock import Clock
from harness.cluster.ports import LoadDriver, Metrics, Progress
from harness.history.record import Recorder
from harness.model.experiment import Experiment
from harness.model.plan import Step
from harness.model.result import RunState as RunState
from harness.model.world import World
from harness.run.drivers import Drivers
from harness.run.observe import Observer
from harness.run.workload import Workload


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """`leftovers`: what is still on the cluster, or not known to be gone, one line each. `defect`: what nobody foresaw,
    if that ended the run.
    """

    state: RunState
    message: str
    leftovers: tuple[str, ...]
    defect: BaseException | None = None


@dataclass(frozen=True, slots=True)
class RunContext:
    """Everything a run acts with. `before_fault` is called (in a thread: it computes) with the world just before the
    first injection. `deadline_ns`: CLOCK_MONOTONIC, when the faults should be over and healing is given up.
    """

    experiment: Experiment
    steps: tuple[Step, ...]
    targets: tuple[str, ...]
    recorder: Recorder
    observer: Observer
    drivers: Drivers
    workload: Workload
    load: LoadDriver | None
    metrics: Metrics | None
    progress: Progress
    kubernetes_version: str
    namespaces: frozenset[str]
    before_fault: Callable[[World], None]
    clock: Clock
    deadline_ns: int
