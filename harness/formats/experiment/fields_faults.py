"""The faults of the declaration: one record for each, told apart by its first key."""

from __future__ import annotations

import re

from harness.formats import labels, values
from harness.formats.leaves import DURATION, LABEL_VALUE, SELECTOR, TAINT_KEY, choice, pattern, text, whole
from harness.formats.shapes import Field, ListOf, OneOf, Record
from harness.model.experiment import CordonFault, Requirement, RestartFault, TaintFault, TolerationsFault
from harness.model.taints import Effect, Operator, Taint, Toleration

EFFECT = choice("an effect", {effect.value: effect for effect in Effect})
RESTARTABLE = tuple(name for name in values.COMPONENTS if name != "kubelet")

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


def _tolerations(what: tuple[tuple[Requirement, ...], tuple[Toleration, ...]], at_s: float) -> TolerationsFault:
    selector, tolerations = what
    return TolerationsFault(selector=selector, tolerations=tolerations, at_s=at_s)


def _pods_and_set(
    pods: tuple[Requirement, ...], tolerations: tuple[Toleration, ...]
) -> tuple[tuple[Requirement, ...], tuple[Toleration, ...]]:
    return pods, tolerations


def _no_settings() -> tuple[()]:
    return ()


def _cordon(nothing: tuple[()], at_s: float, for_s: float | None = None) -> CordonFault:
    return CordonFault(at_s=at_s, for_s=for_s)


FAULT = OneOf(
    "Fault",
    "One thing that is done in the fault phase.",
    (
        Record(
            "TaintFault",
            "Put a taint on every target.",
            (Field("taint", "taint", TAINT, "The taint.", required=True), AT, FOR),
            TaintFault,
            slips=dict.fromkeys(TAINT.keys, "it belongs into taint: {...}"),
        ),
        Record(
            "TolerationsFault",
            "Replace the tolerations of running pods of the workload. The API lets tolerations be added and re-ordered "
            "and tolerationSeconds be edited; it refuses to take one away. Not undone: the pods go with the run.",
            (
                Field(
                    "tolerations",
                    "what",
                    Record(
                        "TolerationsChange",
                        "Which pods, and what they tolerate from then on.",
                        (
                            Field("pods", "pods", SELECTOR, "Pods by label, in kubectl's syntax.", required=True),
                            Field("set", "tolerations", ListOf(TOLERATION), "The whole list, in order.", required=True),
                        ),
                        _pods_and_set,
                    ),
                    "The change.",
                    required=True,
                ),
                AT,
            ),
            _tolerations,
            slips={"for": "a change of tolerations is not undone, so take for out"},
        ),
        Record(
            "RestartFault",
            "Kill a component of the lab's control plane (SIGKILL) and start it again. Lab only.",
            (
                Field(
                    "restart",
                    "component",
                    choice("a component that can be restarted", {name: name for name in RESTARTABLE}),
                    "The component.",
                    required=True,
                ),
                AT,
            ),
            RestartFault,
            slips={"for": "a restarted component is back at once, so take for out"},
        ),
        Record(
            "CordonFault",
            "Set spec.unschedulable on every target.",
            (
                Field(
                    "cordon",
                    "nothing",
                    Record("Cordon", "No settings.", (), _no_settings),
                    "Written `{}`.",
                    required=True,
                ),
                AT,
                FOR,
            ),
            _cordon,
        ),
    ),
)
