"""How much later than on a quiet machine a deletion may be seen, by what this control plane needed in the same run.

A controller that is slow and a machine that is busy look alike from outside. What tells them apart is the same work
done without the controller: write to watch, delete to watch, and the whole chain of requests that an eviction is, made
by the harness itself. What those need beyond a quiet machine's time is the machine's; the controller's own slowness
counts for nothing. Why so, and the figures: docs/decisions/0009-a-busy-machine.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class What(StrEnum):
    """What is timed.

    `OWN_EVICTION`: from the answer of a taint write to the deletion of a pod seen, where the harness itself does what
    the taint eviction controller does (see the node's line, GET, PATCH of the status, DELETE). `CONTROLLER`: the same
    of a pod that the controller under test evicts. `STANDSTILL`: how late a timer of the harness came.
    """

    WRITE_TO_WATCH = "write-to-watch"
    DELETE_TO_WATCH = "delete-to-watch"
    OWN_EVICTION = "own-eviction"
    CONTROLLER = "controller"
    STANDSTILL = "standstill"


QUIET_S: Mapping[What, float] = {
    What.WRITE_TO_WATCH: 0.02,
    What.DELETE_TO_WATCH: 0.02,
    What.OWN_EVICTION: 0.06,
    What.CONTROLLER: 0.1,
    What.STANDSTILL: 0.02,
}
"""What a quiet machine needs (two cores, 1.35.4, ten scripts side by side): 19 of 20 samples and more."""

RATIO = 1.5
"""The machine's excess counts this much: a reference is a sample, and what it stands beside may have met worse."""

CAP_S = 1.0
"""The most that a replay allows; a machine that needs more is too busy to tell. Every mutant is noticed at the cap."""

AROUND_S = 0.5
"""A sample counts for what happened this long before it began, or after it ended."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One sample, taken between `began_s` and `ended_s` of whatever clock the caller counts by. `open`: it had not
    ended when it was asked for, so `seconds` is a lower bound.
    """

    what: What
    began_s: float
    ended_s: float
    seconds: float
    open: bool = False

    @property
    def excess_s(self) -> float:
        """Beyond what a quiet machine needs."""
        return max(0.0, self.seconds - QUIET_S[self.what])


def needed_s(measured: Iterable[Measured], since_s: float, until_s: float, *, restarted: bool = False) -> float:
    """How much later than on a quiet machine something may be seen that was due at `since_s` and seen at `until_s`; not
    capped. `restarted`: a controller that was killed has to start first, which nobody can do in its place: there its
    own excess counts as well.
    """
    near = [m for m in measured if m.began_s - AROUND_S <= until_s and m.ended_s + AROUND_S >= since_s]
    machine_s = max((m.excess_s for m in near if m.what is not What.CONTROLLER), default=0.0)
    start_s = max((m.excess_s for m in near if m.what is What.CONTROLLER), default=0.0)
    return max(RATIO * machine_s, start_s if restarted else 0.0)
