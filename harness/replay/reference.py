"""What this control plane needs for an eviction in this very run, measured beside what is judged by it.

Two nodes and a namespace of the harness's own. On one node a pod tolerates everything, so that no controller touches
it: the harness taints the node, sees the line, and does itself what the taint eviction controller does. On the other,
where that is wanted, a pod tolerates nothing and the controller under test evicts it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from harness.clock import Clock
from harness.cluster.ports import Cluster, Json
from harness.errors import ClusterError
from harness.plan.allowance import QUIET_S, Measured, What
from harness.replay.bare_nodes import (
    create_namespace,
    create_node,
    heartbeats,
    pod_body,
    remove_all,
    set_taints,
    without_admission_taint,
)

OWN_EVERY_S = 0.5
CONTROLLER_EVERY_S = 1.0
"""An eviction costs the controller three of its requests, of which it has 20 a second unless told otherwise."""
_TICK_S = 0.05
_PATIENCE_S = 30.0
_TAINT = "taintlab.dev/reference"
_ANYTHING: Json = {"operator": "Exists"}
_CONDITION = {"type": "DisruptionTarget", "status": "True", "reason": "Reference"}


class Reference:
    """Measures while `running`. `controller`: the controller under test is timed too, which takes of its tokens."""

    def __init__(self, cluster: Cluster, clock: Clock, *, prefix: str, label: str, controller: bool) -> None:
        """`prefix` starts the names of its nodes and is that of its namespace; `label` is a key that marks both."""
        self._cluster = cluster
        self._clock = clock
        self._namespace = f"{prefix}-reference"
        self._labels = {label: self._namespace}
        self._own, self._theirs = f"{self._namespace}-own", f"{self._namespace}-controller"
        self._nodes = (self._own, self._theirs) if controller else (self._own,)
        self._samples: list[tuple[What, int, int]] = []
        self._open: dict[What, int] = {}
        self._waiting: dict[str, asyncio.Future[int]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Reference]:
        """Set up, measure until left, clean up."""
        tasks = [asyncio.create_task(heartbeats(self._cluster, self._clock, self._nodes))]
        try:
            await create_namespace(self._cluster, self._namespace, self._labels)
            for node in self._nodes:
                await create_node(self._cluster, self._clock, node, self._labels)
            for node in self._nodes:
                await without_admission_taint(self._cluster, self._clock, node)
            pods = await self._cluster.list(self._pods)
            own = await self._cluster.get(f"/api/v1/nodes/{self._own}")
            version = own["metadata"]["resourceVersion"]
            selector = {"fieldSelector": f"metadata.name={self._own}"}
            loops = [
                self._watch("/api/v1/nodes", version, _taint_of, **selector),
                self._watch(self._pods, pods.resource_version, _pod_that_leaves),
                self._rounds(self._own_round, OWN_EVERY_S),
                self._standstills(),
            ]
            if self._theirs in self._nodes:
                loops.append(self._rounds(self._controller_round, CONTROLLER_EVERY_S))
            tasks += [asyncio.create_task(loop) for loop in loops]
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await remove_all(self._cluster, self._namespace, self._nodes)

    def measured(self, since_ns: int, until_ns: int, *, zero_ns: int) -> tuple[Measured, ...]:
        """What overlaps with that time, in seconds after `zero_ns`; what has not ended yet counts with its length so
        far.
        """
        now_ns = self._clock.now().mono_ns
        still = [(what, began_ns, now_ns, True) for what, began_ns in self._open.items()]
        found = [(*sample, False) for sample in self._samples] + still
        return tuple(
            Measured(what, (began - zero_ns) / 1e9, (ended - zero_ns) / 1e9, max(0.0, (ended - began) / 1e9), is_open)
            for what, began, ended, is_open in found
            if began <= until_ns and ended >= since_ns
        )

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/pods"

    async def _rounds(self, one: Callable[[int], Awaitable[None]], every_s: float) -> None:
        number = 0
        while True:
            next_ns = self._clock.now().mono_ns + int(every_s * 1e9)
            number += 1
            before = set(self._open)
            try:
                await one(number)
            except ClusterError:  # no sample; the next round asks anew
                for what in set(self._open) - before:
                    del self._open[what]
            await asyncio.sleep(max(0.0, (next_ns - self._clock.now().mono_ns) / 1e9))

    async def _own_round(self, number: int) -> None:
        """What the taint eviction controller does, by hand."""
        name = f"own-{number}"
        path = f"{self._pods}/{name}"
        await self._cluster.create(self._pods, pod_body(name, self._own, [_ANYTHING]))
        seen, gone = self._expect(f"taint {number}"), self._expect(name)
        await set_taints(self._cluster, self._own, [{"key": _TAINT, "value": str(number), "effect": "NoExecute"}])
        tainted_ns = self._begin(What.OWN_EVICTION)
        self._begin(What.WRITE_TO_WATCH)
        self._end(What.WRITE_TO_WATCH, await self._within(seen))
        await self._cluster.get(path)
        await self._cluster.merge_patch(f"{path}/status", {"status": {"conditions": [_CONDITION]}})
        await self._cluster.delete(path)
        self._begin(What.DELETE_TO_WATCH)
        gone_ns = await self._within(gone)
        self._end(What.DELETE_TO_WATCH, gone_ns)
        self._end(What.OWN_EVICTION, max(gone_ns, tainted_ns))

    async def _controller_round(self, number: int) -> None:
        name = f"controller-{number}"
        await self._cluster.create(self._pods, pod_body(name, self._theirs, []))
        gone = self._expect(name)
        await set_taints(self._cluster, self._theirs, [{"key": _TAINT, "effect": "NoExecute"}])
        self._begin(What.CONTROLLER)
        self._end(What.CONTROLLER, await self._within(gone))
        await set_taints(self._cluster, self._theirs, [])

    def _begin(self, what: What) -> int:
        self._open[what] = self._clock.now().mono_ns
        return self._open[what]

    def _end(self, what: What, ended_ns: int) -> None:
        """The watch may tell of a write before its answer is here: that took no time."""
        began_ns = self._open.pop(what)
        self._samples.append((what, began_ns, max(began_ns, ended_ns)))

    def _expect(self, name: str) -> asyncio.Future[int]:
        self._waiting[name] = asyncio.get_running_loop().create_future()
        return self._waiting[name]

    async def _within(self, seen: asyncio.Future[int]) -> int:
        """When it was seen; when we stopped waiting, if it was not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):  # wait_for swallows a cancellation that comes with the result
                return await seen
        return self._clock.now().mono_ns

    async def _watch(self, path: str, version: str, name_of: Callable[[str, Json], str | None], **query: str) -> None:
        """Tell who waits for a line when it came. A watch that breaks is taken up where it was."""
        while True:
            with suppress(ClusterError):
                async for line in self._cluster.watch(path, resource_version=version, **query):
                    version = line.object["metadata"]["resourceVersion"]
                    name = None if line.type == "BOOKMARK" else name_of(line.type, line.object)
                    waiting = self._waiting.pop(name, None) if name is not None else None
                    if waiting is not None and not waiting.done():
                        waiting.set_result(line.arrived.mono_ns)
            await asyncio.sleep(_TICK_S)

    async def _standstills(self) -> None:
        """A timer that comes late: nothing was seen or sent in that time, by the reference or by anybody else here."""
        while True:
            due_ns = self._clock.now().mono_ns + int(_TICK_S * 1e9)
            await asyncio.sleep(_TICK_S)
            now_ns = self._clock.now().mono_ns
            if now_ns - due_ns > QUIET_S[What.STANDSTILL] * 1e9:
                self._samples.append((What.STANDSTILL, due_ns, now_ns))


def _taint_of(_change: str, node: Json) -> str | None:
    taints: list[dict[str, Any]] = node.get("spec", {}).get("taints") or []
    return next((f"taint {taint.get('value')}" for taint in taints if taint["key"] == _TAINT), None)


def _pod_that_leaves(change: str, pod: Json) -> str | None:
    name: str = pod["metadata"]["name"]
    return name if change == "DELETED" or pod["metadata"].get("deletionTimestamp") else None
