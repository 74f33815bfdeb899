"""The panels of the timeline: traffic, failures, latency, ready endpoints, saturation. A gap in the data is a gap in
the curve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from harness.model.result import Result, Saturation, Series
from reports import svg
from reports.axes import LinearScale, LogScale, TimeAxis, linear, logarithmic, thinned
from reports.words import one_line, tick

_MAX_SATURATION = 4
_Y_WIDTH = 58

Values = tuple[float | None, ...]

_BLANK = Markup()


def step_s(series: Series | None) -> float:
    """Length of one window in seconds; 1 when there are not two to tell."""
    times = series.t_s if series else ()
    return times[1] - times[0] if len(times) > 1 else 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """One series of a panel: its key in the script's data, its name, and its class (the colour). Without a name it is
    only told by the cursor.
    """

    key: str
    name: str
    class_: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One row of the timeline. `missing` says why there is nothing to draw; then the rest is empty."""

    title: str
    unit: str
    keys: tuple[Key, ...] = ()
    y_axis: Markup = _BLANK
    plot: Markup = _BLANK
    note: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Canvas:
    """What all panels share, and how a series becomes a curve."""

    result: Result
    axis: TimeAxis
    series: Series | None
    per_point: int

    @property
    def window_s(self) -> float:
        """Seconds that one point stands for."""
        return self.per_point * step_s(self.series)

    @property
    def times_s(self) -> tuple[float, ...]:
        """The middle of each window drawn."""
        if self.series is None:
            return ()
        half_s = self.window_s / 2
        return tuple(t_s + half_s for t_s in self.series.t_s[:: self.per_point])

    def thin(self, values: Values, keep: str = "max") -> Values:
        """As many values as `times_s` has."""
        return thinned(values, per_point=self.per_point, keep=keep)

    def points(self, values: Values, y_at: Callable[[float], float]) -> list[svg.Point | None]:
        """Places in the stretched picture; None where nothing was measured."""
        return [
            None if value is None else (self.axis.at(t_s) * svg.STRETCH, y_at(value))
            for t_s, value in zip(self.times_s, values, strict=True)
        ]

    def steps(self, values: Values, y_at: Callable[[float], float]) -> list[svg.Point | None]:
        """The same as stairs: each value holds for its whole window."""
        width = self.bar_width / 2
        out: list[svg.Point | None] = []
        for point in self.points(values, y_at):
            out += [None] if point is None else [(point[0] - width, point[1]), (point[0] + width, point[1])]
        return out

    @property
    def bar_width(self) -> float:
        """One window in units of the stretched picture."""
        return svg.STRETCH * self.window_s / (self.axis.end_s - self.axis.start_s)

    def backdrop(self, height: float) -> Markup:
        """The fault window, the edges of the phases and a line for each event."""
        at, parts = self.axis.at, []
        fault = self.result.fault
        if fault and fault.start_s is not None and fault.end_s is not None:
            x, end = at(fault.start_s) * svg.STRETCH, at(fault.end_s) * svg.STRETCH
            parts.append(svg.el("rect", class_="fault", x=x, y=0, width=end - x, height=height))
        edges = [phase.start_s for phase in self.result.phases[1:] if phase.start_s is not None]
        parts += [_upright(at(edge_s), height, "edge") for edge_s in edges]
        parts += [_upright(at(event.t_s), height, f"event {event_class(event.kind)}") for event in self.result.events]
        return svg.joined(parts)

    def data(self) -> dict[str, Any]:
        """For the script: the axis, and each series by key, thinned as it is drawn and rounded for display."""
        out: dict[str, Any] = {
            "start": self.axis.start_s,
            "end": self.axis.end_s,
            "origin": self.axis.origin_s,
            "started": one_line(self.result.started, 40),
            "t": [round(t_s, 3) for t_s in self.times_s],
        }
        series = self.series
        if series is None:
            return {**out, "series": {}}
        drawn = {
            "due": (self.thin(series.due, "mean"), "rate"),
            "done": (self.thin(series.sent, "mean"), "rate"),
            "bad_ratio": (self.thin(series.bad_ratio), "ratio"),
            "bad": (self.thin(series.bad), "bad"),
            "p50": (self.thin(series.p50_ms), "ms"),
            "p99": (self.thin(series.p99_ms), "ms"),
            "good": (self.thin(series.success_p99_ms), "ms"),
            "ready": (self.thin(series.ready_endpoints, "min"), "count"),
        }
        drawn |= {
            f"sat{n}": (self.thin(part.values), one_line(part.unit, 20)) for n, part in enumerate(series.saturation)
        }
        return {
            **out,
            "series": {
                key: {"unit": unit, "v": [None if value is None else float(f"{value:.4g}") for value in values]}
                for key, (values, unit) in drawn.items()
                if values
            },
        }


