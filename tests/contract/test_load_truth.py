"""The load process against services that misbehave in known ways: does it report what is known?

Every server runs in a process of its own on loopback and counts for itself. Where a naive client would report something
nicer, a control shows that it would, so that these tests are known to be able to fail.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from harness.clock import SystemClock
from loadgen.config import ArrivalKind, ConnectionKind, LoadConfig
from loadgen.process import LoadProcess
from loadgen.protocol import Second, Summary
from loadgen.rows import Outcome, Rows, read_folder
from loadgen.stats import WindowStats, whole
from tests.load_target import Behaviour, Running, running


def config(target: Running, *, rate_per_s: float = 100, duration_s: float = 1) -> LoadConfig:
    return LoadConfig(
        url=f"127.0.0.1:{target.port}/", rate_per_s=rate_per_s, duration_s=duration_s, seed=7, timeout_s=10
    )


async def send(what: LoadConfig, folder: Path) -> Summary:
    """One whole run, from its start to its planned end."""
    load = LoadProcess(clock=SystemClock())
    try:
        await load.start(what, folder)
        return await load.wait()
    finally:
        await load.close()


def outcomes(rows: Rows) -> dict[Outcome, int]:
    return dict(whole(rows).outcomes)


def _asked(target: Running) -> float:
    """Seconds that one plain request takes."""
    before_s = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{target.port}/", timeout=60) as answer:
        answer.read()
    return time.monotonic() - before_s


async def _send_through_freeze(
    what: LoadConfig, target: Running, folder: Path, *, freeze_s: float
) -> tuple[float, float, Summary]:
    """Run `what` with `target` stopped for `freeze_s` after 3 s; the length of the freeze as it was, and how long a
    request of the test's own took that went out at its end: the server first answers what waits (both in seconds).
    """
    load = LoadProcess(clock=SystemClock())
    frozen_s = drain_s = 0.0
    try:
        await load.start(what, folder)
        async for second in load.seconds():
            if second.number == 2:
                os.kill(target.pid, signal.SIGSTOP)
                before_s = time.monotonic()
                await asyncio.sleep(freeze_s)
                os.kill(target.pid, signal.SIGCONT)
                frozen_s = time.monotonic() - before_s
                drain_s = await asyncio.to_thread(_asked, target)
        return frozen_s, drain_s, await load.wait()
    finally:
        await load.close()


def test_a_freeze_shows_at_its_full_length_and_closed_users_would_hide_it(tmp_path: Path) -> None:
    """Everything due in a freeze of F waits for its end, so p99 over T seconds is F - 0.01 T."""
    duration_s = 12.0

    async def both() -> tuple[float, float, Summary]:
        of_open, _ = await asyncio.gather(
            _send_through_freeze(opened, for_open, tmp_path / "open", freeze_s=3.0),
            _send_through_freeze(closed, for_closed, tmp_path / "closed", freeze_s=3.0),
        )
        return of_open

    with running() as for_open, running() as for_closed:
        opened = replace(config(for_open, duration_s=duration_s), arrivals=ArrivalKind.UNIFORM)
        closed = replace(config(for_closed, duration_s=duration_s), closed_users=5)
        frozen_s, drain_s, summary = asyncio.run(both())

    seen = whole(read_folder(tmp_path / "open"))
    assert seen.p99_ns is not None
    truth_s = frozen_s - 0.01 * duration_s
    late_s = (summary.lateness_p99_ms or 0.0) / 1e3  # ours: what this machine made of the schedule
    assert 0.85 * truth_s <= seen.p99_ns / 1e9 <= 1.15 * truth_s + late_s + drain_s
    assert seen.due == 1200
    assert summary.in_flight_max >= 0.9 * frozen_s * opened.rate_per_s  # the frozen server was asked all the while

    control = whole(read_folder(tmp_path / "closed"))
    assert control.p99_ns is not None
    assert control.p99_ns / 1e9 < truth_s / 3  # on a quiet machine a hundredth
    assert control.due < 1000


@pytest.mark.parametrize("connection", list(ConnectionKind))
def test_connections_closed_unanswered_are_failures_and_not_sent_again(
    tmp_path: Path, connection: ConnectionKind
) -> None:
    with running(Behaviour(close_share=0.3, seed=3)) as target:
        what = replace(config(target, rate_per_s=500, duration_s=2), connection=connection)
        summary = asyncio.run(send(what, tmp_path / "load"))
        counts = target.finish()
    seen = whole(read_folder(tmp_path / "load"))
    assert seen.bad_ratio == pytest.approx(0.30, abs=0.04)
    assert counts.requests == seen.due == summary.sent
    assert counts.closed == seen.outcomes[Outcome.RESET] == seen.bad


def test_control_the_library_that_we_do_not_send_with_does_send_again() -> None:
    """Why `loadgen.client` sends by itself. Should this fail, geventhttpclient has become honest by default."""
    program = """
