"""The seeded choice of nodes."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.model.experiment import Requirement, Target
from harness.model.world import WorldNode
from harness.plan.targets import choose_targets

NODES = [WorldNode(f"n{i}", f"u{i}", {"pool": "spot" if i % 2 else "general"}) for i in range(10)]
SPOT = (Requirement("pool", ("spot",)),)


def test_the_same_seed_chooses_the_same_nodes_in_any_order() -> None:
    target = Target(selector=SPOT, count=2, seed=7)
    assert choose_targets(target, NODES) == choose_targets(target, list(reversed(NODES)))


def test_seeds_differ_and_reach_every_candidate() -> None:
    chosen = {choose_targets(Target(selector=SPOT, count=1, seed=seed), NODES) for seed in range(50)}
    assert chosen == {("n1",), ("n3",), ("n5",), ("n7",), ("n9",)}


def test_without_count_all_candidates_are_meant() -> None:
    assert choose_targets(Target(selector=SPOT), NODES) == ("n1", "n3", "n5", "n7", "n9")


def test_a_node_that_is_not_chosen_may_vanish_without_moving_the_choice() -> None:
    target = Target(selector=SPOT, count=1, seed=3)
    (chosen,) = choose_targets(target, NODES)
    for gone in NODES:
        if gone.name != chosen:
            assert choose_targets(target, [n for n in NODES if n is not gone]) == (chosen,)


REFUSED = {
    "no such name": (Target(names=("n1", "ghost")), "no node named ghost; the cluster has: n0"),
    "none match": (Target(selector=(Requirement("pool", ("gpu",)),), count=1), "0 nodes match pool=gpu"),
    "too few match": (Target(selector=SPOT, count=6), "5 nodes match pool=spot, the experiment asks for 6"),
    "none match, all wanted": (
        Target(selector=(Requirement("x"),)),
        "0 nodes match x, the experiment asks for at least 1",
    ),
}


@pytest.mark.parametrize(("target", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(target: Target, message: str) -> None:
    with pytest.raises(UsageError, match=r"^target: ") as caught:
        choose_targets(target, NODES)
    assert message in str(caught.value)


SELECTORS = {
    "equals": (Requirement("a", ("1",)), {"a": "1"}, True),
    "equals other": (Requirement("a", ("1",)), {"a": "2"}, False),
    "in": (Requirement("a", ("1", "2")), {"a": "2"}, True),
    "not equals": (Requirement("a", ("1",), negated=True), {"a": "2"}, True),
    "not equals matches absence": (Requirement("a", ("1",), negated=True), {}, True),
    "exists": (Requirement("a"), {"a": ""}, True),
    "exists not": (Requirement("a"), {}, False),
    "not exists": (Requirement("a", negated=True), {}, True),
}


@pytest.mark.parametrize(("term", "labels", "expected"), SELECTORS.values(), ids=SELECTORS.keys())
def test_selector_terms(term: Requirement, labels: dict[str, str], expected: bool) -> None:
    assert term.matches(labels) is expected
