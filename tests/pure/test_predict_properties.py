"""What must hold of every forecast, on generated scripts."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.model.plan import Prediction
from harness.model.scenario import CreatePod, Restart, Scenario, ScenarioPod, SetTaints, SetTolerations, Write
from harness.model.taints import Effect, Operator, Taint, Toleration
from harness.model.words import Outcome
from harness.semantics.decision import decide, no_execute
from harness.semantics.eviction import Settings, predict
from harness.semantics.eviction.settings import BUSY
from harness.semantics.rules import CATALOGUE, RuleId
from tests.strategies import scripts, taint_sets, toleration_lists

sixty = settings(max_examples=60, deadline=None, suppress_health_check=(HealthCheck.too_slow,))

BLANKET = Toleration("", Operator.EXISTS)
POISON = Taint("poison", Effect.NO_EXECUTE)


def bounds(prediction: Prediction) -> tuple[float, float]:
    """The interval of an eviction."""
    assert prediction.outcome == Outcome.EVICTED
    assert prediction.earliest_s is not None
    assert prediction.latest_s is not None
    return prediction.earliest_s, prediction.latest_s


def first_taint_s(scenario: Scenario, node: str) -> float | None:
    """When a NoExecute taint is first written to `node`."""
    times = [
        write.at_s
        for write in scenario.writes
        if isinstance(write, SetTaints) and write.node == node and no_execute(write.taints)
    ]
    return min(times, default=None)


@sixty
@given(scripts())
def test_predictions_are_well_formed(scenario: Scenario) -> None:
    forecast = predict(scenario)
    names = {pod.key for pod in scenario.pods} | {w.pod.key for w in scenario.writes if isinstance(w, CreatePod)}
    assert set(forecast.by_name) == names
    for each in forecast.predictions:
        assert each.rule in CATALOGUE
        assert each.because
        if each.outcome == Outcome.EVICTED:
            earliest_s, latest_s = bounds(each)
            assert 0.0 <= earliest_s < latest_s <= scenario.until_s
        else:
            assert each.earliest_s is None
            assert each.latest_s is None
    assert all(0 <= refusal.index < len(scenario.writes) for refusal in forecast.refusals)


@sixty
@given(scripts())
def test_the_same_answer_every_time(scenario: Scenario) -> None:
    assert predict(scenario) == predict(scenario)


@sixty
@given(scripts())
def test_nobody_goes_before_a_taint_was_written(scenario: Scenario) -> None:
    for each in predict(scenario).predictions:
        if each.outcome == Outcome.EVICTED:
            taint_s = first_taint_s(scenario, each.node)
            assert taint_s is not None
            assert bounds(each)[0] >= taint_s


@sixty
@given(scripts(restarts=False), st.integers(3, 9))
def test_nobody_goes_before_the_shortest_toleration(scenario: Scenario, seconds: int) -> None:
    """All tolerate everything, for at least so long."""
    patient = Toleration("", Operator.EXISTS, "", Effect.NO_EXECUTE, seconds)
    pods = tuple(replace(pod, tolerations=(patient,)) for pod in scenario.pods)
    writes = tuple(write for write in scenario.writes if isinstance(write, SetTaints))
    for each in predict(replace(scenario, pods=pods, writes=writes, until_s=60.0)).predictions:
        if each.outcome == Outcome.EVICTED:
            assert bounds(each)[0] >= (first_taint_s(scenario, each.node) or 0.0) + seconds


@sixty
@given(scripts())
def test_whoever_tolerates_everything_for_ever_stays(scenario: Scenario) -> None:
    pods = tuple(replace(pod, tolerations=(BLANKET, *pod.tolerations)) for pod in scenario.pods)
    writes = tuple(write for write in scenario.writes if isinstance(write, SetTaints | Restart))
    outcomes = {each.outcome for each in predict(replace(scenario, pods=pods, writes=writes)).predictions}
    assert outcomes == {Outcome.SURVIVES}


def _keyed(tolerations: tuple[Toleration, ...]) -> tuple[Toleration, ...]:
    """Without those that tolerate every key."""
    return tuple(each for each in tolerations if each.key)


def _keyed_write(write: Write) -> Write:
    match write:
        case SetTolerations():
            return replace(write, tolerations=_keyed(write.tolerations))
        case CreatePod():
            return replace(write, pod=replace(write.pod, tolerations=_keyed(write.pod.tolerations)))
    return write


@sixty
@given(scripts())
def test_an_untolerated_taint_takes_everybody(scenario: Scenario) -> None:
    """Written last, long after everything else, on every node."""
    at_s = scenario.until_s + 5.0
    poisoned = tuple(SetTaints(at_s, node.name, (POISON,)) for node in scenario.nodes)
    pods = tuple(replace(pod, tolerations=_keyed(pod.tolerations)) for pod in scenario.pods)
    writes = tuple(_keyed_write(write) for write in scenario.writes)
    found = predict(replace(scenario, pods=pods, writes=(*writes, *poisoned), until_s=at_s + 60.0))
    assert all(each.outcome != Outcome.SURVIVES for each in found.predictions)


@sixty
@given(scripts(restarts=False, max_writes=1), st.floats(0.1, 0.9))
def test_untaint_before_the_deadline_saves(scenario: Scenario, at_s: float) -> None:
    """Only whole seconds can be tolerated, so nobody with a countdown goes within the first second."""
    writes = (scenario.writes[0], *(SetTaints(at_s, node.name, ()) for node in scenario.nodes))
    before = predict(replace(scenario, writes=scenario.writes[:1], until_s=100.0)).by_name
    after = predict(replace(scenario, writes=writes, until_s=100.0)).by_name
    for name, each in before.items():
        if each.outcome == Outcome.EVICTED and bounds(each)[0] >= 1.0:
            assert after[name].outcome == Outcome.SURVIVES
        elif each.outcome == Outcome.EVICTED:
            assert after[name].outcome == Outcome.EVICTED


@sixty
@given(scripts(), st.floats(1.0, 100.0))
def test_looking_longer_changes_no_eviction(scenario: Scenario, more_s: float) -> None:
    longer = predict(replace(scenario, until_s=scenario.until_s + more_s)).by_name
    for name, each in predict(scenario).by_name.items():
        if each.outcome == Outcome.EVICTED:
            assert bounds(longer[name]) == bounds(each)


@sixty
@given(scripts())
def test_what_holds_for_a_quiet_controller_is_possible_for_a_busy_one(scenario: Scenario) -> None:
    quiet, busy = predict(scenario), predict(scenario, replace(Settings(), latency=BUSY))
    for name, each in quiet.by_name.items():
        other = busy.by_name[name]
        if each.outcome != Outcome.UNSURE and other.outcome != Outcome.UNSURE:
            assert each.outcome == other.outcome
        if each.outcome == other.outcome == Outcome.EVICTED:
            assert bounds(other)[0] <= bounds(each)[0]
            assert bounds(each)[1] <= bounds(other)[1]


@sixty
@given(taint_sets(), toleration_lists())
def test_the_order_of_taints_decides_nothing(taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...]) -> None:
    ours = (POISON, *no_execute(taints))
    tolerations = (*tolerations, Toleration(POISON.key, Operator.EXISTS))
    one, other = decide(ours, tolerations, compares=False), decide(ours[::-1], tolerations, compares=False)
    assert (one.action, one.delay_s) == (other.action, other.delay_s)


@sixty
@given(toleration_lists(), taint_sets())
def test_the_order_of_tolerations_that_agree_decides_nothing(
    tolerations: tuple[Toleration, ...], taints: tuple[Taint, ...]
) -> None:
    ours = (POISON, *no_execute(taints))
    agreeing = tuple(replace(each, seconds=None) for each in tolerations)
    one, other = decide(ours, agreeing, compares=False), decide(ours, agreeing[::-1], compares=False)
    assert one.action is other.action


@sixty
@given(scripts(), st.integers(0, 3))
def test_names_decide_nothing(scenario: Scenario, number: int) -> None:
    """A pod on a node of its own, that no write concerns, changes nothing for the others."""
    more = tuple(ScenarioPod(f"zz{each}", scenario.nodes[0].name, (BLANKET,)) for each in range(number))
    found = predict(replace(scenario, pods=(*scenario.pods, *more))).by_name
    for name, each in predict(scenario).by_name.items():
        assert found[name] == each


@sixty
@given(scripts(restarts=False, max_writes=1))
def test_a_restart_never_makes_anybody_go_earlier(scenario: Scenario) -> None:
    """Countdowns that begin again end later; whoever was gone is gone."""
    restarted = replace(scenario, writes=(*scenario.writes, Restart(0.9)), until_s=100.0)
    longer = replace(scenario, until_s=100.0)
    after = predict(restarted).by_name
    for name, each in predict(longer).by_name.items():
        if each.outcome == Outcome.EVICTED:
            assert after[name].outcome == Outcome.EVICTED
            assert bounds(after[name])[0] >= bounds(each)[0]
            assert bounds(each)[0] < 1.0 or after[name].rule == RuleId.RESTART_RESTARTS_COUNTDOWN
