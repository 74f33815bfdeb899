"""The ledger: whole lines on the disk or none, readable however damaged, locked while its run lives."""

from __future__ import annotations

import asyncio
import json
import os
import random
import stat
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.ledger import Ledger
from harness.cluster.ledger_read import is_held, outstanding, read_ledger
from harness.cluster.ledger_record import Header, Record, RecordKind
from harness.errors import UsageError

HEADER = Header("run-1", "exp", {"context": "kind", "kubeconfig": None})
N1 = Record("node:n1", RecordKind.NODE, "n1", "taint a", "uid-1", '{"version":1}')
N2 = Record("node:n2", RecordKind.NODE, "n2", "cordon")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is."""
    return tmp_path / "ledger.jsonl"


def written(path: Path) -> bytes:
    """A ledger of two records, the second healed."""
    ledger = Ledger(path, HEADER, records=2)
    ledger.intend(N1)
    ledger.intend(N2)
    ledger.healed("node:n2", how="gone with its node")
    ledger.close()
    return path.read_bytes()


def test_what_is_written_is_read(path: Path) -> None:
    written(path)
    read = read_ledger(path)
    assert read.header == HEADER
    assert read.records == ((N1, False), (N2, True))
    assert read.outstanding == outstanding(path) == [N1]
    assert read.problems == ()


def test_no_ledger_is_an_empty_one(path: Path) -> None:
    assert read_ledger(path).records == ()
    assert not is_held(path)


def test_a_later_line_of_the_same_id_replaces_and_opens_again(path: Path) -> None:
    ledger = Ledger(path, HEADER)
    again = Record(N1.id, N1.kind, N1.subject, "taint a, cordon", "uid-1", '{"version":1,"more":1}')
    ledger.intend(N1)
    ledger.healed(N1.id)
    ledger.intend(again)
    ledger.close()
    assert read_ledger(path).outstanding == [again]


def test_it_is_for_the_owner_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        ledger = Ledger(path, HEADER)
    finally:
        os.umask(old)
    reserve = path.with_name("ledger.jsonl.reserve")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(reserve.stat().st_mode) == 0o600
    ledger.close()
    assert not reserve.exists()


def test_every_line_and_the_folder_are_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", record)
    ledger = Ledger(path, HEADER)
    assert "folder" in synced
    for write in (lambda: ledger.intend(N1), lambda: ledger.healed(N1.id)):
        synced.clear()
        write()
        assert synced == ["file"]
    ledger.close()


def test_it_is_locked_while_its_run_lives(path: Path) -> None:
    ledger = Ledger(path, HEADER)
    assert is_held(path)
    with pytest.raises(UsageError, match="still alive"):
        Ledger(path)
    ledger.close()
    assert not is_held(path)
    Ledger(path).close()


def test_a_closed_ledger_writes_into_nobody_elses_file(path: Path, tmp_path: Path) -> None:
    ledger = Ledger(path, HEADER)
    ledger.close()
    ledger.close()
    other = (tmp_path / "other").open("wb")  # may well get the number of the closed file
    with pytest.raises(OSError, match="Bad file descriptor"):
        ledger.intend(N1)
    other.close()
    assert (tmp_path / "other").read_bytes() == b""


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("elsewhere"), Path.mkdir])
def test_what_is_no_regular_file_is_refused(path: Path, make: Callable[[Path], Any]) -> None:
    make(path)
    with pytest.raises((UsageError, OSError)):
        Ledger(path, HEADER)
    assert not (path.parent / "elsewhere").exists()
    if not path.is_dir():
        with pytest.raises(UsageError):
            read_ledger(path)


def test_cut_off_anywhere_it_reads_what_was_whole_and_takes_more(path: Path) -> None:
    """Power cut: every length of the file."""
    data = written(path)
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        whole = sum(end <= length for end in ends)
        read = read_ledger(path)
        assert (read.header is not None) == (whole >= 1)
        assert len(read.records) == max(0, min(2, whole - 1))
        assert read.problems == ()
        if length % 7 == 0:
            ledger = Ledger(path)
            ledger.intend(Record("node:n9", RecordKind.NODE, "n9", "late"))
            ledger.close()
            assert read_ledger(path).outstanding[0].subject == "n9"


def test_nul_bytes_swallow_no_line_and_are_told(path: Path) -> None:
    data = written(path)
    first, rest = data.split(b"\n", 1)
    path.write_bytes(first + b"\n" + b"\0" * 4096 + rest + b"\0" * 512)
    read = read_ledger(path)
    assert read.outstanding == [N1]
    assert len(read.problems) == 1
    assert "NUL bytes" in read.problems[0]
    Ledger(path).close()
    assert read_ledger(path).outstanding == [N1]


BAD_LINES = [
    b"no json",
    b"{",
    b"[]",
    b"null",
    b'{"state":"intended"}',
    b'{"state":"intended","id":"x","kind":"planet","subject":"s","what":"w"}',
    b'{"state":"dancing","id":"x"}',
    b'{"state":"intended","id":7}',
    b'{"state":"run","run":"r","experiment":"e","format":99}',
    b'{"state":"run","run":"r","experiment":"e","format":1e999}',
    b"[" * 100_000,
    b"\xff\xfe",
    b'{"state":"healed","id":"node:n1\\ud800"}',
    b"\x1b[2Jpwned",
]


@pytest.mark.parametrize("bad", BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_bad_line_is_told_and_stops_no_other(path: Path, bad: bytes) -> None:
    data = written(path)
    first, rest = data.split(b"\n", 1)
    path.write_bytes(first + b"\n" + bad + b"\n" + rest)
    read = read_ledger(path)
    assert read.header == HEADER
    assert read.outstanding == [N1]
    assert len(read.problems) == 1
    assert f"{path}:2: " in read.problems[0]
    assert read.problems[0].isprintable()


def test_mutated_ledgers_raise_nothing(path: Path) -> None:
    data = written(path)
    chance = random.Random(2)
    for _ in range(2000):
        mutated = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        path.write_bytes(bytes(mutated))
        read_ledger(path)


def full_disk(monkeypatch: pytest.MonkeyPatch, path: Path, capacity: Callable[[], int]) -> None:
    """A file system of `capacity()` bytes for the ledger and its reserve."""
    write, reserve = os.write, path.with_name(path.name + ".reserve")

    def limited(descriptor: int, data: bytes) -> int:
        used = os.fstat(descriptor).st_size + (reserve.stat().st_size if reserve.exists() else 0)
        free = capacity() - used
        if free <= 0:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:free])

    monkeypatch.setattr("os.write", limited)


def test_a_full_disk_is_what_the_reserve_is_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path, HEADER, records=100)
    reserve = path.with_name("ledger.jsonl.reserve")
    room = path.stat().st_size + reserve.stat().st_size + 10  # others filled the disk: not one line fits
    full_disk(monkeypatch, path, lambda: room)
    for i in range(100):
        ledger.intend(Record(f"node:n{i}", RecordKind.NODE, f"n{i}", "w" * 100, "u" * 36, "c" * 1000))
    assert not reserve.exists()
    for i in range(100):
        ledger.healed(f"node:n{i}")
    ledger.close()
    read = read_ledger(path)
    assert len(read.records) == 100
    assert read.outstanding == []
    assert read.problems == ()


@pytest.mark.parametrize("free", range(0, 140, 3))
def test_beyond_the_reserve_a_line_is_whole_or_not_there(
    path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    ledger = Ledger(path, HEADER)
    ledger.intend(N1)
    path.with_name("ledger.jsonl.reserve").unlink()
    room = path.stat().st_size + free
    with monkeypatch.context() as patch:
        full_disk(patch, path, lambda: room)
        try:
            ledger.intend(N2)
            fitted = True
        except OSError:
            fitted = False
    ledger.healed(N1.id)  # there is room again
    ledger.close()
    read = read_ledger(path)
    assert read.problems == ()
    assert read.records == (((N1, True), (N2, False)) if fitted else ((N1, True),))


def test_a_sync_that_fails_is_no_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path, HEADER)

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", broken)
        with pytest.raises(OSError, match="Input/output"):
            ledger.intend(N1)
    ledger.intend(N2)
    ledger.close()
    assert [record for record, _ in read_ledger(path).records] == [N2]


def test_no_space_for_the_reserve_is_told_before_anything_is_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", none)
    with pytest.raises(OSError, match="No space"):
        Ledger(path, HEADER)
    assert not path.with_name("ledger.jsonl.reserve").exists()
    assert not is_held(path)


def test_lines_of_many_threads_do_not_mix(path: Path) -> None:
    ledger = Ledger(path, HEADER)

    def many(thread: int) -> None:
        for i in range(20):
            ledger.intend(Record(f"{thread}:{i}", RecordKind.NODE, "n", "w" * 5000))

    threads = [threading.Thread(target=many, args=(thread,)) for thread in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    read = read_ledger(path)
    assert len(read.records) == 100
    assert read.problems == ()


def test_ledgers_of_older_releases_are_read(path: Path) -> None:
    old = {"state": "intended", "id": "node:n1", "kind": "node", "subject": "n1", "what": "taint a"}
    path.write_text(json.dumps(old) + "\n")
    assert read_ledger(path).outstanding == [Record("node:n1", RecordKind.NODE, "n1", "taint a")]
    assert read_ledger(path).header is None


# --- lines that wait for one disk ---


class SlowDisk:
    """Each fsync waits until it is let through. `lines`: how many whole lines the file had at each."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, *, failing: int | None = None) -> None:
        self.lines: list[int] = []
        self._path, self._failing = path, failing
        self._begun, self._through = threading.Semaphore(0), threading.Semaphore(0)
        monkeypatch.setattr("os.fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        self.lines.append(self._path.read_bytes().count(b"\n"))
        self._begun.release()
        assert self._through.acquire(timeout=30)
        if len(self.lines) - 1 == self._failing:
            raise OSError(5, "Input/output error")

    async def busy(self) -> None:
        """Until the next fsync is under way."""
        assert await asyncio.to_thread(self._begun.acquire, timeout=30)

    def let_through(self) -> None:
        self._through.release()


def numbered(i: int) -> Record:
    return Record(f"node:n{i}", RecordKind.NODE, f"n{i}", "taint a")


async def asked(ledger: Ledger, numbers: range) -> list[asyncio.Task[None]]:
    """Tasks that wait for these records, asked for in this order."""
    tasks = [asyncio.create_task(ledger.intend_soon(numbered(i))) for i in numbers]
    await asyncio.sleep(0)
    return tasks


async def settled(work: Awaitable[None]) -> str:
    """How it ended."""
    try:
        await work
    except (OSError, asyncio.CancelledError) as error:
        return type(error).__name__
    return "on the disk"


def test_lines_asked_for_during_an_fsync_share_the_next_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path, HEADER)
    disk = SlowDisk(path, monkeypatch)

    async def play() -> None:
        first = await asked(ledger, range(1))
        await disk.busy()
        others = await asked(ledger, range(1, 50))
        healed = asyncio.create_task(ledger.healed_soon("node:n7", how="gone"))
        await asyncio.sleep(0)
        disk.let_through()
        await asyncio.gather(*first)
        await disk.busy()
        assert not any(task.done() for task in (*others, healed))  # their lines are written, and not on the disk yet
        disk.let_through()
        await asyncio.gather(*others, healed)

    asyncio.run(play())
    ledger.close()
    assert disk.lines == [2, 52]
    assert read_ledger(path).records == tuple((numbered(i), i == 7) for i in range(50))


