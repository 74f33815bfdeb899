"""The write-ahead undo record on disk: what we are about to change, and how to undo it, fsynced before it is done.

A node's undo stands in two places, each sufficient alone: here and in the claim annotation on the node itself
(`harness.cluster.undo`). Objects that we create stand here and carry the label ``taintlab.dev/run``. The first line
names the run and the cluster, so that recovering needs no other file. While its run lives, the file is locked.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import stat
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.files import MIB, PRIVATE_FILE, read_regular, shown, sync_folder
from harness.terminal import one_line

RUN_LABEL = "taintlab.dev/run"
EXPERIMENT_ANNOTATION = "taintlab.dev/experiment"
HOLDER_ANNOTATION = "taintlab.dev/holder"
"""On objects: the process of the run (`harness.cluster.undo.Holder` as JSON), so that a run that has claimed no node
yet can be seen to be alive.
"""
RESERVE = 64 * 1024
"""Bytes kept free for the ledger, beside what the plan's records need."""
_PER_RECORD = 4096
_CAP = 64 * MIB
_MOST_LINES, _MOST_PROBLEMS = 200_000, 100
_FORMAT = 2


class RecordKind(StrEnum):
    """What a record is about."""

    NODE = "node"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Record:
    """One thing we change. `subject`: a node's name, or an object's API path. `what`: for people. `uid`: of the node,
    or of the object once it was created ("" before). `undo`: for a node, the claim as its annotation has it
    (`NodeUndo.to_json`), "" in ledgers that did not hold it.
    """

    id: str
    kind: RecordKind
    subject: str
    what: str
    uid: str = ""
    undo: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """The ledger's first line. `reach`: how the run reached its cluster (``{"lab": NAME}`` or ``{"context": NAME,
    "kubeconfig": PATH or None}``): a hint for people, never followed unasked.
    """

    run: str
    experiment: str
    reach: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """Appends to ``ledger.jsonl``; every line is on disk before the method returns. OSError (disk full even after the
    reserve was given up) is the caller's: nothing may be changed that is not written here first.
    """

    def __init__(self, path: Path, header: Header | None = None, *, records: int = 0) -> None:
        """Open for appending; a new file begins with `header`, space for `records` more is reserved beside it.

        UsageError when another process holds the file (its run is alive); OSError when the space cannot be had.
        """
        self._path = path
        self._writing = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._reserve = path.with_name(path.name + ".reserve")
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, PRIVATE_FILE)
        try:
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise UsageError(f"{path}: is no regular file")
            _lock(self._descriptor, path)
            self._drop_torn_line()
            if header is not None:
                self._take_reserve(RESERVE + records * _PER_RECORD)
                self._write({"state": "run", "format": _FORMAT, **asdict(header)})
                sync_folder(path.parent)
        except BaseException:
            os.close(self._descriptor)
            raise

    def intend(self, record: Record) -> None:
        """About to do it; a later line of the same id replaces what was said before."""
        self._write({"state": "intended", **asdict(record)})

    def healed(self, record_id: str, *, how: str = "") -> None:
        """Undone, and seen to be undone. `how`: for people, where it was not the usual way."""
        self._write({"state": "healed", "id": record_id, **({"how": how} if how else {})})

    async def intend_soon(self, record: Record) -> None:
        """`intend` in a thread: an fsync may take long, and the event loop must go on. On the disk when it returns;
        when it is cancelled, the line may be there or not. Lines stand in the order in which they were asked for.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self.intend, record)

    async def healed_soon(self, record_id: str, *, how: str = "") -> None:
        """`healed` in the same thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, partial(self.healed, record_id, how=how))

    def close(self) -> None:
        """Close the file, let go of the lock and of the reserve; a line written later is an OSError. Safe to repeat."""
        self._thread.shutdown()
        with self._writing:
            if self._descriptor >= 0:
                self._reserve.unlink(missing_ok=True)
                os.close(self._descriptor)
                self._descriptor = -1  # the number may be another file's soon

    def _write(self, line: Mapping[str, Any]) -> None:
        data = (json.dumps(line, separators=(",", ":")) + "\n").encode()
        with self._writing:
            try:
                self._append(data)
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                if not full or not self._reserve.exists():
                    raise
                self._reserve.unlink()
                self._append(data)

    def _append(self, data: bytes) -> None:
        """The whole line on the disk, or none of it: half a line would swallow the next one."""
        before = os.fstat(self._descriptor).st_size
        try:
            rest = data
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, before)
            raise

    def _drop_torn_line(self) -> None:
        """A line that was cut off never was: what it announces did not begin. It must not swallow the next line."""
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.ftruncate(self._descriptor, os.pread(self._descriptor, size, 0).rfind(b"\n") + 1)

    def _take_reserve(self, size: int) -> None:
        self._reserve.unlink(missing_ok=True)
        descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            self._reserve.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UsageError(f"{path}: its run is still alive (it holds this file)") from error


