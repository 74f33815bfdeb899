"""Rows and what is counted from them; the live view and its merging."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from loadgen.buckets import fill, percentile_ms, total
from loadgen.protocol import (
    EndReason,
    Failed,
    Message,
    Ready,
    Second,
    Summary,
    decode,
    encode,
    merge_seconds,
    merge_summaries,
)
from loadgen.recorder import Recorder
from loadgen.rows import RECORD, Outcome, RowHeader, Rows, RowsUnreadable, RowWriter, file_name, read_file, read_folder
from loadgen.stats import Window, nearest_rank, per_second, per_window, whole, wilson

MS = 1_000_000
S = 1_000_000_000
TIMEOUT_NS = 2 * S
HEADER = RowHeader(pid=4242, process=0, processes=1, start_ns=10 * S, timeout_ns=TIMEOUT_NS)

Row = tuple[int, int, int, Outcome]
"""Intended start, lateness and service time in ms after HEADER.start_ns; a negative lateness: never sent."""


def write_rows(path: Path, rows: Sequence[Row], header: RowHeader = HEADER) -> None:
    writer = RowWriter(path)
    writer.begin(header)
    for arrival, (due_ms, late_ms, service_ms, outcome) in enumerate(rows):
        due_ns = header.start_ns + due_ms * MS
        writer.add(
            intended_ns=due_ns,
            started_ns=due_ns + late_ms * MS if late_ms >= 0 else 0,
            service_ns=service_ms * MS,
            status=200 if outcome is Outcome.OK else 0,
            outcome=outcome,
            arrival=header.process + arrival * header.processes,
        )
    writer.close()


def rows_of(tmp_path: Path, rows: Sequence[Row]) -> Rows:
    write_rows(tmp_path / file_name(0), rows)
    return read_folder(tmp_path)


SOME: list[Row] = [
    (0, 0, 5, Outcome.OK),
    (1500, 1, 700, Outcome.RESET),
    (900, 2, 30, Outcome.OK),
    (2500, -1, 0, Outcome.DROPPED),
]


def test_rows_are_read_as_written(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, SOME)
    assert list(rows.intended_ns) == [10 * S, 11_500 * MS, 10_900 * MS, 12_500 * MS]
    assert list(rows.started_ns) == [10 * S, 11_501 * MS, 10_902 * MS, 0]
    assert list(rows.service_ns) == [5 * MS, 700 * MS, 30 * MS, 0]
    assert [Outcome(value) for value in rows.outcome] == [Outcome.OK, Outcome.RESET, Outcome.OK, Outcome.DROPPED]
    assert list(rows.status) == [200, 0, 200, 0]
    assert list(rows.arrival) == [0, 1, 2, 3]
    assert list(rows.latency_ns()) == [5 * MS, TIMEOUT_NS, 32 * MS, TIMEOUT_NS]
    assert list(rows.lateness_ns()) == [0, MS, 2 * MS]
    assert rows.torn_bytes == 0


def test_a_torn_last_record_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / file_name(0)
    write_rows(path, SOME)
    path.write_bytes(path.read_bytes()[:-5])
    rows = read_file(path)
    assert len(rows) == 3
    assert rows.torn_bytes == RECORD.size - 5


def test_the_rows_of_all_processes_are_one_run(tmp_path: Path) -> None:
    for process in range(3):
        header = replace(HEADER, process=process, processes=3)
        write_rows(tmp_path / file_name(process), SOME[: process + 1], header)
    assert sorted(read_folder(tmp_path).arrival) == [0, 1, 2, 4, 5, 8]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no rows-"),
        ({"rows-0.bin": b""}, "shorter than its header"),
        ({"rows-0.bin": b"x" * 64}, "not a row file"),
        ({"rows-0.bin": HEADER.pack().replace(b"TLABROWS\1", b"TLABROWS\7")}, "row format 7"),
        ({"rows-0.bin": HEADER.pack(), "rows-1.bin": replace(HEADER, start_ns=1).pack()}, "different runs"),
    ],
    ids=["none", "empty", "foreign", "another-version", "two-runs"],
)
def test_what_is_no_row_file_is_refused(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(RowsUnreadable, match=message):
        read_folder(tmp_path)


def test_evidence_is_never_overwritten(tmp_path: Path) -> None:
    write_rows(tmp_path / file_name(0), SOME)
    with pytest.raises(FileExistsError):
        RowWriter(tmp_path / file_name(0))


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(100, 0.99, 99), (100, 0.5, 50), (101, 0.5, 51), (1, 0.99, 1), (1000, 0.999, 999), (10, 1.0, 10), (10, 0.0, 1)],
)
def test_percentiles_are_nearest_rank(count: int, share: float, expected: int) -> None:
    assert nearest_rank(range(1, count + 1), share) == expected


def test_no_values_have_no_percentile() -> None:
    assert nearest_rank([], 0.99) is None
    assert percentile_ms({}, 0.99) is None


@pytest.mark.parametrize(
    ("bad", "count", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (0, 100, 0.0, 0.03699),
        (1, 10, 0.01788, 0.40415),  # Newcombe 1998 gives 0.0179 to 0.4042
        (81, 263, 0.25530, 0.36628),  # Newcombe 1998, table I: 0.2553 to 0.3662
        (10, 10, 0.72247, 1.0),
    ],
)
def test_wilson_intervals(bad: int, count: int, low: float, high: float) -> None:
    interval = wilson(bad, count)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


def test_rows_belong_to_the_window_of_their_intended_start(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, [*SOME, (999, 1, 4000, Outcome.OK)])  # due in the first second, answered in the fifth
    first, second, third = per_second(rows, start_ns=10 * S, end_ns=12_501 * MS)
    assert [window.due for window in (first, second, third)] == [3, 1, 1]
    assert first.max_ns == first.ok_p99_ns == 4001 * MS
    assert first.service_p99_ns == 4000 * MS
    assert second.outcomes == {Outcome.RESET: 1}
    assert second.bad_ratio == 1.0
    assert second.p50_ns == TIMEOUT_NS
    assert second.ok_p99_ns is None
    assert (third.due, third.sent, third.bad) == (1, 0, 1)
    assert third.lateness_p99_ns is None


def test_windows_may_overlap_and_be_empty(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, SOME)
    windows = [Window("all", 0, 99 * S), Window("edge", 10 * S, 10_900 * MS), Window("none", 50 * S, 60 * S)]
    every, edge, none = per_window(rows, windows)
    assert (every.due, edge.due, none.due) == (4, 1, 0)
    assert none.bad_ratio is None
    assert none.p99_ns is None
    assert whole(rows).due == 4


def test_buckets_are_within_half_a_percent_and_add_up() -> None:
    draw = random.Random(1)
    values_ns = [round(math.exp(draw.gauss(16, 1.5))) for _ in range(5000)]
    buckets = total([fill(values_ns[:1000]), fill(values_ns[1000:])])
    assert buckets == fill(values_ns)
    for share in (0.5, 0.9, 0.99, 0.999):
        exact = nearest_rank(sorted(values_ns), share)
        assert exact is not None
        assert percentile_ms(buckets, share) == pytest.approx(exact / 1e6, rel=0.0051)


def recorder(tmp_path: Path, *, threshold_ns: int | None = None) -> tuple[Recorder, RowWriter]:
    writer = RowWriter(tmp_path / file_name(0))
    writer.begin(HEADER)
    return Recorder(writer, timeout_ns=TIMEOUT_NS, threshold_ns=threshold_ns), writer


def tell(record: Recorder, at_ns: int, *, due: int = 0) -> Second:
    return record.second(at_ns=at_ns, elapsed_ns=S, due=due, cpu_ns=S // 4)


def test_a_slow_arrival_counts_once_when_it_crosses_the_threshold(tmp_path: Path) -> None:
    record, writer = recorder(tmp_path, threshold_ns=100 * MS)
    record.open(0, intended_ns=0)
    record.started(0, at_ns=MS)
    record.open(1, intended_ns=950 * MS)
    record.started(1, at_ns=950 * MS)
    first = tell(record, S, due=2)
    assert (first.sent, first.done, first.bad, first.slo_bad, first.in_flight) == (2, 0, 0, 1, 2)
    assert first.oldest_ms == 1000
    record.close(0, at_ns=1200 * MS, outcome=Outcome.TIMEOUT, status=0)
    record.close(1, at_ns=1300 * MS, outcome=Outcome.OK, status=200)
    second = tell(record, 2 * S)
    assert (second.done, second.bad, second.slo_bad, second.in_flight, second.oldest_ms) == (2, 1, 1, 0, None)
    assert tell(record, 3 * S).slo_bad == 0
    writer.close()


def test_every_arrival_has_one_row_however_it_ends(tmp_path: Path) -> None:
    record, writer = recorder(tmp_path)
    for arrival in range(3):
        record.open(arrival, intended_ns=arrival)
    record.started(0, at_ns=10)
    record.started(1, at_ns=11)
    record.close(1, at_ns=20, outcome=Outcome.OK, status=200)
    record.drop(3, intended_ns=3, at_ns=25)
    record.abandon(at_ns=30)
    record.close(0, at_ns=40, outcome=Outcome.OK, status=200)  # too late: it was abandoned
    writer.close()
    rows = read_folder(tmp_path)
    ends = dict(zip(rows.arrival, map(Outcome, rows.outcome), strict=True))
    assert ends == {0: Outcome.UNANSWERED, 1: Outcome.OK, 2: Outcome.DROPPED, 3: Outcome.DROPPED}
    told = tell(record, S)
    assert (told.sent, told.done, told.bad, told.dropped) == (2, 4, 3, 2)
    assert record.in_flight_max == 3


SECOND = Second(
    number=3,
    t_ns=5 * S,
    due=10,
    sent=10,
    done=9,
    bad=1,
    slo_bad=2,
    dropped=0,
    p50_ms=1.0,
    p99_ms=2.0,
    in_flight=1,
    oldest_ms=4.0,
    lateness_p99_ms=0.1,
    cpu=0.2,
    latency_buckets=fill([MS] * 9),
    lateness_buckets=fill([MS // 10] * 10),
)
SUMMARY = Summary(
    name="x",
    processes=2,
    reason=EndReason.DURATION,
    started_ns=1,
    stopped_ns=2,
    ended_ns=3,
    scheduled=10,
    due=9,
    sent=8,
    dropped=1,
    bad=1,
    outcomes={"ok": 8, "dropped": 1},
    rows={"rows-0.bin": 9},
    lateness_p50_ms=0.1,
    lateness_p99_ms=0.1,
    lateness_max_ms=0.1,
    in_flight_max=4,
    in_flight_cap=500,
    cpu=0.1,
    cpu_max=0.2,
    schedule="ab",
    versions={"locust": "2"},
    lateness_buckets=fill([MS // 10] * 8),
)


@pytest.mark.parametrize(
    "message",
    [
        Ready(process=0, pid=1, t_ns=2, planned=3, in_flight_cap=4, schedule="ab", versions={"locust": "2"}),
        SECOND,
        SUMMARY,
        Failed(reason="why"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_survives_its_line(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize(
    "line", ["", "[]", "{}", '{"type": "secnd"}', '{"type": "failed"}', '{"type": "failed", "a": 1}']
)
def test_what_is_no_message_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode(line)


def test_merged_percentiles_come_from_merged_counts_and_not_from_an_average() -> None:
    slow = replace(
        SECOND, latency_buckets=fill([100 * MS]), cpu=0.9, oldest_ms=None, t_ns=5 * S + 1, lateness_buckets={}
    )
    merged = merge_seconds([SECOND, slow])
    assert merged.p50_ms == pytest.approx(1.0, rel=0.005)
    assert merged.p99_ms == pytest.approx(100.0, rel=0.005)
    assert (merged.due, merged.done, merged.in_flight, merged.t_ns) == (20, 18, 2, 5 * S + 1)
    assert (merged.cpu, merged.oldest_ms) == (0.9, 4.0)


def test_merged_summaries_add_up_and_keep_every_file() -> None:
    other = replace(SUMMARY, reason=EndReason.STOP, rows={"rows-1.bin": 9}, lateness_max_ms=7.0, cpu=0.5, ended_ns=9)
    merged = merge_summaries([SUMMARY, other])
    assert (merged.scheduled, merged.due, merged.sent, merged.dropped, merged.bad) == (20, 18, 16, 2, 2)
    assert merged.rows == {"rows-0.bin": 9, "rows-1.bin": 9}
    assert merged.outcomes == {"ok": 16, "dropped": 2}
    assert (merged.reason, merged.lateness_max_ms, merged.cpu, merged.ended_ns) == (EndReason.STOP, 7.0, 0.5, 9)
