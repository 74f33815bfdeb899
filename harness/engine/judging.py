"""Judging a run from its folder alone, and writing the result down. The folder may come from anybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from harness.check.judge import Judgement, judge
from harness.check.record import RunRecord
from harness.check.result import result_of
from harness.check.traffic import traffic_of
from harness.cluster.ledger_read import read_ledger
from harness.cluster.ledger_record import Record
from harness.collector import no_cycle_collector
from harness.errors import UsageError
from harness.faults.registry import FAULTS
from harness.files import shown
from harness.history.folder import RunFolder, read_json, write_json
from harness.history.plain import decode, plain
from harness.history.query import facts, phase_windows
from harness.history.read import History, read_history
from harness.history.redact import redact_texts
from harness.history.seal import damage
from harness.history.strict import invalid
from harness.model import events
from harness.model.experiment import Experiment
from harness.model.plan import Plan
from harness.model.result import Environment, LedgerLine
from harness.semantics.eviction.settings import Settings
from loadgen.rows import Rows, RowsUnreadable, read_folder

T = TypeVar("T")
_FAULTS = tuple(kind.value for kind in FAULTS)
_BEYOND_PLAN_S = 3600.0
"""What a run may take beyond its phases: waiting until the workload is ready, healing, a slow API server."""
_SHOWN = 20
"""Damaged lines of a ledger that are named: one of them is enough to say that healing is not known."""
_LONGEST_S = 4 * 24 * 3600.0
"""Four phases of at most a day each."""


class _Versions(msgspec.Struct):
    """``versions.json``, as far as the result shows it."""

    settings: dict[str, Any]
    versions: dict[str, str]
    environment: Environment


class _Summary(msgspec.Struct):
    """What the gates take from the load process's summary."""

    due: int
    sent: int
    cpu: float
    lateness_p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A run, and what of its versions the result repeats."""

    record: RunRecord
    versions: dict[str, str]
    environment: Environment


def load_record(folder: RunFolder) -> Loaded:
    """Everything the judges need, read from disk; UsageError or InvalidFile naming the file that is missing, damaged or
    of another version.
    """
    history = read_history(folder.history)
    _require_format(folder, history)
    experiment = _decoded(folder.experiment, lambda value: decode(Experiment, value, _FAULTS))
    plan = _decoded(folder.plan, lambda value: decode(Plan, value, _FAULTS))
    versions = _decoded(folder.versions, lambda value: msgspec.convert(value, _Versions))
    settings = _decoded(folder.versions, lambda _: decode(Settings, versions.settings))
    _require_length(folder, history, experiment)
    summary = _summary(folder, history)
    rows = _rows(folder, summary) if experiment.load is not None else None
    traffic = None if rows is None else traffic_of(rows, start_mono_ns=history.started.mono_ns)
    whole = any(True for _ in facts(history, events.RunEnded))
    found = damage(folder) if whole or folder.evidence.exists() else ()  # a run that was killed has no seal
    if not folder.ledger.exists():
        found = (*found, f"{folder.ledger.name} is missing: what was undone is not known")
    record = RunRecord(experiment, plan, history, rows, traffic, summary, settings, damage=found)
    return Loaded(record, versions.versions, versions.environment)


def _decoded(path: Any, read: Callable[[Any], T]) -> T:
    value = read_json(path)
    try:
        return read(value)
    except (ValueError, RecursionError) as error:
        words = "nested too deeply" if isinstance(error, RecursionError) else error
        raise invalid(shown(path), f"cannot be judged by this version of taintlab: {words}") from error


def _require_format(folder: RunFolder, history: History) -> None:
    file = shown(folder.history)
    if not history.entries or not isinstance(history.entries[0].fact, events.RunStarted):
        raise invalid(file, "a history starts with RunStarted")
    written = history.started.format
    if written < events.FIRST_JUDGED:
        raise UsageError(
            f"{file}: written by an older taintlab (format {written}), which kept nothing that proves that a pod "
            "stayed: run the experiment again, or look at what was judged then with `taintlab report`"
        )


def _require_length(folder: RunFolder, history: History, experiment: Experiment) -> None:
    """The result has a value for each second: a history that claims more of them than the phases have is no history."""
    try:
        end_s = max((window.end_ns for window in phase_windows(history).values()), default=0) / 1e9
    except ValueError as error:
        raise invalid(shown(folder.history), str(error)) from error
    planned_s = experiment.phases.total_s
    if not 0 <= planned_s <= _LONGEST_S:
        raise invalid(shown(folder.experiment), f"phases of {planned_s:.3g} s - at `$.phases`")
    if end_s > planned_s + _BEYOND_PLAN_S:
        raise invalid(shown(folder.history), f"phases that last {end_s:.0f} s, where {planned_s:.0f} s were planned")


def _summary(folder: RunFolder, history: History) -> dict[str, Any]:
    """The load process's summary; {} when there is none."""
    ended = next((fact for _, fact in facts(history, events.LoadEnded)), None)
    if ended is None:
        return {}
    try:
        if ended.ok:
            msgspec.convert(ended.summary, _Summary)
    except ValueError as error:
        raise invalid(shown(folder.history), f"LoadEnded holds no summary: {error}") from error
    return dict(ended.summary)


def _rows(folder: RunFolder, summary: dict[str, Any]) -> Rows | None:
    try:
        return read_folder(folder.load, most=summary.get("due"))
    except RowsUnreadable:
        return None


def _is_told(item: Record, lines: Sequence[str]) -> bool:
    """Whether one of `lines` is about what a ledger record is about, and says more: what holds it."""
    return any(line.startswith((f"{item.what}: ", f"node {item.subject}: ")) for line in lines)


def judge_folder(path: RunFolder, *, leftovers: Sequence[str] = ()) -> tuple[Judgement, dict[str, Any]]:
    """Judge, write ``verdicts.json`` and ``result.json``, and return both. `leftovers`: what the run itself knows to be
    left, beside what ledger and history say. UsageError or InvalidFile when the folder holds no run that can be
    judged, or cannot be written to.
    """
    loaded = load_record(path)
    ledger = read_ledger(path.ledger)
    told = [
        *leftovers,
        *(f"{fact.subject}: {fact.message}" for _, fact in facts(loaded.record.history, events.Leftover)),
    ]
    untold = [item for item in ledger.outstanding if not _is_told(item, told)]
    left = [*told, *(f"{item.what} ({item.subject})" for item in untold), *ledger.problems[:_SHOWN]]
    try:
        with no_cycle_collector():
            judgement = judge(loaded.record, leftovers=left)
            result = result_of(
                loaded.record,
                judgement,
                versions=loaded.versions,
                environment=loaded.environment,
                ledger=[
                    LedgerLine(record=item.id, subject=item.subject, what=item.what, healed=healed)
                    for item, healed in ledger.records
                ],
            )
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        # Each file is well formed by now: they contradict each other, as no run's files do.
        words = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{shown(path.path)}: its files contradict each other, so it cannot be judged ({words[:200]}): "
            "were they edited?"
        ) from error
    written: dict[str, Any] = redact_texts(msgspec.to_builtins(result))
    try:
        write_json(path.verdicts, redact_texts(plain(judgement)))
        write_json(path.result, written)
    except OSError as error:
        raise UsageError(f"{shown(path.path)}: cannot be written: {error.strerror}") from error
    return judgement, written
