"""Words with one meaning, written to disk as they stand here."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What becomes of a pod (the words of the write-script format)."""

    EVICTED = "evicted"
    SURVIVES = "survives"
    DELETED = "deleted"
    NEVER_CREATED = "never-created"
    UNSURE = "unsure"


class RunState(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    ABORTED = "aborted"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


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


class DisruptionReason(StrEnum):
    """The reasons that Kubernetes gives in a pod's condition DisruptionTarget (core/v1 types.go, pkg/apis/core). Others
    may write others.
    """

    TAINT_MANAGER = "DeletionByTaintManager"
    EVICTION_API = "EvictionByEvictionAPI"
    POD_GC = "DeletionByPodGC"
    KUBELET = "TerminationByKubelet"
    SCHEDULER = "PreemptionByScheduler"
