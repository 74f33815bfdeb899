"""Performing a write script on a real control plane and looking at what happens.

Nodes are API objects without a kubelet, kept Ready by heartbeats of ours; pods are bound to them from birth and have
no grace period, so that an evicted pod vanishes in the instant of its deletion. Everything of a script lives in a
namespace of its own, and its node names carry the script's number, so that many scripts run side by side on one control
plane.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, assert_never

from harness.clock import Clock
from harness.cluster.ports import Cluster, Components, Json
from harness.errors import Indeterminate, NotFound, Refused, UsageError
from harness.model.scenario import (
    CreatePod,
    DeleteNode,
    DeletePod,
    Restart,
    Scenario,
    ScenarioPod,
    SetCondition,
    SetTaints,
    SetTolerations,
    StartHeartbeat,
    StopHeartbeat,
    Write,
)
from harness.model.words import Change, Outcome
from harness.plan.allowance import AROUND_S, Measured, What
from harness.replay.bare_nodes import (
    create_namespace,
    create_node,
    heartbeats,
    pod_body,
    remove_all,
    set_taints,
    without_admission_taint,
)
from harness.replay.reference import Reference

REPLAY_LABEL = "taintlab.dev/replay"


@dataclass(frozen=True, slots=True)
class PodEnd:
    """What became of one pod name. `at_s`: deletionTimestamp first seen, seconds after time 0; None unless evicted."""

    outcome: Outcome
    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Performed:
    """When a write was sent and when it was answered, in seconds after time 0. It took effect in between."""

    sent_s: float
    acknowledged_s: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """`pods` by name; `refused`: indexes of writes that were answered with anything but success; `late_s`: the latest
    acknowledgement behind its `at`; `performed`: the writes in order, as they went; `measured`: what the reference
    beside it needed, in seconds after time 0.
    """

    pods: dict[str, PodEnd]
    refused: tuple[int, ...]
    late_s: float
    performed: tuple[Performed, ...] = ()
    measured: tuple[Measured, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the write-script format has it; additions: ``late_s``, ``writes``, ``reference``."""
        pods: dict[str, Any] = {}
        for name, end in self.pods.items():
            pods[name] = {"outcome": end.outcome} | ({} if end.at_s is None else {"at": end.at_s})
        writes = [{"sent": round(w.sent_s, 4), "acknowledged": round(w.acknowledged_s, 4)} for w in self.performed]
        more = {"late_s": round(self.late_s, 4), "writes": writes, "reference": _figures(self.measured)}
        return {"version": 1, "pods": pods, "refused": list(self.refused), **more}


@dataclass(slots=True)
class _Sighting:
    """The watch's view of one pod name (its latest object)."""

    deleting_ns: int | None = None
    by_us: bool = False
    exists: bool = False


@dataclass(slots=True)
class _Stage:
    """One script's part of the cluster."""

    scenario: Scenario
    number: int
    namespace: str
    sightings: dict[str, _Sighting] = field(default_factory=dict)
    added: list[Json] = field(default_factory=list)
    """Tolerations that admission appends to every new pod."""

    def node(self, name: str) -> str:
        """The node's name on the cluster."""
        return f"{self.namespace}-{name}"

    @property
    def pods_path(self) -> str:
        """The collection of the script's pods."""
        return f"/api/v1/namespaces/{self.namespace}/pods"


