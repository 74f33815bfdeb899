"""Where replacements go while faults go on and off: each looks at the nodes as they are when it is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.impact.moments import Moment, Moments
from harness.model.state import ClusterState, Phase, Pod
from harness.semantics.decision import no_execute
from harness.semantics.scheduling import Placement, PlacementOutcome, Request, Scheduler, place_all

_BEFORE_S = -1.0


@dataclass(frozen=True, slots=True)
class Seeker:
    """A pod whose replacement looks for a node from some instant in [`earliest_s`, `latest_s`] on. `due_s`: by which
    it takes its place in the queue.
    """

    pod: Pod
    earliest_s: float
    latest_s: float
    due_s: float


@dataclass(frozen=True, slots=True)
class Placed:
    """`placements` by the pod's key, of everybody who looked for a node. `idle`: keys of those that were waiting
    before. `by`: who preempted whom, by the key of the one that had to go.
    """

    placements: Mapping[str, Placement]
    idle: tuple[str, ...] = ()
    by: Mapping[str, str] | None = None


def place(
    inventory: ClusterState, rest: Sequence[Pod], seekers: Sequence[Seeker], through: Moments, *, compares: bool
) -> Placed:
    """Place the replacements of `seekers`. `rest`: the pods that do not leave. `compares`: see `Scheduler`.

    Within a moment they are placed as `place_all` does. What was placed in one stays there in the next, and what found
    no node looks again; but the answer is that of the first look. Where it hangs on the moment of a look whose instant
    is not known that well, it is unknown.
    """
    waiting = [p for p in rest if not p.node and not p.deleting and not p.finished and not p.template.gates]
    due: dict[int, list[Request]] = {0: [Request(pod.key, pod.template, _BEFORE_S) for pod in waiting]}
    for seeker in seekers:
        request = Request(seeker.pod.key, seeker.pod.template, seeker.due_s)
        due.setdefault(through.at(seeker.earliest_s), []).append(request)
    looks = _Looks(inventory, rest, {pod.key: pod for pod in (*waiting, *(s.pod for s in seekers))}, compares=compares)
    last = max((through.at(seeker.latest_s) for seeker in seekers), default=0)
    for number in range(last + 1):
        looks.at(number, through.all[number], due.get(number, []))
    doubts = {s.pod.key: _doubt(s, looks.answers[s.pod.key], through) for s in seekers if len(through.all) > 1}
    placements = {
        key: _unless(answers[min(answers)], doubts.get(key, "")) for key, answers in looks.answers.items() if answers
    }
    return Placed(placements, tuple(pod.key for pod in waiting), looks.preempted_by)


class _Looks:
    """One look for nodes after the other, moment by moment.

    `answers`: by the pod's key, then by the number of the moment. `preempted_by`: see `Placed.by`.
    """

    def __init__(
        self, inventory: ClusterState, rest: Sequence[Pod], coming: Mapping[str, Pod], *, compares: bool
    ) -> None:
        self._inventory = inventory
        self._bound = rest
        self._coming = dict(coming)
        self._compares = compares
        self._placed: Mapping[str, Placement] = {}
        self._left_over: list[str] = []
        self.answers: dict[str, dict[int, Placement]] = {}
        self.preempted_by: dict[str, str] = {}

    def at(self, number: int, moment: Moment, due: Sequence[Request]) -> None:
        """All who are due in the moment look, and those that found nothing before."""
        self._settle()
        again = [Request(key, self._coming[key].template, moment.since_s) for key in self._left_over]
        requests = [*due, *again]
        if not requests:
            return
        engine = Scheduler(replace(self._inventory, nodes=moment.nodes), self._bound, compares=self._compares)
        self._placed = place_all(engine, requests, staying=self._bound, budgets=self._inventory.budgets).placements
        for key, placement in self._placed.items():
            self.answers.setdefault(key, {})[number] = placement
            self.preempted_by.update(dict.fromkeys(placement.victims, key))

    def _settle(self) -> None:
        """What the last look came to is how the cluster is now."""
        placed, self._placed = self._placed, {}
        if not placed:
            return
        self._coming.update((pod.key, pod) for pod in self._bound if pod.key in placed)
        stay = [pod for pod in self._bound if pod.key not in placed and pod.key not in self.preempted_by]
        moved_in = [
            replace(self._coming[key], node=placement.node, phase=Phase.RUNNING)
            for key, placement in placed.items()
            if placement.node is not None
        ]
        self._left_over = [key for key, placement in placed.items() if placement.node is None]
        waiting = [replace(self._coming[key], node="", phase=Phase.PENDING) for key in self._left_over]
        self._bound = [*stay, *moved_in, *waiting]


def _doubt(seeker: Seeker, answers: Mapping[int, Placement], through: Moments) -> str:
    """Why the answer of the first look may not be the one that counts; "" when it is."""
    first, last = through.at(seeker.earliest_s), through.at(seeker.latest_s)
    answer = answers[first]
    at_s = through.all[min(first + 1, len(through.all) - 1)].since_s
    if answer.node is None:
        if all(answers[number].fate is answer.fate for number in range(first, last + 1)):
            return ""
        return f"it may look before or after the nodes change at {at_s:g} s: before, {answer.reason}"
    there = [moment.by_name[answer.node] for moment in through.all]
    moved = answer.fate is PlacementOutcome.PREEMPTS and first != last
    if moved or any(there[number] != there[first] for number in range(first, last + 1)):
        return f"it may look before or after the nodes change at {at_s:g} s: before, it takes node {answer.node}"
    then = set(no_execute(there[first].taints))
    for number in range(last + 1, len(there)):
        if set(no_execute(there[number].taints)) - then:
            return f"it fits on node {answer.node}, which gets another taint at {through.all[number].since_s:g} s"
    return ""


def _unless(answer: Placement, doubt: str) -> Placement:
    """The answer, or why there is none."""
    return replace(answer, fate=PlacementOutcome.UNKNOWN, reason=doubt) if doubt else answer
