"""Pods placed one after the other: what each consumes, in which order they come, who makes room for whom."""

from __future__ import annotations

import pytest

from harness.model.state import PodTemplate
from harness.semantics.scheduling import PlacementOutcome, Placements, Request, Scheduler, place_all
from harness.semantics.scheduling.quotas import Quotas
from harness.snapshot.manifests import new_pods
from tests.lab.agreement_worlds import PRIORITIES, make_world
from tests.pure.plan_objects import (
    HOST,
    ZONE,
    Json,
    away,
    budget,
    inventory,
    near,
    node,
    pod,
    spread,
    template_of,
    tolerate,
)


def place(world: list[Json], coming: list[tuple[Json, float]], *, replaced: bool = False) -> Placements:
    """Place (pod, due at) pairs."""
    seen = inventory(*world, *(each for each, _ in coming))
    there = seen.pods[: len(seen.pods) - len(coming)]
    new = seen.pods[len(there) :]
    requests = [Request(record.name, record.template, at_s) for record, (_, at_s) in zip(new, coming, strict=True)]
    engine = Scheduler(seen, there, compares=False)
    return place_all(engine, requests, staying=there, budgets=seen.budgets, replaced=lambda template: replaced)


def fates(placed: Placements) -> dict[str, str]:
    return {key: placement.fate.value for key, placement in sorted(placed.placements.items())}


def test_each_replacement_consumes_room() -> None:
    coming = [(pod(f"p{number}", cpu="2"), 0.0) for number in range(5)]
    assert fates(place([node("a"), node("b")], coming)) == {
        **{f"p{number}": "fits" for number in range(4)},
        "p4": "pending",
    }


@pytest.mark.parametrize(
    ("first_due_s", "second_due_s", "priority", "winner"),
    [(0.0, 5.0, 100, "early"), (0.0, 0.0, 100, "important"), (0.0, 0.0, 0, "early"), (5.0, 0.0, 0, "important")],
    ids=["time counts first", "then priority", "then arrival", "whoever is due first"],
)
def test_the_order_of_the_queue(first_due_s: float, second_due_s: float, priority: int, winner: str) -> None:
    never = {"priority": priority, "preemptionPolicy": "Never"}
    coming = [(pod("early", cpu="3"), first_due_s), (pod("important", cpu="3", **never), second_due_s)]
    placed = place([node("a")], coming)
    assert [key for key, fate in fates(placed).items() if fate == "fits"] == [winner]


def test_a_friend_that_comes_later_lets_them_in() -> None:
    coming = [(pod("follower", app="f", affinity=near("leader")), 0.0), (pod("leader", app="leader"), 1.0)]
    assert fates(place([node("a")], coming)) == {"follower": "fits", "leader": "fits"}


def test_spread_fills_domains_in_turn() -> None:
    """Three zones with one node each, one of them full: skew stops the others after one more."""
    world = [node("a", zone="z1"), node("b", zone="z2"), node("c", zone="z3", cpu="0")]
    coming = [(pod(f"p{n}", app="x", topologySpreadConstraints=spread("x")), 0.0) for n in range(4)]
    assert list(fates(place(world, coming)).values()) == ["fits", "fits", "pending", "pending"]


def test_one_for_each_host() -> None:
    coming = [(pod(f"p{n}", app="x", affinity=away("x")), 0.0) for n in range(3)]
    assert list(fates(place([node("a"), node("b")], coming)).values()) == ["fits", "fits", "pending"]


def test_a_host_port_is_taken_once() -> None:
    coming = [(pod(f"p{n}", ports=[{"hostPort": 80}]), 0.0) for n in range(2)]
    assert list(fates(place([node("a")], coming)).values()) == ["fits", "pending"]


FINITE = [tolerate("spot", effect="NoExecute", seconds=30)]


