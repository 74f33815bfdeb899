"""Expectations on Prometheus queries: every sample of each phase within bounds; missing samples are never a PASS."""

from __future__ import annotations

import math

from harness.check.record import RunRecord, inconclusive
from harness.history.query import Window, facts
from harness.model import events
from harness.model.experiment import MetricExpectation, PhaseName
from harness.model.verdicts import CheckResult, Verdict

_MIN_COVERAGE = 0.9


def judge_metrics(record: RunRecord) -> list[CheckResult]:
    """One result for each expectation and phase, ids ``metric/<name>/<phase>``."""
    return [_judge(record, e, phase) for e in record.experiment.expect.metrics for phase in e.phases]


def _judge(record: RunRecord, expectation: MetricExpectation, phase: PhaseName) -> CheckResult:
    check_id = f"metric/{expectation.name}/{phase}"
    window = record.windows.get(phase)
    if window is None:
        return inconclusive(check_id, f"the {phase} phase did not take place")
    samples, why = _samples(record, expectation.name, window)
    if not samples:
        return inconclusive(check_id, why or "Prometheus has no sample in this phase", decider="mend Prometheus")
    expected = max(1, math.floor(window.length_s) - 1)
    seconds = {round(t_s) for t_s, _ in samples}
    if len(seconds) < _MIN_COVERAGE * expected:
        reason = f"Prometheus has samples for {len(seconds)} of {expected} seconds of the {phase} phase"
        return inconclusive(check_id, reason, n=len(samples), decider="an unbroken record from Prometheus")
    values = [value for _, value in samples]
    low, high = min(values), max(values)
    worst, limit, ok = high, expectation.maximum, True
    if expectation.maximum is not None and high > expectation.maximum:
        ok = False
    elif expectation.minimum is not None:
        worst, limit, ok = low, expectation.minimum, low >= expectation.minimum
    bounds = " and ".join(
        text
        for text in (
            f"at least {expectation.minimum:g}" if expectation.minimum is not None else "",
            f"at most {expectation.maximum:g}" if expectation.maximum is not None else "",
        )
        if text
    )
    reason = f"between {low:.4g} and {high:.4g} over {len(samples)} samples; must be {bounds}"
    return CheckResult(check_id, Verdict.PASS if ok else Verdict.FAIL, reason, len(samples), "", worst, limit)


def _samples(record: RunRecord, name: str, window: Window) -> tuple[list[tuple[float, float]], str]:
    out, why = [], ""
    for _, fact in facts(record.history, events.Sample):
        if fact.signal != "expectation" or fact.name != name:
            continue
        if fact.value is None:
            why = fact.why
            continue
        t_s = float(fact.labels["t_s"])
        if window.start_ns / 1e9 <= t_s < window.end_ns / 1e9:
            out.append((t_s, fact.value))
    return out, why
