"""How far a build is: the share of the work, a time left only when it is founded, and what is drawn of it."""

from __future__ import annotations

import io
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from harness.errors import BuildFailed
from harness.lab import gobuild
from harness.lab.build_meter import Meter, Package, ProgressLine, clock_text, left_text, packages_of
from harness.lab.gobuild import compile_packages, follow, lines_of
from harness.lab.progress import PLAIN_EVERY_S, Progress

MAIN = Package("example/cmd/main", 100, needed=True, asked=True)
TEN = [Package(f"example/p{n}", 90, needed=True) for n in range(10)]
CACHED = [Package(f"example/c{n}", 1000, needed=False) for n in range(5)]


def meter_of(packages: Iterable[Package], *, begun: int, in_flight: int = 1) -> Meter:
    """A meter that was told of the first `begun` packages."""
    known = list(packages)
    meter = Meter("x", known, in_flight=in_flight)
    for each in [package for package in known if package.needed][:begun]:
        meter.begin(each.path)
    return meter


@pytest.mark.parametrize(
    ("begun", "in_flight", "elapsed_s", "text", "share"),
    [
        (0, 1, 0, "x: 0 %, 0 of 11 packages, 0:00", 0.0),
        (1, 1, 60, "x: 0 %, 0 of 11 packages, 1:00", 0.0),
        (2, 1, 60, "x: 9 %, 1 of 11 packages, 1:00", 0.09),
        (3, 1, 19, "x: 18 %, 2 of 11 packages, 0:19", 0.18),
        (3, 1, 20, "x: 18 %, about 2 min left, 2 of 11 packages, 0:20", 0.18),
        (6, 1, 45, "x: 45 %, about 60 s left, 5 of 11 packages, 0:45", 0.45),
        (6, 3, 45, "x: 27 %, about 2 min left, 3 of 11 packages, 0:45", 0.27),
        (10, 1, 425, "x: 81 %, about 2 min left, 9 of 11 packages, 7:05", 0.81),
        (11, 1, 600, "x: 99 %, linking, 10:00", 0.99),
    ],
)
def test_what_is_said_of_eleven_packages(begun: int, in_flight: int, elapsed_s: float, text: str, share: float) -> None:
    line = meter_of([*TEN, MAIN], begun=begun, in_flight=in_flight).line(elapsed_s)
    assert line == f"{text}\r"
    assert line.share == pytest.approx(share)


def test_the_share_is_of_the_work_and_not_of_the_number() -> None:
    big = Package("example/big", 9_000, needed=True)
    assert meter_of([*TEN, big, MAIN], begun=11).share == pytest.approx(900 / 10_000)
    assert meter_of([big, *TEN, MAIN], begun=2).share == pytest.approx(9_000 / 10_000)


def test_what_is_cached_is_not_counted_and_the_number_is_an_upper_bound() -> None:
    assert meter_of([*CACHED, *TEN, MAIN], begun=6).line(1) == "x: 45 %, 5 of at most 11 packages, 0:01\r"


def test_a_package_that_was_thought_to_be_cached_counts_when_it_is_compiled() -> None:
    meter = meter_of([*CACHED, *TEN, MAIN], begun=10)
    assert meter.share == pytest.approx(0.81)
    for each in CACHED:
        meter.begin(each.path)
    assert (meter.needed, meter.begun) == (16, 15)
    assert meter.share == pytest.approx((900 + 4_000) / 6_000)


@pytest.mark.parametrize("begun", range(12))
def test_it_never_says_that_it_is_done(begun: int) -> None:
    share = meter_of([*TEN, MAIN], begun=begun, in_flight=2).line(1e6).share
    assert share is not None
    assert 0 <= share < 1


def test_nothing_to_compile_is_linking() -> None:
    assert meter_of(CACHED, begun=0).line(2) == "x: 99 %, linking, 0:02\r"


@pytest.mark.parametrize(
    ("seconds", "left", "clock"),
    [(4, "10 s", "0:04"), (42, "40 s", "0:42"), (89, "90 s", "1:29"), (90, "2 min", "1:30"), (3599, "60 min", "59:59")],
)
def test_seconds_in_words(seconds: float, left: str, clock: str) -> None:
    assert (left_text(seconds), clock_text(seconds)) == (left, clock)


