"""The load process itself: ``python -P -m loadgen.locustfile FOLDER PROCESS``, started by `loadgen.process` only.

Uses Locust as a library (its documented Environment and local runner) rather than through its command line, which would
read configuration files and LOCUST_* variables of whoever runs it, print tables, and end with a status that is 0 after
SIGTERM. The config comes with the first line of stdin. FOLDER holds ``arrivals.bin``; rows and
``summary-PROCESS.json`` go there.
"""

from __future__ import annotations

import locust  # noqa: F401 - before all others: it patches the standard library, and fails where ssl is in use

# isort: split
import ctypes
import gc
import itertools
import math
import os
import resource
import signal
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path

import gevent
import gevent.event
from gevent.threadpool import ThreadPool
from locust.env import Environment

from harness.errors import TaintlabError, UsageError
from harness.files import write_whole
from loadgen import arrivals
from loadgen.buckets import percentile_ms
from loadgen.channel import CommandReader, MessageWriter, Stop
from loadgen.config import LoadConfig
from loadgen.protocol import EndReason, Failed, Ready, Second, Summary, encode, summary_name
from loadgen.recorder import Recorder
from loadgen.rows import Outcome, RowHeader, RowWriter, file_name
from loadgen.users import ClosedUsers, Dispatcher, Source, Traffic

_NS_PER_S = 1_000_000_000
_PR_SET_PDEATHSIG = 1
_SPARE_FILES = 64
_SPARE_LIFE_S = 30
"""What starting, and ending beyond the wait for answers, may take before the kernel ends the process (SIGALRM). It is
the last resort for a process whose event loop is stuck: nothing that Python decides is left to hang on.
"""
_DRAIN_GRACE_S = 0.5
"""A request sent just before the end times out this much later at most."""


