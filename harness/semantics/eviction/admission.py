"""What the API server does to a pod's or node's spec before it is stored: refuse it, or add default tolerations.

Upstream: pkg/apis/core/validation/validation.go (ValidateTolerations, validateOnlyAddedTolerations,
validateNodeTaints) and plugin/pkg/admission/defaulttolerationseconds/admission.go.
"""

from __future__ import annotations

import re

from harness.model import wellknown
from harness.model.taints import Effect, Operator, Taint, Toleration
from harness.semantics.eviction.matching import canonical_int
from harness.semantics.rules import RuleId

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_label_key(text: str) -> bool:
    """A qualified name: at most 63 characters, perhaps after a DNS name of at most 253 and a slash."""
    prefix, slash, name = text.rpartition("/")
    if slash and not (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix)):
        return False
    return _NAME.fullmatch(name) is not None


def is_label_value(text: str) -> bool:
    """Empty, or at most 63 letters, digits, dashes, dots and underscores, the first and last a letter or digit."""
    return not text or _NAME.fullmatch(text) is not None


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
    """Whether the API server takes this toleration (identical ones and negative seconds are fine with it)."""
    if toleration.key and not is_label_key(toleration.key):
        return False
    if not toleration.key and toleration.operator is not Operator.EXISTS:
        return False
    if toleration.seconds is not None and toleration.effect is not Effect.NO_EXECUTE:
        return False
    match toleration.operator:
        case Operator.EXISTS:
            return not toleration.value
        case Operator.EQUAL:
            return is_label_value(toleration.value)
        case Operator.GT | Operator.LT:
            return compares and canonical_int(toleration.value) is not None


def with_defaults(tolerations: tuple[Toleration, ...], seconds: int) -> tuple[Toleration, ...]:
    """`tolerations` as DefaultTolerationSeconds stores them: not-ready and unreachable for `seconds`, appended unless
    one with that key or none, and effect NoExecute or none, is there (whatever its operator, value or seconds).
    """
    out = tolerations
    for key in wellknown.DEFAULT_TOLERATED:
        if not any(each.key in ("", key) and each.effect in (None, Effect.NO_EXECUTE) for each in tolerations):
            out += (Toleration(key=key, operator=Operator.EXISTS, effect=Effect.NO_EXECUTE, seconds=seconds),)
    return out