import sys
from geventhttpclient import HTTPClient
client = HTTPClient("127.0.0.1", int(sys.argv[1]), concurrency=10)
try:
    client.get("/").read()
except Exception as error:
    print(type(error).__name__)
"""
    with running(Behaviour(close_share=1.0)) as target:
        subprocess.run([sys.executable, "-c", program, str(target.port)], check=True, timeout=120)
        assert target.finish().requests > 1


def test_a_dead_server_is_bad_for_as_long_as_it_is_dead(tmp_path: Path) -> None:
    """Refusals are fast: a tool that mixes them into its latency reports a better median the longer the outage."""

    async def outage() -> None:
        load = LoadProcess(clock=SystemClock())
        try:
            await load.start(what, tmp_path / "load")
            async for second in load.seconds():
                if second.number == 0:
                    died_s = time.monotonic()
                    target.kill()
                if second.number == 5:
                    stack.enter_context(running(behaviour, port=target.port))
                    dead_s.append(time.monotonic() - died_s)
            await load.wait()
        finally:
            await load.close()

    behaviour, dead_s = Behaviour(delay_ms=20), list[float]()
    with ExitStack() as stack:
        target = stack.enter_context(running(behaviour))
        what = config(target, duration_s=8)
        asyncio.run(outage())
    seen = whole(read_folder(tmp_path / "load"))
    assert seen.bad_ratio is not None
    assert seen.bad_ratio == pytest.approx(min(dead_s[0], 7) / 8, abs=0.1)
    assert seen.outcomes[Outcome.CONNECT_REFUSED] > 0.9 * seen.bad
    assert seen.p50_ns == what.timeout_s * 1e9
    assert seen.ok_p50_ns is not None
    assert seen.ok_p99_ns is not None
    assert 20e6 <= seen.ok_p50_ns < 1e9
    assert seen.ok_p99_ns < 3e9  # neither the outage of 5 s nor the timeout of 10 s is in it


def test_two_processes_send_one_schedule_and_every_request_has_a_row(tmp_path: Path) -> None:
    with running() as target:
        summary = asyncio.run(
            send(replace(config(target, rate_per_s=500, duration_s=2), processes=2), tmp_path / "load")
        )
        counts = target.finish()
    rows = read_folder(tmp_path / "load")
    assert len(rows) == counts.requests == summary.sent == summary.scheduled
    assert sorted(rows.arrival) == list(range(len(rows)))
    assert sorted(summary.rows) == ["rows-0.bin", "rows-1.bin"]


def test_more_than_one_core_can_send_shows_as_lateness_and_loses_no_arrival(tmp_path: Path) -> None:
    async def overload() -> Summary:
        load = LoadProcess(clock=SystemClock())
        try:
            await load.start(what, tmp_path / "load")
            async for second in load.seconds():
                if second.number == 1:
                    return await load.stop(drain_s=0)
            return await load.wait()
        finally:
            await load.close()

    with running() as target:
        what = config(target, rate_per_s=50_000, duration_s=1.5)
        summary = asyncio.run(overload())
    assert summary.lateness_p99_ms is not None
    assert summary.lateness_p99_ms > 50
    assert len(read_folder(tmp_path / "load")) == summary.due == summary.scheduled


ANSWERS = [
    pytest.param(Behaviour(), Outcome.OK, 200, id="answered"),
    pytest.param(Behaviour(status=503), Outcome.HTTP_ERROR, 503, id="status-503"),
    pytest.param(Behaviour(garbage=True), Outcome.HTTP_ERROR, 0, id="not-http"),
    pytest.param(Behaviour(cut=True), Outcome.RESET, 0, id="closed-within-the-body"),
    pytest.param(Behaviour(close_share=1.0), Outcome.RESET, 0, id="closed-unanswered"),
    pytest.param(Behaviour(hang=True), Outcome.TIMEOUT, 0, id="never-answered"),
    pytest.param(Behaviour(delay_ms=1500), Outcome.TIMEOUT, 0, id="answered-too-late"),
]


@pytest.mark.parametrize(("behaviour", "outcome", "status"), ANSWERS)
def test_each_answer_has_its_outcome(tmp_path: Path, behaviour: Behaviour, outcome: Outcome, status: int) -> None:
    with running(behaviour) as target:
        what = replace(config(target, rate_per_s=40, duration_s=0.5), timeout_s=0.8)
        summary = asyncio.run(send(what, tmp_path / "load"))
        counts = target.finish()
    rows = read_folder(tmp_path / "load")
    assert outcomes(rows) == {outcome: summary.due}
    assert set(rows.status) == {status}
    assert counts.requests == summary.due
    if outcome is not Outcome.OK:
        assert set(rows.latency_ns()) == {800_000_000}


def _certificate(path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, valid for an hour, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loadgen test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(hours=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return path


@pytest.mark.parametrize(("trusted", "outcome"), [(True, Outcome.OK), (False, Outcome.CONNECT_ERROR)])
def test_tls_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool, outcome: Outcome) -> None:
    certificate = _certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate if trusted else tmp_path / "none.pem"))
    with running(Behaviour(certificate=str(certificate))) as target:
        what = replace(config(target, duration_s=0.5), url=f"https://127.0.0.1:{target.port}/", connections=3)
        rows = _sent(what, tmp_path)
        counts = target.finish()
    assert outcomes(rows) == {outcome: len(rows)}
    assert counts.requests == (len(rows) if trusted else 0)
    if trusted:
        assert counts.connections < len(rows)  # the fewer, the less busy the machine


def test_a_redirect_is_an_answer_and_not_followed(tmp_path: Path) -> None:
    with running() as elsewhere, running(Behaviour(status=302, location=f"http://127.0.0.1:{elsewhere.port}/")) as here:
        asyncio.run(send(config(here, duration_s=0.5), tmp_path / "load"))
        assert elsewhere.finish().requests == 0
        assert here.finish().requests == len(read_folder(tmp_path / "load"))


def test_nobody_at_the_address_is_refused_from_the_first_request_on(tmp_path: Path) -> None:
    with running() as target:
        what = config(target, duration_s=0.5)
    rows = _sent(what, tmp_path)
    assert outcomes(rows) == {Outcome.CONNECT_REFUSED: len(rows)}


def test_a_name_that_cannot_be_resolved_is_bad_and_ends(tmp_path: Path) -> None:
    """A resolver that answers says no at once; without one the request times out. Neither is silence."""
    rows = _sent(LoadConfig(url="nobody.invalid/", rate_per_s=20, duration_s=0.5, seed=1, timeout_s=1), tmp_path)
    assert set(outcomes(rows)) <= {Outcome.CONNECT_ERROR, Outcome.TIMEOUT}
    assert len(rows) > 0


def _sent(what: LoadConfig, tmp_path: Path) -> Rows:
    summary = asyncio.run(send(what, tmp_path / "load"))
    rows = read_folder(tmp_path / "load")
    assert len(rows) == summary.due == summary.scheduled
    return rows


def test_the_request_is_the_configured_one_and_connections_are_kept_or_not(tmp_path: Path) -> None:
    heads: dict[ConnectionKind, tuple[int, str]] = {}
    for kind in ConnectionKind:
        with running() as target:
            what = replace(
                config(target, duration_s=0.5),
                url=f"localhost:{target.port}/a?b=c",
                method="POST",
                body=b"hello",
                headers=(("X-Mark", "1"),),
                connection=kind,
                connections=4,
            )
            sent = asyncio.run(send(what, tmp_path / kind)).sent
            counts = target.finish()
        assert counts.body_bytes == 5 * sent
        assert len(counts.heads) == 1
        heads[kind] = (counts.connections, counts.heads[0])
        if kind is ConnectionKind.PER_REQUEST:
            assert counts.connections == sent
        else:
            assert counts.busiest < 0.5 * sent  # each of the four has its turn: behind a Service they are four pods
    connections, head = heads[ConnectionKind.REUSE]
    assert 4 <= connections < sent  # more than 4 only while all four were busy
    assert head.splitlines()[0] == "POST /a?b=c HTTP/1.1"
    assert "X-Mark: 1" in head.splitlines()
    assert "Connection: close" in heads[ConnectionKind.PER_REQUEST][1].splitlines()


def test_at_the_cap_arrivals_are_dropped_and_never_delayed(tmp_path: Path) -> None:
    with running(Behaviour(hang=True)) as target:
        what = replace(config(target, rate_per_s=100, duration_s=1), timeout_s=2, max_in_flight=10)
        summary = asyncio.run(send(what, tmp_path / "load"))
        assert target.finish().requests == 10
    seen: WindowStats = whole(read_folder(tmp_path / "load"))
    assert seen.outcomes == {Outcome.TIMEOUT: 10, Outcome.DROPPED: summary.due - 10}
    assert seen.sent == summary.sent == 10
    assert summary.in_flight_max == 10


def test_a_hang_shows_in_the_live_view_long_before_it_times_out(tmp_path: Path) -> None:
    async def watch() -> list[Second]:
        load = LoadProcess(clock=SystemClock())
        try:
            await load.start(what, tmp_path / "load")
            seconds: list[Second] = []
            async for second in load.seconds():
                seconds.append(second)
                if second.number == 1:
                    await load.stop(drain_s=0)
            return seconds
        finally:
            await load.close()

    with running(Behaviour(hang=True)) as target:
        what = replace(config(target, duration_s=30), timeout_s=20, threshold_s=0.25)
        seconds = asyncio.run(watch())
    first, second = seconds[:2]
    assert first.bad == second.bad == 0
    assert first.slo_bad > 0.5 * first.due
    assert second.slo_bad > 0.5 * second.due
    assert second.oldest_ms is not None
    assert second.oldest_ms > 1500
    rows = read_folder(tmp_path / "load")
    assert sum(second.slo_bad for second in seconds) == len(rows) == sum(second.due for second in seconds)
