"""Shows the lines that `up` reports: on a terminal progress overwrites itself, elsewhere it comes now and then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from harness.lab.build_meter import ProgressLine
from harness.terminal import clean, drawing

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_EVERY_S = 30.0
"""How often a line of progress is printed where nobody can overwrite it: a log of ten minutes stays one screen."""
_BAR_COLUMNS = 12


class Progress:
    """A `Report` for `up`. Lines that end in a carriage return are progress; all others stay."""

    def __init__(self, stream: TextIO, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """`stream`: where to write; whether it is a terminal is asked of it. `monotonic_s`: the clock, in seconds."""
        self._stream = drawing(stream)
        self._monotonic_s = monotonic_s
        self._terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._console: Console | None = None
        self._shown_s: float | None = None
        self._open = False

    def __call__(self, line: str) -> None:
        """Shows one line."""
        passing = line.endswith("\r")
        if self._terminal:
            text = self._drawn(line) if passing else clean(line)
            end = "" if passing else "\n"
            print(f"\r\033[K{text}" if self._open else text, end=end, file=self._stream, flush=True)
            self._open = passing
            return
        if passing:
            now_s = self._monotonic_s()
            if self._shown_s is not None and now_s - self._shown_s < PLAIN_EVERY_S:
                return
            self._shown_s = now_s
        print(clean(line.removesuffix("\r")), file=self._stream, flush=True)

    def _drawn(self, line: str) -> str:
        """One row of the terminal: the text, after a bar when it is known how much is done."""
        from rich.console import Console  # a lab that is built already waits for none of this
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if self._console is None:
            self._console = Console(file=self._stream, highlight=False)
        text = Text(clean(line.removesuffix("\r")), no_wrap=True, overflow="ellipsis")
        row = Table.grid(padding=(0, 1))
        share = line.share if isinstance(line, ProgressLine) else None
        if share is None:
            row.add_row(text)
        else:
            row.add_row(ProgressBar(total=1.0, completed=share, width=_BAR_COLUMNS), text)
        with self._console.capture() as drawn:  # one column is left free, or the terminal would begin a new row
            self._console.print(row, width=max(20, self._console.width - 1))
        return drawn.get().rstrip()
