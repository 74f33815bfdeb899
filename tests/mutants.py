"""The predictor with one rule broken at a time: does anybody notice?

A mutant replaces functions of `harness.semantics.eviction` for as long as its context lasts. Each is named after the
rule of the catalogue that it breaks; a rule may have several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from harness.model import tolerations
from harness.model.scenario import ConditionStatus
from harness.model.taints import Effect, Operator, Taint, Toleration
from harness.model.wellknown import UNREACHABLE
from harness.semantics import decision, matching
from harness.semantics.decision import Action, Decision
from harness.semantics.eviction import admission, node_lifecycle, simulation, taint_eviction
from harness.semantics.eviction.node_lifecycle import NodeLifecycleController, Zone, ZoneState
from harness.semantics.eviction.simulated import Origin, Presence, SimPod
from harness.semantics.eviction.taint_eviction import TaintEviction
from harness.semantics.eviction.throttle import DeleteBurst, Throttle
from harness.semantics.rules import RuleId


@dataclass(frozen=True, slots=True)
class Mutant:
    """`rule` is broken by putting each of `changes` (owner, attribute, replacement) in place."""

    rule: RuleId
    how: str
    changes: tuple[tuple[Any, str, Any], ...]

    @property
    def id(self) -> str:
        """``rule: how``."""
        return f"{self.rule}: {self.how}"

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The predictor is broken inside."""
        with pytest.MonkeyPatch.context() as patch:
            for owner, name, replacement in self.changes:
                patch.setattr(owner, name, replacement)
            yield


def _decided(change: Callable[[Decision], Decision]) -> tuple[tuple[Any, str, Any], ...]:
    original = decision.decide

    def decide(taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...], *, compares: bool) -> Decision:
        return change(original(taints, tolerations, compares=compares))

    return ((decision, "decide", decide),)


def _last_match(taint: Taint, tolerations: tuple[Toleration, ...], *, compares: bool) -> Toleration | None:
    found = [each for each in tolerations if matching.tolerates(each, taint, compares=compares)]
    return found[-1] if found else None


def _laxest_match(taint: Taint, tolerations: tuple[Toleration, ...], *, compares: bool) -> Toleration | None:
    found = [each for each in tolerations if matching.tolerates(each, taint, compares=compares)]
    return max(found, key=lambda each: 10**30 if each.seconds is None else each.seconds, default=None)


def _longest(taken: list[tuple[Taint, Toleration]]) -> tuple[Taint, Toleration]:
    return max(taken, key=lambda pair: 10**30 if pair[1].seconds is None else pair[1].seconds)


def _infinite_wins(taken: list[tuple[Taint, Toleration]]) -> tuple[Taint, Toleration]:
    return next((pair for pair in taken if pair[1].seconds is None), min(taken, key=lambda p: p[1].seconds or 0))


def _negative_is_never(found: Decision) -> Decision:
    seconds = found.toleration.seconds if found.toleration else None
    return replace(found, action=Action.NEVER) if seconds is not None and seconds < 0 else found


def _zero_counts_as_a_second(found: Decision) -> Decision:
    return replace(found, delay_s=1.0) if found.rule is RuleId.ZERO_SECONDS else found


def _compared_the_other_way(toleration: Toleration, taint: Taint) -> bool:
    mine, theirs = matching.canonical_int(toleration.value), matching.canonical_int(taint.value)
    return mine is not None and theirs is not None and (mine > theirs) == (toleration.operator is Operator.GT)


