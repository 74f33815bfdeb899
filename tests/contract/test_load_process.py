"""The load process as a process: how it starts, what it inherits, how it ends, and what is left when it is killed."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.errors import LoadFailed
from loadgen.arrivals import FILE_NAME, schedule, write
from loadgen.config import LoadConfig
from loadgen.process import SUMMARY_NAME, LoadProcess
from loadgen.protocol import EndReason, Summary, decode
from loadgen.rows import Outcome, read_folder
from loadgen.stats import whole
from tests.load_target import Behaviour, running


def config(port: int) -> LoadConfig:
    """Long enough to be interrupted by every test."""
    return LoadConfig(url=f"127.0.0.1:{port}/", rate_per_s=100, duration_s=60, seed=7, timeout_s=2)


@asynccontextmanager
async def loading(what: LoadConfig, folder: Path, *, prefix: tuple[str, ...] = ()) -> AsyncIterator[LoadProcess]:
    load = LoadProcess(clock=SystemClock())
    try:
        await load.start(what, folder, prefix=prefix)
        yield load
    finally:
        await load.close()


async def seconds_pass(load: LoadProcess, count: int) -> None:
    """Until `count` seconds of traffic have been told."""
    async for second in load.seconds():
        if second.number == count - 1:
            return


def test_stopped_before_the_first_arrival_it_has_nothing_to_tell(tmp_path: Path) -> None:
    async def stop() -> Summary:
        async with loading(config(1), tmp_path / "load") as load:
            return await load.stop()

    summary = asyncio.run(stop())
    assert (summary.due, summary.sent, summary.lateness_p99_ms) == (0, 0, None)
    assert len(read_folder(tmp_path / "load")) == 0


def test_a_second_stop_may_shorten_the_wait(tmp_path: Path) -> None:
    async def stop() -> Summary:
        async with loading(replace(config(target.port), timeout_s=30), tmp_path / "load") as load:
            await seconds_pass(load, 1)
            patient = asyncio.create_task(load.stop())
            await asyncio.sleep(0)  # it has said stop
            hurried = await load.stop(drain_s=0)
            assert await patient == hurried
            return hurried

    with running(Behaviour(hang=True)) as target:
        summary = asyncio.run(stop())
    assert summary.outcomes[Outcome.UNANSWERED.label] > 50


def test_the_service_gets_the_secrets_and_the_folder_their_hashes(tmp_path: Path) -> None:
    async def send(what: LoadConfig) -> None:
        async with loading(what, tmp_path / "load") as load:
            await seconds_pass(load, 1)
            await load.stop()

    with running() as target:
        secret = replace(config(target.port), headers=(("X-Auth", "s3cr3t"),), method="POST", body=b"s3cr3t" * 30_000)
        asyncio.run(send(replace(secret, url=f"{secret.url}?token=s3cr3t", rate_per_s=20)))
        counts = target.finish()
    assert "X-Auth: s3cr3t" in counts.heads[0]
    assert "?token=s3cr3t HTTP/1.1" in counts.heads[0]
    assert counts.body_bytes >= 180_000
    kept = [path for path in (tmp_path / "load").iterdir() if b"s3cr3t" in path.read_bytes()]
    assert kept == []
    assert LoadConfig.read(tmp_path / "load" / "config.json").headers[0][1].startswith("sha256:")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "load").iterdir()} == {0o600}
    assert (tmp_path / "load").stat().st_mode & 0o777 == 0o700


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int, *, within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    while alive(pid):
        assert time.monotonic() < deadline_s, f"process {pid} is still there"
        time.sleep(0.02)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_process_has_no_summary_and_its_rows_remain(tmp_path: Path, processes: int) -> None:
    async def kill() -> int:
        async with loading(replace(config(target.port), processes=processes), tmp_path / "load") as load:
            told = 0
            async for second in load.seconds():  # ends by itself: one lost process is enough
                told += second.done
                if second.number == 0:
                    os.kill(load.pids[0], signal.SIGKILL)
            with pytest.raises(LoadFailed, match=r"process 0 .*without a summary, by signal 9 \(SIGKILL\): killed\?"):
                await load.wait()
            with pytest.raises(LoadFailed, match="killed"):
                await load.stop()
            assert not any(map(alive, load.pids))
            return told

    with running() as target:
        told = asyncio.run(kill())
    assert len(read_folder(tmp_path / "load")) >= told > 50
    assert not (tmp_path / "load" / SUMMARY_NAME).exists()


@pytest.mark.parametrize(
    ("drain_s", "outcome"),
    [pytest.param(None, Outcome.TIMEOUT, id="waited-for"), pytest.param(0.2, Outcome.UNANSWERED, id="cut-short")],
)
def test_what_hangs_when_stopped_has_its_row(tmp_path: Path, drain_s: float | None, outcome: Outcome) -> None:
    async def stop() -> Summary:
        async with loading(config(target.port), tmp_path / "load") as load:
            await seconds_pass(load, 1)
            return await load.stop(drain_s=drain_s)

    with running(Behaviour(hang=True)) as target:
        summary = asyncio.run(stop())
        assert target.finish().requests == summary.sent
    seen = whole(read_folder(tmp_path / "load"))
    assert seen.outcomes == {outcome: summary.due}
    assert summary.outcomes[outcome.label] == summary.due
    assert summary.due > 70
    assert summary.reason is EndReason.STOP


def test_stopped_in_time_it_waits_for_answers_and_tells_every_arrival_once(tmp_path: Path) -> None:
    async def stop() -> tuple[Summary, dict[str, int]]:
        async with loading(replace(config(target.port), processes=2), tmp_path / "load") as load:
            stopping: asyncio.Task[Summary] | None = None
            sums = dict.fromkeys(("due", "sent", "done", "bad"), 0)
            async for second in load.seconds():
                sums = {name: count + getattr(second, name) for name, count in sums.items()}
                if second.number == 1:
                    stopping = asyncio.create_task(load.stop())
            assert stopping is not None
            return await stopping, sums

    with running(Behaviour(delay_ms=300)) as target:
        summary, sums = asyncio.run(stop())
    assert summary.outcomes == {outcome.label: 0 for outcome in Outcome} | {"ok": summary.due}
    assert sums == {"due": summary.due, "sent": summary.sent, "done": summary.due, "bad": 0}
    assert summary.due < summary.scheduled
    assert decode((tmp_path / "load" / SUMMARY_NAME).read_bytes()) == summary
    assert len(read_folder(tmp_path / "load")) == summary.due


HARNESS = """
import asyncio, os, sys, time
from pathlib import Path
from harness.clock import SystemClock
from loadgen.config import LoadConfig
from loadgen.process import LoadProcess

