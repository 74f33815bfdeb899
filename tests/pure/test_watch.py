"""List-then-watch: what is learnt, and what is admitted about gaps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness.clock import Instant
from harness.cluster.ports import Json, WatchLine
from harness.cluster.watch import SETTLE_S, Watcher
from harness.errors import ClusterError, Indeterminate, NotFound, Refused, TryLater
from harness.history.query import facts, gaps, open_losses
from harness.history.read import History, read_history
from harness.history.record import Recorder
from harness.model import events
from harness.model.needs import Watched, WatchNeed
from harness.run.observe import NODE_PATH, POD_PATH, Observer
from tests.fakes.virtual_loop import VirtualClock, run, stand_still
from tests.fakes.watch_weather import StormyCluster

PODS = POD_PATH
Story = Callable[["Rig"], Awaitable[None]]


class Rig:
    """A fake cluster, a watcher on its pods, and what the watcher told."""

    def __init__(self, folder: Path) -> None:
        clock = VirtualClock()
        self.cluster = StormyCluster(clock)
        self.path = folder / "history.jsonl"
        self.recorder = Recorder(self.path, clock, run_id="r")
        self.told: list[tuple[str, str]] = []
        self.watcher = Watcher(self.cluster, self.recorder, resource=Watched.PODS, path=PODS, on_change=self._on_change)

    def _on_change(self, change: str, obj: Json, arrived: Instant) -> None:
        self.told.append((change, obj["metadata"]["name"]))

    async def change(self, *names: str, drop: bool = False) -> None:
        """Somebody creates, edits or removes pods."""
        for name in names:
            if drop:
                self.cluster.drop(f"{PODS}/{name}")
            else:
                self.cluster.put(f"{PODS}/{name}", self.cluster.objects.get(f"{PODS}/{name}", {}))
        await self.cluster.wake()


def play(folder: Path, story: Story, *names: str) -> tuple[Rig, History]:
    """Run a watcher beside `story`, with pods `names` there from the start; seconds are virtual."""

    async def both() -> Rig:
        rig = Rig(folder)
        for name in names:
            rig.cluster.put(f"{PODS}/{name}", {})
        task = asyncio.create_task(rig.watcher.run())
        await rig.watcher.listed.wait()
        await story(rig)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return rig

    rig = run(both())
    rig.recorder.close()
    return rig, read_history(rig.path)


def seconds(history: History) -> list[tuple[float, float]]:
    """When the pod watch was blind."""
    return [(round(gap.start_ns / 1e9, 3), round(gap.end_ns / 1e9, 3)) for gap in gaps(history, "pods")]


def test_changes_are_told_in_order(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(1)
        await rig.change("b")
        await rig.change("a")
        await rig.change("b", drop=True)
        await asyncio.sleep(1)

    rig, history = play(tmp_path, story, "a")
    assert rig.told == [("LISTED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert gaps(history, "pods") == []


def test_a_broken_watch_is_a_gap_and_what_vanished_in_it_is_told(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(5)
        await rig.cluster.strike(PODS, Indeterminate("connection reset"))
        await rig.change("a", drop=True)
        await rig.change("d")
        await asyncio.sleep(5)

    rig, history = play(tmp_path, story, "a", "b", "c")
    assert sorted(rig.told[3:]) == [("LISTED", "d"), ("VANISHED", "a")]
    assert seconds(history) == [(0.0, 5.05 + SETTLE_S)]


def test_a_line_is_a_sign_of_life_a_bookmark_too(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(3)
        bookmark = {"metadata": {"resourceVersion": "1"}}
        rig.cluster.lines[PODS] = [WatchLine("BOOKMARK", bookmark, VirtualClock().now())]
        await rig.cluster.wake()
        await asyncio.sleep(2)
        await rig.cluster.strike(PODS, Indeterminate("connection reset"))
        await asyncio.sleep(5)

    _, history = play(tmp_path, story, "a")
    assert seconds(history) == [(3.0, 5.05 + SETTLE_S)]


LASTING = {
    "throttled": TryLater("429", status=429),
    "forbidden": Refused("403", status=403),
    "unauthorized": TryLater("401", status=401),
    "not found": NotFound("404", status=404),
    "unavailable": Indeterminate("503", status=503),
    "not understood": Refused("400", status=400),
    "no JSON": ClusterError("the answer is no JSON"),
    "expired for ever": Refused("410", status=410),
    "a bug": ZeroDivisionError("what a day"),
}


@pytest.mark.parametrize("error", LASTING.values(), ids=LASTING.keys())
def test_a_watch_that_is_never_regained_is_lost_to_the_end(error: Exception, tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(2)
        rig.cluster.refusals = {("list", PODS): error}
        await rig.cluster.strike(PODS, error)
        await rig.change("a", drop=True)
        await asyncio.sleep(60)

    rig, history = play(tmp_path, story, "a")
    assert rig.told == [("LISTED", "a")]
    assert [lost.from_ns for lost in open_losses(history, "pods")] == [0]
    assert len(list(facts(history, events.WatchLost))) == 1


@pytest.mark.parametrize("error", LASTING.values(), ids=LASTING.keys())
def test_it_is_regained_when_the_trouble_is_over(error: Exception, tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(2)
        await rig.change("b")
        await asyncio.sleep(0.001)
        rig.cluster.refusals = {("list", PODS): error}
        await rig.cluster.strike(PODS, error)
        await rig.change("a", drop=True)
        await asyncio.sleep(10)
        rig.cluster.refusals.clear()
        await asyncio.sleep(5 + SETTLE_S)
        await rig.change("c")
        await asyncio.sleep(0.001)

    rig, history = play(tmp_path, story, "a")
    assert rig.told == [("LISTED", "a"), ("ADDED", "b"), ("VANISHED", "a"), ("ADDED", "c")]
    ((since, until),) = seconds(history)
    assert since == 2.0
    assert 12.0 + SETTLE_S <= until <= 17.1 + SETTLE_S
    assert open_losses(history, "pods") == []


def test_retry_after_is_honoured(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(2)
        rig.cluster.refusals = {("list", PODS): TryLater("429", status=429, retry_after_s=7.0)}
        await rig.cluster.strike(PODS, Indeterminate("reset"))
        await asyncio.sleep(1)
        rig.cluster.refusals.clear()
        await asyncio.sleep(20)

    _, history = play(tmp_path, story)
    assert seconds(history) == [(0.0, 2.05 + 7.0 + SETTLE_S)]


def test_what_is_replayed_while_a_new_watch_settles_belongs_to_the_gap(tmp_path: Path) -> None:
    """The list is had, but the server takes the watch up late: the deletion before that comes with a wrong stamp."""

    async def story(rig: Rig) -> None:
        await asyncio.sleep(2)
        rig.cluster.silent.add(PODS)
        await rig.cluster.strike(PODS, Indeterminate("reset"))
        await asyncio.sleep(0.2)
        await rig.change("a", drop=True)
        await asyncio.sleep(0.5)
        rig.cluster.silent.clear()
        await rig.cluster.wake()
        await asyncio.sleep(5)

    rig, history = play(tmp_path, story, "a")
    assert rig.told[-1] == ("DELETED", "a")
    ((since, until),) = seconds(history)
    assert since == 0.0
    assert until >= 2.7


def test_a_watch_that_the_server_ends_in_order_is_a_small_gap(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(4)
        await rig.cluster.strike(PODS, None)
        await asyncio.sleep(5)

    _, history = play(tmp_path, story, "a")
    assert seconds(history) == [(4.0, 4.05 + SETTLE_S)]


WRONG_LINES = {
    "no metadata": WatchLine("ADDED", {"spec": {}}, Instant(10**12 + 2 * 10**9, 0)),
    "no uid": WatchLine("ADDED", {"metadata": {"name": "x", "resourceVersion": "9"}}, Instant(10**12 + 2 * 10**9, 0)),
    "no version": WatchLine("MODIFIED", {"metadata": {"uid": "u"}}, Instant(10**12 + 2 * 10**9, 0)),
    "an error": WatchLine("ERROR", {"message": "etcd is gone"}, Instant(10**12 + 2 * 10**9, 0)),
    "no object": WatchLine("ADDED", None, Instant(10**12 + 2 * 10**9, 0)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("line", WRONG_LINES.values(), ids=WRONG_LINES.keys())
def test_a_line_that_cannot_be_read_is_a_loss_and_no_crash(line: WatchLine, tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        await asyncio.sleep(2)
        rig.cluster.lines[PODS] = [line]
        await rig.cluster.wake()
        await asyncio.sleep(5)

    _, history = play(tmp_path, story, "a")
    assert seconds(history) == [(2.0, 2.05 + SETTLE_S)]


# --- the observer: four watches, standstills, the closing list, our own writes ---


def observe(folder: Path, story: Callable[[StormyCluster, Observer], Awaitable[None]]) -> History:
    """An observer beside `story`, with node n1 and pods default/a (on n1) and other/b there from the start."""

    async def both() -> None:
        clock = VirtualClock()
        cluster = StormyCluster(clock)
        cluster.put(f"{NODE_PATH}/n1", {})
        cluster.put(f"{PODS}/a", {"metadata": {"namespace": "default"}, "spec": {"nodeName": "n1"}})
        cluster.put(f"{PODS}/b", {"metadata": {"namespace": "other"}, "spec": {"nodeName": "n2"}})
        recorder = Recorder(folder / "history.jsonl", clock, run_id="r")
        observer = Observer(cluster, recorder, [WatchNeed(Watched.ENDPOINT_SLICES)])
        try:
            await observer.start()
            await asyncio.sleep(2)
            await story(cluster, observer)
        finally:
            await observer.stop()
            recorder.close()

    run(both())
    return read_history(folder / "history.jsonl")


def closing(history: History) -> dict[str, events.ClosingList]:
    """The closing lists by resource."""
    return {fact.resource: fact for _, fact in facts(history, events.ClosingList)}


@pytest.mark.parametrize(("path", "status"), [(PODS, 403), (NODE_PATH, 403), (PODS, 401), (NODE_PATH, 404)])
def test_nothing_starts_where_pods_or_nodes_may_not_be_listed(path: str, status: int, tmp_path: Path) -> None:
    async def start() -> None:
        cluster = StormyCluster(VirtualClock())
        cluster.refusals = {("list", path): Refused(f"no: {status}", status=status)}
        recorder = Recorder(tmp_path / "history.jsonl", VirtualClock(), run_id="r")
        observer = Observer(cluster, recorder)
        try:
            with pytest.raises(ClusterError, match=str(status)):
                await observer.start()
        finally:
            await observer.stop()
            recorder.close()

    run(start())
    history = read_history(tmp_path / "history.jsonl")
    assert [fact.what for _, fact in facts(history, events.RecorderFailed)] == [path.rsplit("/", 1)[1]]


def test_a_start_does_not_wait_for_ever(tmp_path: Path) -> None:
    async def start() -> None:
        cluster = StormyCluster(VirtualClock())
        cluster.refusals = {("list", NODE_PATH): Indeterminate("503", status=503)}
        recorder = Recorder(tmp_path / "history.jsonl", VirtualClock(), run_id="r")
        observer = Observer(cluster, recorder)
        with pytest.raises(ClusterError, match="nodes could not be listed within 60 s: 503"):
            await observer.start()
        await observer.stop()
        recorder.close()

    run(start())


def test_a_standstill_is_a_gap_of_all_watches(tmp_path: Path) -> None:
    async def story(cluster: StormyCluster, observer: Observer) -> None:
        await asyncio.sleep(1.01)
        stand_still(3.0)
        await asyncio.sleep(5)

    history = observe(tmp_path, story)
    for resource in Watched:
        ((since, until),) = [(gap.start_ns / 1e9, gap.end_ns / 1e9) for gap in gaps(history, resource)]
        assert since == pytest.approx(3.0, abs=0.06)
        assert 6.01 + 0.75 <= until < 7.0


def test_a_busy_moment_is_none(tmp_path: Path) -> None:
    async def story(cluster: StormyCluster, observer: Observer) -> None:
        for _ in range(20):
            await asyncio.sleep(0.1)
            stand_still(0.08)

    assert gaps(observe(tmp_path, story), "pods") == []


def test_the_closing_list_tells_what_is_there_of_the_run(tmp_path: Path) -> None:
    async def story(cluster: StormyCluster, observer: Observer) -> None:
        cluster.put(f"{PODS}/c", {"metadata": {"namespace": "default", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
        await cluster.wake()
        await observer.close_list(("n1",), ("default",))

    history = observe(tmp_path, story)
    lists = closing(history)
    assert {resource: fact.ok for resource, fact in lists.items()} == dict.fromkeys(
        ("pods", "nodes", "endpointslices"), True
    )
    uids = {seen.name: seen.uid for _, seen in facts(history, events.PodSeen)}
    assert lists["pods"].present == (uids["a"],)
    assert gaps(history, "pods") == []


def test_a_watch_in_flight_is_waited_for(tmp_path: Path) -> None:
    async def story(cluster: StormyCluster, observer: Observer) -> None:
        cluster.silent.add(PODS)
        cluster.drop(f"{PODS}/a")

        async def later() -> None:
            await asyncio.sleep(1)
            cluster.silent.clear()
            await cluster.wake()

        await asyncio.gather(later(), observer.close_list(("n1",), ("default",)))

    history = observe(tmp_path, story)
    assert [seen.change for _, seen in facts(history, events.PodSeen)] == ["LISTED", "LISTED", "DELETED"]
    assert gaps(history, "pods") == []


def test_a_watch_that_died_in_silence_is_found_out(tmp_path: Path) -> None:
    async def story(cluster: StormyCluster, observer: Observer) -> None:
        cluster.silent.add(PODS)
        cluster.drop(f"{PODS}/a")
        await cluster.wake()
        await asyncio.sleep(30)
        await observer.close_list(("n1",), ("default",))

    history = observe(tmp_path, story)
    assert closing(history)["pods"] == events.ClosingList("pods", True)
    assert [seen.change for _, seen in facts(history, events.PodSeen)] == ["LISTED", "LISTED", "VANISHED"]
    (gap,) = [fact for _, fact in facts(history, events.WatchGap)]
    assert (gap.resource, gap.from_ns) == ("pods", 0)
    assert "the closing list shows what the watch did not: default/a is gone" in gap.why
    assert len(open_losses(history, "pods")) == 1


@pytest.mark.parametrize("error", LASTING.values(), ids=LASTING.keys())
def test_a_closing_list_that_is_not_had_says_so(error: Exception, tmp_path: Path) -> None:
    async def story(cluster: StormyCluster, observer: Observer) -> None:
        cluster.refusals = {("list", PODS): error}
        began = asyncio.get_running_loop().time()
        await observer.close_list(("n1",), ("default",))
        assert asyncio.get_running_loop().time() - began <= 20.5

    lists = closing(observe(tmp_path, story))
    assert (lists["pods"].ok, lists["nodes"].ok) == (False, True)
    assert str(error) in lists["pods"].message


def test_a_closing_list_that_is_throttled_for_a_while_is_had(tmp_path: Path) -> None:
    async def story(cluster: StormyCluster, observer: Observer) -> None:
        cluster.refusals = {("list", PODS): TryLater("429", status=429, retry_after_s=3.0)}

        async def later() -> None:
            await asyncio.sleep(5)
            cluster.refusals.clear()

        await asyncio.gather(later(), observer.close_list(("n1",), ("default",)))

    assert closing(observe(tmp_path, story))["pods"].ok


@pytest.mark.parametrize("answer_first", [True, False])
def test_the_time_from_a_write_to_its_line(answer_first: bool, tmp_path: Path) -> None:
    async def story(cluster: StormyCluster, observer: Observer) -> None:
        if answer_first:
            cluster.silent.add(NODE_PATH)
        taints = {"spec": {"taints": [{"key": "spot", "effect": "NoExecute"}]}}
        version = (await cluster.merge_patch(f"{NODE_PATH}/n1", taints))["metadata"]["resourceVersion"]
        await asyncio.sleep(0.01)
        observer.wrote("nodes", version)
        await asyncio.sleep(0.3)
        cluster.silent.clear()
        await cluster.wake()
        await asyncio.sleep(1)

    (measured,) = [fact for _, fact in facts(observe(tmp_path, story), events.LatencyMeasured)]
    assert measured.what == "write-to-watch"
    assert measured.seconds == pytest.approx(0.3 if answer_first else 0.0, abs=1e-3)


def test_who_wrote_the_taints_is_told_though_they_are_the_same(tmp_path: Path) -> None:
    def node(manager: str) -> Json:
        fields = {"f:spec": {"f:taints": {}}}
        return {
            "metadata": {"managedFields": [{"manager": manager, "time": "2026-01-02T03:04:05Z", "fieldsV1": fields}]},
            "spec": {"taints": [{"key": "spot", "effect": "NoExecute"}]},
        }

    async def story(cluster: StormyCluster, observer: Observer) -> None:
        for manager in ("taintlab", "kubectl-taint", "kubectl-taint"):
            uid = cluster.objects[f"{NODE_PATH}/n1"]["metadata"]["uid"]
            wanted = node(manager)
            wanted["metadata"]["uid"] = uid
            cluster.put(f"{NODE_PATH}/n1", wanted)
        await cluster.wake()
        await asyncio.sleep(1)

    seen = [fact.taints_by for _, fact in facts(observe(tmp_path, story), events.NodeSeen)]
    assert seen == ["", "taintlab 2026-01-02T03:04:05Z", "kubectl-taint 2026-01-02T03:04:05Z"]
