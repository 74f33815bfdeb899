"""Small whole runs in virtual time: the real observer before a cluster in bad weather, then the real judges.

A fault of 6 s from 2.0 s of the run on, a recovery of 4 s, the closing list, the end. In good weather each passes.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.check.judge import Judgement, judge
from harness.check.record import RunRecord
from harness.errors import Indeterminate, Refused, TryLater
from harness.faults.cordon import CordonFault
from harness.faults.taint import TaintFault
from harness.history.query import facts
from harness.history.read import read_history
from harness.history.record import Recorder
from harness.model import events
from harness.model.experiment import Expect, Manifest, Phases, RecoveryExpectation
from harness.model.faults import Fault
from harness.model.needs import Watched, WatchNeed
from harness.model.plan import Plan, Prediction, Step
from harness.model.taints import Effect, Toleration
from harness.model.verdicts import PodVerdict, Verdict
from harness.model.words import Action
from harness.run.observe import NODE_PATH, POD_PATH, Observer
from harness.semantics.eviction.settings import BUSY, Settings
from tests.fakes.virtual_loop import VirtualClock, run, stand_still
from tests.fakes.watch_weather import StormyCluster
from tests.pure.records import FOREVER, IN_MEMORY, NODE, SPOT, MadeRun, stamp

SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
AT = f"{NODE_PATH}/{NODE}"
POD = f"{POD_PATH}/p"
INJECTED, FAULT_S, ENDS = 2.0, 6.0, 12.0
THREE = Toleration(key="spot", value="x", effect=Effect.NO_EXECUTE, seconds=3)
Weather = Callable[["World"], Awaitable[None]]


async def clear(world: World) -> None:
    """Good weather."""


@dataclass
class World:
    """A node with one pod and a Service, and a run on it; seconds of the run."""

    toleration: Toleration = FOREVER
    leaves_at: float | None = None
    fault: Fault = field(default_factory=lambda: TaintFault(SPOT))
    weather: Weather = clear
    planned: tuple[Prediction, ...] = ()

    def __post_init__(self) -> None:
        self.cluster = StormyCluster(VirtualClock())

    async def until(self, second: float) -> None:
        """Wait for a moment of the run."""
        await asyncio.sleep(max(0.0, 1000.0 + second - asyncio.get_running_loop().time()))

    def node(self, *, taints: bool, by: str = "taintlab", cordoned: bool = False) -> dict[str, Any]:
        """The node as somebody leaves it."""
        there = self.cluster.objects.get(AT, {"metadata": {}})
        spec = {"taints": [SPOT.to_api()]} if taints else {}
        fields = {"f:spec": {**({"f:taints": {}} if taints else {}), **({"f:unschedulable": {}} if cordoned else {})}}
        entry = {"manager": by, "time": stamp(0), "fieldsV1": fields}
        meta = {**there["metadata"], "managedFields": [entry] if taints or cordoned else []}
        return {"metadata": meta, "spec": {**spec, **({"unschedulable": True} if cordoned else {})}}

    async def write(self, path: str, obj: Mapping[str, Any]) -> str:
        """Somebody's write, and its resource version."""
        version: str = self.cluster.put(path, obj)["metadata"]["resourceVersion"]
        await self.cluster.wake()
        return version

    def pod(self, **meta: Any) -> dict[str, Any]:
        """The pod, or what is becoming of it."""
        there = self.cluster.objects.get(POD, {"metadata": {"namespace": "default"}})
        conditions = [{"type": "Ready", "status": "True"}]
        if meta:
            conditions.append({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"})
        return {
            "metadata": {**there["metadata"], **meta},
            "spec": {"nodeName": NODE, "tolerations": [self.toleration.to_api()]},
            "status": {"phase": "Running", "conditions": conditions},
        }

    async def slices(self, ready: int) -> None:
        """The Service has that many ready endpoints."""
        labels = {"kubernetes.io/service-name": "web"}
        endpoints = [{"conditions": {"ready": True}}] * ready
        there = self.cluster.objects.get(f"{SLICES}/web-1", {"metadata": {}})["metadata"]
        meta = {**there, "namespace": "default", "labels": labels}
        await self.write(f"{SLICES}/web-1", {"metadata": meta, "endpoints": endpoints})

    async def evict(self) -> None:
        """What the taint manager and the kubelet do."""
        if self.leaves_at is None:
            return
        await self.until(self.leaves_at)
        stamps = {"deletionTimestamp": stamp(self.leaves_at - 5 + 1000 + 1), "deletionGracePeriodSeconds": 1}
        await self.write(POD, self.pod(**stamps))
        await self.until(self.leaves_at + 0.5)
        self.cluster.drop(POD)
        await self.cluster.wake()

    def record(self) -> RunRecord:
        """Run it, and read what was recorded."""
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            path = Path(folder) / "history.jsonl"
            run(self._run(path))
            history = read_history(path)
        made = MadeRun(faults=(self.fault,), expect=Expect(recovery=RecoveryExpectation(2.0))).record().experiment
        service = Manifest("v1", "Service", "web", None, {}, "made.yaml", 1)
        experiment = replace(made, workload=(service,), phases=Phases(0, 0, FAULT_S, ENDS - INJECTED - FAULT_S))
        steps = (
            Step("inject-0:f@n1", Action.INJECT, NODE, 0.0, fault=self.fault),
            Step("heal-0:f@n1", Action.HEAL, NODE, FAULT_S, fault=self.fault),
        )
        plan = Plan("r", "made", (NODE,), steps, self.planned)
        return RunRecord(experiment, plan, history, None, None, {}, Settings(latency=BUSY))

    async def _run(self, path: Path) -> None:
        await self.slices(3)
        await self.write(AT, self.node(taints=False))
        await self.write(POD, self.pod())
        recorder = Recorder(path, VirtualClock(), run_id="r")
        observer = Observer(self.cluster, recorder, [WatchNeed(Watched.ENDPOINT_SLICES, frozenset(["default"]))])
        await observer.start()
        recorder.record(events.SkewMeasured(0.0, 500.0), source="run")

        def step(name: str, action: str, subject: str, version: str = "") -> None:
            recorder.record(events.StepInvoked(name, action, subject), source="run")
            recorder.record(events.StepDone(name, {"resourceVersion": version} if version else {}), source="run")

        others = [asyncio.create_task(self.evict()), asyncio.create_task(self.weather(self))]
        await self.until(INJECTED)
        step("phase-fault", "phase", "fault")
        taints, cordoned = isinstance(self.fault, TaintFault), isinstance(self.fault, CordonFault)
        step("inject-0:f@n1", "inject", NODE, await self.write(AT, self.node(taints=taints, cordoned=cordoned)))
        await self.until(INJECTED + FAULT_S)
        step("heal-0:f@n1", "heal", NODE, await self.write(AT, self.node(taints=False)))
        step("phase-recovery", "phase", "recovery")
        await self.until(ENDS)
        step("stop-load", "stop-load", "")
        await observer.close_list((NODE,), ("default",))
        step("remove", "remove", "")
        await asyncio.gather(*others)
        await observer.stop()
        recorder.record(events.RunEnded("completed"), source="run")
        recorder.close()


def judged(world: World) -> tuple[Judgement, RunRecord]:
    """What the run comes to."""
    record = world.record()
    return judge(record), record


def lost(refusal: Exception, at: float = INJECTED + 0.2, path: str = POD_PATH, until: float | None = None) -> Weather:
    """The watch of `path` breaks `at`, and lists and watches of it are refused from then on (`until`)."""

    async def weather(world: World) -> None:
        await world.until(at)
        world.cluster.refusals = {("list", path): refusal, ("watch", path): refusal}
        await world.cluster.strike(path, refusal)
        if until is not None:
            await world.until(until)
            world.cluster.refusals.clear()

    return weather


def silent(path: str = POD_PATH, at: float = INJECTED + 0.2, until: float | None = None) -> Weather:
    """A half-open connection: no line from `at` on (`until`), and no error."""

    async def weather(world: World) -> None:
        await world.until(at)
        world.cluster.silent.add(path)
        if until is not None:
            await world.until(until)
            world.cluster.silent.clear()
            await world.cluster.wake()

    return weather


def stopped(at: float, seconds: float) -> Weather:
    """The harness does not run for that long."""

    async def weather(world: World) -> None:
        await world.until(at)
        stand_still(seconds)

    return weather


GOOD = {
    "a pod that stays": World(),
    "a pod that leaves on time": World(THREE, leaves_at=5.05),
    "a cordon": World(fault=CordonFault()),
    "a short loss of the pod watch while nothing happens": World(
        weather=lost(Indeterminate("503", status=503), at=3.0, until=3.3)
    ),
    "the node watch ends in order and comes back": World(
        weather=lost(Indeterminate("reset"), at=3.0, path=NODE_PATH, until=3.1)
    ),
    "a standstill of 200 ms while nothing happens": World(THREE, leaves_at=5.05, weather=stopped(3.5, 0.2)),
    "a standstill of 200 ms across the eviction": World(THREE, leaves_at=5.2, weather=stopped(5.1, 0.2)),
}


@pytest.mark.parametrize("world", GOOD.values(), ids=GOOD.keys())
def test_an_ordinary_run_passes(world: World) -> None:
    judgement, _ = judged(replace(world))
    assert judgement.verdict is Verdict.PASS, judgement.reason


def test_the_control_an_eviction_that_is_seen_fails() -> None:
    for world in (World(leaves_at=3.0), World(THREE, leaves_at=3.0), World(THREE, leaves_at=7.0), World(THREE)):
        assert judged(world)[0].verdict is Verdict.FAIL


REFUSALS = {
    "429": TryLater("429", status=429),
    "503": Indeterminate("503", status=503),
    "403": Refused("403", status=403),
    "404": Refused("404", status=404),
    "400": Refused("400", status=400),
    "410": Refused("410", status=410),
}


@pytest.mark.parametrize("leaves_at", [3.0, None], ids=["evicted unseen", "stays"])
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_pod_watch_that_is_refused_for_ever_never_passes(refusal: Exception, leaves_at: float | None) -> None:
    judgement, _ = judged(World(leaves_at=leaves_at, weather=lost(refusal)))
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    (row,) = judgement.evictions
    assert row.verdict is PodVerdict.UNKNOWN


def test_a_half_open_pod_watch_never_passes() -> None:
    judgement, record = judged(World(leaves_at=3.0, weather=silent()))
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert "closing list shows" in next(fact.why for _, fact in facts(record.history, events.WatchGap))


@pytest.mark.parametrize("path", [NODE_PATH, SLICES])
def test_any_other_watch_that_is_dead_never_passes(path: str) -> None:
    judgement, _ = judged(World(weather=lost(Indeterminate("503", status=503), path=path)))
    assert judgement.verdict in (Verdict.INCONCLUSIVE, Verdict.INVALID), judgement.reason


@pytest.mark.parametrize("path", [NODE_PATH, SLICES])
def test_any_other_watch_that_is_half_open_never_passes(path: str) -> None:
    async def weather(world: World) -> None:
        await silent(path)(world)
        await world.until(3.0)
        await world.slices(2)

    judgement, _ = judged(World(weather=weather))
    assert judgement.verdict is not Verdict.PASS


LATE_NEWS = {
    "503, then replayed": lost(Indeterminate("503", status=503), at=2.3, until=5.2),
    "expired, then listed": lost(Refused("410", status=410), at=2.3, until=5.2),
    "the harness stood still": stopped(2.9, 2.2),
}


@pytest.mark.parametrize("leaves_at", [3.0, 5.05], ids=["really early", "really on time"])
@pytest.mark.parametrize("weather", LATE_NEWS.values(), ids=LATE_NEWS.keys())
def test_an_eviction_that_is_told_late_is_not_judged_by_when_it_was_told(weather: Weather, leaves_at: float) -> None:
    judgement, _ = judged(World(THREE, leaves_at=leaves_at, weather=weather))
    (row,) = judgement.evictions
    truth = PodVerdict.EARLY if leaves_at == 3.0 else PodVerdict.ON_TIME
    assert row.verdict in (PodVerdict.UNKNOWN, truth), row.reason
    if leaves_at == 3.0:
        assert judgement.verdict is not Verdict.PASS


@pytest.mark.parametrize(("leaves_at", "verdict"), [(3.0, PodVerdict.UNKNOWN), (7.1, PodVerdict.ON_TIME)])
def test_what_a_half_open_watch_delivers_seconds_later_betrays_itself(leaves_at: float, verdict: PodVerdict) -> None:
    five = replace(THREE, seconds=5)
    weather = silent(at=2.3, until=7.1)
    judgement, _ = judged(World(five, leaves_at=leaves_at, weather=weather))
    (row,) = judgement.evictions
    assert row.verdict is verdict, row.reason


def taken_off(at: float, back: float | None = None, by: str = "kubectl-taint") -> Weather:
    """Somebody takes our change off the node (and puts it back)."""

    async def weather(world: World) -> None:
        await world.until(at)
        await world.write(AT, world.node(taints=False))
        if back is not None:
            await world.until(back)
            taint, cordoned = isinstance(world.fault, TaintFault), isinstance(world.fault, CordonFault)
            await world.write(AT, world.node(taints=taint, cordoned=cordoned, by=by))

    return weather


async def deleted(world: World) -> None:
    """The node goes, as spot nodes do."""
    await world.until(4.0)
    gone = world.cluster.objects[AT]
    world.cluster.drop(AT)
    await world.cluster.wake()
    await world.until(4.5)
    await world.write(AT, {**gone, "metadata": {"name": NODE}})


FELL = {
    "a controller takes the taint off": (World(THREE, weather=taken_off(2.2)), "was removed from node n1"),
    "recover beside the run": (World(THREE, weather=taken_off(2.5)), "was removed from node n1"),
    "somebody uncordons": (World(fault=CordonFault(), weather=taken_off(3.0)), "the cordon was removed from node n1"),
    "off for two seconds": (World(weather=taken_off(3.0, 5.0)), "2.0 of 6.0 s"),
    "the node is deleted": (World(weather=deleted), "node n1 was deleted at 4.0 s of the run"),
}


@pytest.mark.parametrize(("world", "words"), FELL.values(), ids=FELL.keys())
def test_a_fault_that_did_not_stand_is_invalid(world: World, words: str) -> None:
    judgement, _ = judged(replace(world))
    assert judgement.verdict is Verdict.INVALID, judgement.reason
    assert "fault-stood" in judgement.reason
    assert words in judgement.reason


def test_a_fault_that_was_off_for_a_moment_stood() -> None:
    judgement, _ = judged(World(weather=taken_off(4.0, 4.5)))
    assert judgement.verdict is Verdict.PASS, judgement.reason


def test_a_dead_slice_watch_does_not_call_old_endpoints_ready() -> None:
    async def weather(world: World) -> None:
        await lost(Indeterminate("503", status=503), at=2.1, path=SLICES)(world)
        await world.until(3.0)
        await world.slices(1)

    judgement, _ = judged(World(weather=weather))
    (check,) = [check for check in judgement.checks if check.id == "recovery/pods"]
    assert check.verdict is Verdict.INCONCLUSIVE, check.reason
    assert judgement.verdict is Verdict.INCONCLUSIVE


def test_endpoints_that_were_lost_out_of_sight_and_seen_again_in_time_are_back() -> None:
    async def weather(world: World) -> None:
        await world.until(2.05)
        await world.slices(2)
        await lost(Indeterminate("503", status=503), at=2.1, path=SLICES, until=7.0)(world)
        await world.slices(3)

    judgement, _ = judged(World(weather=weather))
    (check,) = [check for check in judgement.checks if check.id == "recovery/pods"]
    assert check.verdict is Verdict.PASS, check.reason
