"""Did each pod leave when Kubernetes' rules say it must? No averaging: every pod is judged by its own interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.check.base import Check, Judged
from harness.check.latency import latency_of_run
from harness.check.record import RunRecord, inconclusive
from harness.check.replacements import with_replacements
from harness.check.sight import Departure, Sight
from harness.history.read import History
from harness.history.stories import PodStory
from harness.model import events
from harness.model.faults import Fault
from harness.model.needs import Watched
from harness.model.plan import Prediction
from harness.model.taints import Effect, Taint, taints_from_api
from harness.model.tolerations import is_default
from harness.model.verdicts import CheckResult, EvictionRow, PodVerdict, Verdict
from harness.model.wellknown import DisruptionReason
from harness.model.words import Action, Outcome
from harness.plan.predict_observed import predict_observed
from harness.semantics.eviction.settings import Latency
from harness.semantics.matching import tolerates

#: A deletion may be seen this long before we have the acknowledgement of the taint it follows (measured: up to 20 ms).
EARLY_ALLOWANCE_S = 0.05

_WRONG = (PodVerdict.EARLY, PodVerdict.LATE, PodVerdict.SURVIVED_WRONGLY, PodVerdict.EVICTED_WRONGLY)


def eviction_rows(record: RunRecord) -> list[EvictionRow]:
    """One row for every pod that was on a target at the injection or came to one later, and for every pod of the plan;
    empty when nothing was injected.

    Predictions are made anew from what really happened (the acknowledged instants of our own writes, restarts, taints
    of others, pods that came later): the plan's, which each row shows beside it, assume that everything happens on
    schedule.
    """
    injection = record.injection
    if injection is None or injection.ended_ns is None:
        return []
    zero_ns = injection.ended_ns
    stories = record.stories
    planned = {prediction.uid: prediction for prediction in record.plan.predictions}
    bench = _Bench(
        record, Sight(record, injection.invoked_ns), zero_ns, _early_allowances_s(record), evicted_by_us(record)
    )
    measured = latency_of_run(record.index, record.settings.latency)
    predictions = _forecast(record, record.history, measured.latency)
    early = bench.sight.earliest_reading()
    others = {p.uid: p for p in (predictions if early is None else _forecast(record, early, measured.latency))}
    horizon_s = (record.horizon_ns - zero_ns) / 1e9
    rows = []
    for prediction in predictions:
        story = stories.get(prediction.uid)
        verdict, reason = bench.judge(prediction, others.get(prediction.uid), story)
        seen_s = (story.deleting_ns - zero_ns) / 1e9 if story and story.deleting_ns is not None else None
        verdict, reason = measured.weigh(verdict, reason, prediction, observed_s=seen_s, horizon_s=horizon_s)
        row = _row(prediction, story, verdict, reason, zero_ns)
        rows.append(_with_plan(row, planned.get(prediction.uid)))
    rows += _missing(record, {row.uid for row in rows}, stories, zero_ns)
    return with_replacements(rows, stories, zero_ns, record.horizon_ns)


def _forecast(record: RunRecord, history: History, latency: Latency) -> tuple[Prediction, ...]:
    settings = replace(record.settings, latency=latency)
    return predict_observed(record.plan, history, settings, horizon_ns=record.horizon_ns)


def _missing(record: RunRecord, judged: set[str], stories: Mapping[str, PodStory], zero_ns: int) -> list[EvictionRow]:
    """Pods of the plan that nothing could be said about; not those that were seen to leave before the injection."""
    out = []
    injection = record.injection
    assert injection is not None
    for prediction in record.plan.predictions:
        story = stories.get(prediction.uid)
        left_ns = None if story is None else story.deleting_ns
        if prediction.uid in judged or (left_ns is not None and left_ns < injection.invoked_ns):
            continue
        reason = "is in the plan, but the history does not show it on its node"
        row = _row(replace(prediction, earliest_s=None, latest_s=None), story, PodVerdict.UNKNOWN, reason, zero_ns)
        out.append(_with_plan(row, prediction))
    return out


def judge_evictions(rows: Sequence[EvictionRow], record: RunRecord) -> CheckResult:
    """The check ``evictions`` over the rows."""
    if record.injection is None:
        return inconclusive("evictions", "no fault was injected")
    if not rows:
        return inconclusive(
            "evictions",
            f"no pod ran on the target ({', '.join(record.plan.targets) or 'none'}): nothing could be evicted",
            what_would_decide="put pods on the target, or choose a target that has some",
        )
    n = len(rows)
    wrong = [row for row in rows if row.verdict in _WRONG]
    unknown = [row for row in rows if row.verdict is PodVerdict.UNKNOWN]
    if wrong:
        first = wrong[0]
        words = ", ".join(sorted({str(row.verdict) for row in wrong}))
        reason = f"{len(wrong)} of {n} pods {words}: {first.pod} {first.reason}"
        return CheckResult("evictions", Verdict.FAIL, reason, n)
    if unknown:
        first = unknown[0]
        return inconclusive(
            "evictions", f"{len(unknown)} of {n} pods cannot be judged: {first.pod} {first.reason}", n=n
        )
    left = sum(row.observed_s is not None for row in rows)
    return CheckResult("evictions", Verdict.PASS, _as_predicted(left, n - left), n)


def _as_predicted(left: int, stayed: int) -> str:
    def pods(count: int) -> str:
        return "1 pod" if count == 1 else f"{count} pods"

    if not stayed:
        return f"{pods(left)} left on time, as predicted"
    if not left:
        return f"{pods(stayed)} stayed, as predicted"
    return f"{pods(left)} left on time and {pods(stayed)} stayed, as predicted"


@dataclass(frozen=True, slots=True)
class _Bench:
    """Judges single pods. `zero_ns`: the acknowledgement of the first injection, from which seconds count. `early_s`:
    how much earlier than predicted a pod may leave, by node; elsewhere EARLY_ALLOWANCE_S.
    """

    record: RunRecord
    sight: Sight
    zero_ns: int
    early_s: Mapping[str, float]
    by_us: Mapping[str, Fault]

    def judge(self, prediction: Prediction, other: Prediction | None, story: PodStory | None) -> tuple[PodVerdict, str]:
        """The verdict on one pod and its reason. `other`: its prediction if everything that was learnt in a gap had
        happened at the gap's start; a firm verdict must hold for both.
        """
        if story is None:
            return PodVerdict.UNKNOWN, "was never seen by the watch"
        fault = self.by_us.get(story.uid)
        if fault is not None:
            return self._had_to_leave(fault, story)
        if prediction.outcome in (Outcome.UNSURE, Outcome.DELETED, Outcome.NEVER_CREATED):
            return PodVerdict.UNKNOWN, f"Kubernetes itself races here: {prediction.because}"
        if other is None or other.outcome != prediction.outcome:
            return PodVerdict.UNKNOWN, "what had to become of it depends on when something happened that nobody saw"
        departure = self.sight.departure(story)
        untold = self.sight.untold_node(story.node, departure.seen_ns if departure else self.sight.until_ns())
        if untold is not None:
            since_s, until_s = self._s(untold.start_ns), self._s(untold.end_ns)
            reason = f"the taints of {story.node} are not known between {since_s:.2f} and {until_s:.2f} s"
            return PodVerdict.UNKNOWN, reason
        if prediction.outcome is Outcome.SURVIVES:
            return self._must_stay(prediction, story, departure)
        return self._must_leave(prediction, other, story, departure)

    def _had_to_leave(self, fault: Fault, story: PodStory) -> tuple[PodVerdict, str]:
        """A pod whose eviction by `fault` the API server acknowledged: it must be seen to leave for that reason."""
        departure = self.sight.departure(story)
        if departure is None:
            return PodVerdict.UNKNOWN, f"its eviction ({fault}) was acknowledged, but nobody saw it leave"
        left = f"left at {self._s(departure.seen_ns):.2f} s"
        if story.disruption_reason != fault.departs_by:
            by = story.disruption_reason or "no reason given"
            return PodVerdict.UNKNOWN, f"{left}, but not as {fault} makes pods leave ({by})"
        return PodVerdict.ON_TIME, f"{left}: {fault}, as the experiment has it"

    def _must_stay(
        self, prediction: Prediction, story: PodStory, departure: Departure | None
    ) -> tuple[PodVerdict, str]:
        if departure is None:
            lacking = self.sight.why_not_stayed(story)
            if lacking:
                return PodVerdict.UNKNOWN, f"must stay, and nothing proves that it did: {lacking}"
            return PodVerdict.SURVIVED, f"stayed, as it must: {prediction.because}"
        if story.disruption_reason not in (DisruptionReason.TAINT_MANAGER, None) or (
            story.disruption_reason is None and story.owner_kind != "DaemonSet"
        ):
            return PodVerdict.UNKNOWN, f"was deleted by somebody else ({story.disruption_reason or 'no reason given'})"
        left = f"left at {self._s(departure.seen_ns):.2f} s"
        if self._was_just_freed(story, departure):
            freed = f"it was bound when a taint had just gone from {story.node}"
            return PodVerdict.UNKNOWN, f"Kubernetes itself races here: {left}; {freed}, and the controller may not know"
        return PodVerdict.EVICTED_WRONGLY, f"{left} but must stay: {prediction.because}"

    def _was_just_freed(self, story: PodStory, departure: Departure) -> bool:
        """Whether the pod was bound about when a NoExecute taint that it does not tolerate went from its node, and left
        no later than a verdict allows the control plane to be behind. The scheduler had seen the taint gone; the
        taint-eviction controller watches nodes and pods apart, so its node may still have had it when the pod came
        (pkg/controller/tainteviction: handlePodUpdate reads `taintedNodes`, which handleNodeUpdate writes).
        """
        if story.scheduled_ns is None:
            return False
        behind_ns = self.record.settings.latency.delete_s * 1e9
        before: tuple[Taint, ...] = ()
        for at_ns, seen in self.record.index.nodes.get(story.node, ()):
            now = taints_from_api(seen.taints)
            gone = [taint for taint in before if taint.effect is Effect.NO_EXECUTE and taint not in now]
            near = abs(story.scheduled_ns - at_ns) <= behind_ns and departure.seen_ns - at_ns <= behind_ns
            if near and any(not _tolerated(taint, story) for taint in gone):
                return True
            before = now
        return False

    def _must_leave(
        self, prediction: Prediction, other: Prediction, story: PodStory, departure: Departure | None
    ) -> tuple[PodVerdict, str]:
        outer, inner = _bounds(prediction, other)
        must = f"must leave between {outer[0]:.2f} and {outer[1]:.2f} s"
        if departure is None:
            return self._did_not_leave(story, must, outer[1])
        since_s, seen_s = self._s(departure.since_ns), self._s(departure.seen_ns)
        early_s = self.early_s.get(story.node, EARLY_ALLOWANCE_S)
        left = f"left at {seen_s:.2f} s"
        if departure.why:
            left = f"left between {since_s:.2f} and {seen_s:.2f} s ({departure.why})"
        if seen_s < outer[0] - early_s:
            if story.disruption_reason != DisruptionReason.TAINT_MANAGER and story.owner_kind != "DaemonSet":
                by = story.disruption_reason or "no reason given"
                return PodVerdict.UNKNOWN, f"was deleted at {seen_s:.2f} s by somebody else ({by}); it {must}"
            return PodVerdict.EARLY, f"{left} but {must}"
        if since_s > outer[1]:
            return PodVerdict.LATE, f"{left} but {must}"
        if since_s >= inner[0] - early_s and seen_s <= inner[1]:
            return PodVerdict.ON_TIME, f"{left}; it {must}"
        return PodVerdict.UNKNOWN, f"{left}; it {must}: it cannot be told whether it did"

    def _did_not_leave(self, story: PodStory, must: str, latest_s: float) -> tuple[PodVerdict, str]:
        until_s = self._s(self.sight.until_ns())
        if until_s < latest_s:
            return PodVerdict.UNKNOWN, f"{must}, but was watched only until {until_s:.2f} s"
        lacking = self.sight.why_not_stayed(story)
        if lacking:
            return PodVerdict.UNKNOWN, f"{must}, was not seen to, and nothing proves that it stayed: {lacking}"
        return PodVerdict.SURVIVED_WRONGLY, f"{must} but was still there at {until_s:.2f} s"

    def _s(self, at_ns: int) -> float:
        return (at_ns - self.zero_ns) / 1e9


def _tolerated(taint: Taint, story: PodStory) -> bool:
    return any(tolerates(toleration, taint, compares=True) for toleration in story.tolerations)


def _bounds(one: Prediction, other: Prediction) -> tuple[tuple[float, float], tuple[float, float]]:
    """When it must leave at all, and when it is on time whichever of two readings is true; seconds."""
    assert one.earliest_s is not None
    assert one.latest_s is not None
    assert other.earliest_s is not None
    assert other.latest_s is not None
    earliest, latest = (one.earliest_s, other.earliest_s), (one.latest_s, other.latest_s)
    return (min(earliest), max(latest)), (max(earliest), min(latest))


def evicted_by_us(record: RunRecord) -> dict[str, Fault]:
    """The pods (by UID) that a fault made leave itself, by the receipts of its injections; not those that a controller
    evicts because of it.
    """
    faults = {step.id: step.fault for step in record.plan.steps if step.fault is not None}
    out: dict[str, Fault] = {}
    for _, done in record.index.facts(events.StepDone):
        evicted = done.detail.get("evicted")
        if done.step in faults and isinstance(evicted, list | tuple):
            out.update({uid: faults[done.step] for uid in evicted if isinstance(uid, str)})
    return out


def _early_allowances_s(record: RunRecord) -> dict[str, float]:
    """Times count from the acknowledgement of writes, but a controller may act as soon as the API server has one: at
    the earliest when it was sent, which on a busy machine is hundreds of milliseconds before. By node, since a slow
    write to one says nothing of the pods of another.
    """
    faults = [(step.id, step.fault) for step in record.plan.steps if step.fault is not None]
    taints = {step for step, fault in faults if fault.departs_by is DisruptionReason.TAINT_MANAGER}
    out: dict[str, float] = {}
    for injection in record.index.injections.values():
        if injection.step in taints and injection.ended_ns is not None:
            trip_s = (injection.ended_ns - injection.invoked_ns) / 1e9
            out[injection.subject] = max(out.get(injection.subject, EARLY_ALLOWANCE_S), trip_s)
    return out


def _row(prediction: Prediction, story: PodStory | None, verdict: PodVerdict, reason: str, zero_ns: int) -> EvictionRow:
    def seconds(at_ns: int | None) -> float | None:
        return None if at_ns is None else round((at_ns - zero_ns) / 1e9, 4)

    stayed = verdict in (PodVerdict.SURVIVED, PodVerdict.SURVIVED_WRONGLY)
    return EvictionRow(
        pod=prediction.pod,
        uid=prediction.uid,
        node=prediction.node,
        verdict=verdict,
        rule=prediction.rule,
        predicted_s=_interval(prediction),
        observed_s=None if story is None or stayed else seconds(story.deleting_ns),
        gone_s=None if story is None or stayed else seconds(story.gone_ns),
        replacement=None,
        replacement_scheduled_s=None,
        replacement_ready_s=None,
        workload=f"{story.owner_kind}/{story.owner_name}" if story and story.owner_name else "",
        tolerations=", ".join(str(t) for t in story.tolerations if not is_default(t)) if story else "",
        reason=reason,
    )


def _interval(prediction: Prediction) -> tuple[float, float] | None:
    if prediction.earliest_s is None or prediction.latest_s is None:
        return None
    return round(prediction.earliest_s, 3), round(prediction.latest_s, 3)


def _with_plan(row: EvictionRow, planned: Prediction | None) -> EvictionRow:
    if planned is None:
        return replace(row, planned="")
    return replace(row, planned=planned.outcome, planned_s=_interval(planned))


def _judge(record: RunRecord) -> Judged:
    """Nothing where the plan injects nothing."""
    if not any(step.action is Action.INJECT for step in record.plan.steps):
        return Judged(())
    rows = eviction_rows(record)
    return Judged((judge_evictions(rows, record),), rows)


EVICTIONS = Check(
    "evictions", frozenset({Watched.PODS, Watched.NODES}), lambda experiment: experiment.expect.evictions, _judge
)
