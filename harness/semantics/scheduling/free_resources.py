"""What is left on each node: allocatable minus the requests of the pods that are bound to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.model.state import Node
from harness.semantics.scheduling.reasons import TOO_MANY_PODS, insufficient

PODS, CPU, MEMORY = "pods", "cpu", "memory"
_BASE = (PODS, CPU, MEMORY)

Need = tuple[tuple[list[int], int], ...]
"""A pod's requests as (free amounts by node, wanted) pairs; the pod itself, counted in pods, is not among them."""


class FreeResources:
    """Free amounts by resource and node, changed as pods come and go. `order`: scores to answer with instead."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        """All nodes empty."""
        self.order: Sequence[float] | None = None
        self._nodes = nodes
        self._free: dict[str, list[int]] = {}
        for name in _BASE:
            self._column(name)
        self._pods, self._cpu, self._memory = (self._free[name] for name in _BASE)
        self._cpu_share = [1 / max(1, free) for free in self._cpu]
        self._memory_share = [1 / max(1, free) for free in self._memory]

    def _column(self, name: str) -> list[int]:
        column = self._free.get(name)
        if column is None:
            column = self._free[name] = [node.allocatable.get(name, 0) for node in self._nodes]
        return column

    def need(self, requests: Mapping[str, int]) -> Need:
        """`requests` in the form that `fits`, `take` and `give` want."""
        return tuple((self._column(name), number) for name, number in requests.items() if number)

    def fits(self, node: int, need: Need) -> bool:
        """Whether one more pod of that need fits."""
        if self._pods[node] < 1:
            return False
        for column, number in need:  # noqa: SIM110 -- called for every pair that is tried: a generator costs twice this
            if column[node] < number:
                return False
        return True

    def take(self, nodes: Iterable[int], need: Need) -> None:
        """One pod more on each of `nodes`."""
        for node in nodes:
            self.take_one(node, need)

    def take_one(self, node: int, need: Need) -> None:
        """One pod more."""
        self._pods[node] -= 1
        for column, number in need:
            column[node] -= number

    def give(self, node: int, need: Need) -> None:
        """One pod less."""
        self._pods[node] += 1
        for column, number in need:
            column[node] += number

    def score(self, node: int) -> float:
        """The lower, the emptier (the scheduler's LeastAllocated over cpu and memory). Never falls while pods come."""
        if self.order is not None:
            return self.order[node]
        return -(self._cpu[node] * self._cpu_share[node] + self._memory[node] * self._memory_share[node])

    def possible(self, node: int, requests: Mapping[str, int]) -> bool:
        """Whether the node would do if it were empty."""
        allocatable = self._nodes[node].allocatable
        return all(allocatable.get(name, 0) >= number for name, number in requests.items())

    def count_lacking(self, nodes: Sequence[int], requests: Mapping[str, int], counted: Counter[str]) -> None:
        """Count, by reason, on how many of `nodes` one more pod of these requests finds too little."""
        counted[TOO_MANY_PODS] += sum([self._pods[node] < 1 for node in nodes])
        for name, number in requests.items():
            column = self._column(name)
            if number:
                counted[insufficient(name)] += sum([column[node] < number for node in nodes])
