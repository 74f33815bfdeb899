"""What a run watches, as far as somebody needs it: it becomes facts, and a live picture that steps can wait on."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from harness.clock import Instant, sleep, timeout
from harness.cluster.ports import Cluster, Json
from harness.cluster.pulse import watch_answers
from harness.cluster.standstill import watch_standstill
from harness.cluster.watch import Watcher
from harness.errors import ClusterError
from harness.history.record import Recorder
from harness.model import events, wellknown
from harness.model.needs import Watched, WatchNeed, union
from harness.model.taints import taints_from_api, tolerations_from_api
from harness.model.words import Change
from harness.run.closing import close_list
from harness.snapshot import LiveSnapshot

POD_PATH = "/api/v1/pods"
NODE_PATH = "/api/v1/nodes"
_PLACES = {
    Watched.PODS: ("/api/v1", "pods"),
    Watched.NODES: ("/api/v1", "nodes"),
    Watched.ENDPOINT_SLICES: ("/apis/discovery.k8s.io/v1", "endpointslices"),
}
_ALWAYS = (WatchNeed(Watched.PODS), WatchNeed(Watched.NODES))
"""Without these there is no run: targets, and what is on them."""
START_S = 60.0
"""How long the first lists of pods and nodes may take."""
_REMEMBERED = 4096
_DEFAULT_GRACE_S = 30
"""core/v1 DefaultTerminationGracePeriodSeconds; the API server has filled it in already."""


def pod_seen(change: Change, obj: Json) -> events.PodSeen:
    """The fact for one pod object of the API; ValueError for a toleration that Kubernetes does not know."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    owner: Json = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), {})
    disruption = _condition(status, "DisruptionTarget")
    grace_s = spec.get("terminationGracePeriodSeconds")
    return events.PodSeen(
        change=change,
        namespace=meta.get("namespace", "default"),
        name=meta["name"],
        uid=meta.get("uid", ""),
        node=spec.get("nodeName") or "",
        phase=status.get("phase") or "Pending",
        ready=_condition(status, "Ready").get("status") == "True",
        deletion_timestamp=meta.get("deletionTimestamp"),
        grace_s=meta.get("deletionGracePeriodSeconds"),
        disruption_reason=disruption.get("reason") if disruption.get("status") == "True" else None,
        tolerations=tuple(toleration.to_api() for toleration in tolerations_from_api(spec.get("tolerations"))),
        owner_kind=owner.get("kind", ""),
        owner_name=owner.get("name", ""),
        owner_uid=owner.get("uid", ""),
        resource_version=meta.get("resourceVersion", ""),
        spec_grace_s=_DEFAULT_GRACE_S if grace_s is None else grace_s,
        mirror=wellknown.MIRROR in (meta.get("annotations") or {}),
        labels=dict(meta.get("labels") or {}),
    )


