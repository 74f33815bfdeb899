"""The write-ahead undo record on disk: what we are about to change, and how to undo it, fsynced before it is done.

A node's undo stands in two places, each sufficient alone: here and in the claim annotation on the node itself
(`harness.cluster.undo`). Objects that we create stand here and carry the label ``taintlab.dev/run``. The first line
names the run and the cluster, so that recovering needs no other file. While its run lives, the file is locked.
"""

from __future__ import annotations

import asyncio
import copy
import errno
import fcntl
import json
import os
import stat
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.cluster.ledger_record import FORMAT, Header, Record
from harness.errors import UsageError
from harness.files import PRIVATE_FILE, sync_folder

RESERVE = 64 * 1024
"""Bytes kept free for the ledger, beside what the plan's records need."""
_PER_RECORD = 4096


@dataclass(slots=True, eq=False)
class _Asked:
    """A line that somebody waits for. `is_settled`: on the disk, or `error` says why it is not."""

    data: bytes
    is_settled: bool = False
    error: Exception | None = None


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
        self._asked: deque[_Asked] = deque()
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
                self._write(_line({"state": "run", "format": FORMAT, **asdict(header)}))
                sync_folder(path.parent)
        except BaseException:
            os.close(self._descriptor)
            raise

    def intend(self, record: Record) -> None:
        """About to do it; a later line of the same id replaces what was said before."""
        self._write(_intended(record))

    def healed(self, record_id: str, *, how: str = "") -> None:
        """Undone, and seen to be undone. `how`: for people, where it was not the usual way."""
        self._write(_healed(record_id, how))

    async def intend_soon(self, record: Record) -> None:
        """`intend` in a thread: an fsync may take long, and the event loop must go on. On the disk when it returns;
        when it is cancelled, the line may be there or not. Lines stand in the order in which they were asked for.

        Lines asked for while the disk is busy are written together, with one fsync (a group commit): 1,000 nodes cost
        tens of them. What goes wrong with it is raised for each of these lines, and none of them is there.
        """
        await self._soon(_intended(record))

    async def healed_soon(self, record_id: str, *, how: str = "") -> None:
        """`healed` in the same thread."""
        await self._soon(_healed(record_id, how))

    def close(self) -> None:
        """Close the file, let go of the lock and of the reserve; a line written later is an OSError. Safe to repeat."""
        self._thread.shutdown()
        with self._writing:
            if self._descriptor >= 0:
                self._reserve.unlink(missing_ok=True)
                os.close(self._descriptor)
                self._descriptor = -1  # the number may be another file's soon

    async def _soon(self, data: bytes) -> None:
        asked = _Asked(data)
        self._asked.append(asked)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, asked)

    def _commit(self, asked: _Asked) -> None:
        """In the ledger's only thread: write `asked`, and with it all that was asked for by now; or find that the lines
        before it took it along.
        """
        if not asked.is_settled:
            group = [self._asked.popleft() for _ in range(len(self._asked))]
            error: Exception | None = None
            try:
                self._write(b"".join(one.data for one in group))
            except Exception as raised:
                error = raised
            for one in group:
                one.is_settled, one.error = True, error
        if asked.error is not None:
            raise copy.copy(asked.error)  # each has its own traceback

    def _write(self, data: bytes) -> None:
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
        """All of these lines on the disk, or nothing of them: half a line would swallow the next one."""
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


def _intended(record: Record) -> bytes:
    return _line({"state": "intended", **asdict(record)})


def _healed(record_id: str, how: str) -> bytes:
    return _line({"state": "healed", "id": record_id, **({"how": how} if how else {})})


def _line(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, separators=(",", ":")) + "\n").encode()
