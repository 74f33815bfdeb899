"""From a node's taints and a pod's tolerations to what is to be done with the pod.

Upstream: GetMatchingTolerations (pkg/apis/core/v1/helper/helpers.go), getMinTolerationTime and processPodOnNode
(pkg/controller/tainteviction/taint_eviction.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from harness.model.taints import Effect, Taint, Toleration
from harness.semantics.matching import tolerates
from harness.semantics.rules import RuleId


class Action(Enum):
    """NOW: delete without a countdown. LATER: start one, unless one runs. NEVER: cancel any that runs."""

    NOW = auto()
    LATER = auto()
    NEVER = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with one pod, and why.

    `delay_s`: for LATER the length of a new countdown. `taint` is the one at work, `toleration` the one taken for it
    (None for NOW).
    """

    action: Action
    delay_s: float
    rule: RuleId
    taint: Taint
    toleration: Toleration | None = None


def no_execute(taints: tuple[Taint, ...]) -> tuple[Taint, ...]:
    """The taints that evict, in order."""
    return tuple(taint for taint in taints if taint.effect is Effect.NO_EXECUTE)


def decide(taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...], *, compares: bool) -> Decision:
    """What becomes of a pod with `tolerations` on a node whose NoExecute taints are `taints` (at least one)."""
    taken: list[tuple[Taint, Toleration]] = []
    for taint in taints:
        toleration = first_match(taint, tolerations, compares=compares)
        if toleration is None:
            return Decision(Action.NOW, 0.0, RuleId.NO_TOLERATION, taint)
        taken.append((taint, toleration))
    taint, toleration = shortest(taken)
    if toleration.seconds is None:
        rule = RuleId.FIRST_MATCH if _order_matters(taken, tolerations, compares) else RuleId.UNLIMITED_TOLERATION
        return Decision(Action.NEVER, 0.0, rule, taint, toleration)
    if toleration.seconds <= 0:
        return Decision(Action.LATER, 0.0, RuleId.ZERO_SECONDS, taint, toleration)
    delay_ns = wrapped_ns(toleration.seconds)
    if delay_ns != toleration.seconds * 10**9:
        action = Action.NEVER if delay_ns < 0 else Action.LATER
        return Decision(action, max(delay_ns, 0) / 1e9, RuleId.SECONDS_OVERFLOW, taint, toleration)
    if _order_matters(taken, tolerations, compares):
        rule = RuleId.FIRST_MATCH
    elif len({chosen.seconds for _, chosen in taken}) > 1:
        rule = RuleId.SHORTEST_SELECTED
    else:
        rule = RuleId.FINITE_TOLERATION
    return Decision(Action.LATER, float(toleration.seconds), rule, taint, toleration)


def first_match(taint: Taint, tolerations: tuple[Toleration, ...], *, compares: bool) -> Toleration | None:
    """The first of `tolerations` that matches `taint`; None when none does."""
    for toleration in tolerations:
        if tolerates(toleration, taint, compares=compares):
            return toleration
    return None


def shortest(taken: list[tuple[Taint, Toleration]]) -> tuple[Taint, Toleration]:
    """Of the tolerations taken, with their taints: the one with the fewest seconds; one without if all lack them."""
    finite = [pair for pair in taken if pair[1].seconds is not None]
    return min(finite or taken, key=lambda pair: pair[1].seconds or 0)


def wrapped_ns(seconds: int) -> int:
    """`seconds` in nanoseconds as a signed 64-bit integer that wraps, like Go's ``time.Duration(s) * time.Second``."""
    return (seconds * 10**9 + 2**63) % 2**64 - 2**63


def _order_matters(taken: list[tuple[Taint, Toleration]], tolerations: tuple[Toleration, ...], compares: bool) -> bool:
    """Whether another order of the list could have taken a toleration with other seconds (for the explanation only)."""
    return len(tolerations) > 1 and any(
        other.seconds != chosen.seconds and tolerates(other, taint, compares=compares)
        for taint, chosen in taken
        for other in tolerations
    )
