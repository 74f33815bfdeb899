"""The topology file, declared once: every key with its type, default and meaning, and the value it fills."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.formats import labels, values
from harness.formats.leaves import DURATION, choice, pattern, text, whole, written
from harness.formats.nodes import Scalar
from harness.formats.problems import BadValue
from harness.formats.shapes import Field, Leaf, ListOf, Pairs, Record, Short
from harness.model.names import KEY_MAX, LABEL_MAX, NAME_PART, QUALIFIED_NAME
from harness.model.taints import Effect, Taint
from harness.model.topology import DEFAULT_EVICTION_HARD, DEFAULT_PRESSURE_TRANSITION_S, MAX_NODES

_NODE_NAME = r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?"
_PERCENT = r"[0-9]+(\.[0-9]+)?%"


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """One entry of `nodes`: a node called `name`, or `count` of them called ``name-1`` and so on. `eviction_hard` None:
    the defaults.
    """

    name: str
    count: int | None = None
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()
    capacity: tuple[tuple[str, str], ...] = ()
    eviction_hard: tuple[tuple[str, str], ...] | None = None
    eviction_pressure_transition_s: int = DEFAULT_PRESSURE_TRANSITION_S

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its nodes."""
        if self.count is None:
            return (self.name,)
        return tuple(f"{self.name}-{number}" for number in range(1, self.count + 1))


@dataclass(frozen=True, slots=True)
class Written:
    """The whole file."""

    nodes: tuple[NodeGroup, ...]
    programs: tuple[tuple[str, tuple[str, ...]], ...] = ()


def _threshold(written: str) -> str:
    return written if re.fullmatch(_PERCENT, written) else values.quantity(written)


def _whole_seconds(scalar: Scalar) -> object:
    seconds = DURATION.parse(scalar)
    if isinstance(seconds, float) and seconds.is_integer() and seconds > 0:
        return int(seconds)
    raise BadValue(f"whole seconds are needed, at least 1, found {scalar.text}", "write 30s, 5m or 1h")


def _node_name(written: str) -> str:
    if re.fullmatch(_NODE_NAME, written):
        return written
    raise BadValue(f'"{written}" is no node name: lower-case letters, digits and dashes, at most 50')


_QUANTITY = written("a quantity", values.quantity, pattern=pattern(values.QUANTITY))
_THRESHOLD = written("a threshold", _threshold, pattern=pattern(f"{values.QUANTITY}|{_PERCENT}"))
_RESOURCE = text("a resource", labels.qualified_name, minLength=1, maxLength=KEY_MAX, pattern=pattern(QUALIFIED_NAME))
_KEY = text("a key", labels.qualified_name, minLength=1, maxLength=KEY_MAX, pattern=pattern(QUALIFIED_NAME))
_VALUE = written("a label value", labels.label_value, maxLength=LABEL_MAX, pattern=pattern(f"({NAME_PART})?"))
"""As it is written: `true` and `1` need no quotes here, and nothing is empty text."""

TAINT = Short(
    text("a taint", labels.parse_taint, minLength=1),
    Record(
        "Taint",
        "A taint as `kubectl taint` writes it: the text `key=value:Effect`, or this mapping.",
        (
            Field("key", "key", _KEY, "Such as `spot` or `example.com/spot`.", required=True),
            Field("value", "value", _VALUE, "A label value.", default='""'),
            Field(
                "effect",
                "effect",
                choice("an effect", {effect.value: effect for effect in Effect}),
                "What it does to pods that do not tolerate it.",
                required=True,
            ),
        ),
        Taint,
    ),
)


def _signals(**thresholds: str) -> tuple[tuple[str, str], ...]:
    return tuple(thresholds.items())


NODE = Record(
    "NodeGroup",
    "One node, or several of a kind.",
    (
        Field(
            "name",
            "name",
            text("a name", _node_name, minLength=1, maxLength=50, pattern=pattern(_NODE_NAME)),
            "With a count: `name-1`, `name-2`; without: one node of exactly this name.",
            required=True,
        ),
        Field("count", "count", whole("a number of nodes", least=1, most=MAX_NODES), "How many of them."),
        Field("labels", "labels", Pairs(_KEY, _VALUE), "Its labels."),
        Field("taints", "taints", ListOf(TAINT, may_be_empty=True), "Its taints, in this order."),
        Field(
            "capacity",
            "capacity",
            Pairs(_RESOURCE, _QUANTITY),
            "cpu 8, memory 16Gi, pods 110, ephemeral-storage 100Gi where it names nothing else; any extended resource "
            "may be added.",
        ),
        Field(
            "evictionHard",
            "eviction_hard",
            Record(
                "EvictionHard",
                "The kubelet's own words. Without it upstream's thresholds, and `pid.available` 5 %; naming any "
                "replaces them all, as upstream.",
                tuple(
                    Field(signal, signal, _THRESHOLD, "A quantity or a percentage.") for signal in DEFAULT_EVICTION_HARD
                ),
                _signals,
            ),
            "When the kubelet evicts at once.",
        ),
        Field(
            "evictionPressureTransitionPeriod",
            "eviction_pressure_transition_s",
            Leaf(DURATION.name, _whole_seconds, DURATION.schema, DURATION.longest),
            "How long a pressure condition stays; upstream: 5m.",
            default=f"{DEFAULT_PRESSURE_TRANSITION_S}s",
        ),
    ),
    NodeGroup,
)

TOPOLOGY = Record(
    "Topology",
    "The nodes of a lab.",
    (
        Field("nodes", "nodes", ListOf(NODE, most=MAX_NODES), "In the order of their addresses.", required=True),
        Field(
            "programs",
            "programs",
            Pairs(text("an image", minLength=1), ListOf(text("an argument"))),
            "What an image (without tag) runs: an absolute path with arguments, `@host` or `@stand-in`.",
        ),
    ),
    Written,
)
