"""How one pod object ends in one course: outcome, interval, rule, and the sentence that names taint and toleration."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.model.scenario import PodTrait
from harness.model.words import Outcome
from harness.semantics.decision import Action, Decision
from harness.semantics.eviction.settings import Settings
from harness.semantics.eviction.simulated import Cause, SimPod
from harness.semantics.eviction.throttle import DeleteBurst
from harness.semantics.rules import RuleId


@dataclass(frozen=True, slots=True)
class PodOutcome:
    """`earliest_s`, `latest_s`: the deletion lies in between; None unless evicted."""

    outcome: Outcome
    rule: RuleId
    because: str
    earliest_s: float | None = None
    latest_s: float | None = None


@dataclass(slots=True)
class Horizon:
    """The last look at a course. `known`: endings so far, by all they depend on; many pods share theirs."""

    settings: Settings
    until_s: float
    known: dict[tuple[object, ...], PodOutcome] = field(default_factory=dict)


def pod_outcome(life: SimPod, view: Horizon, *, countdown_s: float | None, muddled: bool) -> PodOutcome:
    """What became of `life` when the last look is taken at `view.until_s`.

    `countdown_s`: when the countdown that still runs for it will end; `muddled`: it may not even exist.
    """
    if muddled:
        return PodOutcome(
            Outcome.UNSURE, RuleId.RACE_FOR_NAME, "created while the earlier pod of that name was leaving"
        )
    if life.deleted_s is not None or life.maybe is not None:
        return _ending(life, view, countdown_s)
    why = (id(life.decision), id(life.rush), id(life.cause), life.pod.node, life.pod.traits, life.denied)
    depends_on = (*why, life.due_s, life.withdrawn_s, life.cancelled_s, life.cancelled_rule, countdown_s)
    known = view.known.get(depends_on)
    if known is None:
        known = view.known[depends_on] = _ending(life, view, countdown_s)
    return known


def _ending(life: SimPod, view: Horizon, countdown_s: float | None) -> PodOutcome:
    if life.deleted_s is not None:
        if life.maybe is not None:
            return _unsure(life, f"or deleted by somebody else at {life.deleted_s:g} s")
        return PodOutcome(Outcome.DELETED, life.deleted_rule, _because_deleted(life, life.deleted_s))
    if life.due_s is not None and life.rush is not None and life.cause is not None:
        return _evicted(life, life.due_s, life.rush, life.cause, view)
    if life.maybe is not None and life.maybe[0] <= view.until_s:
        return _unsure(life, "or not at all")
    return _survives(life, view, countdown_s)


def _evicted(life: SimPod, due_s: float, rush: DeleteBurst, cause: Cause, view: Horizon) -> PodOutcome:
    earliest_s, latest_s = due_s, rush.done_s
    if life.maybe is not None:
        earliest_s = min(earliest_s, life.maybe[0])
    because = _because_evicted(life, cause, rush, view)
    if earliest_s >= view.until_s - view.settings.latency.early_s or latest_s > view.until_s:
        near = f"due at {earliest_s:g} s, while the last look is taken at {view.until_s:g} s: {because}"
        return PodOutcome(Outcome.UNSURE, RuleId.RACE_AT_UNTIL, near)
    rule = cause.rule
    if life.withdrawn_s is not None:
        rule = RuleId.TOO_LATE
    elif PodTrait.DAEMONSET in life.pod.traits and cause.decision.action is Action.NOW:
        rule = RuleId.DAEMONSET_FIRST
    # What exists at time 0, by the scenario's own word, cannot have been deleted before.
    return PodOutcome(Outcome.EVICTED, rule, because, max(earliest_s, 0.0), max(latest_s, 0.0))


def _unsure(life: SimPod, otherwise: str) -> PodOutcome:
    first_s, last_s = life.maybe or (0.0, 0.0)
    because = f"evicted between {first_s:.2f} and {last_s:.2f} s, {otherwise}"
    return PodOutcome(Outcome.UNSURE, life.maybe_rule, because)


def _survives(life: SimPod, view: Horizon, countdown_s: float | None) -> PodOutcome:
    decision, node = life.decision, life.pod.node
    if not view.settings.evicts:
        return PodOutcome(Outcome.SURVIVES, RuleId.CONTROLLER_OFF, "the taint-eviction-controller does not run")
    if decision is None:
        return PodOutcome(Outcome.SURVIVES, RuleId.ONLY_NOEXECUTE, f"no NoExecute taint was seen on {node}")
    why = _tolerated(decision, node)
    if life.denied:
        return PodOutcome(Outcome.SURVIVES, RuleId.DELETE_DENIED, f"{why}, but its deletion is denied by admission")
    if countdown_s is not None:
        due = f"{why}; due at {countdown_s:g} s, after the last look at {view.until_s:g} s"
        return PodOutcome(Outcome.SURVIVES, RuleId.NOT_YET_DUE, due)
    if life.cancelled_s is not None:
        return PodOutcome(Outcome.SURVIVES, life.cancelled_rule, f"{why}; cancelled at {life.cancelled_s:.4g} s")
    if decision.action is not Action.NEVER:
        return PodOutcome(Outcome.SURVIVES, RuleId.NOT_YET_DUE, f"{why}, but the controller was not back to act on it")
    return PodOutcome(Outcome.SURVIVES, decision.rule, why)


def _tolerated(decision: Decision, node: str) -> str:
    if decision.toleration is None:
        return f"{decision.taint} on {node} is not tolerated"
    by = str(decision.toleration)
    if decision.rule is RuleId.SECONDS_OVERFLOW:
        length = "for ever" if decision.action is Action.NEVER else f"for {decision.delay_s:.9g} s"
        return f"{decision.taint} on {node} is tolerated {length} by {by}, whose nanoseconds overflow"
    if decision.action is Action.NEVER:
        return f"{decision.taint} on {node} is tolerated without limit by {by}"
    if decision.rule is RuleId.ZERO_SECONDS:
        return f"{decision.taint} on {node} is tolerated for no time by {by}"
    return f"{decision.taint} on {node} is tolerated for {decision.delay_s:g} s by {by}"


_CLAUSES = {
    RuleId.FIRST_MATCH: "the first toleration that matches counts, not the later ones",
    RuleId.SHORTEST_SELECTED: "the shortest of the tolerations taken",
    RuleId.RESTART_RESTARTS_COUNTDOWN: "kube-controller-manager was restarted, so the countdown began again",
    RuleId.SEEN_AFTER_RESTART: "seen once kube-controller-manager was back",
    RuleId.BOUND_TO_TAINTED_NODE: "counted from the pod's creation",
    RuleId.COUNTDOWN_ANEW: "an earlier countdown was cancelled, this is a full one",
}


def _because_evicted(life: SimPod, cause: Cause, rush: DeleteBurst, view: Horizon) -> str:
    parts = [_tolerated(cause.decision, life.pod.node)]
    if cause.rule is RuleId.TIMER_KEPT:
        parts.append(f"the countdown begun at {cause.begun_s:.4g} s was kept, whatever came later")
    elif (clause := _CLAUSES.get(cause.rule)) is not None:
        parts.append(clause)
    if life.withdrawn_s is not None:
        parts.append(f"withdrawn too late, at {life.withdrawn_s:.4g} s")
    if rush.wait_s > view.settings.latency.delete_s:
        parts.append(
            f"{rush.deletions} deletions share {view.settings.kcm_qps:g} requests a second, "
            f"so the last waits {rush.wait_s:.1f} s"
        )
    parts += [clause for trait, clause in _TRAIT_CLAUSES.items() if trait in life.pod.traits]
    return "; ".join(parts)


_TRAIT_CLAUSES = {
    PodTrait.DAEMONSET: "its DaemonSet deletes it as well",
    PodTrait.MIRROR: "its kubelet creates it again",
    PodTrait.FINISHED: "that it has finished does not matter",
}


def _because_deleted(life: SimPod, deleted_s: float) -> str:
    if life.deleted_rule is RuleId.ALREADY_TERMINATING:
        return "it was terminating already"
    if life.deleted_rule is RuleId.NODE_GONE:
        return f"PodGC deletes it at {deleted_s:.4g} s, since its node is gone"
    return f"somebody else deletes it at {deleted_s:.4g} s"
