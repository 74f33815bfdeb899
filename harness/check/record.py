"""What the judges are given: one finished run, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.check.traffic import Traffic
from harness.history.query import (
    PodStory,
    StepRecord,
    Window,
    facts,
    first_injection,
    phase_windows,
    pod_stories,
    step_records,
)
from harness.history.read import History
from harness.model import events
from harness.model.experiment import Experiment, PhaseName
from harness.model.plan import Action, Plan
from harness.model.verdicts import CheckResult, Verdict
from harness.semantics.eviction.settings import Settings
from loadgen.rows import Rows


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the folder tells it. `rows` is None when the experiment has no load, or it left nothing readable.

    `settings`: the control plane's, for the predictor. `damage`: what is not as it was when the run ended, one sentence
    each (`harness.history.seal`).
    """

    experiment: Experiment
    plan: Plan
    history: History
    rows: Rows | None
    traffic: Traffic | None
    load_summary: Mapping[str, Any]
    settings: Settings
    damage: tuple[str, ...] = ()

    @property
    def windows(self) -> dict[PhaseName, Window]:
        """Phases that took place."""
        return phase_windows(self.history)

    @property
    def stories(self) -> dict[str, PodStory]:
        """Pods seen, by UID."""
        return pod_stories(self.history)

    @property
    def injection(self) -> StepRecord | None:
        """The first acknowledged injection."""
        return first_injection(self.history)

    @property
    def horizon_ns(self) -> int:
        """Until when pods were left to themselves: the removal of the workload, else the last entry."""
        removal = next((d.invoked_ns for d in step_records(self.history) if d.action == Action.REMOVE), None)
        if removal is not None:
            return removal
        return self.history.entries[-1].t_ns if self.history.entries else 0

    @property
    def ended(self) -> events.RunEnded | None:
        """The last word; None when the writer was killed."""
        return next((fact for _, fact in facts(self.history, events.RunEnded)), None)


def invalid(check_id: str, reason: str, *, decider: str = "") -> CheckResult:
    """The measurement itself is broken."""
    return CheckResult(check_id, Verdict.INVALID, reason, 0, decider)


def inconclusive(check_id: str, reason: str, *, n: int = 0, decider: str = "") -> CheckResult:
    """Evidence is missing."""
    return CheckResult(check_id, Verdict.INCONCLUSIVE, reason, n, decider)
