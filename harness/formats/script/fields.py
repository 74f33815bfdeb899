"""The write script, declared once: every key with its type and meaning, and the model value it fills.

What the API server would refuse is fine in a write (that is for the predictor to say, and for the replayer to see), but
not in the world at time 0, which could not be set up. Lists and mappings that are left out are empty; nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.formats import labels
from harness.formats.leaves import LABEL_VALUE, TAINT_KEY, choice, number, pattern, text, whole
from harness.formats.nodes import Scalar, describe
from harness.formats.problems import BadValue
from harness.formats.shapes import Field, Leaf, ListOf, OneOf, Pairs, Record
from harness.model.scenario import (
    Component,
    CreatePod,
    DeletePod,
    Restart,
    Scenario,
    ScenarioNode,
    ScenarioPod,
    SetTaints,
    SetTolerations,
    Write,
)
from harness.model.taints import Effect, Operator, Taint, Toleration

VERSION = 1
_LATEST_S = 1e12
"""Thirty thousand years; beyond, seconds lose their fractions."""
_MOST = 200_000
"""As many values as a file may hold: a list is bounded by that alone."""
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"


def _version(scalar: Scalar) -> object:
    if scalar.value == VERSION and type(scalar.value) is int:
        return VERSION
    raise BadValue(f"{describe(scalar)} is not known", f"write {VERSION}")


def _time(written: str) -> str:
    if re.fullmatch(_TIME, written):
        return written
    raise BadValue(f'a time is needed, found "{written}"', "write 2026-01-02T03:04:05Z")


_VERSION = Leaf(str(VERSION), _version, {"const": VERSION})
_ANY = text("a text")
_NAME = text("a name", labels.object_name, minLength=1, maxLength=253, pattern=pattern(labels.SUBDOMAIN))
_SECONDS = number("a number of seconds from 0 on", minimum=0, maximum=_LATEST_S)
_EFFECT = choice("an effect", {effect.value: effect for effect in Effect})
_OPERATOR = choice("an operator", {operator.value: operator for operator in Operator})
_COMPONENT = choice("a component", {component.value: component for component in Component})
_STAMP = text("a time", _time, pattern=pattern(_TIME))


def _list(item: Record | OneOf) -> ListOf:
    return ListOf(item, most=_MOST, may_be_empty=True)


def _taint(title: str, doc: str, *, key: Leaf, value: Leaf) -> Record:
    return Record(
        title,
        doc,
        (
            Field("key", "key", key, "Its key.", required=True),
            Field("value", "value", value, "Its value.", blank=True),
            Field("effect", "effect", _EFFECT, "What it does.", required=True),
            Field("timeAdded", "time_added", _STAMP, "RFC 3339; no controller goes by it.", blank=True),
        ),
        Taint,
    )


_TAINT_AT_START = _taint("Taint", "A taint that the API server takes.", key=TAINT_KEY, value=LABEL_VALUE)
_TAINT = _taint("WrittenTaint", "A taint of a write; the API server may refuse it.", key=_ANY, value=_ANY)

_TOLERATION = Record(
    "Toleration",
    "A toleration. In a write the API server may refuse it; at time 0 it must take it.",
    (
        Field("key", "key", _ANY, "Empty: every key.", blank=True),
        Field("operator", "operator", _OPERATOR, "Without it, Equal.", blank=True),
        Field("value", "value", _ANY, "Held against the taint's value.", blank=True),
        Field("effect", "effect", _EFFECT, "Without it, every effect.", blank=True),
        Field(
            "tolerationSeconds",
            "seconds",
            whole("a 64-bit whole number", least=-(2**63)),
            "Without it, for ever.",
            blank=True,
        ),
    ),
    Toleration,
)


def _node(name: str, labels: tuple[tuple[str, str], ...] = (), taints: tuple[Taint, ...] = ()) -> ScenarioNode:
    return ScenarioNode(name, dict(labels), taints)


_NODE = Record(
    "Node",
    "A node: Ready, and never rebooted.",
    (
        Field("name", "name", _NAME, "Its name.", required=True),
        Field("labels", "labels", Pairs(TAINT_KEY, LABEL_VALUE), "Only the zone matters."),
        Field("taints", "taints", _list(_TAINT_AT_START), "Exactly these, in this order."),
    ),
    _node,
)

_POD = Record(
    "Pod",
    "A pod that is bound from birth, without a grace period and without an owner.",
    (
        Field("name", "key", _NAME, "Its name.", required=True),
        Field("node", "node", _ANY, "The node it is bound to.", required=True),
        Field("tolerations", "tolerations", _list(_TOLERATION), "Exactly as stored, in this order; none is added."),
    ),
    ScenarioPod,
)


def _tuple(**fields: object) -> tuple[object, ...]:
    """The fields in the order of their declaration."""
    return tuple(fields.values())


def _what(title: str, doc: str, *fields: Field) -> Record:
    return Record(title, doc, fields, _tuple)


def _write(title: str, doc: str, key: str, what: Leaf | Record, build: Callable[..., Write]) -> Record:
    at = Field("at", "at_s", _SECONDS, "Seconds after time 0, not decreasing.", required=True)
    return Record(title, doc, (Field(key, "what", what, doc, required=True), at), build)


_ON_NODE = Field("node", "node", _ANY, "The node.", required=True)
_OF_POD = Field("pod", "pod", _ANY, "The pod.", required=True)

WRITE = OneOf(
    "Write",
    "One write. Two with the same `at` go out back to back.",
    (
        _write(
            "SetTaints",
            "Replaces spec.taints as a whole, order kept.",
            "taints",
            _what(
                "NodeAndTaints",
                "Whose, and what.",
                _ON_NODE,
                Field("set", "taints", _list(_TAINT), "The new list.", required=True),
            ),
            lambda what, at_s: SetTaints(at_s, *what),
        ),
        _write(
            "SetTolerations",
            "Replaces spec.tolerations as a whole; the API server may refuse it (422).",
            "tolerations",
            _what(
                "PodAndTolerations",
                "Whose, and what.",
                _OF_POD,
                Field("set", "tolerations", _list(_TOLERATION), "The new list.", required=True),
            ),
            lambda what, at_s: SetTolerations(at_s, *what),
        ),
        _write("CreatePod", "A new pod.", "create", _POD, lambda what, at_s: CreatePod(at_s, what)),
        _write(
            "DeletePod",
            "Deleted by somebody else.",
            "delete",
            _what("ThePod", "Which.", _OF_POD),
            lambda what, at_s: DeletePod(at_s, *what),
        ),
        _write(
            "Restart",
            "SIGKILL, and started again at once.",
            "restart",
            _COMPONENT,
            lambda what, at_s: Restart(at_s, what),
        ),
    ),
)


def _script(
    version: int,
    nodes: tuple[ScenarioNode, ...],
    pods: tuple[ScenarioPod, ...],
    writes: tuple[Write, ...],
    until_s: float,
) -> Scenario:
    return Scenario(nodes, pods, writes, until_s)


SCRIPT = Record(
    "Script",
    "A write script of taintlab: a world, and what is written to it when.",
    (
        Field(
            "version", "version", Leaf("1", _version, {"const": VERSION}), "The version of this format.", required=True
        ),
        Field("nodes", "nodes", _list(_NODE), "Created in this order.", required=True),
        Field("pods", "pods", _list(_POD), "There, and bound, before time 0.", required=True),
        Field("writes", "writes", _list(WRITE), "In the order they go out.", required=True),
        Field("until", "until_s", _SECONDS, "When nobody looks any more, in seconds.", required=True),
    ),
    _script,
)