def _lenient_int(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _keep_the_earlier(original: Callable[..., None]) -> Callable[..., None]:
    def later(self: TaintEviction, sim_pod: SimPod, found: Decision, at_s: float, origin: Origin) -> None:
        running = self._timers.get(sim_pod.key)
        if running is not None and at_s + found.delay_s < running.fire_s:
            del self._timers[sim_pod.key]
        original(self, sim_pod, found, at_s, origin)

    return later


def _begin_where_it_left_off(original: Callable[..., None]) -> Callable[..., None]:
    def later(self: TaintEviction, sim_pod: SimPod, found: Decision, at_s: float, origin: Origin) -> None:
        again = sim_pod.cancelled_s is not None
        original(self, sim_pod, replace(found, delay_s=found.delay_s / 2) if again else found, at_s, origin)

    return later


def _no_birth(original: Callable[..., None]) -> Callable[..., None]:
    def pod_changed(self: TaintEviction, sim_pod: SimPod, at_s: float, origin: Origin) -> None:
        if origin is not Origin.BIRTH:
            original(self, sim_pod, at_s, origin)

    return pod_changed


def _saved_while_waiting(original: Callable[..., None]) -> Callable[..., None]:
    def cancel(self: TaintEviction, sim_pod: SimPod, at_s: float, why: RuleId = RuleId.TIMER_CANCELLED) -> None:
        original(self, sim_pod, at_s, why)
        if sim_pod.burst is not None and at_s <= sim_pod.burst.done_s:
            sim_pod.due_s = sim_pod.burst = sim_pod.cause = None

    return cancel


def _look_at_nothing(self: TaintEviction, at_s: float, origin: Origin) -> None:
    self._up = True
    for node in self._cluster.nodes.values():
        if taints := decision.no_execute(node.taints):
            self._tainted[node.name] = taints


def _unthrottled(self: Throttle, at_s: float, count: int = 1, requests: int = 3, *, trailing: int = 0) -> DeleteBurst:
    return DeleteBurst(at_s, at_s, count, 0.0, self.settings.latency.delete_s)


def _four_requests(original: Callable[..., DeleteBurst]) -> Callable[..., DeleteBurst]:
    def delete(self: Throttle, at_s: float, count: int = 1, requests: int = 3, *, trailing: int = 0) -> DeleteBurst:
        return original(self, at_s, count, requests + 2, trailing=trailing)

    return delete


def _seen_while_down(self: TaintEviction, at_s: float) -> None:
    self._timers.clear()


def _nothing(*_: object, **__: object) -> None:
    return None


def _full_rate_always(self: NodeLifecycleController, state: ZoneState, size: int) -> float:
    return self._flags.rate_per_s


def _never_full(self: NodeLifecycleController, ready: list[bool]) -> ZoneState:
    return ZoneState.NORMAL


def _swap_with_a_gap(self: NodeLifecycleController, node: Any, at_s: float) -> None:
    wanted = node_lifecycle._NOEXECUTE[node.ready]
    self._write(node, tuple(t for t in node.taints if t.key not in node_lifecycle._NOEXECUTE.values()), at_s)
    self._write(node, (*node.taints, Taint(wanted, Effect.NO_EXECUTE)), at_s)


def _unlimited_tokens(self: Zone, at_s: float) -> None:
    self.tokens = 1000.0
    self.counted_s = at_s


def _end_with_node(self: TaintEviction, name: str) -> None:
    for sim_pod in self._cluster.on_node(name):
        self._timers.pop(sim_pod.key, None)


_TEC, _NLC = TaintEviction, NodeLifecycleController

MUTANTS = (
    Mutant(
        RuleId.ONLY_NOEXECUTE,
        "every taint evicts",
        ((decision, "no_execute", lambda taints: taints), (simulation, "no_execute", lambda taints: taints)),
    ),
    Mutant(RuleId.TOLERATION_MATCHES, "any effect", ((matching, "effect_matches", lambda *_: True),)),
    Mutant(
        RuleId.TOLERATION_MATCHES,
        "empty effect matches none",
        ((matching, "effect_matches", lambda toleration, taint: toleration.effect is taint.effect),),
    ),
    Mutant(RuleId.TOLERATION_MATCHES, "any key", ((matching, "key_matches", lambda *_: True),)),
    Mutant(
        RuleId.TOLERATION_MATCHES,
        "empty key matches none",
        ((matching, "key_matches", lambda toleration, taint: toleration.key == taint.key),),
    ),
    Mutant(RuleId.TOLERATION_MATCHES, "any value", ((matching, "value_matches", lambda *_, **__: True),)),
    Mutant(RuleId.COMPARISON_OPERATORS, "the other way", ((matching, "compared", _compared_the_other_way),)),
    Mutant(
        RuleId.COMPARISON_OPERATORS,
        "any spelling of a number",
        ((matching, "canonical_int", _lenient_int), (tolerations, "canonical_int", _lenient_int)),
    ),
    Mutant(
        RuleId.NO_TOLERATION,
        "a second's grace",
        _decided(lambda d: replace(d, action=Action.LATER, delay_s=1.0) if d.action is Action.NOW else d),
    ),
    Mutant(RuleId.FIRST_MATCH, "the last match", ((decision, "first_match", _last_match),)),
    Mutant(RuleId.FIRST_MATCH, "the laxest match", ((decision, "first_match", _laxest_match),)),
    Mutant(RuleId.SHORTEST_SELECTED, "the longest", ((decision, "shortest", _longest),)),
    Mutant(RuleId.SHORTEST_SELECTED, "infinite wins", ((decision, "shortest", _infinite_wins),)),
    Mutant(
        RuleId.FINITE_TOLERATION,
        "a second more",
        _decided(lambda d: replace(d, delay_s=d.delay_s + 1) if d.delay_s > 0 else d),
    ),
    Mutant(
        RuleId.UNLIMITED_TOLERATION,
        "leaves a running countdown alone",
        _decided(lambda d: replace(d, action=Action.LATER, delay_s=1e9) if d.action is Action.NEVER else d),
    ),
    Mutant(RuleId.ZERO_SECONDS, "negative is never", _decided(_negative_is_never)),
    Mutant(RuleId.ZERO_SECONDS, "zero is one", _decided(_zero_counts_as_a_second)),
    Mutant(RuleId.SECONDS_OVERFLOW, "no overflow", ((decision, "wrapped_ns", lambda seconds: seconds * 10**9),)),
    Mutant(RuleId.TIMER_KEPT, "always replaced", ((taint_eviction, "keeps", lambda _: False),)),
    Mutant(RuleId.TIMER_KEPT, "replaced by an earlier one", ((_TEC, "_later", _keep_the_earlier(_TEC._later)),)),
    Mutant(RuleId.TIMER_CANCELLED, "never cancelled", ((_TEC, "_cancel", _nothing),)),
    Mutant(RuleId.COUNTDOWN_ANEW, "half is forgiven", ((_TEC, "_later", _begin_where_it_left_off(_TEC._later)),)),
    Mutant(RuleId.BOUND_TO_TAINTED_NODE, "not looked at", ((_TEC, "pod_changed", _no_birth(_TEC.pod_changed)),)),
    Mutant(
        RuleId.TIME_ADDED_IGNORED,
        "a new timeAdded is a new countdown",
        ((taint_eviction, "keeps", lambda timer: timer.sim_pod.decision.taint.time_added is None),),
    ),
    Mutant(RuleId.RESTART_RESTARTS_COUNTDOWN, "timers survive", ((_TEC, "kill", _nothing),)),
    Mutant(RuleId.SEEN_AFTER_RESTART, "nothing is looked at", ((_TEC, "sync", _look_at_nothing),)),
    Mutant(RuleId.SEEN_AFTER_RESTART, "it is never down", ((_TEC, "kill", _seen_while_down),)),
    Mutant(RuleId.THROTTLED, "no throttle", ((Throttle, "delete", _unthrottled),)),
    Mutant(RuleId.THROTTLED, "five requests each", ((Throttle, "delete", _four_requests(Throttle.delete)),)),
    Mutant(RuleId.THROTTLED, "three after a restart too", ((taint_eviction, "REQUESTS_AFTER_RESTART", 3),)),
    Mutant(RuleId.TOO_LATE, "saved while waiting", ((_TEC, "_cancel", _saved_while_waiting(_TEC._cancel)),)),
    Mutant(RuleId.DELETED_BY_OTHERS, "the countdown runs on", ((_TEC, "pod_deleted", _nothing),)),
    Mutant(RuleId.INVALID_TOLERATION, "all are taken", ((admission, "refuses_tolerations", _nothing),)),
    Mutant(RuleId.INVALID_TAINT, "all are taken", ((admission, "refuses_taints", _nothing),)),
    Mutant(RuleId.TOLERATIONS_ONLY_GROW, "may shrink", ((admission, "refuses_change", _nothing),)),
    Mutant(RuleId.NAME_TAKEN, "may be taken again", ((SimPod, "presence", lambda *_: Presence.GONE),)),
    Mutant(RuleId.NO_SUCH_OBJECT, "always there", ((SimPod, "presence", lambda *_: Presence.HERE),)),
    Mutant(RuleId.HEALTHY_NODE_CLEANED, "left on", ((_NLC, "_clean", _nothing),)),
    Mutant(
        RuleId.CONDITION_TAINTS,
        "unreachable for both",
        ((node_lifecycle, "_NOEXECUTE", dict.fromkeys((ConditionStatus.FALSE, ConditionStatus.UNKNOWN), UNREACHABLE)),),
    ),
    Mutant(RuleId.NODE_LOSS, "never noticed", ((_NLC, "_update_health", lambda *_: False),)),
    Mutant(RuleId.TAINTING_RATE, "no rate", ((Zone, "refill", _unlimited_tokens),)),
    Mutant(RuleId.ZONE_DISRUPTED, "goes on", ((_NLC, "_rate", _full_rate_always),)),
    Mutant(RuleId.ALL_ZONES_DISRUPTED, "goes on", ((_NLC, "_state", _never_full),)),
    Mutant(RuleId.SWAP_KEEPS_TIMER, "with a gap", ((_NLC, "_swap", _swap_with_a_gap),)),
    Mutant(RuleId.NODE_GONE, "countdowns end with it", ((_TEC, "node_deleted", _end_with_node),)),
)
