"""Which nodes a lab has, and the programs that stand for images. Pure values; `harness.formats.topology` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from harness.errors import UsageError
from harness.model import wellknown
from harness.model.taints import Taint

MAX_NODES = 254
"""Node i owns 10.244.i.0/24. A kubelet takes some 45 MB, so memory ends sooner."""

DEFAULT_CAPACITY = MappingProxyType({"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"})
"""What a node has when the topology names nothing else; extended resources have no default."""

DEFAULT_EVICTION_HARD = MappingProxyType(
    {
        "memory.available": "100Mi",
        "nodefs.available": "10%",
        "nodefs.inodesFree": "5%",
        "imagefs.available": "15%",
        "imagefs.inodesFree": "5%",
        "pid.available": "5%",
    }
)
"""Upstream's defaults on Linux (pkg/kubelet/apis/config/v1beta1/defaults_linux.go), with a pid threshold added.
As upstream, a topology that names any threshold replaces them all. The keys are the eviction signals that a node of the
lab can feel."""

DEFAULT_PRESSURE_TRANSITION_S = 30
"""Upstream waits 5 minutes before a pressure condition may clear; a lab that is waited for should not."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `index` counts from 1 and decides its addresses (harness.lab.addresses)."""

    name: str
    index: int
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    capacity: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_CAPACITY))
    eviction_hard: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_EVICTION_HARD))
    eviction_pressure_transition_s: int = DEFAULT_PRESSURE_TRANSITION_S


@dataclass(frozen=True, slots=True)
class Topology:
    """The nodes of a lab, and programs for images beyond the usual table."""

    nodes: tuple[Node, ...]
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def default_topology() -> Topology:
    """Two `general` and two `spot` nodes (label pool), one of each in zone-a and in zone-b."""
    nodes = tuple(
        Node(
            name=f"{pool}-{number}",
            index=offset + number,
            labels={"pool": pool, wellknown.ZONE: f"zone-{'ab'[number - 1]}"},
        )
        for offset, pool in ((0, "general"), (2, "spot"))
        for number in (1, 2)
    )
    return Topology(nodes=nodes)


def plain_topology(count: int) -> Topology:
    """`count` nodes without labels or taints, named node-1 and so on; UsageError beyond 1 to MAX_NODES."""
    if not 1 <= count <= MAX_NODES:
        raise UsageError(f"a lab has 1 to {MAX_NODES} nodes, not {count}")
    return Topology(nodes=tuple(Node(name=f"node-{index}", index=index) for index in range(1, count + 1)))
