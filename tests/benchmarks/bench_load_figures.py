"""How late does the load process send, what does it cost, and how fast are its rows counted?

    python -m tests.benchmarks.bench_load_figures [--seconds 10] [--rates 100,500,1000] [--rows 1000000]

Sends to `tests.load_target` (2 ms per answer) on this machine, one process, and prints one line per rate; then the
freeze of 3 s in 15 s, open and closed; then the time to read and summarise a file of that many rows. Figures of a busy
machine mean nothing: look at the load average printed first.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from harness.clock import SystemClock
from loadgen.config import ArrivalKind, LoadConfig
from loadgen.process import LoadProcess
from loadgen.protocol import Summary
from loadgen.rows import Outcome, RowHeader, RowWriter, file_name, read_folder
from loadgen.stats import NS_PER_S, per_second, whole
from tests.load_target import Behaviour, Running, running

FREEZE_S = 3.0
FREEZE_RUN_S = 15.0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def send(config: LoadConfig, folder: Path, *, freeze: Running | None = None) -> Summary:
    """One whole run; `freeze` is stopped for FREEZE_S after 4 s."""
    load = LoadProcess(clock=SystemClock())
    try:
        await load.start(config, folder)
        async for second in load.seconds():
            if freeze is not None and second.number == 3:
                os.kill(freeze.pid, signal.SIGSTOP)
                await asyncio.sleep(FREEZE_S)
                os.kill(freeze.pid, signal.SIGCONT)
        return await load.wait()
    finally:
        await load.close()


def lateness(rate_per_s: float, *, seconds: float, folder: Path) -> str:
    with running(Behaviour(delay_ms=2)) as target:
        url = f"127.0.0.1:{target.port}/"
        config = LoadConfig(url=url, rate_per_s=rate_per_s, duration_s=seconds, seed=1, timeout_s=5)
        summary = asyncio.run(send(config, folder))
    seen = whole(read_folder(folder))
    return (
        f"{rate_per_s:6.0f}/s  lateness p50 {summary.lateness_p50_ms:.2f}  p99 {summary.lateness_p99_ms:.2f}  "
        f"max {summary.lateness_max_ms:.1f} ms   cpu {summary.cpu:.1%} (busiest second {summary.cpu_max:.1%})   "
        f"latency p50 {(seen.p50_ns or 0) / 1e6:.2f}  p99 {(seen.p99_ns or 0) / 1e6:.2f} ms   bad {seen.bad}"
    )


def freeze(folder: Path) -> str:
    lines = []
    for name, users in (("open", None), ("closed", 5)):
        with running() as target:
            url = f"127.0.0.1:{target.port}/"
            config = LoadConfig(url=url, rate_per_s=100, duration_s=FREEZE_RUN_S, seed=1, arrivals=ArrivalKind.UNIFORM)
            asyncio.run(send(replace(config, closed_users=users), folder / name, freeze=target))
        rows = read_folder(folder / name)
        seen = whole(rows)
        slow = sum(1 for latency_ns in rows.latency_ns() if latency_ns > NS_PER_S)
        lines.append(f"{name:7s} requests {seen.due:5d}   p99 {(seen.p99_ns or 0) / 1e6:7.1f} ms   above 1 s: {slow}")
    truth_ms = 1e3 * (FREEZE_S - 0.01 * FREEZE_RUN_S)
    return f"freeze of {FREEZE_S:g} s in {FREEZE_RUN_S:g} s, truth p99 {truth_ms:.0f} ms\n" + "\n".join(lines)


def reading(count: int, folder: Path) -> str:
    folder.mkdir()
    writer = RowWriter(folder / file_name(0))
    writer.begin(RowHeader(pid=os.getpid(), process=0, processes=1, start_ns=NS_PER_S, timeout_ns=NS_PER_S))
    started_s = time.monotonic()
    for arrival in range(count):
        due_ns = NS_PER_S + arrival * 1_000_000
        bad = Outcome.RESET if arrival % 100 == 0 else Outcome.OK
        service_ns = 1_000_000 + arrival * 7919 % 5_000_000
        writer.add(
            intended_ns=due_ns, started_ns=due_ns, service_ns=service_ns, status=200, outcome=bad, arrival=arrival
        )
    added_s = time.monotonic()
    writer.close()
    closed_s = time.monotonic()
    rows = read_folder(folder)
    read_s = time.monotonic()
    whole(rows)
    whole_s = time.monotonic()
    per_second(rows, start_ns=NS_PER_S, end_ns=NS_PER_S + count * 1_000_000)
    seconds_s = time.monotonic()
    return (
        f"{count} rows: add {1e6 * (added_s - started_s) / count:.2f} us each, write {closed_s - added_s:.2f} s, "
        f"read {read_s - closed_s:.2f} s, summarise {whole_s - read_s:.2f} s, per second {seconds_s - whole_s:.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rates", default="100,500,1000")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    say("load average {:.2f} {:.2f} {:.2f}".format(*os.getloadavg()))
    with tempfile.TemporaryDirectory() as scratch:
        for rate in options.rates.split(","):
            say(lateness(float(rate), seconds=options.seconds, folder=Path(scratch) / rate))
        say(freeze(Path(scratch)))
        say(reading(options.rows, Path(scratch) / "rows"))


if __name__ == "__main__":
    main()