@pytest.mark.parametrize(
    ("nodes", "fate", "again"),
    [
        ([node("t", taints=("spot=:NoExecute",))], "eviction-loop", True),
        ([node("t", taints=("spot=:NoExecute",)), node("a")], "fits", True),
        ([node("t", taints=("spot=:NoExecute", "spot=:NoSchedule")), node("a")], "fits", False),
        ([node("a")], "fits", False),
    ],
    ids=["only the tainted one", "the tainted one too", "closed by NoSchedule as well", "no tainted one"],
)
def test_a_finite_toleration_may_go_back(nodes: list[Json], fate: str, again: bool) -> None:
    placement = place(nodes, [(pod("p", tolerations=FINITE), 0.0)]).placements["p"]
    assert (placement.fate.value, placement.again) == (fate, again)


# --- preemption ---

LOW = {"priority": -10}
HIGH = {"priority": 1000}


def full(*pods: Json) -> list[Json]:
    """Node a of four cores with these pods, and node b without room for anything."""
    return [node("a"), node("b", cpu="0"), *pods]


def test_a_more_important_pod_makes_room() -> None:
    world = full(pod("small", "a", cpu="1", **LOW), pod("large", "a", cpu="3", **LOW))
    placement = place(world, [(pod("p", cpu="2", **HIGH), 0.0)]).placements["p"]
    assert (placement.fate, placement.node, placement.victims) == (PlacementOutcome.PREEMPTS, "a", ("default/large",))


@pytest.mark.parametrize(
    ("there", "coming"),
    [
        (pod("old", "a", cpu="4", priority=1000), pod("p", cpu="2", **HIGH)),
        (pod("old", "a", cpu="4", **LOW), pod("p", cpu="2", priority=1000, preemptionPolicy="Never")),
        (pod("old", "a", cpu="4", **LOW), pod("p", cpu="5", **HIGH)),
        (pod("old", "a", cpu="4", **LOW), pod("p", cpu="2", nodeSelector={"no": "where"}, **HIGH)),
    ],
    ids=["equals are left alone", "preemptionPolicy Never", "too large for any node", "not allowed there anyway"],
)
def test_preemption_that_does_not_help(there: Json, coming: Json) -> None:
    assert place(full(there), [(coming, 0.0)]).placements["p"].fate is PlacementOutcome.PENDING


def test_the_least_important_victim_is_chosen_and_budgets_are_spared() -> None:
    guarded = pod("guarded", "a", app="g", cpu="4", **LOW)
    plain = pod("plain", "b", cpu="4", **LOW)
    world = [node("a"), node("b"), guarded, plain, budget("g", "g", allowed=0)]
    assert place(world, [(pod("p", cpu="2", **HIGH), 0.0)]).placements["p"].victims == ("default/plain",)


def test_the_preempted_look_for_a_node_themselves() -> None:
    world = [node("a"), node("b", cpu="1"), pod("old", "a", cpu="1", **LOW), pod("rest", "a", cpu="3", **HIGH)]
    placed = place(world, [(pod("p", cpu="900m", nodeSelector={HOST: "a"}, **HIGH), 0.0)], replaced=True)
    assert fates(placed) == {"default/old": "fits", "p": "preempts"}
    assert placed.placements["default/old"].node == "b"


def test_a_pod_placed_before_may_be_preempted_again() -> None:
    coming = [(pod("first", cpu="3"), 0.0), (pod("second", cpu="3", **HIGH), 1.0)]
    placed = place([node("a")], coming, replaced=True)
    assert fates(placed) == {"first": "pending", "second": "preempts"}


def test_preemption_against_anti_affinity() -> None:
    """The pod that keeps it away is less important: it goes."""
    world = [node("a"), pod("old", "a", affinity=away("x"), **LOW)]
    assert place(world, [(pod("p", app="x", **HIGH), 0.0)]).placements["p"].victims == ("default/old",)


# --- quotas ---


def quota(hard: dict[str, str], used: dict[str, str], **spec: object) -> Json:
    meta = {"name": "limit", "namespace": "default"}
    return {
        "kind": "ResourceQuota",
        "metadata": meta,
        "spec": {"hard": hard, **spec},
        "status": {"hard": hard, "used": used},
    }


