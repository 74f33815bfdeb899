"""``expect.endpoints``: fewer is a FAIL wherever it is sure, unknown wherever nobody was looking, and else a PASS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.check.endpoints import EndpointsExpectation
from harness.check.judge import judge
from harness.check.record import RunRecord
from harness.faults.registry import FAULTS
from harness.history.plain import decode, plain
from harness.model import events
from harness.model.experiment import Expect, Experiment, Manifest, PhaseName
from harness.model.verdicts import CheckResult, Verdict
from harness.wiring.experiments import examine_text
from tests.pure.records import MadePod, MadeRun, S

SERVICE = Manifest("v1", "Service", "web", None, {}, "made.yaml", 1)
OTHER = replace(SERVICE, name="other")
FAULT = (PhaseName.FAULT,)
Timed = tuple[float, events.Fact]


def slices(*points: tuple[float, int], name: str = "web-1", service: str = "web") -> list[Timed]:
    """Ready endpoints of one slice from each second on; the fault phase is from 12.98 to 43 s."""
    changes = ["LISTED", *["MODIFIED"] * len(points)]
    return [
        (at, events.EndpointSeen(change, "default", service, name, ready, 0))
        for change, (at, ready) in zip(changes, points, strict=False)
    ]


def gap(since: float, until: float, resource: str = "endpointslices") -> Timed:
    """A gap of a watch, learnt of at its end."""
    return until, events.WatchGap(resource, round(since * S), "broken", round(until * S))


def listed(at: float, *ready: int) -> list[Timed]:
    """A list: every slice at one instant."""
    return [
        (at, events.EndpointSeen("LISTED", "default", "web", f"web-{number}", count, 0))
        for number, count in enumerate(ready, start=1)
    ]


def record_of(extra: list[Timed], *, at_least: int = 4, workload: tuple[Manifest, ...] = (SERVICE,)) -> RunRecord:
    """A run in which all else is well."""
    expect = Expect(checks={"endpoints": EndpointsExpectation(at_least, FAULT)})
    return MadeRun([MadePod("p", leaves_at=13.1)], expect=expect, workload=workload, extra=extra).record()


def result_of(record: RunRecord) -> CheckResult:
    """The one result of the check."""
    (result,) = [check for check in judge(record).checks if check.id.startswith("endpoints")]
    return result


CASES = {
    "never touched": (slices((1, 6)), Verdict.PASS),
    "just enough": (slices((1, 6), (13.1, 4), (16, 6)), Verdict.PASS),
    "too few for a second": (slices((1, 6), (13.1, 3), (14.1, 6)), Verdict.FAIL),
    "too few for an instant": (slices((1, 6), (13.1, 3), (13.1, 6)), Verdict.FAIL),
    "too few in the baseline only": (slices((1, 6), (5, 3), (6, 6)), Verdict.PASS),
    "too few before the phase, and still when it begins": (slices((1, 6), (12, 3), (20, 6)), Verdict.FAIL),
    "too few from the start of the run": (slices((1, 3)), Verdict.FAIL),
    "too few after the phase": (slices((1, 6), (43.5, 3)), Verdict.PASS),
    "none is left when the workload is removed": (slices((1, 6), (64.1, 0)), Verdict.PASS),
    "two slices, one at a time": (slices((1, 3)) + slices((1, 3), (13.1, 1), (14, 3), name="web-2"), Verdict.PASS),
    "two slices, together too few": (
        slices((1, 3), (13.2, 1)) + slices((1, 3), (13.1, 2), name="web-2"),
        Verdict.FAIL,
    ),
    "never seen": ([], Verdict.INCONCLUSIVE),
    "seen late": (slices((14, 6)), Verdict.INCONCLUSIVE),
    "blind for a second of the phase": ([*slices((1, 6)), gap(20, 21)], Verdict.INCONCLUSIVE),
    "blind before it": ([*slices((1, 6)), gap(5, 6)], Verdict.PASS),
    "blind after it": ([*slices((1, 6)), gap(45, 46)], Verdict.PASS),
    "another watch was blind": ([*slices((1, 6)), gap(20, 21, "pods")], Verdict.PASS),
    "too few, and blind later": ([*slices((1, 6), (13.1, 3), (14, 6)), gap(20, 21)], Verdict.FAIL),
    "too few, learnt from a list after a gap within the phase": (
        [*slices((1, 6)), gap(20, 21), *listed(21, 3)],
        Verdict.FAIL,
    ),
    "a list shows slice after slice, and all together are enough": (
        [*listed(1, 3, 3), gap(20, 21), *listed(21, 0, 6)],
        Verdict.INCONCLUSIVE,
    ),
    "late: it may have been before the phase": (
        [*slices((1, 6), (13.5, 3), (13.6, 6)), gap(12, 13.6, events.ALL_WATCHES)],
        Verdict.INCONCLUSIVE,
    ),
    "late, but all of it within the phase": (
        [*slices((1, 6), (13.5, 3), (13.6, 6)), gap(13.1, 13.6, events.ALL_WATCHES)],
        Verdict.FAIL,
    ),
    "low before a gap, and nothing said of its end": (
        [*slices((1, 6), (11, 3), (15, 6)), gap(12, 14)],
        Verdict.INCONCLUSIVE,
    ),
    "low before a gap that begins before the phase": (
        [*slices((1, 6), (11, 3)), gap(12, 14), *slices((14, 6))],
        Verdict.INCONCLUSIVE,
    ),
}


@pytest.mark.parametrize(("extra", "expected"), CASES.values(), ids=CASES.keys())
def test_ready_endpoints_in_a_phase(extra: list[Timed], expected: Verdict) -> None:
    result = result_of(record_of(extra))
    assert (result.id, result.verdict) == ("endpoints/fault", expected), result.reason


@pytest.mark.parametrize("said", [None, events.ClosingList("endpointslices", False, (), "403")])
def test_silence_is_no_evidence(said: events.ClosingList | None) -> None:
    expect = Expect(checks={"endpoints": EndpointsExpectation(4, FAULT)})
    run = MadeRun([MadePod("p", leaves_at=13.1)], expect=expect, workload=(SERVICE,), extra=slices((1, 6)))
    assert judge(run.record()).verdict is Verdict.PASS
    assert result_of(replace(run, closing={"endpointslices": said}).record()).verdict is Verdict.INCONCLUSIVE


def test_every_service_counts() -> None:
    both = (SERVICE, OTHER)
    assert result_of(record_of(slices((1, 6)), workload=both)).verdict is Verdict.INCONCLUSIVE
    well = slices((1, 6)) + slices((1, 4), name="other-1", service="other")
    assert result_of(record_of(well, workload=both)).verdict is Verdict.PASS
    worse = slices((1, 6)) + slices((1, 4), (20, 2), name="other-1", service="other")
    result = result_of(record_of(worse, workload=both))
    assert (result.verdict, result.measured, result.limit) == (Verdict.FAIL, 2.0, 4.0)
    assert result.reason == "default/other had 2 ready endpoints at 20.0 s of the run, 4 are needed"
    assert result_of(record_of(slices((1, 6)), workload=())).verdict is Verdict.INCONCLUSIVE


def test_a_phase_that_did_not_take_place_decides_nothing() -> None:
    record = record_of(slices((1, 6)))
    expect = Expect(checks={"endpoints": EndpointsExpectation(4, (PhaseName.FAULT, PhaseName.RECOVERY))})
    until = next(n for n, e in enumerate(record.history.entries) if getattr(e.fact, "subject", "") == "recovery")
    history = replace(record.history, entries=record.history.entries[:until])
    cut = replace(record, history=history, experiment=replace(record.experiment, expect=expect))
    found = {check.id: check.verdict for check in judge(cut).checks if check.id.startswith("endpoints")}
    assert found["endpoints/recovery"] is Verdict.INCONCLUSIVE


def test_it_is_judged_from_the_folder_as_from_memory() -> None:
    record = record_of(slices((1, 6), (13.1, 3)))
    kinds = [kind.value for kind in FAULTS]
    again = replace(record, experiment=decode(Experiment, plain(record.experiment), kinds))
    assert again.experiment.expect.checks == {
        "endpoints": {"type": "EndpointsExpectation", "at_least": 4, "phases": ["fault"]}
    }
    assert result_of(again) == result_of(record)


def test_a_folder_that_was_edited_makes_it_invalid() -> None:
    record = record_of(slices((1, 6)))
    for written in ({"at_least": "many", "phases": ["fault"]}, {"at_least": 4}, 7):
        edited = replace(record, experiment=replace(record.experiment, expect=Expect(checks={"endpoints": written})))
        assert result_of(edited).verdict is Verdict.INVALID


def test_what_no_check_knows_is_not_forgotten() -> None:
    record = record_of(slices((1, 6)))
    newer = Expect(checks={"endpoints": EndpointsExpectation(4, FAULT), "latencyBudget": {"ms": 3}})
    judgement = judge(replace(record, experiment=replace(record.experiment, expect=newer)))
    assert judgement.verdict is Verdict.INVALID
    assert "latencyBudget" in judgement.reason


TEXT = """\
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {name: e}
spec:
  WORKLOAD
  phases: {baseline: 5s, fault: 10s}
  expect:
    evictions: ignored
    endpoints: VALUE
