"""Prometheus over prometheus-api-client, with time limits and every trouble turned into an answer with a reason.

What the library does that must be kept out (load-and-slo B4): no timeout by default, six seconds of built-in
retries, times
rounded to whole seconds, dropped warnings, its own and requests' exceptions mixed.
"""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from harness.run.ports import Answer, Series

_TIMEOUT_S = 5
_RETRY = Retry(total=2, backoff_factor=0.2, status_forcelist=[429, 502, 503, 504], allowed_methods=["GET"])


class PrometheusMetrics:
    """See `harness.run.ports.Metrics`."""

    def __init__(self, url: str) -> None:
        """`url`: the server's root, e.g. ``http://127.0.0.1:9090``. Nothing is asked yet."""
        self._url = url
        self._client = PrometheusConnect(url=url, retry=_RETRY, timeout=_TIMEOUT_S)

    async def query_range(self, query: str, *, start_s: float, end_s: float, step_s: float) -> Answer:
        """A range query; whole seconds are what the library sends. NaN and Inf are left out, and said when nothing
        else came.
        """
        start = datetime.fromtimestamp(math.ceil(start_s), UTC)
        end = datetime.fromtimestamp(math.floor(end_s), UTC)
        try:
            raw = await asyncio.to_thread(
                self._client.custom_query_range, query=query, start_time=start, end_time=end, step=str(step_s)
            )
        except (PrometheusApiClientException, requests.RequestException, ValueError, KeyError) as error:
            return Answer(why=f"Prometheus at {self._url} did not answer: {_brief(error)}")
        if not raw:
            return Answer(why="Prometheus knows no such series in this window")
        series = tuple(_series(item) for item in raw)
        if not any(one.points for one in series):
            return Answer(why="Prometheus answered only NaN")
        return Answer(series)


def _series(item: dict[str, Any]) -> Series:
    points = tuple((float(t), float(v)) for t, v in item["values"])
    return Series(dict(item["metric"]), tuple((t, v) for t, v in points if math.isfinite(v)))


def _brief(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text[:160]}"
