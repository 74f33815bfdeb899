"""How long judging takes: ``python -m tests.benchmarks.bench_judging [PODS ...]`` (default 1250 2500 5000).

Each size is a made run: 100 pods on each target node, all of them evicted and replaced on other nodes, a Service with
100 endpoints a slice, traffic windows, samples and skews by the second, two gaps of the watches. About 12 facts a pod.
Seconds are processor time of one judgement in this process (best of three), without reading the folder; the growth is
that of the seconds from the first size to each. A run that is not judged PASS is no measurement: it raises.
"""

from __future__ import annotations

import argparse
import gc
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from harness.check.judge import judge
from harness.check.record import RunRecord
from harness.check.result import result_of
from harness.collector import no_cycle_collector
from harness.faults.taint import TaintFault
from harness.history.read import History
from harness.model import events
from harness.model.experiment import (
    Expect,
    Experiment,
    Guard,
    LabWish,
    Manifest,
    MetricExpectation,
    PhaseName,
    Phases,
    RecoveryExpectation,
    Target,
)
from harness.model.needs import Watched
from harness.model.plan import Plan, Prediction, Step
from harness.model.result import Environment
from harness.model.taints import Effect, Taint
from harness.model.words import Action, Change, RunState
from harness.plan.predict_observed import predict_observed
from harness.semantics.eviction.settings import Settings

SIZES = (1250, 2500, 5000)
PODS_A_NODE = 100
ENDPOINTS_A_SLICE = 100
SPOT = Taint("spot", Effect.NO_EXECUTE, "x")
SETTINGS = Settings(kcm_qps=100.0, kcm_burst=150)
WALL_S, GRACE_S = 1_767_225_600, 30
BASELINE_S, FAULT_AT_S, RECOVERY_S = 1.0, 10.0, 20.0
_REPEATS = 3

Timed = tuple[float, events.Fact]


