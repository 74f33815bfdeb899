"""The distribution of latency in each phase, from the rows the load process wrote, on one logarithmic axis.

Only a picture: the percentiles in the table beside it come from ``result.json``. Latency counts from the intended
start; requests that failed are not in the histogram but counted beside it, because they have no latency, only a time
limit.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from harness.errors import TaintlabError
from harness.model.result import Phase
from loadgen.rows import Rows, read_folder
from reports import svg
from reports.axes import LogScale, logarithmic
from reports.words import milliseconds, one_line, plural, tick

BUCKETS_PER_DECADE = 12
_HEIGHT = 54


@dataclass(frozen=True, slots=True)
class Distribution:
    """Good requests of one phase by latency (bucket n holds 10^(n/12) ms up to the next), and how many were bad."""

    good: Mapping[int, int]
    bad: int


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """One phase: its picture, and what stands at its right edge."""

    name: str
    plot: Markup
    bad: str


@dataclass(frozen=True, slots=True)
class LatencyChart:
    """All phases. `note` explains the picture, or why only percentiles can be shown."""

    rows: tuple[LatencyRow, ...]
    axis: Markup
    note: str


def distributions(folder: Path, phases: Sequence[Phase], mono_ns: int) -> dict[str, Distribution]:
    """Read ``folder/rows-*.bin`` and sort its rows into `phases` by intended start. `mono_ns`: CLOCK_MONOTONIC at the
    start of the run.

    Raises TaintlabError when the rows cannot be read.
    """
    return distribute(read_folder(folder), phases, mono_ns)


def distribute(rows: Rows, phases: Sequence[Phase], mono_ns: int) -> dict[str, Distribution]:
    """The same for rows already read; rows outside every phase are left out."""
    spans = sorted(
        (mono_ns + round(phase.start_s * 1e9), mono_ns + round(phase.end_s * 1e9), phase.name)
        for phase in phases
        if phase.start_s is not None and phase.end_s is not None
    )
    starts = [start for start, _, _ in spans]
    good: dict[str, Counter[int]] = {name: Counter() for _, _, name in spans}
    bad: Counter[str] = Counter()
    for due_ns, latency_ns, outcome in zip(rows.intended_ns, rows.latency_ns(), rows.outcome, strict=True):
        place = bisect_right(starts, due_ns) - 1
        if place < 0 or due_ns >= spans[place][1]:
            continue
        name = spans[place][2]
        if outcome:
            bad[name] += 1
        else:
            good[name][math.floor(math.log10(max(latency_ns, 1) / 1e6) * BUCKETS_PER_DECADE)] += 1
    return {name: Distribution(good=dict(counts), bad=bad[name]) for name, counts in good.items()}


def build(phases: Sequence[Phase], found: Mapping[str, Distribution], why_not: str) -> LatencyChart | None:
    """The chart of all phases with traffic; None when there is none. `why_not`: why `found` is empty."""
    busy = [phase for phase in phases if phase.p50_ms is not None]
    if not busy:
        return None
    marks = [value for phase in busy for value in (phase.p50_ms, phase.max_ms, phase.p99_ms)]
    buckets = [10 ** (n / BUCKETS_PER_DECADE) for part in found.values() for n in part.good]
    scale = logarithmic([*marks, *buckets], length=svg.STRETCH, flipped=False)
    rows = tuple(_row(phase, found.get(phase.name), scale) for phase in busy)
    note = (
        "Marks: p50, p90, p99 (blue), max. Height: good requests, on a log scale too, so that single slow ones show."
        if found
        else f"Marks: p50, p90, p99 (blue), max. No histogram: {why_not}."
    )
    return LatencyChart(rows=rows, axis=_axis_picture(scale), note=note)


def _row(phase: Phase, found: Distribution | None, scale: LogScale) -> LatencyRow:
    base = _HEIGHT - 8
    parts = [_grid(scale)]
    if found and found.good:
        parts.append(svg.stretched(_histogram(found.good, scale, base), height=_HEIGHT))
    if phase.p50_ms is not None and phase.max_ms is not None:
        x1, x2 = svg.percent(scale.at(phase.p50_ms) / svg.STRETCH), svg.percent(scale.at(phase.max_ms) / svg.STRETCH)
        parts.append(svg.el("line", class_="l-reach", x1=x1, x2=x2, y1=base, y2=base))
    named = (("p50", phase.p50_ms), ("p90", phase.p90_ms), ("p99", phase.p99_ms), ("max", phase.max_ms))
    for name, value in named:
        if value is not None:
            mark = svg.el("circle", r=2.5) if name == "max" else svg.el("path", d="M0-5V5")
            title = f"{name} {milliseconds(value)}"
            parts.append(svg.marker(mark, x=scale.at(value) / svg.STRETCH, y=base, class_=f"l-{name}", title=title))
    words = ", ".join(f"{name} {milliseconds(value)}" for name, value in named)
    bad = plural(phase.bad, "bad request") if phase.bad else ""
    plot = svg.drawing(*parts, height=_HEIGHT, label=f"Latency in {one_line(phase.name, 40)}: {words}")
    return LatencyRow(name=one_line(phase.name, 40), plot=plot, bad=bad)


def _histogram(good: Mapping[int, int], scale: LogScale, base: float) -> Markup:
    """Stairs over the buckets, log(1 + requests) high."""
    top = math.log1p(max(good.values()))
    commands = []
    for bucket in sorted(good):
        low, high = (10 ** ((bucket + edge) / BUCKETS_PER_DECADE) for edge in (0, 1))
        height = (base - 12) * math.log1p(good[bucket]) / top
        x, end, y = scale.at(low), scale.at(high), base - height
        commands.append(f"M{svg.number(x)} {svg.number(base)}V{svg.number(y)}H{svg.number(end)}V{svg.number(base)}z")
    return svg.el("path", class_="l-shape", d="".join(commands))


def _grid(scale: LogScale) -> Markup:
    places = [svg.percent(scale.at(decade) / svg.STRETCH) for decade in scale.ticks()]
    return svg.joined(svg.el("line", class_="grid", x1=x, x2=x, y1=0, y2=_HEIGHT) for x in places)


def _axis_picture(scale: LogScale) -> Markup:
    parts = []
    for decade in scale.ticks():
        x = scale.at(decade) / svg.STRETCH
        anchor = "start" if x < 0.02 else "end" if x > 0.98 else "middle"
        parts.append(svg.el("text", tick(decade, "ms"), class_="tick-text", x=svg.percent(x), y=13, text_anchor=anchor))
    return svg.drawing(*parts, height=18, label="Latency from the intended start", class_="plot x")


def why_unreadable(error: TaintlabError) -> str:
    """The reason as the page gives it: without the folder's absolute path."""
    return one_line(str(error).rpartition("/")[2], 200)
