"""Words that mean the same wherever they are written: in predictions, checks, files and reports."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What becomes of a pod (the words of the write-script format).

    DELETED: by somebody else. NEVER_CREATED: its controller was not there to make it. UNSURE: a race decides.
    """

    EVICTED = "evicted"
    SURVIVES = "survives"
    DELETED = "deleted"
    NEVER_CREATED = "never-created"
    UNSURE = "unsure"
