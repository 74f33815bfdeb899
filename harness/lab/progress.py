"""Shows the lines that `up` reports: on a terminal progress overwrites itself, elsewhere it comes now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from harness.terminal import clean, drawing

PLAIN_EVERY_S = 15.0


class Progress:
    """A `Report` for `up`. Lines that end in a carriage return are progress; all others stay."""

    def __init__(self, stream: TextIO, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """`stream`: where to write; whether it is a terminal is asked of it. `monotonic_s`: the clock, in seconds."""
        self._stream = drawing(stream)
        self._monotonic_s = monotonic_s
        self._terminal = stream.isatty()
        self._shown_s: float | None = None
        self._open = False

    def __call__(self, line: str) -> None:
        """Shows one line."""
        text = clean(line.removesuffix("\r"))
        if self._terminal:
            end = "" if line.endswith("\r") else "\n"
            print(f"\r\033[K{text}" if self._open else text, end=end, file=self._stream, flush=True)
            self._open = not end
            return
        now_s = self._monotonic_s()
        if line.endswith("\r"):
            if self._shown_s is not None and now_s - self._shown_s < PLAIN_EVERY_S:
                return
            self._shown_s = now_s
        print(text, file=self._stream, flush=True)
