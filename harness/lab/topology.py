"""Which nodes a lab has: read from YAML, or made of plain ones.

::

    nodes:
      - name: spot                  # with a count: spot-1, spot-2; without: one node of exactly this name
        count: 2
        labels: {pool: spot, topology.kubernetes.io/zone: zone-a}
        taints: ["spot=true:NoSchedule"]              # or {key: spot, value: "true", effect: NoSchedule}
        capacity: {cpu: 16, memory: 64Gi, pods: 110, nvidia.com/gpu: 4}
        evictionHard: {memory.available: 500Mi}       # the kubelet's own words
        evictionPressureTransitionPeriod: 30s
    programs:                       # image name -> argv, see harness.lab.programs
      registry.example/app: ["/usr/local/bin/app"]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import yaml

from harness.errors import InvalidFile, Problem, UsageError
from harness.files import read_regular
from harness.lab.addresses import MAX_NODES
from harness.lab.yamltree import MAX_BYTES, Reader, TooMany
from harness.model import wellknown
from harness.model.taints import Effect, Taint

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
As upstream, a topology that names any threshold replaces them all."""

DEFAULT_PRESSURE_TRANSITION_S = 30
"""Upstream waits 5 minutes before a pressure condition may clear; a lab that is waited for should not."""

SIGNALS = (
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "pid.available",
)
"""The kubelet's eviction signals that a node of the lab can feel."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?")
_RESOURCE = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_QUANTITY = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?([numkMGTPE]|[KMGTPE]i)?")
_DURATION = re.compile(r"([0-9]{1,9})(s|m|h)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600}
_NODE_KEYS = (
    "name",
    "count",
    "labels",
    "taints",
    "capacity",
    "evictionHard",
    "evictionPressureTransitionPeriod",
)


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


def read_topology(text: str, *, file: str) -> Topology:
    """The topology that `text` describes; InvalidFile with every problem at once, each at its place in `file`."""
    reader = Reader(file)
    try:
        return _topology(reader, text)
    except TooMany:
        raise InvalidFile(sorted(reader.problems, key=_place)) from None


def read_topology_file(path: Path) -> Topology:
    """As `read_topology`, of a file. UsageError when it cannot be read, is no regular file or is larger than 1 MiB."""
    try:
        text = read_regular(path, cap=MAX_BYTES, follow_link=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    return read_topology(text, file=str(path))


def _topology(reader: Reader, text: str) -> Topology:
    root = reader.parse(text)
    fields = {} if root is None else reader.fields(root, what="a topology", known=("nodes", "programs"))
    nodes: list[Node] = []
    if root is not None and "nodes" not in fields and isinstance(root, yaml.MappingNode):
        reader.problem(root, "no nodes", "add `nodes:` with at least one entry")
    elif "nodes" in fields:
        for item in reader.items(fields["nodes"], what="nodes"):
            nodes.extend(_read_group(reader, item, first=len(nodes) + 1))
            if len(nodes) > MAX_NODES:
                break  # said below
        if not nodes and not reader.problems:
            reader.problem(fields["nodes"], "no nodes", "name at least one")
        _check_names(reader, fields["nodes"], nodes)
    programs = _read_programs(reader, fields["programs"]) if "programs" in fields else {}
    if reader.problems:
        raise InvalidFile(sorted(reader.problems, key=_place))
    return Topology(nodes=tuple(nodes), programs=programs)


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


def _check_names(reader: Reader, where: yaml.Node, nodes: list[Node]) -> None:
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            reader.problem(where, f"two nodes are called {node.name!r}", "give each group its own name")
        seen.add(node.name)
    if len(nodes) > MAX_NODES:
        reader.problem(where, f"more than {MAX_NODES} nodes; a lab has at most {MAX_NODES}", "for more see docs: kwok")


def _read_group(reader: Reader, item: yaml.Node, *, first: int) -> list[Node]:
    """The nodes of one entry of `nodes`, with indices from `first` on."""
    fields = reader.fields(item, what="a node", known=_NODE_KEYS)
    if "name" not in fields:
        if isinstance(item, yaml.MappingNode):
            reader.problem(item, "a node without a name", "add `name:`")
        return []
    name = reader.convert(fields["name"], _node_name, what="name")
    count = reader.convert(fields["count"], _count, what="count") if "count" in fields else None
    capacity = _quantities(reader, fields["capacity"], what="capacity") if "capacity" in fields else {}
    hard = dict(DEFAULT_EVICTION_HARD)
    if "evictionHard" in fields:
        hard = _thresholds(reader, fields["evictionHard"])
    transition_s = DEFAULT_PRESSURE_TRANSITION_S
    if "evictionPressureTransitionPeriod" in fields:
        where = fields["evictionPressureTransitionPeriod"]
        transition_s = reader.convert(where, duration_s, what="evictionPressureTransitionPeriod") or transition_s
    labels = _labels(reader, fields["labels"]) if "labels" in fields else {}
    taints = _taints(reader, fields["taints"]) if "taints" in fields else ()
    if name is None or ("count" in fields and count is None):
        return []
    names = [name] if count is None else [f"{name}-{number}" for number in range(1, count + 1)]
    return [
        Node(
            name=each,
            index=first + offset,
            labels=labels,
            taints=taints,
            capacity={**DEFAULT_CAPACITY, **capacity},
            eviction_hard=hard,
            eviction_pressure_transition_s=transition_s,
        )
        for offset, each in enumerate(names)
    ]


def _node_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no node name (lower-case letters, digits and dashes, at most 50)")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_NODES:
        raise ValueError(f"{text!r} is not a number from 1 to {MAX_NODES}")
    return int(text)


def duration_s(text: str) -> int:
    """Seconds of ``30s``, ``5m`` or ``1h``; ValueError for anything else and for nothing at all."""
    match = _DURATION.fullmatch(text)
    if not match or int(match[1]) == 0:
        raise ValueError(f"{text!r} is no duration (write 30s, 5m, 1h)")
    return int(match[1]) * _UNIT_S[match[2]]


def quantity(text: str) -> str:
    """`text` when it is a Kubernetes quantity (``8``, ``200Mi``, ``1.5Gi``); ValueError otherwise."""
    if not _QUANTITY.fullmatch(text):
        raise ValueError(f"{text!r} is no Kubernetes quantity (write 8, 500m, 200Mi, 1.5Gi)")
    return text


def _quantities(reader: Reader, node: yaml.Node, *, what: str) -> dict[str, str]:
    out = {}
    for key, key_node, value in reader.pairs(node, what=what):
        if not _RESOURCE.fullmatch(key):
            reader.problem(key_node, f"{key!r} is no resource name")
        read = reader.convert(value, quantity, what=f"{what}: {key}")
        if read is not None:
            out[key] = read
    return out


def _thresholds(reader: Reader, node: yaml.Node) -> dict[str, str]:
    def threshold(text: str) -> str:
        return text if re.fullmatch(r"[0-9]+(\.[0-9]+)?%", text) else quantity(text)

    out = {}
    for key, value in reader.fields(node, what="evictionHard", known=SIGNALS).items():
        read = reader.convert(value, threshold, what=f"evictionHard: {key}")
        if read is not None:
            out[key] = read
    return out


def _labels(reader: Reader, node: yaml.Node) -> dict[str, str]:
    out = {}
    for key, key_node, value in reader.pairs(node, what="labels"):
        if not _RESOURCE.fullmatch(key):
            reader.problem(key_node, f"{key!r} is no label key")
        text = reader.text(value, what=f"label {key}") if value.tag != "tag:yaml.org,2002:null" else ""
        if not _LABEL_VALUE.fullmatch(text):
            reader.problem(value, f"{text!r} is no label value (letters, digits, . _ -, at most 63)")
        out[key] = text
    return out


def parse_taint(text: str) -> Taint:
    """kubectl's ``key=value:Effect`` or ``key:Effect``; ValueError otherwise."""
    left, colon, effect = text.rpartition(":")
    key, _, value = left.partition("=")
    if not colon or not _RESOURCE.fullmatch(key) or not _LABEL_VALUE.fullmatch(value) or effect not in list(Effect):
        raise ValueError(f"{text!r} is no taint (write key=value:Effect; effects: {', '.join(Effect)})")
    return Taint(key=key, value=value, effect=Effect(effect))


