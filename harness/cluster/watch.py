"""List, then watch, for as long as a run lasts; every gap is written down.

The rules (Kubernetes API concepts, "Efficient detection of changes"): list once, watch from the list's
resourceVersion, move on with every event and bookmark. Whenever contact is lost we list again and compare, so that
nothing is replayed with the stamp of its replay. From the last sign of life until the new watch has settled we were
blind: a WatchLost at once, a WatchGap when we see again, and stamps learnt in it are upper bounds only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from harness.clock import Instant, sleep
from harness.cluster.ports import Cluster, Json, Listing, WatchLine
from harness.errors import ClusterError, TryLater
from harness.history.record import Recorder
from harness.model import events

_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)
_REFUSED_RETRY_S = (0.5, 1.0, 2.0, 5.0)
"""After a plain no (401, 403, 404 ...): only somebody's doing changes that."""
_MAX_RETRY_AFTER_S = 30.0
SETTLE_S = 1.0
"""How long a new watch must have stood before we call it sight: what happened between the list and the moment the
server took the watch up is replayed at its start, with the stamps of the replay."""

OnChange = Callable[[str, Json, Instant], None]


class Watcher:
    """Keeps one collection in `objects` (by UID) and calls `on_change(change, object, arrived)` for each thing learnt.

    `change`: LISTED (from a list), ADDED, MODIFIED, DELETED, or VANISHED (was there, is not in a later list).
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
        required: bool = False,
    ) -> None:
        """`resource` names it in the history (``pods``); `path` is the collection's API path. `required`: a first list
        that is refused ends `run`.
        """
        self._cluster = cluster
        self._recorder = recorder
        self._query = dict(query or {})
        self._on_change = on_change
        self._required = required
        self._last_life: Instant | None = None
        self._lost: tuple[int, str] | None = None
        self._failures = 0
        self._gone: dict[str, str] = {}
        self._from = ""
        self.resource = resource
        self.path = path
        self.objects: dict[str, Json] = {}
        self.listed = asyncio.Event()
        self.trouble = ""
        """Why the last list or watch failed, for people."""

    @property
    def lost(self) -> bool:
        """No contact at present, or not long enough to call it sight."""
        return self._lost is not None

    async def run(self) -> None:
        """Look until cancelled, whatever goes wrong. Only a `required` first list that is refused ends it: with
        RecorderFailed in the history and the ClusterError raised. So does a defect of our own.
        """
        try:
            while True:
                pause_s = await self._look()
                await sleep(self._recorder.clock, pause_s)
        except Exception as error:
            self._recorder.record(events.RecorderFailed(self.resource, _words(error)), source="watch")
            raise

    async def _look(self) -> float:
        """List, then follow the watch until contact is lost; the seconds to wait before the next try."""
        error: Exception | None = None
        try:
            await self._list()
            await self._follow()
        except Exception as trouble:  # any trouble at all is a loss of sight, and never the end of looking
            error = trouble
        self.trouble = "the server ended the watch" if error is None else _words(error)
        if error is not None and self._required and not self.listed.is_set() and _is_final(error):
            raise error
        self._lose(self.trouble)
        self._failures += 1
        return _pause_s(error, self._failures - 1)

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = (0 if self._last_life is None else self._recorder.at_ns(self._last_life), why)
            self._recorder.record(events.WatchLost(self.resource, *self._lost), source="watch")

    async def _settle(self) -> None:
        """Beside a new watch."""
        await sleep(self._recorder.clock, SETTLE_S)
        self._regain()

    def _regain(self) -> None:
        """The watch has settled: what comes from here on comes when it happens."""
        if self._lost is not None:
            from_ns, why = self._lost
            self._lost = None
            gap = events.WatchGap(self.resource, from_ns, why, self._recorder.now_ns())
            self._recorder.record(gap, source="watch")
        self._failures = 0

    async def _list(self) -> None:
        listing = await self._cluster.list(self.path, **self._query)
        self._take_list(listing)
        self._from = listing.resource_version
        self._last_life = listing.arrived
        self.listed.set()

    def _take_list(self, listing: Listing) -> None:
        """Tell the differences to what was known; one that raises is told again with the next list."""
        listed = {_uid(item): item for item in listing.items}
        for uid, item in listed.items():
            before = self.objects.get(uid)
            if before is None or _version(before) != _version(item):
                self._on_change("LISTED", item, listing.arrived)
            self.objects[uid] = item
        for uid in [uid for uid in self.objects if uid not in listed]:
            self._on_change("VANISHED", self.objects[uid], listing.arrived)
            self._forget(uid, listing.resource_version)

    def _forget(self, uid: str, version: str) -> None:
        self.objects.pop(uid, None)
        self._gone[uid] = version

    async def _follow(self) -> None:
        settled = asyncio.create_task(self._settle())
        lines = self._cluster.watch(self.path, resource_version=self._from, **self._query)
        try:
            async for line in lines:
                self._last_life = line.arrived
                self._take(line)
            self._last_life = self._recorder.now()  # an end in order comes after all that was sent before it
        finally:
            settled.cancel()
            close = getattr(lines, "aclose", None)
            if close is not None:
                await close()

    def _take(self, line: WatchLine) -> None:
        if line.type == "ERROR":
            message = str(line.object.get("message") or line.object)
            raise ClusterError(f"the watch of {self.path} ended: {message}", status=line.object.get("code") or 0)
        version = _version(line.object)
        if line.type != "BOOKMARK":
            uid = _uid(line.object)
            self._on_change(line.type, line.object, line.arrived)
            if line.type == "DELETED":
                self._forget(uid, version)
            else:
                self.objects[uid] = line.object
        self._from = version

    # --- the closing list ---

    def behind(self, listing: Listing) -> list[str]:
        """What `listing` shows and the watch has not: one phrase for each object. What the watch saw later than the
        list is no difference.
        """
        out = []
        listed = {_uid(item): item for item in listing.items}
        for uid, item in listed.items():
            known = self.objects.get(uid)
            seen = self._gone.get(uid) if known is None else _version(known)
            if seen is None:
                out.append(f"{_name(item)} is there")
            elif seen != _version(item) and not _is_later(seen, _version(item)):
                out.append(f"{_name(item)} has changed")
        for uid, known in self.objects.items():
            if uid not in listed and not _is_later(_version(known), listing.resource_version):
                out.append(f"{_name(known)} is gone")
        return out

    def correct(self, listing: Listing, differences: list[str]) -> None:
        """The watch is dead or far behind: write the gap down, and take what it should have shown from `listing`."""
        from_ns = 0 if self._last_life is None else self._recorder.at_ns(self._last_life)
        shown = ", ".join(differences[:3]) + (f" and {len(differences) - 3} more" if len(differences) > 3 else "")
        why = f"the closing list shows what the watch did not: {shown}"
        to_ns = self._recorder.at_ns(listing.arrived)
        if self._lost is not None:
            from_ns = min(from_ns, self._lost[0])
        self._recorder.record(events.WatchGap(self.resource, from_ns, why, to_ns), source="watch")
        self._take_list(listing)
        # The watch itself has shown nothing yet: it stays lost, so that nobody takes its silence for sight.
        self._lost = (to_ns, why)
        self._recorder.record(events.WatchLost(self.resource, to_ns, why), source="watch")


def _is_final(error: Exception) -> bool:
    """An answer was had, and waiting does not change it."""
    if not isinstance(error, ClusterError):
        return False
    if error.status in (401, 403):
        return True
    return 400 <= error.status < 500 and error.status not in (408, 409, 410, 429) and not isinstance(error, TryLater)


def _pause_s(error: Exception | None, failures: int) -> float:
    steps = _REFUSED_RETRY_S if error is not None and _is_final(error) else _RETRY_S
    pause_s = steps[min(failures, len(steps) - 1)]
    if isinstance(error, TryLater) and error.retry_after_s is not None:
        pause_s = max(pause_s, min(error.retry_after_s, _MAX_RETRY_AFTER_S))
    return pause_s


def _words(error: Exception) -> str:
    if isinstance(error, ClusterError):
        return str(error)
    return f"what the server sent cannot be read: {type(error).__name__}: {error}"


def _meta(obj: Json) -> dict[str, Any]:
    meta = obj.get("metadata") if isinstance(obj, dict) else None
    if not isinstance(meta, dict):
        raise ValueError("an object without metadata")
    return meta


def _uid(obj: Json) -> str:
    uid = _meta(obj).get("uid")
    if not isinstance(uid, str) or not uid:
        raise ValueError("an object without metadata.uid")
    return uid


def _version(obj: Json) -> str:
    version = _meta(obj).get("resourceVersion")
    if not isinstance(version, str) or not version:
        raise ValueError("an object without metadata.resourceVersion")
    return version


def _name(obj: Json) -> str:
    meta = _meta(obj)
    return "/".join(str(part) for part in (meta.get("namespace"), meta.get("name")) if part)


def _is_later(one: str, other: str) -> bool:
    """Resource versions are whole numbers that grow (guaranteed from 1.35, true of every etcd before); False where one
    is not.
    """
    return one.isdecimal() and other.isdecimal() and int(one) > int(other)
