"""Is the record of the run whole? Validity checks of its files, its facts and its watches."""

from __future__ import annotations

from harness.check.base import Soundness, ValidityCheck
from harness.check.record import RunRecord
from harness.model import events
from harness.model.words import RunState


def _ended(record: RunRecord) -> Soundness:
    ended = record.ended
    if ended is None:
        return Soundness(False, "the run was killed before it ended", "ended by itself")
    ok = ended.state in (RunState.COMPLETED, RunState.ABORTED)
    verb = "was interrupted" if ended.state is RunState.INTERRUPTED else ended.state
    return Soundness(ok, f"the run {verb}: {ended.message}".removesuffix(": "), "ended by itself")


def _evidence_whole(record: RunRecord) -> Soundness | None:
    """The files are those that the run left; not asked of a killed run, which has no digests and is INVALID anyway."""
    if record.ended is None and not record.damage:
        return None
    more = f" (and {len(record.damage) - 1} more)" if len(record.damage) > 1 else ""
    measured = record.damage[0] + more if record.damage else "every file as it was when the run ended"
    return Soundness(not record.damage, measured, "as it was when the run ended")


def _record_whole(record: RunRecord) -> Soundness:
    """No fact is missing: ids without a hole from RunStarted to RunEnded (that there is an end is another check's)."""
    lacking = _lacking(record)
    measured = lacking or f"{len(record.history.entries)} facts"
    return Soundness(not lacking, measured, "every fact from the first to the last")


def _lacking(record: RunRecord) -> str:
    """Which fact is missing, as far as that shows; "" when none is."""
    entries = record.history.entries
    for number, entry in enumerate(entries):
        if entry.id != number:
            return f"the history lacks fact {number}: fact {entry.id} stands in its place"
    if record.history.torn:
        return "the history's last line is cut off"
    starts = [entry.id for entry, _ in record.index.facts(events.RunStarted)]
    ends = [entry.id for entry, _ in record.index.facts(events.RunEnded)]
    if starts != [0]:
        return "the history does not begin with the start of the run"
    if ends and ends != [len(entries) - 1]:
        return "the history goes on after the end of the run"
    return ""


def _observed(record: RunRecord) -> Soundness:
    failed = [f"{fact.what}: {fact.message}" for _, fact in record.index.facts(events.RecorderFailed)]
    return Soundness(not failed, failed[0] if failed else "all watches lived", "watched throughout")


ENDED = ValidityCheck("run-ended", _ended)
EVIDENCE_WHOLE = ValidityCheck("evidence-whole", _evidence_whole)
RECORD_WHOLE = ValidityCheck("record-whole", _record_whole)
OBSERVED = ValidityCheck("observed", _observed)
