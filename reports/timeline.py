"""The run on one time axis: phases, events, and a panel each for traffic, failures, latency, endpoints and saturation.

Zero is the acknowledged taint where there is one, else the start of the run. All panels share the axis, the shaded
fault window and the event lines. A value of the window [t, t + step) is drawn in its middle.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.model.result import Event, Result, Series
from reports import svg
from reports.axes import TimeAxis
from reports.panels import Canvas, Panel, event_class, panels, step_s
from reports.words import offset, one_line

MAX_POINTS = 500
_NEAR = 0.035
_TIGHT, _TOO_NARROW = 0.15, 0.055


@dataclass(frozen=True, slots=True)
class Mark:
    """An event of the legend below the strip. `number` is what stands on its flag."""

    number: int
    when: str
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything the template needs. `data` goes to the script for the shared cursor."""

    origin: str
    strip: Markup
    marks: tuple[Mark, ...]
    panels: tuple[Panel, ...]
    x_axis: Markup
    axis: TimeAxis
    data: Mapping[str, Any]
    note: str


def build(result: Result, *, missing: Mapping[str, str]) -> Timeline | None:
    """The timeline, or None when the result has neither series nor phases. `missing`: why "load", "endpoints" or
    "saturation" is absent.
    """
    series = result.series
    span = _span(result)
    if span is None:
        return None
    axis = TimeAxis(*span, origin_s=result.origin_s if result.origin_s is not None else 0.0)
    canvas = Canvas(result=result, axis=axis, series=series, per_point=_per_point(series))
    return Timeline(
        origin="the acknowledged taint" if result.origin_s is not None else "the start of the run",
        strip=_strip(result, axis),
        marks=tuple(
            Mark(at + 1, offset(event.t_s - axis.origin_s), _label(event), event.kind)
            for at, event in enumerate(_events(result))
        ),
        panels=tuple(panels(canvas, missing)),
        x_axis=_x_axis(axis),
        axis=axis,
        data=canvas.data(),
        note=""
        if canvas.per_point == 1
        else f"Each point stands for {canvas.window_s:g} s: its highest latency and failure share, its mean rate.",
    )


def _label(event: Event) -> str:
    """What happened; injections and heals carry the same words in the result, so the action is put before them."""
    action = {"inject": "inject: ", "heal": "heal: "}.get(event.kind, "")
    return one_line(f"{action}{event.label or event.kind}", 120)


def _span(result: Result) -> tuple[float, float] | None:
    edges = [edge for phase in result.phases for edge in (phase.start_s, phase.end_s) if edge is not None]
    if result.series and result.series.t_s:
        edges += [result.series.t_s[0], result.series.t_s[-1] + step_s(result.series)]
    return (min(edges), max(edges)) if edges and max(edges) > min(edges) else None


def _per_point(series: Series | None) -> int:
    return max(1, math.ceil(len(series.t_s) / MAX_POINTS)) if series else 1


def _events(result: Result) -> tuple[Event, ...]:
    return tuple(sorted(result.events, key=lambda event: event.t_s))


def _strip(result: Result, axis: TimeAxis) -> Markup:
    """The named phases, and the numbered flags of the events above their lines."""
    height, flags = 46, 20
    bands, names = [], []
    for phase in result.phases:
        if phase.start_s is None or phase.end_s is None:
            continue
        x, end = axis.at(phase.start_s), axis.at(phase.end_s)
        class_ = "band fault-band" if phase.name == "fault" else "band"
        bands.append(
            svg.el(
                "rect", class_=class_, x=x * svg.STRETCH, y=flags, width=(end - x) * svg.STRETCH, height=height - flags
            )
        )
        if end - x >= _TOO_NARROW:
            tight = "phase tight" if end - x < _TIGHT else "phase"
            spot = {"data_t0": phase.start_s, "data_t1": phase.end_s}
            names.append(
                svg.el("text", one_line(phase.name, 24), class_=tight, x=svg.percent(x), dx=6, y=height - 9, **spot)
            )
    flagged = [
        svg.el(
            "svg",
            svg.el(
                "rect",
                class_=f"flag {event_class(kind)}",
                x=-4 - 4 * len(text),
                y=1,
                width=8 + 8 * len(text),
                height=16,
                rx=8,
            ),
            svg.el("text", text, class_="flag-text", x=0, y=13, text_anchor="middle"),
            x=svg.percent(axis.at(t_s)),
            y=0,
            overflow="visible",
            data_t=t_s,
        )
        for t_s, kind, text in _flags(_events(result), axis)
    ]
    return svg.drawing(
        svg.stretched(*bands, height=height),
        *names,
        *flagged,
        height=height,
        label="Phases and events",
        class_="plot strip",
    )


def _flags(events: Sequence[Event], axis: TimeAxis) -> Iterator[tuple[float, str, str]]:
    """(moment, kind, text) of one flag for each group of events that stand too near for a flag each: ``2``, ``2–4``."""
    groups: list[list[tuple[int, Event]]] = []
    for number, event in enumerate(events, start=1):
        if groups and axis.at(event.t_s) - axis.at(groups[-1][0][1].t_s) < _NEAR:
            groups[-1].append((number, event))
        else:
            groups.append([(number, event)])
    for group in groups:
        first, last = group[0], group[-1]
        text = str(first[0]) if first is last else f"{first[0]}–{last[0]}"
        yield first[1].t_s, first[1].kind, text


def _x_axis(axis: TimeAxis) -> Markup:
    """Tick marks and labels; the script makes new ones when it zooms."""
    parts = []
    for t_s, text in axis.ticks():
        x = axis.at(t_s)
        anchor = "start" if x < 0.02 else "end" if x > 0.97 else "middle"
        parts.append(svg.el("line", class_="tick", x1=svg.percent(x), x2=svg.percent(x), y1=0, y2=5))
        parts.append(svg.el("text", text, class_="tick-text", x=svg.percent(x), y=19, text_anchor=anchor))
    return svg.drawing(svg.el("g", *parts, class_="ticks"), height=24, label="Time axis", class_="plot x")
