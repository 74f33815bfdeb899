"""Run folders of strangers: what they hold is data, damage is one message with its place, and never a PASS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import InvalidFile, UsageError
from harness.files import MIB, make_private_folder, read_regular, whole_file, write_whole
from harness.history.folder import RunFolder
from harness.history.read import read_history
from harness.history.seal import damage, seal
from loadgen.rows import HEADER, RECORD, RowsUnreadable, read_folder
from tests.fuzz.folders import MAX_MB, fuzz
from tests.pure.run_folders import write_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run that can be judged."""
    return write_run(tmp_path / "runs" / "made" / "run")


def judged(folder: RunFolder) -> tuple[int, dict[str, bool]]:
    """The exit code of ``check``, and whether each gate holds."""
    code = main(["check", str(folder.path)])
    gates = json.loads(folder.result.read_text())["gates"] if folder.result.exists() else []
    return code, {gate["id"]: gate["ok"] for gate in gates}


def change(path: Path, edit: Callable[[dict], None]) -> None:
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


def lines(folder: RunFolder, edit: Callable[[list[dict]], None]) -> None:
    facts = [json.loads(line) for line in folder.history.read_text().splitlines()]
    edit(facts)
    folder.history.write_text("".join(json.dumps(fact) + "\n" for fact in facts))


# Digests.


def test_a_whole_folder_holds_the_gate(run: RunFolder) -> None:
    assert damage(run) == ()
    assert judged(run)[1]["evidence-whole"]


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda f: os.truncate(f.load / "rows-0.bin", HEADER.size + RECORD.size * 700), "rows-0.bin has"),
        (
            lambda f: (f.load / "rows-1.bin").write_bytes((f.load / "rows-0.bin").read_bytes()),
            "rows-1.bin was not there",
        ),
        (lambda f: (f.load / "config.json").unlink(), "config.json is missing"),
        (lambda f: f.world.write_text("{}"), "world.json has"),
        (lambda f: f.evidence.unlink(), "evidence.json is missing"),
        (lambda f: f.evidence.write_text("{"), "evidence.json cannot be read"),
        (lambda f: change(f.evidence, lambda value: value.update(format=9)), "format 9"),
        (lambda f: lines(f, lambda facts: facts.pop(2)), "history.jsonl has"),
        (lambda f: change(f.plan, lambda value: value.update(targets=["nX"])), "plan.json"),
    ],
    ids=["rows", "more-rows", "file", "world", "no-seal", "bad-seal", "newer-seal", "line", "same-size"],
)
def test_damage_is_a_failed_gate(run: RunFolder, harm: Callable[[RunFolder], object], says: str) -> None:
    harm(run)
    assert any(says in one for one in damage(run))
    code, gates = judged(run)
    assert code == 3
    assert not gates["evidence-whole"]
    reason = json.loads(run.result.read_text())["reason"]
    assert "evidence-whole" in reason


def test_what_is_written_when_judging_is_not_sealed(run: RunFolder) -> None:
    before = judged(run)
    assert judged(run) == before
    assert main(["report", str(run.path)]) == 0
    assert damage(run) == ()


