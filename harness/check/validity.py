"""Is the measurement itself sound? A gate that fails makes the run INVALID: the numbers then mean nothing, good or
bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.check.record import RunRecord
from harness.history.query import facts
from harness.model import events
from harness.model.experiment import Load, PhaseName, Slo
from harness.model.plan import Action
from harness.model.verdicts import CheckResult, Verdict

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
    out = [_completed(record), *_evidence_whole(record), _recorded(record)]
    if any(step.action is Action.INJECT for step in record.plan.steps):
        out.append(_injected(record))
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
    return CheckResult("validity", Verdict.INVALID, reason, len(found), "mend what is named and run again")


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


def _recorded(record: RunRecord) -> Gate:
    failed = [f"{fact.what}: {fact.message}" for _, fact in facts(record.history, events.RecorderFailed)]
    return Gate("observed", not failed, failed[0] if failed else "all watches lived", "watched throughout")


def _injected(record: RunRecord) -> Gate:
    """Every taint we wrote was seen on its node by the watch."""
    injection = record.injection
    if injection is None:
        return Gate("injected", False, "no injection was acknowledged", "acknowledged")
    seen = any(
        entry.t_ns >= injection.invoked_ns and fact.name == injection.subject
        for entry, fact in facts(record.history, events.NodeSeen)
    )
    on_node = injection.subject in record.plan.targets
    ok = seen or not on_node
    return Gate("injected", ok, "seen on the node" if ok else "acknowledged, but never seen on the node", "seen")


def _load_gates(record: RunRecord) -> list[Gate]:
    load = record.experiment.load
    assert load is not None
    ended = next((fact for _, fact in facts(record.history, events.LoadEnded)), None)
    if ended is None or not ended.ok or record.rows is None:
        message = ended.message if ended else "the load process never ended"
        return [Gate("load-complete", False, message or "no summary", "a summary from the load process")]
    summary = record.load_summary
    due, sent = int(summary["due"]), int(summary["sent"])
    share = sent / due if due else 0.0
    out = [Gate("load-sent", share >= _MIN_SENT, f"{sent} of {due} due arrivals sent", f"at least {_MIN_SENT:.1%}")]
    out.append(_punctual(record, load, float(summary["lateness_p99_ms"] or 0.0)))
    cpu = float(summary["cpu"])
    out.append(Gate("load-cpu", cpu <= _MAX_LOAD_CPU, f"{cpu:.0%} of a core", f"at most {_MAX_LOAD_CPU:.0%}"))
    out.append(_baseline(record))
    return out


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