def panels(canvas: Canvas, missing: Mapping[str, str]) -> Iterator[Panel]:
    """All panels from top to bottom; one without data carries the reason from `missing`."""
    series = canvas.series
    if series and _any(series.sent):
        yield _traffic(canvas, series)
        if _any(series.bad_ratio):
            yield _failures(canvas, series)
        if _any(series.p99_ms):
            yield _latency(canvas, series)
    else:
        yield Panel("Traffic, failures, latency", "", missing=missing["load"])
    if series and _any(series.ready_endpoints):
        yield _endpoints(canvas, series)
    else:
        yield Panel("Ready endpoints", "", missing=missing["endpoints"])
    parts = series.saturation if series else ()
    measured = [(f"sat{n}", part) for n, part in enumerate(parts) if _any(part.values)]
    if not measured:
        yield Panel("Saturation", "", missing=missing["saturation"])
    for unit in dict.fromkeys(part.unit for _, part in measured):
        yield _saturation(canvas, unit, [(key, part) for key, part in measured if part.unit == unit])


def _any(values: Values) -> bool:
    return any(value is not None for value in values)


def _traffic(canvas: Canvas, series: Series) -> Panel:
    height = 84
    due, done = (
        tuple(None if n is None else n / (step_s(series) or 1.0) for n in canvas.thin(values, "mean"))
        for values in (series.due, series.sent)
    )
    scale = linear((*due, *done), height=height)
    curves = (
        svg.polyline(canvas.points(due, scale.at), "line s-due") if due else _BLANK,
        svg.polyline(canvas.points(done, scale.at), "line s-done"),
    )
    keys = (Key("due", "due", "s-due"), Key("done", "sent", "s-done"))
    return _panel(canvas, Panel("Traffic", "requests/s", keys), scale=scale, curves=curves, unit="")


def _failures(canvas: Canvas, series: Series) -> Panel:
    height = 60
    ratio = canvas.thin(series.bad_ratio)
    scale = linear(ratio, height=height, at_least=0.01)
    scale = LinearScale(top=min(1.0, scale.top), height=height)
    curves = (
        svg.bars(canvas.points(ratio, scale.at), width=canvas.bar_width, base=height, class_="s-bad"),
        _measured_line(canvas, ratio, height),
    )
    keys = (Key("bad_ratio", "share of requests", "s-bad"), Key("bad", "", ""))
    return _panel(canvas, Panel("Failures", "late, refused or wrong", keys), scale=scale, curves=curves, unit="ratio")


def _measured_line(canvas: Canvas, values: Values, height: float) -> Markup:
    """A thin line at zero wherever something was measured, so that "none bad" and "not measured" do not look alike."""
    return svg.polyline(
        canvas.steps(tuple(None if v is None else 0.0 for v in values), lambda _: height - 1), "line s-zero"
    )


