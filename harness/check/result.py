"""The result (``harness.model.result``): the judgement with everything a report shows, so that no report computes
anything anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from harness.check.judge import Judgement
from harness.check.ready_endpoints import endpoint_counts
from harness.check.record import RunRecord
from harness.history.stories import Window
from harness.model import events
from harness.model.experiment import PhaseName
from harness.model.result import (
    VERSION,
    Environment,
    Event,
    FaultWindow,
    Gate,
    LedgerLine,
    Phase,
    Result,
    Saturation,
    Series,
    SignalRow,
)
from harness.model.words import Action, RunState
from loadgen.stats import Window as RowWindow
from loadgen.stats import WindowStats, per_window

_MAX_WINDOWS = 7_200
"""Two hours by the second: neither a page nor a file of a longer run has room for more."""
_MAX_SIGNALS = 20
_ROUGH_TAIL, _PRINTABLE_TAIL = 100, 10


def result_of(
    record: RunRecord,
    judgement: Judgement,
    *,
    versions: Mapping[str, str],
    environment: Environment,
    ledger: Sequence[LedgerLine],
) -> Result:
    """What is written to ``result.json``. ValueError when the history says that the run ended as no run ends."""
    ended = record.ended
    return Result(
        version=VERSION,
        experiment=record.experiment.name,
        description=record.experiment.description,
        run=record.history.started.run_id,
        verdict=judgement.verdict,
        exit_code=int(judgement.exit_code),
        reason=judgement.reason,
        what_would_decide=judgement.what_would_decide,
        state=RunState(ended.state) if ended else RunState.KILLED,
        started=record.history.entries[0].wall,
        checks=judgement.checks,
        evictions=judgement.evictions,
        phases=_phases(record),
        series=_series(record),
        events=_events(record, judgement),
        fault=_fault(record),
        gates=tuple(msgspec.convert(gate, Gate, from_attributes=True) for gate in judgement.validity),
        golden_signals=tuple(_golden(record, name, window) for name, window in record.windows.items()),
        leftovers=judgement.leftovers,
        healed=judgement.healed,
        targets=tuple(record.plan.targets),
        versions=versions,
        environment=environment,
        ledger=tuple(ledger),
    )


def _s(t_ns: int) -> float:
    return round(t_ns / 1e9, 4)


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else round(value_ns / 1e6, 3)


def _window_stats(record: RunRecord, windows: list[tuple[str, Window]]) -> list[WindowStats | None]:
    if record.rows is None:
        return [None] * len(windows)
    base = record.history.started.mono_ns
    asked = [RowWindow(name, base + w.start_ns, base + w.end_ns) for name, w in windows]
    return list(per_window(record.rows, asked))


def _phases(record: RunRecord) -> tuple[Phase, ...]:
    windows = [(name.value, window) for name, window in record.windows.items()]
    pairs = zip(windows, _window_stats(record, windows), strict=True)
    return tuple(_phase(name, window, stats) for (name, window), stats in pairs)


def _phase(name: str, window: Window, stats: WindowStats | None) -> Phase:
    """p99 needs 10 requests beyond it to be printed and 100 to be firm (load-and-slo C3): `rough` says which."""
    start_s, end_s = _s(window.start_ns), _s(window.end_ns)
    if stats is None:
        return Phase(name=name, start_s=start_s, end_s=end_s)
    return Phase(
        name=name,
        start_s=start_s,
        end_s=end_s,
        requests=stats.due,
        bad=stats.bad,
        rate_per_s=round(stats.due / window.length_s, 2) if window.length_s else None,
        p50_ms=_ms(stats.p50_ns),
        p90_ms=_ms(stats.p90_ns),
        p99_ms=_ms(stats.p99_ns),
        p999_ms=_ms(stats.p999_ns) if stats.due * 0.001 >= _PRINTABLE_TAIL else None,
        max_ms=_ms(stats.max_ns),
        success_p99_ms=_ms(stats.ok_p99_ns),
        rough=stats.due * 0.01 < _ROUGH_TAIL,
        outcomes={outcome.label: count for outcome, count in stats.outcomes.items()},
    )


def _series(record: RunRecord) -> Series:
    """Per second of the run, from its start to the end of the load; per some seconds in a run of more than _MAX_WINDOWS
    of them.
    """
    windows = record.windows
    end_ns = max((w.end_ns for w in windows.values()), default=0)
    width_s = max(1, math.ceil(end_ns / 1e9 / _MAX_WINDOWS))
    grid = range(0, int(end_ns / 1e9) - width_s + 1, width_s)
    edges = [(str(s), Window(s * 10**9, (s + width_s) * 10**9)) for s in grid]
    stats = _window_stats(record, edges)
    return Series(
        t_s=tuple(grid),
        due=tuple(None if s is None else s.due for s in stats),
        sent=tuple(None if s is None else s.sent for s in stats),
        bad=tuple(None if s is None else s.bad for s in stats),
        bad_ratio=tuple(None if s is None or not s.due else round(s.bad / s.due, 5) for s in stats),
        p50_ms=tuple(None if s is None else _ms(s.p50_ns) for s in stats),
        p99_ms=tuple(None if s is None else _ms(s.p99_ns) for s in stats),
        success_p99_ms=tuple(None if s is None else _ms(s.ok_p99_ns) for s in stats),
        ready_endpoints=_endpoints(record, grid),
        saturation=_saturation(record, grid),
    )


def _endpoints(record: RunRecord, grid: range) -> tuple[int | None, ...]:
    """Lowest number of ready endpoints of all our Services together in each window; None before any was seen."""
    lows = [_lowest(points, grid) for points in endpoint_counts(record).values()]
    out: list[int | None] = []
    for window in range(len(grid)):
        known = [low for low in (series[window] for series in lows) if low is not None]
        out.append(sum(known) if known else None)
    return tuple(out)


def _lowest(points: Sequence[tuple[int, int]], grid: range) -> list[int | None]:
    """The lowest count in each window, the one that it began with included; one pass over `points`."""
    out: list[int | None] = []
    last: int | None = None
    ordered = sorted(points, key=lambda point: point[0])
    at = 0
    for start_s in grid:
        low = last
        while at < len(ordered) and ordered[at][0] < (start_s + grid.step) * 10**9:
            last = ordered[at][1]
            low = last if low is None else min(low, last)
            at += 1
        out.append(low)
    return out


def _saturation(record: RunRecord, grid: range) -> tuple[Saturation, ...]:
    """One series for each saturation signal (of the first _MAX_SIGNALS): the highest of its pods in each window."""
    highest: dict[tuple[str, str], dict[int, float]] = {}
    for _, fact in record.index.facts(events.Sample):
        if fact.signal == "saturation" and fact.value is not None:
            key = (fact.name, fact.unit)
            if key not in highest and len(highest) == _MAX_SIGNALS:
                continue
            window = int(float(fact.labels["t_s"])) // grid.step
            values = highest.setdefault(key, {})
            values[window] = max(values.get(window, fact.value), fact.value)
    return tuple(
        Saturation(f"{name}, busiest pod", unit, tuple(values.get(n) for n in range(len(grid))))
        for (name, unit), values in highest.items()
    )


def _events(record: RunRecord, judgement: Judgement) -> tuple[Event, ...]:
    out = []
    for step in record.index.steps:
        if step.action in (Action.INJECT, Action.HEAL) and step.ended_ns is not None:
            label = step.step.split(":", 1)[1] if ":" in step.step else step.step
            out.append(Event(_s(step.ended_ns), step.action, label))
    injection = record.injection
    left = [row.observed_s for row in judgement.evictions if row.observed_s is not None]
    ready = [row.replacement_ready_s for row in judgement.evictions if row.replacement_ready_s is not None]
    if injection is not None and injection.ended_ns is not None:
        zero_s = injection.ended_ns / 1e9
        if left:
            out.append(Event(round(zero_s + min(left), 4), "first-eviction", "first eviction"))
        if ready:
            out.append(Event(round(zero_s + max(ready), 4), "last-ready", "last replacement Ready"))
    out += [Event(_s(entry.t_ns), "guard", fact.message) for entry, fact in record.index.facts(events.GuardTripped)]
    out += [
        Event(_s(gap.start_ns), "gap", f"pod watch blind for {gap.length_s:.2f} s")
        for gap in record.index.blind("pods")
    ]
    return tuple(sorted(out, key=lambda event: event.t_s))


def _fault(record: RunRecord) -> FaultWindow | None:
    window, injection = record.windows.get(PhaseName.FAULT), record.injection
    if window is None:
        return None
    acknowledged_s = None if injection is None or injection.ended_ns is None else _s(injection.ended_ns)
    return FaultWindow(start_s=_s(window.start_ns), end_s=_s(window.end_ns), acknowledged_s=acknowledged_s)


def _golden(record: RunRecord, name: PhaseName, window: Window) -> SignalRow:
    """The four golden signals of one phase as Prometheus saw them: medians over the phase, saturation its highest;
    None with why.
    """
    values: dict[str, list[float]] = {}
    why: dict[str, str] = {}
    for _, fact in record.index.facts(events.Sample):
        key = fact.name if fact.signal == "saturation" else fact.signal
        if fact.value is None:
            why[key] = fact.why
        elif window.start_ns / 1e9 <= float(fact.labels["t_s"]) < window.end_ns / 1e9:
            values.setdefault(key, []).append(fact.value)

    def middle(key: str) -> float | None:
        ordered = sorted(values.get(key, []))
        return ordered[len(ordered) // 2] if ordered else None

    latency_s = middle("latency")
    reasons = sorted({text for key, text in why.items() if key not in values})
    return SignalRow(
        phase=name.value,
        latency_p99_ms=None if latency_s is None else round(latency_s * 1e3, 3),
        traffic_per_s=middle("traffic"),
        errors_ratio=middle("errors"),
        saturation={key: max(values[key]) for key in ("cpu", "memory") if key in values},
        source="prometheus",
        why="; ".join(reasons),
    )
