"""List, then watch, for as long as a run lasts; every gap is written down.

The rules (Kubernetes API concepts, "Efficient detection of changes"): list once, watch from the list's
resourceVersion, move on with
every event and bookmark; when the server ends a watch, go on from the last version; on 410 (Expired) list again and
compare. While
we were not connected we were blind: the span is a WatchGap, and stamps learnt from a list are upper bounds only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from harness.clock import Instant
from harness.errors import ClusterError, Indeterminate
from harness.history.record import Recorder
from harness.model import events
from harness.run.ports import Cluster, Json

_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)

OnChange = Callable[[str, Json, Instant], None]


class Watcher:
    """Keeps one collection in `objects` (by UID) and calls `on_change(change, object, arrived)` for each thing learnt.

    `change`: LISTED (first list), ADDED, MODIFIED, DELETED, or after a gap VANISHED (was there, is not in the new
    list).
    """

    def __init__(
        self,
        cluster: Cluster,
        recorder: Recorder,
        *,
        resource: str,
        path: str,
        on_change: OnChange,
        query: Mapping[str, str] | None = None,
    ) -> None:
        """`resource` names it in the history (``pods``); `path` is the collection's API path."""
        self._cluster = cluster
        self._recorder = recorder
        self._resource = resource
        self._path = path
        self._query = dict(query or {})
        self._on_change = on_change
        self._version = ""
        self._last_heard: Instant | None = None
        self.objects: dict[str, Json] = {}
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled. A permission problem (401, 403) ends it with RecorderFailed; `listed` is then never
        set.
        """
        failures = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._follow()
                failures = 0
            except ClusterError as error:
                if error.status in (401, 403):
                    self._recorder.record(events.RecorderFailed(self._resource, str(error)), source="watch")
                    raise
                if error.status == 410:
                    self._version = ""
                if isinstance(error, Indeterminate) or error.status == 410:
                    await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                    failures += 1
                    await self._reconnected(str(error))
                    continue
                raise

    async def _reconnected(self, why: str) -> None:
        """Close the gap: when the server answers again, write down since when we were blind."""
        heard = self._last_heard
        try:
            await self._list()
        except ClusterError as error:
            if error.status in (401, 403):
                raise
            return
        if heard is not None:
            start_ns = heard.mono_ns - self._recorder.start.mono_ns
            self._recorder.record(events.WatchGap(self._resource, start_ns, why), source="watch")

    async def _list(self) -> None:
        listing = await self._cluster.list(self._path, **self._query)
        first = not self.listed.is_set()
        known, self.objects = self.objects, {}
        for item in listing.items:
            uid = item["metadata"]["uid"]
            self.objects[uid] = item
            before = known.pop(uid, None)
            if first or before is None or before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._on_change("LISTED", item, listing.arrived)
        for gone in known.values():
            self._on_change("VANISHED", gone, listing.arrived)
        self._version = listing.resource_version
        self._last_heard = listing.arrived
        self.listed.set()

    async def _follow(self) -> None:
        lines = self._cluster.watch(self._path, resource_version=self._version, **self._query)
        async for line in lines:
            self._last_heard = line.arrived
            meta: dict[str, Any] = line.object["metadata"]
            self._version = meta["resourceVersion"]
            if line.type == "BOOKMARK":
                continue
            if line.type == "DELETED":
                self.objects.pop(meta["uid"], None)
            else:
                self.objects[meta["uid"]] = line.object
            self._on_change(line.type, line.object, line.arrived)
