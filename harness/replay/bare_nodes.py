"""Nodes that are API objects without a kubelet: kept Ready by heartbeats of ours, for pods that never run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from harness.clock import Clock
from harness.cluster.ports import Cluster, Json
from harness.errors import ClusterError, NotFound, Refused

_HEARTBEAT_S = 5.0
_READY_TIMEOUT_S = 30.0
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


def node_path(name: str) -> str:
    """Of a Node object."""
    return f"/api/v1/nodes/{name}"


async def create_node(cluster: Cluster, clock: Clock, name: str, labels: Mapping[str, str]) -> None:
    """A Ready node, its Lease first; it still has the taint that admission puts on new nodes."""
    await _beat(cluster, clock, name, create=True)
    body = {"metadata": {"name": name, "labels": dict(labels)}, "status": _ready_status()}
    await cluster.create("/api/v1/nodes", body)


async def heartbeats(cluster: Cluster, clock: Clock, names: Sequence[str]) -> None:
    """Renew the Leases of these nodes until cancelled."""
    while True:
        await asyncio.sleep(_HEARTBEAT_S)
        for name in names:
            await _beat(cluster, clock, name, create=False)


async def without_admission_taint(cluster: Cluster, clock: Clock, name: str) -> None:
    """Wait until the node lifecycle controller took off not-ready:NoSchedule, which admission puts on every new node.
    ClusterError when it is still there after 30 s.
    """
    deadline_ns = clock.now().mono_ns + int(_READY_TIMEOUT_S * 1e9)
    node = await cluster.get(node_path(name))
    version = node["metadata"]["resourceVersion"]
    lines = cluster.watch("/api/v1/nodes", resource_version=version, fieldSelector=f"metadata.name={name}")
    try:
        while node.get("spec", {}).get("taints"):
            left_s = (deadline_ns - clock.now().mono_ns) / 1e9
            async with asyncio.timeout(max(0.0, left_s)):
                node = (await anext(aiter(lines))).object
    except TimeoutError as error:
        seen = node["spec"].get("taints")
        raise ClusterError(f"node {name} still has {seen} after {_READY_TIMEOUT_S:g} s") from error
    finally:
        await lines.aclose()  # type: ignore[attr-defined]  # async generators have it


async def set_taints(cluster: Cluster, name: str, taints: list[Json]) -> None:
    """All taints of a node."""
    await cluster.merge_patch(node_path(name), {"spec": {"taints": taints or None}})


async def create_namespace(cluster: Cluster, name: str, labels: Mapping[str, str]) -> None:
    """A namespace in which pods can be created at once: with the ServiceAccount that the controller manager would
    make.
    """
    await cluster.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": dict(labels)}})
    try:
        await cluster.create(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    except Refused as error:
        if error.reason != "AlreadyExists":
            raise


def pod_body(name: str, node: str, tolerations: list[Json]) -> Json:
    """A pod that is bound from birth and has no grace period: it vanishes in the instant of its deletion."""
    spec: Json = {
        "nodeName": node,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "tolerations": tolerations,
        "containers": [{"name": "c", "image": "none"}],
    }
    return {"metadata": {"name": name}, "spec": spec}


async def remove_all(cluster: Cluster, namespace: str, nodes: Sequence[str]) -> None:
    """Pods, nodes with their Leases, then the namespace: with the nodes gone nothing keeps a controller busy. What is
    gone already is fine.
    """
    pods = f"/api/v1/namespaces/{namespace}/pods"
    listing = await cluster.list(pods)
    paths = [f"{pods}/{item['metadata']['name']}" for item in listing.items]
    paths += [node_path(name) for name in nodes] + [f"{_LEASES}/{name}" for name in nodes]
    for path in [*paths, f"/api/v1/namespaces/{namespace}"]:
        try:
            await cluster.delete(path)
        except NotFound:
            continue


async def _beat(cluster: Cluster, clock: Clock, name: str, *, create: bool) -> None:
    renewed = datetime.fromtimestamp(clock.now().wall_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": renewed}
    if create:
        await cluster.create(_LEASES, {"metadata": {"name": name}, "spec": spec})
    else:
        await cluster.merge_patch(f"{_LEASES}/{name}", {"spec": spec})


def _ready_status() -> Json:
    ready = {"type": "Ready", "status": "True", "reason": "Replayed"}
    amount = {"cpu": "1000", "memory": "1000Gi", "pods": "10000"}
    return {"conditions": [ready], "capacity": amount, "allocatable": amount}