def test_what_go_list_says() -> None:
    objects = [
        {"ImportPath": "unsafe", "Dir": "/go/unsafe", "GoFiles": ["unsafe.go"], "Stale": True, "DepOnly": True},
        {"ImportPath": "fmt", "Dir": "/go/fmt", "GoFiles": ["a.go", "b.go"], "DepOnly": True},
        {
            "ImportPath": "cached",
            "Stale": True,
            "StaleReason": "not installed but available in build cache",
            "DepOnly": True,
        },
        {"ImportPath": "a/data", "Dir": "/m", "GoFiles": ["huge.go"], "Stale": True, "DepOnly": True},
        {
            "ImportPath": "a/main",
            "Dir": "/m",
            "GoFiles": ["a.go", "b.go"],
            "Stale": True,
            "StaleReason": "stale dependency",
        },
    ]
    sizes = {"/m/a.go": 1_000, "/m/b.go": 2_000, "/m/huge.go": 34_000_000}
    listed = "\n".join(json.dumps(each, indent=1) for each in objects)
    assert packages_of(listed, lambda file: sizes[str(file)]) == [
        Package("fmt", 33_000, needed=False),
        Package("cached", 33_000, needed=False),
        Package("a/data", 4_033_000, needed=True),
        Package("a/main", 36_000, needed=True, asked=True),
    ]
    assert packages_of("\n", lambda _: 1) == []


class Virtual:
    """A clock that stands still unless the script of a build moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def playing(self, script: Iterable[tuple[float, str | None]]) -> Iterator[str | None]:
        """The lines of a script, each at its second."""
        for at_s, line in script:
            self.now_s = 1000.0 + at_s
            yield line


def test_a_build_in_virtual_time_is_told_every_second_even_while_go_is_silent() -> None:
    clock = Virtual()
    said: list[tuple[float, str]] = []
    words: deque[str] = deque(maxlen=3)
    script: list[tuple[float, str | None]] = [
        (0.1, "go: downloading example v1.0.0"),
        (0.2, "example/p0"),
        (0.9, "example/p1"),
        (1.0, "example/p2"),
        *[(float(second), None) for second in range(2, 31)],
        (30.5, "# example/p3"),
        (30.6, "p3.go:1:1: undefined: x"),
        (31.0, "example/p3"),
    ]
    follow(
        clock.playing(script),
        Meter("x", [*TEN, MAIN], in_flight=1),
        words=words,
        monotonic_s=clock,
        report=lambda line: said.append((clock.now_s - 1000.0, line)),
    )
    assert [at_s for at_s, _ in said] == [1.0, *map(float, range(2, 31)), 31.0]
    assert said[0][1] == "x: 18 %, 2 of 11 packages, 0:01\r"
    assert said[-1][1] == "x: 27 %, about 80 s left, 3 of 11 packages, 0:31\r"
    assert list(words) == ["go: downloading example v1.0.0", "# example/p3", "p3.go:1:1: undefined: x"]


FAKE_GO = r"""#!/bin/sh
# list: what the test wrote; build: 40 packages, the words of a linker, and what -o names.
echo "$@" >> "$0.calls"
case "$1" in
list) echo "go: downloading example v1.0.0" >&2; echo "words of list" >&2; cat "$0.list"; exit "${FAKE_LIST_EXIT:-0}" ;;
build) cat "$0.build" >&2; exit "${FAKE_BUILD_EXIT:-0}" ;;
esac
"""


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `go` that says what a build of 40 packages on two cores says. A slow machine is no silence."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(gobuild, "SILENCE_S", 3600.0)
    go = tmp_path / "go"
    go.write_text(FAKE_GO)
    go.chmod(0o755)
    paths = [*(f"example/p{n}" for n in range(39)), "example/cmd/main"]
    (tmp_path / "p.go").write_text("package p\n" * 100)
    objects: list[dict[str, object]] = [
        {"ImportPath": path, "Dir": str(tmp_path), "GoFiles": ["p.go"], "Stale": True, "DepOnly": path != paths[-1]}
        for path in paths
    ]
    Path(f"{go}.list").write_text("".join(json.dumps(each) for each in objects))
    Path(f"{go}.build").write_text("".join(f"{path}\n" for path in paths) + "ld: some words")
    return go


def ticking(step_s: float) -> Callable[[], float]:
    """A clock that is read once a line: each look is `step_s` later than the one before."""
    moments = iter(range(10**6))
    return lambda: next(moments) * step_s


def build(go: Path, report: Callable[[str], None], *, step_s: float = 5.0) -> None:
    """Build the 40 packages, five seconds each."""
    compile_packages(
        go,
        go.parent,
        ["./cmd/main"],
        flags=["-trimpath", "-modfile=x.mod"],
        out=go.parent / "out",
        what="Kubernetes",
        report=report,
        monotonic_s=ticking(step_s),
    )


def test_a_whole_build_with_a_go_that_is_a_script(fake_go: Path) -> None:
    lines: list[str] = []
    build(fake_go, lines.append)
    assert lines[:3] == [
        "Kubernetes: looking up modules\r",
        "Kubernetes: downloading modules, 1 so far\r",
        "Kubernetes: 40 of 40 packages to compile",
    ]
    assert lines[3] == "Kubernetes: 0 %, 0 of 40 packages, 0:05\r"
    assert lines[22] == "Kubernetes: 45 %, about 2 min left, 18 of 40 packages, 1:40\r"
    assert lines[42:] == [
        "Kubernetes: 99 %, linking, 3:20\r",
        "Kubernetes: 99 %, linking, 3:25\r",
        "Kubernetes: built in 3:35 (40 packages compiled)",
    ]
    shares = [line.share for line in lines if isinstance(line, ProgressLine) and line.share is not None]
    assert shares == sorted(shares)
    fields = "-json=ImportPath,Dir,GoFiles,Stale,StaleReason,DepOnly"
    assert Path(f"{fake_go}.calls").read_text().splitlines() == [
        f"list -deps {fields} -trimpath -modfile=x.mod ./cmd/main",
        f"build -v -trimpath -modfile=x.mod -o {fake_go.parent}/out/ ./cmd/main",
    ]


@pytest.mark.parametrize(
    ("stage", "words"), [("FAKE_LIST_EXIT", "words of list"), ("FAKE_BUILD_EXIT", "ld: some words")]
)
def test_a_build_that_fails_says_gos_last_words_and_the_fix(
    fake_go: Path, monkeypatch: pytest.MonkeyPatch, stage: str, words: str
) -> None:
    monkeypatch.setenv(stage, "1")
    with pytest.raises(BuildFailed, match=rf"(?s)last words:\n.*{re.escape(words)}.*\n  fix: "):
        build(fake_go, lambda _: None)


def test_elsewhere_than_on_a_terminal_a_line_comes_every_half_minute(fake_go: Path) -> None:
    stream = io.StringIO()
    now_s = [0.0]
    show = Progress(stream, monotonic_s=lambda: now_s[0])

    def report(line: str) -> None:
        show(line)
        if line.endswith("\r"):
            now_s[0] += 5.0

    build(fake_go, report)
    assert PLAIN_EVERY_S == 30
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if "\r" in line or "\x1b" in line] == []
    clocks = [found[1] for line in lines if (found := re.search(r"packages, (\d+:\d\d)", line))]
    assert clocks == ["0:25", "0:55", "1:25", "1:55", "2:25", "2:55"]


class Terminal(io.StringIO):
    """A terminal of 100 columns in memory."""

    def isatty(self) -> bool:
        return True


def drawn(line: str, monkeypatch: pytest.MonkeyPatch, *, columns: int, color: bool = False) -> str:
    """What a terminal is sent for one line."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("COLORTERM", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not color:
        monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    Progress(stream)(line)
    return stream.getvalue()