async def main():
    load = LoadProcess(clock=SystemClock())
    await load.start(LoadConfig.read(Path(sys.argv[1])), Path(sys.argv[2]))
    async for second in load.seconds():
        fork = 0
        if sys.argv[3] == "forks" and (fork := os.fork()) == 0:
            time.sleep(20)
            os._exit(0)
        print(load.pids[0], fork, flush=True)
        await asyncio.sleep(20)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("how", "reasons"),
    [
        pytest.param("plain", {EndReason.HARNESS_GONE, EndReason.SIGNAL}, id="its-pipes-end"),
        pytest.param("forks", {EndReason.SIGNAL}, id="a-fork-holds-its-pipes"),
    ],
)
def test_it_dies_with_its_harness_and_leaves_rows_and_summary(
    tmp_path: Path, how: str, reasons: set[EndReason]
) -> None:
    folder = tmp_path / "load"
    with running(Behaviour(delay_ms=500)) as target:
        config(target.port).write(tmp_path / "config.json")
        command = [sys.executable, "-c", HARNESS, str(tmp_path / "config.json"), str(folder), how]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as harness:
            assert harness.stdout is not None
            pid, fork = map(int, harness.stdout.readline().split())
            harness.kill()
        try:
            wait_until_gone(pid, within_s=60)
        finally:
            if fork:
                os.kill(fork, signal.SIGKILL)
    summary = summary_of(folder)
    assert summary.reason in reasons
    assert summary.bad == 0  # what was in flight was waited for
    assert len(read_folder(folder)) == summary.due > 50


