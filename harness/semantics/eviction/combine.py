"""From the courses of a scenario to its forecast: what they have in common, and the hull of their instants."""

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
        lives: dict[str, list[dict[str, Any]]] = {}
        for prediction in self.predictions:
            lives.setdefault(prediction.pod, []).append(_plain(prediction))
        pods = {name: latest | ({"earlier": before} if before else {}) for name, (*before, latest) in lives.items()}
        maybe = [refusal.index for refusal in self.refusals if not refusal.certain]
        out: dict[str, Any] = {"version": 1, "pods": pods, "refused": list(self.refused)}
        return out | ({"maybe_refused": maybe} if maybe else {})


def _plain(prediction: Prediction) -> dict[str, Any]:
    out: dict[str, Any] = {"outcome": str(prediction.outcome)}
    if prediction.earliest_s is not None and prediction.latest_s is not None:
        out["at"] = [round(prediction.earliest_s, 3), round(prediction.latest_s, 3)]
    return out | {"rule": str(prediction.rule), "because": prediction.because}


def combine(scenario: Scenario, settings: Settings, courses: Sequence[Simulation]) -> Forecast:
    """`courses` (at least one) have run."""
    return Forecast(
        predictions=_predictions(scenario, settings, courses),
        refusals=_refusals(courses),
        taintings=_taintings(courses),
    )


def _predictions(scenario: Scenario, settings: Settings, courses: Sequence[Simulation]) -> tuple[Prediction, ...]:
    out: list[Prediction] = []
    first = courses[0].cluster
    views = [Horizon(settings, scenario.until_s) for _ in courses]
    names = dict.fromkeys(name for course in courses for name in course.cluster.names)
    for name in names:
        lives = first.names.get(name, [])
        if any(len(course.cluster.names.get(name, [])) != len(lives) for course in courses[1:]):
            out.append(_muddled(name, courses))
            continue
        for number, life in enumerate(lives):
            is_last = number == len(lives) - 1
            endings = [
                _ending(course, view, course.cluster.names[name][number], is_last=is_last)
                for course, view in zip(courses, views, strict=True)
            ]
            out.append(_prediction(life, _common(endings, courses, scenario)))
    for index, write in enumerate(scenario.writes):
        if isinstance(write, CreatePod) and write.pod.key not in names:
            names[write.pod.key] = None
            out.append(_never(index, write, courses[0]))
    return tuple(out)


def _ending(course: Simulation, view: Horizon, life: SimPod, *, is_last: bool) -> PodOutcome:
    muddled = is_last and life.key in course.cluster.muddled
    return pod_outcome(life, view, countdown_s=course.eviction.countdown_of(life), muddled=muddled)


def _common(endings: Sequence[PodOutcome], courses: Sequence[Simulation], scenario: Scenario) -> PodOutcome:
    """What all courses agree on; evictions are enclosed in one interval."""
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
    as_written = {e.outcome for e, course in zip(endings, courses, strict=True) if course.sight is Ordering.AS_WRITTEN}
    if len(as_written) == 1:
        rule = RuleId.SEEN_TOGETHER
    elif any(isinstance(write, Restart) for write in scenario.writes):
        rule = RuleId.RACE_WITH_RESTART
    else:
        rule = RuleId.UNKNOWN_PHASE
    said = dict.fromkeys(f"{each.outcome}: {each.because}" for each in sorted(endings, key=lambda e: e.outcome))
    by_outcome = {text.partition(":")[0]: text for text in said}
    return PodOutcome(Outcome.UNSURE, rule, " | ".join(by_outcome.values()))


def _prediction(life: SimPod, end: PodOutcome) -> Prediction:
    return Prediction(
        pod=life.key,
        uid=life.pod.uid,
        node=life.pod.node,
        outcome=end.outcome,
        earliest_s=end.earliest_s,
        latest_s=end.latest_s,
        rule=end.rule,
        because=end.because,
    )


def _muddled(name: str, courses: Sequence[Simulation]) -> Prediction:
    """The courses do not even agree on how many objects of that name there were."""
    life = next(course.cluster.names[name][-1] for course in courses if name in course.cluster.names)
    because = "whether the later pod of that name could be created depends on when the earlier one left"
    return _prediction(life, PodOutcome(Outcome.UNSURE, RuleId.RACE_FOR_NAME, because))


def _never(index: int, write: CreatePod, course: Simulation) -> Prediction:
    pod = write.pod
    if index in course.refused:
        rule, because = course.refused[index][0], f"write {index} is refused by the API server"
    else:
        rule, because = RuleId.NOT_YET_DUE, f"write {index} comes after the last look"
    return Prediction(pod.key, pod.uid, pod.node, Outcome.NEVER_CREATED, None, None, rule, because)


def _refusals(courses: Sequence[Simulation]) -> tuple[Refusal, ...]:
    out: list[Refusal] = []
    for index in sorted({index for course in courses for index in course.refused}):
        found = [course.refused.get(index) for course in courses]
        rule = next(each[0] for each in found if each is not None)
        out.append(Refusal(index, rule, all(each is not None and each[1] for each in found)))
    return tuple(out)


def _taintings(courses: Sequence[Simulation]) -> tuple[Tainting, ...]:
    out: list[Tainting] = []
    for node, taint in dict.fromkeys(key for course in courses for key in course.tainted_s):
        at = [course.tainted_s[node, taint] for course in courses if (node, taint) in course.tainted_s]
        out.append(Tainting(node, taint, min(at), max(at), certain=len(at) == len(courses)))
    return tuple(out)
