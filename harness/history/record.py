"""The writer of the history: one per run, JSON lines, deeds fsynced before anything else happens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO

from harness.clock import Clock, Instant
from harness.history.codec import to_json
from harness.model import events

_DURABLE = (
    events.RunStarted,
    events.StepInvoked,
    events.StepDone,
    events.StepRefused,
    events.StepIndeterminate,
    events.HealInvoked,
    events.HealDone,
    events.GuardTripped,
    events.RunEnded,
)


class Recorder:
    """Appends facts to ``history.jsonl``. Not thread-safe: everything that observes runs on one event loop.

    Facts about deeds are fsynced before `record` returns; observations are flushed to the kernel (they survive our own
    SIGKILL, not a power cut). OSError (disk full) is raised to the caller: a run that cannot record must stop.
    """

    def __init__(self, path: Path, clock: Clock, *, run_id: str) -> None:
        """Create `path` (which must not exist) and write RunStarted; t_ns = 0 is now."""
        self._clock = clock
        self._start = clock.now()
        self._next_id = 0
        self._file: IO[str] = path.open("x", encoding="utf-8", newline="\n")
        started = events.RunStarted(run_id=run_id, mono_ns=self._start.mono_ns, format=events.FORMAT)
        self.record(started, source="run", at=self._start)

    @property
    def start(self) -> Instant:
        """The instant of t_ns = 0."""
        return self._start

    def now_ns(self) -> int:
        """Nanoseconds since the run started."""
        return self._clock.now().mono_ns - self._start.mono_ns

    def record(
        self,
        fact: events.Fact,
        *,
        source: str,
        cause: int | None = None,
        origin_wall: str | None = None,
        at: Instant | None = None,
    ) -> int:
        """Append one fact and return its id. `at`: when it was observed (default: now)."""
        moment = at or self._clock.now()
        entry = events.Entry(
            id=self._next_id,
            t_ns=moment.mono_ns - self._start.mono_ns,
            wall=moment.wall,
            source=source,
            fact=fact,
            origin_wall=origin_wall,
            cause=cause,
        )
        self._next_id += 1
        self._file.write(json.dumps(to_json(entry), separators=(",", ":"), ensure_ascii=False) + "\n")
        self._file.flush()
        if isinstance(fact, _DURABLE):
            os.fsync(self._file.fileno())
        return entry.id

    def close(self) -> None:
        """Flush, fsync and close; further facts are an error."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
