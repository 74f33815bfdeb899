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


class RunState(StrEnum):
    """How the run itself ended, whatever the verdict. KILLED is said by who finds the folder, not by the run."""

    COMPLETED = "completed"
    ABORTED = "aborted"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    KILLED = "killed"


class Change(StrEnum):
    """How something was seen. LISTED: in a list, so that it may be older than its stamp. ADDED, MODIFIED, DELETED: a
    line of the watch. VANISHED: it was there, and is not in a later list.
    """

    LISTED = "LISTED"
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    VANISHED = "VANISHED"

    @property
    def is_end(self) -> bool:
        """The object is not there any more."""
        return self in (Change.DELETED, Change.VANISHED)


class StepResult(StrEnum):
    """How a step ended: acknowledged, refused (it did not happen), without an answer, or not at all."""

    DONE = "done"
    REFUSED = "refused"
    INDETERMINATE = "indeterminate"
    UNFINISHED = "unfinished"


class Action(StrEnum):
    """The kinds of step, in the order a run has them."""

    APPLY = "apply"
    WAIT_READY = "wait-ready"
    START_LOAD = "start-load"
    PHASE = "phase"
    INJECT = "inject"
    HEAL = "heal"
    STOP_LOAD = "stop-load"
    REMOVE = "remove"
