"""From the simulations of a scenario to its forecast: what they have in common, and the hull of their instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.model.plan import Prediction
from harness.model.scenario import CreatePod, Restart, Scenario
from harness.model.taints import Taint
from harness.model.words import Outcome
from harness.semantics.eviction.pod_outcome import Horizon, PodOutcome, pod_outcome
from harness.semantics.eviction.settings import Settings
from harness.semantics.eviction.simulated import SimPod
from harness.semantics.eviction.simulation import Simulation
from harness.semantics.eviction.variants import Ordering
from harness.semantics.rules import RuleId


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write (by its index) that the API server refuses: any answer but success. `certain` False: it may."""

    index: int
    rule: RuleId
    certain: bool


@dataclass(frozen=True, slots=True)
class Tainting:
    """The node lifecycle controller puts `taint` on `node`, first in that interval. `certain` False: it may."""

    node: str
    taint: Taint
    earliest_s: float
    latest_s: float
    certain: bool


@dataclass(frozen=True, slots=True)
class Forecast:
    """`predictions`: one for each pod object, by name in order of appearance, a name's objects one after the other;
    and one for each name whose creation is refused. `refusals` by index.
    """

    predictions: tuple[Prediction, ...]
    refusals: tuple[Refusal, ...]
    taintings: tuple[Tainting, ...]

    @property
    def by_name(self) -> dict[str, Prediction]:
        """For each name its latest object: what a look at the end finds, or does not find."""
        return {prediction.pod: prediction for prediction in self.predictions}

    @property
    def refused(self) -> tuple[int, ...]:
        """The indexes of the writes that are refused for certain."""
        return tuple(refusal.index for refusal in self.refusals if refusal.certain)

    def to_json(self) -> dict[str, Any]:
        """The object that the write-script format describes, seconds to the millisecond.

        Additions to the format: `because` for each pod; `earlier`, the objects that had the name before, where there
        were any; `maybe_refused`, where a write may or may not be refused.
        """
        sim_pods: dict[str, list[dict[str, Any]]] = {}
        for prediction in self.predictions:
            sim_pods.setdefault(prediction.pod, []).append(_plain(prediction))
        pods = {name: latest | ({"earlier": before} if before else {}) for name, (*before, latest) in sim_pods.items()}
        maybe = [refusal.index for refusal in self.refusals if not refusal.certain]
        out: dict[str, Any] = {"version": 1, "pods": pods, "refused": list(self.refused)}
        return out | ({"maybe_refused": maybe} if maybe else {})


def _plain(prediction: Prediction) -> dict[str, Any]:
    out: dict[str, Any] = {"outcome": str(prediction.outcome)}
    if prediction.earliest_s is not None and prediction.latest_s is not None:
        out["at"] = [round(prediction.earliest_s, 3), round(prediction.latest_s, 3)]
    return out | {"rule": str(prediction.rule), "because": prediction.because}


def combine(scenario: Scenario, settings: Settings, simulations: Sequence[Simulation]) -> Forecast:
    """`simulations` (at least one) have run."""
    return Forecast(
        predictions=_predictions(scenario, settings, simulations),
        refusals=_refusals(simulations),
        taintings=_taintings(simulations),
    )


def _predictions(scenario: Scenario, settings: Settings, simulations: Sequence[Simulation]) -> tuple[Prediction, ...]:
    out: list[Prediction] = []
    first = simulations[0].cluster
    views = [Horizon(settings, scenario.until_s) for _ in simulations]
    names = dict.fromkeys(name for simulation in simulations for name in simulation.cluster.names)
    for name in names:
        sim_pods = first.names.get(name, [])
        if any(len(simulation.cluster.names.get(name, [])) != len(sim_pods) for simulation in simulations[1:]):
            out.append(_muddled(name, simulations))
            continue
        for number, sim_pod in enumerate(sim_pods):
            is_last = number == len(sim_pods) - 1
            endings = [
                _ending(simulation, view, simulation.cluster.names[name][number], is_last=is_last)
                for simulation, view in zip(simulations, views, strict=True)
            ]
            out.append(_prediction(sim_pod, _common(endings, simulations, scenario)))
    for index, write in enumerate(scenario.writes):
        if isinstance(write, CreatePod) and write.pod.key not in names:
            names[write.pod.key] = None
            out.append(_never(index, write, simulations[0]))
    return tuple(out)