def start_directly(what: LoadConfig, folder: Path) -> subprocess.Popen[bytes]:
    """The child without `LoadProcess`, ordered to start in 1.5 s."""
    planned = schedule(what.arrivals, rate_per_s=what.rate_per_s, duration_s=what.duration_s, seed=what.seed)
    write(planned, folder / FILE_NAME)
    command = [sys.executable, "-m", "loadgen.locustfile", str(folder), "0"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.write(json.dumps(what.to_json()).encode() + b"\n")
    child.stdin.write(f"start {time.monotonic_ns() + 1_500_000_000}\n".encode())
    child.stdin.flush()
    return child


def summary_of(folder: Path) -> Summary:
    summary = decode((folder / "summary-0.json").read_bytes())
    assert isinstance(summary, Summary)
    return summary


def test_the_end_of_its_stdin_ends_it(tmp_path: Path) -> None:
    with running() as target, start_directly(config(target.port), tmp_path) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        while b'"second"' not in child.stdout.readline():
            pass
        child.stdin.close()
        child.wait(timeout=60)
    assert summary_of(tmp_path).reason is EndReason.HARNESS_GONE


def test_a_harness_that_does_not_read_does_not_slow_the_traffic(tmp_path: Path) -> None:
    """Its pipe (one page here) is full from its first word on; the process must neither block on it nor lose a row."""
    with running() as target:
        what = replace(config(target.port), duration_s=3.0, rate_per_s=1000)
        with start_directly(what, tmp_path) as child:
            assert child.stdout is not None
            fcntl.fcntl(child.stdout, fcntl.F_SETPIPE_SZ, 4096)
            child.wait(timeout=120)
            said = child.stdout.read()
    assert len(said) <= 4096
    assert b'"summary"' not in said
    summary = summary_of(tmp_path)
    assert (summary.reason, summary.due, summary.bad) == (EndReason.DURATION, summary.scheduled, 0)
    assert len(read_folder(tmp_path)) == summary.scheduled > 2500


def test_nothing_of_ours_leaks_into_it_and_it_listens_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run from a folder whose files would shadow the standard library, with settings that would break Locust."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for folder in (tmp_path, tmp_path / "load"):
        folder.mkdir(exist_ok=True)
        (folder / "json.py").write_text("raise SystemExit('shadowed')")
        (folder / "locust.conf").write_text("web-port = 1\nno-such-option = 1\n")

    async def look() -> None:
        prefix = ("env", "TAINTLAB_TEST_PREFIX=1")
        async with loading(config(target.port), Path("load"), prefix=prefix) as load:
            await seconds_pass(load, 1)
            (pid,) = load.pids
            names = _environment_names(pid)
            assert "TAINTLAB_TEST_PREFIX" in names
            assert not {name for name in names if name.startswith("LOCUST") or "PROXY" in name.upper()}
            assert _listening(pid) == set()
            assert (await load.stop()).bad == 0

    with running() as target:
        asyncio.run(look())


def _environment_names(pid: int) -> set[str]:
    return {entry.split("=")[0] for entry in Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0") if entry}


def _listening(pid: int) -> set[str]:
    """Inodes of TCP sockets that `pid` holds in state LISTEN (0A in /proc/net/tcp)."""
    held = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()
    ]
    return {line[9] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in held}


def test_a_folder_with_rows_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "rows-0.bin").write_bytes(b"evidence")
    with pytest.raises(LoadFailed, match="folder of its own"):
        asyncio.run(LoadProcess(clock=SystemClock()).start(config(1), tmp_path))
    assert (tmp_path / "rows-0.bin").read_bytes() == b"evidence"


@pytest.mark.parametrize(
    ("what", "prefix", "message"),
    [
        pytest.param(replace(config(1), max_in_flight=10**9), (), "open files per process", id="cap-above-the-limit"),
        pytest.param(config(1), ("false",), "without a summary, status 1", id="prefix-fails"),
        pytest.param(config(1), ("no-such-program-anywhere",), "cannot be started", id="prefix-missing"),
    ],
)
def test_what_cannot_start_says_why(tmp_path: Path, what: LoadConfig, prefix: tuple[str, ...], message: str) -> None:
    async def start() -> None:
        load = LoadProcess(clock=SystemClock())
        with pytest.raises(LoadFailed, match=message):
            await load.start(what, tmp_path / "load", prefix=prefix)
        assert not any(map(alive, load.pids))

    asyncio.run(start())


@pytest.mark.parametrize("module", ["process", "rows", "stats", "config", "protocol"])
def test_the_harness_side_imports_neither_locust_nor_gevent(module: str) -> None:
    program = f"import json, sys, loadgen.{module}; print(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=120).stdout
    assert not {"locust", "gevent", "geventhttpclient"} & set(json.loads(said))
