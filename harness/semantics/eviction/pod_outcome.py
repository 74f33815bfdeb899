"""How one pod object ends in one simulation: outcome, interval, rule, and a sentence naming taint and toleration."""

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
    """The last look at a simulation. `known`: endings so far, by all they depend on; many pods share theirs."""

    settings: Settings
    until_s: float
    known: dict[tuple[object, ...], PodOutcome] = field(default_factory=dict)


def pod_outcome(sim_pod: SimPod, view: Horizon, *, countdown_s: float | None, muddled: bool) -> PodOutcome:
    """What became of `sim_pod` when the last look is taken at `view.until_s`.

    `countdown_s`: when the countdown that still runs for it will end; `muddled`: it may not even exist.
    """
    if muddled:
        return PodOutcome(
            Outcome.UNSURE, RuleId.RACE_FOR_NAME, "created while the earlier pod of that name was leaving"
        )
    if sim_pod.deleted_s is not None or sim_pod.maybe is not None:
        return _ending(sim_pod, view, countdown_s)
    why = (
        id(sim_pod.decision),
        id(sim_pod.burst),
        id(sim_pod.cause),
        sim_pod.pod.node,
        sim_pod.pod.traits,
        sim_pod.denied,
    )
    depends_on = (*why, sim_pod.due_s, sim_pod.withdrawn_s, sim_pod.cancelled_s, sim_pod.cancelled_rule, countdown_s)
    known = view.known.get(depends_on)
    if known is None:
        known = view.known[depends_on] = _ending(sim_pod, view, countdown_s)
    return known


def _ending(sim_pod: SimPod, view: Horizon, countdown_s: float | None) -> PodOutcome:
    if sim_pod.deleted_s is not None:
        if sim_pod.maybe is not None:
            return _unsure(sim_pod, f"or deleted by somebody else at {sim_pod.deleted_s:g} s")
        return PodOutcome(Outcome.DELETED, sim_pod.deleted_rule, _because_deleted(sim_pod, sim_pod.deleted_s))
    if sim_pod.due_s is not None and sim_pod.burst is not None and sim_pod.cause is not None:
        return _evicted(sim_pod, sim_pod.due_s, sim_pod.burst, sim_pod.cause, view)
    if sim_pod.maybe is not None and sim_pod.maybe[0] <= view.until_s:
        return _unsure(sim_pod, "or not at all")
    return _survives(sim_pod, view, countdown_s)


def _evicted(sim_pod: SimPod, due_s: float, burst: DeleteBurst, cause: Cause, view: Horizon) -> PodOutcome:
    earliest_s, latest_s = due_s, burst.done_s
    if sim_pod.maybe is not None:
        earliest_s = min(earliest_s, sim_pod.maybe[0])
    because = _because_evicted(sim_pod, cause, burst, view)
    if earliest_s >= view.until_s - view.settings.latency.early_s or latest_s > view.until_s:
        near = f"due at {earliest_s:g} s, while the last look is taken at {view.until_s:g} s: {because}"
        return PodOutcome(Outcome.UNSURE, RuleId.RACE_AT_UNTIL, near)
    rule = cause.rule
    if sim_pod.withdrawn_s is not None:
        rule = RuleId.TOO_LATE
    elif PodTrait.DAEMONSET in sim_pod.pod.traits and cause.decision.action is Action.NOW:
        rule = RuleId.DAEMONSET_FIRST
    # What exists at time 0, by the scenario's own word, cannot have been deleted before.
    return PodOutcome(Outcome.EVICTED, rule, because, max(earliest_s, 0.0), max(latest_s, 0.0))


def _unsure(sim_pod: SimPod, otherwise: str) -> PodOutcome:
    first_s, last_s = sim_pod.maybe or (0.0, 0.0)
    because = f"evicted between {first_s:.2f} and {last_s:.2f} s, {otherwise}"
    return PodOutcome(Outcome.UNSURE, sim_pod.maybe_rule, because)


def _survives(sim_pod: SimPod, view: Horizon, countdown_s: float | None) -> PodOutcome:
    decision, node = sim_pod.decision, sim_pod.pod.node
    if not view.settings.evicts:
        return PodOutcome(Outcome.SURVIVES, RuleId.CONTROLLER_OFF, "the taint-eviction-controller does not run")
    if decision is None:
        return PodOutcome(Outcome.SURVIVES, RuleId.ONLY_NOEXECUTE, f"no NoExecute taint was seen on {node}")
    why = _tolerated(decision, node)
    if sim_pod.denied:
        return PodOutcome(Outcome.SURVIVES, RuleId.DELETE_DENIED, f"{why}, but its deletion is denied by admission")
    if countdown_s is not None:
        due = f"{why}; due at {countdown_s:g} s, after the last look at {view.until_s:g} s"
        return PodOutcome(Outcome.SURVIVES, RuleId.NOT_YET_DUE, due)
    if sim_pod.cancelled_s is not None:
        return PodOutcome(Outcome.SURVIVES, sim_pod.cancelled_rule, f"{why}; cancelled at {sim_pod.cancelled_s:.4g} s")
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


def _because_evicted(sim_pod: SimPod, cause: Cause, burst: DeleteBurst, view: Horizon) -> str:
    parts = [_tolerated(cause.decision, sim_pod.pod.node)]
    if cause.rule is RuleId.TIMER_KEPT:
        parts.append(f"the countdown begun at {cause.begun_s:.4g} s was kept, whatever came later")
    elif (clause := _CLAUSES.get(cause.rule)) is not None:
        parts.append(clause)
    if sim_pod.withdrawn_s is not None:
        parts.append(f"withdrawn too late, at {sim_pod.withdrawn_s:.4g} s")
    if burst.wait_s > view.settings.latency.delete_s:
        parts.append(
            f"{burst.deletions} deletions share {view.settings.kcm_qps:g} requests a second, "
            f"so the last waits {burst.wait_s:.1f} s"
        )
    parts += [clause for trait, clause in _TRAIT_CLAUSES.items() if trait in sim_pod.pod.traits]
    return "; ".join(parts)


_TRAIT_CLAUSES = {
    PodTrait.DAEMONSET: "its DaemonSet deletes it as well",
    PodTrait.MIRROR: "its kubelet creates it again",
    PodTrait.FINISHED: "that it has finished does not matter",
}


def _because_deleted(sim_pod: SimPod, deleted_s: float) -> str:
    if sim_pod.deleted_rule is RuleId.ALREADY_TERMINATING:
        return "it was terminating already"
    if sim_pod.deleted_rule is RuleId.NODE_GONE:
        return f"PodGC deletes it at {deleted_s:.4g} s, since its node is gone"
    return f"somebody else deletes it at {deleted_s:.4g} s"
