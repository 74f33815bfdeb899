"""What a run watches: pods, nodes, EndpointSlices and Events become facts, and a live picture that steps can wait
on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from harness.clock import Instant
from harness.errors import ClusterError
from harness.history.record import Recorder
from harness.model import events
from harness.model.world import Node, Pod, World, node_from_api, pod_from_api
from harness.run.ports import Cluster, Json
from harness.run.watch import Watcher

POD_PATH = "/api/v1/pods"
NODE_PATH = "/api/v1/nodes"


def pod_seen(change: str, obj: Json) -> events.PodSeen:
    """The fact for one pod object of the API."""
    pod = pod_from_api(obj)
    return events.PodSeen(
        change=change,
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        node=pod.node,
        phase=pod.phase,
        ready=pod.ready,
        deletion_timestamp=pod.deletion_timestamp,
        grace_s=obj["metadata"].get("deletionGracePeriodSeconds"),
        disruption_reason=pod.disruption_reason,
        tolerations=tuple(toleration.to_api() for toleration in pod.tolerations),
        owner_kind=pod.owner.kind if pod.owner else "",
        owner_name=pod.owner.name if pod.owner else "",
        owner_uid=pod.owner.uid if pod.owner else "",
        resource_version=obj["metadata"].get("resourceVersion", ""),
    )


def node_seen(change: str, obj: Json) -> events.NodeSeen:
    """The fact for one node object of the API."""
    node = node_from_api(obj)
    return events.NodeSeen(
        change=change,
        name=node.name,
        uid=node.uid,
        taints=tuple(taint.to_api() for taint in node.taints),
        unschedulable=node.unschedulable,
        ready=node.ready,
        resource_version=node.resource_version,
    )


def slice_seen(change: str, obj: Json) -> events.EndpointSeen:
    """The fact for one EndpointSlice: counts of endpoints by condition (absent `ready` means ready, as the API
    says).
    """
    endpoints = obj.get("endpoints") or []
    conditions = [endpoint.get("conditions") or {} for endpoint in endpoints]
    return events.EndpointSeen(
        change=change,
        namespace=obj["metadata"]["namespace"],
        service=(obj["metadata"].get("labels") or {}).get("kubernetes.io/service-name", ""),
        slice=obj["metadata"]["name"],
        ready=0 if change in ("DELETED", "VANISHED") else sum(c.get("ready", True) is not False for c in conditions),
        terminating=sum(bool(c.get("terminating")) for c in conditions),
    )


def kube_event_seen(obj: Json) -> events.KubeEventSeen:
    """The fact for one Event object."""
    involved = obj.get("involvedObject") or {}
    source: dict[str, Any] = obj.get("source") or {}
    return events.KubeEventSeen(
        namespace=obj["metadata"].get("namespace", ""),
        reason=obj.get("reason", ""),
        message=obj.get("message", ""),
        involved_kind=involved.get("kind", ""),
        involved_name=involved.get("name", ""),
        component=obj.get("reportingComponent") or source.get("component", ""),
    )


class Observer:
    """The live picture. Steps wait on it with `until`; everything it learns is in the history first."""

    def __init__(self, cluster: Cluster, recorder: Recorder) -> None:
        """Nothing is watched until `start`."""
        self._recorder = recorder
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: list[Callable[[events.PodSeen, Instant], None]] = []
        self._seen_nodes: dict[str, tuple[Any, ...]] = {}
        self._pods = Watcher(cluster, recorder, resource="pods", path=POD_PATH, on_change=self._pod)
        self._nodes = Watcher(cluster, recorder, resource="nodes", path=NODE_PATH, on_change=self._node)
        self._slices = Watcher(
            cluster,
            recorder,
            resource="endpointslices",
            path="/apis/discovery.k8s.io/v1/endpointslices",
            on_change=self._slice,
        )
        self._events = Watcher(cluster, recorder, resource="events", path="/api/v1/events", on_change=self._event)

    async def start(self) -> None:
        """Start the watches and return when pods and nodes are listed. ClusterError when one of these two is not
        allowed.
        """
        for watcher in (self._pods, self._nodes, self._slices, self._events):
            self._tasks.append(asyncio.create_task(watcher.run()))
        for watcher, task in zip((self._pods, self._nodes), self._tasks, strict=False):
            listed = asyncio.create_task(watcher.listed.wait())
            await asyncio.wait({listed, task}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                listed.cancel()
                task.result()

    async def stop(self) -> None:
        """End the watches; one that died earlier has its reason in the history."""
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, ClusterError):
                self._recorder.record(events.RecorderFailed("watch", repr(outcome)), source="watch")

    def on_pod(self, listener: Callable[[events.PodSeen, Instant], None]) -> None:
        """Call `listener` for each pod change from now on."""
        self._listeners.append(listener)

    @property
    def pods(self) -> list[Json]:
        """Pods as last seen (API objects)."""
        return list(self._pods.objects.values())

    @property
    def nodes(self) -> list[Json]:
        """Nodes as last seen (API objects)."""
        return list(self._nodes.objects.values())

    @property
    def slices(self) -> list[Json]:
        """EndpointSlices as last seen (API objects)."""
        return list(self._slices.objects.values())

    def world(self, *, kubernetes_version: str) -> World:
        """The picture as a frozen value."""
        nodes: Iterable[Node] = sorted(map(node_from_api, self.nodes), key=lambda node: node.name)
        pods: Iterable[Pod] = sorted(map(pod_from_api, self.pods), key=lambda pod: pod.key)
        return World(tuple(nodes), tuple(pods), kubernetes_version)

    async def until(self, condition: Callable[[], bool], *, timeout_s: float) -> bool:
        """Wait until `condition()` holds, looked at after every change; False when `timeout_s` went by first."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            return False
        return True

    def _notify(self) -> None:
        async def wake() -> None:
            async with self._changed:
                self._changed.notify_all()

        task = asyncio.get_running_loop().create_task(wake())
        self._waking = task

    def _pod(self, change: str, obj: Json, arrived: Instant) -> None:
        seen = pod_seen(change, obj)
        self._recorder.record(seen, source="watch", at=arrived, origin_wall=obj["metadata"].get("deletionTimestamp"))
        for listener in self._listeners:
            listener(seen, arrived)
        self._notify()

    def _node(self, change: str, obj: Json, arrived: Instant) -> None:
        seen = node_seen(change, obj)
        state = (seen.taints, seen.unschedulable, seen.ready)
        if change == "MODIFIED" and self._seen_nodes.get(seen.uid) == state:
            return  # heartbeats: nothing that matters here changed
        self._seen_nodes[seen.uid] = state
        self._recorder.record(seen, source="watch", at=arrived)
        self._notify()

    def _slice(self, change: str, obj: Json, arrived: Instant) -> None:
        self._recorder.record(slice_seen(change, obj), source="watch", at=arrived)
        self._notify()

    def _event(self, change: str, obj: Json, arrived: Instant) -> None:
        if change == "ADDED":
            stamp = obj.get("eventTime") or obj.get("lastTimestamp")
            self._recorder.record(kube_event_seen(obj), source="watch", at=arrived, origin_wall=stamp)
