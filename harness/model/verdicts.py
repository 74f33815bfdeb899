"""The words a judgement is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.errors import ExitCode


class Verdict(StrEnum):
    """What a check, or a whole run, comes to."""

    PASS = "PASS"  # noqa: S105 -- a verdict
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run that ends with this verdict and heals."""
        return {"PASS": ExitCode.PASS, "FAIL": ExitCode.FAIL}.get(self.value, ExitCode.INCONCLUSIVE)


_ORDER = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.INVALID)


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """INVALID if anything is (the measurement itself is broken), else FAIL, else INCONCLUSIVE, else PASS; nothing
    judged is INCONCLUSIVE.
    """
    return max(verdicts, key=_ORDER.index, default=Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One judgement. `reason` is one sentence a person can act on; `decider` says what would decide an open one; `n`
    is how many
    observations it rests on. `measured`, `limit` are numbers for display (unit in `unit`), None where there is none.
    """

    id: str
    verdict: Verdict
    reason: str
    n: int
    decider: str = ""
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    interval: tuple[float, float] | None = None


class PodVerdict(StrEnum):
    """What became of one pod against its prediction."""

    ON_TIME = "on time"
    EARLY = "early"
    LATE = "late"
    SURVIVED_WRONGLY = "survived wrongly"
    EVICTED_WRONGLY = "evicted wrongly"
    SURVIVED = "survived"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class EvictionRow:
    """One pod of the eviction table. Seconds count from the acknowledged write of the first taint; None: did not
    happen or not seen.

    `predicted_s`: from what really happened; None when the pod is predicted to stay. `observed_s`: deletionTimestamp
    first seen by the watch; `gone_s`: the object vanished; `replacement_*`: the pod of the same workload that took its
    place (scheduled, Ready). `planned`: the outcome that the plan foresaw before anything was touched (`evicted`,
    `survives`, `unsure`, ...), empty for a pod that was not there then, None when it is not known; `planned_s`: its
    interval.
    """

    pod: str
    uid: str
    node: str
    verdict: PodVerdict
    rule: str
    predicted_s: tuple[float, float] | None
    observed_s: float | None
    gone_s: float | None
    replacement: str | None
    replacement_scheduled_s: float | None
    replacement_ready_s: float | None
    workload: str = ""
    tolerations: str = ""
    reason: str = ""
    planned: str | None = None
    planned_s: tuple[float, float] | None = None
