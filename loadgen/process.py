"""Starts, watches and stops the load process. The harness's only way to it; never imports locust.

`processes` load processes are that many children of ours with a stripe of one schedule each and a common start, rather
than Locust's forked master and workers: those listen on a socket, lose up to 3 s of statistics with a worker, and merge
percentiles coarsely. A child's exit status is never trusted: without its summary there is `LoadFailed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.clock import Clock
from harness.errors import LoadFailed
from harness.files import create_private, make_private_folder, write_whole
from loadgen import arrivals
from loadgen.config import LoadConfig
from loadgen.protocol import Failed, Message, Ready, Second, Summary, decode, encode, merge_seconds, merge_summaries
from loadgen.rows import HEADER, RECORD, file_name

SUMMARY_NAME = "summary.json"
"""In the load folder: the merged `Summary` of a run that ended well."""

_NS_PER_S = 1_000_000_000
_START_LEAD_NS = 200_000_000
"""From the order to start until the first possible arrival, so that all processes have heard it."""
_STOP_GRACE_S = 15.0
"""What a child may take to write its summary after the wait for answers, before it is killed."""
_LINE_LIMIT_BYTES = 1 << 20
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR", "TZ")


@dataclass(slots=True)
class _Child:
    """One load process, and what it has said."""

    process: asyncio.subprocess.Process
    index: int
    log: Path
    ready: asyncio.Future[Ready]
    summary: Summary | None = None
    failed: str = ""
    listening: asyncio.Task[None] | None = None
    waiting: list[Second] = field(default_factory=list)
    """Seconds not yet merged, by number."""
    ended: bool = False


class LoadProcess:
    """One run of traffic. `start` once, read `seconds`, then `stop` (or `wait` for the planned end), always `close`.

    The children die with the thread that called `start`, and drain and end when this process dies.
    """

    def __init__(self, *, clock: Clock, ready_within_s: float = 60.0) -> None:
        """`ready_within_s`: importing Locust takes 1 s, or many on a busy machine."""
        self._clock = clock
        self._ready_within_s = ready_within_s
        self._children: list[_Child] = []
        self._seconds: asyncio.Queue[Second | None] = asyncio.Queue()
        self._config: LoadConfig | None = None
        self._folder = Path()
        self._started_ns = 0
        self._concluding = asyncio.Lock()  # `wait` and `stop` may both be awaited

    @property
    def pids(self) -> tuple[int, ...]:
        """The children's process ids, as this process sees them (those of the prefix, should it fork)."""
        return tuple(child.process.pid for child in self._children)

    @property
    def started_ns(self) -> int:
        """CLOCK_MONOTONIC of offset 0 of the schedule; 0 before `start` returned."""
        return self._started_ns

    async def start(
        self, config: LoadConfig, folder: Path, *, prefix: Sequence[str] = (), keep_secrets: bool = False
    ) -> None:
        """Start the children and their traffic; returns when the start is ordered, 0.2 s before the first arrival.

        `folder` is the run's load folder: made if missing, refused if it holds rows already. `prefix` goes in front of
        the child's command line, e.g. ``nsenter`` with its options, to send from inside the lab's network.
        `keep_secrets`: store header values, body and URL as they are in ``config.json``, rather than hashed. Raises
        LoadFailed when a child does not come up; nothing is left running then.
        """
        if self._config is not None:
            raise LoadFailed("a LoadProcess is started once")
        self._config = config
        try:
            self._folder = await asyncio.to_thread(_prepare, config, folder, keep_secrets=keep_secrets)
            for index in range(config.processes):
                self._children.append(await self._spawn(index, prefix))
            self._tell(json.dumps(config.to_json()))
            ready = asyncio.gather(*(child.ready for child in self._children))
            await asyncio.wait_for(ready, self._ready_within_s)
        except TimeoutError:
            await self.close()
            raise LoadFailed(f"the load process was not ready within {self._ready_within_s:g} s") from None
        except OSError as error:
            await self.close()
            raise LoadFailed(f"the load process cannot be started: {error}") from error
        except BaseException:
            await self.close()
            raise
        self._started_ns = self._clock.now().mono_ns + _START_LEAD_NS
        self._tell(f"start {self._started_ns}")

    async def seconds(self) -> AsyncIterator[Second]:
        """Each second of traffic as it ends, all processes together. Ends with the traffic, or when a process is lost;
        `wait` and `stop` tell which. For one consumer.
        """
        while (second := await self._seconds.get()) is not None:
            yield second

    async def wait(self) -> Summary:
        """Until the traffic has ended by itself. Raises LoadFailed as soon as one child ended without a summary."""
        await self._ended()
        return await self._conclude()

    async def stop(self, *, drain_s: float | None = None) -> Summary:
        """End arrivals, wait at most `drain_s` (None: the request timeout) for what is in flight, take the summary.

        Returns the same when the traffic has ended already. Raises LoadFailed when a child has no summary to show.
        """
        if self._config is None or self._started_ns == 0:
            raise LoadFailed("the load process was not started")
        self._tell("stop" if drain_s is None else f"stop {drain_s:.3f}")
        within_s = (self._config.timeout_s if drain_s is None else drain_s) + _STOP_GRACE_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended(every=True), within_s)
        return await self._conclude()

    async def close(self) -> None:
        """Kill what still runs, and reap it. Harmless after `stop`."""
        for child in self._children:
            _kill(child)
        await asyncio.gather(*(child.listening for child in self._children if child.listening))

    async def _spawn(self, index: int, prefix: Sequence[str]) -> _Child:
        log = self._folder / f"stderr-{index}.log"
        with os.fdopen(create_private(log), "wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *prefix,
                *(sys.executable, "-P", "-m", "loadgen.locustfile", str(self._folder), str(index)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                cwd=self._folder,
                env=_environment(os.environ),
                start_new_session=True,  # Ctrl-C is for the harness; and a forking prefix is killed with its child
                limit=_LINE_LIMIT_BYTES,
            )
        child = _Child(process, index=index, log=log, ready=asyncio.get_running_loop().create_future())
        child.listening = asyncio.create_task(self._listen(child))
        return child

    async def _listen(self, child: _Child) -> None:
        """Take in all a child says, until it has ended and is reaped."""
        assert child.process.stdout is not None
        try:
            async for line in child.process.stdout:
                self._accept(child, decode(line))
        except ValueError as error:
            child.failed = str(error)
            _kill(child)
        await child.process.wait()
        child.ended = True
        if not child.ready.done():
            child.ready.set_exception(LoadFailed(_why(child)))
            child.ready.exception()  # retrieved: with several children only the first failure is awaited
        self._merge()

    def _accept(self, child: _Child, message: Message) -> None:
        match message:
            case Ready():
                if not child.ready.done():
                    child.ready.set_result(message)
            case Second():
                child.waiting.append(message)
                self._merge()
            case Summary():
                child.summary = message
            case Failed():
                child.failed = message.reason

    def _merge(self) -> None:
        """Pass on each second that every child has told which has not ended; None when there will be no more."""
        while told := [child for child in self._children if child.waiting]:
            if not all(child.waiting or child.summary for child in self._children):
                break
            number = min(child.waiting[0].number for child in told)
            parts = [child.waiting.pop(0) for child in told if child.waiting[0].number == number]
            self._seconds.put_nowait(merge_seconds(parts))
        lost = any(child.ended and child.summary is None for child in self._children)
        if lost or all(child.ended for child in self._children):
            self._seconds.put_nowait(None)

    def _tell(self, line: str) -> None:
        for child in self._children:
            assert child.process.stdin is not None
            if not child.process.stdin.is_closing():
                child.process.stdin.write(line.encode() + b"\n")

    async def _ended(self, *, every: bool = False) -> None:
        """Until all children have ended, or (unless `every`) one without a summary."""
        pending: set[asyncio.Task[None]] = {child.listening for child in self._children if child.listening}
        while pending:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if not every and any(child.ended and child.summary is None for child in self._children):
                return

    async def _conclude(self) -> Summary:
        """The merged summary, also written to `SUMMARY_NAME`. Raises LoadFailed naming each child without one."""
        late = [child for child in self._children if not child.ended]
        await self.close()
        reasons = [_why(child) for child in self._children if child.summary is None and child not in late]
        reasons += [f"load process {child.index} did not end in time and was killed" for child in late]
        summaries = [child.summary for child in self._children if child.summary is not None]
        if reasons or not summaries:
            raise LoadFailed("; ".join(reasons) or "the load process was not started")
        summary = merge_summaries(summaries)
        for name, rows in summary.rows.items():
            size = (self._folder / name).stat().st_size
            if size != HEADER.size + rows * RECORD.size:
                raise LoadFailed(f"{name} has {size} bytes, which are not the {rows} rows of its summary")
        async with self._concluding:
            await asyncio.to_thread(write_whole, self._folder / SUMMARY_NAME, encode(summary))
        return summary


def _prepare(config: LoadConfig, folder: Path, *, keep_secrets: bool) -> Path:
    """Config and schedule into the folder, which is for the owner alone; its absolute path. Raises LoadFailed when it
    holds another run's rows.
    """
    folder = folder.absolute()
    make_private_folder(folder)
    if any((folder / file_name(index)).exists() for index in range(config.processes)):
        raise LoadFailed(f"{folder} holds the rows of a run already; give each run a folder of its own")
    (config if keep_secrets else config.redacted()).write(folder / "config.json")
    schedule = arrivals.schedule(
        config.arrivals, rate_per_s=config.rate_per_s, duration_s=config.duration_s, seed=config.seed
    )
    arrivals.write(schedule, folder / arrivals.FILE_NAME)
    return folder


def _kill(child: _Child) -> None:
    """SIGKILL the child and what it may have started, unless it has ended."""
    if child.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """The child's whole environment: what a program needs, and where this package lies. No LOCUST_*, no proxy."""
    kept = {name: ours[name] for name in _KEPT_ENVIRONMENT if name in ours}
    return kept | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent), "LC_ALL": "C.UTF-8"}


def _why(child: _Child) -> str:
    """Why an ended child has no summary, in one sentence."""
    name = f"load process {child.index} (pid {child.process.pid})"
    if child.failed:
        return f"{name}: {child.failed}"
    status = child.process.returncode or 0
    how = f"by signal {-status} ({signal.Signals(-status).name})" if status < 0 else f"status {status}"
    with contextlib.suppress(OSError):
        if words := child.log.read_text(encoding="utf-8", errors="replace").strip().splitlines():
            return f"{name} ended without a summary, {how}: {words[-1]}"
    return f"{name} ended without a summary, {how}: killed?"
