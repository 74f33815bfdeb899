"""All judges over one run, and the one verdict they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.check.base import Check, Judged, ValidityCheck, ValidityResult
from harness.check.record import RunRecord, invalid
from harness.check.registry import CHECKS, VALIDITY_CHECKS
from harness.check.validity import judge_validity, validity_results
from harness.errors import ExitCode
from harness.model import events
from harness.model.verdicts import CheckResult, EvictionRow, Verdict, combine
from harness.model.words import RunState


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a run comes to. `what_would_decide`: what would decide an open verdict, "" when it is decided."""

    verdict: Verdict
    exit_code: ExitCode
    reason: str
    what_would_decide: str
    checks: tuple[CheckResult, ...]
    evictions: tuple[EvictionRow, ...]
    validity: tuple[ValidityResult, ...]
    healed: bool
    leftovers: tuple[str, ...]


def judge(
    record: RunRecord,
    *,
    leftovers: Sequence[str] = (),
    checks: Sequence[Check] = CHECKS,
    validity: Sequence[ValidityCheck] = VALIDITY_CHECKS,
) -> Judgement:
    """Judge everything the experiment expects. `leftovers`: what the ledger says is still on the cluster, to which
    come the leftovers that the history tells.

    A check that raises is INVALID, never the program's end: the others still count.
    """
    rows = validity_results(record, validity)
    results = judge_validity(rows, validity)
    results += _unknown(record, checks)
    pods: list[EvictionRow] = []
    for check in checks:
        try:
            judged = check.judge(record) if check.applies(record.experiment) else Judged(())
        except Exception as error:
            reason = f"the judge itself failed: {error!r}"
            judged = Judged((invalid(check.id, reason, what_would_decide="report this as a defect"),))
        results += judged.results
        pods += judged.evictions
    told = [f"{fact.subject}: {fact.message}" for _, fact in record.index.facts(events.Leftover)]
    remaining = tuple(dict.fromkeys([*leftovers, *told]))
    return _conclude(record, tuple(results), tuple(pods), tuple(rows), remaining)


def _unknown(record: RunRecord, checks: Sequence[Check]) -> list[CheckResult]:
    """What is expected and no check of this version judges: INVALID, not forgotten."""
    known = {check.key.field.key for check in checks if check.key is not None}
    missing = [key for key in record.experiment.expect.checks if key not in known]
    return [
        invalid(key, "this version has no such check", what_would_decide="the taintlab that ran it") for key in missing
    ]


def _conclude(
    record: RunRecord,
    results: tuple[CheckResult, ...],
    rows: tuple[EvictionRow, ...],
    validity: tuple[ValidityResult, ...],
    leftovers: tuple[str, ...],
) -> Judgement:
    verdict = combine([result.verdict for result in results])
    deciding = next((r for r in results if r.verdict is verdict), results[0])
    if verdict is Verdict.PASS:
        judged = [r for r in results if r.id != "validity"]
        reason = (
            "; ".join(r.reason for r in judged[:2]) if judged else "the run was sound, and nothing was expected of it"
        )
    else:
        reason = f"{deciding.id}: {deciding.reason}"
    tripped = record.index.first(events.GuardTripped)
    ended = record.ended
    exit_code = verdict.exit_code
    if ended is not None and ended.state is RunState.INTERRUPTED:
        exit_code = ExitCode.INTERRUPTED
    if tripped is not None:
        exit_code, reason = ExitCode.ABORTED, f"aborted by a guard: {tripped.message}"
        verdict = Verdict.FAIL if verdict is Verdict.PASS else verdict
    if leftovers:
        exit_code = ExitCode.HEAL_FAILED
    return Judgement(
        verdict=verdict,
        exit_code=exit_code,
        reason=reason,
        what_would_decide=deciding.what_would_decide if verdict is not Verdict.PASS else "",
        checks=results,
        evictions=rows,
        validity=validity,
        healed=not leftovers,
        leftovers=leftovers,
    )