@pytest.mark.parametrize(
    ("quota_object", "template", "refusals"),
    [
        (quota({"pods": "2"}, {"pods": "1"}), template_of(pod("p")), ["", "exceeded quota: limit, for pods"]),
        (quota({"requests.cpu": "150m"}, {}), template_of(pod("p")), ["", "exceeded quota: limit, for requests.cpu"]),
        (
            quota({"memory": "1Gi"}, {}),
            template_of(pod("p", requests={"cpu": "1"})),
            ["failed quota: limit: must specify memory"] * 2,
        ),
        (quota({"pods": "0"}, {}, scopes=["BestEffort"]), template_of(pod("p")), ["", ""]),
        (quota({"services": "0"}, {}), template_of(pod("p")), ["", ""]),
        (
            quota(
                {"pods": "0"},
                {},
                scopeSelector={
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
                },
            ),
            template_of(pod("p", priorityClassName="low")),
            ["", ""],
        ),
    ],
    ids=["pods", "cpu", "must be named", "another scope", "other objects", "another priority class"],
)
def test_quotas_admit_until_they_are_full(quota_object: Json, template: PodTemplate, refusals: list[str]) -> None:
    quotas = Quotas(inventory(quota_object).quotas)
    assert [quotas.admit(template) for _ in refusals] == refusals


def test_a_released_pod_leaves_room_in_its_quota() -> None:
    quotas, template = Quotas(inventory(quota({"pods": "1"}, {"pods": "1"})).quotas), template_of(pod("p"))
    assert quotas.admit(template)
    quotas.release(template)
    assert not quotas.admit(template)


def test_any_order_of_nodes_gives_the_same_count() -> None:
    """Equal pods: how many fit does not depend on where the first ones go."""
    seen = inventory(
        node("a", cpu="3"), node("b", cpu="5"), node("c", zone="z"), *(pod(f"p{n}", cpu="2") for n in range(9))
    )
    counts = set()
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        engine = Scheduler(seen, [], compares=False)
        engine.prefer([float(place) for place in order])
        counts.add(len(engine.place(seen.pods[0].template, 9)))
    assert counts == {5}


def test_wide_labels_are_looked_up_by_value() -> None:
    """Where every node has a value of its own for a label, filters do not run node by node; the answers are the
    same.
    """
    nodes = [node(f"n{number:03d}", zone=f"z{number % 3}") for number in range(200)]
    coming = [(pod("by-host", nodeSelector={HOST: "n150"}), 0.0), (pod("by-zone", nodeSelector={ZONE: "z1"}), 0.0)]
    placed = place(nodes, coming).placements
    assert placed["by-host"].node == "n150"
    assert int((placed["by-zone"].node or "n0")[1:]) % 3 == 1


@pytest.mark.parametrize("seed", range(40))
def test_nobody_waits_while_a_node_would_do(seed: int) -> None:
    """On generated worlds with every constraint: whoever is Pending at the end is refused by every node when each is
    looked at afresh, and the words account for all of them.
    """
    world = make_world(seed)
    classes = [{"kind": "PriorityClass", "metadata": {"name": n}, "value": v} for n, v in PRIORITIES.items()]
    kinds = (("Node", world.nodes), ("Pod", world.bound), ("PersistentVolume", world.volumes))
    objects = [{"kind": kind, **each} for kind, many in kinds for each in many] + classes
    objects += [{"kind": "PersistentVolumeClaim", **each, "status": {"phase": "Bound"}} for each in world.claims]
    seen = inventory(*objects)
    new = new_pods([{"kind": "Pod", **each} for each in world.coming], seen)
    engine = Scheduler(seen, seen.pods, compares=False, coming=[each.template for each in new])
    placed = place_all(engine, [Request(each.name, each.template) for each in new], staying=seen.pods)
    engine.prefer([float(number) for number in range(len(seen.nodes))])
    for each in new:
        placement = placed.placements.get(each.name)
        if placement is not None and placement.fate is PlacementOutcome.PENDING:
            assert not engine.place(each.template, 1), each.name
            counts = [int(part.split(" ")[0]) for part in placement.reason.partition(": ")[2].split(", ")]
            assert sum(counts) >= len(seen.nodes), placement.reason
