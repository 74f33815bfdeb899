"""An open watch of a scripted API server: the lines of the log, as the weather lets them through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from harness.testing import selected
from tests.fakes.api_http import bookmark, line
from tests.fakes.api_rules import Weather
from tests.fakes.api_store import ApiError, Place, Store

_TICK_S = 0.25


@dataclass(eq=False)
class Watch:
    """An open watch. `cut`: to be ended, True cleanly, False by a reset."""

    path: str
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    cut: bool | None = None
    raw: list[bytes] = field(default_factory=list)


async def follow(
    request: web.Request,
    response: web.StreamResponse,
    store: Store,
    place: Place,
    watch: Watch,
    weather_now: Callable[[], Weather],
    bookmark_s: float,
) -> None:
    """Send lines until the client goes, its time is over, or the watch is cut."""
    query = request.query
    sent = int(query.get("resourceVersion") or store.version)
    ends_s = time.monotonic() + float(query.get("timeoutSeconds") or 3600)
    next_s = time.monotonic() + bookmark_s
    while time.monotonic() < ends_s and request.transport is not None and not request.transport.is_closing():
        watch.woken.clear()
        if watch.cut is not None:
            if not watch.cut:
                request.transport.abort()
            return
        while watch.raw:
            await response.write(watch.raw.pop(0))
        weather = weather_now()
        wait_s = _TICK_S
        if not weather.silent:
            try:
                changes = store.since(place, sent)
            except ApiError as error:
                await response.write(line("ERROR", error.body))
                return
            ripe = [change for change in changes if change.at_s + weather.late_s <= time.monotonic()]
            for change in ripe:
                sent = change.version
                if selected(change.object, query) and not weather.drops(change.type, change.path):
                    await response.write(line(change.type, change.object))
            behind = changes[len(ripe) :]
            if behind:
                wait_s = behind[0].at_s + weather.late_s - time.monotonic()
            if time.monotonic() >= next_s and weather.bookmarks:
                next_s = time.monotonic() + bookmark_s
                await response.write(bookmark(place, sent))
            if weather.bookmarks:
                wait_s = min(wait_s, next_s - time.monotonic())
        try:
            async with asyncio.timeout(max(0.005, wait_s)):
                await watch.woken.wait()
        except TimeoutError:
            continue
