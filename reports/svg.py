"""SVG that needs no script and fits any width: x in percent of the plot, y in pixels.

Curves cannot be given in percent, so they live in a `stretched` inner picture whose x runs from 0 to `STRETCH` and
whose strokes keep their width. No style attributes anywhere: the page's content policy forbids them, and colours belong
to the style sheet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

STRETCH = 1000
"""Width of the inner picture: a tenth of its unit is below a tenth of a pixel on a desk's screen."""

Point = tuple[float, float]


def number(value: float, decimals: int = 2) -> str:
    """At most `decimals` decimals, no trailing zeros: 12, 12.5, 0.33."""
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{value:.0f}"
    return "0" if text == "-0" else text


def percent(fraction: float) -> str:
    """0.125 as ``12.5%``."""
    return number(fraction * 100) + "%"


def el(name: str, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """An element. Children and attribute values are escaped unless they are Markup; None leaves an attribute out.

    Attribute names are written with ``_`` for ``-`` and may end in ``_`` to step around a keyword (``class_``);
    ``viewBox`` and the like are given as they are.
    """
    parts = [Markup("<"), escape(name)]
    for key, value in attributes.items():
        if value is not None:
            shown = value if isinstance(value, str) else number(value)
            parts += [Markup(" "), escape(key.rstrip("_").replace("_", "-")), Markup('="'), escape(shown), Markup('"')]
    body = Markup("").join(escape(child) for child in children)
    parts.append(Markup(">") + body + Markup("</") + escape(name) + Markup(">") if children else Markup("/>"))
    return Markup("").join(parts)


def joined(parts: Iterable[Markup]) -> Markup:
    """All of them, nothing in between."""
    return Markup("").join(parts)


def drawing(*children: Markup, height: float, label: str, class_: str = "plot") -> Markup:
    """A picture as wide as its place and `height` px high; `label` is what a screen reader says."""
    return el("svg", *children, class_=class_, width="100%", height=height, role="img", aria_label=label)


def stretched(*children: Markup, height: float) -> Markup:
    """The inner picture for curves: x from 0 to `STRETCH` over the whole width, y in px. The script zooms by changing
    its viewBox.
    """
    return el(
        "svg",
        *children,
        class_="zoom",
        width="100%",
        height=height,
        viewBox=f"0 0 {STRETCH} {number(height)}",
        preserveAspectRatio="none",
    )


def marker(*children: Markup, x: float, y: float, class_: str = "", title: str = "") -> Markup:
    """A mark that keeps its shape at x (a fraction of the width) and y px; children are drawn around 0,0."""
    text = (el("title", title),) if title else ()
    return el("svg", *text, *children, class_=class_ or None, x=percent(x), y=y, overflow="visible")


def polyline(points: Sequence[Point | None], class_: str) -> Markup:
    """A path through `points`; None breaks it, so that a gap is seen as a gap. A point alone between gaps is a dot."""
    lines: list[str] = []
    dots: list[str] = []
    run: list[Point] = []
    for point in (*points, None):
        if point is not None:
            run.append(point)
            continue
        if len(run) == 1:
            dots.append(f"M{number(run[0][0], 1)} {number(run[0][1], 1)}h0.01")
        elif run:
            lines.append("M" + "L".join(f"{number(x, 1)} {number(y, 1)}" for x, y in run))
        run = []
    paths = ((class_, lines), (f"{class_} dot", dots))
    return joined(el("path", class_=name, d="".join(commands)) for name, commands in paths if commands)


def bars(points: Sequence[Point | None], *, width: float, base: float, class_: str) -> Markup:
    """One filled path of bars centred on their x, from `base` up to y; bars of no height are left out."""
    half = width / 2
    commands = [
        f"M{number(x - half)} {number(base)}V{number(y, 1)}h{number(width)}V{number(base)}z"
        for x, y in (point for point in points if point is not None)
        if y < base
    ]
    return el("path", class_=class_, d="".join(commands)) if commands else Markup("")
