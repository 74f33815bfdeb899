"""What a run sees, as a cluster state and as the world file of its folder: the same either way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engine.execute import execute
from harness.engine.stop import StopSignal
from harness.errors import ClusterError
from harness.model.state import ClusterState, Pod, Subject
from harness.snapshot import LiveSnapshot, nodes_of, read_world
from tests.fakes.engine import World, cluster_of, request, text
from tests.pure.plan_objects import Json, node, pod, tolerate

NODES = [node("n2", taints=("spot=true:NoExecute",), zone="b"), node("n1", zone="a", labels={"pool": "spot"})]
PODS = [
    pod("web-2", "n2", app="web", owner="ReplicaSet/web", tolerations=[tolerate("spot", seconds=5)]),
    pod("web-1", "n1", app="web", owner="ReplicaSet/web", tolerations=[tolerate("spot", seconds=5)]),
    pod("static", "n1", mirror=True, terminationGracePeriodSeconds=7),
    pod("leaving", "n1", deleting=True),
    pod("done", "n2", phase="Succeeded", ready=False),
    pod("waiting", volumes=[{"name": "e", "ephemeral": {"volumeClaimTemplate": {
        "metadata": {"annotations": {"note": "hunter2"}}, "spec": {"storageClassName": "fast"}}}}]),
]  # fmt: skip


def seen(nodes: list[Json] | None = None, pods: list[Json] | None = None) -> LiveSnapshot:
    """As an API server gives them: without a kind in each item."""
    bare = [
        [{k: v for k, v in item.items() if k != "kind"} for item in items] for items in (nodes or NODES, pods or PODS)
    ]
    return LiveSnapshot(*bare, "v1.35.4", "2026-01-02T03:04:05Z", ("kube-controller-manager=--kube-api-qps=9",))


def facts_of(state: ClusterState) -> list[tuple[object, ...]]:
    """Everything about its pods; templates are equal only to themselves."""

    def values(one: Pod) -> tuple[object, ...]:
        template = one.template
        return one.key, replace(one, template=None), *(getattr(template, name) for name in template.__slots__)  # type: ignore[arg-type]

    return sorted(map(values, state.pods), key=lambda value: str(value[0]))


def test_the_world_file_of_a_run_is_read_as_what_was_seen(tmp_path: Path) -> None:
    snapshot = seen()
    path = tmp_path / "world.json"
    path.write_bytes(snapshot.world_file(cluster="lab demo"))
    state, read = snapshot.state(), read_world(path)
    assert [one.name for one in state.nodes] == ["n1", "n2"]
    assert sorted(read.nodes, key=lambda one: one.name) == list(state.nodes)
    assert facts_of(read) == facts_of(state)
    assert (read.kubernetes_version, read.taken, read.flags) == (state.kubernetes_version, state.taken, state.flags)
    assert read.missing == state.missing
    assert not state.knows(Subject.SERVICES)
    assert state.knows(Subject.NODES, Subject.PODS)


def test_it_holds_what_evictions_depend_on() -> None:
    pods = {one.name: one for one in seen().state().pods}
    assert (pods["static"].template.is_mirror, pods["static"].template.grace_s) == (True, 7)
    assert pods["leaving"].deleting
    assert pods["done"].finished
    assert pods["web-1"].template is pods["web-2"].template
    assert pods["web-1"].template.tolerations[0].seconds == 5


def test_no_annotation_gets_into_the_file() -> None:
    noted = node("n1")
    noted["metadata"]["annotations"] = {"note": "hunter2"}
    assert b"hunter2" not in seen([noted]).world_file(cluster="c")
    assert seen([noted]).state().nodes[0].annotations == {"note": "hunter2"}


BROKEN = {
    "node": ([{**node("n1"), "spec": {"taints": [{"key": "a", "effect": "Never"}]}}], None, "Node n1"),
    "pod": (None, [pod("p", "n1", tolerations=[{"operator": "Almost"}])], "Pod default/p"),
    "type": (None, [{**pod("p"), "status": {"phase": 7}}], "phase"),
}


@pytest.mark.parametrize(("nodes", "pods", "says"), BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_read_is_one_error_that_names_it(
    nodes: list[Json] | None, pods: list[Json] | None, says: str
) -> None:
    with pytest.raises(ClusterError, match=f"cannot be read.*{says}"):
        seen(nodes, pods).state()


def test_nodes_keep_their_order() -> None:
    assert [one.name for one in nodes_of(NODES)] == ["n2", "n1"]


def test_a_run_leaves_a_world_that_plans_can_read(tmp_path: Path) -> None:
    wanted = request("straight-1", text(), tmp_path / "run")
    asyncio.run(execute(wanted, ports=World(cluster_of("n1", "n2")).ports(), stop=StopSignal()))
    state = read_world(tmp_path / "run" / "world.json")
    assert [one.name for one in state.nodes] == ["n1", "n2"]
    assert {str(one) for node_ in state.nodes for one in node_.taints} == {"dedicated=admin:PreferNoSchedule"}
    assert state.kubernetes_version == "v1.36.1"
