"""How much later than its rule says a pod may be seen to leave in this run, and what to make of one that is later.

A verdict's upper bound is the settings' own (a second, for control planes that also run the service and the load) and
what this run measured beyond a quiet machine's time: write to watch, delete to watch, the harness's own standstills.
Nothing of it is the controller's own doing, so a slow controller cannot excuse itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.history.index import HistoryIndex
from harness.model import events
from harness.model.plan import Prediction
from harness.model.verdicts import PodVerdict
from harness.plan.allowance import QUIET_S, RATIO, What
from harness.semantics.eviction.settings import Latency

CAP_S = 3.0
"""The most that is allowed from the instant a deletion is due; in a run that needs more nobody can tell who is late."""


@dataclass(frozen=True, slots=True)
class RunLatency:
    """`latency`: what to predict with. `more_s`: how much more than the settings say this run needs; not capped.
    `because`: the measurement that says so, "" when all were those of a quiet machine.
    """

    latency: Latency
    more_s: float
    because: str
    too_busy: bool

    def weigh(
        self, verdict: PodVerdict, reason: str, prediction: Prediction, *, observed_s: float | None, horizon_s: float
    ) -> tuple[PodVerdict, str]:
        """`verdict` as it stands in this run. On a machine that is too busy to tell, a pod that left late is UNKNOWN,
        and one that was still there too, unless it stayed for longer than all that was measured. What is early or
        should have stayed is wrong on any machine.
        """
        if not self.because or prediction.latest_s is None:
            return verdict, reason
        patience_s = prediction.latest_s + (self.more_s if self.too_busy else 0.0)
        waited = verdict is PodVerdict.SURVIVED_WRONGLY and horizon_s < patience_s
        if self.too_busy and (verdict is PodVerdict.LATE or waited):
            return PodVerdict.UNKNOWN, f"{reason}: this machine is too busy to tell ({self.because})"
        allowed_s = 0.0 if self.too_busy else self.more_s
        if verdict is PodVerdict.ON_TIME and observed_s is not None and observed_s > prediction.latest_s - allowed_s:
            return verdict, f"{reason} ({allowed_s:.2f} s of that allowed to this machine: {self.because})"
        return verdict, reason


def latency_of_run(history: HistoryIndex, base: Latency) -> RunLatency:
    """`base` and what this run needed beyond a quiet machine, times `RATIO`."""
    excess_s, because = max(_excesses(history), default=(0.0, ""))
    more_s = RATIO * excess_s
    too_busy = base.delete_s + more_s > max(CAP_S, base.delete_s)
    # A change that is seen late may come too late to save a pod, or just in time: nobody can say, on any machine.
    latency = replace(base, race_s=base.race_s + more_s)
    if not too_busy:
        latency = replace(latency, delete_s=base.delete_s + more_s, restart_max_s=base.restart_max_s + more_s)
    return RunLatency(latency, more_s, because, too_busy)


def _excesses(history: HistoryIndex) -> Iterator[tuple[float, str]]:
    """Beyond a quiet machine's time, each in words; what is no time at all is no evidence."""
    for _, fact in history.facts(events.LatencyMeasured):
        if fact.what in (What.WRITE_TO_WATCH, What.DELETE_TO_WATCH) and math.isfinite(fact.seconds):
            over_s = fact.seconds - QUIET_S[What(fact.what)]
            if over_s > 0:
                yield over_s, f"{fact.what} took up to {fact.seconds:.2f} s"
    for entry, gap in history.facts(events.WatchGap):
        if gap.resource == events.ALL_WATCHES:
            length_s = ((entry.t_ns if gap.to_ns is None else gap.to_ns) - gap.from_ns) / 1e9
            over_s = length_s - QUIET_S[What.STANDSTILL]
            if over_s > 0:
                yield over_s, f"the harness itself stood still for up to {length_s:.2f} s"
