"""Guarded writes to nodes against rivals and lost answers."""

from __future__ import annotations

import asyncio

import pytest

from harness.errors import Conflict, Indeterminate
from harness.faults.claim import claim_of, put_taint
from harness.faults.nodes import change_node, heal_node, node_path
from harness.model.taints import Effect, Taint
from harness.run.ports import Json
from tests.fakes.cluster import FakeCluster

SPOT = Taint("spot", Effect.NO_EXECUTE, "x")
PATH = node_path("n1")


def fake() -> FakeCluster:
    """A cluster with one node that has a taint of an administrator's."""
    cluster = FakeCluster()
    cluster.put(PATH, {"spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}})
    return cluster


def inject(node: Json) -> Json:
    """Our write."""
    return put_taint(node, SPOT, run="r1", deadline="2026-01-01T00:00:00Z")


def spec(cluster: FakeCluster) -> Json:
    """What matters of the node."""
    return {"spec": cluster.objects[PATH]["spec"], "annotations": cluster.objects[PATH]["metadata"].get("annotations")}


def test_a_rival_write_between_read_and_patch_is_kept() -> None:
    cluster = fake()
    rivals = iter(["first", "second"])

    def rival(path: str) -> None:
        name = next(rivals, None)
        if name:
            cluster.put(
                path,
                {**cluster.objects[path], "metadata": {**cluster.objects[path]["metadata"], "labels": {"by": name}}},
            )

    cluster.before_patch = rival
    _, after = asyncio.run(change_node(cluster, "n1", inject))
    assert after["metadata"]["labels"] == {"by": "second"}
    assert SPOT.to_api() in after["spec"]["taints"]


def test_a_rival_that_never_rests_ends_in_conflict_and_nothing_of_ours() -> None:
    cluster = fake()
    cluster.before_patch = lambda path: cluster.put(path, cluster.objects[path]) and None
    with pytest.raises(Conflict):
        asyncio.run(change_node(cluster, "n1", inject))
    assert claim_of(cluster.objects[PATH]) is None


@pytest.mark.parametrize("lost", [0, 1, 3])
def test_healing_survives_lost_answers_and_is_idempotent(lost: int) -> None:
    cluster = fake()
    before = spec(cluster)

    async def story() -> None:
        await change_node(cluster, "n1", inject)
        cluster.lose_answers = lost
        await heal_node(cluster, "n1", run="r1")
        await heal_node(cluster, "n1", run="r1")

    asyncio.run(story())
    assert spec(cluster) == {**before, "annotations": {}}


def test_an_injection_whose_answer_is_lost_is_told_and_can_be_healed() -> None:
    cluster = fake()
    cluster.lose_answers = 1

    async def story() -> None:
        with pytest.raises(Indeterminate):
            await change_node(cluster, "n1", inject)
        assert claim_of(cluster.objects[PATH]) is not None
        await heal_node(cluster, "n1")

    asyncio.run(story())
    assert claim_of(cluster.objects[PATH]) is None


def test_another_runs_claim_is_not_healed() -> None:
    cluster = fake()

    async def story() -> None:
        await change_node(cluster, "n1", inject)
        await heal_node(cluster, "n1", run="r2")

    asyncio.run(story())
    assert claim_of(cluster.objects[PATH]) is not None
