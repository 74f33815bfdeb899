"""What a replay shows against what was said of it, on a machine that may be busy: wrong, late, or too busy to tell.

The bounds are those of a quiet machine. Lower bounds are hard. An upper bound is put off by what the reference beside
the replay needed (`harness.plan.allowance`), up to a cap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.model.scenario import Restart, Scenario
from harness.plan.allowance import CAP_S, QUIET_S, RATIO, Measured, What, needed_s
from harness.replay.replayer import Replayed
from harness.semantics.eviction import Settings

TRIES = 3
"""Replays of what was late or too busy to tell, in all."""


@dataclass(frozen=True)
class Found:
    """`wrong`: no slowness explains it. `late`: beyond the bound and what the machine needed. `too_busy`: beyond what
    is allowed, on a machine that needed more.
    """

    wrong: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    too_busy: tuple[str, ...] = ()

    def __add__(self, other: Found) -> Found:
        """Both."""
        return Found(self.wrong + other.wrong, self.late + other.late, self.too_busy + other.too_busy)

    @property
    def again(self) -> bool:
        """Whether another replay may show something else."""
        return not self.wrong and bool(self.late or self.too_busy)

    @property
    def disagreements(self) -> tuple[str, ...]:
        """What cannot be put down to the machine."""
        return self.wrong + self.late


def after(said: str, *, due_s: float, latest_s: float, at_s: float, replayed: Replayed, restarted: bool) -> Found:
    """Something that was due at `due_s`, by `latest_s` on a quiet machine, and was seen at `at_s`."""
    if at_s <= latest_s:
        return Found()
    more_s = needed_s(replayed.measured, due_s, at_s, restarted=restarted)
    if at_s <= latest_s + min(CAP_S, more_s):
        return Found()
    if more_s > CAP_S:
        return Found(too_busy=(f"{said}; this machine needed {more_s:.3f} s more than a quiet one",))
    return Found(late=(f"{said}, {more_s:.3f} s allowed",))


def whole_need_s(scenario: Scenario, replayed: Replayed) -> float:
    """What the machine needed at most in all of the replay, as far as it is allowed."""
    more_s = needed_s(replayed.measured, 0.0, scenario.until_s, restarted=restarts(scenario))
    return min(CAP_S, more_s)


def slowed(settings: Settings, more_s: float) -> Settings:
    """The same control plane on a machine where everything is seen up to `more_s` later."""
    known = settings.latency
    latency = replace(
        known,
        delete_s=known.delete_s + more_s,
        race_s=known.race_s + more_s,
        together_s=max(known.together_s, more_s),
        restart_max_s=known.restart_max_s + more_s,
    )
    return replace(settings, latency=latency)


def restarts(scenario: Scenario) -> bool:
    """Whether a component is restarted."""
    return any(isinstance(write, Restart) for write in scenario.writes)


def inflated(replayed: Replayed, more_s: float = CAP_S) -> Replayed:
    """The same, with a reference that allows `more_s` all the time."""
    seconds = QUIET_S[What.OWN_EVICTION] + more_s / RATIO
    return replace(replayed, measured=(Measured(What.OWN_EVICTION, -60.0, 600.0, seconds),))


def figures(results: Sequence[Replayed | Exception]) -> str:
    """What the references of these replays needed, in one line."""
    samples = {m for result in results if isinstance(result, Replayed) for m in result.measured}
    parts = []
    for what in What:
        seconds = sorted(m.seconds for m in samples if m.what is what)
        if seconds:
            parts.append(f"{what} n {len(seconds)} median {seconds[len(seconds) // 2]:.3f} max {seconds[-1]:.3f} s")
    return "; ".join(parts) or "nothing measured"
