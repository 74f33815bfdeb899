"""Does this toleration match this taint? Upstream: k8s.io/api/core/v1/toleration.go, ToleratesTaint."""

from __future__ import annotations

from harness.model.taints import Operator, Taint, Toleration
from harness.model.tolerations import canonical_int


def tolerates(toleration: Toleration, taint: Taint, *, compares: bool) -> bool:
    """Whether `toleration` matches `taint`; `compares`: the gate of Gt and Lt is on (off: they match nothing)."""
    return (
        effect_matches(toleration, taint)
        and key_matches(toleration, taint)
        and value_matches(toleration, taint, compares=compares)
    )


def effect_matches(toleration: Toleration, taint: Taint) -> bool:
    """An effect must be the taint's own; no effect matches all three."""
    return toleration.effect is None or toleration.effect is taint.effect


def key_matches(toleration: Toleration, taint: Taint) -> bool:
    """A key must be the taint's own; no key matches all (the API then demands Exists)."""
    return not toleration.key or toleration.key == taint.key


def value_matches(toleration: Toleration, taint: Taint, *, compares: bool) -> bool:
    """Exists: any value. Equal: the same text. Gt and Lt: see `compared`."""
    match toleration.operator:
        case Operator.EXISTS:
            return True
        case Operator.EQUAL:
            return toleration.value == taint.value
        case Operator.GT | Operator.LT:
            return compares and compared(toleration, taint)


def compared(toleration: Toleration, taint: Taint) -> bool:
    """Gt: the taint's value is greater than the toleration's; Lt: less. Equal never matches, nor does anything that is
    not a canonical signed 64-bit decimal. (KEP-5471's pseudo-code says the inverse; code and unit tests say this.)
    """
    mine, theirs = canonical_int(toleration.value), canonical_int(taint.value)
    if mine is None or theirs is None:
        return False
    return theirs > mine if toleration.operator is Operator.GT else theirs < mine
