"""The reader of the history."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InvalidFile, Problem
from harness.history.codec import from_json
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
    """Read ``history.jsonl``. A torn last line is tolerated; any other bad line raises InvalidFile naming it."""
    entries: list[Entry] = []
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.split("\n")
    complete = lines[:-1]
    for number, line in enumerate(complete, start=1):
        try:
            entries.append(from_json(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            problem = Problem(str(path), number, 1, f"not a fact of this version: {error}", "was the file edited?")
            raise InvalidFile([problem]) from error
    return History(tuple(entries), torn=bool(lines[-1]))
