"""The child's ends of the two pipes to the harness, without ever blocking the traffic. In the child only (gevent)."""

from __future__ import annotations

import json
import os
from collections import deque
from dataclasses import dataclass

import gevent
import gevent.os
from gevent.event import Event

from harness.errors import UsageError
from loadgen.config import LoadConfig
from loadgen.protocol import Message, encode

_KEPT_LINES = 120
"""Lines kept for a harness that does not read; older ones are dropped. Rows and summary are on disk in any case."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End arrivals; wait at most `drain_s` from now for what is in flight (None: the request timeout)."""

    drain_s: float | None
    harness_gone: bool


class MessageWriter:
    """Writes messages to a pipe from a greenlet of its own."""

    def __init__(self, fd: int) -> None:
        """Makes `fd` non-blocking and starts the greenlet."""
        gevent.os.make_nonblocking(fd)
        self._fd = fd
        self._lines: deque[bytes] = deque(maxlen=_KEPT_LINES)
        self._some = Event()
        self._gone = False
        gevent.spawn(self._run)

    def say(self, message: Message) -> None:
        """Queue one message; returns at once."""
        self._lines.append(encode(message))
        self._some.set()

    def finish(self, *, within_s: float) -> None:
        """Wait until everything queued is written, or the reader is gone, or `within_s` have passed."""
        with gevent.Timeout(within_s, False):
            while self._lines and not self._gone:
                gevent.sleep(0.005)

    def _run(self) -> None:
        while True:
            self._some.wait()
            self._some.clear()
            while self._lines:
                try:
                    self._write(self._lines[0])
                except OSError:
                    self._gone = True
                    return
                self._lines.popleft()

    def _write(self, line: bytes) -> None:
        written = 0
        while written < len(line):
            written += gevent.os.nb_write(self._fd, line[written:])


class CommandReader:
    """Reads the harness's commands from a pipe."""

    def __init__(self, fd: int) -> None:
        """Makes `fd` non-blocking."""
        gevent.os.make_nonblocking(fd)
        self._fd = fd
        self._rest = b""

    def config(self) -> LoadConfig:
        """The first line: what to send. Raises UsageError when it is none."""
        line = self._line()
        if line is None:
            raise UsageError("the harness ended before it said what to send")
        try:
            return LoadConfig.from_json(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"load config: {error}") from error

    def listen(self) -> int | Stop:
        """The next command: the CLOCK_MONOTONIC ns to start at, or `Stop`. The end of the stream is a `Stop`.
        Raises ValueError for anything else.
        """
        line = self._line()
        if line is None:
            return Stop(drain_s=None, harness_gone=True)
        match line.split():
            case [b"start", at_ns]:
                return int(at_ns)
            case [b"stop"]:
                return Stop(drain_s=None, harness_gone=False)
            case [b"stop", drain_s]:
                return Stop(drain_s=float(drain_s), harness_gone=False)
            case _:
                raise ValueError(f"unknown command {os.fsdecode(line)!r}")

    def _line(self) -> bytes | None:
        """The next line without its end; None at the end of the stream."""
        while b"\n" not in self._rest:
            data = gevent.os.nb_read(self._fd, 65536)
            if not data:
                return None
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        return line