class Replayer:
    """Replays scenarios on one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        components: Components | None,
        clock: Clock,
        *,
        prefix: str,
        reference: Reference | None = None,
    ) -> None:
        """`prefix` starts every namespace and node name we make; unique on the cluster. `reference`: one that runs."""
        self._cluster = cluster
        self._components = components
        self._clock = clock
        self._prefix = prefix
        self._reference = reference

    async def replay(self, scenario: Scenario, *, number: int = 0) -> Replayed:
        """Set the world up, perform the writes, look until `until_s`, clean up. UsageError for what the cluster
        cannot show.
        """
        if self._components is None and any(isinstance(write, Restart) for write in scenario.writes):
            raise UsageError("a script that restarts a component needs a lab")
        stage = _Stage(scenario, number, f"{self._prefix}-{number}")
        nodes = [stage.node(node.name) for node in scenario.nodes]
        beating = asyncio.create_task(heartbeats(self._cluster, self._clock, nodes))
        try:
            await self._set_up(stage)
            return await self._perform(stage)
        finally:
            beating.cancel()
            await remove_all(self._cluster, stage.namespace, nodes)

    async def _set_up(self, stage: _Stage) -> None:
        labels = {REPLAY_LABEL: stage.namespace}
        await create_namespace(self._cluster, stage.namespace, labels)
        for node in stage.scenario.nodes:
            await create_node(self._cluster, self._clock, stage.node(node.name), {**node.labels, **labels})
        for node in stage.scenario.nodes:
            await without_admission_taint(self._cluster, self._clock, stage.node(node.name))
        for node in stage.scenario.nodes:
            if node.taints:
                await self._set_taints(stage.node(node.name), [taint.to_api() for taint in node.taints])
        for pod in stage.scenario.pods:
            await self._create_pod(stage, pod)

    async def _perform(self, stage: _Stage) -> Replayed:
        listing = await self._cluster.list(stage.pods_path)
        for item in listing.items:
            stage.sightings[item["metadata"]["name"]] = _Sighting(exists=True)
        watching = asyncio.create_task(self._watch(stage, listing.resource_version))
        refused: list[int] = []
        stamps: list[tuple[int, int]] = []
        zero_ns, spare_s = None, 0.0
        try:
            for index, write in enumerate(stage.scenario.writes):
                if zero_ns is not None:
                    await self._sleep_until(zero_ns + int((write.at_s - spare_s) * 1e9))
                sent_ns = self._clock.now().mono_ns
                try:
                    await self._write(stage, write)
                except (Refused, NotFound):
                    refused.append(index)
                acknowledged_ns = self._clock.now().mono_ns
                spare_s = min(0.02, (acknowledged_ns - sent_ns) / 1e9)
                if zero_ns is None:
                    zero_ns = acknowledged_ns - int(write.at_s * 1e9)
                stamps.append((sent_ns, acknowledged_ns))
            if zero_ns is None:
                zero_ns = self._clock.now().mono_ns
            await self._sleep_until(zero_ns + int(stage.scenario.until_s * 1e9))
        finally:
            watching.cancel()
        failure = next(iter(await asyncio.gather(watching, return_exceptions=True)), None)
        if isinstance(failure, Exception):
            raise Indeterminate(f"the watch of {stage.namespace} broke: {failure}")
        performed = tuple(Performed((sent - zero_ns) / 1e9, (answered - zero_ns) / 1e9) for sent, answered in stamps)
        delays_s = (
            done.acknowledged_s - write.at_s for done, write in zip(performed, stage.scenario.writes, strict=True)
        )
        measured: tuple[Measured, ...] = ()
        if self._reference is not None:
            now_ns = self._clock.now().mono_ns
            measured = self._reference.measured(zero_ns - int(AROUND_S * 1e9), now_ns, zero_ns=zero_ns)
        return Replayed(_ends(stage, zero_ns), tuple(refused), max(delays_s, default=0.0), performed, measured)

    async def _sleep_until(self, deadline_ns: int) -> None:
        left_s = (deadline_ns - self._clock.now().mono_ns) / 1e9
        if left_s > 0:
            await asyncio.sleep(left_s)

    async def _write(self, stage: _Stage, write: Write) -> None:
        match write:
            case SetTaints(node=node, taints=taints):
                await self._set_taints(stage.node(node), [taint.to_api() for taint in taints])
            case SetTolerations(pod=pod, tolerations=tolerations):
                wanted = [t.to_api() for t in tolerations] + stage.added
                patch = {"spec": {"tolerations": wanted or None}}
                await self._cluster.merge_patch(f"{stage.pods_path}/{pod}", patch)
            case CreatePod(pod=pod):
                await self._create_pod(stage, pod)
            case DeletePod(pod=pod):
                await self._delete(stage, pod)
            case Restart(component=component):
                assert self._components is not None
                await self._components.restart(component.value)
            case DeleteNode() | StopHeartbeat() | StartHeartbeat() | SetCondition():
                raise UsageError(f"a replay cannot perform {type(write).__name__}")
            case _ as never:
                assert_never(never)

    async def _delete(self, stage: _Stage, pod: str) -> None:
        sighting = stage.sightings.setdefault(pod, _Sighting())
        before, sighting.by_us = (
            sighting.by_us,
            True,
        )  # before the request: the watch may tell of it before the answer is here
        try:
            await self._cluster.delete(f"{stage.pods_path}/{pod}")
        except NotFound:
            sighting.by_us = before
            raise

    async def _set_taints(self, name: str, taints: list[Json]) -> None:
        await set_taints(self._cluster, name, taints)

    async def _create_pod(self, stage: _Stage, pod: ScenarioPod) -> None:
        body = pod_body(pod.key, stage.node(pod.node), [t.to_api() for t in pod.tolerations])
        stored = await self._cluster.create(stage.pods_path, body)
        stage.sightings.setdefault(pod.key, _Sighting())
        stage.added = _added_tolerations(stage, pod, stored)

    async def _watch(self, stage: _Stage, version: str) -> None:
        async for line in self._cluster.watch(stage.pods_path, resource_version=version):
            if line.type == "BOOKMARK":
                continue
            meta = line.object["metadata"]
            sighting = stage.sightings.setdefault(meta["name"], _Sighting())
            if line.type == Change.ADDED:
                stage.sightings[meta["name"]] = sighting = _Sighting(exists=True)
            if sighting.deleting_ns is None and (meta.get("deletionTimestamp") or line.type == Change.DELETED):
                sighting.deleting_ns = line.arrived.mono_ns
            if line.type == Change.DELETED:
                sighting.exists = False
        raise Indeterminate("the server ended it")


def _figures(measured: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """Median and maximum of each kind of sample, in seconds."""
    kinds = {what: sorted(m.seconds for m in measured if m.what is what) for what in What}
    return {
        str(what): {"n": len(found), "median_s": round(median(found), 4), "max_s": round(found[-1], 4)}
        for what, found in kinds.items()
        if found
    }


def _ends(stage: _Stage, zero_ns: int) -> dict[str, PodEnd]:
    """What became of each pod name of the script."""
    names = [pod.key for pod in stage.scenario.pods]
    names += [write.pod.key for write in stage.scenario.writes if isinstance(write, CreatePod)]
    out: dict[str, PodEnd] = {}
    for name in dict.fromkeys(names):
        sighting = stage.sightings.get(name)
        if sighting is None or (not sighting.exists and sighting.deleting_ns is None):
            out[name] = PodEnd(Outcome.NEVER_CREATED)
        elif sighting.deleting_ns is None:
            out[name] = PodEnd(Outcome.SURVIVES)
        elif sighting.by_us:
            out[name] = PodEnd(Outcome.DELETED)
        else:
            out[name] = PodEnd(Outcome.EVICTED, round((sighting.deleting_ns - zero_ns) / 1e9, 4))
    return out


def _added_tolerations(stage: _Stage, pod: ScenarioPod, stored: Json) -> list[Json]:
    """What admission appended. UsageError when it could change the script's outcome: the cluster then answers
    another question.
    """
    wanted = [t.to_api() for t in pod.tolerations]
    added: list[Json] = (stored["spec"].get("tolerations") or [])[len(wanted) :]
    keys = {toleration.get("key") for toleration in added}
    taints = [taint for node in stage.scenario.nodes for taint in node.taints]
    taints += [taint for write in stage.scenario.writes if isinstance(write, SetTaints) for taint in write.taints]
    if any(taint.key in keys for taint in taints):
        raise UsageError(
            f"this control plane adds tolerations of {', '.join(sorted(map(str, keys)))} to new pods, and the script's "
            "taints meet them: use a lab with "
            "--flag kube-apiserver=--disable-admission-plugins=DefaultTolerationSeconds"
        )
    return added
