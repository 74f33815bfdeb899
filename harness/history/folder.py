"""The run folder: which file is what. Everything needed to judge a run again is in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.files import make_private_folder, shown, write_whole
from harness.history.plain import plain
from harness.history.strict import read_json as read_json  # what is written here is read there


@dataclass(frozen=True, slots=True)
class RunFolder:
    """``runs/<experiment>/<UTC>-<seed>/`` (or the folder named on the command line)."""

    path: Path

    @property
    def spec(self) -> Path:
        """The experiment as given, its secrets hashed."""
        return self.path / "spec.yaml"

    @property
    def experiment(self) -> Path:
        """The experiment resolved, every default filled in, its secrets hashed."""
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
    def evidence(self) -> Path:
        """Digests of all files that the judges read, see `harness.history.seal`."""
        return self.path / "evidence.json"

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
    """A new, empty run folder for the owner alone; UsageError when `path` exists and is not an empty folder (nothing is
    ever overwritten).
    """
    try:
        make_private_folder(path)
        if any(path.iterdir()):
            raise UsageError(f"{shown(path)}: not empty; a run never overwrites: name another folder with --out")
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{shown(path)}: is a file; name a folder with --out") from error
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{shown(path)}: cannot be written: {words}") from error
    return RunFolder(path)


def existing(path: Path) -> RunFolder:
    """The folder of a run that was begun; UsageError when there is no history in it."""
    folder = RunFolder(path)
    try:
        begun = folder.history.is_file()
    except OSError:  # a name that is too long, or a folder that we may not look into
        begun = False
    if not begun:
        raise UsageError(
            f"{shown(path)}: no run here (no {folder.history.name}); run folders are named at the end of `taintlab run`"
        )
    return folder


def write_json(path: Path, value: Any) -> None:
    """Write `plain(value)` so that a reader sees the old file or the whole new one. OSError as `write_whole`."""
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(path, text.encode("utf-8", "replace"))