class LoadRun:
    """One process's run, from ready to summary."""

    def __init__(self, folder: Path, *, process: int, voice: MessageWriter, ear: CommandReader) -> None:
        """Hear the config, read the schedule, create the row file. Raises UsageError when they cannot be used."""
        self._folder, self._process, self._voice, self._ear = folder, process, voice, ear
        self._config = config = ear.config()
        schedule = arrivals.read(folder / arrivals.FILE_NAME)
        self._schedule = arrivals.digest(schedule)
        offsets = arrivals.stripe(schedule, process=process, processes=config.processes)
        self._planned = len(offsets)
        self._cap = _allowed_in_flight(config)
        self._writer = RowWriter(folder / file_name(process))
        self._timeout_ns = round(config.timeout_s * _NS_PER_S)
        threshold_ns = None if config.threshold_s is None else round(config.threshold_s * _NS_PER_S)
        self._recorder = Recorder(self._writer, timeout_ns=self._timeout_ns, threshold_ns=threshold_ns)
        self._traffic = Traffic(self._recorder)
        self._source: Source = (
            Dispatcher(self._traffic, config=config, process=process, offsets=offsets, cap=self._cap)
            if config.closed_users is None
            else ClosedUsers(self._traffic, config=config, users=config.closed_users)
        )
        self._reason = EndReason.DURATION
        self._hurry = gevent.event.Event()
        self._ended = gevent.event.Event()
        self._disk = ThreadPool(1)  # a slow disk delays rows, never requests
        self._told_ns = self._told_cpu_ns = self._begun_cpu_ns = 0
        self._stopped_ns: int | None = None

    def run(self) -> Summary:
        """Say ready, wait for the start, send, drain, write the summary. Raises what went wrong on our side."""
        gevent.signal_handler(signal.SIGTERM, self._end, EndReason.SIGNAL)
        environment = Environment(user_classes=[self._source.user_class()])
        runner = environment.create_local_runner()
        runner.start(self._source.users, spawn_rate=self._source.users)
        gevent.joinall([runner.spawning_greenlet])
        gc.collect()
        gc.freeze()  # what was imported is not looked at again: a full collection would cost 20 ms amid requests
        self._voice.say(self._ready())
        command = self._ear.listen()
        if isinstance(command, Stop):
            raise UsageError("stopped before it was started")
        self._begin(command)
        gevent.spawn(self._obey, self._ear)
        seconds = gevent.spawn(self._tell_seconds)
        self._traffic.over.wait(self._closed_life_s())
        self._drain()
        runner.quit()
        self._recorder.abandon(at_ns=time.monotonic_ns())
        self._ended.set()
        seconds.join()
        if self._traffic.failure is not None:
            raise self._traffic.failure
        return self._summarise()

    def _begin(self, start_ns: int) -> None:
        config = self._config
        signal.alarm(math.ceil(2 * config.duration_s + config.timeout_s) + _SPARE_LIFE_S)
        header = RowHeader(
            pid=os.getpid(),
            process=self._process,
            processes=config.processes,
            start_ns=start_ns,
            timeout_ns=self._timeout_ns,
        )
        self._writer.begin(header)
        self._told_ns, self._told_cpu_ns = start_ns, time.process_time_ns()
        self._begun_cpu_ns = self._told_cpu_ns
        self._traffic.begin(start_ns)

    def _closed_life_s(self) -> float | None:
        """When to end closed users, who know no end; the dispatcher's schedule has one."""
        if self._config.closed_users is None:
            return None
        return self._config.duration_s + (self._traffic.start_ns - time.monotonic_ns()) / _NS_PER_S

    def _drain(self) -> None:
        """No more arrivals; wait for what is in flight until it has ended, or must have, or somebody hurries us."""
        longest_s = self._config.timeout_s + _DRAIN_GRACE_S
        self._traffic.over.set()
        self._stopped_ns = max(time.monotonic_ns(), self._traffic.start_ns)
        signal.alarm(math.ceil(longest_s) + _SPARE_LIFE_S)
        self._source.halt(at_ns=self._stopped_ns)
        self._traffic.settle()
        gevent.wait([self._traffic.idle, self._hurry], timeout=longest_s, count=1)
        self._source.kill(at_ns=self._stopped_ns)

    def _obey(self, ear: CommandReader) -> None:
        """Commands after the start. A stop may come any time, also to shorten the wait that is going on."""
        while True:
            try:
                command = ear.listen()
            except ValueError as error:
                self._traffic.fail(error)
                return
            if not isinstance(command, Stop):
                self._traffic.fail(ValueError("started twice"))
                return
            if command.drain_s is not None:
                gevent.spawn_later(command.drain_s, self._hurry.set)
            self._end(EndReason.HARNESS_GONE if command.harness_gone else EndReason.STOP)
            if command.harness_gone:
                return

    def _end(self, reason: EndReason) -> None:
        if not self._traffic.over.is_set():
            self._reason = reason
            self._traffic.over.set()

    def _tell_seconds(self) -> None:
        """Each second: bring its rows to the file, then tell it. What was told survives us."""
        try:
            for number in itertools.count(1):
                left_ns = self._traffic.start_ns + number * _NS_PER_S - time.monotonic_ns()
                ended = self._ended.wait(max(0.0, left_ns / _NS_PER_S))
                second, data = self._second(), self._writer.take()
                self._disk.apply(self._writer.write, (data,))
                self._voice.say(second)
                if ended:
                    return
        except OSError as error:
            self._traffic.fail(OSError(f"rows cannot be written: {error}"))

    def _second(self) -> Second:
        now_ns, cpu_ns = max(time.monotonic_ns(), self._told_ns), time.process_time_ns()
        due_ns = now_ns if self._stopped_ns is None else self._stopped_ns
        due = self._source.due(from_ns=self._told_ns, to_ns=due_ns) if due_ns > self._told_ns else 0
        second = self._recorder.second(
            at_ns=now_ns, elapsed_ns=now_ns - self._told_ns, due=due, cpu_ns=cpu_ns - self._told_cpu_ns
        )
        self._told_ns, self._told_cpu_ns = now_ns, cpu_ns
        return second

    def _ready(self) -> Ready:
        return Ready(
            process=self._process,
            pid=os.getpid(),
            t_ns=time.monotonic_ns(),
            planned=self._planned,
            in_flight_cap=self._cap,
            schedule=self._schedule,
            versions={name: version(name) for name in ("locust", "gevent", "geventhttpclient")},
        )

    def _summarise(self) -> Summary:
        """All rows to the disk, then the summary."""
        self._writer.close()
        recorder, start_ns = self._recorder, self._traffic.start_ns
        cpu_ns = self._told_cpu_ns - self._begun_cpu_ns
        rows = sum(recorder.outcomes.values())
        summary = Summary(
            name=self._config.name,
            processes=self._config.processes,
            reason=self._reason,
            started_ns=start_ns,
            stopped_ns=self._stopped_ns or self._told_ns,
            ended_ns=self._told_ns,
            scheduled=self._planned if self._config.closed_users is None else rows,
            due=rows,
            sent=recorder.sent,
            dropped=recorder.outcomes[Outcome.DROPPED],
            bad=rows - recorder.outcomes[Outcome.OK],
            outcomes={outcome.label: count for outcome, count in recorder.outcomes.items()},
            rows={file_name(self._process): self._writer.rows},
            lateness_p50_ms=percentile_ms(recorder.lateness, 0.50),
            lateness_p99_ms=percentile_ms(recorder.lateness, 0.99),
            lateness_max_ms=recorder.lateness_max_ns / 1e6 if recorder.sent else None,
            in_flight_max=recorder.in_flight_max,
            in_flight_cap=self._cap,
            cpu=round(cpu_ns / max(1, self._told_ns - start_ns), 4),
            cpu_max=round(recorder.cpu_max, 4),
            schedule=self._schedule,
            versions=self._ready().versions,
            lateness_buckets=recorder.lateness,
        )
        write_whole(self._folder / summary_name(self._process), encode(summary))
        return summary


def _allowed_in_flight(config: LoadConfig) -> int:
    """One process's share of the in-flight cap, as far as open files allow; raises the soft limit to what that needs.
    Raises UsageError when the configured number cannot be had.
    """
    wanted = math.ceil(config.in_flight_cap / config.processes)
    besides = _SPARE_FILES + config.connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - besides)
    if (most < wanted and config.max_in_flight is not None) or most < 1:
        raise UsageError(
            f"max_in_flight {wanted} needs {wanted + besides} open files per process, the limit is {hard}: "
            "lower max_in_flight, or raise the limit (ulimit -Hn)"
        )
    if soft != resource.RLIM_INFINITY and soft < most + besides:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most + besides, hard))
    return most


def main(folder: Path, *, process: int) -> int:
    """Run, and tell the harness how it ended. The status is for people: the harness trusts the summary only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the harness, which then stops us
    signal.alarm(10 * _SPARE_LIFE_S)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    voice = MessageWriter(sys.stdout.fileno())
    status = 0
    try:
        ear = CommandReader(sys.stdin.fileno())
        voice.say(LoadRun(folder, process=process, voice=voice, ear=ear).run())
    except (TaintlabError, OSError) as error:
        voice.say(Failed(str(error)))
        status = 2
    except Exception as error:  # a bug of ours: told in one line, with its traceback in the log
        traceback.print_exc()
        voice.say(Failed(f"{type(error).__name__}: {error}"))
        status = 1
    voice.finish(within_s=3.0)
    return status


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), process=int(sys.argv[2]))
    sys.stderr.flush()
    os._exit(code)  # threads that resolve a name may be stuck for longer than anybody wants to wait
