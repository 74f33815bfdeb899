"""The scripted API server: the rules it keeps, the troubles it is told, and a whole run against it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.adapters.kube import KubeCluster, connect
from harness.clock import SystemClock
from harness.errors import ClusterError, Conflict, Indeterminate, NotFound, Refused
from tests.fakes import api_objects as objects
from tests.fakes.api_command import run
from tests.fakes.api_rules import Answer, Drop, Hold
from tests.fakes.api_server import CONTEXT, ApiServer

N1 = "/api/v1/nodes/n1"
PODS = "/api/v1/namespaces/default/pods"
TAINT = {"key": "spot", "value": "x", "effect": "NoExecute"}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.put(N1, objects.node({"pool": "spot"}))
        yield server


async def _connect(server: ApiServer, tmp_path: Path) -> KubeCluster:
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    return await connect(kubeconfig=kubeconfig, context=CONTEXT, name="scripted", clock=SystemClock())


def test_it_keeps_the_rules_that_a_run_relies_on(server: ApiServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        cluster = await _connect(server, tmp_path)
        before = await cluster.get(N1)
        after = await cluster.merge_patch(N1, {"spec": {"taints": [TAINT]}})
        assert int(after["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])
        same = await cluster.merge_patch(N1, {"spec": {"taints": [TAINT]}})
        assert same["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
        with pytest.raises(Conflict):
            await cluster.merge_patch(N1, {"metadata": {"resourceVersion": before["metadata"]["resourceVersion"]}})
        made = await cluster.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
        with pytest.raises(Refused) as twice:
            await cluster.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
        assert (twice.value.status, twice.value.reason) == (409, "AlreadyExists")
        path = "/api/v1/namespaces/default/configmaps/a"
        with pytest.raises(Conflict):
            await cluster.delete(path, uid="another")
        await cluster.merge_patch(path, {"metadata": {"finalizers": ["example.com/hold"]}})
        await cluster.delete(path, uid=made["metadata"]["uid"])
        assert (await cluster.get(path))["metadata"]["deletionTimestamp"]
        await cluster.merge_patch(path, {"metadata": {"finalizers": None}})
        with pytest.raises(NotFound):
            await cluster.get(path)
        await cluster.close()

    asyncio.run(scenario())


def test_managed_fields_name_the_last_writer_of_a_field(server: ApiServer) -> None:
    server.patch(N1, {"spec": {"taints": [TAINT], "unschedulable": True}}, manager="one")
    server.taint("n1", {**TAINT, "value": "y"}, manager="two")
    owners = {entry["manager"]: entry["fieldsV1"] for entry in server.get(N1)["metadata"]["managedFields"]}
    assert owners["two"] == {"f:spec": {"f:taints": {}}}
    assert owners["one"] == {"f:spec": {"f:unschedulable": {}}}
    server.taint("n1")
    assert "two" not in {entry["manager"] for entry in server.get(N1)["metadata"]["managedFields"]}


def test_a_watch_replays_follows_and_gives_bookmarks(tmp_path: Path) -> None:
    async def scenario(server: ApiServer) -> list[str]:
        cluster = await _connect(server, tmp_path)
        listing = await cluster.list("/api/v1/pods")
        server.put(f"{PODS}/a", objects.pod("n1", grace_s=5))
        lines = []
        async for line in cluster.watch("/api/v1/pods", resource_version=listing.resource_version):
            lines.append(line.type)
            if line.type == "BOOKMARK":
                assert line.object["metadata"]["resourceVersion"] == str(server.store.version)
                break
            if len(lines) == 1:
                server.evict("default", "a")
        await cluster.close()
        return lines

    with ApiServer(bookmark_s=0.6, pod_stop_s=0.1) as server:
        assert asyncio.run(scenario(server)) == ["ADDED", "MODIFIED", "MODIFIED", "DELETED", "BOOKMARK"]


def test_it_does_wrong_what_it_is_told(server: ApiServer, tmp_path: Path) -> None:
    server.rule(Answer(503), method="PATCH", path="/api/v1/nodes/.*", first=2, times=1)
    server.rule(Drop(after=True), method="PATCH", path="/api/v1/nodes/.*", first=3, times=1)
    server.rule(Hold(0.2), method="GET", path="/version")

    async def scenario() -> None:
        cluster = await _connect(server, tmp_path)
        await cluster.merge_patch(N1, {"metadata": {"labels": {"a": "1"}}})
        with pytest.raises(ClusterError) as refused:
            await cluster.merge_patch(N1, {"metadata": {"labels": {"a": "2"}}})
        assert refused.value.status == 503
        with pytest.raises(Indeterminate):
            await cluster.merge_patch(N1, {"metadata": {"labels": {"a": "3"}}})
        assert server.get(N1)["metadata"]["labels"]["a"] == "3"
        began = time.monotonic()
        await cluster.get("/version")
        assert time.monotonic() - began >= 0.2
        await cluster.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("weather", ["silent", "late", "lost"])
def test_the_weather_of_open_watches_changes(server: ApiServer, tmp_path: Path, weather: str) -> None:
    async def scenario() -> float | None:
        cluster = await _connect(server, tmp_path)
        lines = cluster.watch("/api/v1/pods", resource_version=(await cluster.list("/api/v1/pods")).resource_version)
        first = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0.1)
        match weather:
            case "silent":
                server.weather("/api/v1/pods", silent=True)
            case "late":
                server.weather("/api/v1/pods", late_s=0.3)
            case "lost":
                server.weather("/api/v1/pods", loses="ADDED .*/a", bookmarks=False)
        began = time.monotonic()
        server.put(f"{PODS}/a", objects.pod("n1"))
        done, _ = await asyncio.wait({first}, timeout=0.8)
        took = time.monotonic() - began
        server.cut("/api/v1/pods")
        if not done:
            with pytest.raises(Indeterminate):
                await first
        await cluster.close()
        return took if done else None

    took = asyncio.run(scenario())
    if weather == "late":
        assert took is not None
        assert took >= 0.3
    else:
        assert took is None


@pytest.mark.parametrize(("evicted_after_s", "verdict"), [(0.1, "PASS"), (None, "FAIL")])
def test_a_whole_run_against_it(server: ApiServer, tmp_path: Path, evicted_after_s: float | None, verdict: str) -> None:
    """One pod must leave and one must stay. The twin: nobody evicts the one that must leave."""
    server.put(f"{PODS}/leaves", objects.pod("n1"))
    server.put(f"{PODS}/stays", objects.pod("n1", tolerations=[{"key": "spot", "operator": "Exists"}]))
    if evicted_after_s is not None:
        server.when(lambda: server.evict("default", "leaves"), after_s=evicted_after_s, method="PATCH", path=N1)
    ended = run(server, tmp_path)
    assert ended.result["verdict"] == verdict, ended.out + ended.err
    assert ended.code == (0 if verdict == "PASS" else 1)
    assert server.taints("n1") == []
    assert not server.get(N1)["metadata"].get("annotations")
