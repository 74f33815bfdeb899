"""The writer of the history: one per run, JSON lines, written by a thread of its own.

A disk that hangs must not stop the clock by which deletions are judged, so nothing here waits for it: `record` gives a
fact its id and its place, the thread writes and fsyncs. What heals rests on the ledger alone.
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
from pathlib import Path

from harness.clock import Clock, Instant
from harness.files import PRIVATE_FILE, sync_folder
from harness.history.codec import to_json
from harness.model import events

CLOSE_S = 10.0
"""How long `close` waits for the disk."""
_DURABLE = (
    events.RunStarted,
    events.StepInvoked,
    events.StepDone,
    events.StepRefused,
    events.StepIndeterminate,
    events.HealInvoked,
    events.HealDone,
    events.GuardTripped,
    events.Leftover,
    events.RunEnded,
)


_SURROGATE = re.compile("[\ud800-\udfff]")


class Recorder:
    """Appends facts to ``history.jsonl``. Ids and order are those of the calls of `record`, which come from one event
    loop (or one thread at a time).

    Facts about steps are fsynced by the thread as soon as it gets to them; observations reach the kernel (they survive
    our own SIGKILL once the thread had them, not a power cut).
    """

    def __init__(self, path: Path, clock: Clock, *, run_id: str) -> None:
        """Create `path`, for the owner alone, and write RunStarted; t_ns = 0 is now.

        FileExistsError when it is there already, OSError when it cannot be created.
        """
        self._clock = clock
        self._start = clock.now()
        self._next_id = 0
        self._failure: OSError | None = None
        self._broken = False
        self._closed = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, PRIVATE_FILE)
        self._lines: queue.SimpleQueue[tuple[bytes, bool] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_lines, args=(path.parent,), name="history", daemon=True)
        self._thread.start()
        started = events.RunStarted(run_id=run_id, mono_ns=self._start.mono_ns, format=events.FORMAT)
        self.record(started, source="run", at=self._start)

    @property
    def clock(self) -> Clock:
        """The run's clock: what is written down and what waits for a moment go by the same one."""
        return self._clock

    @property
    def start(self) -> Instant:
        """The instant of t_ns = 0."""
        return self._start

    @property
    def failure(self) -> OSError | None:
        """The first thing that the disk refused; every fact from there on is counted but lost."""
        return self._failure

    def now_ns(self) -> int:
        """Nanoseconds since the run started."""
        return self.at_ns(self._clock.now())

    def at_ns(self, moment: Instant) -> int:
        """`moment` as nanoseconds since the run started."""
        return moment.mono_ns - self._start.mono_ns

    def now(self) -> Instant:
        """The present moment by the run's clock."""
        return self._clock.now()

    def record(
        self,
        fact: events.Fact,
        *,
        source: str,
        cause: int | None = None,
        origin_wall: str | None = None,
        at: Instant | None = None,
    ) -> int:
        """Append one fact and return its id. `at`: when it was observed (default: now). Never waits for the disk and
        never raises for it: see `failure`.
        """
        moment = at or self._clock.now()
        entry = events.Entry(
            id=self._next_id,
            t_ns=self.at_ns(moment),
            wall=moment.wall,
            source=source,
            fact=fact,
            origin_wall=origin_wall,
            cause=cause,
        )
        self._next_id += 1
        text = json.dumps(to_json(entry), separators=(",", ":"), ensure_ascii=False)
        # A lone surrogate of a foreign text is no character: the reader (RFC 8259) would refuse the line.
        line = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).encode()
        if not self._closed:
            self._lines.put((line + b"\n", isinstance(fact, _DURABLE)))
        return entry.id

    def close(self, *, timeout_s: float = CLOSE_S) -> None:
        """Write what is left, fsync and close, for at most `timeout_s`; a disk that takes longer is a `failure`.

        Facts that come later are lost.
        """
        if not self._closed:
            self._closed = True
            self._lines.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._failure = self._failure or TimeoutError(f"the disk did not take the history within {timeout_s:g} s")

    def _write_lines(self, folder: Path) -> None:
        """The thread: whatever has come meanwhile goes out in one write, and to the disk when a step is among it."""
        try:
            sync_folder(folder)
        except OSError as error:
            self._failure = error
        more = True
        while more:
            batch = [self._lines.get()]
            while not self._lines.empty():
                batch.append(self._lines.get())
            more = None not in batch
            lines = [item for item in batch if item is not None]
            durable = not more or any(step for _, step in lines)
            self._write(b"".join(line for line, _ in lines), durable=durable)
        os.close(self._descriptor)

    def _write(self, data: bytes, *, durable: bool) -> None:
        if self._broken:
            return  # a hole in the middle would be worse than an end: what was lost is lost from there on
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            if durable:
                os.fsync(self._descriptor)
        except OSError as error:
            self._failure, self._broken = self._failure or error, True
