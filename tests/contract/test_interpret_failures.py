"""Whatever fails, wherever, in a whole run: the cluster is as before, or the outcome says what is left.

Tables over every request and every step of a run, with every failure; and the kill table: the process is gone at a
request, and its ledger alone brings the cluster back. No cluster: see `tests.pure.whole_runs`. ``pytest -s`` prints how
many combinations were run, and in how many seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.ledger_read import read_ledger
from harness.cluster.patience import Patience
from harness.cluster.ports import Json
from harness.cluster.undo import Holder
from harness.errors import ClusterError
from harness.model.faults import Fault
from harness.model.words import RunState
from harness.run import heartbeat
from harness.run.context import RunContext
from harness.run.drivers import Drivers
from harness.run.recover.by_ledger import RunLedger, recover_ledger
from harness.run.recover.context import Recovered, RecoveryContext
from harness.run.recover.liveness import LocalProcesses
from harness.testing import FakeCluster
from tests.fakes.scripted import AFTER, ENDS_THE_RUN, Failure, Write, error_of, once
from tests.fakes.virtual_loop import VirtualClock, run
from tests.pure.whole_runs import HOLDER, RUN, WholeRun, differences

PROCESSES = LocalProcesses(Holder("host", "boot", 1, 1, HOLDER.pid_namespace), lambda holder: False)
"""Of the machine on which the run was: its process is gone."""
RETRIED = (Failure.THROTTLED, Failure.LOST_BEFORE, Failure.LOST_AFTER, *ENDS_THE_RUN)
"""What passes: after these nothing may be left."""


@pytest.fixture(autouse=True)
def _heartbeats_within_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_S", 2.0)


@contextmanager
def counted(what: str) -> Iterator[Counter[str]]:
    """Prints what was run: combinations by how they ended, and seconds."""
    ends: Counter[str] = Counter()
    began_s = time.monotonic()
    yield ends
    words = ", ".join(f"{count} {how}" for how, count in sorted(ends.items()))
    print(f"\n{what}: {ends.total()} combinations in {time.monotonic() - began_s:.1f} s: {words}")


def judge(played: WholeRun, ends: Counter[str]) -> list[str]:
    """What must not be; and how it ended, for the sum."""
    told, left = bool(played.outcome.leftovers), bool(played.left)
    ends["left and told" if left and told else "told, and clean" if told else "left" if left else "clean"] += 1
    return played.problems()


# --- every request of a run ---


def requests_of_a_run(folder: Path) -> int:
    """Of one in which nothing fails; leaves nothing."""
    whole = WholeRun(folder)
    assert whole.play().state is RunState.COMPLETED
    assert (whole.problems(), whole.left) == ([], [])
    return len(whole.cluster.requests)


@pytest.mark.parametrize("failure", Failure)
def test_each_request_fails(tmp_path: Path, failure: Failure) -> None:
    found: dict[str, list[str]] = {}
    with counted(f"each request: {failure}") as ends:
        for number in range(requests_of_a_run(tmp_path)):
            whole = WholeRun(tmp_path, failing=once(number, failure))
            outcome = whole.play()
            problems = judge(whole, ends)
            if failure in RETRIED and (outcome.leftovers or whole.left):
                problems.append(f"left: {whole.left}, told: {outcome.leftovers}")
            if failure in ENDS_THE_RUN and outcome.state not in (RunState.INTERRUPTED, RunState.COMPLETED):
                problems.append(f"ended {outcome.state}: {outcome.message}")
            if problems:
                found[f"{number} {whole.cluster.requests[number]}"] = problems
    assert found == {}
    assert ends.total() >= 50


# --- every step of a run ---

STEPS = (
    *(("drivers", "inject", call) for call in range(6)),
    *(("drivers", "heal", call) for call in range(6)),
    ("drivers", "renew", 0),
    ("drivers", "heal_all", 0),
    ("workload", "apply", 0),
    ("workload", "wait_ready", 0),
    ("workload", "remove", 0),
    ("load", "start", 0),
    ("load", "stop", 0),
)
"""A run has six injections and six heals; each of these is a call of what the interpreter acts with."""


class Tripwire:
    """Hands everything on to a part of a run's context; one call of one method fails, before or after it was done."""

    def __init__(self, method: str, call: int, failure: Failure, whole: WholeRun) -> None:
        self._method, self._at, self._failure, self._whole = method, call, failure, whole
        self._calls = 0
        self.tripped = False

    def into(self, context: RunContext, *, part: str) -> RunContext:
        """The context with this in the place of its part."""
        self._inner = getattr(context, part)
        return replace(context, **{part: self})

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        return self._call(real) if name == self._method else real

    def _call(self, real: Any) -> Any:
        async def called(*args: Any, **kwargs: Any) -> Any:
            number, self._calls = self._calls, self._calls + 1
            if number != self._at:
                return await real(*args, **kwargs)
            self.tripped = True
            error = error_of(self._failure)
            if error is not None and self._failure not in AFTER:
                raise error
            if self._failure in (Failure.CANCEL, Failure.INTERRUPT):
                self._whole.strike(self._failure)
            answer = await real(*args, **kwargs)
            if self._failure is Failure.CANCEL_AFTER:
                self._whole.strike(self._failure)
                await asyncio.sleep(0)
            if error is not None:
                raise error
            return answer

        return called


