"""What the judges are given: one finished run, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.check.traffic import Traffic
from harness.history.index import HistoryIndex
from harness.history.read import History
from harness.history.stories import PodStory, StepRecord, Window
from harness.model import events
from harness.model.experiment import Experiment, PhaseName
from harness.model.plan import Plan
from harness.model.verdicts import CheckResult, Verdict
from harness.semantics.eviction.settings import Settings
from loadgen.rows import Rows


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the folder tells it. `rows` is None when the experiment has no load, or it left nothing readable.

    `settings`: the control plane's, for the predictor. `damage`: what is not as it was when the run ended, one sentence
    each (`harness.history.seal`). `index`: of the history, made with the record; every judge asks it, none goes through
    the history anew.
    """

    experiment: Experiment
    plan: Plan
    history: History
    rows: Rows | None
    traffic: Traffic | None
    load_summary: Mapping[str, Any]
    settings: Settings
    damage: tuple[str, ...] = ()
    index: HistoryIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the history."""
        object.__setattr__(self, "index", HistoryIndex(self.history))

    @property
    def windows(self) -> Mapping[PhaseName, Window]:
        """Phases that took place."""
        return self.index.phases

    @property
    def stories(self) -> Mapping[str, PodStory]:
        """Pods seen, by UID."""
        return self.index.pods

    @property
    def injection(self) -> StepRecord | None:
        """The first acknowledged injection."""
        return self.index.injection

    @property
    def horizon_ns(self) -> int:
        """Until when pods were left to themselves: the removal of the workload, else the last entry."""
        return self.index.horizon_ns

    @property
    def ended(self) -> events.RunEnded | None:
        """The last word; None when the writer was killed."""
        return self.index.first(events.RunEnded)


def invalid(check_id: str, reason: str, *, what_would_decide: str = "") -> CheckResult:
    """The measurement itself is broken."""
    return CheckResult(check_id, Verdict.INVALID, reason, 0, what_would_decide)


def inconclusive(check_id: str, reason: str, *, n: int = 0, what_would_decide: str = "") -> CheckResult:
    """Evidence is missing."""
    return CheckResult(check_id, Verdict.INCONCLUSIVE, reason, n, what_would_decide)
