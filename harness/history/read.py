"""The reader of the history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.errors import InvalidFile, UsageError
from harness.files import read_regular, shown
from harness.history.codec import from_json
from harness.history.strict import invalid, parse
from harness.model.events import FORMAT, Entry, RunStarted


@dataclass(frozen=True, slots=True)
class History:
    """All entries in the order written. `torn`: the last line was cut off (the writer was killed); it is left out."""

    entries: tuple[Entry, ...]
    torn: bool = False

    @property
    def started(self) -> RunStarted:
        """The first fact; ValueError when the history does not start with it."""
        if not self.entries or not isinstance(self.entries[0].fact, RunStarted):
            raise ValueError("a history starts with RunStarted")
        return self.entries[0].fact


def read_history(path: Path) -> History:
    """Read ``history.jsonl``. A torn last line is tolerated; any other bad line raises InvalidFile naming it.
    UsageError for what is no regular file, and for a history of a newer format.
    """
    file = shown(path)
    lines = read_regular(path).split(b"\n")
    torn = bool(lines.pop())
    _require_known_format(lines, file)
    return History(tuple(_entry(line, file, number) for number, line in enumerate(lines, start=1)), torn=torn)


class _Started(msgspec.Struct):
    """As much of the first line as every format has."""

    format: int = 1


def _require_known_format(lines: list[bytes], file: str) -> None:
    """By the first line alone, before a kind that only the newer taintlab knows is called damage."""
    try:
        written = msgspec.json.decode(lines[0], type=_Started).format if lines else FORMAT
    except (ValueError, RecursionError):
        return  # whatever it is, reading the line says it better
    if written > FORMAT:
        raise UsageError(f"{file}: format {written}, written by a newer taintlab: judge it with that one")


def _entry(line: bytes, file: str, number: int) -> Entry:
    try:
        return from_json(parse(line, file=file, line=number))
    except InvalidFile as error:
        problem = error.problems[0]
        message = f"not a fact of this version: {problem.message}"
        raise invalid(file, message, line=problem.line, column=problem.column) from error
    except ValueError as error:
        raise invalid(file, f"not a fact of this version: {error}", line=number) from error
