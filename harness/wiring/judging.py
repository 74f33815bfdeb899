"""Judging a run from its folder alone, and writing the result down."""

from __future__ import annotations

from typing import Any

from harness.check.judge import Judgement, judge
from harness.check.record import RunRecord
from harness.check.result import result_json
from harness.check.traffic import traffic_of
from harness.errors import UsageError
from harness.history.folder import RunFolder, read_json, write_json
from harness.history.plain import decode
from harness.history.query import facts
from harness.history.read import read_history
from harness.model import events
from harness.model.experiment import Experiment
from harness.model.plan import Plan
from harness.plan.predict.settings import Settings
from harness.run.ledger import all_records, outstanding
from loadgen.rows import Rows, RowsUnreadable, read_folder


def load_record(folder: RunFolder) -> RunRecord:
    """Everything the judges need, read from disk; UsageError naming the file that is missing or of another version."""
    try:
        experiment = decode(Experiment, read_json(folder.experiment))
        plan = decode(Plan, read_json(folder.plan))
        settings = decode(Settings, read_json(folder.versions)["settings"])
    except (ValueError, KeyError) as error:
        raise UsageError(f"{folder.path}: cannot be judged by this version of taintlab: {error}") from error
    history = read_history(folder.history)
    rows = _rows(folder) if experiment.load is not None else None
    traffic = None if rows is None else traffic_of(rows, start_mono_ns=history.started.mono_ns)
    ended = next((fact for _, fact in facts(history, events.LoadEnded)), None)
    summary = dict(ended.summary) if ended else {}
    return RunRecord(experiment, plan, history, rows, traffic, summary, settings)


def _rows(folder: RunFolder) -> Rows | None:
    try:
        return read_folder(folder.load)
    except RowsUnreadable:
        return None


def judge_folder(path: RunFolder) -> tuple[Judgement, dict[str, Any]]:
    """Judge, write ``verdicts.json`` and ``result.json``, and return both."""
    record = load_record(path)
    still_ours = [f"{item.what} ({item.subject})" for item in outstanding(path.ledger)]
    judgement = judge(record, leftovers=still_ours)
    versions = read_json(path.versions)
    result = result_json(record, judgement, versions=versions["versions"])
    result["environment"] = versions["environment"]
    result["ledger"] = [
        {"record": item.id, "subject": item.subject, "what": item.what, "healed": healed}
        for item, healed in all_records(path.ledger)
    ]
    write_json(path.verdicts, judgement)
    write_json(path.result, result)
    return judgement, result