def test_a_failed_fsync_reaches_all_who_share_it_and_nobody_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path, HEADER)
    disk = SlowDisk(path, monkeypatch, failing=1)

    async def play() -> tuple[list[str], list[str], list[str]]:
        first = await asked(ledger, range(1))
        await disk.busy()
        others = await asked(ledger, range(1, 20))
        for _ in range(3):
            disk.let_through()
        firsts = [await settled(task) for task in first]
        theirs = [await settled(task) for task in others]
        return firsts, theirs, [await settled(task) for task in await asked(ledger, range(20, 21))]

    assert asyncio.run(play()) == (["on the disk"], ["OSError"] * 19, ["on the disk"])
    ledger.close()
    assert read_ledger(path).records == ((numbered(0), False), (numbered(20), False))
    assert read_ledger(path).problems == ()


@pytest.mark.parametrize("gone", [0, 3, 9])
def test_one_who_gives_up_takes_no_other_line_along(path: Path, monkeypatch: pytest.MonkeyPatch, gone: int) -> None:
    ledger = Ledger(path, HEADER)
    disk = SlowDisk(path, monkeypatch)

    async def play() -> list[str]:
        first = await asked(ledger, range(100, 101))
        await disk.busy()
        tasks = await asked(ledger, range(10))
        tasks[gone].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[gone]
        disk.let_through()
        disk.let_through()
        return [await settled(task) for task in (*first, *tasks)]

    ends = asyncio.run(play())
    ledger.close()
    assert ends.count("CancelledError") == 1
    assert ends.count("on the disk") == 10
    there = [record.subject for record, _ in read_ledger(path).records]
    assert [one for one in there if one != f"n{gone}"] == ["n100", *(f"n{i}" for i in range(10) if i != gone)]


def test_the_reserve_is_for_many_lines_at_once_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path, HEADER, records=100)
    reserve = path.with_name("ledger.jsonl.reserve")
    room = path.stat().st_size + reserve.stat().st_size + 10
    full_disk(monkeypatch, path, lambda: room)

    async def play() -> None:
        await asyncio.gather(*await asked(ledger, range(100)))

    asyncio.run(play())
    assert not reserve.exists()
    ledger.close()
    assert [record.subject for record, _ in read_ledger(path).records] == [f"n{i}" for i in range(100)]


def test_a_closed_ledger_takes_no_line_from_a_waiting_task(path: Path) -> None:
    ledger = Ledger(path, HEADER)
    ledger.close()
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="shutdown"):
        asyncio.run(ledger.intend_soon(N1))
    assert path.read_bytes() == before
