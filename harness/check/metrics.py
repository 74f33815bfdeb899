"""Expectations on Prometheus queries: every sample of each phase within bounds, and Prometheus was looking throughout;
missing samples, or samples of a time when nothing was scraped, are never a PASS.
"""

from __future__ import annotations

import math

from harness.check.base import NOTHING, Check, Judged
from harness.check.record import RunRecord, inconclusive
from harness.check.scrapes import Scrapes
from harness.history.stories import Window
from harness.model.experiment import MetricExpectation, PhaseName
from harness.model.verdicts import CheckResult, Verdict

_MIN_COVERAGE = 0.9
_INFINITE = {"+Inf": math.inf, "-Inf": -math.inf}
"""How a sample that is infinite is written down: without a value, and why."""


def judge_metrics(record: RunRecord) -> list[CheckResult]:
    """One result for each expectation and phase, ids ``metric/<name>/<phase>``."""
    scrapes = Scrapes(record)
    return [_judge(record, scrapes, e, phase) for e in record.experiment.expect.metrics for phase in e.phases]


def _judge(record: RunRecord, scrapes: Scrapes, expectation: MetricExpectation, phase: PhaseName) -> CheckResult:
    check_id = f"metric/{expectation.name}/{phase}"
    window = record.windows.get(phase)
    if window is None:
        return inconclusive(check_id, f"the {phase} phase did not take place")
    series, why = _samples(record, expectation.name, window)
    if not series:
        return inconclusive(
            check_id, why or "Prometheus has no sample in this phase", what_would_decide="fix Prometheus"
        )
    if len(series) > 1:
        return inconclusive(
            check_id, _several(list(series)), what_would_decide="a query that gives one series: max(...), sum(...)"
        )
    blind = scrapes.unwatched(window)
    if blind:
        return inconclusive(check_id, blind, what_would_decide="an unbroken record of scrapes (up) in Prometheus")
    (samples,) = series.values()
    expected = max(1, math.floor(window.length_s) - 1)
    seconds = {round(t_s) for t_s, _ in samples}
    if len(seconds) < _MIN_COVERAGE * expected:
        reason = f"Prometheus has samples for {len(seconds)} of {expected} seconds of the {phase} phase"
        return inconclusive(check_id, reason, n=len(samples), what_would_decide="an unbroken record from Prometheus")
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
    shown = worst if math.isfinite(worst) else None  # JSON has no infinity; the reason says it
    return CheckResult(check_id, Verdict.PASS if ok else Verdict.FAIL, reason, len(samples), "", shown, limit)


_Labels = tuple[tuple[str, str], ...]


def _samples(record: RunRecord, name: str, window: Window) -> tuple[dict[_Labels, list[tuple[float, float]]], str]:
    """The samples of each series in the window, by its labels; and why there are none, as far as known."""
    out: dict[_Labels, list[tuple[float, float]]] = {}
    why = ""
    for fact in record.index.samples.get(("expectation", name), ()):
        value = _INFINITE.get(fact.why) if fact.value is None else fact.value
        if value is None or math.isnan(value):
            why = fact.why
            continue
        t_s = float(fact.labels["t_s"])
        if window.start_ns / 1e9 <= t_s < window.end_ns / 1e9:
            labels = tuple(sorted((key, text) for key, text in fact.labels.items() if key != "t_s"))
            out.setdefault(labels, []).append((t_s, value))
    return out, why


def _several(series: list[_Labels]) -> str:
    """How many series there are, and by what they differ."""
    maps = [dict(labels) for labels in series]
    keys = sorted({key for labels in maps for key in labels if len({m.get(key) for m in maps}) > 1})
    shown = ", ".join(f"{key} ({', '.join(sorted({m.get(key, 'none') for m in maps})[:3])} ...)" for key in keys[:3])
    shown += ", ..." if len(keys) > 3 else ""
    return f"the query gives {len(series)} series, which differ in {shown}; one is needed"


METRICS = Check(
    "metric", NOTHING, lambda experiment: bool(experiment.expect.metrics), lambda record: Judged(judge_metrics(record))
)
