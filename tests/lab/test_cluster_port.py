"""What we rely on of a cluster, held against our fake and against the real API server: the fake may do nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest

from harness.adapters.kube import connect
from harness.clock import SystemClock
from harness.cluster.ports import Cluster
from harness.errors import Conflict, NotFound, Refused
from harness.lab import Lab
from harness.lab.api import Api
from harness.testing import FakeCluster

Story = Callable[[Cluster, str], Awaitable[None]]


@pytest.fixture(params=["fake", "real"])
def play(request: pytest.FixtureRequest) -> Callable[[Story], None]:
    """Plays a story on a cluster, in a collection of ConfigMaps of its own."""
    if request.param == "fake":
        return lambda story: asyncio.run(_run(story, FakeCluster(), "/api/v1/namespaces/t/configmaps"))
    lab: Lab = request.getfixturevalue("lab")
    namespace: str = request.getfixturevalue("namespace")

    async def real(story: Story) -> None:
        cluster = await connect(kubeconfig=lab.kubeconfig, context=None, name="lab", clock=SystemClock())
        try:
            await _run(story, cluster, f"/api/v1/namespaces/{namespace}/configmaps")
        finally:
            await cluster.close()

    return lambda story: asyncio.run(real(story))


async def _run(story: Story, cluster: Cluster, path: str) -> None:
    async with asyncio.timeout(120):
        await story(cluster, path)


def config_map(name: str, **data: str) -> dict[str, Any]:
    """An object that no controller touches."""
    return {"metadata": {"name": name}, "data": data}


def test_what_was_created_can_be_got_and_listed(play: Callable[[Story], None]) -> None:
    async def story(cluster: Cluster, path: str) -> None:
        created = await cluster.create(path, config_map("a", k="v"))
        got = await cluster.get(f"{path}/a")
        assert got["metadata"]["uid"] == created["metadata"]["uid"]
        assert got["data"] == {"k": "v"}
        names = [item["metadata"]["name"] for item in (await cluster.list(path)).items]
        assert "a" in names

    play(story)


def test_creating_twice_is_refused_and_is_no_conflict(play: Callable[[Story], None]) -> None:
    async def story(cluster: Cluster, path: str) -> None:
        await cluster.create(path, config_map("a"))
        with pytest.raises(Refused) as caught:
            await cluster.create(path, config_map("a"))
        assert not isinstance(caught.value, Conflict)
        assert caught.value.reason == "AlreadyExists"

    play(story)


def test_a_patch_with_a_stale_version_is_a_conflict_and_changes_nothing(play: Callable[[Story], None]) -> None:
    async def story(cluster: Cluster, path: str) -> None:
        old = await cluster.create(path, config_map("a", k="1"))
        stale = old["metadata"]["resourceVersion"]
        new = await cluster.merge_patch(f"{path}/a", {"metadata": {"resourceVersion": stale}, "data": {"k": "2"}})
        assert new["metadata"]["resourceVersion"] != stale
        with pytest.raises(Conflict):
            await cluster.merge_patch(f"{path}/a", {"metadata": {"resourceVersion": stale}, "data": {"k": "3"}})
        assert (await cluster.get(f"{path}/a"))["data"] == {"k": "2"}

    play(story)


def test_null_removes_a_key(play: Callable[[Story], None]) -> None:
    async def story(cluster: Cluster, path: str) -> None:
        await cluster.create(path, config_map("a", k="1", other="2"))
        assert (await cluster.merge_patch(f"{path}/a", {"data": {"k": None}}))["data"] == {"other": "2"}

    play(story)


def test_a_deletion_with_another_uid_is_a_conflict(play: Callable[[Story], None]) -> None:
    async def story(cluster: Cluster, path: str) -> None:
        created = await cluster.create(path, config_map("a"))
        with pytest.raises(Conflict):
            await cluster.delete(f"{path}/a", uid="somebody-else")
        await cluster.delete(f"{path}/a", uid=created["metadata"]["uid"])
        with pytest.raises(NotFound):
            await cluster.get(f"{path}/a")
        with pytest.raises(NotFound):
            await cluster.delete(f"{path}/a")

    play(story)


def test_a_watch_tells_every_change_after_the_version_it_starts_from(play: Callable[[Story], None]) -> None:
    async def story(cluster: Cluster, path: str) -> None:
        await cluster.create(path, config_map("before"))
        version = (await cluster.list(path)).resource_version
        await cluster.create(path, config_map("a", k="1"))
        await cluster.merge_patch(f"{path}/a", {"data": {"k": "2"}})
        await cluster.delete(f"{path}/a")
        told = []
        async for line in cluster.watch(path, resource_version=version):
            if line.type != "BOOKMARK" and line.object["metadata"]["name"] == "a":
                told.append(line.type)
            if line.type == "DELETED":
                break
        assert told == ["ADDED", "MODIFIED", "DELETED"]

    play(story)


def test_arrival_stamps_lie_between_asking_and_now(lab: Lab, namespace: str) -> None:
    path, clock = f"/api/v1/namespaces/{namespace}/configmaps", SystemClock()

    async def story() -> None:
        cluster = await connect(kubeconfig=lab.kubeconfig, context=None, name="lab", clock=clock)
        version = (await cluster.list(path)).resource_version
        before = clock.now()
        await cluster.create(path, config_map("a"))
        async for line in cluster.watch(path, resource_version=version):
            assert before.mono_ns < line.arrived.mono_ns <= clock.now().mono_ns
            break
        await cluster.close()

    asyncio.run(story())
    with closing(Api(lab.kubeconfig)) as api:
        assert api.request("GET", f"{path}/a")["metadata"]["name"] == "a"


def test_a_patch_that_changes_nothing_moves_no_version_on(play: Callable[[Story], None]) -> None:
    """Why a fence must write something new."""

    async def story(cluster: Cluster, path: str) -> None:
        created = await cluster.create(path, config_map("still", k="v"))
        same = await cluster.merge_patch(f"{path}/still", {"data": {"k": "v"}})
        assert same["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
        annotated = {"metadata": {"annotations": {"taintlab.dev/fence": "1"}}}
        moved = await cluster.merge_patch(f"{path}/still", annotated)
        assert moved["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"]
        late = {"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}, "data": {"k": "late"}}
        with pytest.raises(Conflict):
            await cluster.merge_patch(f"{path}/still", late)

    play(story)


def test_a_finalizer_holds_what_was_deleted(play: Callable[[Story], None]) -> None:
    async def story(cluster: Cluster, path: str) -> None:
        body = config_map("held")
        body["metadata"]["finalizers"] = ["taintlab.dev/test"]
        created = await cluster.create(path, body)
        await cluster.delete(f"{path}/held", uid=created["metadata"]["uid"])
        held = await cluster.get(f"{path}/held")
        assert held["metadata"]["deletionTimestamp"]
        assert held["metadata"]["finalizers"] == ["taintlab.dev/test"]
        await cluster.merge_patch(f"{path}/held", {"metadata": {"finalizers": None}})
        with pytest.raises(NotFound):
            await cluster.get(f"{path}/held")

    play(story)


def test_a_label_selects_in_a_namespace_and_in_the_cluster(play: Callable[[Story], None]) -> None:
    async def story(cluster: Cluster, path: str) -> None:
        one, other = config_map("one"), config_map("other")
        one["metadata"] |= {"namespace": path.split("/")[-2], "labels": {"taintlab.dev/run": "r-1"}}
        other["metadata"] |= {"namespace": path.split("/")[-2], "labels": {"taintlab.dev/run": "r-2"}}
        for body in (one, other):
            await cluster.create(path, body)
        for where in (path, "/api/v1/configmaps"):
            for selector, names in (("taintlab.dev/run=r-1", ["one"]), ("taintlab.dev/run", ["one", "other"])):
                listed = (await cluster.list(where, labelSelector=selector)).items
                assert sorted(item["metadata"]["name"] for item in listed) == names

    play(story)
