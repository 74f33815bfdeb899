"""Whole runs without a cluster: the real interpreter, drivers, workload, observer, ledger and recorder on the fake of
our cluster port, in virtual time; and an oracle that knows only the cluster.

Two nodes that carry somebody's taints, three faults on each (one undone during the fault phase), a workload of two
objects, a load.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.clock import Clock
from harness.cluster.ledger import Ledger
from harness.cluster.ledger_read import read_ledger
from harness.cluster.ledger_record import Header
from harness.cluster.ports import Json, Traffic
from harness.cluster.undo import Holder
from harness.faults import registry
from harness.faults.cordon import CordonFault
from harness.faults.taint import TaintFault
from harness.history.read import History, read_history
from harness.history.record import Recorder
from harness.model import events
from harness.model.experiment import Expect, Experiment, Guard, LabWish, Load, Manifest, Phases, Target
from harness.model.faults import Fault
from harness.model.taints import Effect, Taint
from harness.plan.schedule import make_steps
from harness.run.context import FaultDrivers, RunContext, RunOutcome
from harness.run.drivers import Drivers
from harness.run.interpret import Interpreter
from harness.run.observe import Observer
from harness.run.workload import Workload
from tests.fakes.scripted import Failing, Failure, ScriptedCluster
from tests.fakes.virtual_loop import VirtualClock, VirtualLoop

RUN = "exp-20260101T000000-0a1b2c3d"
HOLDER = Holder("host", "boot", 7, 12345, 1)
"""The process of the run."""
NODES = ("n1", "n2")
SPOT = Taint("spot", Effect.NO_EXECUTE, "x")
GPU = Taint("gpu", Effect.NO_SCHEDULE, "ours")
THEIRS: list[Json] = [
    {"key": "first", "effect": "NoSchedule"},
    {"key": "gpu", "value": "admin", "effect": "NoSchedule"},
]
FAULTS: tuple[Fault, ...] = (TaintFault(SPOT, at_s=0.5), TaintFault(GPU, at_s=0.5, for_s=1.0), CordonFault(at_s=1.0))
PHASES = Phases(warmup_s=0, baseline_s=1, fault_s=3, recovery_s=1)
PODS, MAPS = "/api/v1/namespaces/shop/pods", "/api/v1/namespaces/shop/configmaps"
TYPES = {"pods": "Pod", "configmaps": "ConfigMap"}
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def node_path(name: str) -> str:
    return f"/api/v1/nodes/{name}"


def experiment(
    faults: tuple[Fault, ...] = FAULTS, phases: Phases = PHASES, *, guard: float | None = None
) -> Experiment:
    """Of these faults on `NODES`."""

    def manifest(kind: str, name: str) -> Manifest:
        meta = {"name": name, "labels": {"app": name}}
        return Manifest("v1", kind, name, "shop", {"apiVersion": "v1", "kind": kind, "metadata": meta}, "app.yaml", 1)

    return Experiment(
        name="exp",
        description="",
        source="exp.yaml",
        workload=(manifest("ConfigMap", "settings"), manifest("Pod", "web")),
        target=Target(names=NODES),
        load=Load("http://web.shop.svc", 100.0),
        phases=phases,
        faults=faults,
        expect=Expect(),
        guard=Guard(guard),
        lab=LabWish(),
    )


class Kubelet(ScriptedCluster):
    """Binds a pod to `n1` and makes it Ready, 100 ms after it was created."""

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """See the port."""
        stored = await super().create(path, body)
        if stored["kind"] == "Pod":
            self._task = asyncio.create_task(self._start(f"{path}/{stored['metadata']['name']}"))
        return stored

    async def _start(self, path: str) -> None:
        await asyncio.sleep(0.1)
        pod = self.objects.get(path)
        if pod is not None:
            self.put(path, {**pod, "spec": {"nodeName": "n1"}, "status": READY})
            await self.wake()


class FakeLoad:
    """A second of traffic each second, from `start` to `stop`; `bad`: of 100 requests."""

    def __init__(self, bad: Callable[[int], int] = lambda second: 0) -> None:
        self.bad = bad
        self._stopped = asyncio.Event()
        self.running = False

    async def start(self) -> None:
        """See the port."""
        await asyncio.sleep(0.1)
        self.running = True

    async def ticks(self) -> AsyncIterator[events.LoadWindow]:
        """See the port."""
        second = 0
        while not self._stopped.is_set():
            await asyncio.sleep(1)
            yield events.LoadWindow(100, 100, 100, self.bad(second), 1.0, 2.0, 0, 0.1, 0.1)
            second += 1

    async def stop(self) -> Traffic:
        """See the port."""
        self.running = False
        self._stopped.set()
        return Traffic(True, {"due": 0})


class Said:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        """See the port."""
        self.lines.append(message)

    def phase(self, name: str, *, length_s: float) -> None:
        """See the port."""

    def tick(self, tick: events.LoadWindow) -> None:
        """See the port."""

    def evicted(self, pod: str, *, seconds: float) -> None:
        """See the port."""


Wrap = Callable[[RunContext], RunContext]


@dataclass
class WholeRun:
    """One run and what came of it. `failing`: what happens to which request of it. `drivers`: made instead of the
    product's. `wrap`: changes the context that the interpreter gets. `meanwhile`: called when the run has begun.
    `seen`: as `ScriptedCluster.seen`.
    """

    folder: Path
    experiment: Experiment = field(default_factory=experiment)
    failing: Failing = lambda number: None
    nodes: tuple[str, ...] = NODES
    latency_s: float = 0.003
    drivers: Callable[..., FaultDrivers] = Drivers
    wrap: Wrap = lambda context: context
    load: Callable[[], FakeLoad] = FakeLoad
    meanwhile: Callable[[WholeRun], Any] = lambda run: None
    seen: Callable[[WholeRun, int, bool], Any] = lambda run, number, applied: None

    def __post_init__(self) -> None:
        self.clock: Clock = VirtualClock()
        self.said = Said()
        self.ledger_path = self.folder / "ledger.jsonl"
        self.history_path = self.folder / "history.jsonl"
        for path in (self.ledger_path, self.history_path):
            path.unlink(missing_ok=True)

    def play(self) -> RunOutcome:
        """From the first watch to the last word, on a loop of its own."""
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            self.outcome = runner.run(self._story())
        self.history: History = read_history(self.history_path)
        return self.outcome

    async def _story(self) -> RunOutcome:
        self.cluster = Kubelet(latency_s=self.latency_s)
        types = [{"name": n, "kind": kind, "namespaced": True, "verbs": ["list"]} for n, kind in TYPES.items()]
        self.cluster.objects["/api/v1"] = {"resources": types}
        for name in self.nodes:
            meta = {"name": name, "uid": f"uid-{name}", "annotations": {"a": "b"}}
            self.cluster.put(node_path(name), {"metadata": meta, "spec": {"taints": copy.deepcopy(THEIRS)}})
        self.before = _bare(self.cluster.objects)
        ledger = Ledger(self.ledger_path, Header(RUN, "exp"), records=8)
        recorder = Recorder(self.history_path, self.clock, run_id=RUN)
        observer = Observer(self.cluster, recorder)
        try:
            await observer.start()
            self.context = self.wrap(self._context(recorder, ledger, observer))
            self.interpreter = Interpreter(self.context)
            self.task = asyncio.create_task(self.interpreter.run())
            await asyncio.sleep(0)  # it has begun: what is cancelled before has nothing to undo
            self.cluster.strike = self.strike
            self.cluster.count_from_here()
            self.cluster.failing = self.failing
            self.cluster.seen = lambda number, applied: self.seen(self, number, applied)
            self.meanwhile(self)
            outcome = await self.task
            self.took_s = recorder.now_ns() / 1e9
            return outcome
        finally:
            await observer.stop()
            recorder.close()
            ledger.close()

    def strike(self, failure: Failure) -> None:
        """Somebody ends the run."""
        if failure is Failure.INTERRUPT:
            self.interpreter.interrupt("by SIGINT", insist=True)
        else:
            self.task.cancel()

    def _context(self, recorder: Recorder, ledger: Ledger, observer: Observer) -> RunContext:
        now = self.clock.now()
        return RunContext(
            experiment=self.experiment,
            steps=make_steps(self.experiment, self.nodes),
            targets=self.nodes,
            recorder=recorder,
            observer=observer,
            drivers=self.drivers(
                cluster=self.cluster,
                components=None,
                observer=observer,
                recorder=recorder,
                ledger=ledger,
                kinds=registry.FAULTS,
                run_id=RUN,
                deadline="2026-01-01T00:10:00Z",
                namespaces=frozenset(("shop",)),
                holder=HOLDER,
                heartbeat=now.wall,
                clock=self.clock,
            ),
            workload=Workload(
                self.cluster,
                ledger,
                run_id=RUN,
                manifests=self.experiment.workload,
                experiment="exp",
                holder=HOLDER,
                clock=self.clock,
            ),
            load=self.load(),
            metrics=None,
            progress=self.said,
            kubernetes_version="v1.36.0",
            namespaces=frozenset(("shop",)),
            before_fault=lambda world: None,
            clock=self.clock,
            deadline_ns=now.mono_ns + 60 * 10**9,
        )

    # --- what came of it ---

    @property
    def left(self) -> list[str]:
        """How the cluster differs from what it was before, path by path."""
        return differences(self.before, self.cluster.objects)

    def facts(self, kind: type) -> list[Any]:
        """The facts of one kind, in order."""
        return [entry.fact for entry in self.history.entries if isinstance(entry.fact, kind)]

    def times(self, kind: type) -> dict[str, float]:
        """When (seconds of the run) each step had its first fact of that kind."""
        found: dict[str, float] = {}
        for entry in self.history.entries:
            if isinstance(entry.fact, kind):
                found.setdefault(entry.fact.step, entry.t_ns / 1e9)
        return found

    def problems(self) -> list[str]:
        """What must not be, however the run went: something of ours on the cluster that the outcome does not say, or
        that the ledger does not hold; a history that has a hole or no end.
        """
        out = [f"left, and not told: {path}" for path in self.left if not self.outcome.leftovers]
        open_ = {record.subject for record in read_ledger(self.ledger_path).outstanding}
        unnamed = [path for path in self.left if not open_ & {path, path.rsplit("/", 1)[1]}]
        out += [f"left, and not in the ledger: {path}" for path in unnamed]
        entries = self.history.entries
        if [entry.id for entry in entries] != list(range(len(entries))):
            out.append("the history has a hole")
        if not entries or not isinstance(entries[-1].fact, events.RunEnded):
            out.append("the history does not end with RunEnded")
        told = [f"{fact.subject}: {fact.message}" for fact in self.facts(events.Leftover)]
        if len(told) != len(self.outcome.leftovers):
            out.append(f"leftovers in the history: {told}")
        return out


def differences(before: Mapping[str, Json], objects: Mapping[str, Json]) -> list[str]:
    """The paths of objects that are not as they were."""
    now = _bare(objects)
    return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def _bare(objects: Mapping[str, Json]) -> dict[str, Json]:
    """A copy without resource versions, which count every write. No taints is the same as an empty list of them."""
    out = copy.deepcopy(dict(objects))
    for obj in out.values():
        obj.get("metadata", {}).pop("resourceVersion", None)
    return out