def test_a_killed_run_has_no_seal_and_is_invalid_for_that(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", sealed=False)
    lines(folder, lambda facts: facts.pop())
    code, gates = judged(folder)
    assert code == 3
    assert gates["run-ended"] is False
    assert "evidence-whole" not in gates


# Formats.


def test_a_history_of_the_first_format_is_not_judged_but_rendered(
    run: RunFolder, capsys: pytest.CaptureFixture
) -> None:
    judged(run)
    lines(run, lambda facts: facts[0].pop("format"))
    assert main(["check", str(run.path)]) == 2
    assert "older taintlab" in capsys.readouterr().err
    assert main(["report", str(run.path)]) == 0


# Readers.


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not JSON"),
        (b'{"id": NaN}', "not JSON"),
        (b'{"id": 1e999}', "not JSON"),
        (b'{"id": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b'{"id": 9999999999999999999}', "64 bits"),
        (b'{"id": "\\ud800"}', "not JSON"),
        (b'"\xff"', "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"id":1,"t_ns":30000000000000000,"wall":"","source":"","kind":"RunEnded","state":""}', "no run lasts"),
        (b'{"id":1,"t_ns":1,"wall":"","source":"","kind":"Moon"}', "unknown kind of fact 'Moon'"),
        (b'{"id":1,"t_ns":1,"wall":"","source":"","kind":"RunEnded","state":7}', "at `$.state`"),
        (
            b'{"id":1,"t_ns":1,"wall":"","source":"","kind":"StepInvoked","step":"a","action":"phase","subject":"x"}',
            "'x'",
        ),
        (b'{"id":1,"t_ns":1,"wall":"","source":"","kind":["x"]}', "at `$.kind`"),
    ],
)
def test_a_bad_line_names_its_place(run: RunFolder, line: bytes, says: str) -> None:
    first, rest = run.history.read_bytes().split(b"\n", 1)
    run.history.write_bytes(first + b"\n" + line + b"\n" + rest)
    with pytest.raises(InvalidFile, match=r"history\.jsonl:2:\d+: not a fact of this version") as caught:
        read_history(run.history)
    assert says in str(caught.value)
    assert main(["check", str(run.path)]) == 2


@pytest.mark.parametrize(
    ("file", "edit", "says"),
    [
        ("experiment", lambda v: v["phases"].update(warmup_s="x"), "at `$.phases.warmup_s`"),
        ("experiment", lambda v: v["phases"].update(warmup_s=1e300), "at `$.phases`"),
        ("experiment", lambda v: v["faults"][0].update(type="Moon"), "at `$.faults[0].type`"),
        ("experiment", lambda v: v["faults"][0]["taint"].update(effect="Never"), "at `$.faults[0].taint.effect`"),
        ("experiment", lambda v: v.pop("guard"), "misses guard"),
        ("plan", lambda v: v.update(targets="n1"), "at `$.targets`"),
        ("plan", lambda v: v["steps"][0].update(action="fly"), "at `$.steps[0].action`"),
        ("versions", lambda v: v.update(environment=[]), "at `$.environment`"),
        ("versions", lambda v: v["settings"].update(minor=True), "at `$.minor`"),
        ("versions", lambda v: v.pop("settings"), "settings"),
    ],
)
def test_a_bad_value_names_file_and_place(
    run: RunFolder, file: str, edit: Callable[[dict], object], says: str, capsys: pytest.CaptureFixture
) -> None:
    change(getattr(run, file), edit)
    assert main(["check", str(run.path)]) == 2
    said = capsys.readouterr().err
    assert f"{file}.json:1:1" in said
    assert says in said
    assert "defect" not in said


@pytest.mark.parametrize("gates", [["phase-fault"], ["phase-recovery", "stop-load", "remove"]])
def test_seconds_beyond_the_plan_are_no_history(run: RunFolder, gates: list[str]) -> None:
    def later(facts: list[dict]) -> None:
        for fact in facts:
            if fact.get("step") in gates:
                fact["t_ns"] += 10**15

    lines(run, later)
    assert main(["check", str(run.path)]) == 2


@pytest.mark.parametrize(
    ("at", "value"),
    [(HEADER.size + 26, b"\xc8"), (HEADER.size + 7, b"\x7f"), (39, b"\x7f"), (HEADER.size + 23, b"\x80")],
    ids=["outcome-200", "intended", "timeout", "service"],
)
def test_rows_that_nobody_writes_are_unreadable(run: RunFolder, at: int, value: bytes) -> None:
    path = run.load / "rows-0.bin"
    data = bytearray(path.read_bytes())
    data[at : at + 1] = value
    path.write_bytes(data)
    with pytest.raises(RowsUnreadable):
        read_folder(run.load)
    assert judged(run)[0] == 3


def test_more_rows_than_were_due_are_unreadable(run: RunFolder) -> None:
    n = len(read_folder(run.load))
    assert len(read_folder(run.load, most=n)) == n
    with pytest.raises(RowsUnreadable, match="more than"):
        read_folder(run.load, most=n - 1)


# Links, pipes, devices, holes.


@pytest.mark.parametrize("name", ["history.jsonl", "experiment.json", "plan.json", "versions.json", "spec.yaml"])
@pytest.mark.parametrize("kind", ["link", "device", "pipe", "folder", "holes"])
def test_what_is_no_regular_file_is_not_read(run: RunFolder, name: str, kind: str, tmp_path: Path) -> None:
    assert judged(run)[0] in (0, 1, 3)
    path, secret = run.path / name, tmp_path / "id_rsa"
    whole = path.read_bytes()
    secret.write_bytes(whole if kind == "link" else b"PRIVATE KEY")
    path.unlink()
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(400 * MIB)
    assert main(["check", str(run.path)]) == (3 if name == "spec.yaml" else 2)
    assert main(["report", str(run.path)]) == (
        2 if name == "history.jsonl" and kind in ("pipe", "folder", "device") else 0
    )


@pytest.mark.parametrize("name", ["report.html", "junit.xml", "report.md", "result.json", "verdicts.json"])
def test_nothing_is_written_through_a_link(run: RunFolder, name: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    judged(run)
    for lure in (name, f"{name}.part", f".{name}.new"):
        (run.path / lure).unlink(missing_ok=True)
        (run.path / lure).symlink_to(victim)
    assert main(["check", str(run.path)]) in (0, 1, 3)
    assert main(["report", str(run.path)]) == 0
    assert victim.read_text() == "mine"
    assert not (run.path / name).is_symlink()


def test_a_name_that_is_no_text_is_not_listed_and_does_not_matter(run: RunFolder) -> None:
    judged(run)
    (run.path / os.fsdecode(b"\xff\n.txt")).touch()
    assert main(["report", str(run.path)]) == 0
    assert "1 of " in (run.path / "report.html").read_text()


@pytest.mark.parametrize("name", [b"run\xff", b"run\n::stop-commands::x"])
def test_a_folder_of_any_name_is_judged_and_named_on_one_line(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    write_run(path)
    for verb in ("check", "report"):
        command = [sys.executable, "-m", "harness.cli", verb, path]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert done.returncode in (0, 1, 3), done.stderr
        assert b"defect" not in done.stderr
        assert b"\n::" not in done.stdout + done.stderr


# For the owner alone.


def test_folders_and_files_are_for_the_owner_alone(run: RunFolder, tmp_path: Path) -> None:
    judged(run)
    main(["report", str(run.path)])
    assert (run.path.stat().st_mode & 0o777, run.load.stat().st_mode & 0o777) == (0o700, 0o700)
    written = (
        "experiment.json",
        "plan.json",
        "result.json",
        "verdicts.json",
        "evidence.json",
        "report.html",
        "junit.xml",
    )
    assert {(run.path / name).stat().st_mode & 0o777 for name in (*written, "load/rows-0.bin", "load/config.json")} == {
        0o600
    }
    assert run.path.parent.stat().st_mode & 0o777 != 0o700, "those above have the usual mode"


def test_a_private_folder_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        make_private_folder(tmp_path / "link")
    (tmp_path / "there").chmod(0o755)
    make_private_folder(tmp_path / "there")
    assert (tmp_path / "there").stat().st_mode & 0o777 == 0o700


def test_no_temporary_file_is_left_when_a_write_fails(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "y").touch()
    with pytest.raises(OSError, match="x"):
        write_whole(tmp_path / "x", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_the_old_file_stays_when_a_writer_raises(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_whole(path, b"old")
    with pytest.raises(KeyError), whole_file(path) as file:  # noqa: PT012 (what raises is in the block)
        file.write(b"half")
        file.flush()
        raise KeyError("x")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mode", "seen"), [(0o600, 0o600), (0o755, 0o755), (None, 0o640)])
def test_a_file_has_the_mode_it_was_asked_for(tmp_path: Path, mode: int | None, seen: int) -> None:
    before = os.umask(0o027)
    try:
        with whole_file(tmp_path / "x", mode=mode, durable=False) as file:
            file.write(b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == seen


def test_a_file_may_be_as_large_as_the_cap_and_no_larger(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 10)
    assert read_regular(path, cap=10) == b"x" * 10
    with pytest.raises(UsageError, match="more than the 9"):
        read_regular(path, cap=9)


def test_no_secret_is_in_the_folder(run: RunFolder) -> None:
    judged(run)
    main(["report", str(run.path)])
    for path in run.path.rglob("*"):
        assert not path.is_file() or b"s3cr3t" not in path.read_bytes(), path


# Costs.

_MEASURE = """
import sys, time
from harness.cli import main
from tests.fakes.memory import peak_kib
began = time.process_time()
code = main(sys.argv[1:])
print(f"cost {code} {time.process_time() - began:.2f} {peak_kib() // 1024}", file=sys.stderr)
"""


def _long(folder: RunFolder) -> None:
    """Four days by the plan, with hundreds of sightings: everything that a result has for each second."""
    lengths = dict.fromkeys(("warmup_s", "baseline_s", "fault_s", "recovery_s"), 86_400)
    change(folder.experiment, lambda value: value["phases"].update(lengths))

    def stretch(facts: list[dict]) -> None:
        for fact in facts:
            if fact["t_ns"] >= 63 * 10**9:
                fact["t_ns"] += 340_000 * 10**9
        seen = next(fact for fact in facts if fact["kind"] == "EndpointSeen")
        facts[3:3] = [{**seen, "t_ns": n * 10**9} for n in range(3_000)]

    lines(folder, stretch)


@pytest.mark.parametrize(
    "harm",
    [
        _long,
        lambda f: f.spec.write_text("- {a: [b]}\n" * (12 * MIB // 11)),
        lambda f: f.spec.write_text(
            "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
        ),
        lambda f: f.history.write_bytes(f.history.read_bytes() + b"{}\n" * 200_000),
        lambda f: os.truncate(f.load / "rows-0.bin", 600 * MIB),
        lambda f: f.plan.write_bytes(b"[" + b"0," * 500_000 + b"0]"),
    ],
    ids=["four-days", "12-MB-spec", "aliases", "lines", "sparse-rows", "numbers"],
)
def test_no_small_file_costs_more_than_5_s_or_500_mb(run: RunFolder, harm: Callable[[RunFolder], object]) -> None:
    main(["check", str(run.path)])
    harm(run)
    seal(run) if harm is _long else None
    for verb in ("check", "report"):
        command = [sys.executable, "-c", _MEASURE, verb, str(run.path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        _, code, took_s, peak_mb = next(line for line in done.stderr.splitlines() if line.startswith("cost")).split()
        assert int(code) in (0, 1, 2, 3, 5), done.stderr
        assert float(took_s) < 5
        assert int(peak_mb) < MAX_MB


def test_damage_at_random(tmp_path: Path) -> None:
    tally = fuzz(150, 20_261, tmp_path)
    assert tally.defects == []
    assert tally.touched == []
    assert tally.believed == []
    assert [one for one in tally.outcomes if one.took_s > 30] == [], "a machine may be slow, but not for ever"
