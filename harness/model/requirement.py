"""One term of a label selector, by Kubernetes' rules (apimachinery/pkg/labels/selector.go)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector: `values` empty and `negated` False means "has the label", negated "has it not"."""

    key: str
    values: tuple[str, ...] = ()
    negated: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Kubernetes' rule: ``!=`` and ``notin`` also match objects without the label."""
        if not self.values:
            return (self.key in labels) != self.negated
        return (labels.get(self.key) in self.values) != self.negated

    def __str__(self) -> str:
        """kubectl's spelling: ``app=web``, ``zone in (a, b)``, ``!gpu``."""
        if not self.values:
            return f"!{self.key}" if self.negated else self.key
        if len(self.values) == 1:
            return f"{self.key}{'!=' if self.negated else '='}{self.values[0]}"
        return f"{self.key} {'notin' if self.negated else 'in'} ({', '.join(self.values)})"
