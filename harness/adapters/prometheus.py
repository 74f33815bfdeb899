"""Prometheus over prometheus-api-client, with every trouble turned into an answer with a reason.

What the library does that must be kept out (load-and-slo B4): no timeout by default, six seconds of built-in
retries, times rounded to whole seconds, dropped warnings, its own and requests' exceptions mixed, bodies read whole
whatever their size. It is given a session that bounds the body, and it works in a daemon thread that is left behind
when its time is over: a head that comes a byte a second cannot be bounded any other way, and no run may wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from prometheus_api_client import PrometheusConnect
from urllib3.util.retry import Retry

from harness.adapters.bounded_session import BoundedSession
from harness.cluster.ports import Answer, Series

DEADLINE_S = 15.0
ANSWER_CAP = 64 * 2**20
_MAX_POINTS = 1_000_000
_READ_S = 5
_RETRY = Retry(total=2, backoff_factor=0.2, status_forcelist=[429, 502, 503, 504], allowed_methods=["GET"])
_REASON_CHARS = 200


class PrometheusMetrics:
    """See `harness.cluster.ports.Metrics`."""

    def __init__(self, url: str, *, deadline_s: float = DEADLINE_S, cap: int = ANSWER_CAP) -> None:
        """`url`: the server's root, e.g. ``http://127.0.0.1:9090``; name and password in it are used and never said.
        Nothing is asked yet. `deadline_s`: for each query in all; `cap`: bytes of an answer.
        """
        self._deadline_s = deadline_s
        self._cap = cap
        self._secrets: tuple[str, ...] = ()
        self._auth: tuple[str, str] | None = None
        self._url = self._without_userinfo(url)

    def _without_userinfo(self, url: str) -> str:
        """The address to ask, "" when `url` is none that can be asked."""
        try:
            parts = urlsplit(url)
            name, password = unquote(parts.username or ""), unquote(parts.password or "")
            place = parts.netloc.rpartition("@")[2]
        except ValueError:
            return ""
        if parts.scheme not in ("http", "https") or not place or "@" in parts.path:
            return ""
        if name or password:
            self._auth = (name, password)
            self._secrets = tuple({text for text in (password, parts.password) if text})
        return urlunsplit(SplitResult(parts.scheme, place, parts.path.rstrip("/"), "", ""))

    async def query_range(self, query: str, *, start_s: float, end_s: float, step_s: float) -> Answer:
        """A range query; whole seconds are what the library sends.

        +Inf and -Inf are values (a division by nothing, a quantile beyond the last bucket). NaN is none: it is left
        out, and said when nothing else came.
        """
        start = datetime.fromtimestamp(math.ceil(start_s), UTC)
        end = datetime.fromtimestamp(math.floor(end_s), UTC)
        return await self._ask(
            lambda client: client.custom_query_range(query=query, start_time=start, end_time=end, step=str(step_s))
        )

    async def scrapes(self, *, start_s: float, end_s: float, namespaces: Sequence[str] = ()) -> Answer:
        """Raw samples of ``up``: an instant query of a range, which gives what was scraped at its own times.

        A range query, and a subquery likewise, would fill holes with the last value of up to five minutes.
        """
        window = f"[{max(1, math.ceil(end_s - start_s))}s]"
        names = "|".join(re.escape(name).replace("\\", "\\\\") for name in sorted(namespaces))
        selector = f'up{{namespace=~"{names}"}}' if namespaces else "up"
        return await self._ask(
            lambda client: client.custom_query(query=selector + window, params={"time": f"{end_s:.3f}"})
        )

    async def _ask(self, question: Callable[[PrometheusConnect], Any]) -> Answer:
        if not self._url:
            return Answer(why="the address of Prometheus is not of the form http://HOST:PORT")

        def work() -> Answer:
            session = BoundedSession(cap=self._cap, deadline_s=self._deadline_s)
            client = PrometheusConnect(url=self._url, retry=_RETRY, timeout=_READ_S, auth=self._auth, session=session)
            with client:
                return _answer(question(client))

        try:
            async with asyncio.timeout(self._deadline_s):
                return await _in_thread(work)
        except TimeoutError:
            return self._no_answer(f"no whole answer in {self._deadline_s:g} s")
        except Exception as error:  # this port never raises: whatever a server makes the library do is a reason
            return self._no_answer(f"{type(error).__name__}: {error}")

    def _no_answer(self, why: str) -> Answer:
        for secret in self._secrets:
            why = why.replace(secret, "***")
        said = "".join(char if char.isprintable() else " " for char in why)[:_REASON_CHARS]
        return Answer(why=f"Prometheus at {self._url} did not answer: {said}")


def _answer(result: object) -> Answer:
    """ValueError, saying what is odd, for anything but a matrix."""
    if not isinstance(result, list):
        raise ValueError("the result is no list")
    if not result:
        return Answer(why="Prometheus knows no such series in this window")
    if sum(len(item["values"]) for item in map(_matrix_item, result)) > _MAX_POINTS:
        raise ValueError(f"more than {_MAX_POINTS} samples")
    series = tuple(map(_series, result))
    if not any(one.points for one in series):
        return Answer(why="Prometheus answered only NaN")
    return Answer(series)


def _matrix_item(item: object) -> dict[str, Any]:
    if not isinstance(item, dict) or not isinstance(item.get("values"), list):
        raise ValueError("the result is no matrix")
    return item


def _series(item: dict[str, Any]) -> Series:
    labels = item.get("metric")
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("the labels of a series are no mapping of texts")
    points = sorted(map(_point, item["values"]))
    return Series(labels, tuple((at_s, value) for at_s, value in points if not math.isnan(value)))


def _point(pair: object) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
        raise ValueError("a sample is no pair of a time and a value")
    at_s, value = float(pair[0]), float(pair[1])
    if not math.isfinite(at_s):
        raise ValueError("a sample has no time")
    return at_s, value


async def _in_thread(work: Callable[[], Answer]) -> Answer:
    """`work()` in a daemon thread: unlike the loop's own threads, one that hangs keeps no process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answer] = loop.create_future()

    def tell(set_it: Callable[[Any], None], value: object) -> None:
        if not future.done():
            set_it(value)

    def run() -> None:
        try:
            answer = work()
        except Exception as error:  # handed over to who waits, whatever it is
            told: tuple[Callable[[Any], None], object] = (future.set_exception, error)
        else:
            told = (future.set_result, answer)
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            loop.call_soon_threadsafe(tell, *told)

    threading.Thread(target=run, name="prometheus", daemon=True).start()
    return await future