def _taints(reader: Reader, node: yaml.Node) -> tuple[Taint, ...]:
    out: list[Taint] = []
    seen: set[tuple[str, Effect]] = set()
    for item in reader.items(node, what="taints"):
        taint: Taint | None = None
        if isinstance(item, yaml.MappingNode):
            fields = reader.fields(item, what="a taint", known=("key", "value", "effect"))
            texts = {key: reader.text(value, what=f"taint {key}") for key, value in fields.items()}
            try:
                taint = parse_taint(f"{texts.get('key', '')}={texts.get('value', '')}:{texts.get('effect', '')}")
            except ValueError as error:
                reader.problem(item, str(error))
        else:
            taint = reader.convert(item, parse_taint, what="taint")
        if taint is None:
            continue
        if taint.identity in seen:
            reader.problem(item, f"{taint.key}:{taint.effect} is given twice", "the API allows one of each")
        seen.add(taint.identity)
        out.append(taint)
    return tuple(out)


def _read_programs(reader: Reader, node: yaml.Node) -> dict[str, tuple[str, ...]]:
    out = {}
    for image, _, value in reader.pairs(node, what="programs"):
        argv = tuple(reader.text(part, what=f"program of {image}") for part in reader.items(value, what=image))
        if not argv or not (argv[0].startswith("/") or argv[0] in ("@host", "@stand-in")):
            reader.problem(value, f"program of {image}: the first word must be an absolute path, @host or @stand-in")
        out[image] = argv
    return out
