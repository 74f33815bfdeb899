"""Output: one writer between this program and a terminal or a CI log, and the words it makes of foreign text.

Most of what is printed was written by others: names, keys, API messages, annotations. Three things must not come of
it: characters that steer a terminal, a line of its own where one was meant, and a line that a CI runner takes for a
command (GitHub: ``::name::`` at the start of a line, actions/runner ActionCommand.cs; ``##[name]`` anywhere in one,
which is Azure's ``##vso[...]`` and TeamCity's too). A stream cannot tell our line ends from theirs, so text goes
through `one_line` where it becomes part of a message, and every stream through `CleanStream`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO, cast

_STEERING = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff"
_UNSAFE = re.compile(f"[{_STEERING}]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean(text: object) -> str:
    """`text` with U+FFFD for each character that could steer a terminal, break XML 1.0 or reorder a line: C0 but tab
    and line ends, DEL, C1, line and paragraph separators, bidi controls, lone surrogates.
    """
    return _UNSAFE.sub(_REPLACEMENT, str(text))


def one_line(text: object, limit: int = 0) -> str:
    """`clean` text on one line; longer than `limit` characters (0: any length) it ends in an ellipsis."""
    words = str(text)
    if limit and len(words) > 16 * limit:
        words = words[: 16 * limit]  # what is cut off anyway need not be looked at
    flat = " ".join(clean(words).split())
    return flat if not limit or len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def indented(text: object, *, lines: int = 200) -> str:
    """`clean` text of several lines, all but the first indented, so that none of them starts like one of ours; beyond
    `lines` the rest is counted.
    """
    first, *rest = clean(text).splitlines() or [""]
    more = [line if line.startswith("  ") else f"  {line}" for line in rest[: lines - 1]]
    if len(rest) > lines - 1:
        more.append(f"  and {len(rest) - lines + 1:,} more lines")
    return "\n".join((first, *more))


# --- JSON ---

_IN_JSON = re.compile("[\x7f-\U0010ffff]|#(?=#[A-Za-z.]{0,20}\\[)")


def safe_json(text: str) -> str:
    """A JSON text that says the same in ASCII that no terminal or CI runner obeys: what is escaped can only stand in
    strings.
    """
    return _IN_JSON.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON in ASCII, safe to print."""
    return safe_json(json.dumps(value, indent=indent))


# --- streams ---

_DRAWING = re.compile(r"\x1b\[(?:[0-9;]{0,40}m|[0-9]{0,2}[AK]|\?25[hl])|\r")
"""What rich and the lab's progress draw with: colours, up, erase line, hide and show the cursor, back to column 1."""
_COMMAND = re.compile(r"(?:(?<=[\r\n])|\A)([^\S\r\n]*:)(?=:)")
_OLD_COMMAND = re.compile(r"#(?=#[A-Za-z.]{0,20}\[)")
_BLANK = re.compile(r"[^\S\r\n]{0,4096}:?")
_HASHES = re.compile(r"#{1,2}[A-Za-z.]{0,20}\Z")


class CleanStream:
    """A text stream over another. Never raises for what is written or for a reader that went away: the first such error
    is kept in `lost`, and what is written after it goes nowhere (a run must heal whoever is watching).

    Whatever else is asked of it (``buffer``, ``isatty``, ``fileno``, ``encoding``) the stream below answers.
    """

    def __init__(self, inner: TextIO) -> None:
        """Over `inner`, which stays open."""
        self._inner = inner
        self._head = ""  # the unfinished line, while it is blank or a blank and a colon; "x" for any other
        self._tail = ""  # what an old-style command could begin with at its end
        self.lost: OSError | ValueError | None = None
        encoding = (getattr(inner, "encoding", None) or "utf-8").lower().replace("_", "-")
        self._encoding = None if encoding in ("utf-8", "utf8") else encoding

    def __getattr__(self, name: str) -> Any:
        """The stream below."""
        return getattr(self._inner, name)

    @property
    def rich_proxied_file(self) -> _DrawnStream:
        """Where a rich Console that was given this stream writes to (rich.console.Console.file)."""
        return _DrawnStream(self)

    def write(self, text: str) -> int:
        """Clean `text` and write it. A carriage return stays before a line end or as the last character."""
        kept = re.sub(r"\r(?!\n|\Z)", _REPLACEMENT, text)
        self.put(clean(kept))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream below."""
        if self.lost is None:
            try:
                self._inner.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def put(self, text: str) -> None:
        """Write clean text, without what a CI runner would take for a command."""
        if not text or self.lost is not None:
            return
        text = self._harmless(text)
        if self._encoding is not None:
            text = text.encode(self._encoding, "backslashreplace").decode(self._encoding)
        try:
            self._inner.write(text)
        except (OSError, ValueError) as error:
            self._lose(error)

    def _harmless(self, text: str) -> str:
        """`text` with a blank inside every ``::`` that would start a line and every ``##[``, also where it was begun by
        an earlier write.
        """
        head, tail = self._head, self._tail
        text = _COMMAND.sub(r"\1 ", head + text)[len(head) :]
        border = _OLD_COMMAND.search(tail + text) if tail else None
        if border is not None and border.start() < len(tail):
            text = f" {text}"
        text = _OLD_COMMAND.sub("# ", text)
        line = re.split(r"[\r\n]", text[-8192:])[-1]
        if len(line) == len(text):
            line = head + line
        self._head = line if _BLANK.fullmatch(line) else "x"
        found = _HASHES.search((tail + text)[-24:])
        self._tail = found[0] if found else ""
        return text

    def _lose(self, error: OSError | ValueError) -> None:
        """Remember; what is still in the buffers goes nowhere, so that the interpreter's own flush is silent too."""
        self.lost = error
        with suppress(OSError, ValueError):  # a stream without a file below needs nothing
            below = self._inner.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, below)
            os.close(nowhere)


class _DrawnStream:
    """A CleanStream that lets through what we draw with, and nothing else that steers. Texts are the drawer's to
    clean.
    """

    def __init__(self, under: CleanStream) -> None:
        self._under = under

    def __getattr__(self, name: str) -> Any:
        return getattr(self._under, name)

    def write(self, text: str) -> int:
        """Write what `text` says and draws."""
        at = 0
        kept: list[str] = []
        for drawn in _DRAWING.finditer(text):
            kept += (clean(text[at : drawn.start()]), drawn[0])
            at = drawn.end()
        self._under.put("".join((*kept, clean(text[at:]))))
        return len(text)


def drawing(stream: TextIO) -> TextIO:
    """`stream` for one who draws on it with the few escapes that `_DRAWING` has, and cleans the texts himself."""
    found = stream if isinstance(stream, CleanStream) else CleanStream(stream)
    return cast(TextIO, found.rich_proxied_file)


@dataclass(frozen=True, slots=True)
class Output:
    """The two streams while they are clean; None for one that this process does not have. See `CleanStream.lost`."""

    stdout: CleanStream | None
    stderr: CleanStream | None


@contextmanager
def clean_output() -> Iterator[Output]:
    """sys.stdout and sys.stderr, cleaned until the end of the block; then flushed and as before."""
    before = sys.stdout, sys.stderr
    out, err = (None if stream is None else CleanStream(stream) for stream in before)
    if out is not None:
        sys.stdout = cast(TextIO, out)
    if err is not None:
        sys.stderr = cast(TextIO, err)
    try:
        yield Output(out, err)
    finally:
        for stream in (out, err):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
