"""Generated worlds on the real kube-scheduler: what it leaves Pending against what the plan's filter says.

Nodes are plain API objects without kubelets: only the scheduler decides. What is compared is what a plan promises:
which pods stay Pending, which are refused by a quota, which are preempted. Worlds whose answer hangs on the
scheduler's own dice (which of two equal nodes it takes first) are found by placing in several orders, and left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from harness.adapters.kube import KubeCluster
from harness.errors import Conflict, NotFound, Refused
from harness.model.state import ClusterState, PodTemplate
from harness.semantics.scheduling import Placed, PlacementOutcome, Request, Scheduler, place_all
from harness.semantics.scheduling.quotas import Quotas
from harness.snapshot import Builder, Reading, pages
from harness.snapshot.manifests import new_pods
from tests.lab.agreement_worlds import PRIORITIES, World

QUIET_S = 11.0
"""Nothing has moved for so long: longer than the scheduler's longest back-off, so every retry has had its turn."""
_DEADLINE_S = 240.0
_POLL_S = 0.25
_TOUCH_TURNS = 20
_COURSES = 25
FLAGS = (
    "kube-controller-manager=--node-monitor-grace-period=2h",  # nobody sends heartbeats
    "kube-controller-manager=--kube-api-qps=1000",
    "kube-controller-manager=--kube-api-burst=2000",
    "kube-controller-manager=--pvclaimbinder-sync-period=3s",
    "kube-scheduler=--kube-api-qps=1000",
    "kube-scheduler=--kube-api-burst=2000",
    "kube-scheduler=--pod-max-in-unschedulable-pods-duration=1s",  # see `observe`
)


@dataclass(frozen=True)
class Answer:
    """What becomes of a world's coming pods, by name. `reasons`: the scheduler's words for those that are Pending."""

    pending: frozenset[str]
    refused: frozenset[str]
    preempted: frozenset[str]
    reasons: dict[str, str]

    def same(self, other: Answer) -> bool:
        """Equal but for the words."""
        return (self.pending, self.refused, self.preempted) == (other.pending, other.refused, other.preempted)


# --- prediction ---


class _Dice(Scheduler):
    """Takes any node that will do, each time another, as the scheduler may."""

    rng: Random

    def place(self, template: PodTemplate, count: int) -> list[Placed]:
        """One pod at a time."""
        spots: list[Placed] = []
        while len(spots) < count:
            self.prefer([self.rng.random() for _ in self.table.nodes])
            found = super().place(template, 1)
            if not found:
                break
            spots += found
        return spots


@dataclass(frozen=True)
class _Course:
    """One way that things may go. `preempting`: (priority of the pod, its place among the coming) for each pod that
    makes room for itself.
    """

    answer: Answer
    preempting: tuple[tuple[int, int], ...]


def predict_world(world: World, inventory: ClusterState, rng: Random | None, *, queued: bool = False) -> _Course:
    """What the filter says. `rng`: which nodes are taken, None for the emptiest. `queued`: all pods are in the queue
    before the first is looked at, so that priority counts, not arrival.
    """
    coming = new_pods([{"kind": "Pod", **pod} for pod in world.coming], inventory)
    quotas = Quotas(inventory.quotas)
    refused, requests = set(), []
    for number, pod in enumerate(coming):
        if quotas.admit(pod.template):
            refused.add(pod.name)
        else:
            requests.append(Request(pod.name, pod.template, 0.0 if queued else float(number)))
    kind = Scheduler if rng is None else _Dice
    engine = kind(inventory, inventory.pods, compares=False, coming=[pod.template for pod in coming])
    if isinstance(engine, _Dice) and rng is not None:
        engine.rng = rng
    placed = place_all(engine, requests, staying=inventory.pods, replaced=lambda template: False).placements
    pending = {name for name, placement in placed.items() if placement.fate is PlacementOutcome.PENDING}
    answer = Answer(
        pending=frozenset(pending),
        refused=frozenset(refused),
        preempted=frozenset(request.key for request in requests if request.key not in placed),
        reasons={name: placed[name].reason for name in pending},
    )
    preempting = tuple(
        (pod.template.priority, number)
        for number, pod in enumerate(coming)
        if pod.name in placed and placed[pod.name].fate is PlacementOutcome.PREEMPTS
    )
    return _Course(answer, preempting)


def decided(world: World, inventory: ClusterState) -> tuple[Answer, int] | None:
    """The prediction, and how many pods make room for themselves; None where chance decides.

    It does when another choice of nodes, or a queue that fills faster, gives another answer; and when a pod that makes
    room for itself may be overtaken: by a more important one that comes while its victims leave, or by one that finds
    their share of a quota.
    """
    course = predict_world(world, inventory, None)
    rng = Random(world.name)
    for number in range(_COURSES):
        for queued in (False, True):
            other = predict_world(world, inventory, rng if number else None, queued=queued)
            if not course.answer.same(other.answer) or (other.preempting and world.quotas):
                return None
            if any(_overtaken(preempting, world, inventory) for preempting in other.preempting):
                return None
    return course.answer, len(course.preempting)


def _overtaken(preempting: tuple[int, int], world: World, inventory: ClusterState) -> bool:
    priority, place = preempting
    priorities = {each.name: each.value for each in inventory.priority_classes}
    others = world.coming[:place] + world.coming[place + 1 :]
    return any(priorities.get(pod["spec"].get("priorityClassName", ""), 0) > priority for pod in others)


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
    for quota in world.quotas:
        await cluster.create(f"/api/v1/namespaces/{name}/resourcequotas", quota)
        await _counted(cluster, world, 0)  # a quota made beside pods may miss some of them for minutes
    for pod in world.bound:
        await cluster.create(f"/api/v1/namespaces/{name}/pods", pod)


