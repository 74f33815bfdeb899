"""Where Kubernetes gives more than one answer: unsure, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.model.scenario import (
    CreatePod,
    DeletePod,
    PodTrait,
    Restart,
    Scenario,
    ScenarioNode,
    ScenarioPod,
    SetTaints,
    SetTolerations,
    Write,
)
from harness.model.taints import Effect, Operator, Taint, Toleration
from harness.semantics.eviction import Settings, predict
from harness.semantics.eviction.settings import BUSY
from harness.semantics.eviction.variants import variants_of
from harness.semantics.rules import RuleId

SPOT = Taint("spot", Effect.NO_EXECUTE)


def tolerates(seconds: int | None) -> Toleration:
    return Toleration("spot", Operator.EXISTS, "", Effect.NO_EXECUTE, seconds)


def scenario(*writes: Write, seconds: int | None = 2, pods: int = 1, until_s: float = 30.0) -> Scenario:
    tolerations = () if seconds is None else (tolerates(seconds),)
    return Scenario(
        nodes=(ScenarioNode("a"),),
        pods=tuple(ScenarioPod(f"p{number}", "a", tolerations) for number in range(pods)),
        writes=(SetTaints(0.0, "a", (SPOT,)), *writes),
        until_s=until_s,
    )


def outcome(of: Scenario, settings: Settings | None = None, pod: str = "p0") -> tuple[str, str]:
    each = predict(of, settings).by_name[pod]
    return str(each.outcome), str(each.rule)


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [
        (1.5, ("survives", RuleId.TIMER_CANCELLED)),
        (1.94, ("survives", RuleId.TIMER_CANCELLED)),
        (1.96, ("unsure", RuleId.RACE_AT_DEADLINE)),
        (2.0, ("unsure", RuleId.RACE_AT_DEADLINE)),
        (2.04, ("unsure", RuleId.RACE_AT_DEADLINE)),
        (2.06, ("evicted", RuleId.TOO_LATE)),
        (2.5, ("evicted", RuleId.FINITE_TOLERATION)),
    ],
)
def test_untaint_near_the_deadline(at_s: float, expected: tuple[str, str]) -> None:
    assert outcome(scenario(SetTaints(at_s, "a", ()))) == expected


def test_a_race_that_changes_nothing_is_no_reason_to_be_unsure() -> None:
    """Whether or not the untaint came in time: the next taint evicts at the latest."""
    each = predict(scenario(SetTaints(2.0, "a", ()), SetTaints(2.1, "a", (Taint("other", Effect.NO_EXECUTE),))))
    (prediction,) = each.predictions
    assert prediction.outcome == "evicted"
    assert prediction.earliest_s == 2.0
    assert prediction.latest_s == pytest.approx(2.1 + 0.259)


@pytest.mark.parametrize(
    ("until_s", "expected"),
    [
        (1.9, "survives"),
        (2.0, "unsure"),
        (2.1, "unsure"),
        (2.3, "evicted"),
    ],
)
def test_last_look_near_the_deadline(until_s: float, expected: str) -> None:
    assert outcome(scenario(until_s=until_s))[0] == expected


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [
        (1.0, ("deleted", RuleId.DELETED_BY_OTHERS)),
        (1.98, ("unsure", RuleId.RACE_AT_DEADLINE)),
        (2.1, ("unsure", RuleId.RACE_AT_DEADLINE)),
        (2.5, ("evicted", RuleId.FINITE_TOLERATION)),
    ],
)
def test_deleted_by_others_near_the_deadline(at_s: float, expected: tuple[str, str]) -> None:
    assert outcome(scenario(DeletePod(at_s, "p0"))) == expected


def test_a_delete_that_may_come_too_late_may_be_refused() -> None:
    forecast = predict(scenario(DeletePod(2.1, "p0")))
    assert forecast.refused == ()
    assert [(each.index, each.certain) for each in forecast.refusals] == [(1, False)]


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [
        (1.0, ("evicted", RuleId.RESTART_RESTARTS_COUNTDOWN)),
        (2.1, ("evicted", RuleId.SEEN_AFTER_RESTART)),
        (2.5, ("evicted", RuleId.FINITE_TOLERATION)),
    ],
)
def test_restart_near_the_deadline(at_s: float, expected: tuple[str, str]) -> None:
    assert outcome(scenario(Restart(at_s))) == expected


def test_restart_near_the_deadline_and_then_withdrawn() -> None:
    found = outcome(scenario(Restart(2.1), SetTaints(3.0, "a", ())))
    assert found == ("unsure", RuleId.RACE_WITH_RESTART)


def test_a_restart_loses_deletions_that_wait_in_the_throttle() -> None:
    """60 pods need 7.5 s; after 1 s the controller is killed, and the taint is withdrawn while it is down."""
    of = scenario(Restart(1.0), SetTaints(1.1, "a", ()), seconds=None, pods=60)
    assert {each.outcome for each in predict(of).predictions} == {"unsure"}


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [
        (1.2, ("survives", RuleId.TIMER_CANCELLED)),  # 0.2 s after the restart: nobody is back yet
        (2.0, ("unsure", RuleId.RACE_WITH_RESTART)),
        (3.5, ("evicted", RuleId.SEEN_AFTER_RESTART)),
    ],
)
def test_untolerated_taint_withdrawn_while_the_controller_is_down(at_s: float, expected: tuple[str, str]) -> None:
    other = Taint("other", Effect.NO_EXECUTE)
    of = scenario(Restart(1.0), SetTaints(1.05, "a", (other,)), SetTaints(at_s, "a", ()), seconds=600)
    found = outcome(of)
    assert found[0] == expected[0]
    if found[0] != "survives":
        assert found == expected


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [
        (1.9, ("evicted", RuleId.FINITE_TOLERATION)),  # refused: the name is in use
        (2.1, ("unsure", RuleId.RACE_FOR_NAME)),
        (2.5, ("evicted", RuleId.BOUND_TO_TAINTED_NODE)),
    ],
)
def test_the_same_name_near_the_deadline(at_s: float, expected: tuple[str, str]) -> None:
    assert outcome(scenario(CreatePod(at_s, ScenarioPod("p0", "a", (tolerates(2),))))) == expected


def test_throttled_deletions_and_the_same_name() -> None:
    """While deletions wait, the name may be free or not."""
    of = scenario(CreatePod(3.0, ScenarioPod("p0", "a")), seconds=None, pods=60)
    assert outcome(of) == ("unsure", RuleId.RACE_FOR_NAME)


BACK_TO_BACK = {
    "untaint and taint": (SetTaints(1.0, "a", ()), SetTaints(1.0, "a", (SPOT,))),
    "edit and edit": (SetTolerations(1.0, "p0", (tolerates(None),)), SetTolerations(1.0, "p0", (tolerates(2),))),
    "delete and create": (DeletePod(1.0, "p0"), CreatePod(1.0, ScenarioPod("p0", "a", (tolerates(2),)))),
}


@pytest.mark.parametrize("writes", BACK_TO_BACK.values(), ids=list(BACK_TO_BACK))
def test_writes_back_to_back_are_both_seen(writes: tuple[Write, ...]) -> None:
    (*_, each) = predict(scenario(*writes)).predictions
    assert (each.outcome, each.earliest_s) == ("evicted", 3.0)


@pytest.mark.parametrize("writes", BACK_TO_BACK.values(), ids=list(BACK_TO_BACK))
def test_a_busy_controller_may_see_them_as_one(writes: tuple[Write, ...]) -> None:
    (*_, each) = predict(scenario(*writes), replace(Settings(), latency=BUSY)).predictions
    assert (each.outcome, each.earliest_s) == ("evicted", 2.0)
    assert each.latest_s is not None
    assert each.latest_s >= 4.0


@pytest.mark.parametrize(
    "writes",
    [
        pytest.param((SetTaints(1.0, "a", ()), CreatePod(1.0, ScenarioPod("q", "a"))), id="untaint and create"),
        pytest.param((CreatePod(1.0, ScenarioPod("q", "a")), SetTaints(1.0, "a", ())), id="create and untaint"),
    ],
)
def test_a_busy_controller_may_see_them_in_another_order(writes: tuple[Write, ...]) -> None:
    of = scenario(*writes)
    assert outcome(of, pod="q")[0] in ("survives", "evicted")
    assert outcome(of, replace(Settings(), latency=BUSY), pod="q") == ("unsure", RuleId.SEEN_TOGETHER)


def test_writes_apart_are_seen_apart_even_by_a_busy_one() -> None:
    of = scenario(SetTaints(1.0, "a", ()), SetTaints(1.02, "a", (SPOT,)))
    (each,) = predict(of, replace(Settings(), latency=BUSY)).predictions
    assert each.earliest_s == pytest.approx(3.02)


@pytest.mark.parametrize(
    ("writes", "number"),
    [
        pytest.param([SetTaints(0.0, name, (SPOT,)) for name in "abc"], 1, id="nodes for themselves"),
        pytest.param([SetTaints(0.0, "a", (SPOT,)), SetTaints(0.0, "a", ())], 4, id="one node twice"),
        pytest.param([SetTaints(0.0, "a", (SPOT,)), CreatePod(0.0, ScenarioPod("q", "a"))], 4, id="node and pod"),
        pytest.param([CreatePod(0.0, ScenarioPod("q", "a"))], 1, id="a pod alone"),
    ],
)
def test_the_order_of_writes_is_varied_where_it_can_matter(writes: list[Write], number: int) -> None:
    """1,500 nodes tainted at once are one simulation, not four."""
    nodes = tuple(ScenarioNode(name) for name in "abc")
    assert len(variants_of(Scenario(nodes, (), tuple(writes), 5.0), replace(Settings(), latency=BUSY))) == number


TRAITS = {
    PodTrait.FINISHED: ("evicted", RuleId.NO_TOLERATION),
    PodTrait.MIRROR: ("evicted", RuleId.NO_TOLERATION),
    PodTrait.DAEMONSET: ("evicted", RuleId.DAEMONSET_FIRST),
    PodTrait.TERMINATING: ("deleted", RuleId.ALREADY_TERMINATING),
    PodTrait.DELETE_DENIED: ("survives", RuleId.DELETE_DENIED),
}


@pytest.mark.parametrize("trait", list(PodTrait))
def test_no_trait_protects(trait: PodTrait) -> None:
    pod = ScenarioPod("p0", "a", (), traits=frozenset({trait}))
    of = Scenario((ScenarioNode("a"),), (pod,), (SetTaints(0.0, "a", (SPOT,)),), 5.0)
    assert outcome(of) == TRAITS[trait]


def test_a_finite_daemonset_pod_goes_like_any_other() -> None:
    pod = ScenarioPod("p0", "a", (tolerates(2),), traits=frozenset({PodTrait.DAEMONSET}))
    of = Scenario((ScenarioNode("a"),), (pod,), (SetTaints(0.0, "a", (SPOT,)),), 5.0)
    assert outcome(of) == ("evicted", RuleId.FINITE_TOLERATION)


def test_a_name_stays_taken_while_its_pod_terminates() -> None:
    pod = ScenarioPod("p0", "a", (), grace_s=10.0)
    writes = (
        SetTaints(0.0, "a", (SPOT,)),
        CreatePod(5.0, ScenarioPod("p0", "a", (tolerates(None),))),
        CreatePod(20.0, ScenarioPod("p0", "a", (tolerates(None),))),
    )
    of = Scenario((ScenarioNode("a"),), (pod,), writes, 30.0)
    assert outcome(of) == ("unsure", RuleId.RACE_FOR_NAME)
    without_the_early_one = replace(of, writes=(writes[0], writes[2]))
    assert outcome(without_the_early_one) == ("survives", RuleId.UNLIMITED_TOLERATION)


def test_pods_of_tainted_nodes_were_bound_some_time_before() -> None:
    node = ScenarioNode("a", {}, (SPOT,))
    of = Scenario((node,), (ScenarioPod("p0", "a", (tolerates(8),)),), (), 20.0)
    (each,) = predict(of).predictions
    assert each.outcome == "evicted"
    assert each.earliest_s == 3.0
    assert each.latest_s == pytest.approx(8.259)


def test_earlier_pods_of_a_name_are_told_too() -> None:
    of = scenario(CreatePod(5.0, ScenarioPod("p0", "a", (tolerates(None),), uid="second")))
    forecast = predict(of)
    assert [(each.outcome, each.uid) for each in forecast.predictions] == [("evicted", ""), ("survives", "second")]
    assert forecast.to_json()["pods"]["p0"]["earlier"][0]["outcome"] == "evicted"
