"""What kubectl drain does with each pod, budgets and all."""

from __future__ import annotations

import pytest

from harness.semantics.drain import DrainedPod, DrainRule, drained
from tests.pure.plan_objects import Json, budget, cluster_state, node, pod

APP = {"app": "web", "owner": "ReplicaSet/web"}


def drain(*objects: Json, nodes: tuple[str, ...] = ("s",)) -> dict[str, DrainedPod]:
    """What becomes of each pod, by name."""
    return {each.pod.name: each for each in drained(cluster_state(node("s"), node("other"), *objects), nodes)}


ONE: dict[str, tuple[Json, list[Json], DrainRule, tuple[float | None, float | None]]] = {
    "a pod of a Deployment": (pod("p", "s", **APP), [], DrainRule.EVICTED, (0.0, 1.0)),
    "nobody's pod": (pod("p", "s"), [], DrainRule.EVICTED, (0.0, 1.0)),
    "of a DaemonSet": (pod("p", "s", owner="DaemonSet/d"), [], DrainRule.SKIPS_DAEMON_SET, (None, None)),
    "of a DaemonSet, finished": (
        pod("p", "s", owner="DaemonSet/d", phase="Failed"),
        [],
        DrainRule.EVICTED,
        (0.0, 1.0),
    ),
    "a static pod": (pod("p", "s", mirror=True, owner="Node/s"), [], DrainRule.SKIPS_MIRROR, (None, None)),
    "a budget that allows one": (pod("p", "s", **APP), [budget("b", "web", allowed=1)], DrainRule.EVICTED, (0.0, 1.0)),
    "a budget that allows none": (pod("p", "s", **APP), [budget("b", "web", allowed=0)], DrainRule.WAITS, (5.0, None)),
    "a budget of others": (pod("p", "s", **APP), [budget("b", "db", allowed=0)], DrainRule.EVICTED, (0.0, 1.0)),
    "finished, whatever the budget": (
        pod("p", "s", phase="Succeeded", **APP),
        [budget("b", "web", allowed=0)],
        DrainRule.EVICTED,
        (0.0, 1.0),
    ),
    "not started yet, whatever the budget": (
        pod("p", "s", phase="Pending", **APP),
        [budget("b", "web", allowed=0)],
        DrainRule.EVICTED,
        (0.0, 1.0),
    ),
    "two budgets": (
        pod("p", "s", **APP),
        [budget("a", "web", allowed=5), budget("b", "web", allowed=5)],
        DrainRule.TWO_BUDGETS,
        (None, None),
    ),
}


@pytest.mark.parametrize(("one", "budgets", "rule", "interval"), ONE.values(), ids=ONE.keys())
def test_one_pod(one: Json, budgets: list[Json], rule: DrainRule, interval: tuple[float | None, float | None]) -> None:
    [each] = drain(one, *budgets).values()
    assert (each.rule, (each.earliest_s, each.latest_s)) == (rule, interval)
    assert each.leaves is (each.earliest_s is not None)


def test_pods_use_a_budget_up_and_those_that_ignore_it_do_not() -> None:
    done = pod("done", "s", phase="Succeeded", **APP)
    made = drain(done, pod("p", "s", **APP), pod("q", "s", **APP), budget("b", "web", allowed=1))
    assert {name: each.rule for name, each in made.items()} == {
        "done": DrainRule.EVICTED,
        "p": DrainRule.EVICTED,
        "q": DrainRule.WAITS,
    }


def test_a_budget_is_shared_by_the_nodes_of_one_drain() -> None:
    pods = pod("p", "s", **APP), pod("q", "other", **APP), budget("b", "web", allowed=1)
    assert [each.rule for each in drain(*pods, nodes=("s", "other")).values()] == [DrainRule.EVICTED, DrainRule.WAITS]
    assert [each.rule for each in drain(*pods, nodes=("other",)).values()] == [DrainRule.EVICTED]


def test_the_client_of_kubectl_is_throttled_beyond_its_burst() -> None:
    made = drain(*(pod(f"p{n}", "s", owner="ReplicaSet/x") for n in range(400)))
    assert {each.latest_s for each in made.values()} == {3.0}
