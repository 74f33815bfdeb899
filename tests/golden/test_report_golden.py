"""What people read, word for word: each case's step summary, JUnit file, plain terminal output, and the text of two
pages.

``TAINTLAB_WRITE_GOLDEN=1 pytest tests/golden/test_report_golden.py`` writes the expected files anew; read the
difference.
"""

from __future__ import annotations

import io
import os
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from reports.folder import read_folder
from reports.html import html_page
from reports.junit import junit_xml
from reports.markdown import markdown
from reports.terminal import plain_lines, show
from tests.golden.reports.builders import write
from tests.golden.reports.cases import CASES

EXPECTED = Path(__file__).parent / "reports" / "expected"
WRITE = "TAINTLAB_WRITE_GOLDEN" in os.environ
NAMED = Path("runs/example")


def _compare(name: str, text: str) -> None:
    path = EXPECTED / name
    if WRITE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.fixture(params=list(CASES), scope="module")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """(name, run folder) of each case."""
    name: str = request.param
    made = CASES[name](tmp_path_factory.mktemp("scratch"))
    return name, write(made, tmp_path_factory.mktemp("runs") / name)


def test_step_summary(case: tuple[str, Path]) -> None:
    name, folder = case
    _compare(f"{name}/report.md", markdown(read_folder(folder).result))


def test_junit(case: tuple[str, Path]) -> None:
    name, folder = case
    _compare(f"{name}/junit.xml", junit_xml(read_folder(folder).result))


def test_plain_terminal(case: tuple[str, Path]) -> None:
    name, folder = case
    _compare(f"{name}/terminal.txt", "\n".join(plain_lines(read_folder(folder).result, NAMED)) + "\n")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_terminal_tables(tmp_path: Path, width: int) -> None:
    folder = write(CASES["fail-late-and-survived"](tmp_path / "scratch"), tmp_path / "run")
    out = io.StringIO()
    show(read_folder(folder).result, NAMED, Console(file=out, width=width, force_terminal=True, color_system=None))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert max(len(line) for line in lines if "taintlab " not in line) <= width
    _compare(f"fail-late-and-survived/terminal-{width}.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("name", ["pass-six-pods", "bare-minimum"])
def test_text_of_the_page(tmp_path: Path, name: str) -> None:
    folder = write(CASES[name](tmp_path / "scratch"), tmp_path / "run")
    _compare(f"{name}/page.txt", _text(html_page(read_folder(folder))))


class _Visible(HTMLParser):
    """Collects text, a line for each block; style and script left out."""

    BLOCKS = frozenset(["p", "div", "li", "tr", "h1", "h2", "h3", "dt", "section", "summary", "pre", "td", "th"])

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in ("style", "script")
        if tag in self.BLOCKS:
            self.parts.append(" | " if tag in ("td", "th") else "\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def _text(page: str) -> str:
    parser = _Visible()
    parser.feed(page)
    lines = (" ".join(line.split()) for line in "".join(parser.parts).splitlines())
    return "\n".join(line for line in lines if line.strip("| ")) + "\n"