def node_seen(change: Change, obj: Json) -> events.NodeSeen:
    """The fact for one node object of the API; ValueError for a taint that Kubernetes does not know."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    return events.NodeSeen(
        change=change,
        name=meta["name"],
        uid=meta.get("uid", ""),
        taints=tuple(taint.to_api() for taint in taints_from_api(spec.get("taints"))),
        unschedulable=bool(spec.get("unschedulable")),
        ready=_condition(status, "Ready").get("status") == "True",
        resource_version=meta.get("resourceVersion", ""),
        taints_by=written_by(obj, "f:taints"),
        unschedulable_by=written_by(obj, "f:unschedulable"),
        labels=dict(meta.get("labels") or {}),
        conditions={c["type"]: c["status"] for c in status.get("conditions") or ()},
    )


def _condition(status: Json, kind: str) -> Json:
    found: Iterator[Json] = (c for c in status.get("conditions") or () if c.get("type") == kind)
    return next(found, {})


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


def slice_seen(change: Change, obj: Json) -> events.EndpointSeen:
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
        ready=0 if change.is_end else sum(c.get("ready", True) is not False for c in conditions),
        terminating=sum(bool(c.get("terminating")) for c in conditions),
        resource_version=obj["metadata"].get("resourceVersion", ""),
    )


class Observer:
    """The live picture. Steps wait on it with `until`; everything it learns is in the history first."""

    def __init__(self, cluster: Cluster, recorder: Recorder, needs: Iterable[WatchNeed] = ()) -> None:
        """Watches what `needs` names, beside the pods and nodes of the whole cluster. Nothing is watched until `start`.

        A need in one namespace is watched there alone. Needs in several are one watch of the whole cluster: several
        watches of a resource could not tell in the history which of them was blind.
        """
        self._cluster = cluster
        self._recorder = recorder
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._listeners: list[Callable[[events.PodSeen, Instant], None]] = []
        self._seen_nodes: dict[str, tuple[Any, ...]] = {}
        self._writes = _Writes(recorder)
        self._watchers: dict[Watched, Watcher] = {}
        for watch, namespaces in union((*_ALWAYS, *needs)).items():
            scope = tuple(namespaces) if namespaces is not None and len(namespaces) == 1 else None
            self._watchers[watch] = self._watcher(watch, scope)

    def _watcher(self, watch: Watched, scope: tuple[str, ...] | None) -> Watcher:
        on_change = {Watched.PODS: self._pod, Watched.NODES: self._node, Watched.ENDPOINT_SLICES: self._slice}
        root, plural = _PLACES[watch]
        return Watcher(
            self._cluster,
            self._recorder,
            resource=watch,
            path=f"{root}/{plural}" if scope is None else f"{root}/namespaces/{quote(scope[0], safe='')}/{plural}",
            on_change=on_change[watch],
            namespaces=scope,
            required=watch in (Watched.PODS, Watched.NODES),
        )

    async def start(self) -> None:
        """Start the watches and return when pods and nodes are listed. ClusterError when one of these two is refused,
        or not had within START_S.
        """
        self._task("standstill", watch_standstill(self._recorder))
        tasks: dict[Watched, asyncio.Task[None]] = {}
        for watch, watcher in self._watchers.items():
            tasks[watch] = self._task(watcher.resource, watcher.run())
        for need in _ALWAYS:
            await self._first_list(self._watchers[need.watch], tasks[need.watch])
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
        """List everything that is watched anew, before anything of the run is removed, and write down what is
        there and what the watches missed. Takes at most 20 s; what goes wrong is in the history, never raised.

        `targets`: node names; `namespaces`: the workload's.
        """
        watchers = self._watchers.values()
        await close_list(
            self._cluster, self._recorder, watchers, targets=frozenset(targets), namespaces=frozenset(namespaces)
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
        return self._objects(Watched.PODS)

    @property
    def nodes(self) -> list[Json]:
        """Nodes as last seen (API objects)."""
        return self._objects(Watched.NODES)

    @property
    def slices(self) -> list[Json]:
        """EndpointSlices as last seen (API objects); LookupError when nobody declared that they are needed."""
        return self._objects(Watched.ENDPOINT_SLICES)

    def _objects(self, watch: Watched) -> list[Json]:
        watcher = self._watchers.get(watch)
        if watcher is None:
            raise LookupError(f"{watch} are not watched: nobody declared that they are needed")
        return list(watcher.objects.values())

    def snapshot(self, *, kubernetes_version: str) -> LiveSnapshot:
        """The picture as it is now, to be made into a cluster state or a world file."""
        taken = self._recorder.now().wall
        return LiveSnapshot(self.nodes, self.pods, kubernetes_version, taken)

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

    def _pod(self, change: Change, obj: Json, arrived: Instant) -> None:
        seen = pod_seen(change, obj)
        self._writes.shown("pods", change, seen.resource_version, arrived)
        self._recorder.record(seen, source="watch", at=arrived, origin_wall=obj["metadata"].get("deletionTimestamp"))
        for listener in self._listeners:
            listener(seen, arrived)
        self._notify()

    def _node(self, change: Change, obj: Json, arrived: Instant) -> None:
        seen = node_seen(change, obj)
        self._writes.shown("nodes", change, seen.resource_version, arrived)
        state = (
            *(seen.taints, seen.unschedulable, seen.ready, seen.taints_by, seen.unschedulable_by),
            *(seen.labels, seen.conditions),
        )
        if change is Change.MODIFIED and self._seen_nodes.get(seen.uid) == state:
            return  # heartbeats: nothing that matters here changed
        self._seen_nodes[seen.uid] = state
        self._recorder.record(seen, source="watch", at=arrived)
        self._notify()

    def _slice(self, change: Change, obj: Json, arrived: Instant) -> None:
        self._recorder.record(slice_seen(change, obj), source="watch", at=arrived)
        self._notify()


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

    def shown(self, resource: str, change: Change, version: str, at: Instant) -> None:
        """A line came; what was learnt from a list says nothing about the watch."""
        if change not in (Change.ADDED, Change.MODIFIED):
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
