"""Watched is what somebody declared, and what nobody watched is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.check.base import Check, Judged, Soundness
from harness.check.judge import judge
from harness.check.needs import needs_of
from harness.check.record import RunRecord
from harness.check.registry import CHECKS
from harness.check.watches import WATCHES
from harness.history.query import facts, gaps, unseen
from harness.history.read import History, read_history
from harness.history.record import Recorder
from harness.model import events
from harness.model.experiment import Experiment
from harness.model.needs import Watched, WatchNeed, union
from harness.model.verdicts import Verdict
from harness.run.observe import NODE_PATH, POD_PATH, Observer
from tests.fakes.virtual_loop import VirtualClock, run
from tests.fakes.watch_weather import StormyCluster
from tests.pure.run_folders import SERVICE, made_run

SLICES = "/apis/discovery.k8s.io/v1/{}endpointslices"
PODS, NODES, ENDPOINTS = Watched.PODS, Watched.NODES, Watched.ENDPOINT_SLICES


def some(*names: str) -> frozenset[str]:
    return frozenset(names)


UNIONS = {
    "nothing": ([], {}),
    "two namespaces": ([WatchNeed(PODS, some("a")), WatchNeed(PODS, some("b"))], {PODS: some("a", "b")}),
    "the whole cluster wins": ([WatchNeed(PODS, some("a")), WatchNeed(PODS), WatchNeed(PODS, some("b"))], {PODS: None}),
    "each for itself": ([WatchNeed(PODS), WatchNeed(ENDPOINTS, some("a"))], {PODS: None, ENDPOINTS: some("a")}),
}


@pytest.mark.parametrize(("needs", "expected"), UNIONS.values(), ids=UNIONS.keys())
def test_the_union_meets_every_need(needs: list[WatchNeed], expected: dict[Watched, frozenset[str] | None]) -> None:
    assert union(needs) == expected


class Asked(StormyCluster):
    """Keeps the collections that were watched."""

    def __init__(self) -> None:
        super().__init__(VirtualClock())
        self.watched: set[str] = set()

    def watch(self, path: str, *, resource_version: str, **query: str):  # type: ignore[no-untyped-def]
        """See the port."""
        self.watched.add(path)
        return super().watch(path, resource_version=resource_version, **query)


def observed(folder: Path, needs: Iterable[WatchNeed]) -> tuple[set[str], History]:
    """The collections that are watched, and the history."""
    cluster = Asked()

    async def story() -> None:
        recorder = Recorder(folder / "history.jsonl", VirtualClock(), run_id="r")
        observer = Observer(cluster, recorder, needs)
        await observer.start()
        await asyncio.sleep(2)
        await observer.close_list((), ())
        await observer.stop()
        recorder.close()

    run(story())
    return cluster.watched, read_history(folder / "history.jsonl")


PATHS = {
    "none needed": ([], None),
    "in one namespace": ([WatchNeed(ENDPOINTS, some("shop"))], SLICES.format("namespaces/shop/")),
    "in two": ([WatchNeed(ENDPOINTS, some("shop", "web"))], SLICES.format("")),
    "in all": ([WatchNeed(ENDPOINTS)], SLICES.format("")),
}


@pytest.mark.parametrize(("needs", "path"), PATHS.values(), ids=PATHS.keys())
def test_exactly_what_is_needed_is_watched_and_written_down(
    needs: list[WatchNeed], path: str | None, tmp_path: Path
) -> None:
    watched, history = observed(tmp_path, needs)
    assert watched == {POD_PATH, NODE_PATH} | ({path} if path else set())
    declared = {PODS, NODES} | ({ENDPOINTS} if path else set())
    assert {started.resource for _, started in facts(history, events.WatchStarted)} == declared
    assert {listed.resource for _, listed in facts(history, events.ClosingList)} == declared
    assert (unseen(history, "endpointslices") == []) is bool(path)
    assert (gaps(history, "endpointslices") == []) is bool(path)


def test_what_is_not_watched_is_not_answered_for(tmp_path: Path) -> None:
    async def story() -> None:
        recorder = Recorder(tmp_path / "history.jsonl", VirtualClock(), run_id="r")
        observer = Observer(Asked(), recorder)
        assert observer.pods == []
        with pytest.raises(LookupError, match="endpointslices are not watched"):
            _ = observer.slices
        recorder.close()

    run(story())


def experiment(*namespaces: str | None) -> Experiment:
    services = tuple(replace(SERVICE, namespace=namespace) for namespace in namespaces)
    return replace(made_run().record().experiment, workload=services)


def test_slices_are_needed_where_the_workload_has_services() -> None:
    assert needs_of(experiment()) == (WatchNeed(PODS), WatchNeed(NODES))
    assert needs_of(experiment(None, "shop"))[2:] == (WatchNeed(ENDPOINTS, some("default", "shop")),)


def with_slices(record: RunRecord, namespaces: tuple[str, ...] | None, resource: Watched = ENDPOINTS) -> RunRecord:
    """`record` as if the slices had been watched in `namespaces` only, or `resource` instead."""
    entries = tuple(
        replace(entry, fact=events.WatchStarted(resource, namespaces))
        if isinstance(entry.fact, events.WatchStarted) and entry.fact.resource is ENDPOINTS
        else entry
        for entry in record.history.entries
    )
    return replace(record, history=replace(record.history, entries=entries))


def in_sight(record: RunRecord) -> Soundness:
    """What the validity check of the watches finds."""
    found = WATCHES.judge(record)
    assert found is not None
    return found


def test_what_every_check_needs_is_watched() -> None:
    wanted = experiment(None)
    watched = {need.watch for need in needs_of(wanted, CHECKS)}
    assert set().union(*(check.needs for check in CHECKS if check.applies(wanted))) <= watched
    assert needs_of(wanted, [Check("own", frozenset([PODS]), lambda _: True, lambda _: Judged(()))]) == needs_of(wanted)


def test_a_watch_that_was_needed_and_not_made_never_passes() -> None:
    record = made_run().record()
    assert judge(record).verdict is Verdict.PASS
    for namespaces in (None, ("default",), ("default", "shop")):
        assert in_sight(with_slices(record, namespaces)).ok
    for other in (with_slices(record, ("shop",)), with_slices(record, None, PODS)):
        found = in_sight(other)
        assert (found.ok, found.measured) == (False, "endpointslices were not watched")
        assert judge(other).verdict is Verdict.INCONCLUSIVE