@pytest.mark.parametrize("failure", Failure)
def test_each_step_fails(tmp_path: Path, failure: Failure) -> None:
    found: dict[str, list[str]] = {}
    with counted(f"each step: {failure}") as ends:
        for part, method, call in STEPS:
            whole = WholeRun(tmp_path)
            wire = Tripwire(method, call, failure, whole)
            whole.wrap = partial(wire.into, part=part)
            whole.play()
            problems = judge(whole, ends)
            if not wire.tripped:
                problems.append("was never called")
            takes_off = method in ("heal_all", "remove")
            if whole.left and not takes_off:
                problems.append(f"left: {whole.left}")
            if problems:
                found[f"{part}.{method} #{call}"] = problems
    assert found == {}
    assert ends.total() == len(STEPS)


# --- twins that the tables must notice ---


class NeverHeals(Drivers):
    """Says that it heals."""

    async def heal(self, fault: Fault, node: str, **_: Any) -> dict[str, Any]:
        """As the drivers'."""
        return {}

    async def heal_all(self, deadline_ns: int, give_up: asyncio.Event | None = None) -> list[str]:
        """As the drivers'."""
        return []


class ForgetsOne(Drivers):
    """Heals what went well, and forgets a node whose write was not answered."""

    async def heal_all(self, deadline_ns: int, give_up: asyncio.Event | None = None) -> list[str]:
        """As the drivers'."""
        for name in [name for name, held in self._held.items() if held.unsettled]:
            del self._held[name]
        return await super().heal_all(deadline_ns, give_up)


def test_a_driver_that_does_not_heal_is_noticed(tmp_path: Path) -> None:
    whole = WholeRun(tmp_path, drivers=NeverHeals)
    whole.play()
    assert [line for line in whole.problems() if "not told: /api/v1/nodes/n1" in line]


def test_a_driver_that_forgets_a_lost_write_is_noticed(tmp_path: Path) -> None:
    """By the rows of the table in which the answer to a node's write is lost, and by no other."""
    noticed = []
    for number in range(requests_of_a_run(tmp_path)):
        whole = WholeRun(tmp_path, drivers=ForgetsOne, failing=once(number, Failure.LOST_AFTER))
        whole.play()
        if whole.problems():
            noticed.append(whole.cluster.requests[number])
    assert noticed
    assert {request.rsplit("/", 1)[0] for request in noticed} == {"PATCH /api/v1/nodes"}


# --- the process is gone ---


@dataclass(frozen=True)
class Killed:
    """What a process that was killed at a request leaves behind. `late`: its writes that may still land."""

    words: str
    objects: dict[str, Json]
    version: int
    ledger: bytes
    late: tuple[Write, ...]


def kill_points(folder: Path) -> tuple[WholeRun, list[Killed]]:
    """Of one run: right before and right after each request is applied."""
    found: list[Killed] = []

    def seen(whole: WholeRun, number: int, applied: bool) -> None:
        cluster, when = whole.cluster, "after" if applied else "before"
        found.append(
            Killed(
                f"{when} {number} {cluster.requests[number]}",
                {path: dict(obj) for path, obj in cluster.objects.items()},
                cluster._version,
                whole.ledger_path.read_bytes(),
                tuple(cluster.under_way.values()),
            )
        )

    whole = WholeRun(folder, seen=seen)
    assert whole.play().state is RunState.COMPLETED, whole.outcome
    return whole, found


def recovered(killed: Killed, folder: Path, *, lands_s: float | None = None) -> tuple[FakeCluster, Recovered]:
    """What `recover` makes of it, with nothing but the ledger. `lands_s`: when what was under way lands after all."""
    ledger = folder / "killed.jsonl"
    ledger.write_bytes(killed.ledger)

    async def story() -> tuple[FakeCluster, Recovered]:
        clock = VirtualClock()
        cluster = FakeCluster(clock)
        cluster.objects, cluster._version = dict(killed.objects), killed.version
        now = clock.now()
        patience = Patience(clock, now.mono_ns + 600 * 10**9)
        context = RecoveryContext(cluster, patience, PROCESSES, lambda line: None)
        read = read_ledger(ledger)
        landing = asyncio.create_task(land(cluster, killed.late, lands_s))
        found = await recover_ledger(context, RunLedger(ledger, read, RUN, now.wall_ns, same_cluster=True))
        await landing
        return cluster, found

    return run(story())


async def land(cluster: FakeCluster, late: Sequence[Write], lands_s: float | None) -> None:
    """What was under way when its sender died."""
    if lands_s is None:
        return
    await asyncio.sleep(lands_s)
    for write in late:
        with suppress(ClusterError):  # refused: it came too late
            await write(cluster)


@pytest.mark.parametrize("lands_s", [None, 0.0, 1.0], ids=["lost", "lands at once", "lands a second later"])
def test_killed_at_each_request(tmp_path: Path, lands_s: float | None) -> None:
    """SIGKILL: nothing more is sent, nothing more is written; what was under way is lost, or lands."""
    found: dict[str, list[str]] = {}
    with counted("killed at each request") as ends:
        whole, points = kill_points(tmp_path)
        for killed in points:
            if lands_s is not None and not killed.late:
                continue
            cluster, came = recovered(killed, tmp_path, lands_s=lands_s)
            left = differences(whole.before, cluster.objects)
            ends["clean" if not left else "left"] += 1
            if left or came.remaining:
                found[killed.words] = [*left, *came.remaining]
    assert found == {}
    assert ends.total() >= (20 if lands_s is not None else 100)


def test_a_ledger_that_names_nothing_recovers_nothing(tmp_path: Path) -> None:
    """The twin of the kill table: without its records, what a killed run left stays."""
    whole, points = kill_points(tmp_path)
    injected = next(killed for killed in points if killed.words.endswith("PATCH /api/v1/nodes/n2") and not killed.late)
    blank = replace(injected, ledger=injected.ledger.split(b"\n")[0] + b"\n")
    cluster, _ = recovered(blank, tmp_path)
    assert "/api/v1/nodes/n2" in differences(whole.before, cluster.objects)
