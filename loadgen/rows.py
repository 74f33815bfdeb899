"""The evidence: one fixed-size record per arrival, one file per load process. Standard library only.

A file is a 64-byte header and then 32-byte records, all little-endian:

======  ====  ============  =====================================================================================
offset  type  record field  meaning
======  ====  ============  =====================================================================================
0       i64   intended_ns   CLOCK_MONOTONIC when it was due; latency counts from here
8       i64   started_ns    CLOCK_MONOTONIC when sending began (connecting included); 0: it was never tried
16      i64   service_ns    from started_ns to the end of the answer, or to the failure
24      u16   status        HTTP status of the answer, 0 when there was none that could be parsed
26      u8    outcome       `Outcome`
27      u8    endpoint      which request of the run's; one URL a run, so always 0 in version 1
28      u32   arrival       its index in the schedule
======  ====  ============  =====================================================================================

CLOCK_MONOTONIC is one clock for all processes of a machine, so phases are joined afterwards, by whoever judges.
Records are in the order in which requests *ended*. A torn last record (the process was killed) is left out and its
length reported.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from harness.errors import TaintlabError, UsageError
from harness.files import create_private, read_regular, shown

MAGIC = b"TLABROWS"
VERSION = 1
HEADER = struct.Struct("<8sHHHHqqq24x")
RECORD = struct.Struct("<qqqHBBI")
MAX_ROWS = 20_000_000
"""Most rows of one run: 640 MB, about what a reader can still sort."""
_MAX_NS = 1 << 61
"""Two of them added still fit into 64 bits."""
_MAX_TIMEOUT_NS = 600 * 10**9
"""`loadgen.config` takes no longer one."""


class Outcome(IntEnum):
    """How an arrival ended. Everything but OK is bad, with the timeout as its latency."""

    OK = 0
    """Answered in full with a status that counts as success."""
    HTTP_ERROR = 1
    """Answered with another status; status 0: the answer was not HTTP."""
    TIMEOUT = 2
    """Not answered in full within the timeout."""
    CONNECT_REFUSED = 3
    """Nobody listens at the address."""
    CONNECT_ERROR = 4
    """No connection for another reason: no such name, no route, a failed TLS handshake."""
    RESET = 5
    """The connection was closed or reset before the answer was complete."""
    DROPPED = 6
    """Never sent, for want of room on our side (the in-flight cap, open files, local ports) or of time: the run was cut
    short while sending was late."""
    UNANSWERED = 7
    """Sent, and still waiting when the run was cut short."""

    @property
    def label(self) -> str:
        """As in summaries and reports, e.g. ``connect-refused``."""
        return self.name.lower().replace("_", "-")


class RowsUnreadable(TaintlabError):
    """A row file that is missing or foreign, or says what no load process writes; the message names the file."""


@dataclass(frozen=True, slots=True)
class RowHeader:
    """Says what a file's records mean. `start_ns`: CLOCK_MONOTONIC of the start of traffic (offset 0 of the schedule);
    `timeout_ns`: the latency of a bad row.
    """

    pid: int
    process: int
    processes: int
    start_ns: int
    timeout_ns: int

    def pack(self) -> bytes:
        """The 64 bytes at the start of a file."""
        return HEADER.pack(
            MAGIC, VERSION, RECORD.size, self.process, self.processes, self.pid, self.start_ns, self.timeout_ns
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """Records as columns of equal length. `outcome` holds one byte of `Outcome` per row; `timeouts_ns` and `latency_ns`
    are what they are in every row of a run. `torn_bytes`: left out at the ends of files.
    """

    intended_ns: array[int]
    started_ns: array[int]
    service_ns: array[int]
    status: array[int]
    outcome: bytes
    arrival: array[int]
    timeout_ns: int
    torn_bytes: int = 0

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.outcome)

    def latency_ns(self) -> array[int]:
        """Per row: from the intended start to the end of a good answer, the timeout for everything bad."""
        columns = zip(self.outcome, self.intended_ns, self.started_ns, self.service_ns, strict=True)
        timeout_ns = self.timeout_ns  # `bad` below: every outcome but OK is not zero
        return array("q", [timeout_ns if bad else started + service - due for bad, due, started, service in columns])

    def lateness_ns(self) -> array[int]:
        """Per row that was tried: how long after its intended start. The generator's own fault, never the service's."""
        pairs = zip(self.started_ns, self.intended_ns, strict=True)
        return array("q", [started - due for started, due in pairs if started])


class RowWriter:
    """Collects records in memory; `take` and `write` bring them to the file, the latter in any thread."""

    def __init__(self, path: Path) -> None:
        """Create an empty file for the owner alone. Raises FileExistsError: evidence is never overwritten."""
        self._file = os.fdopen(create_private(path), "wb", buffering=0)
        self._pending = bytearray()
        self.rows = 0
        """Records added so far."""

    def begin(self, header: RowHeader) -> None:
        """Write the header; before any record."""
        self.write(header.pack())

    def add(
        self, *, intended_ns: int, started_ns: int, service_ns: int, status: int, outcome: Outcome, arrival: int
    ) -> None:
        """One arrival's end."""
        self._pending += RECORD.pack(intended_ns, started_ns, service_ns, status, outcome, 0, arrival)
        self.rows += 1

    def take(self) -> bytearray:
        """What was added since the last call, in the thread that adds."""
        data, self._pending = self._pending, bytearray()
        return data

    def write(self, data: bytes | bytearray) -> None:
        """Append all of `data`. Raises OSError, e.g. on a full disk."""
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def close(self) -> None:
        """Write what is left, and see it onto the disk."""
        self.write(self.take())
        os.fsync(self._file.fileno())
        self._file.close()


