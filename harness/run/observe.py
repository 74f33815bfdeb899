"""What a run watches: pods, nodes, EndpointSlices and Events become facts, and a live picture that steps can wait
on.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from harness.clock import Instant, sleep, timeout
from harness.cluster.ports import Cluster, Json
from harness.cluster.pulse import watch_answers
from harness.cluster.standstill import watch_standstill
from harness.cluster.watch import Watcher
from harness.errors import ClusterError
from harness.history.record import Recorder
from harness.model import events, wellknown
from harness.model.world import World, WorldNode, WorldPod, node_from_api, pod_from_api
from harness.run.closing import close_list

POD_PATH = "/api/v1/pods"
NODE_PATH = "/api/v1/nodes"
START_S = 60.0
"""How long the first lists of pods and nodes may take."""
_REMEMBERED = 4096


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
        taints_by=written_by(obj, "f:taints"),
        unschedulable_by=written_by(obj, "f:unschedulable"),
    )


def written_by(obj: Json, field: str) -> str:
    """Who wrote a field of `spec` last and when, of metadata.managedFields: ``kubectl-taint 2026-01-02T03:04:05Z``; ""
    when nobody owns it (also after it was removed).
    """
    owners = [
        (str(entry.get("time") or ""), number, str(entry.get("manager") or ""))
        for number, entry in enumerate(obj["metadata"].get("managedFields") or ())
        if field in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    if not owners:
        return ""
    time, _, manager = max(owners)
    return f"{manager} {time}".strip()


def slice_seen(change: str, obj: Json) -> events.EndpointSeen:
    """The fact for one EndpointSlice: counts of endpoints by condition (absent `ready` means ready, as the API
    says).
    """
    endpoints = obj.get("endpoints") or []
    conditions = [endpoint.get("conditions") or {} for endpoint in endpoints]
    return events.EndpointSeen(
        change=change,
        namespace=obj["metadata"]["namespace"],
        service=(obj["metadata"].get("labels") or {}).get(wellknown.SERVICE_NAME, ""),
        slice=obj["metadata"]["name"],
        ready=0 if change in ("DELETED", "VANISHED") else sum(c.get("ready", True) is not False for c in conditions),
        terminating=sum(bool(c.get("terminating")) for c in conditions),
        resource_version=obj["metadata"].get("resourceVersion", ""),
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
        self._cluster = cluster
        self._recorder = recorder
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._listeners: list[Callable[[events.PodSeen, Instant], None]] = []
        self._seen_nodes: dict[str, tuple[Any, ...]] = {}
        self._writes = _Writes(recorder)

        def watcher(resource: str, path: str, on_change: Callable[[str, Json, Instant], None]) -> Watcher:
            required = resource in ("pods", "nodes")
            return Watcher(cluster, recorder, resource=resource, path=path, on_change=on_change, required=required)

        self._pods = watcher("pods", POD_PATH, self._pod)
        self._nodes = watcher("nodes", NODE_PATH, self._node)
        self._slices = watcher("endpointslices", "/apis/discovery.k8s.io/v1/endpointslices", self._slice)
        self._events = watcher("events", "/api/v1/events", self._event)
        self._watchers = (self._pods, self._nodes, self._slices, self._events)

    async def start(self) -> None:
        """Start the watches and return when pods and nodes are listed. ClusterError when one of these two is refused,
        or not had within START_S.
        """
        self._task("standstill", watch_standstill(self._recorder))
        tasks = [self._task(watcher.resource, watcher.run()) for watcher in self._watchers]
        for watcher, task in zip((self._pods, self._nodes), tasks, strict=False):
            await self._first_list(watcher, task)
        self._task("answers", watch_answers(self._cluster, self._recorder))

    async def _first_list(self, watcher: Watcher, task: asyncio.Task[None]) -> None:
        listed = asyncio.create_task(watcher.listed.wait())
        late = asyncio.create_task(sleep(self._recorder.clock, START_S))
        await asyncio.wait({listed, task, late}, return_when=asyncio.FIRST_COMPLETED)
        late.cancel()
        if watcher.listed.is_set():
            return
        listed.cancel()
        if task.done():
            task.result()
        raise ClusterError(f"{watcher.resource} could not be listed within {START_S:g} s: {watcher.trouble}")

    def _task(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda done: self._ended(name, done))
        self._tasks.append(task)
        return task

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        """No task ends by itself unsaid; a watcher tells its own errors."""
        if self._stopping:
            return
        if task.cancelled():
            self._recorder.record(events.RecorderFailed(name, "cancelled from outside"), source="watch")
        elif name in ("standstill", "answers"):
            self._recorder.record(events.RecorderFailed(name, repr(task.exception())), source="watch")

    async def stop(self) -> None:
        """End the watches, without another fact; to be called before RunEnded is written. May be called again."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close_list(self, targets: Iterable[str], namespaces: Iterable[str]) -> None:
        """List pods, nodes and EndpointSlices anew, before anything of the run is removed, and write down what is
        there and what the watches missed. Takes at most 20 s; what goes wrong is in the history, never raised.

        `targets`: node names; `namespaces`: the workload's.
        """
        listed = (self._pods, self._nodes, self._slices)
        await close_list(
            self._cluster, self._recorder, listed, targets=frozenset(targets), namespaces=frozenset(namespaces)
        )

    def wrote(self, resource: str, resource_version: str) -> None:
        """A write of ours was acknowledged just now with `resource_version` (of ``nodes`` or ``pods``): how long its
        line takes to come is a LatencyMeasured, whichever of the two came first.
        """
        self._writes.acknowledged(resource, resource_version, self._recorder.now())

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
        nodes: Iterable[WorldNode] = sorted(map(node_from_api, self.nodes), key=lambda node: node.name)
        pods: Iterable[WorldPod] = sorted(map(pod_from_api, self.pods), key=lambda pod: pod.key)
        return World(tuple(nodes), tuple(pods), kubernetes_version)

    async def until(self, condition: Callable[[], bool], *, timeout_s: float) -> bool:
        """Wait until `condition()` holds, looked at after every change; False when `timeout_s` went by first."""
        try:
            async with timeout(self._recorder.clock, timeout_s), self._changed:
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
        self._writes.shown("pods", change, seen.resource_version, arrived)
        self._recorder.record(seen, source="watch", at=arrived, origin_wall=obj["metadata"].get("deletionTimestamp"))
        for listener in self._listeners:
            listener(seen, arrived)
        self._notify()

    def _node(self, change: str, obj: Json, arrived: Instant) -> None:
        seen = node_seen(change, obj)
        self._writes.shown("nodes", change, seen.resource_version, arrived)
        state = (seen.taints, seen.unschedulable, seen.ready, seen.taints_by, seen.unschedulable_by)
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


