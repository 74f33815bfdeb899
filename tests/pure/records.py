"""Made-up finished runs, written and read by the real recorder and reader: what judges are tested with."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from harness.check.record import RunRecord
from harness.check.traffic import traffic_of
from harness.clock import Instant
from harness.faults.cordon import CordonFault
from harness.faults.taint import TaintFault
from harness.history.read import read_history
from harness.history.record import Recorder
from harness.model import events
from harness.model.experiment import Expect, Experiment, Guard, LabWish, Load, Manifest, Phases, Target
from harness.model.faults import Fault
from harness.model.needs import Watched
from harness.model.plan import Plan, Prediction, Step
from harness.model.taints import Effect, Taint, Toleration
from harness.model.words import Action, Change, RunState
from harness.semantics.eviction.settings import Settings
from loadgen.rows import Outcome, Rows

S = 1_000_000_000
NODE = "n1"
SPOT = Taint("spot", Effect.NO_EXECUTE, "x")
GRACE_S = 30
WALL_S = 1_700_000_000
"""What the wall clock says at 0 of the monotonic one; the run starts at 5 s of both."""
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- thousands of made runs need no fsync
CLOSED = 63.5
"""When the made runs list at the end, in seconds of the run."""
FOREVER = Toleration(key="spot", value="x", effect=Effect.NO_EXECUTE)


class HandClock:
    """A clock that stands where it was put; the run starts at 5 s of it."""

    def __init__(self) -> None:
        self.t_ns = 5 * S

    def now(self) -> Instant:
        """Where it stands."""
        return Instant(mono_ns=self.t_ns, wall_ns=WALL_S * S + self.t_ns)

    def to(self, second: float) -> None:
        """Stand at `second` of the run."""
        self.t_ns = 5 * S + round(second * S)


def stamp(second: float) -> str:
    """The API server's whole-second stamp for an instant of the run (its clock is ours)."""
    return datetime.fromtimestamp(int(WALL_S + 5 + second), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class MadePod:
    """A pod on the target and what becomes of it; seconds of the run. `accepted_at`: when the API server took the
    deletion (None: when it is seen).
    """

    name: str
    tolerations: tuple[Toleration, ...] = ()
    leaves_at: float | None = None
    gone_at: float | None = None
    reason: str | None = "DeletionByTaintManager"
    owner: str = "web"
    owner_kind: str = "ReplicaSet"
    seen_at: float = 0.5
    node: str = NODE
    relisted: bool = False
    bound_at: float | None = None
    bound_version: str = "1"
    accepted_at: float | None = None

    @property
    def uid(self) -> str:
        """Its UID."""
        return f"uid-{self.name}"

    def seen(self, change: str, **changes: object) -> events.PodSeen:
        """One sighting."""
        values: dict[str, object] = {
            "change": Change(change),
            "namespace": "default",
            "name": self.name,
            "uid": self.uid,
            "node": self.node,
            "phase": "Running",
            "ready": True,
            "deletion_timestamp": None,
            "grace_s": None,
            "disruption_reason": None,
            "tolerations": tuple(t.to_api() for t in self.tolerations),
            "owner_kind": self.owner_kind,
            "owner_name": self.owner,
            "owner_uid": f"uid-{self.owner}" if self.owner else "",
            "resource_version": "1",
            "spec_grace_s": GRACE_S,
            "mirror": False,
            "labels": {},
        }
        return events.PodSeen(**{**values, **changes})  # type: ignore[arg-type]

    def sightings(self) -> list[tuple[float, events.Fact]]:
        """All of them, by second."""
        out: list[tuple[float, events.Fact]] = [(self.seen_at, self.seen("LISTED"))]
        if self.bound_at is not None:
            out = [
                (self.seen_at, self.seen("ADDED", node="", ready=False)),
                (self.bound_at, self.seen("MODIFIED", resource_version=self.bound_version)),
            ]
        accepted = self.accepted_at if self.accepted_at is not None else self.leaves_at or 0.0
        dying = {"deletion_timestamp": stamp(accepted + GRACE_S), "grace_s": GRACE_S}
        if self.leaves_at is not None:
            leaving = self.seen(
                "LISTED" if self.relisted else "MODIFIED",
                disruption_reason=self.reason,
                **dying,
            )
            out.append((self.leaves_at, leaving))
        if self.gone_at is not None:
            out.append((self.gone_at, self.seen("DELETED", **dying)))
        return out


@dataclass
class MadeRun:
    """Warmup 1 to 3 s, baseline 3 to 13, fault 13 to 43 (taint acknowledged at 13.0), recovery 43 to 63, closing list
    at 63.5, removal at 64.

    `closing`: what the closing lists say instead, by resource; None leaves that list out.
    """

    pods: Sequence[MadePod] = ()
    expect: Expect = field(default_factory=Expect)
    faults: tuple[Fault, ...] = (TaintFault(SPOT),)
    extra: list[tuple[float, events.Fact]] = field(default_factory=list)
    requests: Sequence[tuple[float, float, Outcome]] | None = None
    workload: tuple[Manifest, ...] = ()
    injected: bool = True
    load_ok: bool = True
    summary: dict[str, object] = field(default_factory=dict)
    state: str = "completed"
    settings: Settings = field(default_factory=Settings)
    predictions: tuple[Prediction, ...] = ()
    taint_takes: float = 0.01
    closing: Mapping[str, events.ClosingList | None] = field(default_factory=dict)

    def record(self) -> RunRecord:
        """The run as the judges get it."""
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            path = Path(folder) / "history.jsonl"
            clock = HandClock()
            recorder = Recorder(path, clock, run_id="r1")
            for second, fact in sorted(self._facts(), key=lambda item: item[0]):
                clock.to(second)
                recorder.record(fact, source="test")
            recorder.close()
            history = read_history(path)
        rows = None if self.requests is None else rows_of(self.requests, start_mono_ns=history.started.mono_ns)
        traffic = None if rows is None else traffic_of(rows, start_mono_ns=history.started.mono_ns)
        steps = tuple(Step(f"inject-{n}", Action.INJECT, NODE, 0.0, fault=f) for n, f in enumerate(self.faults))
        plan = Plan("r1", "made", (NODE,), steps, self.predictions)
        return RunRecord(self._experiment(), plan, history, rows, traffic, self._summary(), self.settings)

    def _experiment(self) -> Experiment:
        load = None if self.requests is None else Load("http://web", 100.0)
        target = Target(names=(NODE,))
        phases = Phases(2, 10, 30, 20)
        return Experiment(
            "made", "", "made.yaml", self.workload, target, load, phases, self.faults, self.expect, Guard(), LabWish()
        )

    def _summary(self) -> dict[str, object]:
        n = len(self.requests or ())
        return {"due": n, "sent": n, "lateness_p99_ms": 0.8, "cpu": 0.1, **self.summary}

    def _facts(self) -> list[tuple[float, events.Fact]]:
        def performed(
            step: str, action: str, subject: str, start: float, end: float
        ) -> list[tuple[float, events.Fact]]:
            detail = {"resourceVersion": f"rv-{step}"}
            return [(start, events.StepInvoked(step, action, subject)), (end, events.StepDone(step, detail))]

        out: list[tuple[float, events.Fact]] = [(0.01, events.WatchStarted(watch)) for watch in Watched]
        out += [(0.05, events.SkewMeasured(0.0, 500.0)), (0.1, node_seen(Change.LISTED, ()))]
        for name, start in (("warmup", 1.0), ("baseline", 3.0), ("fault", 12.98), ("recovery", 43.0)):
            out += performed(f"phase-{name}", "phase", name, start, start)
        if self.injected and self.faults:
            out += self._faulted(performed)
        out += performed("stop-load", "stop-load", "", 63.0, 63.1)
        if self.requests is not None:
            ended = events.LoadEnded(self.load_ok, self._summary(), "" if self.load_ok else "killed?")
            out.append((63.05, ended))
        out += performed("remove", "remove", "", 64.0, 65.0)
        for pod in self.pods:
            out += pod.sightings()
        out += self.extra
        out += self._closing_lists()
        if self.state:
            out.append((66.0, events.RunEnded(RunState(self.state))))
        return out

    def _faulted(self, performed: Callable[..., list[tuple[float, events.Fact]]]) -> list[tuple[float, events.Fact]]:
        """Every fault put on the target in turn and taken off in turn, each change seen a millisecond later."""
        out: list[tuple[float, events.Fact]] = []
        on_node: list[Taint] = []
        for number, fault in enumerate(self.faults):
            at = 13.0 + number / 100
            out += performed(f"inject-{number}", "inject", NODE, at - self.taint_takes, at)
            on_node += [fault.taint] if isinstance(fault, TaintFault) else []
            cordoned = isinstance(fault, CordonFault)
            version = f"rv-inject-{number}"
            out.append((at + 0.001, node_seen("MODIFIED", tuple(on_node), version=version, cordoned=cordoned)))
        for number, fault in enumerate(self.faults):
            at = 42.98 + number / 100
            out += performed(f"heal-{number}", "heal", NODE, at, at + 0.01)
            on_node = [taint for taint in on_node if not isinstance(fault, TaintFault) or taint != fault.taint]
            out.append((at + 0.011, node_seen("MODIFIED", tuple(on_node), version=f"rv-heal-{number}")))
        return out

    def _closing_lists(self) -> list[tuple[float, events.Fact]]:
        there = tuple(pod.uid for pod in self.pods if pod.leaves_at is None or pod.leaves_at > CLOSED)
        lists = {
            "pods": events.ClosingList("pods", True, there),
            "nodes": events.ClosingList("nodes", True, ("uid-n1",)),
            "endpointslices": events.ClosingList("endpointslices", True, ("uid-web-1",)),
        }
        said = {**lists, **self.closing}
        return [(CLOSED, fact) for fact in said.values() if fact is not None]


def node_seen(
    change: str,
    taints: tuple[Taint, ...],
    *,
    version: str = "0",
    by: str | None = None,
    cordoned: bool = False,
    ready: str = "True",
) -> events.NodeSeen:
    """A sighting of the target node. `by`: who wrote the field last (None: ourselves, where it has a taint)."""
    wrote = ("taintlab 2026-01-01T00:00:00Z" if taints or cordoned else "") if by is None else by
    return events.NodeSeen(
        Change(change),
        NODE,
        "uid-n1",
        tuple(t.to_api() for t in taints),
        cordoned,
        ready == "True",
        version,
        wrote,
        wrote,
        labels={},
        conditions={"Ready": ready},
    )


def rows_of(requests: Sequence[tuple[float, float, Outcome]], *, start_mono_ns: int) -> Rows:
    """Rows from (second of the run, latency in seconds, outcome)."""
    intended = [start_mono_ns + round(at * S) for at, _, _ in requests]
    service = [round(latency * S) for _, latency, _ in requests]
    return Rows(
        intended_ns=array("q", intended),
        started_ns=array("q", intended),
        service_ns=array("q", service),
        status=array("H", [200] * len(requests)),
        outcome=bytes(int(outcome) for _, _, outcome in requests),
        arrival=array("I", range(len(requests))),
        timeout_ns=2 * S,
    )


def steady(
    start: float, end: float, *, rate: float = 100, bad_every: int = 0, slow_every: int = 0
) -> list[tuple[float, float, Outcome]]:
    """Requests from `start` to `end`, every n-th bad, every n-th slow (0.5 s)."""
    out = []
    for i in range(int((end - start) * rate)):
        bad = bool(bad_every) and i % bad_every == 0
        slow = bool(slow_every) and i % slow_every == 0
        out.append((start + i / rate, 0.5 if slow else 0.004, Outcome.RESET if bad else Outcome.OK))
    return out
