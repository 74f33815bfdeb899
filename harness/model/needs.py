"""What somebody must see of a cluster while a run lasts, as values: whoever judges or guards declares it, and the
observer watches exactly the union.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Watched(StrEnum):
    """What can be watched, by the names that the history has for it."""

    PODS = "pods"
    NODES = "nodes"
    ENDPOINT_SLICES = "endpointslices"


@dataclass(frozen=True, slots=True)
class WatchNeed:
    """`watch` must be in sight. `namespaces`: only what is in these; None: in the whole cluster."""

    watch: Watched
    namespaces: frozenset[str] | None = None


def union(needs: Iterable[WatchNeed]) -> Mapping[Watched, frozenset[str] | None]:
    """What to watch so that each need is met: by resource, its namespaces (None: the whole cluster)."""
    out: dict[Watched, frozenset[str] | None] = {}
    for need in needs:
        before = out.get(need.watch, frozenset())
        whole = before is None or need.namespaces is None
        out[need.watch] = None if whole else (before or frozenset()) | (need.namespaces or frozenset())
    return out