def plain(text: str) -> str:
    """Without what is drawn with."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    line = meter_of([*TEN, MAIN], begun=6).line(45)
    text = plain(drawn(line, monkeypatch, columns=100))
    assert re.fullmatch(r"━{5}[━╸╺ ]{7} x: 45 %, about 60 s left, 5 of 11 packages, 0:45", text)
    assert "\x1b[" in drawn(line, monkeypatch, columns=100, color=True)


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_narrow_terminal_gets_one_row_all_the_same(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = plain(drawn(meter_of([*TEN, MAIN], begun=6).line(45), monkeypatch, columns=columns))
    assert "\n" not in text
    assert len(text) < columns
    assert "x: 45 %" in text


def test_a_dumb_terminal_is_written_to_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    Progress(stream, monotonic_s=lambda: 0.0)(ProgressLine.of("half", 0.5))
    assert stream.getvalue() == "half\n"


def test_silence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe on which nothing comes gives None again and again, and what comes in pieces is put together."""
    monkeypatch.setattr(gobuild, "SILENCE_S", 0.0)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        lines = lines_of(pipe)
        assert next(lines) is None
        os.write(writing, b"exam")
        assert next(lines) is None
        os.write(writing, b"ple/p0\nexample/p1\nld: \xff")
        assert [next(lines), next(lines), next(lines)] == ["example/p0", "example/p1", None]
        os.close(writing)
        assert list(lines) == ["ld: \N{REPLACEMENT CHARACTER}"]
