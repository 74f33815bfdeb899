"""Generated worlds on the real kube-scheduler: what it leaves Pending against what the plan's filter says.

Nodes are plain API objects without kubelets: only the scheduler decides. What is compared is what a plan promises: which
pods stay Pending, which are refused by a quota, which are thrown out. Worlds whose answer hangs on the scheduler's own
dice (which of two equal nodes it takes first) are found by placing in several orders, and left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from harness.adapters.kube import KubeCluster
from harness.errors import Conflict, NotFound, Refused
from harness.model.inventory import Inventory
from harness.plan.scheduling import Engine, Fate, Request, place_all
from harness.plan.scheduling.quotas import Quotas
from harness.run.snapshot import Builder, Reading, pages
from harness.run.snapshot.manifests import new_pods
from tests.lab.agreement_worlds import PRIORITIES, World

QUIET_S = 11.0
"""Nothing has moved for so long: longer than the scheduler's longest back-off, so every retry has had its turn."""
_DEADLINE_S = 240.0
_POLL_S = 0.25
_ORDERS = 12
FLAGS = (
    "kube-controller-manager=--node-monitor-grace-period=2h",  # nobody sends heartbeats
    "kube-controller-manager=--kube-api-qps=1000",
    "kube-controller-manager=--kube-api-burst=2000",
    "kube-controller-manager=--pvclaimbinder-sync-period=3s",
    "kube-controller-manager=--resource-quota-sync-period=3s",  # a quota made beside pods may miss some at first
    "kube-scheduler=--kube-api-qps=1000",
    "kube-scheduler=--kube-api-burst=2000",
)


@dataclass(frozen=True)
class Answer:
    """What becomes of a world's coming pods, by name. `reasons`: the scheduler's words for those that are Pending."""

    pending: frozenset[str]
    refused: frozenset[str]
    thrown_out: frozenset[str]
    reasons: dict[str, str]

    def same(self, other: Answer) -> bool:
        """Equal but for the words."""
        return (self.pending, self.refused, self.thrown_out) == (other.pending, other.refused, other.thrown_out)


# --- prediction ---


def predict_world(
    world: World, inventory: Inventory, order: list[float] | None, *, queued: bool = False
) -> tuple[Answer, int]:
    """What the filter says, and how many pods make room for themselves. `order`: which nodes to prefer, None for the
    emptiest. `queued`: all pods are in the queue before the first is looked at, so that priority counts, not arrival.
    """
    new = new_pods([{"kind": "Pod", **pod} for pod in world.coming], inventory)
    coming = [(pod.name, pod.template) for pod in new]
    quotas = Quotas(inventory.quotas)
    refused, requests = set(), []
    for number, (name, template) in enumerate(coming):
        if quotas.admit(template):
            refused.add(name)
        else:
            requests.append(Request(f"{world.name}/{name}", template, 0.0 if queued else float(number)))
    engine = Engine(inventory, inventory.pods, compares=False, coming=[template for _, template in coming], order=order)
    placed = place_all(engine, requests, staying=inventory.pods, replaced=lambda template: False).placements
    names = {request.key: request.key.partition("/")[2] for request in requests}
    pending = {key for key, placement in placed.items() if placement.fate is Fate.PENDING}
    answer = Answer(
        pending=frozenset(names[key] for key in pending),
        refused=frozenset(refused),
        thrown_out=frozenset(names[key] for key in names if key not in placed),
        reasons={names[key]: placed[key].reason for key in pending},
    )
    return answer, sum(placement.fate is Fate.PREEMPTS for placement in placed.values())


def decided(world: World, inventory: Inventory) -> tuple[Answer, int] | None:
    """The prediction, if it is the same whichever nodes are taken first, and however fast pods come; None where chance
    decides.
    """
    answer, preempting = predict_world(world, inventory, None)
    if preempting and world.quotas:
        return None  # who is thrown out leaves room in the quota, for those that come late enough
    rng = Random(world.name)
    for number in range(_ORDERS):
        order = [rng.random() for _ in inventory.nodes] if number else None
        for queued in (False, True):
            if not answer.same(predict_world(world, inventory, order, queued=queued)[0]):
                return None
    return answer, preempting


# --- the real thing ---


async def prepare(cluster: KubeCluster) -> None:
    """What all worlds share: priority classes, and no node but theirs."""
    for name, value in PRIORITIES.items():
        policy = "Never" if name.endswith("never") else "PreemptLowerPriority"
        body = {"metadata": {"name": name}, "value": value, "preemptionPolicy": policy}
        try:
            await cluster.create("/apis/scheduling.k8s.io/v1/priorityclasses", body)
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise


