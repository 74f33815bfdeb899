"""The write-ahead undo record on disk: what we are about to change, fsynced before the deed.

Two places hold the undo of a node: this file and the claim annotation on the node itself (`harness.faults.claim`).
The file lists
objects we created as well; those carry the label ``taintlab.dev/run``, so that they are found without the file.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

RUN_LABEL = "taintlab.dev/run"


class RecordKind(StrEnum):
    """What a record is about."""

    NODE = "node"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Record:
    """One thing we change. `subject`: a node's name, or an object's API path. `what`: for people."""

    id: str
    kind: RecordKind
    subject: str
    what: str


class Ledger:
    """Appends to ``ledger.jsonl``; every line is on disk before the method returns. OSError (disk full) is the
    caller's to stop on.
    """

    def __init__(self, path: Path) -> None:
        """Open for appending; an existing file is continued."""
        self._file = path.open("a", encoding="utf-8")

    def intend(self, record: Record) -> None:
        """About to do it."""
        self._write({"state": "intended", **asdict(record)})

    def healed(self, record_id: str) -> None:
        """Undone."""
        self._write({"state": "healed", "id": record_id})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: dict[str, str]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def outstanding(path: Path) -> list[Record]:
    """Records intended and not healed, latest first (the order to undo them in). A torn last line is ignored: its
    deed never began.
    """
    records: dict[str, Record] = {}
    if not path.exists():
        return []
    for raw in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        line = json.loads(raw)
        if line.pop("state") == "healed":
            records.pop(line["id"], None)
        else:
            records[line["id"]] = Record(line["id"], RecordKind(line["kind"]), line["subject"], line["what"])
    return list(reversed(records.values()))


def all_records(path: Path) -> list[tuple[Record, bool]]:
    """Every record with whether it is healed, in the order intended."""
    if not path.exists():
        return []
    open_ids = {record.id for record in outstanding(path)}
    seen: dict[str, Record] = {}
    for raw in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        line = json.loads(raw)
        if line.pop("state") == "intended":
            seen[line["id"]] = Record(line["id"], RecordKind(line["kind"]), line["subject"], line["what"])
    return [(record, record.id not in open_ids) for record in seen.values()]
