"""Is the measurement itself sound? A gate that fails makes the run INVALID: the numbers then mean nothing, good or
bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.check.record import RunRecord
from harness.check.stood import fault_stood
from harness.model import events
from harness.model.experiment import Load, PhaseName, Slo
from harness.model.plan import Action
from harness.model.verdicts import CheckResult, Verdict
from loadgen.rows import Rows

_MIN_SENT = 0.999
_MAX_LOAD_CPU = 0.8
_MIN_LATENESS_MS = 5.0
_LATENESS_SHARE_MISSED = 0.05
_LATENESS_SHARE_MET = 0.5


_ENDED = "run-ended"


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of a sound measurement; `measured` and `limit` are for people."""

    id: str
    ok: bool
    measured: str
    limit: str


def gates(record: RunRecord) -> list[Gate]:
    """Every gate that applies to this run."""
    out = [_completed(record), *_evidence_whole(record), _whole(record), _recorded(record)]
    if any(step.action is Action.INJECT for step in record.plan.steps):
        out += [_injected(record), _stood(record)]
    if record.experiment.load is not None:
        out += _load_gates(record)
    return out


def judge_validity(found: Sequence[Gate]) -> CheckResult:
    """The check ``validity``: PASS, or INVALID naming the first gate that failed."""
    broken = [gate for gate in found if not gate.ok]
    if not broken:
        return CheckResult("validity", Verdict.PASS, f"all {len(found)} gates of a sound measurement hold", len(found))
    first = broken[0]
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    reason = f"{first.id}: {first.measured}; it must be {first.limit}{more}"
    if first.id == _ENDED:
        reason = first.measured  # all else that is broken follows from that
    return CheckResult("validity", Verdict.INVALID, reason, len(found), "fix what is named and run again")


def _completed(record: RunRecord) -> Gate:
    ended = record.ended
    if ended is None:
        return Gate(_ENDED, False, "the run was killed before it ended", "ended by itself")
    ok = ended.state in ("completed", "aborted")
    verb = "was interrupted" if ended.state == "interrupted" else ended.state
    return Gate(_ENDED, ok, f"the run {verb}: {ended.message}".removesuffix(": "), "ended by itself")


def _evidence_whole(record: RunRecord) -> list[Gate]:
    """The files are those that the run left: none for a run that was killed, which has no digests and is INVALID."""
    if record.ended is None and not record.damage:
        return []
    more = f" (and {len(record.damage) - 1} more)" if len(record.damage) > 1 else ""
    measured = record.damage[0] + more if record.damage else "every file as it was when the run ended"
    return [Gate("evidence-whole", not record.damage, measured, "as it was when the run ended")]


def _whole(record: RunRecord) -> Gate:
    """No fact is missing: ids without a hole from RunStarted to RunEnded (that there is an end is another gate's)."""
    entries = record.history.entries
    limit = "every fact from the first to the last"

    def broken(measured: str) -> Gate:
        return Gate("record-whole", False, measured, limit)

    for number, entry in enumerate(entries):
        if entry.id != number:
            return broken(f"the history lacks fact {number}: fact {entry.id} stands in its place")
    if record.history.torn:
        return broken("the history's last line is cut off")
    starts = [entry.id for entry, _ in record.index.facts(events.RunStarted)]
    ends = [entry.id for entry, _ in record.index.facts(events.RunEnded)]
    if starts != [0]:
        return broken("the history does not begin with the start of the run")
    if ends and ends != [len(entries) - 1]:
        return broken("the history goes on after the end of the run")
    return Gate("record-whole", True, f"{len(entries)} facts", limit)


def _recorded(record: RunRecord) -> Gate:
    failed = [f"{fact.what}: {fact.message}" for _, fact in record.index.facts(events.RecorderFailed)]
    return Gate("observed", not failed, failed[0] if failed else "all watches lived", "watched throughout")


def _injected(record: RunRecord) -> Gate:
    """Every injection of the plan was acknowledged, on each of its targets; one that a guard prevented is none."""
    done = record.index.injections
    aborted = record.ended is not None and record.ended.state == "aborted"
    steps = [step for step in record.plan.steps if step.action is Action.INJECT]
    if not done:
        return Gate("injected", False, "no injection was acknowledged", "acknowledged")
    for step in steps:
        deed = done.get(step.id)
        if deed is None and aborted:
            continue
        if deed is None or deed.outcome != "done":
            how = "not tried" if deed is None else f"{deed.outcome}: {deed.message}".removesuffix(": ")
            where = f" on {step.subject}" if step.subject else ""
            return Gate("injected", False, f"{step.id}{where}: {how}", "acknowledged")
    return Gate("injected", True, f"{len(done)} acknowledged", "acknowledged")


