"""The record of a run: what is written comes back, what was torn is told, stories follow from facts."""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import stat
import threading
import time
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.clock import Instant
from harness.errors import InvalidFile
from harness.history.query import Window, gaps, merged, phase_windows, pod_stories, step_records, unseen
from harness.history.read import History, read_history
from harness.history.record import Recorder
from harness.model import events
from harness.model.experiment import PhaseName

S = 1_000_000_000


class HandClock:
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        self.t_ns = 5 * S

    def now(self) -> Instant:
        """Where it stands."""
        return Instant(mono_ns=self.t_ns, wall_ns=1_700_000_000 * S + self.t_ns)


class Writer:
    """Writes facts at given seconds of the run and reads them back from disk."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "history.jsonl"
        self.clock = HandClock()
        self.recorder = Recorder(self.path, self.clock, run_id="r1")

    def at(self, second: float, *facts: events.Fact) -> Writer:
        """Write facts at `second`."""
        self.clock.t_ns = 5 * S + int(second * S)
        for fact in facts:
            self.recorder.record(fact, source="test")
        return self

    def read(self) -> History:
        """Close and read."""
        self.recorder.close()
        return read_history(self.path)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


@contextmanager
def tiny_files(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes: writing more is an OSError (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def example(kind: type) -> events.Fact:
    """A fact of `kind` with a distinct value in each field."""
    hints = typing.get_type_hints(kind)
    values: dict[str, object] = {}
    for number, field in enumerate(dataclasses.fields(kind)):
        hint = str(hints[field.name])
        if "tuple[str" in hint:
            values[field.name] = (f"text {number}",)
        elif "tuple[tuple" in hint:
            values[field.name] = ((number + 0.5, 1.0),)
        elif "tuple" in hint:
            values[field.name] = ({"key": "spot", "effect": "NoExecute", "n": number},)
        elif "Mapping" in hint:
            values[field.name] = {"k": str(number)}
        elif "bool" in hint:
            values[field.name] = True
        elif "float" in hint:
            values[field.name] = number + 0.5
        elif "int" in hint and "str" not in hint:
            values[field.name] = number
        else:
            values[field.name] = f"text {number} \u2028 \n"
    return typing.cast(events.Fact, kind(**values))


@pytest.mark.parametrize("kind", typing.get_args(events.Fact), ids=lambda kind: kind.__name__)
def test_every_kind_of_fact_comes_back_as_it_was(kind: type, writer: Writer) -> None:
    fact = example(kind)
    entry = writer.at(1.5, fact).read().entries[-1]
    assert entry.fact == fact
    assert (entry.t_ns, entry.source) == (1_500_000_000, "test")


def test_a_torn_last_line_is_left_out_and_told(writer: Writer) -> None:
    writer.at(1, events.RunEnded("completed"))
    writer.recorder.close()
    whole = writer.path.read_bytes()
    for cut in range(1, len(whole.splitlines()[-1])):
        writer.path.write_bytes(whole[:-cut])
        history = read_history(writer.path)
        assert history.torn
        assert len(history.entries) == 1


def test_a_broken_line_in_the_middle_names_file_and_line(writer: Writer) -> None:
    writer.at(1, events.RunEnded("completed"))
    writer.recorder.close()
    lines = writer.path.read_text().splitlines()
    writer.path.write_text("\n".join([lines[0], "{", lines[1], ""]))
    with pytest.raises(InvalidFile, match=r"history\.jsonl:2:1: not a fact"):
        read_history(writer.path)


def test_a_recorder_never_overwrites(writer: Writer) -> None:
    writer.recorder.close()
    with pytest.raises(FileExistsError):
        Recorder(writer.path, HandClock(), run_id="r2")


def test_the_history_is_for_its_owner_alone(writer: Writer) -> None:
    writer.recorder.close()
    assert stat.S_IMODE(writer.path.stat().st_mode) == 0o600


def test_no_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        Recorder(tmp_path / "history.jsonl", HandClock(), run_id="r")
    assert not (tmp_path / "victim").exists()


def test_a_full_disk_stops_nothing_but_the_record(writer: Writer) -> None:
    with tiny_files(1000):
        ids = [writer.recorder.record(events.StepDone(f"step-{number}"), source="test") for number in range(50)]
        writer.recorder.close()
    assert ids == list(range(1, 51))
    assert isinstance(writer.recorder.failure, OSError)
    history = read_history(writer.path)
    assert [entry.id for entry in history.entries] == list(range(len(history.entries)))
    assert len(history.entries) < 50


def test_a_disk_that_hangs_holds_up_neither_facts_nor_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda descriptor: healthy.wait(60))
    recorder = Recorder(tmp_path / "history.jsonl", HandClock(), run_id="r")
    began = time.monotonic()
    for number in range(2000):
        recorder.record(events.StepDone(f"step-{number}"), source="test")
    recorder.close(timeout_s=0.2)
    assert time.monotonic() - began < 5
    assert isinstance(recorder.failure, TimeoutError)
    healthy.set()
    recorder.close()
    assert len(read_history(tmp_path / "history.jsonl").entries) == 2001


def test_facts_after_the_end_are_lost_and_nobody_minds(writer: Writer) -> None:
    writer.recorder.close()
    writer.recorder.record(events.StepDone("late"), source="test")
    writer.recorder.close()
    assert len(read_history(writer.path).entries) == 1


def test_foreign_text_that_is_no_text_can_be_read_again(writer: Writer) -> None:
    history = writer.at(1, events.StepRefused("a", "half a pair: \ud800")).read()
    assert history.entries[-1].fact == events.StepRefused("a", "half a pair: \ufffd")


def test_a_loss_is_open_until_the_watch_is_regained(writer: Writer) -> None:
    writer.at(4, events.WatchLost("pods", 3 * S, "503")).at(5, events.WatchLost("nodes", 4 * S, "503"))
    writer.at(6, events.WatchGap("pods", 3 * S, "503", 7 * S))
    history = writer.at(9, events.WatchGap(events.ALL_WATCHES, 8 * S, "stood still", 10 * S)).read()

    def windows(found: list[Window]) -> list[tuple[float, float]]:
        return [(window.start_ns / S, window.end_ns / S) for window in found]

    assert windows(gaps(history, "pods")) == [(3, 7), (8, 10)]
    assert windows(gaps(history, "nodes")) == [(8, 10), (4, 9)]
    assert windows(unseen(history, "pods")) == [(3, 7)]
    assert windows(merged(gaps(history, "nodes"))) == [(4, 10)]


def test_deeds_are_paired_by_step_and_keep_their_three_outcomes(writer: Writer) -> None:
    writer.at(1, events.StepInvoked("a", "inject", "n1"), events.StepInvoked("b", "inject", "n2"))
    writer.at(2, events.StepRefused("b", "403"), events.StepInvoked("c", "heal"))
    writer.at(3, events.StepDone("a"), events.StepIndeterminate("c", "no answer"), events.StepInvoked("d", "heal"))
    steps = step_records(writer.read())
    found = {d.step: (d.invoked_ns // S, d.ended_ns and d.ended_ns // S, d.outcome) for d in steps}
    assert found == {
        "a": (1, 3, "done"),
        "b": (1, 2, "refused"),
        "c": (2, 3, "indeterminate"),
        "d": (3, None, "unfinished"),
    }


def test_phases_end_where_the_next_begins_and_the_last_where_the_load_stops(writer: Writer) -> None:
    for second, name in ((1, "warmup"), (3, "baseline"), (6, "fault"), (10, "recovery")):
        writer.at(second, events.StepInvoked(f"phase-{name}", "phase", name), events.StepDone(f"phase-{name}"))
    writer.at(15, events.StepInvoked("stop-load", "stop-load"), events.StepDone("stop-load"))
    writer.at(20, events.RunEnded("completed"))
    windows = {name: (w.start_ns // S, w.end_ns // S) for name, w in phase_windows(writer.read()).items()}
    assert windows == {
        PhaseName.WARMUP: (1, 3),
        PhaseName.BASELINE: (3, 6),
        PhaseName.FAULT: (6, 10),
        PhaseName.RECOVERY: (10, 15),
    }


def pod(change: str, **fields: object) -> events.PodSeen:
    """A sighting of pod default/p, uid u."""
    values: dict[str, object] = {
        "change": change,
        "namespace": "default",
        "name": "p",
        "uid": "u",
        "node": "n1",
        "phase": "Running",
        "ready": True,
        "deletion_timestamp": None,
        "grace_s": None,
        "disruption_reason": None,
        "tolerations": (),
        "owner_kind": "ReplicaSet",
        "owner_name": "web",
        "owner_uid": "o",
        "resource_version": "1",
    }
    return events.PodSeen(**{**values, **fields})  # type: ignore[arg-type]


def test_the_story_of_a_pod_that_is_evicted(writer: Writer) -> None:
    writer.at(0, pod("ADDED", node="", ready=False))
    writer.at(1, pod("MODIFIED", ready=False)).at(2, pod("MODIFIED"))
    writer.at(5, pod("MODIFIED", disruption_reason="DeletionByTaintManager"))
    writer.at(6, pod("MODIFIED", deletion_timestamp="2026-01-01T00:00:00Z"))
    writer.at(7, pod("MODIFIED", deletion_timestamp="2026-01-01T00:00:00Z", ready=False))
    story = pod_stories(writer.at(8, pod("DELETED")).read())["u"]
    seconds = (story.scheduled_ns, story.first_ready_ns, story.deleting_ns, story.gone_ns)
    assert [None if s is None else s // S for s in seconds] == [1, 2, 6, 8]
    assert story.disruption_reason == "DeletionByTaintManager"
    assert not story.blind


@pytest.mark.parametrize("change", ["LISTED", "VANISHED"])
def test_a_deletion_learnt_from_a_list_is_marked_blind(change: str, writer: Writer) -> None:
    writer.at(0, pod("LISTED")).at(4, pod(change, deletion_timestamp="2026-01-01T00:00:00Z"))
    history = writer.at(4, events.WatchGap("pods", 2 * S, "connection reset")).read()
    story = pod_stories(history)["u"]
    assert (story.deleting_ns, story.blind) == (4 * S, True)
    assert [(gap.start_ns, gap.end_ns) for gap in gaps(history, "pods")] == [(2 * S, 4 * S)]
