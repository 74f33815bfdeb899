"""What a run needs of the outside, as protocols; `harness.adapters` and `harness.wiring` supply the real ones.

The cluster port is deliberately small and speaks the API's own JSON: paths, objects, watch lines. Its errors are
`harness.errors.Refused` (and `Conflict`, `NotFound`, `TryLater`) when the server answered no, `Indeterminate` when no
answer was had, or one that makes no sense; `UsageError` for a path that is none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.clock import Instant
from harness.model.events import LoadWindow

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WatchLine:
    """One line of a watch. `type`: ADDED, MODIFIED, DELETED or BOOKMARK. `arrived`: when its bytes were read from
    the socket.
    """

    type: str
    object: Json
    arrived: Instant


@dataclass(frozen=True, slots=True)
class Listing:
    """A complete list (all pages): `items` and the resource version to watch from."""

    items: list[Json]
    resource_version: str
    arrived: Instant


class Cluster(Protocol):
    """A Kubernetes API server, spoken to in its own JSON."""

    @property
    def name(self) -> str:
        """How a person would call it: ``lab demo``, ``context kind-kind``."""
        ...

    async def get(self, path: str, **query: str) -> Json:
        """GET one object (or anything JSON)."""
        ...

    async def list(self, path: str, **query: str) -> Listing:
        """GET a collection, all pages."""
        ...

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST an object; the object as stored."""
        ...

    async def merge_patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """PATCH by RFC 7386. With metadata.resourceVersion in `body` the server answers 409 when the object changed
        since.
        """
        ...

    async def delete(self, path: str, *, propagation: str = "Background", uid: str | None = None) -> None:
        """DELETE an object; with `uid`, only that very one. NotFound when there is none."""
        ...

    def watch(self, path: str, *, resource_version: str, **query: str) -> AsyncIterator[WatchLine]:
        """Lines from `resource_version` on, bookmarks included, until the server ends the watch. Refused with status
        410 when the version is too old; Indeterminate when the connection broke.
        """
        ...

    async def clock_offset_ms(self) -> float | None:
        """The server's wall clock minus ours by its Date header, which has whole seconds (give or take 500 ms); None
        without one.
        """
        ...

    def credentials_expire_at_s(self) -> float | None:
        """When the credentials now in use end, in wall seconds since the epoch; None when that is not known, or they
        have no end.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Components(Protocol):
    """Control-plane components that a run may restart: the lab's."""

    async def restart(self, component: str) -> None:
        """SIGKILL and start again; LabError when there is no such component."""
        ...


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: (wall seconds since the epoch, value) pairs, ascending."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query came to. `why` is empty exactly when there is at least one point."""

    series: tuple[Series, ...] = ()
    why: str = ""


class Metrics(Protocol):
    """Prometheus, as far as a run needs it. Never raises: trouble is an `Answer` with a reason."""

    async def query_range(self, query: str, *, start_s: float, end_s: float, step_s: float) -> Answer:
        """A range query over wall time (seconds since the epoch). Values may be infinite, and are never NaN."""
        ...

    async def scrapes(self, *, start_s: float, end_s: float, namespaces: Sequence[str] = ()) -> Answer:
        """When targets were really scraped: the raw samples of ``up`` (1 or 0) with their own times, without lookback.
        `namespaces`: only of the series with that ``namespace`` label; () for all.
        """
        ...


@dataclass(frozen=True, slots=True)
class Traffic:
    """How the load process ended: its own summary (plain JSON), or the reason there is none."""

    ok: bool
    summary: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""


class LoadDriver(Protocol):
    """The load process."""

    async def start(self) -> None:
        """Start it and wait until it is ready to send; LoadFailed when it does not come up."""
        ...

    def ticks(self) -> AsyncIterator[LoadWindow]:
        """Live seconds until it ends."""
        ...

    async def stop(self) -> Traffic:
        """Stop arrivals, wait for what is in flight, take its summary. Never raises."""
        ...


class Progress(Protocol):
    """Tells a person what is going on. Must never raise."""

    def say(self, message: str) -> None:
        """One line worth keeping."""
        ...

    def phase(self, name: str, *, length_s: float) -> None:
        """A phase begins."""
        ...

    def tick(self, tick: LoadWindow) -> None:
        """A second of traffic."""
        ...

    def evicted(self, pod: str, *, seconds: float) -> None:
        """A pod on a target was seen terminating, `seconds` after the injection was acknowledged."""
        ...