@dataclass(frozen=True)
class Size:
    """A run of `pods` evicted pods."""

    pods: int

    @property
    def nodes(self) -> int:
        """Target nodes."""
        return max(1, self.pods // PODS_A_NODE)

    @property
    def fault_s(self) -> float:
        """Long enough for every eviction through the controller's throttled client, three requests each."""
        return math.ceil(3 * self.pods / SETTINGS.kcm_qps * 1.1) + 30.0

    @property
    def heal_at_s(self) -> float:
        """Second of the run at which the fault phase ends."""
        return FAULT_AT_S + self.fault_s


def node(number: int) -> str:
    """Name of the target node with that number."""
    return f"node-{number}"


def stamp(at_s: float) -> str:
    """Wall time of a second of the run."""
    return datetime.fromtimestamp(WALL_S + at_s, UTC).isoformat()


def faults_of(size: Size) -> Iterator[Timed]:
    """Every taint on, and off again: steps 3 ms apart that overlap, each change seen a millisecond after its answer."""
    for number in range(size.nodes):
        name = node(number)
        yield 0.1, seen_node(Change.LISTED, name, (), "1")
        yield 5.0, seen_node(Change.MODIFIED, name, (), "2")
        for verb, at_s, taints in (("inject", FAULT_AT_S + 0.1, (SPOT,)), ("heal", size.heal_at_s, ())):
            step, sent_s = f"{verb}-{number}", at_s + number * 0.003
            version = f"rv-{step}"
            yield sent_s, events.StepInvoked(step, Action(verb), name)
            yield sent_s + 0.010, events.StepDone(step, {"resourceVersion": version})
            yield sent_s + 0.011, seen_node(Change.MODIFIED, name, taints, version)


def seen_node(change: Change, name: str, taints: tuple[Taint, ...], version: str) -> events.NodeSeen:
    """One sighting of a node; its taints, where it has any, are ours."""
    by = "taintlab 2026-01-01T00:00:00Z"
    return events.NodeSeen(
        change, name, f"uid-{name}", tuple(taint.to_api() for taint in taints), False, True, version, by, by
    )


def seen_pod(change: Change, name: str, on: str, **changes: object) -> events.PodSeen:
    """One sighting of a pod of the one ReplicaSet."""
    values: dict[str, object] = {
        "change": change,
        "namespace": "default",
        "name": name,
        "uid": f"uid-{name}",
        "node": on,
        "phase": "Running",
        "ready": True,
        "deletion_timestamp": None,
        "grace_s": None,
        "disruption_reason": None,
        "tolerations": (),
        "owner_kind": "ReplicaSet",
        "owner_name": "web",
        "owner_uid": "uid-web",
        "resource_version": "1",
    }
    return events.PodSeen(**{**values, **changes})  # type: ignore[arg-type]


def pods_before(size: Size) -> Iterator[Timed]:
    """Every pod as the first list shows it."""
    for number in range(size.pods):
        yield 0.5, seen_pod(Change.LISTED, f"pod-{number}", node(number % size.nodes))


def departure(number: int, on: str, at_s: float) -> Iterator[Timed]:
    """One pod leaves at `at_s` and another one takes its place elsewhere: nine facts about pods, two of endpoints."""
    old, new, ready = f"pod-{number}", f"new-{number}", True
    reason = {"disruption_reason": "DeletionByTaintManager"}
    dying = {**reason, "deletion_timestamp": stamp(int(at_s) + GRACE_S), "grace_s": GRACE_S}
    yield at_s - 0.001, seen_pod(Change.MODIFIED, old, on, **reason)
    yield at_s, seen_pod(Change.MODIFIED, old, on, **dying)
    yield at_s + 1, seen_pod(Change.MODIFIED, old, on, ready=False, **dying)
    yield at_s + 2, seen_pod(Change.MODIFIED, old, on, ready=False, phase="Succeeded", **dying)
    yield at_s + 2.1, seen_pod(Change.DELETED, old, on, ready=False, phase="Succeeded", **dying)
    yield at_s + 0.01, seen_pod(Change.ADDED, new, "", phase="Pending", ready=False)
    yield at_s + 0.05, seen_pod(Change.MODIFIED, new, f"other-{number % 500}", phase="Pending", ready=False)
    yield at_s + 1.5, seen_pod(Change.MODIFIED, new, f"other-{number % 500}", ready=False)
    yield at_s + 2.5, seen_pod(Change.MODIFIED, new, f"other-{number % 500}", ready=ready)
    within, slice_ = number % ENDPOINTS_A_SLICE, f"web-{number // ENDPOINTS_A_SLICE}"
    yield at_s + 0.02, events.EndpointSeen(Change.MODIFIED, "default", "web", slice_, ENDPOINTS_A_SLICE - 1, within)
    yield at_s + 2.6, events.EndpointSeen(Change.MODIFIED, "default", "web", slice_, ENDPOINTS_A_SLICE, 0)


def surroundings(size: Size) -> Iterator[Timed]:
    """Phases, seconds of traffic, samples, skews, gaps, closing lists, the end."""
    end_s = size.heal_at_s + RECOVERY_S
    for name, start_s in (("baseline", BASELINE_S), ("fault", FAULT_AT_S), ("recovery", size.heal_at_s)):
        yield start_s, events.StepInvoked(f"phase-{name}", Action.PHASE, name)
        yield start_s, events.StepDone(f"phase-{name}")
    for number in range(math.ceil(size.pods / ENDPOINTS_A_SLICE)):
        yield 0.2, events.EndpointSeen(Change.LISTED, "default", "web", f"web-{number}", ENDPOINTS_A_SLICE, 0)
    for second in range(1, int(end_s)):
        yield second + 0.5, events.LoadWindow(100, 100, 100, 0, 1.0, 2.0, 0, 0.1, 0.1)
        if second % 10 == 0:
            yield second + 0.6, events.SkewMeasured(0.0, 500.0)
    seconds = [float(second) for second in range(int(end_s))]
    for t_s in seconds:
        yield end_s + 0.1, events.Sample("expectation", "cpu", 0.5, "", {"t_s": f"{t_s:.3f}"})
        yield end_s + 0.1, events.Sample("saturation", "cpu", 0.5, "cores", {"t_s": f"{t_s:.3f}", "pod": "web"})
    yield end_s + 0.2, events.Scraped({"pod": "web"}, tuple((t_s, 1.0) for t_s in seconds))
    for gap_s in (3.0, 6.0):
        for resource in ("pods", "nodes", "endpointslices"):
            yield gap_s + 0.4, events.WatchGap(resource, round(gap_s * 1e9), "broken", round((gap_s + 0.4) * 1e9))
    yield end_s + 0.01, events.StepInvoked("stop-load", Action.STOP_LOAD)
    yield end_s + 0.02, events.StepDone("stop-load")
    there = tuple(f"uid-new-{number}" for number in range(size.pods))
    for resource, present in (("pods", there), ("nodes", ()), ("endpointslices", ())):
        yield end_s + 0.5, events.ClosingList(resource, True, present)
    yield end_s + 1, events.StepInvoked("remove", Action.REMOVE)
    yield end_s + 2, events.StepDone("remove")
    yield end_s + 3, events.RunEnded(RunState.COMPLETED)


def history_of(facts: list[Timed]) -> History:
    """The facts in time order, as a recorder would have written them."""
    entries = [events.Entry(0, 0, stamp(0), "bench", events.RunStarted("r1", 0, events.FORMAT))]
    watched = [(0.0, events.WatchStarted(resource)) for resource in Watched]
    for at_s, fact in sorted([*watched, *facts], key=lambda item: item[0]):
        entries.append(events.Entry(len(entries), round(at_s * 1e9), stamp(at_s), "bench", fact))
    return History(tuple(entries))


def record_of(size: Size) -> RunRecord:
    """The run: evictions happen in the middle of what the predictor allows, replacements at once."""
    service = Manifest("v1", "Service", "web", None, {}, "made.yaml", 1)
    expect = Expect(
        recovery=RecoveryExpectation(10.0),
        metrics=(MetricExpectation("cpu", "q", (PhaseName.FAULT, PhaseName.RECOVERY), 0.1, 0.9),),
    )
    phases = Phases(0.0, FAULT_AT_S - BASELINE_S, size.fault_s, RECOVERY_S)
    names = tuple(node(number) for number in range(size.nodes))
    fault = TaintFault(SPOT)
    experiment = Experiment(
        "bench", "", "bench.yaml", (service,), Target(names=names), None, phases, (fault,), expect, Guard(), LabWish()
    )
    steps = tuple(Step(f"inject-{number}", Action.INJECT, name, 0.0, fault=fault) for number, name in enumerate(names))
    plan = Plan("r1", "bench", names, steps, ())
    base = [*surroundings(size), *faults_of(size), *pods_before(size)]
    horizon_ns = round((size.heal_at_s + RECOVERY_S + 1) * 1e9)
    predicted = predict_observed(plan, history_of(base), SETTINGS, horizon_ns=horizon_ns)
    facts = [*base]
    for prediction in predicted:
        number = int(prediction.uid.removeprefix("uid-pod-"))
        facts += departure(number, prediction.node, FAULT_AT_S + 0.11 + middle_s(prediction))
    plan = replace(plan, predictions=predicted)
    return RunRecord(experiment, plan, history_of(facts), None, None, {}, SETTINGS)


def middle_s(prediction: Prediction) -> float:
    """Seconds after the first acknowledged taint at which the pod leaves."""
    assert prediction.earliest_s is not None
    assert prediction.latest_s is not None
    return (prediction.earliest_s + prediction.latest_s) / 2


class Collector:
    """Counts the seconds that the garbage collector takes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since_ns = 0

    def __call__(self, phase: str, _info: dict[str, int]) -> None:
        """For ``gc.callbacks``."""
        if phase == "start":
            self._since_ns = time.process_time_ns()
        else:
            self.seconds += (time.process_time_ns() - self._since_ns) / 1e9


def measure(pods: int) -> tuple[float, float, int]:
    """Seconds to judge and to make the result, those of them that the garbage collector takes, and the number of facts;
    RuntimeError when the verdict is no PASS.
    """
    best = (math.inf, 0.0)
    record = record_of(Size(pods))
    for _ in range(_REPEATS):
        fresh = replace(record, history=History(record.history.entries))
        gc.collect()
        collector = Collector()
        gc.callbacks.append(collector)
        start_ns = time.process_time_ns()
        with no_cycle_collector():  # as harness.engine.judging does
            judgement = judge(fresh)
            result = result_of(fresh, judgement, versions={}, environment=Environment(), ledger=())
        best = min(best, ((time.process_time_ns() - start_ns) / 1e9, collector.seconds))
        gc.callbacks.remove(collector)
        replaced = sum(row.replacement is not None for row in judgement.evictions)
        if judgement.verdict != "PASS" or len(result.evictions) != pods or replaced != pods:
            raise RuntimeError(f"{judgement.verdict}, {replaced} of {pods} replaced: {judgement.reason}")
    return *best, len(record.history.entries)


def main() -> None:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pods", nargs="*", type=int, default=SIZES)
    first: tuple[int, float] | None = None
    for pods in parser.parse_args().pods:
        seconds, collecting_s, facts = measure(pods)
        first = first or (pods, seconds)
        growth = f"{seconds / first[1]:.2f} times the seconds for {pods / first[0]:.2f} times the pods"
        collecting = f"{collecting_s:.2f} s of it the garbage collector"
        print(f"{pods} pods, {facts} facts: {seconds:.2f} s, {collecting} ({growth})", flush=True)


if __name__ == "__main__":
    main()
