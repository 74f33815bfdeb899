"""Selectors over labels: of pods (metav1.LabelSelector) and of nodes (core/v1 NodeSelectorTerm).

Source: k8s.io/apimachinery pkg/labels/selector.go (Requirement.Matches), k8s.io/component-helpers
scheduling/corev1/nodeaffinity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Operator(StrEnum):
    """How a requirement's values are held against a label. GT and LT: node affinity only."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


@dataclass(frozen=True, slots=True)
class LabelTerm:
    """One requirement on one label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """NOT_IN also matches where the label is missing; GT and LT compare integers and match nothing else."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
            case Operator.GT | Operator.LT:
                return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        try:
            theirs, mine = int(value), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return theirs > mine if self.operator is Operator.GT else theirs < mine


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All of `terms` must hold; none at all matches everything. `nothing`: a selector that was not given."""

    terms: tuple[LabelTerm, ...] = ()
    nothing: bool = False

    @property
    def is_empty(self) -> bool:
        """Given, but without a term: it matches everything (some users of selectors treat it as nothing)."""
        return not self.terms and not self.nothing

    @property
    def handle(self) -> tuple[str, str] | None:
        """A label that everything selected must carry, if a term says so: what to look it up by."""
        for term in self.terms:
            if term.operator is Operator.IN and len(term.values) == 1:
                return term.key, term.values[0]
        return None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels are selected."""
        return not self.nothing and all(term.matches(labels) for term in self.terms)


EVERYTHING = LabelSelector()
"""An empty selector."""
NOTHING = LabelSelector(nothing=True)
"""What an absent selector is."""


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """One of several alternatives: all of `labels` and of `names` (requirements on metadata.name) must hold."""

    labels: tuple[LabelTerm, ...] = ()
    names: tuple[LabelTerm, ...] = ()

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether the node of that name and these labels is meant; an empty term means none."""
        if not self.labels and not self.names:
            return False
        named = {"metadata.name": name}
        return all(term.matches(labels) for term in self.labels) and all(term.matches(named) for term in self.names)


def any_matches(terms: tuple[NodeTerm, ...], name: str, labels: Mapping[str, str]) -> bool:
    """Whether one of the alternatives means this node; no alternatives mean none."""
    return any(term.matches(name, labels) for term in terms)