def _ending(simulation: Simulation, view: Horizon, sim_pod: SimPod, *, is_last: bool) -> PodOutcome:
    muddled = is_last and sim_pod.key in simulation.cluster.muddled
    return pod_outcome(sim_pod, view, countdown_s=simulation.eviction.countdown_of(sim_pod), muddled=muddled)


def _common(endings: Sequence[PodOutcome], simulations: Sequence[Simulation], scenario: Scenario) -> PodOutcome:
    """What all simulations agree on; evictions are enclosed in one interval."""
    first = endings[0]
    if len(endings) == 1:
        return first
    outcomes = {each.outcome for each in endings}
    if outcomes == {Outcome.EVICTED}:
        earliest_s = min(each.earliest_s or 0.0 for each in endings)
        latest_s = max(each.latest_s or 0.0 for each in endings)
        return PodOutcome(Outcome.EVICTED, first.rule, first.because, earliest_s, latest_s)
    if len(outcomes) == 1:
        return first
    for each in endings:
        if each.outcome is Outcome.UNSURE:
            return each
    as_written = {
        e.outcome
        for e, simulation in zip(endings, simulations, strict=True)
        if simulation.ordering is Ordering.AS_WRITTEN
    }
    if len(as_written) == 1:
        rule = RuleId.SEEN_TOGETHER
    elif any(isinstance(write, Restart) for write in scenario.writes):
        rule = RuleId.RACE_WITH_RESTART
    else:
        rule = RuleId.UNKNOWN_PHASE
    said = dict.fromkeys(f"{each.outcome}: {each.because}" for each in sorted(endings, key=lambda e: e.outcome))
    by_outcome = {text.partition(":")[0]: text for text in said}
    return PodOutcome(Outcome.UNSURE, rule, " | ".join(by_outcome.values()))


def _prediction(sim_pod: SimPod, end: PodOutcome) -> Prediction:
    return Prediction(
        pod=sim_pod.key,
        uid=sim_pod.pod.uid,
        node=sim_pod.pod.node,
        outcome=end.outcome,
        earliest_s=end.earliest_s,
        latest_s=end.latest_s,
        rule=end.rule,
        because=end.because,
    )


def _muddled(name: str, simulations: Sequence[Simulation]) -> Prediction:
    """The simulations do not even agree on how many objects of that name there were."""
    sim_pod = next(simulation.cluster.names[name][-1] for simulation in simulations if name in simulation.cluster.names)
    because = "whether the later pod of that name could be created depends on when the earlier one left"
    return _prediction(sim_pod, PodOutcome(Outcome.UNSURE, RuleId.RACE_FOR_NAME, because))


def _never(index: int, write: CreatePod, simulation: Simulation) -> Prediction:
    pod = write.pod
    if index in simulation.refused:
        rule, because = simulation.refused[index][0], f"write {index} is refused by the API server"
    else:
        rule, because = RuleId.NOT_YET_DUE, f"write {index} comes after the last look"
    return Prediction(pod.key, pod.uid, pod.node, Outcome.NEVER_CREATED, None, None, rule, because)


def _refusals(simulations: Sequence[Simulation]) -> tuple[Refusal, ...]:
    out: list[Refusal] = []
    for index in sorted({index for simulation in simulations for index in simulation.refused}):
        found = [simulation.refused.get(index) for simulation in simulations]
        rule = next(each[0] for each in found if each is not None)
        out.append(Refusal(index, rule, all(each is not None and each[1] for each in found)))
    return tuple(out)


def _taintings(simulations: Sequence[Simulation]) -> tuple[Tainting, ...]:
    out: list[Tainting] = []
    for node, taint in dict.fromkeys(key for simulation in simulations for key in simulation.tainted_s):
        at = [simulation.tainted_s[node, taint] for simulation in simulations if (node, taint) in simulation.tainted_s]
        out.append(Tainting(node, taint, min(at), max(at), certain=len(at) == len(simulations)))
    return tuple(out)
