"""The page people show to their team: one HTML file that needs no network, no script and no server.

What a script adds (a cursor with values across all panels, zoom) is a convenience. The content policy allows exactly
the style and the script that are inlined, by their hash; text from the cluster is escaped everywhere, in the data
island as well.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.errors import TaintlabError
from harness.model.result import Result, SignalRow
from harness.model.verdicts import CheckResult
from reports import gantt, latency, nodes, story, timeline, words
from reports.axes import TimeAxis
from reports.evictions import planned_otherwise, replanned, worst_first
from reports.folder import RunFolder

_HERE = Path(__file__).parent
MAX_TABLE_ROWS = 300
_UNITS = {"cpu": "cores", "memory": "bytes"}


def html_page(folder: RunFolder) -> str:
    """The page as text (UTF-8, ends in a newline)."""
    style, script = (_asset("report.css"), _asset("report.js"))
    view = _view(folder)
    island = _island(view["timeline"].data) if view["timeline"] else Markup()
    page = _environment().get_template("report.html.j2")
    return (
        page.render(policy=_policy(style, script), style=_own(style), script=_own(script), island=island, **view) + "\n"
    )


def _own(text: str) -> Markup:
    """A file of ours, put on the page as it is."""
    return Markup(text)  # noqa: S704 (never anything from a run)


def _asset(name: str) -> str:
    return (_HERE / "assets" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """A content policy under which nothing is fetched and nothing runs but what we put there."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _island(data: Mapping[str, Any]) -> Markup:
    """JSON that cannot end its script element: ``<``, ``>`` and ``&`` are written as escapes."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 (escaped above)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("clean", "one_line", "count", "seconds", "offset", "window", "milliseconds", "percent", "quantity")
    environment.filters |= {name: getattr(words, name) for name in names}
    environment.filters["significant"] = lambda value: words.NO_DATA if value is None else words.significant(value)
    environment.filters["moment"] = words.moment
    environment.filters["breakable"] = lambda text: Markup("/<wbr>").join(words.one_line(text, 80).split("/"))
    environment.filters["planned_otherwise"] = planned_otherwise
    environment.globals["interval"] = _interval
    return environment


def _view(folder: RunFolder) -> dict[str, Any]:
    """Everything the template names."""
    result = folder.result
    missing = story.why_missing(folder)
    line = timeline.build(result, missing=missing)
    return {
        "result": result,
        "state": story.state_words(result),
        "healed": story.healed_words(result),
        "figures": story.figures(result, missing),
        "missing": missing,
        "timeline": line,
        "nodes": _nodes(folder, line.axis) if line else (),
        "gantt": gantt.build(result, folder.history.tolerations if folder.history else {}),
        "replanned": replanned(result.evictions),
        "evictions": worst_first(result.evictions)[:MAX_TABLE_ROWS],
        "table_title": _table_title(len(result.evictions)),
        "latency": _latency(folder),
        "quality": story.data_quality(folder),
        "spec": words.clean(folder.spec),
        "versions": result.versions,
        "signals": any(_measured(row) for row in result.golden_signals),
        "seeds": _seeds(folder),
        "targets": folder.targets,
        "units": _UNITS,
        "links": [name for name in folder.files if name not in ("report.html", "report.md", "junit.xml")],
        "duration": _duration(result),
    }


def _nodes(folder: RunFolder, axis: TimeAxis) -> tuple[nodes.NodeStrip, ...]:
    return nodes.strips(folder.history.of("NodeSeen"), folder.targets, axis) if folder.history else ()


def _latency(folder: RunFolder) -> latency.LatencyChart | None:
    """With histograms when the rows can be read and joined with the run's clock, else percentiles and the reason."""
    started = folder.history.of("RunStarted") if folder.history else ()
    mono_ns = started[0].number("mono_ns") if started else None
    found: dict[str, latency.Distribution] = {}
    why = "the history does not say when the run began, so rows cannot be sorted into phases"
    if mono_ns is not None:
        try:
            found = latency.distributions(folder.path / "load", folder.result.phases, int(mono_ns))
        except TaintlabError as error:
            why = latency.why_unreadable(error)
    return latency.build(folder.result.phases, found, why)


def _seeds(folder: RunFolder) -> dict[str, str]:
    """Seeds of the resolved experiment, by what they decide."""
    out = {}
    for name, what in (("target", "seed of targets"), ("load", "seed of arrivals")):
        part = folder.experiment.get(name)
        if isinstance(part, dict) and "seed" in part:
            out[what] = str(part["seed"])
    return out


def _table_title(pods: int) -> str:
    if pods > MAX_TABLE_ROWS:
        return f"The {MAX_TABLE_ROWS} worst of {pods:,} pods as a table"
    return "The pod as a table" if pods == 1 else f"All {pods:,} pods as a table"


def _measured(row: SignalRow) -> bool:
    """Whether any of the signals has a value."""
    values = (row.latency_p99_ms, row.traffic_per_s, row.errors_ratio, *row.saturation.values())
    return any(value is not None for value in values)


def _duration(result: Result) -> str:
    ends = [phase.end_s for phase in result.phases if phase.end_s is not None]
    return words.seconds(max(ends)) if ends else words.NO_DATA


def _interval(check: CheckResult) -> str:
    """The interval of a check in its own unit, "" without one."""
    if check.interval is None:
        return ""
    low, high = (words.quantity(bound, check.unit) for bound in check.interval)
    return f"{low} {words.DASH} {high}"
