"""All judges over one run, and the one verdict they come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.check.evictions import eviction_rows, judge_evictions
from harness.check.metrics import judge_metrics
from harness.check.record import RunRecord, invalid
from harness.check.recovery import judge_recovery
from harness.check.slo import judge_slos
from harness.check.validity import Gate, gates, judge_validity
from harness.check.watches import judge_watches
from harness.errors import ExitCode
from harness.model import events
from harness.model.plan import Action
from harness.model.verdicts import CheckResult, EvictionRow, Verdict, combine


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a run comes to. `decider`: what would decide an open verdict, "" when it is decided."""

    verdict: Verdict
    exit_code: ExitCode
    reason: str
    decider: str
    checks: tuple[CheckResult, ...]
    evictions: tuple[EvictionRow, ...]
    gates: tuple[Gate, ...]
    healed: bool
    leftovers: tuple[str, ...]


def judge(record: RunRecord, *, leftovers: Sequence[str] = ()) -> Judgement:
    """Judge everything the experiment expects. `leftovers`: what the ledger says is still on the cluster, to which
    come the leftovers that the history tells.

    A judge that raises makes its check INVALID, never the program end: the others still count.
    """
    rows: list[EvictionRow] = []
    found: list[Gate] = []
    results: list[CheckResult] = []

    def validity() -> list[CheckResult]:
        found.extend(gates(record))
        return [judge_validity(found)]

    def evictions() -> list[CheckResult]:
        if not _expects_evictions(record):
            return []
        rows.extend(eviction_rows(record))
        return [judge_evictions(rows, record)]

    judges: dict[str, Callable[[], list[CheckResult]]] = {
        "validity": validity,
        "watches": lambda: judge_watches(record),
        "evictions": evictions,
        "slo": lambda: judge_slos(record),
        "recovery": lambda: judge_recovery(record),
        "metric": lambda: judge_metrics(record),
    }
    for name, one in judges.items():
        try:
            results += one()
        except Exception as error:
            results.append(invalid(name, f"the judge itself failed: {error!r}", decider="report this as a defect"))
    told = [f"{fact.subject}: {fact.message}" for _, fact in record.index.facts(events.Leftover)]
    remaining = tuple(dict.fromkeys([*leftovers, *told]))
    return _conclude(record, tuple(results), tuple(rows), tuple(found), remaining)


def _summary(results: Sequence[CheckResult]) -> str:
    """One sentence for a PASS: what left, and how the requests of the fault phase went."""
    evictions = [r.reason for r in results if r.id == "evictions"]
    objectives = [r.reason for r in results if r.id.startswith("slo/")]
    faulty = [r.reason for r in results if r.id.startswith("slo/") and r.id.endswith("/fault")]
    parts = evictions + (faulty[:1] or objectives[:1])
    others = [r.reason for r in results if r.id != "validity"]
    return "; ".join(parts or others[:1]) or "the run was sound, and nothing was expected of it"


def _expects_evictions(record: RunRecord) -> bool:
    return record.experiment.expect.evictions and any(s.action is Action.INJECT for s in record.plan.steps)


def _conclude(
    record: RunRecord,
    results: tuple[CheckResult, ...],
    rows: tuple[EvictionRow, ...],
    found: tuple[Gate, ...],
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
    tripped = next((fact.message for _, fact in record.index.facts(events.GuardTripped)), None)
    ended = record.ended
    exit_code = verdict.exit_code
    if ended is not None and ended.state == "interrupted":
        exit_code = ExitCode.INTERRUPTED
    if tripped is not None:
        exit_code, reason = ExitCode.ABORTED, f"aborted by a guard: {tripped}"
        verdict = Verdict.FAIL if verdict is Verdict.PASS else verdict
    if leftovers:
        exit_code = ExitCode.HEAL_FAILED
    return Judgement(
        verdict=verdict,
        exit_code=exit_code,
        reason=reason,
        decider=deciding.decider if verdict is not Verdict.PASS else "",
        checks=results,
        evictions=rows,
        gates=found,
        healed=not leftovers,
        leftovers=leftovers,
    )
