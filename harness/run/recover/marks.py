"""What a recovery writes into the ledger of the run, and what it says of things that are not on this cluster."""

from __future__ import annotations

from pathlib import Path

from harness.cluster.ledger import Ledger
from harness.cluster.ledger_record import Record
from harness.errors import UsageError
from harness.run.recover.context import RecoveryContext, RecoveryLog


class HealedMarks:
    """Writes ``healed`` lines, each on the disk before the next thing is done. What cannot be written is only told:
    the cluster is what counts.
    """

    def __init__(self, path: Path, log: RecoveryLog) -> None:
        """Opened for appending; a ledger that cannot be written is a note."""
        self._book = log
        self._ledger: Ledger | None = None
        try:
            self._ledger = Ledger(path)
        except (OSError, UsageError) as error:
            log.notes.append(f"the ledger cannot be brought up to date: {error}")

    def healed(self, record: Record, how: str) -> None:
        """The record's thing was seen undone."""
        if self._ledger is None:
            return
        try:
            self._ledger.healed(record.id, how=how)
        except OSError as error:
            self._book.notes.append(f"the ledger cannot be brought up to date: {error}")

    def close(self) -> None:
        """Let go of the file."""
        if self._ledger is not None:
            self._ledger.close()


def elsewhere(context: RecoveryContext) -> str:
    """Why nothing is known of a thing that is not on this cluster, when the run may have been on another."""
    return (
        f"not known: it is not on {context.cluster.name}, and nothing there shows that the run was on this "
        "cluster; name the right one with --lab or --context"
    )
