"""A taint eviction controller of our own, which can break one rule: the broken world that an experiment must fail in.

It does what pkg/controller/tainteviction does upstream (look at pods when a node's evicting taints or their own
tolerations change; a countdown for each pod name, kept as it is while it runs; GET, PATCH of DisruptionTarget, DELETE),
but for one `Defect` for each namespace, so that many experiments share a lab. The lab's own one must be switched off.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.adapters.kube import connect
from harness.clock import SystemClock
from harness.cluster.ports import Cluster
from harness.errors import Conflict, NotFound, Refused
from harness.lab import Component, Lab, control
from harness.lab.control import Operation
from harness.lab.view import record_of
from tests.lab.wrong_controller_rules import Defect, evicting, patience_s

Json = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name: upstream counts for a name, whoever has it."""

ATTEMPTS = 5
"""Upstream's own, 10 ms apart."""
LOOK_S = 0.1
"""How often the supervisor is asked whether kube-controller-manager was started again; nobody can be told."""
SUCCESSOR_S = 1.0
"""From the start of a kube-controller-manager to its first countdown (measured: 0.7 to 1.5 s after the restart)."""
LATE_S = 2.0
"""Of a controller that is late: more than a replay allows on any machine."""
_LISTED_S = 20.0
_DISRUPTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "DeletionByTaintManager",
    "message": "Taint manager: deleting due to NoExecute taint",
}


@dataclass(frozen=True)
class Countdown:
    """One that runs; `begun_s` by the event loop's clock."""

    begun_s: float
    timer: asyncio.TimerHandle


class WrongController:
    """Evicts by `defects` (namespace to defect; others have `otherwise`). Lives on one event loop.

    `restarting`: namespaces for which a restart of kube-controller-manager is one of this controller too. It belongs to
    one experiment, and the others on the lab must not feel it.
    """

    def __init__(
        self,
        cluster: Cluster,
        defects: Mapping[str, Defect],
        *,
        restarting: Collection[str] = (),
        otherwise: Defect = Defect.NONE,
    ) -> None:
        """Sees nothing until `run`."""
        self._cluster = cluster
        self._defects = defects
        self._otherwise = otherwise
        self._restarting = frozenset(restarting)
        self._taints: dict[str, list[Json]] = {}
        self._pods: dict[str, Json] = {}
        self._countdowns: dict[Key, Countdown] = {}
        self._tasks: asyncio.TaskGroup

    async def run(self, *, starts: Callable[[], int], on_listed: Callable[[], None]) -> None:
        """Evict until cancelled; calls `on_listed` when nodes and pods are known. Any error of the API that upstream
        would not live with ends it. `starts`: how often kube-controller-manager was started so far.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                nodes = await self._cluster.list("/api/v1/nodes")
                pods = await self._cluster.list("/api/v1/pods")
                for node in nodes.items:
                    self._node_seen("ADDED", node)
                for pod in pods.items:
                    self._pod_seen("ADDED", pod)
                self._tasks.create_task(self._watch("/api/v1/nodes", nodes.resource_version, self._node_seen))
                self._tasks.create_task(self._watch("/api/v1/pods", pods.resource_version, self._pod_seen))
                self._tasks.create_task(self._restart_with(starts))
                on_listed()
        finally:
            for key in list(self._countdowns):
                self._cancel(key)

    async def _watch(self, path: str, version: str, seen: Callable[[str, Json], None]) -> None:
        while True:
            async for line in self._cluster.watch(path, resource_version=version):
                version = line.object["metadata"]["resourceVersion"]
                if line.type != "BOOKMARK":
                    seen(line.type, line.object)

    async def _restart_with(self, starts: Callable[[], int]) -> None:
        """Lose the countdowns of `restarting` with each restart, and begin them anew when the successor would."""
        before = await asyncio.to_thread(starts)
        while self._restarting:
            await asyncio.sleep(LOOK_S)
            now = await asyncio.to_thread(starts)
            if now == before:
                continue
            before = now
            for key in [key for key in self._countdowns if key[0] in self._restarting]:
                self._cancel(key)
            await asyncio.sleep(SUCCESSOR_S)
            for pod in self._pods.values():
                if pod["metadata"]["namespace"] in self._restarting:
                    self._look_at(pod)

    def _node_seen(self, change: str, node: Json) -> None:
        """A node is new or changed: its pods are looked at if the taints that evict them are others than before."""
        name = node["metadata"]["name"]
        before = self._taints.get(name, [])
        now = self._taints[name] = [] if change == "DELETED" else node["spec"].get("taints") or []
        if now == before:
            return
        for pod in self._pods.values():
            defect = self._defect_of(pod)
            if pod["spec"].get("nodeName") == name and evicting(before, defect) != evicting(now, defect):
                self._look_at(pod)

    def _pod_seen(self, change: str, pod: Json) -> None:
        """A pod is looked at when it is new on its node, and when its tolerations change."""
        uid, spec = pod["metadata"]["uid"], pod["spec"]
        if change == "DELETED":
            self._pods.pop(uid, None)
            self._cancel(_key(pod))
            return
        before = self._pods.get(uid, {"spec": {}})["spec"]
        self._pods[uid] = pod
        is_new = before.get("nodeName") != spec.get("nodeName")
        if is_new and self._defect_of(pod) is Defect.NEWCOMERS_SPARED:
            return
        if is_new or before.get("tolerations") != spec.get("tolerations"):
            self._look_at(pod)

    def _look_at(self, pod: Json) -> None:
        """Evict it, let its countdown begin, or cancel that."""
        defect, key = self._defect_of(pod), _key(pod)
        taints = evicting(self._taints.get(pod["spec"].get("nodeName", ""), []), defect)
        wait_s = patience_s(taints, pod["spec"].get("tolerations") or [], defect)
        if wait_s is None:
            self._cancel(key)
            self._evict(key, defect)
        elif wait_s == math.inf:
            self._cancel(key)
        else:
            self._count_down(key, wait_s, defect)

    def _count_down(self, key: Key, wait_s: float, defect: Defect) -> None:
        """Begin a countdown. One that runs is kept as it is, unless that is the rule to be broken."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        running = self._countdowns.get(key)
        if running is not None:
            if defect not in (Defect.COUNTDOWN_RESET, Defect.EDITS_HONOURED):
                return
            if defect is Defect.EDITS_HONOURED:
                begun_s = running.begun_s
            self._cancel(key)
        timer = loop.call_at(begun_s + wait_s, self._evict, key, defect)
        self._countdowns[key] = Countdown(begun_s, timer)

    def _cancel(self, key: Key) -> None:
        running = self._countdowns.pop(key, None)
        if running is not None:
            running.timer.cancel()

    def _evict(self, key: Key, defect: Defect) -> None:
        self._countdowns.pop(key, None)
        ask = self._ask_for_eviction if defect is Defect.BUDGET_RESPECTED else self._delete
        late_s = LATE_S if defect is Defect.TWO_SECONDS_LATE else 0.0
        self._tasks.create_task(_later(late_s, ask, key))

    async def _delete(self, namespace: str, name: str) -> None:
        """As upstream: no precondition, no other grace, and five attempts."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        for _ in range(ATTEMPTS):
            try:
                pod = await self._cluster.get(path)
                others = [c for c in pod["status"].get("conditions") or () if c["type"] != _DISRUPTED["type"]]
                # Without it the disruption controller takes the condition for stale, and takes it off again.
                disrupted = {**_DISRUPTED, "lastTransitionTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
                version = {"resourceVersion": pod["metadata"]["resourceVersion"]}  # the list is replaced as a whole
                patch = {"metadata": version, "status": {"conditions": [*others, disrupted]}}
                await self._cluster.merge_patch(f"{path}/status", patch)
                await self._cluster.delete(path)
            except NotFound:
                return
            except Conflict:
                await asyncio.sleep(0.01)
            else:
                return

    async def _ask_for_eviction(self, namespace: str, name: str) -> None:
        """As kubectl drain, but once: 429 is a budget's no."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        try:
            await self._cluster.create(f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body)
        except Refused as refused:
            if refused.status not in (404, 429):
                raise

    def _defect_of(self, pod: Json) -> Defect:
        return self._defects.get(pod["metadata"]["namespace"], self._otherwise)