"""
WEB = Path(__file__).parents[2] / "experiments/e.yaml"


def problems(value: str, workload: str = "workload: [manifests/web.yaml]") -> list[str]:
    """What is wrong with the value, each as line: message."""
    examined = examine_text(TEXT.replace("VALUE", value).replace("  WORKLOAD\n", f"  {workload}\n"), WEB)
    return [f"{problem.line}: {problem.message}" for problem in examined.problems]


WRONG = {
    "{atLeast: 0, phases: [fault]}": "9: atLeast: ",
    "{atLeast: 4}": "9: ",
    "{phases: [fault]}": "9: ",
    "{atLeast: 4, phases: [fault], of: web}": "9: endpoints: there is no key of here",
    "{atLeast: 4, phases: [recovery]}": "9: phases: recovery lasts 0s",
    "4": "9: endpoints: ",
}


@pytest.mark.parametrize(("value", "start"), WRONG.items())
def test_a_wrong_value_is_named_at_its_place(value: str, start: str) -> None:
    found = problems(value)
    assert [problem for problem in found if problem.startswith(start)], found


def test_it_needs_a_workload_and_is_read() -> None:
    value = "{atLeast: 4, phases: [baseline, fault]}"
    assert problems(value) == []
    assert problems(value, "# none") == [
        "9: endpoints: the Services of the workload are counted, but there is none",
    ]
    text = TEXT.replace("VALUE", value).replace("WORKLOAD", "workload: [manifests/web.yaml]")
    experiment = examine_text(text, WEB).experiment
    assert experiment is not None
    phases = (PhaseName.BASELINE, PhaseName.FAULT)
    assert experiment.expect.checks == {"endpoints": EndpointsExpectation(4, phases)}
