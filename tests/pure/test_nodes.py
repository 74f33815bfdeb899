"""Guarded writes to nodes against rivals."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.cluster.node_writes import heal_node
from harness.cluster.patience import Patience
from harness.errors import ClusterError, Conflict, Refused
from harness.faults.registry import UNDO
from harness.faults.taint import TaintFault
from tests.fakes.weather import Trouble
from tests.pure.healing import NODE, RUN, SPOT, Rig, at, differences, ours
from tests.pure.node_undo import claim_of, put_taint


def test_a_rival_write_between_read_and_patch_is_kept(tmp_path: Path) -> None:
    rig = Rig(tmp_path, at(1, Trouble.RIVAL, 3))
    asyncio.run(rig.drivers.inject(TaintFault(SPOT), "n1"))
    node = rig.cluster.objects[NODE]
    assert node["metadata"]["labels"] == {"beats": "3"}
    assert SPOT.to_api() in node["spec"]["taints"]


def test_a_rival_that_never_rests_ends_in_conflict_and_nothing_of_ours(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda n, verb, path: Trouble.RIVAL if verb == "PATCH" else None)
    with pytest.raises(Conflict):
        asyncio.run(rig.drivers.inject(TaintFault(SPOT), "n1"))
    assert differences(rig.cluster.objects[NODE]) == []


def test_another_runs_node_is_refused_and_its_claim_is_not_healed(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    node = rig.cluster.objects[NODE]
    theirs = put_taint(node, SPOT, run="other", deadline="")

    async def story() -> None:
        await rig.cluster.merge_patch(NODE, theirs)
        with pytest.raises(ClusterError, match="claimed by run other"):
            await rig.drivers.inject(TaintFault(SPOT), "n1")
        patience = Patience(rig.time, rig.time.after_s(10))
        await heal_node(rig.cluster, "n1", None, run=RUN, patience=patience, kinds=UNDO, fence_first=True)
        assert await rig.drivers.heal_all(rig.time.after_s(10)) == []

    asyncio.run(story())
    claim = claim_of(rig.cluster.objects[NODE])
    assert claim is not None
    assert claim.run == "other"
    assert SPOT.to_api() in rig.cluster.objects[NODE]["spec"]["taints"]


def test_a_node_that_was_replaced_is_not_touched_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def story() -> None:
        await rig.drivers.inject(TaintFault(SPOT), "n1")
        rig.cluster._rival(Trouble.REPLACED)
        with pytest.raises(Refused, match="another one now"):
            await rig.drivers.inject(TaintFault(SPOT), "n1")

    asyncio.run(story())
    assert ours(rig.cluster.objects[NODE]) == ["cordon"]  # whoever made the new node cordoned it
