"""Counting rows: exact percentiles, ratios with intervals, seconds and phases. Pure, standard library only.

A row belongs to the second and to the phase of its *intended* start, also when it was sent or answered later. Latency
counts from the intended start and is the timeout for everything bad (see `rows.Rows.latency_ns`).
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadgen.rows import Outcome, Rows

NS_PER_S = 1_000_000_000
Z_95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True, slots=True)
class Window:
    """A named stretch of time, [start_ns, end_ns) on CLOCK_MONOTONIC."""

    name: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A share between 0 and 1 with the bounds of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class WindowStats:
    """What was due in one window. Percentiles are None when there is no row to take them from.

    - `due`: rows; `sent`: those that were tried; `bad`: all but ok; `outcomes`: how often each occurred (none of 0).
    - `p50_ns` … `max_ns`: latency from the intended start of all rows, bad ones at the timeout.
    - `ok_p50_ns`, `ok_p99_ns`: the same of good rows alone. `service_p99_ns`: of good rows from their actual start,
      what a client without a schedule would have seen.
    - `lateness_p99_ns`, `lateness_max_ns`: how late this machine sent.
    """

    window: Window
    due: int
    sent: int
    bad: int
    outcomes: Mapping[Outcome, int]
    p50_ns: int | None
    p90_ns: int | None
    p99_ns: int | None
    p999_ns: int | None
    max_ns: int | None
    ok_p50_ns: int | None
    ok_p99_ns: int | None
    service_p99_ns: int | None
    lateness_p99_ns: int | None
    lateness_max_ns: int | None

    @property
    def bad_ratio(self) -> float | None:
        """Bad rows of due ones; None when nothing was due."""
        return self.bad / self.due if self.due else None


def nearest_rank(ordered: Sequence[int], share: float) -> int | None:
    """The smallest value that at least `share` of the ascending values do not exceed; None for no values."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def wilson(bad: int, total: int, *, z: float = Z_95) -> Interval:
    """Wilson score interval of bad/total; [0, 1] when total is 0. Too narrow for seconds that resemble their
    neighbours: a verdict widens it (load-and-slo C3).
    """
    if total == 0:
        return Interval(value=math.nan, low=0.0, high=1.0)
    ratio = bad / total
    scale = 1 + z * z / total
    centre = (ratio + z * z / (2 * total)) / scale
    half = z * math.sqrt(ratio * (1 - ratio) / total + z * z / (4 * total * total)) / scale
    return Interval(value=ratio, low=max(0.0, centre - half), high=min(1.0, centre + half))


def per_window(rows: Rows, windows: Iterable[Window]) -> list[WindowStats]:
    """One entry per window, in their order; windows may overlap, and rows outside all of them are not counted."""
    order = sorted(range(len(rows)), key=rows.intended_ns.__getitem__)
    by_start = _Ordered(
        intended=array("q", map(rows.intended_ns.__getitem__, order)),
        started=array("q", map(rows.started_ns.__getitem__, order)),
        service=array("q", map(rows.service_ns.__getitem__, order)),
        latency=array("q", map(rows.latency_ns().__getitem__, order)),
        outcome=bytes(map(rows.outcome.__getitem__, order)),
    )
    return [_window_stats(by_start, window) for window in windows]


def per_second(rows: Rows, *, start_ns: int, end_ns: int) -> list[WindowStats]:
    """One entry per second since `start_ns`, empty seconds included; the last window may be shorter than a second."""
    edges = [*range(start_ns, end_ns, NS_PER_S), end_ns]
    return per_window(rows, [Window(str(k), *edges[k : k + 2]) for k in range(len(edges) - 1)])


def whole(rows: Rows) -> WindowStats:
    """All rows as one window, from the first intended start to just after the last; [0, 0) for no rows."""
    start_ns = min(rows.intended_ns, default=0)
    return per_window(rows, [Window("whole", start_ns, max(rows.intended_ns, default=-1) + 1)])[0]


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Rows by intended start."""

    intended: array[int]
    started: array[int]
    service: array[int]
    latency: array[int]
    outcome: bytes


def _window_stats(rows: _Ordered, window: Window) -> WindowStats:
    part = slice(bisect_left(rows.intended, window.start_ns), bisect_left(rows.intended, window.end_ns))
    if part.start >= part.stop:
        return WindowStats(window, 0, 0, 0, {}, *[None] * 10)
    outcome, started = rows.outcome[part], rows.started[part]
    latency = rows.latency[part]
    outcomes = {Outcome(value): count for value, count in sorted(Counter(outcome).items())}
    good = sorted(value for value, bad in zip(latency, outcome, strict=True) if not bad)
    service = sorted(value for value, bad in zip(rows.service[part], outcome, strict=True) if not bad)
    late = sorted(at - due for at, due in zip(started, rows.intended[part], strict=True) if at)
    everything = sorted(good + [value for value, bad in zip(latency, outcome, strict=True) if bad])
    return WindowStats(
        window=window,
        due=len(outcome),
        sent=len(late),
        bad=len(outcome) - len(good),
        outcomes=outcomes,
        p50_ns=nearest_rank(everything, 0.50),
        p90_ns=nearest_rank(everything, 0.90),
        p99_ns=nearest_rank(everything, 0.99),
        p999_ns=nearest_rank(everything, 0.999),
        max_ns=nearest_rank(everything, 1.0),
        ok_p50_ns=nearest_rank(good, 0.50),
        ok_p99_ns=nearest_rank(good, 0.99),
        service_p99_ns=nearest_rank(service, 0.99),
        lateness_p99_ns=nearest_rank(late, 0.99),
        lateness_max_ns=nearest_rank(late, 1.0),
    )
