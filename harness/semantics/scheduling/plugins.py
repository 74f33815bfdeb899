"""The filters that depend on other pods: host ports, topology spread, affinity and anti-affinity.

Each rule answers for one pod template and is told where that template's pods are put, so that the next answer counts
them in. Sources: pkg/scheduler/framework/plugins/nodeports, podtopologyspread/filtering.go,
interpodaffinity/filtering.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from harness.semantics.scheduling import reasons


class FilterResult(Enum):
    """OK: this node will do. LATER: not now, perhaps once others of its kind have been placed. NEVER: nor later."""

    OK = auto()
    LATER = auto()
    NEVER = auto()


class Filter(Protocol):
    """`keys`: the node labels it looks at; nodes equal in them get the same answer, unless it is `per_node`."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Label keys."""
        ...

    @property
    def per_node(self) -> bool:
        """Whether it looks at the node itself."""
        ...

    def verdict(self, node: int) -> FilterResult:
        """Whether one more pod may go to the node."""
        ...

    def reason(self, node: int) -> str:
        """Why not, in the scheduler's words."""
        ...

    def placed(self, node: int) -> bool:
        """One more pod went there; whether that may turn a LATER into an OK elsewhere."""
        ...

    def crowd(self, node: int) -> int:
        """How many of those it counts are in the node's domain: fewer is better."""
        ...


class NodePorts:
    """Host ports: at most one pod a node."""

    keys: tuple[str, ...] = ()
    per_node = True

    def __init__(self, taken: Iterable[int]) -> None:
        """`taken`: the nodes where a conflicting port is in use."""
        self._taken = set(taken)

    def verdict(self, node: int) -> FilterResult:
        """NEVER where a port is taken."""
        return FilterResult.NEVER if node in self._taken else FilterResult.OK

    def reason(self, node: int) -> str:
        """The only one there is."""
        return reasons.PORTS

    def placed(self, node: int) -> bool:
        """Its own port is taken now."""
        self._taken.add(node)
        return False

    def crowd(self, node: int) -> int:
        """Counts nobody."""
        return 0


@dataclass(frozen=True, slots=True)
class Domains:
    """The domains of a spread constraint. `values`: the label's value by node. `eligible`: whether a node's pods count,
    by node. `names`: values of eligible nodes.
    """

    values: Sequence[str | None]
    eligible: bytearray
    names: frozenset[str]


class PodTopologySpread:
    """One topologySpreadConstraint: matching pods here, plus this one, minus the fewest anywhere, is at most
    maxSkew.
    """

    per_node = False

    def __init__(self, key: str, domains: Domains, *, max_skew: int, min_domains: int, selects_itself: bool) -> None:
        """Counts start at 0: see `count`."""
        self.keys: tuple[str, ...] = (key,)
        self._domains = domains
        self._max_skew = max_skew
        self._too_few = len(domains.names) < min_domains
        self._selects_itself = selects_itself
        self._counts: dict[str, int] = {}
        self._levels: Counter[int] = Counter({0: len(domains.names)})
        self._least = 0

    def count(self, nodes: Iterable[int]) -> None:
        """Matching pods are on these nodes."""
        for node in nodes:
            self._one_more(node)

    def uncount(self, node: int, number: int) -> None:
        """So many of them are not."""
        value = self._domains.values[node]
        if value is None or not number or not self._domains.eligible[node]:
            return
        before = self._counts[value]
        self._levels[before] -= 1
        self._counts[value] = before - number
        self._levels[before - number] += 1
        self._least = min(self._least, before - number)

    def _one_more(self, node: int) -> bool:
        value = self._domains.values[node]
        if value is None or not self._domains.eligible[node]:
            return False
        before = self._counts.get(value, 0)
        self._counts[value] = before + 1
        self._levels[before] -= 1
        self._levels[before + 1] += 1
        if before == self._least and not self._levels[before]:
            self._least = before + 1
            return True
        return False

    def verdict(self, node: int) -> FilterResult:
        """NEVER without the label, LATER where the skew would grow too large."""
        value = self._domains.values[node]
        if value is None:
            return FilterResult.NEVER
        least = 0 if self._too_few else self._least
        skew = self._counts.get(value, 0) + self._selects_itself - least
        return FilterResult.LATER if skew > self._max_skew else FilterResult.OK

    def reason(self, node: int) -> str:
        """A missing label is told apart."""
        if self._domains.values[node] is None:
            return reasons.SPREAD_LABEL
        return reasons.SPREAD

    def placed(self, node: int) -> bool:
        """Counts the pod if the constraint selects it."""
        return self._selects_itself and self._one_more(node) and not self._too_few

    def crowd(self, node: int) -> int:
        """Matching pods in the node's domain."""
        return self._counts.get(self._domains.values[node] or "", 0)


