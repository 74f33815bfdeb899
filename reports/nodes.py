"""What the history says of the target nodes: their taints, cordons and readiness, as spans on the timeline's axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports import svg
from reports.axes import TimeAxis
from reports.folder import Fact
from reports.words import one_line

MAX_NODES = 4
_LANE = 20


@dataclass(frozen=True, slots=True)
class Span:
    """One condition of one node. `end_s` None: it still held when the history ended."""

    what: str
    class_: str
    start_s: float
    end_s: float | None


@dataclass(frozen=True, slots=True)
class NodeStrip:
    """One node with what changed on it; the spans that were there from beginning to end are left out of the picture."""

    name: str
    plot: Markup
    words: str


def strips(facts: Sequence[Fact], targets: Sequence[str], axis: TimeAxis) -> tuple[NodeStrip, ...]:
    """One strip for each of the first `MAX_NODES` targets on which something changed. `facts`: the NodeSeen of the
    history.
    """
    out = []
    for name in targets:
        spans = [span for span in node_spans(facts, name) if _changed(span, facts)]
        if spans:
            out.append(NodeStrip(name=one_line(name, 80), plot=_picture(spans, axis), words=_words(spans)))
    return tuple(out[:MAX_NODES])


def node_spans(facts: Sequence[Fact], name: str) -> tuple[Span, ...]:
    """Every taint, cordon and loss of readiness of node `name`, in order of appearance."""
    open_since: dict[tuple[str, str], float] = {}
    spans: list[Span] = []
    for fact in facts:
        if fact.text("name") != name:
            continue
        now = set() if fact.text("change") == "DELETED" else set(_conditions(fact))
        for what, class_ in [key for key in open_since if key not in now]:
            spans.append(Span(what, class_, open_since.pop((what, class_)), fact.t_s))
        for key in sorted(now):
            open_since.setdefault(key, fact.t_s)
    spans += [Span(what, class_, since_s, None) for (what, class_), since_s in open_since.items()]
    return tuple(sorted(spans, key=lambda span: (span.start_s, span.what)))


def _conditions(fact: Fact) -> Iterator[tuple[str, str]]:
    """(words, class) of what holds in one sight of a node."""
    taints = fact.fields.get("taints")
    for taint in taints if isinstance(taints, list) else ():
        if isinstance(taint, dict):
            value = f"={taint['value']}" if taint.get("value") else ""
            yield one_line(f"{taint.get('key', '')}{value}:{taint.get('effect', '')}", 100), "n-taint"
    if fact.fields.get("unschedulable") is True:
        yield "cordoned", "n-cordon"
    if fact.fields.get("ready") is False:
        yield "not Ready", "n-down"


def _changed(span: Span, facts: Sequence[Fact]) -> bool:
    """Whether it began after the first sight of the nodes, or ended."""
    return span.end_s is not None or (bool(facts) and span.start_s > facts[0].t_s + 0.001)


def _picture(spans: Sequence[Span], axis: TimeAxis) -> Markup:
    """A lane for each condition; the words stand in it, to the left of late spans."""
    height = _LANE * len(spans) + 2
    parts = []
    for lane, span in enumerate(spans):
        start, end = axis.at(span.start_s), axis.at(span.end_s if span.end_s is not None else axis.end_s)
        y = lane * _LANE + 1
        rect = {"x": start * svg.STRETCH, "y": y, "width": max(1.0, (end - start) * svg.STRETCH), "height": _LANE - 3}
        parts.append(svg.stretched(svg.el("rect", class_=span.class_, **rect), height=height))
        late = start > 0.6
        parts.append(
            svg.el(
                "text",
                span.what,
                class_="n-text",
                x=svg.percent(start),
                dx=-6 if late else 6,
                y=y + _LANE - 8,
                text_anchor="end" if late else None,
                data_t0=span.start_s,
                data_t1=span.end_s if span.end_s is not None else axis.end_s,
            )
        )
    return svg.drawing(*parts, height=height, label=_words(spans))


def _words(spans: Sequence[Span]) -> str:
    return "; ".join(
        f"{span.what} from {span.start_s:.2f} s" + ("" if span.end_s is None else f" to {span.end_s:.2f} s")
        for span in spans
    )