def _stood(record: RunRecord) -> Gate:
    why = fault_stood(record)
    return Gate("fault-stood", not why, why or "stood until we took it off", "on its node until we take it off")


def _load_gates(record: RunRecord) -> list[Gate]:
    load = record.experiment.load
    assert load is not None
    ended = next((fact for _, fact in record.index.facts(events.LoadEnded)), None)
    if ended is None or not ended.ok or record.rows is None:
        message = ended.message if ended else "the load process never ended"
        return [Gate("load-complete", False, message or "no summary", "a summary from the load process")]
    summary = record.load_summary
    try:
        due, sent, cpu = int(summary["due"]), int(summary["sent"]), float(summary["cpu"])
        lateness_ms = float(summary["lateness_p99_ms"] or 0.0)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return [Gate("load-complete", False, f"its summary cannot be read: {error!r}", "a summary with its figures")]
    share = sent / due if due else 0.0
    out = [_rows_whole(record.rows, due)]
    out.append(Gate("load-sent", share >= _MIN_SENT, f"{sent} of {due} due arrivals sent", f"at least {_MIN_SENT:.1%}"))
    out.append(_punctual(record, load, lateness_ms))
    out.append(Gate("load-cpu", cpu <= _MAX_LOAD_CPU, f"{cpu:.0%} of a core", f"at most {_MAX_LOAD_CPU:.0%}"))
    out.append(_baseline(record))
    return out


def _rows_whole(rows: Rows, due: int) -> Gate:
    """The rows on disk are those that the load process counted when it ended: each due arrival once."""
    limit = f"one row for each of {due} due arrivals"
    if rows.torn_bytes:
        return Gate("load-complete", False, f"a file of rows ends within a row ({rows.torn_bytes} bytes)", limit)
    if len(rows) != due:
        return Gate("load-complete", False, f"{len(rows)} rows", limit)
    different = len(set(rows.arrival))
    return Gate("load-complete", different == due, f"rows of {different} arrivals", limit)


def _punctual(record: RunRecord, load: Load, lateness_ms: float) -> Gate:
    """Requests went out when they were due, or late by so little that it decides nothing.

    Latency counts from the intended start, so our own lateness counts against the service. Where a latency objective
    was missed,
    that may be our doing: p99 of the lateness must then be within 5 % of the strictest threshold, or 5 ms
    (load-and-slo C3).
    Where all were met in spite of it they were met; then it must be within half the threshold, so that the traffic
    was still
    what the experiment says. Without a latency objective the timeout takes the threshold's place.
    """
    objectives = [slo for slo in record.experiment.expect.slos if slo.threshold_s is not None]
    threshold_s = min((slo.threshold_s for slo in objectives if slo.threshold_s is not None), default=load.timeout_s)
    missed = any(_missed(record, slo) for slo in objectives) or not objectives
    share = _LATENESS_SHARE_MISSED if missed else _LATENESS_SHARE_MET
    limit_ms = max(_MIN_LATENESS_MS, 1e3 * share * threshold_s)
    measured = f"p99 {lateness_ms:.1f} ms late"
    return Gate("load-punctual", lateness_ms <= limit_ms, measured, f"at most {limit_ms:.1f} ms")


def _missed(record: RunRecord, slo: Slo) -> bool:
    for phase in slo.phases:
        window = record.windows.get(phase)
        if window is not None and record.traffic is not None:
            n, bad = record.traffic.count(window, threshold_s=slo.threshold_s)
            if bad > (1 - slo.ratio) * n * (1 + 1e-9):
                return True
    return False


def _baseline(record: RunRecord) -> Gate:
    """The service was well before the fault: every objective holds in the baseline, whichever phases it is meant
    for.
    """
    window = record.windows.get(PhaseName.BASELINE)
    if window is None or record.traffic is None:
        return Gate("baseline", True, "no baseline phase", "objectives hold before the fault")
    worst, n = 0.0, 0
    for slo in record.experiment.expect.slos:
        n, bad = record.traffic.count(window, threshold_s=slo.threshold_s)
        ratio = bad / n if n else 1.0
        if ratio > (1 - slo.ratio) * (1 + 1e-9):
            return Gate(
                "baseline", False, f"{slo.name}: {ratio:.2%} bad before the fault", f"at most {1 - slo.ratio:.2%}"
            )
        worst = max(worst, ratio)
    return Gate("baseline", True, f"{worst:.2%} bad of {n}", "objectives hold before the fault")
