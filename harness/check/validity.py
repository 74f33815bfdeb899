"""Is the measurement itself sound? All validity checks over one run, and what they come to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.check.base import Soundness, ValidityCheck, ValidityResult
from harness.check.record import RunRecord
from harness.model.verdicts import CheckResult, Verdict

_ENDED = "run-ended"


def validity_results(record: RunRecord, checks: Iterable[ValidityCheck]) -> list[ValidityResult]:
    """A row for each of `checks` that concerns this run. One that raises does not hold; the others still count."""
    rows = []
    for check in checks:
        try:
            found = check.judge(record)
        except Exception as error:
            found = Soundness(False, f"the check itself failed: {error!r}", "a check that works: report this defect")
        if found is not None:
            rows.append(ValidityResult(check.id, found.ok, found.measured, found.limit))
    return rows


def judge_validity(rows: Sequence[ValidityResult], checks: Iterable[ValidityCheck]) -> list[CheckResult]:
    """The check ``validity``: PASS, or INVALID naming the first that does not hold; and one INCONCLUSIVE under its own
    id for each whose effect that is. `rows`: those of `checks`.
    """
    known = {check.id: check for check in checks}
    firm = [row for row in rows if known[row.id].effect is Verdict.INVALID]
    broken = [row for row in firm if not row.ok]
    results = [_invalid(broken, len(firm)) if broken else _sound(len(firm))]
    for row in rows:
        check = known[row.id]
        if not row.ok and check.effect is not Verdict.INVALID:
            results.append(CheckResult(row.id, check.effect, row.measured, 0, check.what_would_decide))
    return results


def _sound(number: int) -> CheckResult:
    return CheckResult("validity", Verdict.PASS, f"all {number} validity checks hold", number)


def _invalid(broken: Sequence[ValidityResult], number: int) -> CheckResult:
    first = broken[0]
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    reason = f"{first.id}: {first.measured}; it must be {first.limit}{more}"
    if first.id == _ENDED:
        reason = first.measured  # all else that is broken follows from that
    return CheckResult("validity", Verdict.INVALID, reason, number, "fix what is named and run again")
