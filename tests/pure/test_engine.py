"""The engine on the fake cluster: from a request to a judged, rendered run, whatever asks it to stop."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.clock import SystemClock
from harness.cluster.patience import Patience
from harness.cluster.ports import Json
from harness.cluster.undo import own_claim
from harness.engine import FinishedRun, NotStarted, StopSignal, execute, new_run_id
from harness.errors import ExitCode, InvalidFile, Refused, TryLater, UsageError
from harness.faults.registry import UNDO
from harness.run.recover.by_claims import recover_claims
from harness.run.recover.context import Recovered, RecoveryContext
from harness.run.recover.liveness import LocalProcesses
from harness.wiring.experiments import read_experiment_text
from harness.wiring.signals import ENDING_SIGNALS, stopped_by_signals
from tests.fakes.engine import HOLDER, Listener, World, cluster_of, is_as_before, request, text

N1 = "/api/v1/nodes/n1"
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def ended(world: World, folder: Path, stop: StopSignal | None = None, **experiment: Any) -> FinishedRun:
    """Run it on a loop of its own."""

    async def run() -> FinishedRun:
        wanted = request("straight-1", text(**experiment), folder)
        return await execute(wanted, ports=world.ports(), stop=stop or StopSignal())

    return asyncio.run(run())


def facts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def require_pass(finished: FinishedRun) -> None:
    """It passed; or this machine stood still meanwhile, the watches were blind, and it says no more than that."""
    allowed = [ExitCode.PASS]
    if any(fact["kind"] == "WatchGap" for fact in facts(finished.folder)):
        allowed.append(ExitCode.INCONCLUSIVE)
    assert finished.exit_code in allowed, finished.result["reason"]
    assert (finished.result["verdict"] == "PASS") is (finished.exit_code is ExitCode.PASS)
    assert finished.result["healed"] is True


def test_from_text_to_a_judged_and_rendered_run(tmp_path: Path) -> None:
    world = World(cluster_of("n1"))
    finished = ended(world, tmp_path / "run")
    require_pass(finished)
    assert finished.result["run"] == "straight-1"
    assert world.progress.phases == ["warmup", "baseline", "fault", "recovery"]
    assert world.rendered == [tmp_path / "run"]
    assert finished.page == tmp_path / "run" / "report.html"
    assert "name: straight" in (tmp_path / "run" / "spec.yaml").read_text()
    assert is_as_before(world.cluster.objects[N1])


def test_two_runs_at_once_on_one_cluster(tmp_path: Path) -> None:
    cluster = cluster_of("n1", "n2")
    worlds = [World(cluster), World(cluster)]

    async def both() -> list[FinishedRun]:
        runs = [
            execute(
                request(f"run-{node}", text(f"on-{node}", node=node), tmp_path / node),
                ports=world.ports(),
                stop=StopSignal(),
            )
            for node, world in zip(("n1", "n2"), worlds, strict=True)
        ]
        return list(await asyncio.gather(*runs))

    finished = asyncio.run(both())
    for node, one in zip(("n1", "n2"), finished, strict=True):
        require_pass(one)
        assert one.result["run"] == f"run-{node}"
        assert one.folder == tmp_path / node
        injected = [fact["subject"] for fact in facts(one.folder) if fact.get("action") == "inject"]
        assert injected == [node]
        assert is_as_before(cluster.objects[f"/api/v1/nodes/{node}"])


def test_one_that_stops_leaves_the_other_alone(tmp_path: Path) -> None:
    cluster = cluster_of("n1", "n2")
    stops = [StopSignal(), StopSignal()]
    first = World(cluster, Listener(lambda name: name == "fault" and stops[0].ask("by its operator")))

    async def both() -> list[FinishedRun]:
        runs = [
            execute(
                request(f"run-{node}", text(f"on-{node}", node=node), tmp_path / node),
                ports=world.ports(),
                stop=stop,
            )
            for node, world, stop in zip(("n1", "n2"), (first, World(cluster)), stops, strict=True)
        ]
        return list(await asyncio.gather(*runs))

    stopped, other = asyncio.run(both())
    assert stopped.exit_code is ExitCode.INTERRUPTED
    require_pass(other)


@pytest.mark.parametrize("phase", ["warmup", "baseline", "fault", "recovery"])
def test_a_stop_in_each_phase_heals_and_is_told(phase: str, tmp_path: Path) -> None:
    stop = StopSignal()
    heard: list[bool] = []
    world = World(cluster_of("n1"))
    world.progress.on_phase = lambda name: heard.append(stop.ask("by its operator")) if name == phase else None
    finished = ended(world, tmp_path / "run", stop)
    assert heard == [True]
    assert world.progress.phases[-1] == phase, "later phases began"
    assert finished.exit_code is ExitCode.INTERRUPTED
    assert "by its operator" in finished.result["reason"]
    assert is_as_before(world.cluster.objects[N1])
    injected = [fact for fact in facts(finished.folder) if fact.get("action") == "inject"]
    assert bool(injected) is (phase == "recovery")
    assert world.rendered, "a run that was stopped has a report too"
    assert stop.ask("too late") is False


def untouched(world: World) -> bool:
    """Whether nothing was ever written: the versions are those of the beginning."""
    return all(int(obj["metadata"]["resourceVersion"]) <= 2 for obj in world.cluster.objects.values())


def test_a_stop_before_the_run_touches_nothing(tmp_path: Path) -> None:
    stop, world = StopSignal(), World(cluster_of("n1"))
    stop.ask("by its operator")
    with pytest.raises(NotStarted, match="by its operator before the run began") as caught:
        ended(world, tmp_path / "run", stop)
    assert caught.value.exit_code is ExitCode.INTERRUPTED
    assert untouched(world)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("nth", [1, 2], ids=["while targets are chosen", "while the watches start"])
def test_a_stop_while_a_list_hangs(nth: int, tmp_path: Path) -> None:
    stop, world = StopSignal(), World(cluster_of("n1"))
    plain, asked = world.cluster.list, 0

    async def hangs(path: str, **query: str) -> Any:
        nonlocal asked
        asked += path == "/api/v1/nodes"
        if path == "/api/v1/nodes" and asked == nth:
            stop.ask("by its operator")
            await asyncio.Event().wait()
        return await plain(path, **query)

    world.cluster.list = hangs  # type: ignore[method-assign]  # this one answers never
    with pytest.raises(NotStarted):
        ended(world, tmp_path / "run", stop)
    assert untouched(world)


def test_a_cancelled_task_heals_first(tmp_path: Path) -> None:
    world = World(cluster_of("n1"))

    async def run() -> FinishedRun:
        task = asyncio.create_task(
            execute(request("r", text(), tmp_path / "run"), ports=world.ports(), stop=StopSignal())
        )
        world.progress.on_phase = lambda name: name == "recovery" and task.cancel()
        return await task

    finished = asyncio.run(run())
    assert finished.exit_code is ExitCode.INTERRUPTED
    assert is_as_before(world.cluster.objects[N1])


def test_insisting_gives_up_a_heal_that_is_not_answered(tmp_path: Path) -> None:
    stop, world = StopSignal(), World(cluster_of("n1"))
    plain, tried = world.cluster.merge_patch, 0
    world.progress.on_say = lambda line: line.startswith("injected") and stop.ask("by its operator")

    async def throttled(path: str, body: Mapping[str, Any]) -> Json:
        nonlocal tried
        if is_as_before(world.cluster.objects[N1]):
            return await plain(path, body)
        tried += 1
        stop.ask("by its operator", insist=True)
        raise TryLater(f"PATCH {path}: 429", status=429, reason="TooManyRequests")

    world.cluster.merge_patch = throttled  # type: ignore[method-assign]  # the injection goes through, no heal does
    finished = ended(world, tmp_path / "run", stop)
    assert tried, "nothing tried to heal"
    assert finished.exit_code is ExitCode.HEAL_FAILED
    assert "n1" in finished.result["leftovers"][0]
    assert not is_as_before(world.cluster.objects[N1])


def test_what_an_ended_run_left_is_recovered_while_its_process_lives(tmp_path: Path) -> None:
    """As an operator does: the next run, or its own recovery, is in the process that holds the claim."""
    world, clock = World(cluster_of("n1")), SystemClock()
    plain, signs, heals = world.cluster.merge_patch, [], True
    here = LocalProcesses(HOLDER, lambda holder: True, world.live)

    def context() -> RecoveryContext:
        patience = Patience(clock, clock.now().mono_ns + 60 * 10**9)
        return RecoveryContext(world.cluster, patience, here, lambda line: None)

    async def patch(path: str, body: Mapping[str, Any]) -> Json:
        if heals or is_as_before(world.cluster.objects[N1]):
            return await plain(path, body)
        raise Refused(f"PATCH {path}: 403", status=403, reason="Forbidden")

    async def run() -> tuple[FinishedRun, Recovered]:
        nonlocal heals
        wanted = request("straight-1", text(), tmp_path / "run")
        finished = await execute(wanted, ports=world.ports(), stop=StopSignal())
        heals = True
        world.cluster.objects |= {"/api/v1": {"resources": []}, "/apis": {"groups": []}}
        return finished, await recover_claims(context(), run="straight-1")

    def look(line: str) -> None:
        nonlocal heals
        if line.startswith("injected"):
            heals = False
            claim = own_claim(world.cluster.objects[N1], "straight-1", UNDO)
            assert claim is not None
            signs.append(context().sign_of_life(claim))

    world.cluster.merge_patch = patch  # type: ignore[method-assign]  # it loses the right to heal
    world.progress.on_say = look
    finished, recovered = asyncio.run(run())
    assert signs == [f"process {HOLDER.pid} of this machine holds it"]
    assert finished.exit_code is ExitCode.HEAL_FAILED
    assert (recovered.remaining, recovered.refused) == ((), "")
    assert is_as_before(world.cluster.objects[N1])


def test_a_load_without_rows_is_no_pass(tmp_path: Path) -> None:
    world = World(cluster_of("n1"))
    finished = ended(world, tmp_path / "run", load=True)
    assert [load.events for load in world.loads] == [["start", "stop"]]
    assert finished.exit_code is ExitCode.INCONCLUSIVE, finished.result["reason"]


def test_a_report_that_cannot_be_written_leaves_the_verdict(tmp_path: Path) -> None:
    world = World(cluster_of("n1"))

    def full(folder: Path) -> Path:
        raise UsageError("report.html cannot be written: No space left on device")

    world._render = full  # type: ignore[method-assign]  # this disk is full
    finished = ended(world, tmp_path / "run")
    require_pass(finished)
    assert finished.page is None
    assert "No space left" in finished.unrendered


def test_a_folder_in_use_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    world = World(cluster_of("n1"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "theirs").write_text("")
    with pytest.raises(UsageError, match="not empty"):
        ended(world, tmp_path / "run")
    assert untouched(world)


def handlers(loop: asyncio.AbstractEventLoop) -> tuple[Any, ...]:
    """Every signal handler of the process and of the loop."""
    of_loop = dict(getattr(loop, "_signal_handlers"))  # noqa: B009 -- asyncio's own, and nothing public shows it
    return tuple(signal.getsignal(number) for number in signal.valid_signals()), of_loop


def test_the_signal_handlers_of_the_loop_are_its_owners(tmp_path: Path) -> None:
    world = World(cluster_of("n1"))
    seen: list[tuple[Any, ...]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: None)
        before = handlers(loop)
        world.progress.on_phase = lambda name: seen.append(handlers(loop))
        await execute(request("r", text(), tmp_path / "run"), ports=world.ports(), stop=StopSignal())
        assert handlers(loop) == before
        assert seen == [before] * 4

    asyncio.run(run())


@pytest.mark.parametrize("number", ENDING_SIGNALS, ids=lambda number: number.name)
def test_a_door_turns_a_signal_into_a_stop_and_puts_the_handlers_back(number: signal.Signals) -> None:
    before = [signal.getsignal(one) for one in ENDING_SIGNALS]

    async def run() -> None:
        stop, loop = StopSignal(), asyncio.get_running_loop()
        inside = handlers(loop)
        with stopped_by_signals(stop):
            os.kill(os.getpid(), number)
            with pytest.raises(NotStarted, match=f"by {number.name}"):
                await stop.unless_asked(asyncio.Event().wait())
        assert handlers(loop) == inside

    asyncio.run(run())
    assert [signal.getsignal(one) for one in ENDING_SIGNALS] == before


def test_a_signal_after_the_run_does_what_it_did_before() -> None:
    arrived: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: arrived.append(number))

    async def run() -> None:
        stop = StopSignal()
        with stopped_by_signals(stop):
            with stop.heard_by(lambda message, *, insist=False: None):
                pass
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(100):
                await asyncio.sleep(0)

    try:
        asyncio.run(run())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert arrived == [signal.SIGTERM]


def test_what_was_asked_before_somebody_listens_is_handed_on() -> None:
    heard: list[tuple[str, bool]] = []
    stop = StopSignal()
    assert stop.ask("first")
    with stop.heard_by(lambda message, *, insist=False: heard.append((message, insist))):
        assert stop.ask("again", insist=True)
    assert not stop.ask("late", insist=True)
    assert heard == [("first", False), ("again", True)]


# --- run ids ---


@pytest.mark.parametrize("name", ["a", "web", "x" * 36, "x" * 63, "a" * 35 + "-" + "b" * 20, "", "1" * 200])
def test_a_run_id_is_a_label_value_that_ends_in_a_ulid(name: str) -> None:
    run = new_run_id(name, wall_ns=1_469_918_176_385 * 10**6, random=os.urandom)
    assert LABEL_VALUE.fullmatch(run), run
    ulid = run[-26:]
    assert ulid.startswith("01aryz6s41"), "the example of github.com/ulid/spec: 1469918176385 ms"
    assert run in (ulid, f"{name[:36].rstrip('-')}-{ulid}")


def test_all_random_bits_are_in_the_id() -> None:
    low = new_run_id("r", wall_ns=0, random=lambda size: b"\0" * size)
    high = new_run_id("r", wall_ns=0, random=lambda size: b"\xff" * size)
    assert (low, high) == ("r-" + "0" * 26, "r-" + "0" * 10 + "z" * 16)


def test_long_names_that_begin_alike_do_not_share_an_id() -> None:
    ids = {new_run_id("x" * 60 + tail, wall_ns=0, random=os.urandom) for tail in ("a", "b") for _ in range(2000)}
    assert len(ids) == 4000


def test_ids_are_in_the_order_of_time() -> None:
    stamps_ms = [0, 1, 31, 32, 1023, 1024, 1_800_000_000_000, 1_800_000_000_001, 2**48 - 1]
    ids = [new_run_id("r", wall_ns=stamp * 10**6, random=os.urandom) for stamp in stamps_ms]
    assert ids == sorted(ids)


# --- text that is no file ---


@pytest.mark.parametrize(
    "line", ["  workload: [/etc/passwd]", "  workload: [experiment.yaml]", "  lab: {topology: /etc/passwd}"]
)
def test_a_text_that_is_no_file_names_none(line: str) -> None:
    with pytest.raises(InvalidFile, match="names a file, and this experiment is none") as caught:
        read_experiment_text(text() + line + "\n", name="custom resource")
    assert [problem.line for problem in caught.value.problems] == [len((text() + line).splitlines())]
