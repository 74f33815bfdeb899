"""What the API server does to a pod's or node's spec before it is stored: refuse it, or add default tolerations.

Upstream: pkg/apis/core/validation/validation.go (ValidateTolerations, validateOnlyAddedTolerations,
validateNodeTaints) and plugin/pkg/admission/defaulttolerationseconds/admission.go.
"""

from __future__ import annotations

from harness.model import wellknown
from harness.model.names import is_label_key, is_label_value
from harness.model.taints import Effect, Operator, Taint, Toleration
from harness.model.tolerations import refusals
from harness.semantics.rules import RuleId


def refuses_taints(taints: tuple[Taint, ...]) -> RuleId | None:
    """Why the API server answers 422 to a node with these taints; None when it takes them."""
    wrong = any(not is_label_key(taint.key) or not is_label_value(taint.value) for taint in taints)
    if wrong or len({taint.identity for taint in taints}) < len(taints):
        return RuleId.INVALID_TAINT
    return None


def refuses_tolerations(tolerations: tuple[Toleration, ...], *, compares: bool) -> RuleId | None:
    """Why the API server answers 422 to a new pod with these; `compares`: its gate for Gt and Lt is on."""
    valid = all(is_valid(toleration, compares=compares) for toleration in tolerations)
    return None if valid else RuleId.INVALID_TOLERATION


def refuses_change(old: tuple[Toleration, ...], new: tuple[Toleration, ...], *, compares: bool) -> RuleId | None:
    """Why the API server answers 422 to a pod's change from `old` to `new`; None when it takes it."""
    kept = {(each.key, each.operator, each.value, each.effect) for each in new}
    if any((each.key, each.operator, each.value, each.effect) not in kept for each in old):
        return RuleId.TOLERATIONS_ONLY_GROW
    return refuses_tolerations(new, compares=compares)


def is_valid(toleration: Toleration, *, compares: bool) -> bool:
    """Whether the API server takes this toleration."""
    return next(refusals(toleration, compares=compares), None) is None


def with_defaults(tolerations: tuple[Toleration, ...], seconds: int) -> tuple[Toleration, ...]:
    """`tolerations` as DefaultTolerationSeconds stores them: not-ready and unreachable for `seconds`, appended unless
    one with that key or none, and effect NoExecute or none, is there (whatever its operator, value or seconds).
    """
    out = tolerations
    for key in wellknown.DEFAULT_TOLERATED:
        if not any(each.key in ("", key) and each.effect in (None, Effect.NO_EXECUTE) for each in tolerations):
            out += (Toleration(key=key, operator=Operator.EXISTS, effect=Effect.NO_EXECUTE, seconds=seconds),)
    return out
