"""Predicted against observed, a row for each pod: when Kubernetes had to evict it, when it did, when its replacement
was Ready.

Seconds count from the acknowledged taint. Groups are workloads, worst first; in a group, too. When there are more than
`MAX_ROWS` pods, violations come first (up to as many), then samples of every workload up to `MAX_WITH_SAMPLES` rows;
one overview row a workload stands for the pods left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.model.result import Result
from harness.model.verdicts import EvictionRow, PodVerdict
from reports import svg
from reports.axes import TimeAxis
from reports.evictions import VIOLATIONS, planned_otherwise, tally, worst_first
from reports.words import NO_DATA, offset, one_line, plural, window

MAX_ROWS, MAX_WITH_SAMPLES = 60, 24
_HEIGHT = 34
_POD_Y, _NEXT_Y = 12.0, 26.0
_GAUGE = 56.0


@dataclass(frozen=True, slots=True)
class Row:
    """One pod, as texts and a picture."""

    pod: str
    node: str
    tolerations: str
    rule: str
    verdict: str
    is_violation: bool
    timing: str
    reason: str
    track: Markup
    gauge: Markup


@dataclass(frozen=True, slots=True)
class Group:
    """One workload. `rest`: a sentence about pods without a row ("" when all have one), `rest_track` their overview."""

    name: str
    summary: str
    rows: tuple[Row, ...]
    rest: str
    rest_track: Markup


@dataclass(frozen=True, slots=True)
class Gantt:
    """All workloads on one axis. `has_fault_end`: a line marks it. `note` says what was left out of the picture, ""
    when nothing was.
    """

    groups: tuple[Group, ...]
    axis: Markup
    has_fault_end: bool
    note: str


def build(result: Result, tolerations: Mapping[str, str]) -> Gantt | None:
    """The chart, or None when no pod was judged. `tolerations`: words by UID, for rows of the result that have none."""
    rows = result.evictions
    if not rows:
        return None
    axis = _axis(result)
    shown = chosen(rows)
    tracks = _Tracks(axis, _fault_end_s(result), tolerations)
    note = (
        f"{len(shown)} of {len(rows):,} pods have a row of their own, violations first."
        if len(shown) < len(rows)
        else ""
    )
    groups = tuple(_group(name, members, shown, tracks) for name, members in _by_workload(rows))
    return Gantt(groups=groups, axis=_axis_picture(axis), has_fault_end=tracks.shows_fault_end, note=note)


def _by_workload(rows: Sequence[EvictionRow]) -> list[tuple[str, list[EvictionRow]]]:
    groups: dict[str, list[EvictionRow]] = {}
    for row in worst_first(rows):
        groups.setdefault(row.workload, []).append(row)
    return list(groups.items())


def chosen(rows: Sequence[EvictionRow]) -> frozenset[EvictionRow]:
    """The pods that get a row: all, up to MAX_ROWS; of more, as many violations, then samples of every workload."""
    if len(rows) <= MAX_ROWS:
        return frozenset(rows)
    chosen = [row for row in worst_first(rows) if row.verdict in VIOLATIONS][:MAX_ROWS]
    queues = [[row for row in members if row.verdict not in VIOLATIONS] for _, members in _by_workload(rows)]
    for turn in range(MAX_WITH_SAMPLES):
        for queue in queues:
            if turn < len(queue) and len(chosen) < MAX_WITH_SAMPLES:
                chosen.append(queue[turn])
    return frozenset(chosen)


def _fault_end_s(result: Result) -> float | None:
    fault = result.fault
    if fault is None or fault.end_s is None or fault.acknowledged_s is None:
        return None
    return fault.end_s - fault.acknowledged_s


def _axis(result: Result) -> TimeAxis:
    """From just before the taint to the last thing seen, or to the fault's end where a pod outlived it; never past the
    run's end.
    """
    moments = [moment for row in result.evictions for moment in _moments(row)]
    fault_s = _fault_end_s(result)
    if fault_s is not None and any(row.observed_s is None for row in result.evictions):
        moments.append(fault_s)
    end_s = max([moment for moment in moments if moment > 0], default=1.0) * 1.06
    seen_to = [phase.end_s for phase in result.phases if phase.end_s is not None]
    if seen_to and result.origin_s is not None and max(seen_to) > result.origin_s:
        end_s = min(end_s, max(seen_to) - result.origin_s)
    start_s = min(-0.02 * end_s, min(moments, default=0.0) * 1.05)
    return TimeAxis(start_s, end_s)


def _moments(row: EvictionRow) -> Iterator[float]:
    seen = (row.observed_s, row.gone_s, row.replacement_scheduled_s, row.replacement_ready_s)
    yield from (moment for moment in (*seen, *(row.predicted_s or ())) if moment is not None)


def _group(name: str, members: Sequence[EvictionRow], shown: frozenset[EvictionRow], tracks: _Tracks) -> Group:
    rest = [row for row in members if row not in shown]
    return Group(
        name=one_line(name, 80) or "without a workload",
        summary=f"{plural(len(members), 'pod')}: {tally(members)}",
        rows=tuple(_row(row, tracks) for row in members if row in shown),
        rest=f"{len(rest):,} more: {tally(rest)}" if rest else "",
        rest_track=tracks.overview(rest) if rest else Markup(),
    )


def _row(row: EvictionRow, tracks: _Tracks) -> Row:
    return Row(
        pod=one_line(row.pod, 120),
        node=one_line(row.node, 80),
        tolerations=one_line(row.tolerations or tracks.tolerations.get(row.uid, ""), 160),
        rule=one_line(row.rule, 60),
        verdict=row.verdict.value,
        is_violation=row.verdict in VIOLATIONS,
        timing=_timing(row),
        reason=one_line(row.reason, 300),
        track=tracks.pod(row),
        gauge=gauge(row),
    )


def _timing(row: EvictionRow) -> str:
    """What was seen against what had to be: ``+0.12 s of 0 – 1 s``."""
    due = window(row.predicted_s)
    if row.observed_s is not None:
        return f"{offset(row.observed_s)} of {due}" if row.predicted_s else f"{offset(row.observed_s)}, had to stay"
    if row.verdict is PodVerdict.UNKNOWN:
        return f"no data, due {due}" if row.predicted_s else NO_DATA
    return f"stayed, due {due}" if row.predicted_s else "had to stay"


def gauge(row: EvictionRow) -> Markup:
    """The predicted interval alone, magnified: where in it, or how far outside in its own widths, the deletion was
    seen.

    On the common axis an interval of a fraction of a second is a hair. Nothing without an interval or an observation.
    """
    if row.predicted_s is None or row.observed_s is None:
        return Markup()
    low_s, high_s = row.predicted_s
    share = (row.observed_s - low_s) / (high_s - low_s) if high_s > low_s else 0.5 if row.observed_s == low_s else 9.0
    x = min(_GAUGE - 2.0, max(2.0, _GAUGE * (0.25 + 0.5 * share)))
    wrong = " wrong" if row.verdict in VIOLATIONS else ""
    return svg.el(
        "svg",
        svg.el("line", class_="g-alive", x1=0, x2=_GAUGE, y1=7, y2=7),
        svg.el("rect", class_="g-predicted", x=_GAUGE / 4, y=1.5, width=_GAUGE / 2, height=11, rx=2),
        svg.el("line", class_=f"g-needle{wrong}", x1=x, x2=x, y1=0, y2=14),
        class_="gauge",
        width=_GAUGE,
        height=14,
        aria_hidden="true",
    )


@dataclass(frozen=True, slots=True)
class _Tracks:
    """Draws rows on one axis; `fault_s` is the end of the fault window, None when unknown."""

    axis: TimeAxis
    fault_s: float | None
    tolerations: Mapping[str, str]

    @property
    def shows_fault_end(self) -> bool:
        """Whether the end of the fault window lies on the axis."""
        return self.fault_s is not None and self.fault_s < self.axis.end_s

    def pod(self, row: EvictionRow) -> Markup:
        """The pod's own life above, its replacement's below."""
        at, axis = self.axis.at, self.axis
        parts = [*self._ground()]
        if row.planned_s and planned_otherwise(row):
            parts += self._band(*row.planned_s, _POD_Y, 18, "g-planned")
        if row.predicted_s:
            parts += self._band(*row.predicted_s, _POD_Y, 18)
        left_s = row.observed_s if row.observed_s is not None else axis.end_s
        wrong = " wrong" if row.verdict in VIOLATIONS else ""
        parts.append(_level(at(axis.start_s), at(left_s), _POD_Y, "g-alive"))
        if row.predicted_s and left_s > row.predicted_s[1] and wrong:
            parts.append(_level(at(row.predicted_s[1]), at(left_s), _POD_Y, "g-overdue"))
        if row.observed_s is not None and row.gone_s is not None:
            x, width = at(row.observed_s), at(row.gone_s) - at(row.observed_s)
            parts.append(
                svg.el("rect", class_="g-term", x=svg.percent(x), width=svg.percent(width), y=_POD_Y - 3, height=6)
            )
        if row.observed_s is not None:
            diamond = svg.el("path", d="M0-5L5 0L0 5L-5 0z")
            parts.append(svg.marker(diamond, x=at(row.observed_s), y=_POD_Y, class_=f"g-seen{wrong}"))
        elif row.verdict is not PodVerdict.UNKNOWN:
            arrow = svg.el("path", d="M-8-5L0 0L-8 5z")
            parts.append(svg.marker(arrow, x=1.0, y=_POD_Y, class_=f"g-stays{wrong}"))
        parts += self._replacement(row)
        label = f"{row.pod}: {row.verdict}, {_timing(row)}"
        return svg.drawing(*parts, height=_HEIGHT, label=one_line(label, 300), class_="track")

    def overview(self, rows: Sequence[EvictionRow]) -> Markup:
        """Many pods in one row: every predicted interval as a band, every observed eviction as a stroke."""
        bands = sorted({row.predicted_s for row in rows if row.predicted_s})
        parts = [*self._ground()]
        for band in bands[:40]:
            parts += self._band(*band, _HEIGHT / 2, 20)
        seen = sorted({round(self.axis.at(row.observed_s), 3) for row in rows if row.observed_s is not None})
        strokes = "".join(f"M{svg.number(x * svg.STRETCH)} 6v{_HEIGHT - 12}" for x in seen)
        parts.append(svg.stretched(svg.el("path", class_="g-stroke", d=strokes), height=_HEIGHT))
        return svg.drawing(
            *parts, height=_HEIGHT, label=f"{plural(len(rows), 'more pod')}: {tally(rows)}", class_="track"
        )

    def _ground(self) -> Iterator[Markup]:
        at = self.axis.at
        places = (svg.number(at(t_s) * svg.STRETCH) for t_s, _ in self.axis.ticks())
        lines = "".join(f"M{x} 0v{_HEIGHT}" for x in places)
        yield svg.stretched(svg.el("path", class_="grid", d=lines), height=_HEIGHT)
        if self.fault_s is not None and self.shows_fault_end:
            x = svg.percent(at(self.fault_s))
            yield svg.el("line", class_="fault-end", x1=x, x2=x, y1=0, y2=_HEIGHT)

    def _band(
        self, low_s: float, high_s: float, y: float, height: float, kind: str = "g-predicted"
    ) -> Iterator[Markup]:
        """A predicted interval; one that starts after the axis ends is said in words at the edge."""
        if low_s > self.axis.end_s:
            if kind != "g-predicted":
                return
            text = f"due {offset(low_s)}, after the end"
            yield svg.el("text", text, class_="g-later", x="100%", dx=-12, y=y + 16, text_anchor="end")
            return
        x, width = svg.percent(self.axis.at(low_s)), svg.percent(self.axis.at(high_s) - self.axis.at(low_s))
        yield svg.el("rect", class_=kind, rx=1, x=x, width=width, y=y - height / 2, height=height)

    def _replacement(self, row: EvictionRow) -> Iterator[Markup]:
        start_s, ready_s = row.replacement_scheduled_s, row.replacement_ready_s
        known = [moment for moment in (start_s, ready_s) if moment is not None]
        if not known:
            return
        class_, last_s = ("g-pending", self.axis.end_s) if ready_s is None else ("g-starting", ready_s)
        yield _level(self.axis.at(known[0]), self.axis.at(last_s), _NEXT_Y, class_)
        if start_s is not None:
            yield svg.marker(svg.el("circle", r=3.5), x=self.axis.at(start_s), y=_NEXT_Y, class_="g-scheduled")
        if ready_s is not None:
            yield svg.marker(svg.el("circle", r=4), x=self.axis.at(ready_s), y=_NEXT_Y, class_="g-ready")


def _level(start: float, end: float, y: float, class_: str) -> Markup:
    return svg.el("line", class_=class_, x1=svg.percent(start), x2=svg.percent(end), y1=y, y2=y)


def _axis_picture(axis: TimeAxis) -> Markup:
    parts = []
    for t_s, text in axis.ticks():
        x = axis.at(t_s)
        anchor = "end" if x > 0.96 else "middle"
        parts.append(svg.el("text", text, class_="tick-text", x=svg.percent(x), y=13, text_anchor=anchor))
    return svg.drawing(*parts, height=18, label="Seconds from the acknowledged taint", class_="track x")
