"""The table: each experiment of the library, the defect that must fail it, and what becomes of which pod.

Three worlds for each. `UPSTREAM`: the lab's own taint eviction controller. `OURS`: a lab without it, and
`tests.lab.wrong_controller` in its place, no defect switched on: were it not for this one, a failure would only prove
that our controller is a bad one. `BROKEN`: the same with the defect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tests.lab.wrong_controller_rules import Defect


class World(StrEnum):
    """Who evicts."""

    UPSTREAM = "upstream"
    OURS = "ours"
    BROKEN = "broken"


@dataclass(frozen=True, eq=False)
class Twin:
    """An experiment and the defect that must fail it.

    `right`: what the eviction table says of the pods that were there at the injection, by the name of the pod or its
    Deployment; `wrong`: what it says instead where the rule is broken. `later_right`, `later_wrong`: all that is said
    of the pods that took their places; None where the experiment does not turn on them. `restarts`: it restarts
    kube-controller-manager.
    """

    experiment: str
    defect: Defect
    right: Mapping[str, str]
    wrong: Mapping[str, str]
    later_right: frozenset[str] | None = None
    later_wrong: frozenset[str] | None = None
    nodes: int = 1
    restarts: bool = False


ON_TIME, SURVIVED = "on time", "survived"
EARLY, STAYED, GONE = "early", "survived wrongly", "evicted wrongly"
WAITING = ("waits-5s-1", "waits-5s-2", "waits-20s-1", "waits-20s-2")

TWINS = (
    Twin(
        "02-toleration-seconds",
        Defect.SECONDS_IGNORED,
        right={"none": ON_TIME, "unlimited": SURVIVED, **dict.fromkeys(WAITING, ON_TIME)},
        wrong=dict.fromkeys(WAITING, EARLY),
    ),
    Twin(
        "03-second-taint-keeps-timer",
        Defect.COUNTDOWN_RESET,
        right={"two-keys-1": ON_TIME, "two-keys-2": ON_TIME},
        wrong={"two-keys-1": EARLY, "two-keys-2": EARLY},
    ),
    Twin(
        "04-edited-seconds-ignored",
        Defect.EDITS_HONOURED,
        right={"shortened": ON_TIME, "lengthened": ON_TIME, "untouched": ON_TIME},
        wrong={"shortened": EARLY, "lengthened": STAYED},
    ),
    Twin(
        "05-first-match-wins",
        Defect.LAST_MATCH_WINS,
        right={"blanket-first": SURVIVED, "limit-first": ON_TIME},
        wrong={"blanket-first": GONE, "limit-first": STAYED},
    ),
    Twin(
        "06-restart-restarts-countdown",
        Defect.RESTART_OUTLIVED,
        right={"patient-1": ON_TIME, "patient-2": ON_TIME},
        wrong={"patient-1": EARLY, "patient-2": EARLY},
        restarts=True,
    ),
    Twin(
        "07-eviction-loop",
        Defect.NEWCOMERS_SPARED,
        right={"eviction-loop": ON_TIME},
        wrong={},
        later_right=frozenset({ON_TIME, SURVIVED}),  # those of the last seconds outlive the taint
        later_wrong=frozenset({STAYED}),
    ),
    Twin(
        "08-budget-bypassed",
        Defect.BUDGET_RESPECTED,
        right={"guarded": ON_TIME},
        wrong={"guarded": STAYED},
        nodes=2,
    ),
    Twin(
        "09-noschedule-evicts-nobody",
        Defect.NO_SCHEDULE_EVICTS,
        right={"guarded": SURVIVED},
        wrong={"guarded": GONE},
    ),
    Twin(
        "11-cordon-evicts-nobody",
        Defect.NO_SCHEDULE_EVICTS,  # a cordoned node gets a NoSchedule taint
        right={"guarded": SURVIVED},
        wrong={"guarded": GONE},
    ),
)


@dataclass(frozen=True)
class Case:
    """One experiment in one world."""

    twin: Twin
    world: World

    def __str__(self) -> str:
        """As a test's id."""
        who = self.defect if self.world is World.BROKEN else self.world
        return f"{self.twin.experiment}: {who}"

    @property
    def place(self) -> str:
        """The namespace, the pool and the first part of its nodes' names: no other case has it."""
        return f"{self.twin.experiment[:2]}-{self.world}"

    @property
    def defect(self) -> Defect:
        """What is wrong with the controller for this case."""
        return self.twin.defect if self.world is World.BROKEN else Defect.NONE

    @property
    def words(self) -> dict[str, str]:
        """What the eviction table must say of each pod that was there, by its name or its Deployment's."""
        return {**self.twin.right, **(self.twin.wrong if self.world is World.BROKEN else {})}

    @property
    def later(self) -> frozenset[str] | None:
        """All that it must say of pods that came later; None: anything."""
        return self.twin.later_wrong if self.world is World.BROKEN else self.twin.later_right


CASES = [Case(twin, world) for twin in TWINS for world in World]