async def _counted(cluster: KubeCluster, world: World, pods: int) -> None:
    """Wait until the world's quota says that so many pods are used."""
    async with asyncio.timeout(_DEADLINE_S):
        while not await _has_counted(cluster, world, pods):  # noqa: ASYNC110 -- the API is asked
            await asyncio.sleep(_POLL_S)


async def _has_counted(cluster: KubeCluster, world: World, pods: int) -> bool:
    quotas = (await cluster.list(f"/api/v1/namespaces/{world.name}/resourcequotas")).items
    return all(int(quota.get("status", {}).get("used", {}).get("pods", -1)) == pods for quota in quotas)


async def settled(cluster: KubeCluster, worlds: Iterable[World]) -> None:
    """Wait until the controllers have done their part: taints of conditions and cordons, bound claims, counted
    quotas. What a controller has missed (a write that failed is not tried again before the next event) is touched, so
    that it looks again. TimeoutError naming what never came.
    """
    for world in worlds:
        laggards: list[str] = []
        for turn in range(int(_DEADLINE_S / _POLL_S)):
            laggards = await _laggards(cluster, world)
            if not laggards:
                break
            if turn % _TOUCH_TURNS == _TOUCH_TURNS - 1:
                for path in laggards:
                    await cluster.merge_patch(path, _touch(path, turn))
            await asyncio.sleep(_POLL_S)
        else:
            raise TimeoutError(f"{world.name}: not settled: {laggards}")


def _touch(path: str, turn: int) -> dict[str, Any]:
    """A change that matters to nobody. A quota is only counted again when what it limits has changed."""
    if "/resourcequotas/" in path:
        return {"spec": {"hard": {"count/configmaps": str(1000 + turn)}}}
    return {"metadata": {"annotations": {"taintlab.test/touched": str(turn)}}}


async def _laggards(cluster: KubeCluster, world: World) -> list[str]:
    """The paths of a world's objects that a controller has yet to see to."""
    out = []
    own = {node["metadata"]["name"] for node in world.nodes}
    for node in (await cluster.list("/api/v1/nodes")).items:
        name, spec = node["metadata"]["name"], node.get("spec", {})
        keys = {taint["key"] for taint in spec.get("taints") or ()}
        cordoned = bool(spec.get("unschedulable"))
        lags = "node.kubernetes.io/not-ready" in keys or cordoned != ("node.kubernetes.io/unschedulable" in keys)
        if name in own and lags:
            out.append(f"/api/v1/nodes/{name}")
    at = f"/api/v1/namespaces/{world.name}"
    if world.claims:
        claims = (await cluster.list(f"{at}/persistentvolumeclaims")).items
        unbound = [claim for claim in claims if claim.get("status", {}).get("phase") != "Bound"]
        out += [f"{at}/persistentvolumeclaims/{claim['metadata']['name']}" for claim in unbound]
    if world.quotas and not await _has_counted(cluster, world, len(world.bound)):
        out.append(f"{at}/resourcequotas/limit")
    return out


async def snapshot(cluster: KubeCluster, version: str) -> ClusterState:
    """As `taintlab snapshot` reads it."""
    builder, reading = Builder(), Reading()
    async for page in pages(cluster, reading):
        builder.add(page)
    return builder.build(kubernetes_version=version, taken=None, missing=reading.missing)


async def observe(cluster: KubeCluster, worlds: list[World]) -> dict[str, Answer]:
    """Create the coming pods, world beside world, each world's one after the other; look when nothing moves any more.

    A pod whose victims are gone (it is nominated) is not always woken by their deletion: kube-scheduler's hint for
    inter-pod affinity does not think of the anti-affinity of the pod that left. It is taken along when what is left
    over is flushed, every 30 s; so as long as there is such a pod, this waits.
    """
    refused = dict(
        zip((w.name for w in worlds), await asyncio.gather(*(_come(cluster, w) for w in worlds)), strict=True)
    )
    last: dict[str, Any] = {}
    quiet_s = 0.0
    async with asyncio.timeout(_DEADLINE_S):
        while quiet_s < QUIET_S:
            await asyncio.sleep(_POLL_S)
            now = {world.name: await _look(cluster, world) for world in worlds}
            undecided = any(state in ("", "nominated") for look in now.values() for state, _ in look.values())
            moved = undecided or _states(now) != _states(last)
            quiet_s = 0.0 if moved else quiet_s + _POLL_S
            last = now
    return {
        world.name: Answer(
            pending=frozenset(n for n, (state, _) in last[world.name].items() if state == "pending"),
            refused=frozenset(refused[world.name]),
            preempted=frozenset(
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
    """Each coming pod that is there: ("bound", node), ("pending", the scheduler's words), ("nominated", node) when
    others have made room for it, or ("", "") before its turn.
    """
    out = {}
    for pod in (await cluster.list(f"/api/v1/namespaces/{world.name}/pods")).items:
        name = pod["metadata"]["name"]
        if name.startswith("bound-"):
            continue
        if pod["spec"].get("nodeName"):
            out[name] = "bound", pod["spec"]["nodeName"]
            continue
        nominated = pod.get("status", {}).get("nominatedNodeName")
        if nominated:
            out[name] = "nominated", nominated
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
