"""Which node is tried next: the emptiest one that is allowed, found without looking at all of them.

The feasible nodes wait in heaps by tier and by domain, ordered by how full they are. Fullness changes while pods of
other templates are placed; since it only grows, a node whose place in its heap is out of date is put right when it
comes up.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from harness.semantics.scheduling.free_resources import FreeResources, Need
from harness.semantics.scheduling.nodes import NodeTable
from harness.semantics.scheduling.plugins import Filter, FilterResult
from harness.semantics.scheduling.static_filters import FeasibleNodes, NodeRank

Heap = list[tuple[float, int]]


class Placed(NamedTuple):
    """Where a pod went. `again`: the scheduler may as well have taken a node where it will be evicted again."""

    node: int
    tier: NodeRank
    again: bool


class Candidates:
    """Heaps for every feasible and every set of labels that rules look at, made when first wanted."""

    def __init__(self, table: NodeTable, room: FreeResources) -> None:
        """No heap yet."""
        self._table = table
        self._room = room
        self._heaps: dict[tuple[int, tuple[str, ...]], tuple[list[Heap], list[Heap], list[Heap]]] = {}
        self._static_filters: list[FeasibleNodes] = []  # keeps them alive: heaps are known by their feasible's identity

    def search(self, feasible: FeasibleNodes, rules: list[Filter], need: Need) -> Search:
        """A search for pods of one template, to be closed before the next one starts."""
        by_domain = [r for r in rules if not r.per_node and not any(key in self._table.wide for key in r.keys)]
        by_node = [rule for rule in rules if rule not in by_domain]
        keys = tuple(sorted({key for rule in by_domain for key in rule.keys}))
        heaps = self._heaps.get((id(feasible), keys))
        if heaps is None:
            heaps = self._made(feasible, keys)
            self._heaps[id(feasible), keys] = heaps
            self._static_filters.append(feasible)
        return Search(heaps, self._room, need, by_domain, by_node)

    def _made(self, feasible: FeasibleNodes, keys: tuple[str, ...]) -> tuple[list[Heap], list[Heap], list[Heap]]:
        columns = [self._table.values(key) for key in keys]
        score = self._room.score
        tiers: list[list[Heap]] = []
        for nodes in feasible.tiers:
            domains: dict[tuple[str | None, ...], Heap] = {}
            for node in nodes:
                domains.setdefault(tuple([column[node] for column in columns]), []).append((score(node), node))
            for heap in domains.values():
                heapq.heapify(heap)
            tiers.append(list(domains.values()))
        return tiers[0], tiers[1], tiers[2]

    def forget(self) -> None:
        """Room was given back: nodes may be emptier than their place says."""
        self._heaps.clear()
        self._static_filters.clear()


class Search:
    """Finds nodes for pods of one template, one after the other."""

    def __init__(
        self,
        heaps: tuple[list[Heap], list[Heap], list[Heap]],
        room: FreeResources,
        need: Need,
        by_domain: list[Filter],
        by_node: list[Filter],
    ) -> None:
        """See `Candidates.search`."""
        self._tiers = heaps
        self._room = room
        self._need = need
        self._by_domain = by_domain
        self._by_node = by_node
        self._out: list[tuple[Heap, int]] = []
        self._later: list[tuple[Heap, int]] = []

    def next(self, *, worst: NodeRank = NodeRank.EVICTS) -> tuple[int, NodeRank] | None:
        """The node for the next pod, of the best tier that has one; None when no node will do. `worst`: no worse."""
        for tier in NodeRank:
            if tier > worst:
                break
            for heap in self._domains(self._tiers[tier]):
                node = self._top(heap)
                if node is not None:
                    return node, tier
        return None

    def fill(self, count: int) -> list[Placed]:
        """Without rules: up to `count` pods placed, and their room taken. What `next` does for one, in one go for
        all.
        """
        room, need = self._room, self._need
        score, fits, take = room.score, room.fits, room.take_one
        spots: list[Placed] = []
        for tier, heaps in zip(NodeRank, self._tiers, strict=True):
            heap = heaps[0] if heaps else []
            while heap and len(spots) < count:
                known, node = heap[0]
                now = score(node)
                if now != known:
                    heapq.heapreplace(heap, (now, node))
                elif fits(node, need):
                    take(node, need)
                    heapq.heapreplace(heap, (score(node), node))
                    spots.append(Placed(node, tier, tier is NodeRank.EVICTS or self.has(NodeRank.EVICTS)))
                else:
                    heapq.heappop(heap)
                    self._out.append((heap, node))
        return spots

    def has(self, tier: NodeRank) -> bool:
        """Whether the next pod could go to a node of that tier."""
        heaps = self._tiers[tier]
        return bool(heaps) and any(self._top(heap) is not None for heap in self._domains(heaps))

    def _domains(self, heaps: list[Heap]) -> Iterator[Heap]:
        """The heaps of domains that may be used now, the least crowded first, then the one with the emptiest node."""
        if not self._by_domain:
            return iter(heaps)
        usable = []
        for place, heap in enumerate(heaps):
            if heap and all(rule.verdict(heap[0][1]) is FilterResult.OK for rule in self._by_domain):
                crowd = 0 if self._room.order else sum(rule.crowd(heap[0][1]) for rule in self._by_domain)
                usable.append((crowd, heap[0][0], place))
        return (heaps[place] for _, _, place in sorted(usable))

    def _top(self, heap: Heap) -> int | None:
        """The emptiest node of a domain where the pod fits and no rule is against it; it stays in the heap."""
        room, need = self._room, self._need
        while heap:
            score, node = heap[0]
            now = room.score(node)
            if now != score:
                heapq.heapreplace(heap, (now, node))
            elif not room.fits(node, need):
                heapq.heappop(heap)
                self._out.append((heap, node))
            elif not self._by_node:
                return node
            else:
                verdict = self._by_node_verdict(node)
                if verdict is FilterResult.OK:
                    return node
                heapq.heappop(heap)
                (self._out if verdict is FilterResult.NEVER else self._later).append((heap, node))
        return None

    def _by_node_verdict(self, node: int) -> FilterResult:
        for rule in self._by_node:
            verdict = rule.verdict(node)
            if verdict is not FilterResult.OK:
                return verdict
        return FilterResult.OK

    def placed(self, node: int) -> None:
        """The pod went there: rules count it."""
        loosened = False
        for rule in (*self._by_domain, *self._by_node):
            loosened = rule.placed(node) or loosened
        if loosened:
            self._put_back(self._later)

    def close(self) -> None:
        """Put back what was set aside: other templates may fit there."""
        self._put_back(self._out)
        self._put_back(self._later)

    def _put_back(self, aside: list[tuple[Heap, int]]) -> None:
        for heap, node in aside:
            heapq.heappush(heap, (self._room.score(node), node))
        aside.clear()
