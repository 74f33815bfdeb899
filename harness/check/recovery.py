"""Did the service, and its pods, come back after the fault, in time, and stay?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from harness.check.base import Check, Judged
from harness.check.ready_endpoints import endpoint_counts, not_listed, ready_at
from harness.check.record import RunRecord, inconclusive
from harness.check.traffic import Traffic
from harness.history.stories import Window, covering
from harness.model.experiment import PhaseName, SloKind
from harness.model.needs import Watched
from harness.model.verdicts import CheckResult, Verdict

_ROLLING_S = 10
_DEFAULT_BUDGET = 0.01


def judge_recovery(record: RunRecord) -> list[CheckResult]:
    """``recovery/traffic`` (with load) and ``recovery/pods`` (with a workload); nothing when no recovery is
    expected.
    """
    expected = record.experiment.expect.recovery
    if expected is None:
        return []
    window = record.windows.get(PhaseName.RECOVERY)
    if window is None:
        return [inconclusive("recovery", "the recovery phase did not take place")]
    if window.length_s < expected.within_s:
        return [
            inconclusive(
                "recovery",
                f"the recovery phase lasted {window.length_s:.1f} s, less than the {expected.within_s:g} s allowed",
                what_would_decide="make the recovery phase longer than `within`",
            )
        ]
    results = []
    if record.traffic is not None:
        results.append(_traffic(record, record.traffic, window, expected.within_s))
    results.append(_pods(record, window, expected.within_s))
    return results


def _traffic(record: RunRecord, traffic: Traffic, window: Window, within_s: float) -> CheckResult:
    """The first second of the recovery phase from which every rolling window to its end stays at or below the limit.

    The limit is the SLO's budget or twice the baseline's bad ratio, whichever is larger (load-and-slo C3, H4).
    """
    baseline = record.windows.get(PhaseName.BASELINE)
    limit = _budget(record)
    if baseline is not None:
        n, failed = traffic.count(baseline)
        limit = max(limit, 2 * failed / n if n else 0.0)
    seconds = int(window.length_s)
    edges = [window.start_ns + int(second * 1e9) for second in range(seconds + 1)]
    counts = [traffic.count(Window(*edge)) for edge in pairwise(edges)]
    due, bad = [n for n, _ in counts], [failed for _, failed in counts]
    if not sum(due):
        return inconclusive("recovery/traffic", "no request was due in the recovery phase")
    recovered = _recovered_at(due, bad, limit)
    reason = f"bad ratio back at or below {limit:.2%} "
    if recovered is None:
        text = f"bad ratio not back at or below {limit:.2%} by the end of the recovery phase ({seconds} s)"
        return CheckResult("recovery/traffic", Verdict.FAIL, text, sum(due), limit=within_s, unit="s")
    verdict = Verdict.PASS if recovered <= within_s else Verdict.FAIL
    reason += f"{recovered} s after the fault ended, {within_s:g} s are allowed"
    return CheckResult("recovery/traffic", verdict, reason, sum(due), "", float(recovered), within_s, "s")


def _recovered_at(due: Sequence[int], bad: Sequence[int], limit: float) -> int | None:
    """The first second s such that from s on, over every window of up to `_ROLLING_S` seconds that starts at s or
    later, bad <= limit.

    The first bad second after s breaks it however few requests it had, so the answer is never earlier than the last
    bad burst.
    """
    last_bad = -1
    for start in range(len(due)):
        stop = min(len(due), start + _ROLLING_S)
        n, failed = sum(due[start:stop]), sum(bad[start:stop])
        if failed > limit * n:
            burst = max(i for i in range(start, stop) if bad[i])
            last_bad = max(last_bad, burst)
    return None if last_bad + 1 >= len(due) else last_bad + 1


def _budget(record: RunRecord) -> float:
    budgets = [1 - slo.ratio for slo in record.experiment.expect.slos if slo.kind is SloKind.SUCCESS]
    return max(budgets, default=_DEFAULT_BUDGET)


def _pods(record: RunRecord, window: Window, within_s: float) -> CheckResult:
    """Every Service endpoint count back at its value before the fault, within the time, at the end of the recovery
    phase still; seen, and not merely unchanged because nobody looked.
    """
    ready = endpoint_counts(record)
    injection = record.injection
    if not ready:
        return inconclusive("recovery/pods", "no EndpointSlice of the workload was seen")
    if injection is None:
        return inconclusive("recovery/pods", "no fault was injected")
    blind = _blind(record, injection.invoked_ns, window)
    if blind:
        return inconclusive("recovery/pods", blind, what_would_decide="an unbroken watch of the EndpointSlices")
    latest_s, earliest_s, n = 0.0, 0.0, 0
    for service, points in ready.items():
        before = ready_at(points, injection.invoked_ns)
        if not before:
            continue
        n += before
        back_ns = _back_for_good(points, before, window)
        if back_ns is None and covering(record.index.blind("endpointslices"), window.end_ns - 1) is not None:
            return inconclusive("recovery/pods", f"nobody was looking at {service} at the end of the recovery phase")
        if back_ns is None:
            now = ready_at(points, window.end_ns - 1)
            reason = f"{service} has {now} of {before} ready endpoints at the end of the recovery phase"
            return CheckResult("recovery/pods", Verdict.FAIL, reason, before, limit=within_s, unit="s")
        earliest, latest = _bounds(record, back_ns, injection.invoked_ns, window)
        latest_s = max(latest_s, (latest - window.start_ns) / 1e9)
        earliest_s = max(earliest_s, (earliest - window.start_ns) / 1e9)
    if n == 0:
        return inconclusive("recovery/pods", "no Service had a ready endpoint before the fault")
    if earliest_s <= within_s < latest_s:
        reason = f"back between {earliest_s:.1f} and {latest_s:.1f} s after the fault ended: the watch was blind then"
        return inconclusive("recovery/pods", f"{reason}; {within_s:g} s are allowed", n=n)
    verdict = Verdict.PASS if latest_s <= within_s else Verdict.FAIL
    when = "before the fault ended" if latest_s <= 0 else f"{latest_s:.1f} s after the fault ended"
    reason = f"all {n} endpoints ready again {when}, {within_s:g} s are allowed"
    return CheckResult("recovery/pods", verdict, reason, n, "", max(0.0, latest_s), within_s, "s")


def _blind(record: RunRecord, injected_ns: int, window: Window) -> str:
    """Why it cannot be told how many endpoints there were at the end of the recovery phase; "" when it can."""
    if unlisted := not_listed(record):
        return unlisted
    lost = record.index.unseen("endpointslices")
    if covering(lost, injected_ns) is not None:
        return "the watch of the EndpointSlices was blind when the fault began: how many were ready is not known"
    for gap in lost:
        if gap.start_ns < window.end_ns <= gap.end_ns and gap.end_ns >= injected_ns:
            since_s = gap.start_ns / 1e9
            return f"the watch of the EndpointSlices was blind from {since_s:.1f} s of the run to the end of recovery"
    return ""


def _bounds(record: RunRecord, back_ns: int, injected_ns: int, window: Window) -> tuple[int, int]:
    """Not before and not after which the endpoints were back, if they were seen to be at `back_ns`.

    What was seen in a gap may have happened since its start. After a gap in which sight was lost they may have been
    away once more: then they are known to be back from its end only.
    """
    gap = covering(record.index.blind("endpointslices"), back_ns)
    earliest, latest = (back_ns if gap is None else gap.start_ns), back_ns
    for lost in record.index.unseen("endpointslices"):
        if lost.end_ns >= max(back_ns, injected_ns) and lost.start_ns < window.end_ns:
            latest = max(latest, lost.end_ns)
    return min(earliest, back_ns), latest


def _back_for_good(points: Sequence[tuple[int, int]], wanted: int, window: Window) -> int | None:
    """When the count reached `wanted` for the last time and kept it until the window's end; None when it has not."""
    since: int | None = None
    for at_ns, count in points:
        if at_ns >= window.end_ns:
            break
        if count < wanted:
            since = None
        elif since is None:
            since = at_ns
    return since


RECOVERY = Check(
    "recovery",
    frozenset({Watched.ENDPOINT_SLICES}),
    lambda experiment: experiment.expect.recovery is not None,
    lambda record: Judged(judge_recovery(record)),
)
