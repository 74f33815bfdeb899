"""Reading an undo record from disk, however damaged, and whether its run is alive."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.cluster.ledger_record import FORMAT, Header, Record, RecordKind
from harness.errors import UsageError
from harness.files import MIB, read_regular, shown
from harness.terminal import one_line

_CAP = 64 * MIB
_MOST_LINES, _MOST_PROBLEMS = 200_000, 100


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
            if line.format > FORMAT:
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
