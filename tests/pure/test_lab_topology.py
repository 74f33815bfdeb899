"""Reading topologies: what a good file means, and that a bad one is told everything at once."""

from __future__ import annotations

import pytest

from harness.errors import InvalidFile, UsageError
from harness.formats.topology import read_topology
from harness.model.taints import Effect, Taint
from harness.model.topology import DEFAULT_CAPACITY, DEFAULT_EVICTION_HARD, default_topology, plain_topology

GOOD = """
nodes:
  - name: spot
    count: 2
    labels: {pool: spot, topology.kubernetes.io/zone: zone-a, empty: }
    taints: ["spot=true:NoSchedule", {key: gone, effect: NoExecute}]
    capacity: {cpu: 16, memory: 64Gi, nvidia.com/gpu: 4}
    evictionHard: {memory.available: 500Mi, nodefs.available: 5%}
    evictionPressureTransitionPeriod: 2m
  - name: lonely
programs:
  registry.example/app: [/usr/bin/app, --quiet]
"""


def test_a_group_becomes_numbered_nodes_and_a_single_one_keeps_its_name() -> None:
    nodes = read_topology(GOOD, file="t.yaml").nodes
    assert [(node.name, node.index) for node in nodes] == [("spot-1", 1), ("spot-2", 2), ("lonely", 3)]


def test_everything_a_node_can_say_is_read() -> None:
    spot = read_topology(GOOD, file="t.yaml").nodes[0]
    assert spot.labels == {"pool": "spot", "topology.kubernetes.io/zone": "zone-a", "empty": ""}
    assert spot.taints == (Taint("spot", Effect.NO_SCHEDULE, "true"), Taint("gone", Effect.NO_EXECUTE))
    assert spot.capacity == {**DEFAULT_CAPACITY, "cpu": "16", "memory": "64Gi", "nvidia.com/gpu": "4"}
    assert spot.eviction_hard == {"memory.available": "500Mi", "nodefs.available": "5%"}
    assert spot.eviction_pressure_transition_s == 120


def test_what_is_not_said_has_its_default() -> None:
    lonely = read_topology(GOOD, file="t.yaml").nodes[2]
    assert (lonely.labels, lonely.taints) == ({}, ())
    assert lonely.capacity == DEFAULT_CAPACITY
    assert lonely.eviction_hard == DEFAULT_EVICTION_HARD


def test_programs_are_argvs() -> None:
    assert read_topology(GOOD, file="t.yaml").programs == {"registry.example/app": ("/usr/bin/app", "--quiet")}


BAD = [
    pytest.param("", "1:1: the file is empty", id="empty"),
    pytest.param("nodes: [", "1:9: not valid YAML", id="not-yaml"),
    pytest.param("- a", "1:1: a mapping is needed, found a list", id="a-list"),
    pytest.param("{}", "1:1: nodes is missing", id="no-nodes"),
    pytest.param("nodes: []", "1:8: nodes: the list is empty", id="empty-nodes"),
    pytest.param("nodes: [{name: a}]\nnode: 1", "2:1: there is no key node here (did you mean nodes?)", id="key"),
    pytest.param(
        "nodes: [{name: a, labls: {}}]",
        "1:19: nodes[0]: there is no key labls here (did you mean labels?)",
        id="node-key",
    ),
    pytest.param("nodes: [{count: 2}]", "1:9: nodes[0]: name is missing", id="no-name"),
    pytest.param("nodes: [{name: A_b}]", '1:16: name: "A_b" is no node name', id="name"),
    pytest.param("nodes: [{name: a, count: 0}]", "1:26: count: must be at least 1", id="count"),
    pytest.param("nodes: [{name: a}, {name: a}]", "1:27: two nodes are called a", id="twice"),
    pytest.param("nodes: [{name: a, name: b}]", "1:19: name is given twice", id="key-twice"),
    pytest.param("nodes: [{name: a, count: 200}, {name: b, count: 200}]", "at most 254", id="too-many"),
    pytest.param("nodes: [{name: a, taints: ['x']}]", '1:28: taints[0]: "x" is no taint', id="taint"),
    pytest.param("nodes: [{name: a, taints: ['x:Never']}]", "is no taint", id="effect"),
    pytest.param("nodes: [{name: a, taints: ['x:NoExecute', 'x=1:NoExecute']}]", "given twice", id="taint-twice"),
    pytest.param(
        "nodes: [{name: a, capacity: {cpu: many}}]", '1:35: cpu: "many" is no Kubernetes quantity', id="quantity"
    ),
    pytest.param(
        "nodes: [{name: a, evictionHard: {memory: 1Gi}}]",
        "1:34: evictionHard: there is no key memory here",
        id="signal",
    ),
    pytest.param(
        "nodes: [{name: a, evictionPressureTransitionPeriod: 90}]",
        "1:53: evictionPressureTransitionPeriod: a duration needs a unit, found 90",
        id="duration-without-unit",
    ),
    pytest.param("nodes: [{name: a, labels: {p: 'a b'}}]", '1:31: p: "a b" is not a label value', id="label"),
    pytest.param("nodes: [{name: a, labels: {'p p': x}}]", '"p p" is not a key', id="label-key"),
    pytest.param("nodes: [{name: a, evictionPressureTransitionPeriod: 500ms}]", "whole seconds are needed", id="part"),
    pytest.param("nodes: [{name: a, count: 2}, {name: a-1}]", "two nodes are called a-1", id="twice-by-count"),
    pytest.param("nodes: [{name: a}]\n---\nnodes: [{name: b}]", "3:1: a second document", id="two-documents"),
    pytest.param("nodes: [{name: a}]\nprograms: {x: [relative]}", "must be an absolute path", id="program"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_bad_file_is_refused_with_the_place_and_the_fix(text: str, message: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read_topology(text, file="t.yaml")
    assert str(caught.value).startswith("t.yaml:")
    assert message in str(caught.value)


def test_all_problems_come_at_once_in_file_order() -> None:
    text = "nodes:\n  - name: A\n    cuont: 2\n    capacity: {cpu: x}\n  - labels: [1]\n"
    with pytest.raises(InvalidFile) as caught:
        read_topology(text, file="t.yaml")
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 5, 5]


@pytest.mark.parametrize("count", [0, -1, 255])
def test_a_lab_of_plain_nodes_has_bounds(count: int) -> None:
    with pytest.raises(UsageError, match="1 to 254"):
        plain_topology(count)


def test_the_default_has_two_pools_in_two_zones() -> None:
    nodes = default_topology().nodes
    assert [(node.index, node.labels["pool"]) for node in nodes] == [
        (1, "general"),
        (2, "general"),
        (3, "spot"),
        (4, "spot"),
    ]
    assert {node.labels["topology.kubernetes.io/zone"] for node in nodes if node.labels["pool"] == "spot"} == {
        "zone-a",
        "zone-b",
    }
