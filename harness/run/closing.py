"""The closing list: what is there before anything of a run is removed, asked for anew, and held against the watches.

It is what makes "it stayed" a thing that was seen. A watch that is merely a moment behind gets that moment; one that
still has not shown what the list shows was blind since its last sign of life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from harness.clock import Clock, sleep, timeout
from harness.cluster.ports import Cluster, Json, Listing
from harness.cluster.watch import Watcher
from harness.errors import ClusterError, Indeterminate, TryLater
from harness.history.record import Recorder
from harness.model import events

TOTAL_S = 20.0
CATCH_UP_S = 2.0
"""How long a watch may be behind the closing list without being called blind, and how long a lost one is waited for."""
_POLL_S = 0.02
_RETRY_S = 0.5


async def close_list(
    cluster: Cluster,
    recorder: Recorder,
    watchers: Iterable[Watcher],
    *,
    targets: frozenset[str],
    namespaces: frozenset[str],
) -> None:
    """Write one ClosingList for each watcher, and before it what that watcher missed. Never raises for the cluster.

    A ClosingList is stamped with the moment at which its list was asked for: what it shows was there until then.
    """
    await asyncio.gather(*(_close(cluster, recorder, watcher, targets, namespaces) for watcher in watchers))


async def _close(
    cluster: Cluster, recorder: Recorder, watcher: Watcher, targets: frozenset[str], namespaces: frozenset[str]
) -> None:
    resource = watcher.resource
    asked, why = recorder.now(), "no answer"
    try:
        async with timeout(recorder.clock, TOTAL_S):
            await _within(lambda: not watcher.lost, CATCH_UP_S, recorder.clock)
            while True:
                asked = recorder.now()
                try:
                    listing = await cluster.list(watcher.path)
                    break
                except (TryLater, Indeterminate) as error:
                    why = str(error)
                    await sleep(recorder.clock, max(_RETRY_S, getattr(error, "retry_after_s", None) or 0.0))
            present = _present(resource, listing.items, targets, namespaces)
            await _within(lambda: not watcher.behind(listing), CATCH_UP_S, recorder.clock)
            _compare(watcher, listing)
    except TimeoutError:
        failed = events.ClosingList(resource, ok=False, message=f"not had within {TOTAL_S:g} s: {why}")
        recorder.record(failed, source="watch", at=asked)
    except Exception as error:  # whatever it is: a list that cannot be read is one that was not had
        message = str(error) if isinstance(error, ClusterError) else f"cannot be read: {error!r}"
        recorder.record(events.ClosingList(resource, ok=False, message=message), source="watch", at=asked)
    else:
        recorder.record(events.ClosingList(resource, ok=True, present=present), source="watch", at=asked)


def _compare(watcher: Watcher, listing: Listing) -> None:
    differences = watcher.behind(listing)
    if differences:
        watcher.correct(listing, differences)


def _present(
    resource: str, items: Sequence[Json], targets: frozenset[str], namespaces: frozenset[str]
) -> tuple[str, ...]:
    """UIDs of what is not being deleted: of pods and slices those that the run is about, of nodes all."""

    def concerns(item: Json) -> bool:
        ours = item["metadata"].get("namespace", "") in namespaces
        if resource == "pods":
            return ours or (item.get("spec") or {}).get("nodeName", "") in targets
        return ours or resource == "nodes"

    return tuple(
        item["metadata"]["uid"] for item in items if not item["metadata"].get("deletionTimestamp") and concerns(item)
    )


async def _within(condition: Callable[[], bool], timeout_s: float, clock: Clock) -> None:
    """Wait until `condition()` holds, for at most `timeout_s`. Looked at again and again: not every line that brings a
    watch up to date changes something that others would be woken for.
    """
    for _ in range(round(timeout_s / _POLL_S)):
        if condition():
            return
        await sleep(clock, _POLL_S)
