"""What the declarations of faults are made of; each kind of fault declares its own record with it."""

from __future__ import annotations

import re
from functools import lru_cache

from harness.formats import labels
from harness.formats.experiment.kinds import Kinds
from harness.formats.leaves import DURATION, LABEL_VALUE, SELECTOR, TAINT_KEY, choice, pattern, text, whole
from harness.formats.shapes import Field, OneOf, Record
from harness.model.taints import Effect, Operator, Taint, Toleration

EFFECT = choice("an effect", {effect.value: effect for effect in Effect})

AT = Field("at", "at_s", DURATION, "When, counted from the start of the fault phase.", default="0s")
FOR = Field("for", "for_s", DURATION, "Undone after this long; without it, at the end of the fault phase.")

TAINT = Record(
    "Taint",
    "A taint as `kubectl taint` writes it.",
    (
        Field("key", "key", TAINT_KEY, "Such as `spot-interruption` or `example.com/maintenance`.", required=True),
        Field(
            "value",
            "value",
            LABEL_VALUE,
            "A label value, quoted when YAML would read it as something else.",
            default='""',
        ),
        Field("effect", "effect", EFFECT, "`NoExecute` evicts; the other two only steer new pods.", required=True),
    ),
    Taint,
    slips={
        "tolerationSeconds": "that is a field of the pod's toleration, not of the taint",
        "operator": "that is a field of the pod's toleration; a taint has key, value and effect",
        "timeAdded": "take it out; no controller times evictions by it",
    },
)


def _toleration_key(key: str) -> str:
    return labels.qualified_name(key) if key else key


def _toleration_value(value: str) -> str:
    return value if re.fullmatch(_WHOLE, value) else labels.label_value(value)


_WHOLE = "-?[0-9]+"
TOLERATION_VALUE = text("text", _toleration_value, maxLength=63, pattern=pattern(f"({labels.NAME_PART})?|{_WHOLE}"))
"""A label value, or for Gt and Lt a number, which may be negative."""

TOLERATION = Record(
    "Toleration",
    "One entry of a pod's tolerations, in Kubernetes' own words.",
    (
        Field(
            "key",
            "key",
            text("a key", _toleration_key, maxLength=317, pattern=pattern(f"({labels.QUALIFIED_NAME})?")),
            "Empty with `Exists`: every key.",
            default='""',
        ),
        Field(
            "operator",
            "operator",
            choice("an operator", {operator.value: operator for operator in Operator}),
            "`Gt` and `Lt` need Kubernetes 1.35 and the gate TaintTolerationComparisonOperators.",
            default="Equal",
        ),
        Field("value", "value", TOLERATION_VALUE, "Held against the taint's value; none with `Exists`.", default='""'),
        Field("effect", "effect", EFFECT, "Without it, every effect."),
        Field(
            "tolerationSeconds",
            "seconds",
            whole("a whole number of seconds", least=-(2**63)),
            "How long a NoExecute taint is tolerated; without it, for ever. Only with effect NoExecute.",
        ),
    ),
    Toleration,
)

PODS = Field("pods", "pods", SELECTOR, "Pods by label, in kubectl's syntax.", required=True)


@lru_cache
def fault_shape(kinds: Kinds) -> OneOf:
    """One entry of `faults`: one of these kinds."""
    return OneOf("Fault", "One thing that is done in the fault phase.", tuple(kind.shape for kind in kinds))