async def build(cluster: KubeCluster, world: World) -> None:
    """Everything but the coming pods."""
    name = world.name
    await cluster.create("/api/v1/namespaces", {"metadata": {"name": name}})
    try:
        await cluster.create(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    except Refused as error:
        if error.reason != "AlreadyExists":
            raise
    await asyncio.gather(*(cluster.create("/api/v1/nodes", node) for node in world.nodes))
    for volume in world.volumes:
        await cluster.create("/api/v1/persistentvolumes", volume)
    for claim in world.claims:
        await cluster.create(f"/api/v1/namespaces/{name}/persistentvolumeclaims", claim)
    await asyncio.gather(*(cluster.create(f"/api/v1/namespaces/{name}/pods", pod) for pod in world.bound))
    for quota in world.quotas:
        await cluster.create(f"/api/v1/namespaces/{name}/resourcequotas", quota)


async def settled(cluster: KubeCluster, worlds: Iterable[World]) -> None:
    """Wait until the controllers have done their part: taints of conditions and cordons, bound claims, counted quotas."""
    async with asyncio.timeout(_DEADLINE_S):
        for world in worlds:
            while not await _is_settled(cluster, world):
                await asyncio.sleep(_POLL_S)


async def _is_settled(cluster: KubeCluster, world: World) -> bool:
    own = {node["metadata"]["name"] for node in world.nodes}
    for node in (await cluster.list("/api/v1/nodes")).items:
        if node["metadata"]["name"] in own:
            spec = node.get("spec", {})
            keys = {taint["key"] for taint in spec.get("taints") or ()}
            if "node.kubernetes.io/not-ready" in keys:
                return False
            if bool(spec.get("unschedulable")) != ("node.kubernetes.io/unschedulable" in keys):
                return False
    if world.claims:
        claims = await cluster.list(f"/api/v1/namespaces/{world.name}/persistentvolumeclaims")
        if any(claim.get("status", {}).get("phase") != "Bound" for claim in claims.items):
            return False
    if world.quotas:
        for quota in (await cluster.list(f"/api/v1/namespaces/{world.name}/resourcequotas")).items:
            if int(quota.get("status", {}).get("used", {}).get("pods", -1)) != len(world.bound):
                return False
    return True


async def snapshot(cluster: KubeCluster, version: str) -> Inventory:
    """As `taintlab snapshot` reads it."""
    builder, reading = Builder(), Reading()
    async for page in pages(cluster, reading):
        builder.add(page)
    return builder.build(kubernetes_version=version, taken=None, missing=reading.missing)


async def observe(cluster: KubeCluster, worlds: list[World]) -> dict[str, Answer]:
    """Create the coming pods, world beside world, each world's one after the other; look when nothing moves any more."""
    refused = dict(
        zip((w.name for w in worlds), await asyncio.gather(*(_come(cluster, w) for w in worlds)), strict=True)
    )
    last: dict[str, Any] = {}
    quiet_s = 0.0
    async with asyncio.timeout(_DEADLINE_S):
        while quiet_s < QUIET_S:
            await asyncio.sleep(_POLL_S)
            now = {world.name: await _look(cluster, world) for world in worlds}
            undecided = any(state == "" for look in now.values() for state, _ in look.values())
            moved = undecided or _states(now) != _states(last)
            quiet_s = 0.0 if moved else quiet_s + _POLL_S
            last = now
    return {
        world.name: Answer(
            pending=frozenset(n for n, (state, _) in last[world.name].items() if state == "pending"),
            refused=frozenset(refused[world.name]),
            thrown_out=frozenset(
                pod["metadata"]["name"]
                for pod in world.coming
                if pod["metadata"]["name"] not in last[world.name]
                and pod["metadata"]["name"] not in refused[world.name]
            ),
            reasons={n: words for n, (state, words) in last[world.name].items() if state == "pending"},
        )
        for world in worlds
    }


def _states(looks: dict[str, dict[str, tuple[str, str]]]) -> dict[str, dict[str, str]]:
    return {name: {pod: state for pod, (state, _) in look.items()} for name, look in looks.items()}


async def _come(cluster: KubeCluster, world: World) -> set[str]:
    refused = set()
    for pod in world.coming:
        try:
            await cluster.create(f"/api/v1/namespaces/{world.name}/pods", pod)
        except Refused as error:
            if "exceeded quota" not in str(error):
                raise
            refused.add(pod["metadata"]["name"])
    return refused


async def _look(cluster: KubeCluster, world: World) -> dict[str, tuple[str, str]]:
    """Each coming pod that is there: ("bound", node), ("pending", the scheduler's words), or ("", "") before its turn."""
    out = {}
    for pod in (await cluster.list(f"/api/v1/namespaces/{world.name}/pods")).items:
        name = pod["metadata"]["name"]
        if name.startswith("bound-"):
            continue
        if pod["spec"].get("nodeName"):
            out[name] = "bound", pod["spec"]["nodeName"]
            continue
        conditions = pod.get("status", {}).get("conditions") or ()
        unschedulable = [c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"]
        out[name] = ("pending", unschedulable[0].get("message", "")) if unschedulable else ("", "")
    return out


async def remove(cluster: KubeCluster, worlds: list[World]) -> None:
    """Take the worlds off again."""
    for world in worlds:
        pods = (await cluster.list(f"/api/v1/namespaces/{world.name}/pods")).items
        paths = [f"/api/v1/namespaces/{world.name}/pods/{pod['metadata']['name']}" for pod in pods]
        paths += [f"/api/v1/nodes/{node['metadata']['name']}" for node in world.nodes]
        paths += [f"/api/v1/persistentvolumes/{volume['metadata']['name']}" for volume in world.volumes]
        paths += [f"/api/v1/namespaces/{world.name}"]
        await asyncio.gather(*(_gone(cluster, path) for path in paths))


async def _gone(cluster: KubeCluster, path: str) -> None:
    try:
        await cluster.delete(path)
    except (NotFound, Conflict):
        return
