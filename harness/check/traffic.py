"""The load's rows on the run's clock, ready to be counted. Columns, not objects: a run may have millions of rows."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass

from harness.history.stories import Window
from loadgen.rows import Rows


@dataclass(frozen=True, slots=True)
class Traffic:
    """Rows sorted by intended start. `intended_ns` counts from the run's start; `latency_ns` from the intended start,
    and is the timeout for every bad row; `bad` holds 0 for an answered request, else the outcome's number.
    """

    intended_ns: array[int]
    latency_ns: array[int]
    bad: bytes

    def count(self, window: Window, *, threshold_s: float | None = None) -> tuple[int, int]:
        """(requests due in the window, bad ones of them). With a threshold, slower ones are bad as well."""
        part = self._slice(window)
        outcomes = self.bad[part]
        failed = len(outcomes) - outcomes.count(0)
        if threshold_s is None:
            return len(outcomes), failed
        limit_ns = int(threshold_s * 1e9)
        pairs = zip(self.latency_ns[part], outcomes, strict=True)
        return len(outcomes), sum(1 for latency, bad in pairs if bad or latency > limit_ns)

    def _slice(self, window: Window) -> slice:
        return slice(bisect_left(self.intended_ns, window.start_ns), bisect_left(self.intended_ns, window.end_ns))


def traffic_of(rows: Rows, *, start_mono_ns: int) -> Traffic:
    """The columns; `start_mono_ns` is CLOCK_MONOTONIC at the run's start."""
    order = sorted(range(len(rows)), key=rows.intended_ns.__getitem__)
    latency = rows.latency_ns()
    return Traffic(
        intended_ns=array("q", [rows.intended_ns[i] - start_mono_ns for i in order]),
        latency_ns=array("q", [latency[i] for i in order]),
        bad=bytes(rows.outcome[i] for i in order),
    )
