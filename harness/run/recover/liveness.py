"""Whether the run that holds a claim is still alive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from harness.cluster.undo import Holder, NodeUndo

HEARTBEAT_S = 90.0
"""A heartbeat is renewed each 30 s: three in a row that did not come mean that nobody is there to send them."""


@dataclass(frozen=True, slots=True)
class LiveRuns:
    """The runs of this process that are under way: it may go on when they have ended."""

    _ids: set[str] = field(default_factory=set)

    @contextmanager
    def under_way(self, run: str) -> Iterator[None]:
        """Within it, `run` is alive."""
        self._ids.add(run)
        try:
            yield
        finally:
            self._ids.discard(run)

    def __contains__(self, run: str) -> bool:
        """Whether the run of this id is under way here."""
        return run in self._ids


@dataclass(frozen=True, slots=True)
class LocalProcesses:
    """What can be looked up on this machine. `here`: this process. `is_running`: whether the very process of a holder
    in our own boot and pid namespace runs; its pid with its start time, which no later process shares. `live`: the runs
    of this process; None: not known.
    """

    here: Holder
    is_running: Callable[[Holder], bool]
    live: LiveRuns | None = None

    def can_see(self, holder: Holder) -> bool:
        """Whether a pid of `holder` means anything here."""
        same = (holder.boot_id, holder.pid_namespace) == (self.here.boot_id, self.here.pid_namespace)
        return same and bool(self.here.boot_id) and bool(self.here.pid_namespace)

    def is_ended(self, claim: NodeUndo) -> bool:
        """Whether it was a run of this very process, and is none any more."""
        return self.live is not None and claim.holder == self.here and claim.run not in self.live


def sign_of_life(claim: NodeUndo, *, processes: LocalProcesses, wall_ns: int) -> str:
    """Why the run of `claim` counts as alive, in words; "" when it does not.

    A holder in our own boot and pid namespace is looked up. Of this very process, only a run that is under way is
    alive; one of another process that has ended and left something counts as alive as long as the process. Of another
    machine, boot or container only the heartbeat tells: one from the last `HEARTBEAT_S`, or from the future (clocks
    differ). A claim without either (taintlab 0.1.0) gives no sign.
    """
    holder = claim.holder
    if holder is not None and processes.can_see(holder):
        if not processes.is_running(holder) or processes.is_ended(claim):
            return ""
        return f"process {holder.pid} of this machine holds it"
    age_s = _age_s(claim.heartbeat, wall_ns)
    if age_s is None or age_s >= HEARTBEAT_S:
        return ""
    where = f" on {holder.host}" if holder is not None else ""
    when = f"{age_s:.0f} s ago" if age_s >= 0 else f"{-age_s:.0f} s in the future by our clock"
    return f"its process{where} gave a sign of life {when}"


def _age_s(heartbeat: str | None, wall_ns: int) -> float | None:
    try:
        stamp = datetime.fromisoformat(heartbeat or "")
        if stamp.tzinfo is None:
            return None
        return wall_ns / 1e9 - stamp.timestamp()
    except (ValueError, OverflowError):
        return None
