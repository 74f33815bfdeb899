"""How long it takes to put a taint on many nodes and to take it off again, each request taking 3 ms.

    python -m tests.benchmarks.bench_inject [NODES ...]

The real interpreter, drivers, observer, ledger (with its fsyncs) and recorder, on the fake of our cluster port, in real
time; no workload and no load. A step on is two requests, a step off three.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.clock import SystemClock
from harness.cluster.ledger import Ledger
from harness.cluster.ledger_record import Header
from harness.cluster.ports import Json
from harness.faults.registry import FAULTS
from harness.faults.taint import TaintFault
from harness.history.query import step_records
from harness.history.read import read_history
from harness.history.record import Recorder
from harness.model.experiment import Expect, Experiment, Guard, LabWish, Phases, Target
from harness.model.taints import Effect, Taint
from harness.plan.schedule import make_steps
from harness.run.context import RunContext
from harness.run.drivers import Drivers
from harness.run.interpret import Interpreter
from harness.run.observe import Observer
from harness.run.workload import Workload
from harness.testing import FakeCluster
from tests.pure.whole_runs import Said

REQUEST_S = 0.003
FAULT_S = 8.0
RUN = "bench-20260101T000000-0a1b2c3d"


class Delayed(FakeCluster):
    """Takes `REQUEST_S` for each request about one object."""

    async def get(self, path: str, **query: str) -> Json:
        """See the port."""
        await asyncio.sleep(REQUEST_S)
        return await super().get(path, **query)

    async def merge_patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """See the port."""
        await asyncio.sleep(REQUEST_S)
        return await super().merge_patch(path, body)


async def measure(folder: Path, nodes: tuple[str, ...]) -> None:
    """One run; its history is in the folder."""
    clock, cluster = SystemClock(), Delayed()
    for name in nodes:
        cluster.put(f"/api/v1/nodes/{name}", {"metadata": {"name": name}, "spec": {}})
    fault = TaintFault(Taint("spot", Effect.NO_EXECUTE, "x"))
    experiment = Experiment(
        name="bench",
        description="",
        source="bench.yaml",
        workload=(),
        target=Target(names=nodes),
        load=None,
        phases=Phases(0, 0, FAULT_S, 0),
        faults=(fault,),
        expect=Expect(),
        guard=Guard(),
        lab=LabWish(),
    )
    ledger = Ledger(folder / "ledger.jsonl", Header(RUN, "bench"), records=len(nodes))
    recorder = Recorder(folder / "history.jsonl", clock, run_id=RUN)
    observer = Observer(cluster, recorder)
    await observer.start()
    now = clock.now()
    context = RunContext(
        experiment=experiment,
        steps=make_steps(experiment, nodes),
        targets=nodes,
        recorder=recorder,
        observer=observer,
        drivers=Drivers(
            cluster=cluster,
            components=None,
            observer=observer,
            recorder=recorder,
            ledger=ledger,
            kinds=FAULTS,
            run_id=RUN,
            deadline=now.wall,
            namespaces=frozenset(),
            heartbeat=now.wall,
            clock=clock,
        ),
        workload=Workload(cluster, ledger, run_id=RUN, manifests=()),
        load=None,
        metrics=None,
        progress=Said(),
        kubernetes_version="v1.36.0",
        namespaces=frozenset(),
        before_fault=lambda world: None,
        clock=clock,
        deadline_ns=now.mono_ns + 600 * 10**9,
    )
    try:
        outcome = await Interpreter(context).run()
    finally:
        await observer.stop()
        recorder.close()
        ledger.close()
    assert outcome.leftovers == (), outcome
    assert not any(node["spec"].get("taints") for node in cluster.objects.values())


def main(counts: list[int]) -> None:
    """Print a line for each number of nodes."""
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            asyncio.run(measure(folder, tuple(f"n{number}" for number in range(count))))
            steps = step_records(read_history(folder / "history.jsonl"))
        took_s = {}
        for action in ("inject", "heal"):
            mine = [step for step in steps if step.action == action]
            assert len(mine) == count
            ends = [step.ended_ns for step in mine if step.ended_ns is not None]
            took_s[action] = (max(ends) - min(step.invoked_ns for step in mine)) / 1e9
        print(f"{count:6,} nodes: {took_s['inject']:6.2f} s on, {took_s['heal']:6.2f} s off")


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [200, 1000])
