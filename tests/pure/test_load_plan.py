"""What will be sent, and when: the config and the schedule."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from loadgen import arrivals
from loadgen.arrivals import digest, schedule, stripe
from loadgen.config import Address, ArrivalKind, ConnectionKind, LoadConfig

CONFIG = LoadConfig(url="web:8080/x", rate_per_s=100, duration_s=10, seed=1)
FULL = LoadConfig(
    url="https://web/x?y=1",
    rate_per_s=0.5,
    duration_s=10,
    seed=1,
    name="full",
    method="PUT",
    headers=(("X-A", "1"), ("X-A", "2")),
    body=b"\x00\xff",
    timeout_s=1.5,
    threshold_s=0.25,
    arrivals=ArrivalKind.UNIFORM,
    connection=ConnectionKind.PER_REQUEST,
    connections=3,
    processes=2,
    ok_statuses=((200, 204), (404, 404)),
    max_in_flight=7,
)


@pytest.mark.parametrize("config", [CONFIG, FULL], ids=["defaults", "everything-set"])
def test_a_config_survives_its_file(tmp_path: Path, config: LoadConfig) -> None:
    config.write(tmp_path / "config.json")
    assert LoadConfig.read(tmp_path / "config.json") == config


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("web", Address(tls=False, host="web", port=80, path="/", literal=False)),
        ("web:8080/a/b?c=d", Address(tls=False, host="web", port=8080, path="/a/b?c=d", literal=False)),
        ("10.96.0.10:80/", Address(tls=False, host="10.96.0.10", port=80, path="/", literal=True)),
        ("[fd00::1]:81/x", Address(tls=False, host="fd00::1", port=81, path="/x", literal=True)),
        ("http://web/", Address(tls=False, host="web", port=80, path="/", literal=False)),
        ("https://web", Address(tls=True, host="web", port=443, path="/", literal=False)),
        ("https://web:8443?q", Address(tls=True, host="web", port=8443, path="/?q", literal=False)),
    ],
)
def test_a_url_is_taken_apart(url: str, address: Address) -> None:
    assert replace(CONFIG, url=url).address == address


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": ""}, "no host"),
        ({"url": "ftp://web/"}, "only http and https"),
        ({"url": "user:secret@web/"}, "without user or fragment"),
        ({"url": "web/#top"}, "without user or fragment"),
        ({"url": "web:99999/"}, "Port out of range"),
        ({"url": "web:0/"}, "port 0"),
        ({"url": "web/a b"}, "percent-encode"),
        ({"url": "a..b/"}, "url"),
        ({"rate_per_s": 0}, "rate_per_s"),
        ({"rate_per_s": math.nan}, "rate_per_s"),
        ({"duration_s": -1}, "duration_s"),
        ({"rate_per_s": 100_000, "duration_s": 1000}, "20000000 arrivals"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"threshold_s": 0}, "threshold_s"),
        ({"processes": 0}, "processes"),
        ({"closed_users": 5, "processes": 2}, "closed_users"),
        ({"max_in_flight": 1, "processes": 2}, "max_in_flight"),
        ({"ok_statuses": ()}, "ok_statuses"),
        ({"ok_statuses": ((300, 200),)}, "ok_statuses"),
        ({"method": "GET /\r\nX: y"}, "method"),
        ({"headers": (("X Y", "1"),)}, "not a token"),
        ({"headers": (("X", "1\r\nY: 2"),)}, "line break"),
        ({"headers": (("Expect", "100-continue"),)}, "set by the load process itself"),
        ({"headers": (("content-length", "7"),)}, "set by the load process itself"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(CONFIG, **changes)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UsageError, match=r"'load' cannot be sent: url: .*; rate_per_s .*; method"):
        replace(CONFIG, url="", rate_per_s=-1, method="get")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"url": "web", "rate": 1}', '{"url": "web", "rate_per_s": "x", "duration_s": 1, "seed": 1}'],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="load config"):
        LoadConfig.read(path)


def test_a_request_is_what_goes_over_the_wire() -> None:
    assert CONFIG.request_bytes() == b"GET /x HTTP/1.1\r\nHost: web:8080\r\nUser-Agent: taintlab\r\n\r\n"
    assert FULL.request_bytes() == (
        b"PUT /x?y=1 HTTP/1.1\r\nHost: web\r\nUser-Agent: taintlab\r\nX-A: 1\r\nX-A: 2\r\n"
        b"Connection: close\r\nContent-Length: 2\r\n\r\n\x00\xff"
    )


@pytest.mark.parametrize(
    ("config", "cap"),
    [
        (CONFIG, 1500),
        (replace(CONFIG, rate_per_s=1), 500),
        (replace(CONFIG, max_in_flight=3), 3),
    ],
    ids=["half-as-much-as-silence-needs", "at-least-500", "given"],
)
def test_the_cap_outlasts_silence(config: LoadConfig, cap: int) -> None:
    assert config.in_flight_cap == cap


@pytest.mark.parametrize(("status", "ok"), [(200, True), (204, True), (205, False), (404, True), (500, False)])
def test_statuses_are_ok_by_range(status: int, ok: bool) -> None:
    assert FULL.is_ok(status) is ok


@pytest.mark.parametrize("kind", list(ArrivalKind))
def test_a_schedule_depends_on_its_seed_alone(kind: ArrivalKind) -> None:
    one, again, other = (schedule(kind, rate_per_s=200, duration_s=20, seed=seed) for seed in (1, 1, 2))
    assert digest(one) == digest(again)
    assert (digest(one) == digest(other)) is (kind is ArrivalKind.UNIFORM)
    assert list(one) == sorted(one)
    assert 0 <= one[0] <= one[-1] < 20e9


def test_uniform_arrivals_are_evenly_spaced() -> None:
    assert list(schedule(ArrivalKind.UNIFORM, rate_per_s=4, duration_s=1, seed=1)) == [0, 250e6, 500e6, 750e6]


def test_poisson_arrivals_have_exponential_gaps() -> None:
    """20 000 gaps: mean and standard deviation are both 1/rate (standard error 0.7 % and about 1 %)."""
    offsets = schedule(ArrivalKind.POISSON, rate_per_s=100, duration_s=200, seed=5)
    gaps_s = [(after - before) / 1e9 for before, after in pairwise(offsets)]
    mean_s = sum(gaps_s) / len(gaps_s)
    deviation_s = math.sqrt(sum((gap_s - mean_s) ** 2 for gap_s in gaps_s) / len(gaps_s))
    assert mean_s == pytest.approx(0.01, rel=0.03)
    assert deviation_s == pytest.approx(0.01, rel=0.04)


@pytest.mark.parametrize("kind", list(ArrivalKind))
def test_a_run_too_short_for_its_rate_has_one_arrival(kind: ArrivalKind) -> None:
    assert list(schedule(kind, rate_per_s=0.001, duration_s=1, seed=1)) == [0]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_stripes_are_the_whole_schedule_and_keep_its_numbers(processes: int) -> None:
    whole = schedule(ArrivalKind.POISSON, rate_per_s=50, duration_s=2, seed=1)
    parts = {
        process + position * processes: offset
        for process in range(processes)
        for position, offset in enumerate(stripe(whole, process=process, processes=processes))
    }
    assert [parts[arrival] for arrival in sorted(parts)] == list(whole)


def test_a_stored_schedule_is_read_back(tmp_path: Path) -> None:
    whole = schedule(ArrivalKind.POISSON, rate_per_s=50, duration_s=2, seed=1)
    arrivals.write(whole, tmp_path / arrivals.FILE_NAME)
    assert arrivals.read(tmp_path / arrivals.FILE_NAME) == whole
    (tmp_path / arrivals.FILE_NAME).write_bytes(b"torn")
    with pytest.raises(UsageError, match="arrival schedule"):
        arrivals.read(tmp_path / arrivals.FILE_NAME)
