"""What a recovery acts with, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from harness.cluster.patience import Patience
from harness.cluster.ports import Cluster
from harness.cluster.undo import NodeUndo
from harness.errors import UsageError
from harness.run.recover.liveness import LocalProcesses, sign_of_life
from harness.terminal import one_line

HEAL_S = 60.0
"""How long one node is tried; a throttled or restarting API server is back within that."""


@dataclass(frozen=True, slots=True)
class RecoveryContext:
    """Where and how something is recovered. `processes`: of this machine, to tell whether a run of it is alive.
    `say`: one line for people, before anything is done. `force`: also what belongs to a run that is still alive.
    """

    cluster: Cluster
    patience: Patience
    processes: LocalProcesses
    say: Callable[[str], None]
    force: bool = False

    def tries(self, seconds: float = HEAL_S) -> Patience:
        """Patience for one thing, from now on."""
        now_ns = self.patience.clock.now().mono_ns
        return self.patience.until(min(self.patience.deadline_ns, now_ns + int(seconds * 1e9)))

    def sign_of_life(self, claim: NodeUndo) -> str:
        """Why the claim's run counts as alive; "" when it does not."""
        return sign_of_life(claim, processes=self.processes, wall_ns=self.patience.clock.now().wall_ns)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of it, one clean line each. `undone`: what was reverted. `left_alone`: what somebody else changed
    since. `remaining`: what is still there or not known, with why. `notes`: what else is to be said. `refused`: why
    nothing was undone; `remaining` then is what would have been.
    """

    undone: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str = ""


@dataclass(slots=True)
class RecoveryLog:
    """Collects the lines of a `Recovered`; text of strangers (names, values, API messages) is cleaned here."""

    undone: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    remaining: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def closed(self) -> Recovered:
        """Everything said, each thing once."""
        return Recovered(_said(self.undone), _said(self.left_alone), _said(self.remaining), _said(self.notes))


def _said(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one_line(text, 500) for text in lines))


def alive_error(run: str, why: str) -> UsageError:
    """The refusal to touch a living run."""
    text = f"run {run} is still alive: {why}; wait for its end, or stop it (it heals itself); --force overrides"
    return UsageError(one_line(text))
