"""Objectives per phase: counted, with too few said to be too few."""

from __future__ import annotations

import pytest

from harness.check.slo import judge_slos
from harness.model.experiment import Expect, PhaseName, Slo, SloKind
from harness.model.verdicts import Verdict
from tests.pure.records import MadeRun, steady

SUCCESS = Slo("success", (PhaseName.FAULT,), SloKind.SUCCESS, 0.99)
STRICT = Slo("strict", (PhaseName.FAULT,), SloKind.SUCCESS, 0.999)
LATENCY = Slo("latency", (PhaseName.FAULT,), SloKind.LATENCY, 0.99, 0.25)

CASES = {
    "none bad": (SUCCESS, steady(13, 43), Verdict.PASS),
    "just within the budget": (SUCCESS, steady(13, 43, bad_every=100), Verdict.PASS),
    "just over the budget": (SUCCESS, steady(13, 43, bad_every=99), Verdict.FAIL),
    "bad ones outside the phase do not count": (SUCCESS, steady(13, 43) + steady(3, 12, bad_every=1), Verdict.PASS),
    "slow ones are good for success": (SUCCESS, steady(13, 43, slow_every=2), Verdict.PASS),
    "slow ones are bad for latency": (LATENCY, steady(13, 43, slow_every=50), Verdict.FAIL),
    "failed ones are bad for latency": (LATENCY, steady(13, 43, bad_every=50), Verdict.FAIL),
    "3000 of 3000 decide 99.9 %": (STRICT, steady(13, 43), Verdict.PASS),
    "2900 of 2900 do not": (STRICT, steady(13, 42), Verdict.INCONCLUSIVE),
    "few, but damning": (STRICT, steady(13, 14, bad_every=4), Verdict.FAIL),
    "few, one bad": (SUCCESS, steady(13, 14, bad_every=100), Verdict.INCONCLUSIVE),
    "none due": (SUCCESS, [], Verdict.INCONCLUSIVE),
}


@pytest.mark.parametrize(("slo", "requests", "expected"), CASES.values(), ids=CASES.keys())
def test_verdict(slo: Slo, requests: list, expected: Verdict) -> None:
    (result,) = judge_slos(MadeRun(expect=Expect(slos=(slo,)), requests=requests).record())
    assert result.verdict is expected, result.reason


def test_no_load_is_inconclusive() -> None:
    (result,) = judge_slos(MadeRun(expect=Expect(slos=(SUCCESS,))).record())
    assert result.verdict is Verdict.INCONCLUSIVE


def test_an_open_verdict_says_how_much_more_would_decide_it() -> None:
    (result,) = judge_slos(MadeRun(expect=Expect(slos=(STRICT,)), requests=steady(13, 42)).record())
    assert result.what_would_decide == "100 more requests: about 1 s more at this rate"
    assert result.interval is not None
    assert result.interval[0] == 0 < result.interval[1] < 0.002
