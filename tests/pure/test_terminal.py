"""One writer for terminal and CI: what strangers wrote neither steers the one nor commands the other."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console
from rich.text import Text

from harness.errors import InvalidFile, Problem, UsageError, told
from harness.terminal import CleanStream, clean, clean_output, drawing, indented, json_text, one_line, safe_json

ESC = "\x1b"
ROOT = Path(__file__).resolve().parents[2]


def written(*texts: str, encoding: str = "utf-8") -> str:
    """What reaches the terminal of these writes."""
    raw = io.BytesIO()
    stream = CleanStream(io.TextIOWrapper(raw, encoding=encoding, newline=""))
    for text in texts:
        stream.write(text)
    stream.flush()
    assert stream.lost is None
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(
    "text",
    [
        f"{ESC}]0;OWNED\x07r",
        f"{ESC}[2J",
        "\x9b31m",
        "a\rb",
        "\u202etxt",
        "\ud800",
        "\u2028",
        "\x7f",
        "\x00",
        "\x0b\x0c",
    ],
)
def test_nothing_that_steers_is_written(text: str) -> None:
    out = written(f"run {text} \tend\n")
    assert clean(out) == out
    assert "\r" not in out
    assert out.endswith(" \tend\n")


@pytest.mark.parametrize(
    ("texts", "out"),
    [
        (("::stop-commands::zz\n",), ": :stop-commands::zz\n"),
        (("a\n  \t::error::b\n",), "a\n  \t: :error::b\n"),
        ((":", ":", "x::\n"), ": :x::\n"),
        (("  ", "::x\n"), "  : :x\n"),
        (("a", "::x\n"), "a::x\n"),
        (("a\r", "::x\n"), "a\r: :x\n"),
        (("\xa0::x\n",), "\xa0: :x\n"),
        (("a\n:", "b\n:", ":c"), "a\n:b\n: :c"),
        (("a ##[error]b ##vso[task]c\n",), "a # #[error]b # #vso[task]c\n"),
        (("a ##", "[error]b\n"), "a ## [error]b\n"),
        (("a #", "#[error]b\n"), "a # #[error]b\n"),
        (("a ##vs", "o[x]\n"), "a ##vs o[x]\n"),
        (("## Heading [x]\n",), "## Heading [x]\n"),
        (("12:30:05 a::b\n",), "12:30:05 a::b\n"),
    ],
)
def test_no_line_is_a_command_of_ci(texts: tuple[str, ...], out: str) -> None:
    assert written(*texts) == out


def test_what_the_encoding_lacks_is_escaped() -> None:
    assert written("0 – 1 s\n", encoding="ascii") == "0 \\u2013 1 s\n"


def test_a_carriage_return_of_ours_ends_a_write() -> None:
    assert written("compiling\r", "done\n") == "compiling\rdone\n"


def test_rich_draws_and_its_texts_are_clean() -> None:
    raw = io.StringIO()
    stream = CleanStream(raw)
    console = Console(file=cast(io.StringIO, stream), force_terminal=True, color_system="standard", width=60)
    console.print(Text(one_line(f"{ESC}[2Jfine {ESC}]0;x\x07"), style="red"))
    console.print(Text(f"{ESC}]0;x\x07 {ESC}[2J {ESC}[5;5H"))
    out = raw.getvalue()
    assert f"{ESC}[31m" in out
    assert out.count(ESC) == 2  # red, and no longer
    drawing(cast(io.StringIO, raw)).write(f"\r{ESC}[Kcompiling")
    assert raw.getvalue().endswith(f"\r{ESC}[Kcompiling")


class _Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def test_a_reader_that_went_away_is_remembered_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _Gone())
    monkeypatch.setattr(sys, "stderr", _Gone())
    with clean_output() as output:
        print("a")
        print("b", file=sys.stderr, flush=True)
        print("c", flush=True)
    assert output.stdout is not None
    assert output.stderr is not None
    assert isinstance(output.stdout.lost, BrokenPipeError)
    assert isinstance(output.stderr.lost, BrokenPipeError)
    assert isinstance(sys.stdout, _Gone)


def test_a_real_pipe_that_closed_costs_no_exit_code() -> None:
    """The work goes on, and the interpreter's last flush finds nothing to say."""
    program = (
        "import sys, time\nfrom harness.terminal import clean_output\n"
        "with clean_output():\n"
        "    for n in range(20000): print('line', n)\n"
        "    print('still here', file=sys.stderr)\n"
        "sys.exit(4)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        said = child.stderr.read()
        assert child.wait() == 4
    assert said == "still here\n"


def test_one_problem_is_one_line() -> None:
    problem = Problem("a\n.yaml", 1, 2, f"{ESC}[31m no key k\n::stop-commands::zz", "write\nthis")
    assert str(problem) == "a .yaml:1:2: \ufffd[31m no key k ::stop-commands::zz (write this)"
    assert len(str(Problem("f", 1, 1, "x" * 5000))) <= 1000


def test_many_problems_are_counted() -> None:
    text = str(InvalidFile([Problem("f", n, 1, "bad") for n in range(1, 1235)]))
    assert len(text.splitlines()) == 101
    assert text.endswith("\nand 1,134 more problems")


def test_an_error_of_several_lines_starts_none_of_them_like_ours() -> None:
    error = UsageError(f"GET /x: 500: oh\nPASS  noexecute{ESC}[0m\n  indented\n::error::x")
    assert told(error) == "GET /x: 500: oh\n  PASS  noexecute\ufffd[0m\n  indented\n  ::error::x"
    assert len(indented("\n".join("x" * 500)).splitlines()) == 201


@pytest.mark.parametrize("value", [{"k": "##[error]\x7f\x9b\u202e\x1b\ud800\u2028"}, ["::x"], "##vso[a]"])
def test_json_says_the_same_in_harmless_characters(value: object) -> None:
    text = json_text(value, indent=1)
    assert text.isascii()
    assert "##[" not in text
    assert "##vso[" not in text
    assert json.loads(text) == value
    assert written(text) == text


def test_json_of_others_is_made_safe() -> None:
    text = '{"k": "\x9b\u202e##[x]é😀"}'
    assert json.loads(safe_json(text)) == json.loads(text)
    assert safe_json(text).isascii()
    assert safe_json('{"k": "\x9b"}') == '{"k": "\\u009b"}'