def _latency(canvas: Canvas, series: Series) -> Panel:
    """p50 and p99 with failures at the time limit; where that differs, the p99 of good requests as a third curve."""
    height = 108
    curves = {
        Key("p50", "p50", "s-p50"): canvas.thin(series.p50_ms),
        Key("good", "p99 of good requests", "s-good"): canvas.thin(series.success_p99_ms),
        Key("p99", "p99, failures at the time limit", "s-p99"): canvas.thin(series.p99_ms),
    }
    if series.success_p99_ms == series.p99_ms or not series.success_p99_ms:
        del curves[Key("good", "p99 of good requests", "s-good")]
    scale = logarithmic([value for values in curves.values() for value in values], length=height)
    drawn = [svg.polyline(canvas.points(values, scale.at), f"line {key.class_}") for key, values in curves.items()]
    panel = Panel("Latency", "log scale", tuple(curves))
    return _panel(canvas, panel, scale=scale, curves=drawn, unit="ms")


def _endpoints(canvas: Canvas, series: Series) -> Panel:
    ready = canvas.thin(series.ready_endpoints, "min")
    peak = max([value for value in ready if value is not None])
    scale = LinearScale(top=max(1.0, peak), height=48, middle=False)
    curves = (svg.polyline(canvas.steps(ready, scale.at), "line s-ready"),)
    panel = Panel("Ready endpoints", "lowest in each second", (Key("ready", "ready", "s-ready"),))
    return _panel(canvas, panel, scale=scale, curves=curves, unit="")


def _saturation(canvas: Canvas, unit: str, parts: Sequence[tuple[str, Saturation]]) -> Panel:
    """The series of one unit; more than `_MAX_SATURATION` would be unreadable, so the highest are kept and the note
    says so.
    """
    ranked = sorted(parts, key=lambda part: -max(value for value in part[1].values if value is not None))
    shown = [part for part in parts if part in ranked[:_MAX_SATURATION]]
    thin = [canvas.thin(part.values) for _, part in shown]
    peak = max(value for values in thin for value in values if value is not None)
    scale = linear([peak], height=60, at_least=1e-6, binary=unit in ("bytes", "B"))
    curves = tuple(svg.polyline(canvas.points(values, scale.at), f"line s-sat{n}") for n, values in enumerate(thin))
    keys = tuple(Key(key, one_line(part.name, 60), f"s-sat{n}") for n, (key, part) in enumerate(shown))
    note = f"the {len(shown)} highest of {len(parts)}" if len(shown) < len(parts) else ""
    panel = Panel("Saturation", one_line(unit, 20), keys, note=note)
    return _panel(canvas, panel, scale=scale, curves=curves, unit=unit)


def _panel(
    canvas: Canvas,
    panel: Panel,
    *,
    scale: LinearScale | LogScale,
    curves: Sequence[Markup],
    unit: str,
) -> Panel:
    """`panel` with its pictures: y labels in a column of their own, the plot beside it."""
    height = scale.height if isinstance(scale, LinearScale) else scale.length
    ticks = scale.ticks()
    lines = [svg.el("line", class_="grid", x1="0", x2="100%", y1=scale.at(t), y2=scale.at(t)) for t in ticks]
    names = [
        svg.el("text", tick(t, unit), x=_Y_WIDTH - 8, y=min(height - 1, max(8, scale.at(t) + 4)), text_anchor="end")
        for t in ticks
    ]
    plot = svg.drawing(
        *lines,
        svg.stretched(canvas.backdrop(height), *curves, height=height),
        height=height,
        label=f"{panel.title} over time: {', '.join(key.name for key in panel.keys)}",
    )
    y_axis = svg.el("svg", *names, class_="y", width=_Y_WIDTH, height=height, aria_hidden="true", overflow="visible")
    return replace(panel, y_axis=y_axis, plot=plot)


def _upright(x: float, height: float, class_: str) -> Markup:
    place = x * svg.STRETCH
    return svg.el("line", class_=class_, x1=place, x2=place, y1=0, y2=height)


def event_class(kind: str) -> str:
    """A class name from an event kind: known kinds only, so that foreign text never becomes a class."""
    return kind if kind in ("inject", "heal", "first-eviction", "last-ready", "guard", "gap") else "other"
