"""The outside of a run without a cluster: ports for `harness.engine.execute`, and what happened through them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.clock import SystemClock
from harness.cluster.ports import Json, Traffic
from harness.cluster.undo import Holder
from harness.engine import RunCluster, RunPorts, RunRequest
from harness.model.events import LoadWindow
from harness.model.experiment import Experiment, Load
from harness.run.recover.liveness import LiveRuns
from harness.semantics.eviction.settings import BUSY, Settings
from harness.testing import FakeCluster
from harness.wiring.experiments import read_experiment_text
from tests.fakes import api_objects

SPOT = {"key": "spot", "operator": "Exists", "effect": "NoExecute"}
ADMIN = {"key": "dedicated", "value": "admin", "effect": "PreferNoSchedule"}
HOLDER = Holder("host", "boot", 7, 12345, 4026531836)


def text(name: str = "straight", *, node: str = "n1", load: bool = False, phases_ms: int = 300) -> str:
    """An experiment: a taint on one node, whose pod tolerates it; each phase takes `phases_ms`."""
    traffic = "  load: {url: http://web.default.svc, rate: 100/s}\n" if load else ""
    phases = ", ".join(f"{phase}: {phases_ms}ms" for phase in ("warmup", "baseline", "fault", "recovery"))
    return f"""
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {{name: {name}}}
spec:
  target: {{nodes: {{names: [{node}]}}}}
{traffic}  phases: {{{phases}}}
  faults:
    - taint: {{key: spot, value: x, effect: NoExecute}}
  expect: {{evictions: as-predicted}}
"""


def cluster_of(*nodes: str) -> FakeCluster:
    """Nodes with a taint of their administrator and a pod each that tolerates ours."""
    cluster = FakeCluster()
    for name in nodes:
        cluster.put(f"/api/v1/nodes/{name}", api_objects.node({"pool": "spot"}, taints=[ADMIN]))
        pod = api_objects.pod(name, tolerations=[SPOT])
        pod["metadata"]["namespace"] = "default"
        cluster.put(f"/api/v1/namespaces/default/pods/on-{name}", pod)
    return cluster


def is_as_before(node: Json) -> bool:
    """Whether nothing of ours is on a node; the oracle knows only the node."""
    return node["spec"].get("taints") == [ADMIN] and not node["metadata"].get("annotations")


@dataclass
class Listener:
    """A progress that keeps what it is told, calls `on_phase` when a phase begins and `on_say` with each line."""

    on_phase: Callable[[str], object] = lambda name: None
    on_say: Callable[[str], object] = lambda line: None
    phases: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def say(self, message: str) -> None:
        """See the port."""
        self.lines.append(message)
        self.on_say(message)

    def phase(self, name: str, *, length_s: float) -> None:
        """See the port."""
        self.phases.append(name)
        self.on_phase(name)

    def tick(self, tick: LoadWindow) -> None:
        """See the port."""

    def evicted(self, pod: str, *, seconds: float) -> None:
        """See the port."""
        self.lines.append(f"{pod} leaves")


class FakeLoad:
    """A load process that sends nothing: `events` says what was asked of it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._ended = asyncio.Event()

    async def start(self) -> None:
        """See the port."""
        self.events.append("start")

    async def ticks(self) -> AsyncIterator[LoadWindow]:
        """One second, then nothing until it is stopped."""
        yield LoadWindow(100, 100, 100, 0, 1.0, 2.0, 0, 0.1, 0.1)
        await self._ended.wait()

    async def stop(self) -> Traffic:
        """See the port."""
        self.events.append("stop")
        self._ended.set()
        return Traffic(ok=True, summary={"due": 100, "sent": 100, "cpu": 0.1, "lateness_p99_ms": 0.1})


@dataclass
class World:
    """One run's outside; `rendered`: folders whose report was asked for."""

    cluster: FakeCluster
    progress: Listener = field(default_factory=Listener)
    loads: list[FakeLoad] = field(default_factory=list)
    rendered: list[Path] = field(default_factory=list)
    live: LiveRuns = field(default_factory=LiveRuns)

    def ports(self) -> RunPorts:
        """As the engine takes them."""
        target = RunCluster(
            cluster=self.cluster,
            kubernetes_version="v1.36.1",
            settings=replace(Settings(), latency=BUSY),
            reach={"lab": "fake"},
        )
        return RunPorts(
            target=target,
            clock=SystemClock(),
            holder=HOLDER,
            live=self.live,
            progress=self.progress,
            load=self._load,
            render=self._render,
        )

    def _load(self, experiment: Experiment, load: Load, folder: Path, *, keep_secrets: bool) -> FakeLoad:
        self.loads.append(FakeLoad())
        return self.loads[-1]

    def _render(self, folder: Path) -> Path:
        assert (folder / "result.json").is_file(), "rendered before it was judged"
        self.rendered.append(folder)
        return folder / "report.html"


def request(run: str, spec: str, folder: Path) -> RunRequest:
    """A request whose experiment was never a file."""
    return RunRequest(run=run, spec=spec, experiment=read_experiment_text(spec, name="custom resource"), folder=folder)
