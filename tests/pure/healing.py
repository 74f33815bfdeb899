"""What the tests of healing share: a node, a run of three faults on it, and an oracle that knows only the node."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from harness.cluster.ledger import Ledger
from harness.cluster.ledger_read import LedgerRead, read_ledger
from harness.cluster.ledger_record import Header
from harness.cluster.node_writes import node_path
from harness.cluster.ports import Json
from harness.cluster.undo import CLAIM_ANNOTATION, FENCE_ANNOTATION, Holder
from harness.errors import TaintlabError
from harness.faults.cordon import CordonFault
from harness.faults.registry import FAULTS
from harness.faults.taint import TaintFault
from harness.history.record import Recorder
from harness.model import events
from harness.model.taints import Effect, Taint
from harness.run.drivers import Drivers
from harness.run.observe import Observer
from tests.fakes.virtual import VirtualTime
from tests.fakes.weather import Plan, Trouble, Weather

RUN = "exp-20260101T000000-0a1b2c3d"
NODE = node_path("n1")
SPOT = Taint("spot", Effect.NO_EXECUTE, "x")
GPU = Taint("gpu", Effect.NO_SCHEDULE, "ours")
GPU_BEFORE = {"key": "gpu", "value": "admin", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"}
BEFORE: Json = {
    "metadata": {"name": "n1", "uid": "uid-n1", "annotations": {"a": "b"}},
    "spec": {"taints": [{"key": "first", "effect": "NoSchedule"}, GPU_BEFORE, {"key": "last", "effect": "NoExecute"}]},
}
HOLDER = Holder("host", "boot", 7, 12345, 4026531836)


class Facts:
    """A recorder that keeps facts; `broken`: it cannot write."""

    def __init__(self) -> None:
        self.facts: list[events.Fact] = []
        self.broken = False

    def record(self, fact: events.Fact, **_: Any) -> int:
        """As the recorder's."""
        if self.broken:
            raise OSError(28, "No space left on device")
        self.facts.append(fact)
        return len(self.facts)

    def of(self, kind: type) -> list[Any]:
        """The facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


@dataclass
class Rig:
    """One run of faults against a cluster in bad weather, in virtual time, with a ledger on disk."""

    folder: Path
    plan: Plan = lambda number, verb, path: None
    time: VirtualTime = field(default_factory=VirtualTime)
    facts: Facts = field(default_factory=Facts)
    errors: list[BaseException] = field(default_factory=list)
    details: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cluster = Weather(self.time, self.plan, node=NODE)
        self.cluster.put(NODE, copy.deepcopy(BEFORE))
        self.path = self.folder / "ledger.jsonl"
        self.path.unlink(missing_ok=True)
        self.ledger = Ledger(self.path, Header(RUN, "exp"), records=4)
        self.drivers = Drivers(
            cluster=self.cluster,
            components=None,
            observer=cast(Observer, None),
            recorder=cast(Recorder, self.facts),
            ledger=self.ledger,
            kinds=FAULTS,
            run_id=RUN,
            deadline="2026-01-01T00:10:00Z",
            namespaces=frozenset(),
            holder=HOLDER,
            heartbeat="2026-01-01T00:00:00Z",
            clock=self.time,
        )

    async def faults(self) -> None:
        """Three faults, one undone in time; the first error or cancellation ends them, as it ends a run's phases."""
        taint, gpu = TaintFault(SPOT), TaintFault(GPU)
        try:
            await self.drivers.inject(taint, "n1")
            await self.drivers.inject(gpu, "n1")
            await self.drivers.inject(CordonFault(), "n1")
            await self.drivers.renew("2026-01-01T00:00:30Z")
            self.details.append(await self.drivers.heal(gpu, "n1"))
        except (TaintlabError, OSError, asyncio.CancelledError) as error:
            self.errors.append(error)

    def run(self, *, within_s: float = 120.0, story: Callable[[], Any] | None = None) -> list[str]:
        """Faults, then the heal of everything; its lines."""

        async def play() -> list[str]:
            task = asyncio.current_task()
            assert task is not None
            self.cluster.cancel = task.cancel
            self.loop = asyncio.get_running_loop()
            await (story or self.faults)()
            return await self.drivers.heal_all(self.time.after_s(within_s))

        try:
            return asyncio.run(play())
        finally:
            self.ledger.close()

    def read(self) -> LedgerRead:
        """What the ledger says afterwards."""
        return read_ledger(self.path)


def ours(node: Json | None) -> list[str]:
    """What of this run is on a node object: the oracle. It knows neither claims nor code of the product."""
    if node is None:
        return []
    found = [
        f"{taint['key']}={taint['value']}"
        for taint in node["spec"].get("taints") or ()
        if (taint["key"], taint.get("value")) in (("spot", "x"), ("gpu", "ours"))
    ]
    if node["spec"].get("unschedulable"):
        found.append("cordon")
    annotations = node["metadata"].get("annotations") or {}
    return found + [name for name in (CLAIM_ANNOTATION, FENCE_ANNOTATION) if name in annotations]


def differences(node: Json | None, *allowed: str) -> list[str]:
    """How a node differs from BEFORE in what a run can touch. `allowed`: keys of taints that somebody else changed."""
    if node is None:
        return []
    taints = [taint for taint in node["spec"].get("taints") or () if taint["key"] not in allowed]
    wanted = [taint for taint in BEFORE["spec"]["taints"] if taint["key"] not in allowed]
    out = [] if taints == wanted else [f"taints: {taints}"]
    out += [] if not node["spec"].get("unschedulable") else ["cordoned"]
    annotations = node["metadata"].get("annotations")
    return out + ([] if annotations == {"a": "b"} else [f"annotations: {annotations}"])


def at(number: int, trouble: Trouble, times: int = 1) -> Plan:
    """`trouble` at request `number` and at those that follow it, `times` in all."""
    return lambda n, verb, path: trouble if number <= n < number + times else None