class _Writes:
    """Joins the answers to our writes with their lines in the watch, by resource version."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._answers: OrderedDict[tuple[str, str], Instant] = OrderedDict()
        self._lines: OrderedDict[tuple[str, str], Instant] = OrderedDict()

    def acknowledged(self, resource: str, version: str, at: Instant) -> None:
        """The answer came."""
        line = self._lines.pop((resource, version), None)
        if line is not None:
            self._measured(at, line)
        else:
            _remember(self._answers, (resource, version), at)

    def shown(self, resource: str, change: str, version: str, at: Instant) -> None:
        """A line came; what was learnt from a list says nothing about the watch."""
        if change not in ("ADDED", "MODIFIED"):
            return
        answer = self._answers.pop((resource, version), None)
        if answer is not None:
            self._measured(answer, at)
        else:
            _remember(self._lines, (resource, version), at)

    def _measured(self, answer: Instant, line: Instant) -> None:
        """A line that came before the answer took no time."""
        seconds = max(0.0, (line.mono_ns - answer.mono_ns) / 1e9)
        self._recorder.record(events.LatencyMeasured("write-to-watch", round(seconds, 6)), source="watch")


def _remember(kept: OrderedDict[tuple[str, str], Instant], key: tuple[str, str], at: Instant) -> None:
    kept[key] = at
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)
