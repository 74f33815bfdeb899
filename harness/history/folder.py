"""The run folder: which file is what. Everything needed to judge a run again is in it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.history.plain import plain


@dataclass(frozen=True, slots=True)
class RunFolder:
    """``runs/<experiment>/<UTC>-<seed>/`` (or the folder named on the command line)."""

    path: Path

    @property
    def spec(self) -> Path:
        """The experiment as given."""
        return self.path / "spec.yaml"

    @property
    def experiment(self) -> Path:
        """The experiment resolved, every default filled in."""
        return self.path / "experiment.json"

    @property
    def world(self) -> Path:
        """The cluster just before the first injection."""
        return self.path / "world.json"

    @property
    def plan(self) -> Path:
        """Targets, steps, predictions."""
        return self.path / "plan.json"

    @property
    def ledger(self) -> Path:
        """Undo records."""
        return self.path / "ledger.jsonl"

    @property
    def history(self) -> Path:
        """Every fact."""
        return self.path / "history.jsonl"

    @property
    def load(self) -> Path:
        """The load process's folder: rows and summary."""
        return self.path / "load"

    @property
    def verdicts(self) -> Path:
        """Every check's result in full."""
        return self.path / "verdicts.json"

    @property
    def result(self) -> Path:
        """The result, by the versioned schema."""
        return self.path / "result.json"

    @property
    def versions(self) -> Path:
        """Versions, the cluster's name, how to reach it again."""
        return self.path / "versions.json"


def create(path: Path) -> RunFolder:
    """A new, empty run folder; UsageError when `path` exists and is not an empty folder (nothing is ever
    overwritten).
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise UsageError(f"{path}: not empty; a run never overwrites: name another folder with --out")
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{path}: is a file; name a folder with --out") from error
    except PermissionError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    return RunFolder(path)


def existing(path: Path) -> RunFolder:
    """The folder of a run that was begun; UsageError when there is no history in it."""
    folder = RunFolder(path)
    if not folder.history.is_file():
        raise UsageError(
            f"{path}: no run here (no {folder.history.name}); run folders are named at the end of `taintlab run`"
        )
    return folder


def write_json(path: Path, value: Any) -> None:
    """Write `plain(value)` atomically: a reader sees the old file or the whole new one."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(plain(value), file, indent=1, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """A JSON file; UsageError naming it when it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: no JSON: {error}") from error
