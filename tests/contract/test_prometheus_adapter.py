"""The Prometheus port against a server that answers whatever it likes: always an Answer, in time, and no secret in it.

B1c: malformed, endless and dripping answers; A6: scrapes as they were; F1: the password of the URL.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.adapters.prometheus import PrometheusMetrics
from harness.clock import SystemClock
from harness.cluster.ports import Answer
from harness.history.read import read_history
from harness.history.record import Recorder
from harness.model import events
from harness.signals.sample import Query, sample

Reply = Callable[[BaseHTTPRequestHandler], None]


def _body(raw: bytes, status: int = 200) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    return reply


def _data(result: Any, kind: str = "matrix") -> Reply:
    return _body(json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode())


@contextmanager
def prometheus(reply: Reply) -> Iterator[tuple[str, list[tuple[str, str, dict[str, list[str]]]]]]:
    """A server that answers everything with `reply`; its address, and (path, Authorization, query) of each request."""
    asked: list[tuple[str, str, dict[str, list[str]]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked.append((parts.path, self.headers.get("Authorization", ""), parse_qs(parts.query)))
            try:
                reply(self)
            except ConnectionError:
                return  # the client has gone

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(url: str, **limits: Any) -> Answer:
    metrics = PrometheusMetrics(url, **limits)
    return asyncio.run(metrics.query_range("q", start_s=100.0, end_s=110.0, step_s=1.0))


def test_a_matrix_is_understood() -> None:
    points = [[100, "0.5"], [101, "+Inf"], [102, "NaN"], [103.5, "-Inf"]]
    with prometheus(_data([{"metric": {"pod": "a"}, "values": points}])) as (address, asked):
        answer = ask(f"http://{address}")
    assert answer.why == ""
    (series,) = answer.series
    assert series.labels == {"pod": "a"}
    assert series.points == ((100.0, 0.5), (101.0, float("inf")), (103.5, float("-inf")))
    assert asked[0][0] == "/api/v1/query_range"


MALFORMED = {
    "a matrix without values": _data([{"metric": {}}]),
    "values that are null": _data([{"metric": {}, "values": None}]),
    "null": _data(None),
    "a vector": _data([{"metric": {}, "value": [100, "1"]}], "vector"),
    "a scalar": _data([100, "1"], "scalar"),
    "a list": _body(b"[]"),
    "text": _body(b'"hello"'),
    "a number": _body(b"7"),
    "nothing": _body(b""),
    "data that is text": _body(b'{"status": "success", "data": "x"}'),
    "a value that is no number": _data([{"metric": {}, "values": [[100, "many"]]}]),
    "a value that is a list": _data([{"metric": {}, "values": [[100, []]]}]),
    "a time that is text": _data([{"metric": {}, "values": [["soon", "1"]]}]),
    "a point of three": _data([{"metric": {}, "values": [[100, "1", "2"]]}]),
    "a point that is null": _data([{"metric": {}, "values": [None]}]),
    "a metric that is text": _data([{"metric": "x", "values": [[100, "1"]]}]),
    "a label that is a list": _data([{"metric": {"pod": []}, "values": [[100, "1"]]}]),
    "no metric": _data([{"values": [[100, "1"]]}]),
    "200,000 brackets": _body(b"[" * 200_000),
    "200,000 brackets inside": _body(b'{"status": "success", "data": {"result": ' + b"[" * 200_000),
    "HTML": _body(b"<html><body>log in</body></html>"),
    "HTML of a 502": _body(b"<html>bad gateway</html>", 502),
    "an error": _body(b'{"status":"error","errorType":"bad_data","error":"parse error"}', 400),
    "control characters": _body(b"\x1b[2J\x1b[31m", 400),
    "only NaN": _data([{"metric": {}, "values": [[100, "NaN"]]}]),
    "no series": _data([]),
}


@pytest.mark.parametrize("reply", MALFORMED.values(), ids=MALFORMED.keys())
def test_b1c_whatever_it_answers_is_an_answer_with_a_reason(reply: Reply) -> None:
    with prometheus(reply) as (address, _):
        answer = ask(f"http://{address}")
        scrapes = asyncio.run(PrometheusMetrics(f"http://{address}").scrapes(start_s=1, end_s=2))
    for one in (answer, scrapes):
        assert one.series == ()
        assert one.why
        assert one.why.isprintable()
        assert len(one.why) < 400


def _drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(600):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def _drip_the_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(600):
        handler.wfile.write(b"X: y\r\n")
        time.sleep(0.1)


def _chunked_drip(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(600):
        handler.wfile.write(b"1\r\n \r\n")
        time.sleep(0.1)


def _silence(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(8)


@pytest.mark.parametrize("reply", [_drip, _drip_the_head, _chunked_drip, _silence])
def test_b1c_an_answer_without_end_is_given_up(reply: Reply) -> None:
    with prometheus(reply) as (address, _):
        begun = time.monotonic()
        answer = ask(f"http://{address}", deadline_s=1.0)
        assert time.monotonic() - begun < 3
    assert "1 s" in answer.why


def test_b1c_a_huge_answer_is_not_kept() -> None:
    with prometheus(_body(b" " * 2**21)) as (address, _):
        assert "larger than 1048576 bytes" in ask(f"http://{address}", cap=2**20).why


def test_b1c_too_many_samples_are_refused() -> None:
    points = b",".join([b'[1,"1"]'] * 1_000_001)
    with prometheus(_body(b'{"data":{"result":[{"metric":{},"values":[' + points + b"]}]}}")) as (address, _):
        assert "more than 1000000 samples" in ask(f"http://{address}").why


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert ask(f"http://127.0.0.1:{unused.getsockname()[1]}", deadline_s=5.0).why


SECRET = "s3cr%2Ft"
SECRETS = (SECRET, "s3cr/t", "admin")


@pytest.mark.parametrize(
    "reply", [_body(b"no", 400), _body(b"s3cr/t s3cr%2Ft", 401), _drip], ids=["400", "echo", "drip"]
)
def test_f1_the_password_is_used_and_never_said(reply: Reply) -> None:
    with prometheus(reply) as (address, asked):
        answer = ask(f"http://admin:{SECRET}@{address}/?token=s3cr%2Ft", deadline_s=1.0)
    assert asked[0][1].startswith("Basic ")
    assert answer.why
    assert not [secret for secret in SECRETS if secret in answer.why]


@pytest.mark.parametrize(
    "url",
    ["http://admin:s3cr%2Ft@127.0.0.1:1", "admin:s3cr%2Ft@host:9090", "http://admin:s3cr%2Ft@[::1", "ftp://x", ""],
)
def test_f1_nor_when_the_address_is_none(url: str) -> None:
    answer = ask(url, deadline_s=2.0)
    assert answer.why
    assert not [secret for secret in SECRETS if secret in answer.why]


def test_a6_scrapes_are_asked_for_as_they_were() -> None:
    matrix = [{"metric": {"__name__": "up", "pod": "a"}, "values": [[100.25, "1"], [101.25, "0"]]}]
    with prometheus(_data(matrix)) as (address, asked):
        metrics = PrometheusMetrics(f"http://{address}")
        answer = asyncio.run(metrics.scrapes(start_s=100.0, end_s=130.5, namespaces=["b-1", "a"]))
    assert answer.series[0].points == ((100.25, 1.0), (101.25, 0.0))
    path, _, query = asked[0]
    assert path == "/api/v1/query", "an instant query: a range query would look back"
    assert query["query"] == ['up{namespace=~"a|b\\\\-1"}[31s]']
    assert query["time"] == ["130.500"]


# ---- what a run writes down


def recorded(reply: Reply, folder: Path, *, namespaces: tuple[str, ...] = ("default",)) -> list[events.Fact]:
    with prometheus(reply) as (address, _):
        clock = SystemClock()
        recorder = Recorder(folder / "history.jsonl", clock, run_id="r")
        metrics = PrometheusMetrics(f"http://admin:{SECRET}@{address}", deadline_s=5.0)
        query = Query("expectation", "cpu", "", "q")
        asyncio.run(sample(metrics, recorder, [query], start_ns=0, end_ns=10**9, namespaces=namespaces))
        recorder.close()
    text = (folder / "history.jsonl").read_text()
    assert not [secret for secret in SECRETS if secret in text]
    assert "Infinity" not in text
    assert "NaN," not in text
    return [entry.fact for entry in read_history(folder / "history.jsonl").entries[1:]]


def test_scrapes_and_samples_are_facts(tmp_path: Path) -> None:
    now = int(time.time())
    reply = _data([{"metric": {"pod": "a"}, "values": [[now, "+Inf"], [now + 1, "0.25"]]}])
    scraped, infinite, finite = recorded(reply, tmp_path)
    assert isinstance(scraped, events.Scraped)
    assert len(scraped.points) == 2
    assert isinstance(infinite, events.Sample)
    assert isinstance(finite, events.Sample)
    assert (infinite.value, infinite.why) == (None, "+Inf")
    assert (finite.value, finite.why) == (0.25, "")


def test_a_dead_prometheus_is_a_fact(tmp_path: Path) -> None:
    scraped, value = recorded(_body(b"no", 500), tmp_path)
    assert isinstance(scraped, events.Scraped)
    assert scraped.why
    assert isinstance(value, events.Sample)
    assert value.value is None
    assert value.why


def test_without_scrapes_in_the_namespaces_all_count(tmp_path: Path) -> None:
    now = int(time.time())

    def reply(handler: BaseHTTPRequestHandler) -> None:
        narrow = "namespace" in handler.path
        _data([] if narrow else [{"metric": {"job": "all"}, "values": [[now, "1"]]}])(handler)

    scraped, _ = recorded(reply, tmp_path)
    assert isinstance(scraped, events.Scraped)
    assert scraped.labels == {"job": "all"}
