"""Reads a ``result.json`` into `reports.result.Result`: tolerant of additions, strict about what is there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from harness.errors import InvalidFile, Problem, UsageError
from harness.files import read_regular, shown
from harness.history.redact import redact_text
from harness.history.strict import JSON_CAP
from harness.model.verdicts import CheckResult, EvictionRow, PodVerdict, Verdict
from reports.fields import Fields, compact, load_json
from reports.result import (
    FILE,
    VERSION,
    Environment,
    Event,
    Fault,
    Gate,
    LedgerLine,
    NodeFact,
    Phase,
    Result,
    RunState,
    Saturation,
    Series,
    SignalRow,
)


def read_result(path: Path) -> Result:
    """Read `path`. Raises UsageError when there is no such file or it is no regular one, InvalidFile with every problem
    when it is not a result of version 1.
    """
    if not os.path.lexists(path):
        folder = shown(path.parent)
        raise UsageError(f"{folder} has no {path.name}: judge the run first, with `taintlab check {folder}`")
    data = read_regular(path, cap=JSON_CAP)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        at = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise InvalidFile([Problem(shown(path), *at, "not UTF-8 text", "was the file edited?")]) from error
    return parse_result(text, file=shown(path))


def parse_result(text: str, *, file: str = FILE) -> Result:
    """`text` of a result.json; `file` is named in problems. Raises InvalidFile with every problem found."""
    try:
        raw = load_json(text)
    except json.JSONDecodeError as error:
        raise InvalidFile([Problem(file, error.lineno, error.colno, f"not JSON: {error.msg}")]) from error
    problems: list[Problem] = []
    top = Fields(raw, file=file, problems=problems)
    version = top.whole("version", required=True)
    if version is not None and version != VERSION:
        mend = "render it with the taintlab that wrote it"
        raise InvalidFile([Problem(file, 1, 1, f"version {version}: this taintlab reads version {VERSION}", mend)])
    result = _result(top)
    if problems:
        raise InvalidFile(problems)
    return result


def _result(top: Fields) -> Result:
    series, fault, environment = top.table("series"), top.table("fault"), top.table("environment")
    return Result(
        experiment=top.text("experiment", required=True),
        run=top.text("run"),
        description=top.text("description"),
        verdict=top.word("verdict", Verdict, required=True) or Verdict.INCONCLUSIVE,
        exit_code=top.whole("exit_code", required=True) or 0,
        reason=top.text("reason", required=True),
        decider=top.text("decider"),
        state=top.word("state", RunState),
        started=top.text("started"),
        checks=tuple(_check(row) for row in top.items("checks")),
        evictions=tuple(_eviction(row) for row in top.items("evictions")),
        phases=tuple(_phase(row) for row in top.items("phases")),
        series=_series(series) if series else None,
        events=tuple(event for row in top.items("events") if (event := _event(row))),
        fault=Fault(fault.number("start_s"), fault.number("end_s"), fault.number("acknowledged_s")) if fault else None,
        gates=tuple(
            Gate(row.text("id", required=True), row.flag("ok"), _shown(row, "measured"), _shown(row, "limit"))
            for row in top.items("gates")
        ),
        leftovers=top.texts("leftovers"),
        healed=top.flag("healed"),
        targets=top.texts("targets"),
        golden_signals=tuple(_signals(row) for row in top.items("golden_signals")),
        versions=_texts_of(top.raw.get("versions")),
        environment=_environment(environment) if environment else Environment(),
        ledger=None if top.raw.get("ledger") is None else tuple(_ledger_line(row) for row in top.items("ledger")),
    )


def _check(row: Fields) -> CheckResult:
    return CheckResult(
        id=row.text("id", required=True),
        verdict=row.word("verdict", Verdict, required=True) or Verdict.INCONCLUSIVE,
        reason=row.text("reason"),
        n=row.whole("n") or 0,
        decider=row.text("decider"),
        measured=row.number("measured"),
        limit=row.number("limit"),
        unit=row.text("unit"),
        interval=row.pair("interval"),
    )


def _eviction(row: Fields) -> EvictionRow:
    return EvictionRow(
        pod=row.text("pod", required=True),
        uid=row.text("uid"),
        node=row.text("node"),
        verdict=row.word("verdict", PodVerdict, required=True) or PodVerdict.UNKNOWN,
        rule=row.text("rule"),
        predicted_s=row.pair("predicted_s"),
        observed_s=row.number("observed_s"),
        gone_s=row.number("gone_s"),
        replacement=row.text("replacement") or None,
        replacement_scheduled_s=row.number("replacement_scheduled_s"),
        replacement_ready_s=row.number("replacement_ready_s"),
        workload=row.text("workload"),
        tolerations=row.text("tolerations"),
        reason=row.text("reason"),
        planned=row.text("planned") if row.raw.get("planned") is not None else None,
        planned_s=row.pair("planned_s"),
    )


def _phase(row: Fields) -> Phase:
    outcomes = row.table("outcomes")
    return Phase(
        name=row.text("name", required=True),
        start_s=row.number("start_s"),
        end_s=row.number("end_s"),
        requests=row.whole("requests"),
        bad=row.whole("bad"),
        p50_ms=row.number("p50_ms"),
        p90_ms=row.number("p90_ms"),
        p99_ms=row.number("p99_ms"),
        p999_ms=row.number("p999_ms"),
        max_ms=row.number("max_ms"),
        success_p99_ms=row.number("success_p99_ms"),
        rate_per_s=row.number("rate_per_s"),
        rough=row.flag("rough") is True,
        outcomes={name: outcomes.whole(name) or 0 for name in outcomes.raw} if outcomes else {},
    )


def _series(row: Fields) -> Series:
    times = tuple(t for t in row.numbers("t_s") if t is not None)

    def beside(name: str, source: Fields = row) -> tuple[float | None, ...]:
        values = source.numbers(name)
        if values and len(values) != len(times):
            source.problem(name, f"has {len(values)} values beside {len(times)} of series.t_s")
            return ()
        return values

    return Series(
        t_s=times,
        due=beside("due"),
        sent=beside("sent"),
        done=beside("done"),
        bad=beside("bad"),
        bad_ratio=beside("bad_ratio"),
        p50_ms=beside("p50_ms"),
        p99_ms=beside("p99_ms"),
        success_p99_ms=beside("success_p99_ms"),
        ready_endpoints=beside("ready_endpoints"),
        saturation=tuple(
            Saturation(part.text("name"), part.text("unit"), beside("values", part)) for part in row.items("saturation")
        ),
    )


def _event(row: Fields) -> Event | None:
    t_s = row.number("t_s")
    return None if t_s is None else Event(t_s, row.text("kind"), row.text("label"))


def _signals(row: Fields) -> SignalRow:
    raw = row.raw.get("saturation")
    table = row.table("saturation") if isinstance(raw, dict) else None
    saturation = {name: table.number(name) for name in table.raw} if table else {"": row.number("saturation")}
    return SignalRow(
        phase=row.text("phase"),
        latency_p99_ms=row.number("latency_p99_ms"),
        traffic_per_s=row.number("traffic_per_s"),
        errors_ratio=row.number("errors_ratio"),
        saturation=saturation,
        source=row.text("source"),
        why=row.text("why"),
    )


def _ledger_line(row: Fields) -> LedgerLine:
    return LedgerLine(row.text("record"), row.text("subject"), row.text("what"), row.flag("healed"))


def _environment(row: Fields) -> Environment:
    extra = {key: value for key, value in row.raw.items() if key not in ("cluster", "nodes")}
    return Environment(cluster=row.text("cluster"), nodes=_nodes(row), extra=_texts_of(extra))


def _nodes(row: Fields) -> tuple[NodeFact, ...]:
    """Nodes are objects with a name; bare names are taken as well."""
    raw = row.raw.get("nodes")
    if isinstance(raw, list) and all(isinstance(name, str) for name in raw):
        return tuple(NodeFact(name) for name in raw)
    return tuple(
        NodeFact(part.text("name", required=True), _texts_of(part.raw.get("labels")), part.texts("taints"))
        for part in row.items("nodes")
    )


def _texts_of(raw: object) -> dict[str, str]:
    """A JSON object as texts to show; {} for anything else."""
    return {key: _text_of(value) for key, value in raw.items()} if isinstance(raw, dict) else {}


def _shown(row: Fields, name: str) -> str:
    """A value meant for showing: text as it is, numbers and the rest as JSON, "" when absent."""
    return _text_of(row.raw.get(name))


def _text_of(value: Any) -> str:
    if value is None:
        return ""
    return redact_text(value) if isinstance(value, str) else compact(value)
