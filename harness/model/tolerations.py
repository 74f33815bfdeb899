"""Which tolerations the API takes, and which ones it gives: for the predictor, and for every reader. Pure.

It stands in model because `formats` and `semantics` both need it, and formats is below semantics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.model.names import is_label_key, is_label_value
from harness.model.taints import Effect, Operator, Toleration
from harness.model.wellknown import DEFAULT_TOLERATED, DEFAULT_TOLERATION_S

_DECIMAL = re.compile(r"0|-?[1-9][0-9]*")
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the API server answers 422: the field (as core/v1 spells it), what is wrong with it, and the fix."""

    field: str
    message: str
    fix: str


def refusals(toleration: Toleration, *, compares: bool = True) -> Iterator[Refusal]:
    """Everything that the API server has against this toleration; nothing when it takes it (identical ones and negative
    seconds are fine with it). `compares`: its gate for Gt and Lt is on.

    Upstream: pkg/apis/core/validation/validation.go, ValidateTolerations.
    """
    if toleration.key and not is_label_key(toleration.key):
        yield Refusal("key", f'"{toleration.key}" is not a key', "write it like spot or example.com/spot")
    if not toleration.key and toleration.operator is not Operator.EXISTS:
        fix = "write the key, or operator: Exists for every key"
        yield Refusal("key", "only operator Exists goes without a key", fix)
    if toleration.seconds is not None and toleration.effect is not Effect.NO_EXECUTE:
        found = f"effect {toleration.effect}" if toleration.effect else "no effect"
        yield Refusal(
            "tolerationSeconds",
            f"the API server refuses it with {found}: only NoExecute evicts running pods",
            "write effect: NoExecute, or take tolerationSeconds out",
        )
    yield from _value_refusals(toleration, compares=compares)


def _value_refusals(toleration: Toleration, *, compares: bool) -> Iterator[Refusal]:
    value = toleration.value
    match toleration.operator:
        case Operator.EXISTS:
            if value:
                fix = "take the value out, or write operator: Equal"
                yield Refusal("value", "operator Exists takes no value", fix)
        case Operator.EQUAL:
            if not is_label_value(value):
                fix = "write a value that a taint can have"
                if canonical_int(value) is not None:
                    fix += ", or operator: Gt or Lt"
                yield Refusal("value", f'"{value}" is not a label value, so no taint can have it', fix)
        case Operator.GT | Operator.LT:
            if not compares:
                words = f"{toleration.operator} needs the feature gate TaintTolerationComparisonOperators"
                yield Refusal("operator", words, "write Exists or Equal")
            if canonical_int(value) is None:
                words = f'operator {toleration.operator} compares whole numbers, found "{value}"'
                yield Refusal("value", words, 'write it like "24": no sign +, no leading zeros')


def is_default(toleration: Toleration) -> bool:
    """Whether it is one of the two that admission gives to every pod (DefaultTolerationSeconds): no word worth in a
    list for people.
    """
    is_key = toleration.key in DEFAULT_TOLERATED and toleration.effect is Effect.NO_EXECUTE
    return is_key and toleration.seconds == DEFAULT_TOLERATION_S


def canonical_int(text: str) -> int | None:
    """The number, if `text` is how a signed 64-bit integer is written: no plus sign, no leading zero, no blanks."""
    if len(text) > 20 or not _DECIMAL.fullmatch(text):
        return None
    number = int(text)
    return number if number in _INT64 else None
