"""Did enough requests of each phase go well?

A phase's requests are all the requests that were due in it: the ratio of bad ones is counted, not estimated, and
compared with the budget ``1 - ratio``. Too few to tell (fewer than 3 / budget, the rule of three: even none bad could
not exclude a ratio at the budget with 95 % confidence) is INCONCLUSIVE, unless they already show with 95 % confidence
that the budget is exceeded.
"""

from __future__ import annotations

import math

from harness.check.base import NOTHING, Check, Judged
from harness.check.record import RunRecord, inconclusive
from harness.history.stories import Window
from harness.model.experiment import PhaseName, Slo
from harness.model.verdicts import CheckResult, Verdict
from loadgen.stats import wilson

_Z95_ONE_SIDED = 1.6449


def judge_slos(record: RunRecord) -> list[CheckResult]:
    """One result for each objective and phase, ids ``slo/<name>/<phase>``."""
    return [_judge(record, slo, phase) for slo in record.experiment.expect.slos for phase in slo.phases]


def _judge(record: RunRecord, slo: Slo, phase: PhaseName) -> CheckResult:
    check_id = f"slo/{slo.name}/{phase}"
    window = record.windows.get(phase)
    if window is None:
        return inconclusive(check_id, f"the {phase} phase did not take place")
    if record.traffic is None:
        return inconclusive(check_id, "there are no rows of the load", what_would_decide="a load that runs to its end")
    n, bad = record.traffic.count(window, threshold_s=slo.threshold_s)
    if n == 0:
        return inconclusive(check_id, f"no request was due in the {phase} phase")
    budget = 1 - slo.ratio
    bounds = wilson(bad, n, z=_Z95_ONE_SIDED)
    interval = (bounds.low, bounds.high)
    what = "failed" if slo.threshold_s is None else f"failed or took longer than {slo.threshold_s * 1e3:g} ms"
    reason = f"{bad} of {n} requests {what} ({bad / n:.3%}), {budget:.3%} are allowed"
    verdict, what_would_decide = _decide(bad, n, budget, interval, window)
    return CheckResult(check_id, verdict, reason, n, what_would_decide, bad / n, budget, "bad ratio", interval)


def _decide(bad: int, n: int, budget: float, interval: tuple[float, float], window: Window) -> tuple[Verdict, str]:
    within = bad <= budget * n * (1 + 1e-9)
    needed = math.ceil(3 / budget * (1 - 1e-9)) if budget > 0 else 1
    if n >= needed:
        return (Verdict.PASS if within else Verdict.FAIL), ""
    if interval[0] > budget:
        return Verdict.FAIL, ""
    more_s = (needed - n) / (n / window.length_s) if window.length_s > 0 else math.inf
    return Verdict.INCONCLUSIVE, f"{needed - n} more requests: about {more_s:.0f} s more at this rate"


SLOS = Check("slo", NOTHING, lambda experiment: bool(experiment.expect.slos), lambda record: Judged(judge_slos(record)))
