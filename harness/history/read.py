"""The reader of the history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import InvalidFile
from harness.files import read_regular, shown
from harness.history.codec import from_json
from harness.history.strict import invalid, parse
from harness.model.events import Entry, RunStarted


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
    UsageError for what is no regular file.
    """
    file = shown(path)
    lines = read_regular(path).split(b"\n")
    torn = bool(lines.pop())
    return History(tuple(_entry(line, file, number) for number, line in enumerate(lines, start=1)), torn=torn)


def _entry(line: bytes, file: str, number: int) -> Entry:
    try:
        return from_json(parse(line, file=file, line=number))
    except InvalidFile as error:
        problem = error.problems[0]
        message = f"not a fact of this version: {problem.message}"
        raise invalid(file, message, line=problem.line, column=problem.column) from error
    except ValueError as error:
        raise invalid(file, f"not a fact of this version: {error}", line=number) from error