class InterPodAntiAffinity:
    """Anti-affinity by one topology key: not into a domain where one of the others is."""

    per_node = False

    def __init__(
        self, key: str, values: Sequence[str | None], others: Iterable[int], *, why: str, itself: bool
    ) -> None:
        """`others`: the nodes of those to keep away from. `why`: the refusal's text. `itself`: pods of the template
        keep away from each other.
        """
        self.keys: tuple[str, ...] = (key,)
        self._values = values
        self._why = why
        self._itself = itself
        self._blocked = Counter(value for node in others if (value := values[node]) is not None)

    def uncount(self, node: int, number: int) -> None:
        """So many of the others are not on that node."""
        value = self._values[node]
        if value is not None:
            self._blocked[value] -= number

    def verdict(self, node: int) -> FilterResult:
        """NEVER in a domain with one of the others; a node without the label is in no domain."""
        value = self._values[node]
        return FilterResult.NEVER if value is not None and self._blocked[value] > 0 else FilterResult.OK

    def reason(self, node: int) -> str:
        """The only one there is."""
        return self._why

    def placed(self, node: int) -> bool:
        """The next one keeps away from this one, if they do."""
        value = self._values[node]
        if self._itself and value is not None:
            self._blocked[value] += 1
        return False

    def crowd(self, node: int) -> int:
        """Counts nobody."""
        return 0


class InterPodAffinity:
    """Affinity: into domains where pods are that all its terms mean; the first of its kind may go anywhere."""

    per_node = False

    def __init__(
        self, values: Mapping[str, Sequence[str | None]], friends: Iterable[int], *, means_itself: bool
    ) -> None:
        """`values`: by topology key, the label's value by node. `friends`: the nodes of those it wants to be near."""
        self.keys: tuple[str, ...] = tuple(values)
        self._values = values
        self._means_itself = means_itself
        self._there: dict[str, Counter[str]] = {key: Counter() for key in values}
        for node in friends:
            self._count(node, 1)

    def _count(self, node: int, number: int) -> None:
        for key, values in self._values.items():
            value = values[node]
            if value is not None:
                self._there[key][value] += number

    def uncount(self, node: int, number: int) -> None:
        """So many of them are not on that node."""
        self._count(node, -number)

    def verdict(self, node: int) -> FilterResult:
        """NEVER without one of the labels."""
        near = True
        for key, values in self._values.items():
            value = values[node]
            if value is None:
                return FilterResult.NEVER
            near = near and self._there[key][value] > 0
        if near or (self._means_itself and not any(any(there.values()) for there in self._there.values())):
            return FilterResult.OK
        return FilterResult.LATER

    def reason(self, node: int) -> str:
        """The only one there is."""
        return reasons.AFFINITY

    def placed(self, node: int) -> bool:
        """The next one may be near this one."""
        if self._means_itself:
            self._count(node, 1)
        return self._means_itself

    def crowd(self, node: int) -> int:
        """Counts nobody."""
        return 0