async def _later(late_s: float, ask: Callable[[str, str], Awaitable[None]], key: Key) -> None:
    await asyncio.sleep(late_s)
    await ask(*key)


def _key(pod: Json) -> Key:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


@contextmanager
def evicting_on(
    lab: Lab,
    defects: Mapping[str, Defect],
    *,
    restarting: Collection[str] = (),
    otherwise: Defect = Defect.NONE,
) -> Iterator[None]:
    """Runs the controller on `lab` beside the caller, in a thread; what ended it before is raised at the end."""
    listed, leave = threading.Event(), threading.Event()
    sockets = Path(record_of(lab).sockets)

    def starts() -> int:
        programs = control.ask(sockets, Operation.STATUS)
        return next(each.starts for each in programs if each.name == Component.CONTROLLER_MANAGER)

    async def work() -> None:
        cluster = await connect(kubeconfig=lab.kubeconfig, context=None, name=lab.name, clock=SystemClock())
        try:
            controller = WrongController(cluster, defects, restarting=restarting, otherwise=otherwise)
            running = asyncio.create_task(controller.run(starts=starts, on_listed=listed.set))
            leaving = asyncio.create_task(asyncio.to_thread(leave.wait))
            await asyncio.wait((running, leaving), return_when=asyncio.FIRST_COMPLETED)
            running.cancel()
            leave.set()
            with suppress(asyncio.CancelledError):
                await running
        finally:
            await cluster.close()

    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(asyncio.run, work())
        try:
            assert listed.wait(_LISTED_S) or future.done(), "the controller could not list nodes and pods"
            yield
        finally:
            leave.set()
            future.result()
