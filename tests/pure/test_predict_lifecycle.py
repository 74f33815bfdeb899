"""The node lifecycle controller: node loss, conditions, zones and rates, as a table."""

from __future__ import annotations

import pytest

from harness.model.scenario import Scenario, ScenarioNode, ScenarioPod, SetTaints, StopHeartbeat
from harness.model.taints import Effect, Operator, Taint, Toleration
from harness.model.wellknown import UNREACHABLE
from harness.semantics.eviction import predict
from tests.lifecycle_cases import CASES, Case, disagreements


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_case(case: Case) -> None:
    assert disagreements(case, predict(case.scenario)) == []


def test_taintings_are_told() -> None:
    nodes = tuple(ScenarioNode(name) for name in "abc")
    forecast = predict(Scenario(nodes, (), (StopHeartbeat(0.0, "a"),), 100.0))
    (tainting,) = forecast.taintings
    assert (tainting.node, tainting.taint, tainting.certain) == ("a", Taint(UNREACHABLE, Effect.NO_EXECUTE), True)
    assert (tainting.earliest_s, tainting.latest_s) == pytest.approx((40.0, 65.1), abs=0.002)


def test_nodes_left_out_of_disruption_checks() -> None:
    """Two of three nodes are lost, and the third does not count: no zone has a ready node, so nobody is tainted."""
    label = {"node.kubernetes.io/exclude-disruption": ""}
    nodes = (ScenarioNode("a"), ScenarioNode("b"), ScenarioNode("c", label))
    tolerations = (Toleration(UNREACHABLE, Operator.EXISTS, "", Effect.NO_EXECUTE, 100),)
    pods = tuple(ScenarioPod(f"on-{node.name}", node.name, tolerations) for node in nodes)
    forecast = predict(Scenario(nodes, pods, (StopHeartbeat(0.0, "a"), StopHeartbeat(0.0, "b")), 400.0))
    assert {each.outcome for each in forecast.predictions} == {"survives"}


def test_without_a_cause_no_pass_is_simulated() -> None:
    nodes = (ScenarioNode("a"),)
    forecast = predict(Scenario(nodes, (), (SetTaints(0.0, "a", (Taint("k", Effect.NO_EXECUTE),)),), 1e9))
    assert forecast.taintings == ()


def test_a_large_zone_slows_down_but_goes_on() -> None:
    """40 of 60 nodes: above 50 the secondary rate holds, one node per 100 s; the last one waits 3,900 s."""
    nodes = tuple(ScenarioNode(f"n{number}") for number in range(60))
    pods = tuple(ScenarioPod(node.name, node.name) for node in nodes)
    writes = tuple(StopHeartbeat(0.0, f"n{number}") for number in range(40))
    found = predict(Scenario(nodes, pods, writes, 5000.0)).taintings
    assert len(found) == 40
    assert {round(each.earliest_s) for each in found} == {40}
    assert {round(each.latest_s, -2) for each in found} == {4000}
