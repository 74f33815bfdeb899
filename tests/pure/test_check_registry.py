"""The registry: every check stands alone, one that fails hides no other, and noop changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.check.base import NOOP, NOTHING, Check, Judged, ValidityCheck
from harness.check.endpoints import EndpointsExpectation
from harness.check.judge import Judgement, judge
from harness.check.record import RunRecord
from harness.check.registry import CHECKS, VALIDITY_CHECKS
from harness.model.experiment import Expect, MetricExpectation, PhaseName, RecoveryExpectation, Slo, SloKind
from harness.model.verdicts import CheckResult, Verdict
from tests.pure.records import MadePod, MadeRun, steady

EXPECT = Expect(
    slos=(Slo("success", (PhaseName.FAULT,), SloKind.SUCCESS, 0.99),),
    recovery=RecoveryExpectation(5.0),
    metrics=(MetricExpectation("cpu", "q", (PhaseName.FAULT,), 0.1, 0.9),),
    checks={"endpoints": EndpointsExpectation(1, (PhaseName.FAULT,))},
)
RECORD = MadeRun([MadePod("p", leaves_at=13.1)], requests=steady(1, 63), expect=EXPECT).record()


def crash(_: RunRecord) -> Judged:
    """A judge with a defect."""
    raise RuntimeError("a defect")


def said(judgement: Judgement) -> dict[str, Verdict]:
    """Verdicts by id."""
    return {result.id: result.verdict for result in judgement.checks}


def test_ids_are_unique() -> None:
    ids = [check.id for check in (*CHECKS, *VALIDITY_CHECKS)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("number", range(len(CHECKS)), ids=[check.id for check in CHECKS])
def test_a_check_that_crashes_is_invalid_and_hides_no_other(number: int) -> None:
    broken = CHECKS[number]
    checks = tuple(replace(check, judge=crash) if check is broken else check for check in CHECKS)
    whole, judgement = judge(RECORD), judge(RECORD, checks=checks)
    assert judgement.verdict is Verdict.INVALID
    others = {id_: verdict for id_, verdict in said(whole).items() if id_.partition("/")[0] != broken.id}
    assert said(judgement) == {**others, broken.id: Verdict.INVALID}


@pytest.mark.parametrize("number", range(len(VALIDITY_CHECKS)), ids=[check.id for check in VALIDITY_CHECKS])
def test_a_validity_check_that_crashes_does_not_hold_and_hides_no_other(number: int) -> None:
    broken = VALIDITY_CHECKS[number]
    checks = tuple(replace(check, judge=crash) if check is broken else check for check in VALIDITY_CHECKS)
    judgement = judge(RECORD, validity=checks)
    assert [row.id for row in judgement.validity if not row.ok] == [broken.id]
    assert [row.id for row in judgement.validity] == [row.id for row in judge(RECORD).validity]
    assert said(judgement)[broken.id if broken.effect is Verdict.INCONCLUSIVE else "validity"] is broken.effect
    assert {check.id for check in judgement.checks} >= {"evictions", "slo/success/fault"}


@pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
def test_a_check_that_is_not_expected_says_nothing(check: Check) -> None:
    nothing = replace(RECORD, experiment=replace(RECORD.experiment, expect=Expect(evictions=False)))
    assert not check.applies(nothing.experiment)
    assert said(judge(nothing)) == {"validity": Verdict.PASS}


def test_noop_changes_nothing() -> None:
    assert judge(RECORD, checks=(NOOP, *CHECKS, NOOP)) == judge(RECORD)


def test_a_check_of_somebody_elses_counts() -> None:
    result = CheckResult("other", Verdict.FAIL, "it is wrong", 1)
    record = MadeRun([MadePod("p", leaves_at=13.1)], requests=steady(1, 63)).record()
    judgement = judge(record, checks=(Check("other", NOTHING, lambda _: True, lambda _: Judged((result,))),))
    assert said(judgement) == {"validity": Verdict.PASS, "other": Verdict.FAIL}
    assert (judgement.verdict, judgement.reason) == (Verdict.FAIL, "other: it is wrong")


@pytest.mark.parametrize("effect", [Verdict.PASS, Verdict.FAIL])
def test_an_unsound_measurement_neither_passes_nor_fails(effect: Verdict) -> None:
    with pytest.raises(ValueError, match="an unsound measurement is not"):
        ValidityCheck("x", lambda _: None, effect=effect)
