"""Reading a cluster by pages: what is asked, what is kept, what is said about what may not be read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.errors import ClusterError, NotFound, Refused
from harness.model.state import ClusterState, Subject
from harness.snapshot import Builder, Reading, pages
from harness.snapshot.collect import PAGE
from tests.pure.plan_objects import Json, node, pod, service

NODES, PODS, BUDGETS = "/api/v1/nodes", "/api/v1/pods", "/apis/policy/v1/poddisruptionbudgets"


class PagedCluster:
    """GET alone, by pages of two, over lists held by path. `refusals`: a status by path. `expire`: the next
    continuation is answered 410, so many times.
    """

    name = "paged"

    def __init__(self, lists: dict[str, list[Json]]) -> None:
        self.lists = lists
        self.refusals: dict[str, int] = {}
        self.expire = 0
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def get(self, path: str, **query: str) -> Json:
        self.asked.append((path, query))
        status = self.refusals.get(path)
        if status == 404:
            raise NotFound(f"GET {path}: 404", status=404)
        if status is not None:
            raise Refused(f"GET {path}: {status}", status=status)
        start = int(query.get("continue", "0"))
        if start and self.expire:
            self.expire -= 1
            raise Refused(f"GET {path}: 410", status=410, reason="Expired")
        items = self.lists.get(path, [])
        more = {"continue": str(start + 2)} if start + 2 < len(items) else {}
        return {
            "metadata": more,
            "items": [{k: v for k, v in item.items() if k != "kind"} for item in items[start : start + 2]],
        }


WORLD = {NODES: [node("a")], PODS: [pod(f"p{number}", "a") for number in range(5)]}


def read(cluster: Any) -> tuple[ClusterState, Reading]:
    """Everything, as a cluster state."""

    async def everything() -> tuple[ClusterState, Reading]:
        builder, reading = Builder(), Reading()
        async for page in pages(cluster, reading):
            builder.add(page)
        return builder.build(kubernetes_version="v1.35.4", taken=None, missing=reading.missing), reading

    return asyncio.run(everything())


def test_lists_are_read_to_their_last_page() -> None:
    cluster = PagedCluster(WORLD)
    seen, reading = read(cluster)
    assert [each.name for each in seen.pods] == ["p0", "p1", "p2", "p3", "p4"]
    assert not reading.missing
    asked = [query for path, query in cluster.asked if path == PODS]
    assert [query.get("continue") for query in asked] == [None, "2", "4"]
    assert {query["limit"] for query in asked} == {str(PAGE)}


def test_an_expired_continuation_starts_over_without_doubles() -> None:
    cluster = PagedCluster(WORLD)
    cluster.expire = 1
    seen, _ = read(cluster)
    assert sorted(each.name for each in seen.pods) == ["p0", "p1", "p2", "p3", "p4"]


def test_a_list_that_keeps_expiring_is_an_error() -> None:
    cluster = PagedCluster(WORLD)
    cluster.expire = 9
    with pytest.raises(ClusterError, match="410"):
        read(cluster)


@pytest.mark.parametrize("path", [NODES, PODS])
def test_without_nodes_or_pods_there_is_nothing_to_plan(path: str) -> None:
    cluster = PagedCluster(WORLD)
    cluster.refusals[path] = 403
    resource = path.rpartition("/")[2]
    message = rf"may not list {resource} \(forbidden\): without {resource} there is nothing to plan"
    with pytest.raises(ClusterError, match=message):
        read(cluster)


def test_what_may_not_be_listed_is_missing_not_empty() -> None:
    cluster = PagedCluster(WORLD)
    cluster.refusals[BUDGETS] = 403
    seen, _ = read(cluster)
    assert seen.missing == {Subject.BUDGETS: "may not list poddisruptionbudgets.policy (forbidden)"}


def test_a_type_that_is_not_served_has_no_objects() -> None:
    cluster = PagedCluster(WORLD)
    cluster.refusals[BUDGETS] = 404
    assert not read(cluster)[0].missing


def test_endpoint_slices_are_read_for_services_without_selector_only() -> None:
    hand_made = service("by-hand", "x") | {"spec": {}}
    endpoint_slice = {
        "kind": "EndpointSlice",
        "metadata": {"name": "s", "namespace": "default", "labels": {"kubernetes.io/service-name": "by-hand"}},
        "endpoints": [{"targetRef": {"kind": "Pod", "namespace": "default", "name": "p0"}}],
    }
    slices = "/apis/discovery.k8s.io/v1/endpointslices"
    cluster = PagedCluster({**WORLD, "/api/v1/services": [service("web", "web"), hand_made], slices: [endpoint_slice]})
    seen, _ = read(cluster)
    assert {each.name: each.endpoints for each in seen.services} == {"web": (), "by-hand": ("default/p0",)}
    [asked] = [query for path, query in cluster.asked if path == slices]
    assert asked["labelSelector"] == "kubernetes.io/service-name in (by-hand)"
