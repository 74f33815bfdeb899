"""Each filter of the scheduler by itself: which pods fit, and in the scheduler's words why the others do not.

The same rules are held against the real kube-scheduler in tests/lab/test_scheduler_agreement.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.model.state import Subject
from harness.semantics.scheduling import Placement, PlacementOutcome, Request, Scheduler, place_all
from tests.pure.plan_objects import (
    HOST,
    ZONE,
    Json,
    away,
    cluster_state,
    mounts,
    near,
    node,
    pod,
    selects,
    spread,
    tolerate,
    volume,
)

ZONED = [node("a", zone="z1"), node("b", zone="z2")]
TIGHT = [node("a", cpu="1"), node("b", cpu="1", memory="32Mi"), node("c", pods="0")]
GPU = "nvidia.com/gpu"


def come(world: list[Json], *coming: Json, missing: dict[Subject, str] | None = None) -> dict[str, Placement]:
    """Place pods one after the other into a world."""
    seen = cluster_state(*world, *coming, missing=missing)
    new = [
        record for record in seen.pods if record.key.removeprefix("default/") in {c["metadata"]["name"] for c in coming}
    ]
    there = [record for record in seen.pods if record not in new]
    engine = Scheduler(seen, there, compares=False)
    requests = [Request(record.name, record.template, float(number)) for number, record in enumerate(new)]
    return place_all(engine, requests, staying=there, budgets=seen.budgets).placements


def affinity(*terms: Json) -> Json:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


def expression(key: str, operator: str, *values: str) -> Json:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def named(*names: str) -> Json:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": list(names)}]}


FITTING: dict[str, tuple[list[Json], Json, str]] = {
    "an empty node": ([node("a")], pod("new"), "a"),
    "the emptier node": ([node("a"), node("b"), pod("old", "a", cpu="3")], pod("new"), "b"),
    "room to the last millicore": ([node("a"), pod("old", "a", cpu="3900m")], pod("new"), "a"),
    "a finished pod takes no room": ([node("a"), pod("old", "a", cpu="4", phase="Succeeded")], pod("new"), "a"),
    "a terminating pod takes no room": ([node("a"), pod("old", "a", cpu="4", deleting=True)], pod("new"), "a"),
    "the node that has the device": ([node("a"), node("b", **{GPU: "1"})], pod("new", requests={GPU: "1"}), "b"),
    "a tolerated taint": ([node("a", taints=("spot=x:NoSchedule",))], pod("new", tolerations=[tolerate("spot")]), "a"),
    "PreferNoSchedule where there is nothing else": ([node("a", taints=("x=:PreferNoSchedule",))], pod("new"), "a"),
    "not PreferNoSchedule where there is": (
        [node("a", taints=("x=:PreferNoSchedule",)), node("b", cpu="1")],
        pod("new"),
        "b",
    ),
    "a tolerated cordon": (
        [node("a", cordoned=True)],
        pod("new", tolerations=[tolerate("node.kubernetes.io/unschedulable")]),
        "a",
    ),
    "nodeSelector": ([node("a"), node("b", labels={"pool": "x"})], pod("new", nodeSelector={"pool": "x"}), "b"),
    "NotIn matches a missing label": (
        [node("a", labels={"disk": "hdd"}), node("b")],
        pod("new", affinity=affinity(expression("disk", "NotIn", "hdd"))),
        "b",
    ),
    "Gt compares integers": (
        [node("a", labels={"cores": "8"}), node("b", labels={"cores": "16"})],
        pod("new", affinity=affinity(expression("cores", "Gt", "8"))),
        "b",
    ),
    "terms are alternatives": (
        [node("a", labels={"disk": "ssd"})],
        pod("new", affinity=affinity(expression("disk", "In", "nvme"), expression("disk", "Exists"))),
        "a",
    ),
    "a node by name": ([node("a"), node("b")], pod("new", affinity=affinity(named("b"))), "b"),
    "another protocol on the same host port": (
        [node("a"), pod("old", "a", ports=[{"hostPort": 53, "protocol": "UDP"}])],
        pod("new", ports=[{"hostPort": 53}]),
        "a",
    ),
    "the first of its kind needs no friend": ([node("a")], pod("new", app="x", affinity=near("x")), "a"),
    "near its friend": ([*ZONED, pod("old", "b", app="x")], pod("new", affinity=near("x", ZONE)), "b"),
    "away from another zone": ([*ZONED, pod("old", "a", app="x")], pod("new", app="x", affinity=away("x", ZONE)), "b"),
    "anti-affinity in other namespaces does not count": (
        [node("a"), pod("old", "a", app="x", namespace="elsewhere")],
        pod("new", affinity=away("x")),
        "a",
    ),
    "spread into the emptier zone": (
        [*ZONED, pod("old", "a", app="x")],
        pod("new", app="x", topologySpreadConstraints=spread("x")),
        "b",
    ),
    "spread with room for skew": (
        [node("a", zone="z1"), node("b", zone="z2", cordoned=True), pod("old", "a", app="x")],
        pod("new", app="x", topologySpreadConstraints=spread("x", maxSkew=2)),
        "a",
    ),
    "spread without nodes it cannot use": (
        [node("a", zone="z1"), node("b", zone="z2", taints=("t=:NoSchedule",)), pod("old", "a", app="x")],
        pod("new", app="x", topologySpreadConstraints=spread("x", nodeTaintsPolicy="Honor")),
        "a",
    ),
    "spread that only prefers": (
        [node("a", zone="z1"), node("b", zone="z2", cordoned=True), pod("old", "a", app="x")],
        pod("new", app="x", topologySpreadConstraints=spread("x", whenUnsatisfiable="ScheduleAnyway")),
        "a",
    ),
    "the zone of its volume": ([*ZONED, *volume("pv", values=("z2",))], pod("new", volumes=mounts("pv")), "b"),
}


@pytest.mark.parametrize(("world", "new", "where"), FITTING.values(), ids=FITTING.keys())
def test_a_pod_goes_where_it_may(world: list[Json], new: Json, where: str) -> None:
    placement = come(world, new)["new"]
    assert (placement.fate, placement.node) == (PlacementOutcome.FITS, where)


PENDING: dict[str, tuple[list[Json], Json, str]] = {
    "too little of several things": (
        TIGHT,
        pod("new", cpu="2", memory="64Mi"),
        "0/3 nodes are available: 1 Insufficient memory, 1 Too many pods, 2 Insufficient cpu.",
    ),
    "no such device": (
        [node("a")],
        pod("new", requests={GPU: "1"}),
        f"0/1 nodes are available: 1 Insufficient {GPU}.",
    ),
    "all devices taken": (
        [node("a", **{GPU: "1"}), pod("old", "a", requests={GPU: "1"})],
        pod("new", requests={GPU: "1"}),
        f"0/1 nodes are available: 1 Insufficient {GPU}.",
    ),
    "taints and cordons": (
        [node("a", taints=("x=:NoSchedule",)), node("b", taints=("y=:NoExecute",)), node("c", cordoned=True)],
        pod("new"),
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s).",
    ),
    "a cordon speaks before its taint": (
        [node("a", cordoned=True, taints=("node.kubernetes.io/unschedulable=:NoSchedule",))],
        pod("new"),
        "0/1 nodes are available: 1 node(s) were unschedulable.",
    ),
    "tolerating one of two taints": (
        [node("a", taints=("x=:NoSchedule", "y=:NoSchedule"))],
        pod("new", tolerations=[tolerate("x")]),
        "0/1 nodes are available: 1 node(s) had untolerated taint(s).",
    ),
    "no such label": (
        [node("a")],
        pod("new", nodeSelector={"pool": "x"}),
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    ),
    "affinity without terms matches nothing": (
        [node("a")],
        pod("new", affinity=affinity()),
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    ),
    "nodes that are not named are not looked at": (
        [node("a", cpu="0"), node("b", taints=("x=:NoSchedule",)), node("c")],
        pod("new", affinity=affinity(named("a"))),
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].",
    ),
    "a host port is taken": (
        [node("a"), pod("old", "a", ports=[{"hostPort": 80, "hostIP": "10.0.0.1"}])],
        pod("new", ports=[{"hostPort": 80}]),
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    ),
    "ports speak before room": (
        [node("a", cpu="0"), pod("old", "a", ports=[{"hostPort": 80}])],
        pod("new", ports=[{"hostPort": 80}]),
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    ),
    "nobody to be near to": (
        [node("a")],
        pod("new", affinity=near("x")),
        "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.",
    ),
    "its own anti-affinity": (
        [node("a"), pod("old", "a", app="x")],
        pod("new", affinity=away("x")),
        "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.",
    ),
    "somebody else's anti-affinity": (
        [node("a"), pod("old", "a", affinity=away("x"))],
        pod("new", app="x"),
        "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
    ),
    "skew": (
        [node("a", zone="z1"), node("b", zone="z2", cordoned=True), pod("old", "a", app="x")],
        pod("new", app="x", topologySpreadConstraints=spread("x")),
        "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) were unschedulable.",
    ),
    "too few domains": (
        [node("a", zone="z1"), pod("old", "a", app="x")],
        pod("new", app="x", topologySpreadConstraints=spread("x", minDomains=2)),
        "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints.",
    ),
    "no label to spread over": (
        [node("a")],
        pod("new", app="x", topologySpreadConstraints=spread("x")),
        "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label).",
    ),
    "a volume elsewhere": (
        [node("a", zone="z1"), *volume("pv", values=("z2",))],
        pod("new", volumes=mounts("pv")),
        "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity.",
    ),
    "a volume on a node that is full": (
        [node("a"), node("b", cpu="0"), *volume("pv", key=HOST, values=("b",))],
        pod("new", volumes=mounts("pv")),
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match PersistentVolume's node affinity.",
    ),
    "no such claim": (
        [node("a")],
        pod("new", volumes=mounts("none")),
        '0/1 nodes are available: persistentvolumeclaim "none" not found.',
    ),
    "scheduling gates": (
        [node("a")],
        pod("new", schedulingGates=[{"name": "wait"}]),
        "Scheduling is blocked due to non-empty scheduling gates",
    ),
}


@pytest.mark.parametrize(("world", "new", "words"), PENDING.values(), ids=PENDING.keys())
def test_a_pod_stays_pending_in_the_schedulers_words(world: list[Json], new: Json, words: str) -> None:
    placement = come(world, new)["new"]
    assert (placement.fate, placement.reason) == (PlacementOutcome.PENDING, words)


def test_the_old_words_for_taints_name_the_taint() -> None:
    seen = cluster_state(node("a", taints=("x=y:NoSchedule",)), pod("new"))
    old = seen.__class__(nodes=seen.nodes, pods=seen.pods, kubernetes_version="v1.33.2")
    placed = place_all(Scheduler(old, [], compares=False), [Request("new", seen.pods[0].template)])
    assert placed.placements["new"].reason == "0/1 nodes are available: 1 node(s) had untolerated taint {x: y}."


CLASSES = {"kind": "StorageClass", "metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner"}
WAITING = {
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "c", "namespace": "default"},
    "spec": {"storageClassName": "local", "resources": {"requests": {"storage": "1Gi"}}},
}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (
            "WaitForFirstConsumer",
            "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.",
        ),
        ("Immediate", "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
    ],
)
def test_unbound_claims(mode: str, expected: str) -> None:
    world = [node("a"), {**CLASSES, "volumeBindingMode": mode}, WAITING]
    assert come(world, pod("new", volumes=mounts("c")))["new"].reason == expected


def test_a_free_volume_is_bound_once() -> None:
    """Two claims, one volume: the second pod waits for another."""
    free = volume("pv", key=HOST, values=("a",))[0]
    free["spec"]["storageClassName"], free["status"]["phase"] = "local", "Available"
    second = {**WAITING, "metadata": {"name": "d", "namespace": "default"}}
    world = [node("a"), {**CLASSES, "volumeBindingMode": "WaitForFirstConsumer"}, WAITING, second, free]
    placed = come(world, pod("one", volumes=mounts("c")), pod("two", volumes=mounts("d")))
    assert [placed[name].fate for name in ("one", "two")] == [PlacementOutcome.FITS, PlacementOutcome.PENDING]


UNKNOWN: dict[str, tuple[dict[Subject, str], dict[str, Any]]] = {
    "claims": ({Subject.CLAIMS: "may not list claims"}, {"volumes": mounts("c")}),
    "namespaces": (
        {Subject.NAMESPACES: "may not list namespaces"},
        {
            "affinity": {
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {"labelSelector": selects("x"), "namespaceSelector": {}, "topologyKey": HOST}
                    ]
                }
            }
        },
    ),
    "resource claims": ({}, {"resourceClaims": [{"name": "gpu"}]}),
}


@pytest.mark.parametrize(("missing", "spec"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_could_not_be_read_makes_a_fit_unknown(missing: dict[Subject, str], spec: dict[str, Any]) -> None:
    placement = come([node("a")], pod("new", **spec), missing=missing)["new"]
    assert placement.fate is PlacementOutcome.UNKNOWN
    assert placement.reason


@pytest.mark.parametrize(("missing", "spec"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_is_refused_anyway_is_no_unknown(missing: dict[Subject, str], spec: dict[str, Any]) -> None:
    placement = come([node("a", taints=("x=:NoSchedule",))], pod("new", **spec), missing=missing)["new"]
    assert placement.fate is PlacementOutcome.PENDING