def file_name(process: int) -> str:
    """The row file of process `process` in the load folder."""
    return f"rows-{process}.bin"


def read_file(path: Path, *, most: int = MAX_ROWS) -> Rows:
    """One process's rows, in the order in which they ended. Raises RowsUnreadable, also for more than `most`."""
    return _read(path, most=most)[1]


def _read(path: Path, *, most: int) -> tuple[RowHeader, Rows]:
    data = _data(path, most=most)
    header = _parse_header(data[: HEADER.size], path=path)
    torn = (len(data) - HEADER.size) % RECORD.size
    rows = _columns(data[HEADER.size : len(data) - torn], timeout_ns=header.timeout_ns, torn_bytes=torn)
    _require_sense(rows, path=path)
    return header, rows


def _data(path: Path, *, most: int) -> bytes:
    try:
        return read_regular(path, cap=HEADER.size + RECORD.size * (most + 1) - 1)  # a torn record more is no row
    except UsageError as error:
        raise RowsUnreadable(str(error)) from error


def _require_sense(rows: Rows, *, path: Path) -> None:
    """Sums of the columns must fit into 64 bits, and outcomes be known: whoever counts rows relies on it."""
    if max(rows.outcome, default=0) > max(Outcome):
        raise RowsUnreadable(f"{shown(path)}: a row with outcome {max(rows.outcome)}, which this version does not know")
    for name, column in (("intended", rows.intended_ns), ("started", rows.started_ns), ("service", rows.service_ns)):
        if column and not (min(column) >= 0 and max(column) < _MAX_NS):
            raise RowsUnreadable(f"{shown(path)}: a row whose {name}_ns no clock shows")


def read_folder(folder: Path, *, most: int | None = None) -> Rows:
    """All processes' rows, file after file. Raises RowsUnreadable when there is none, when files are of two runs, or
    when there are more than `most` rows (None: what any run may have).
    """
    left = MAX_ROWS if most is None else min(most, MAX_ROWS)
    paths = sorted(folder.glob("rows-*.bin")) if folder.is_dir() and not folder.is_symlink() else []
    if not paths:
        raise RowsUnreadable(
            f"{shown(folder)}: no rows-*.bin in it: the load process never started, or this is no load folder"
        )
    headers, parts = [], []
    for path in paths:
        header, rows = _read(path, most=left)
        headers.append(header)
        parts.append(rows)
        left -= len(rows)
    if len({(header.start_ns, header.timeout_ns, header.processes) for header in headers}) > 1:
        raise RowsUnreadable(f"{shown(folder)}: its row files belong to different runs")
    return parts[0] if len(parts) == 1 else _joined(parts)


def _parse_header(data: bytes, *, path: Path) -> RowHeader:
    if len(data) < HEADER.size:
        raise RowsUnreadable(f"{shown(path)}: shorter than its header")
    magic, version, size, process, processes, pid, start_ns, timeout_ns = HEADER.unpack(data)
    if magic != MAGIC:
        raise RowsUnreadable(f"{shown(path)}: not a row file")
    if version != VERSION or size != RECORD.size:
        raise RowsUnreadable(f"{shown(path)}: row format {version} ({size}-byte records), this reads format {VERSION}")
    if not 0 < timeout_ns <= _MAX_TIMEOUT_NS or not 0 <= start_ns < _MAX_NS:
        raise RowsUnreadable(f"{shown(path)}: a header that no load process writes")
    return RowHeader(pid=pid, process=process, processes=processes, start_ns=start_ns, timeout_ns=timeout_ns)


def _columns(data: bytes, *, timeout_ns: int, torn_bytes: int) -> Rows:
    """Strided slices of the whole file at once: a million rows take some 50 ms this way, unpacking each takes 1 s."""
    words = _from_little_endian("q", data)
    return Rows(
        intended_ns=words[0::4],
        started_ns=words[1::4],
        service_ns=words[2::4],
        status=_from_little_endian("H", data)[12::16],
        outcome=data[26::32],
        arrival=_from_little_endian("I", data)[7::8],
        timeout_ns=timeout_ns,
        torn_bytes=torn_bytes,
    )


def _from_little_endian(typecode: str, data: bytes) -> array[int]:
    column: array[int] = array(typecode, data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _joined(parts: Sequence[Rows]) -> Rows:
    def column(typecode: str, name: str) -> array[int]:
        whole: array[int] = array(typecode)
        for part in parts:
            whole.extend(getattr(part, name))
        return whole

    return Rows(
        intended_ns=column("q", "intended_ns"),
        started_ns=column("q", "started_ns"),
        service_ns=column("q", "service_ns"),
        status=column("H", "status"),
        outcome=b"".join(part.outcome for part in parts),
        arrival=column("I", "arrival"),
        timeout_ns=parts[0].timeout_ns,
        torn_bytes=sum(part.torn_bytes for part in parts),
    )
