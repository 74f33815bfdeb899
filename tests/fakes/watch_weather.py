"""A fake cluster whose lists and watches fail as they are told to."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator

from harness.cluster.ports import Listing, WatchLine
from harness.errors import Refused
from harness.testing import FakeCluster


class StormyCluster(FakeCluster):
    """`refusals`: what a verb (``list``, ``watch``) on a path raises from now on. `silent`: paths whose watches stay
    open and deliver nothing until taken out again. `lines`: what a watch of a path sends next beside the changes.
    """

    def __init__(self, clock: object) -> None:
        super().__init__(clock)  # type: ignore[arg-type]  # any clock will do
        self.refusals: dict[tuple[str, str], Exception] = {}
        self.silent: set[str] = set()
        self.lines: dict[str, list[WatchLine]] = {}
        self._struck: dict[str, Exception | None] = {}

    async def strike(self, path: str, error: Exception | None) -> None:
        """End the watch of `path` that is open: with `error`, or in order (None)."""
        self._struck[path] = error
        await self.wake()

    async def list(self, path: str, **query: str) -> Listing:
        """See the port."""
        if ("list", path) in self.refusals:
            raise self.refusals["list", path]
        return await super().list(path, **query)

    async def watch(self, path: str, *, resource_version: str, **query: str) -> AsyncIterator[WatchLine]:
        """See the port."""
        if ("watch", path) in self.refusals:
            raise self.refusals["watch", path]
        seen = int(resource_version)
        if seen < self.oldest:
            raise Refused(f"GET {path}: 410", status=410, reason="Expired")
        while True:
            if path in self._struck:
                error = self._struck.pop(path)
                if error is None:
                    return
                raise error
            while path not in self.silent and self.lines.get(path):
                yield self.lines[path].pop(0)
            for version, kind, at, obj in [] if path in self.silent else list(self._log):
                if version > seen and at.rsplit("/", 1)[0] == path:
                    seen = version
                    yield WatchLine(kind, copy.deepcopy(obj), self._clock.now())
            async with self._grown:
                await self._grown.wait()