def is_held(path: Path) -> bool:
    """Whether the run that writes this ledger is alive on this machine. False when there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@dataclass(frozen=True, slots=True)
class LedgerRead:
    """What a ledger says. `records`: (record, healed) in the order first intended. `problems`: lines that could not be
    read, one sentence each: what they said is not known.
    """

    header: Header | None = None
    records: tuple[tuple[Record, bool], ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def outstanding(self) -> list[Record]:
        """Intended and not healed, latest first: the order to undo them in."""
        return [record for record, healed in reversed(self.records) if not healed]


class _Line(msgspec.Struct):
    """Any line of a ledger; unknown fields are skipped."""

    state: str
    id: str = ""
    kind: str = ""
    subject: str = ""
    what: str = ""
    uid: str = ""
    undo: str = ""
    run: str = ""
    experiment: str = ""
    reach: dict[str, str | None] = {}
    format: int = 1


def read_ledger(path: Path) -> LedgerRead:
    """Read a ledger, however damaged; empty when there is none. UsageError when `path` is no regular file, or larger
    than a ledger can be. A torn last line is ignored: what it announces never began.
    """
    if not path.exists() and not path.is_symlink():
        return LedgerRead()
    lines = read_regular(path, cap=_CAP).split(b"\n")[:-1]
    if len(lines) > _MOST_LINES:
        raise UsageError(f"{shown(path)}: {len(lines):,} lines, more than a ledger has: is this the right file?")
    reading = _Reading(path)
    for number, raw in enumerate(lines, start=1):
        reading.line(number, raw)
    return reading.result()


class _Reading:
    """What the lines read so far say."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._header: Header | None = None
        self._records: dict[str, tuple[Record, bool]] = {}
        self._problems: list[str] = []
        self._untold = 0

    def line(self, number: int, raw: bytes) -> None:
        """Read one line; one that cannot be read is a problem, and stops nothing."""
        text = raw.strip(b"\0")
        if text != raw:
            self._problem(number, "NUL bytes (a power cut?)")
        if not text.strip():
            return
        try:
            self._take(msgspec.json.decode(text, type=_Line))
        except (ValueError, RecursionError) as error:
            self._problem(number, f"cannot be read ({one_line(error, 120)})")

    def _take(self, line: _Line) -> None:
        """ValueError for a line that no ledger of this version has."""
        if line.state == "run":
            if line.format > _FORMAT:
                raise ValueError(f"format {line.format}, written by a newer taintlab")
            self._header = self._header or Header(line.run, line.experiment, line.reach)
        elif not line.id:
            raise ValueError("no id")
        elif line.state == "healed":
            if line.id in self._records:
                self._records[line.id] = (self._records[line.id][0], True)
        elif line.state == "intended":
            record = Record(line.id, RecordKind(line.kind), line.subject, line.what, line.uid, line.undo)
            self._records[line.id] = (record, False)
        else:
            raise ValueError(f"unknown state {line.state!r}")

    def _problem(self, number: int, words: str) -> None:
        if len(self._problems) < _MOST_PROBLEMS:
            self._problems.append(f"{shown(self._path)}:{number}: {words}")
        else:
            self._untold += 1

    def result(self) -> LedgerRead:
        """All of it."""
        more = (f"{shown(self._path)}: {self._untold:,} more lines cannot be read",) if self._untold else ()
        return LedgerRead(self._header, tuple(self._records.values()), (*self._problems, *more))


def outstanding(path: Path) -> list[Record]:
    """Records intended and not healed, latest first (the order to undo them in)."""
    return read_ledger(path).outstanding
