"""What will be done, to whom, and what Kubernetes must then do: made before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.experiment import PhaseName
from harness.model.faults import Fault
from harness.model.words import Action, Outcome


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `at_s` counts from the start of warmup (None: when the step before is done).

    `phase` for PHASE steps; `fault` for INJECT and HEAL, with one of its subjects as `subject`.
    """

    id: str
    action: Action
    subject: str = ""
    at_s: float | None = None
    phase: PhaseName | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What must become of one pod. Seconds count from the acknowledged write of the first taint.

    `earliest_s`, `latest_s`: None unless evicted. `rule`: id from the catalogue (`taintlab explain`). `because`: one
    sentence naming the taint and the toleration at work.
    """

    pod: str
    uid: str
    node: str
    outcome: Outcome
    earliest_s: float | None
    latest_s: float | None
    rule: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Targets (node names), steps in order, and a prediction for every pod on the targets."""

    run_id: str
    experiment: str
    targets: tuple[str, ...]
    steps: tuple[Step, ...]
    predictions: tuple[Prediction, ...]
