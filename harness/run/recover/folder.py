"""What a run folder says to somebody who recovers its run. The folder may come from anybody, and from any version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cluster.ledger_read import LedgerRead, is_held, read_ledger
from harness.errors import UsageError
from harness.history.folder import RunFolder, read_json
from harness.history.read import read_history
from harness.run.recover.context import alive_error


@dataclass(frozen=True, slots=True)
class FolderToRecover:
    """`run`: the run's id, "" when no file says it. `written_ns`: wall time of the ledger's last line. `reach`: what
    the folder says of its cluster, a hint at most.
    """

    ledger: Path
    read: LedgerRead
    run: str
    written_ns: int
    reach: Mapping[str, Any]

    @property
    def names_nothing(self) -> bool:
        """Whether there is nothing to look for: the run changed nothing, and every line says so."""
        return not self.read.records and not self.read.problems


def folder_to_recover(path: Path, *, force: bool) -> FolderToRecover:
    """The run folder at `path`; UsageError when it holds no ledger, or (unless `force`) its run holds it still."""
    folder = RunFolder(path)
    missing = not folder.ledger.exists() and not folder.ledger.is_symlink()
    if missing or folder.ledger.is_dir():
        raise UsageError(f"{path}: no run to recover here (no {folder.ledger.name}); run folders hold one")
    written_ns = folder.ledger.lstat().st_mtime_ns
    read = read_ledger(folder.ledger)
    run = read.header.run if read.header else _run_of_history(folder)
    if not force and is_held(folder.ledger):
        raise alive_error(run or "(unnamed)", "it holds its ledger")
    return FolderToRecover(folder.ledger, read, run, written_ns, _reach(folder, read))


def _reach(folder: RunFolder, read: LedgerRead) -> Mapping[str, Any]:
    """What the folder says about its cluster: the ledger, else (taintlab 0.1.0) versions.json."""
    if read.header is not None and read.header.reach:
        return read.header.reach
    try:
        reach = read_json(folder.versions)["reach"]
    except (UsageError, KeyError, TypeError, RecursionError):
        return {}
    return reach if isinstance(reach, dict) else {}


def _run_of_history(folder: RunFolder) -> str:
    """The run's id as the history of a ledger without a header (taintlab 0.1.0) says it; "" when it cannot be read."""
    try:
        return read_history(folder.history).started.run_id
    except Exception:  # however damaged it is: the claims say the run as well, and recovering needs no history
        return ""
