"""Validity, recovery, metrics, and the one verdict of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.check.judge import judge
from harness.check.recovery import judge_recovery
from harness.check.result import result_of
from harness.errors import ExitCode
from harness.model import events
from harness.model.experiment import Expect, Manifest, MetricExpectation, PhaseName, RecoveryExpectation, Slo, SloKind
from harness.model.result import Environment, RunState
from harness.model.verdicts import Verdict
from tests.pure.records import MadePod, MadeRun, steady

WHOLE = MadeRun([MadePod("p", leaves_at=13.1)], requests=steady(1, 63)).record()


@pytest.mark.parametrize("entries", range(1, len(WHOLE.history.entries)))
def test_a_history_that_breaks_off_anywhere_is_judged(entries: int) -> None:
    history = replace(WHOLE.history, entries=WHOLE.history.entries[:entries])
    record = replace(WHOLE, history=history, rows=None, traffic=None)
    judgement = judge(record)
    assert judgement.verdict is Verdict.INVALID
    assert not [check.reason for check in judgement.checks if "judge itself" in check.reason]
    result = result_of(record, judgement, versions={}, environment=Environment(), ledger=())
    assert (result.verdict, result.state) == (Verdict.INVALID, RunState.KILLED)


def test_a_run_that_failed_before_its_first_phase_says_why() -> None:
    until = next(i for i, entry in enumerate(WHOLE.history.entries) if isinstance(entry.fact, events.StepInvoked))
    ended = replace(WHOLE.history.entries[-1], fact=events.RunEnded("failed", "the workload is not Ready after 120 s"))
    history = replace(WHOLE.history, entries=(*WHOLE.history.entries[:until], ended))
    judgement = judge(replace(WHOLE, history=history, rows=None, traffic=None))
    (validity,) = [check for check in judgement.checks if check.id == "validity"]
    assert (judgement.verdict, judgement.exit_code) == (Verdict.INVALID, ExitCode.INCONCLUSIVE)
    assert validity.reason == "the run failed: the workload is not Ready after 120 s"


SUCCESS = Slo("success", (PhaseName.FAULT,), SloKind.SUCCESS, 0.99)
RECOVERY = Expect(recovery=RecoveryExpectation(5.0))
SERVICE = Manifest("v1", "Service", "web", None, {}, "made.yaml", 1)


def endpoints(*points: tuple[float, int]) -> list[tuple[float, events.Fact]]:
    """Ready endpoints of the Service from each second on."""
    return [(at, events.EndpointSeen("MODIFIED", "default", "web", "web-1", ready, 0)) for at, ready in points]


TRAFFIC = {
    "well throughout": (steady(3, 63), 0, Verdict.PASS),
    "bad for two seconds": (steady(3, 43) + steady(43, 45, bad_every=2) + steady(45, 63), 2, Verdict.PASS),
    "bad for seven seconds": (steady(3, 43) + steady(43, 50, bad_every=2) + steady(50, 63), 7, Verdict.FAIL),
    "well, then bad again": (steady(3, 55) + steady(55, 57, bad_every=2) + steady(57, 63), 14, Verdict.FAIL),
    "bad to the end": (steady(3, 43) + steady(43, 63, bad_every=2), None, Verdict.FAIL),
    "as bad as the baseline was": (steady(3, 63, bad_every=20), 0, Verdict.PASS),
}


@pytest.mark.parametrize(("requests", "seconds", "expected"), TRAFFIC.values(), ids=TRAFFIC.keys())
def test_recovery_of_traffic(requests: list, seconds: int | None, expected: Verdict) -> None:
    result = judge_recovery(MadeRun(expect=RECOVERY, requests=requests).record())[0]
    assert (result.id, result.verdict, result.measured) == ("recovery/traffic", expected, seconds), result.reason


PODS = {
    "never touched": (endpoints((1, 6)), Verdict.PASS),
    "back before the fault ended": (endpoints((1, 6), (13, 4), (16, 6)), Verdict.PASS),
    "back in time": (endpoints((1, 6), (13, 4), (46, 6)), Verdict.PASS),
    "back too late": (endpoints((1, 6), (13, 4), (52, 6)), Verdict.FAIL),
    "back and lost again": (endpoints((1, 6), (13, 4), (46, 6), (60, 5)), Verdict.FAIL),
    "never back": (endpoints((1, 6), (13, 4)), Verdict.FAIL),
    "removed with the workload": (endpoints((1, 6), (64.1, 0)), Verdict.PASS),
    "no endpoints known": ([], Verdict.INCONCLUSIVE),
    "none before the fault": (endpoints((1, 0)), Verdict.INCONCLUSIVE),
}


@pytest.mark.parametrize(("points", "expected"), PODS.values(), ids=PODS.keys())
def test_recovery_of_pods(points: list, expected: Verdict) -> None:
    results = judge_recovery(MadeRun(expect=RECOVERY, workload=(SERVICE,), extra=points).record())
    assert results[-1].id == "recovery/pods"
    assert results[-1].verdict is expected, results[-1].reason


def test_a_recovery_phase_shorter_than_allowed_decides_nothing() -> None:
    expect = Expect(recovery=RecoveryExpectation(30.0))
    assert judge_recovery(MadeRun(expect=expect).record())[0].verdict is Verdict.INCONCLUSIVE


def sound(**changes: object) -> MadeRun:
    """A run in which nothing is wrong, changed."""
    values: dict = {
        "pods": [MadePod("p", leaves_at=13.1)],
        "requests": steady(1, 63),
        "expect": Expect(slos=(SUCCESS,)),
    }
    return MadeRun(**{**values, **changes})


UNSOUND = {
    "load killed": ({"load_ok": False}, "load-complete"),
    "sent too few": ({"summary": {"sent": 6000}}, "load-sent"),
    "sent too late": ({"summary": {"lateness_p99_ms": 101.0}}, "load-punctual"),
    "load process saturated": ({"summary": {"cpu": 0.95}}, "load-cpu"),
    "sick before the fault": ({"requests": steady(1, 63, bad_every=20)}, "baseline"),
    "never injected": ({"injected": False}, "injected"),
    "run killed": ({"state": ""}, "run-ended"),
    "run failed": ({"state": "failed"}, "run-ended"),
    "watch died": ({"extra": [(20.0, events.RecorderFailed("pods", "403"))]}, "observed"),
}


LATENCY = Slo("latency", (PhaseName.FAULT,), SloKind.LATENCY, 0.99, 0.25)
LATE = {
    "met, 12 ms late": (steady(1, 63), 12.0, True),
    "met, 60 ms late": (steady(1, 63), 60.0, True),
    "met, 130 ms late: other traffic than declared": (steady(1, 63), 130.0, False),
    "missed, 12 ms late": (steady(1, 13) + steady(13, 63, slow_every=20), 12.0, True),
    "missed, 60 ms late: perhaps our doing": (steady(1, 13) + steady(13, 63, slow_every=20), 60.0, False),
}


@pytest.mark.parametrize(("requests", "lateness_ms", "ok"), LATE.values(), ids=LATE.keys())
def test_our_own_lateness_matters_where_it_could_decide(requests: list, lateness_ms: float, ok: bool) -> None:
    run = sound(requests=requests, expect=Expect(slos=(LATENCY,)), summary={"lateness_p99_ms": lateness_ms})
    assert {found.id: found.ok for found in judge(run.record()).validity}["load-punctual"] is ok


def test_a_sound_run_passes_every_validity_check_and_the_run() -> None:
    record = sound().record()
    assert [found.id for found in judge(record).validity if not found.ok] == []
    judgement = judge(record)
    assert (judgement.verdict, judgement.exit_code) == (Verdict.PASS, ExitCode.PASS), judgement.reason


@pytest.mark.parametrize(("changes", "check"), UNSOUND.values(), ids=UNSOUND.keys())
def test_an_unsound_run_is_invalid(changes: dict, check: str) -> None:
    record = sound(**changes).record()
    assert [found.id for found in judge(record).validity if not found.ok] == [check]
    judgement = judge(record)
    assert (judgement.verdict, judgement.exit_code) == (Verdict.INVALID, ExitCode.INCONCLUSIVE)


RUNS = {
    "a pod survived wrongly": ({"pods": [MadePod("p")]}, Verdict.FAIL, 1),
    "an objective missed": (
        {"requests": steady(1, 13) + steady(13, 63, bad_every=10)},
        Verdict.FAIL,
        1,
    ),
    "no pod on the target": ({"pods": []}, Verdict.INCONCLUSIVE, 3),
    "interrupted": ({"state": "interrupted"}, Verdict.INVALID, 130),
    "aborted by the guard": (
        {"state": "aborted", "extra": [(20.0, events.GuardTripped("bad-ratio", "too bad"))]},
        Verdict.FAIL,
        4,
    ),
}


@pytest.mark.parametrize(("changes", "verdict", "code"), RUNS.values(), ids=RUNS.keys())
def test_the_run_as_a_whole(changes: dict, verdict: Verdict, code: int) -> None:
    judgement = judge(sound(**changes).record())
    assert (judgement.verdict, int(judgement.exit_code)) == (verdict, code), judgement.reason


def test_leftovers_are_the_loudest() -> None:
    judgement = judge(sound().record(), leftovers=["taint spot=x:NoExecute (n1)"])
    assert (judgement.exit_code, judgement.healed) == (ExitCode.HEAL_FAILED, False)


def metric_samples(value: float, *, every: float = 1.0, upto: float = 43.0) -> list[tuple[float, events.Fact]]:
    """Samples of expectation ``cpu`` over the fault phase, told after the run."""
    out: list[tuple[float, events.Fact]] = []
    t_s = 13.0
    while t_s < upto:
        out.append((63.5, events.Sample("expectation", "cpu", value, "", {"t_s": f"{t_s:.3f}"})))
        t_s += every
    return out


SCRAPED = (63.5, events.Scraped({"pod": "web"}, tuple((float(t_s), 1.0) for t_s in range(1, 64))))
DEAD = [(63.5, events.Sample("expectation", "cpu", None, "", {}, "Prometheus did not answer"))]
METRICS = {
    "within": (metric_samples(0.5), Verdict.PASS),
    "above": (metric_samples(1.5), Verdict.FAIL),
    "below": (metric_samples(0.01), Verdict.FAIL),
    "Prometheus dead": (DEAD, Verdict.INCONCLUSIVE),
    "no sample": ([], Verdict.INCONCLUSIVE),
    "Prometheus died half-way": (metric_samples(0.5, upto=28.0), Verdict.INCONCLUSIVE),
    "scraped every 3 s": (metric_samples(0.5, every=3.0), Verdict.INCONCLUSIVE),
}


@pytest.mark.parametrize(("samples", "expected"), METRICS.values(), ids=METRICS.keys())
def test_metric_expectations(samples: list, expected: Verdict) -> None:
    expectation = MetricExpectation("cpu", "q", (PhaseName.FAULT,), 0.1, 0.9)
    judgement = judge(sound(expect=Expect(metrics=(expectation,)), extra=[*samples, SCRAPED]).record())
    result = next(check for check in judgement.checks if check.id == "metric/cpu/fault")
    assert result.verdict is expected, result.reason
    assert judgement.verdict is expected
