"""Faults that come and go: each replacement looks at the nodes as they are when it is due, and says so when unsure."""

from __future__ import annotations

import pytest

from harness.faults.cordon import CordonFault
from harness.faults.taint import TaintFault
from harness.impact import Impact, Leaving, Replacement, assess, evictions_by
from harness.impact.moments import moments
from harness.impact.planned import Drain, LoseNode
from harness.model.planned_fault import PlannedFault, TimedFault
from harness.model.taints import Effect, Taint
from harness.semantics.eviction.settings import Settings
from harness.semantics.scheduling import PlacementOutcome
from tests.pure.plan_objects import Json, inventory, node, pod, tolerate

SPOT = TaintFault(taint=Taint("spot", Effect.NO_EXECUTE))
GPU = TaintFault(taint=Taint("gpu", Effect.NO_EXECUTE))
CLOSED = TaintFault(taint=Taint("closed", Effect.NO_SCHEDULE))


def on(name: str, fault: PlannedFault, on_s: float = 0.0, off_s: float | None = None) -> TimedFault:
    """The fault on one node."""
    return TimedFault(fault, (name,), on_s, off_s)


def leaves(name: str, after_s: int = 0, **more: object) -> Json:
    """A pod on node s that leaves it so many seconds after the taint spot."""
    seconds = [tolerate("spot", effect="NoExecute", seconds=after_s)] if after_s else []
    return pod(name, "s", **{"owner": f"ReplicaSet/{name}", "tolerations": seconds, **more})  # type: ignore[arg-type]


def impact_of(faults: list[TimedFault], *objects: Json) -> Impact:
    """What becomes of the pods on node s."""
    seen = inventory(node("s"), *objects)
    return assess(seen, faults, ("s",), evictions_by(seen, faults, ("s",), Settings()), Settings())


def leaving(faults: list[TimedFault], *objects: Json) -> dict[str, Leaving]:
    """Those that leave, by name."""
    return {each.pod.name: each for each in impact_of(faults, *objects).leaving}


FITS, PENDING, UNKNOWN = PlacementOutcome.FITS, PlacementOutcome.PENDING, PlacementOutcome.UNKNOWN
SHUT = TaintFault(taint=Taint("shut", Effect.NO_SCHEDULE))
TAINTED = [on("s", SPOT), on("s", SHUT)]
"""Whoever leaves node s finds it closed, too: a finite toleration alone would let it go back."""
FATES: dict[str, tuple[list[TimedFault], list[Json], dict[str, PlacementOutcome]]] = {
    "before and after another node is closed": (
        [*TAINTED, on("other", CordonFault(), 20.0)],
        [leaves("early"), leaves("late", 30), node("other")],
        {"early": FITS, "late": PENDING},
    ),
    "before and after it is open again": (
        [*TAINTED, on("other", CLOSED, 0.0, 20.0)],
        [leaves("early"), leaves("late", 30), node("other")],
        {"early": PENDING, "late": FITS},
    ),
    "at an instant that may be before or after": (
        [*TAINTED, on("other", CordonFault(), 20.01)],
        [leaves("p", 20), leaves("q", 20), node("other")],
        {"p": UNKNOWN, "q": UNKNOWN},
    ),
    "once the old one is gone, which may take its grace period": (
        [*TAINTED, on("other", CordonFault(), 20.0)],
        [
            leaves("db-0", owner="StatefulSet/db", grace=30),
            leaves("eb-0", owner="StatefulSet/eb", grace=10),
            node("other"),
        ],
        {"db-0": UNKNOWN, "eb-0": FITS},
    ),
    "before or after, and it is all the same": (
        [*TAINTED, on("else", CordonFault(), 20.01)],
        [leaves("p", 20), node("other"), node("else", cpu="1m")],
        {"p": FITS},
    ),
    "Pending before and after": (
        [*TAINTED, on("else", CordonFault(), 20.01)],
        [leaves("p", 20, cpu="4"), node("other", cpu="1"), node("else", cpu="1")],
        {"p": PENDING},
    ),
    "on a node that is tainted later": (
        [*TAINTED, on("other", GPU, 20.0)],
        [leaves("p"), node("other")],
        {"p": UNKNOWN},
    ),
    "room that an earlier one has taken": (
        [*TAINTED, on("else", CordonFault(), 20.0)],
        [leaves("early", cpu="3"), leaves("late", 30, cpu="3"), node("other"), node("else", cpu="1")],
        {"early": FITS, "late": PENDING},
    ),
    "one that was waiting comes first": (
        [*TAINTED, on("other", CLOSED, 0.0, 20.0)],
        [leaves("early", cpu="3"), leaves("late", 30, cpu="3"), node("other")],
        {"early": PENDING, "late": PENDING},
    ),
}


@pytest.mark.parametrize(("faults", "objects", "fates"), FATES.values(), ids=FATES.keys())
def test_a_replacement_looks_when_it_is_due(
    faults: list[TimedFault], objects: list[Json], fates: dict[str, PlacementOutcome]
) -> None:
    found = leaving(faults, *objects)
    assert {name: each.placement and each.placement.fate for name, each in found.items()} == fates
    for each in found.values():
        assert each.placement is not None
        assert bool(each.placement.reason) is (each.placement.fate is not FITS)


def test_a_replacement_may_be_preempted_by_a_later_one() -> None:
    """Each answer is that of the first look; who had to make room for whom is kept."""
    faults = [*TAINTED, on("else", CordonFault(), 20.0)]
    weak, strong = leaves("weak", cpu="3"), leaves("strong", 30, cpu="3", priority=1000)
    small = pod("small", "other", owner="ReplicaSet/small", cpu="1")
    found = impact_of(faults, weak, strong, small, node("other"), node("else", cpu="1m"))
    fates = {each.pod.name: each.placement.fate for each in found.leaving if each.placement}
    assert fates == {"weak": FITS, "strong": PlacementOutcome.PREEMPTS}
    assert [(each.pod.name, each.by) for each in found.displaced] == [("weak", "default/strong")]


def test_a_pod_that_is_thrown_out_in_one_moment_is_gone_in_the_next() -> None:
    faults = [*TAINTED, on("else", CordonFault(), 20.0)]
    strong, late = leaves("strong", cpu="3", priority=1000), leaves("late", 30, cpu="1")
    weak = pod("weak", "other", owner="ReplicaSet/weak", cpu="3")
    found = impact_of(faults, strong, late, weak, node("other"), node("else", cpu="1m"))
    assert {each.pod.name: each.placement.fate for each in found.leaving if each.placement} == {
        "strong": PlacementOutcome.PREEMPTS,
        "late": FITS,
    }
    assert [each.placement and each.placement.fate for each in found.displaced] == [PENDING]


@pytest.mark.parametrize(
    ("off_s", "back"),
    [(None, Replacement.NOT_RECREATED), (20.0, Replacement.EVICT_LOOP)],
    ids=["a taint it does not tolerate comes on then", "such a taint was on before, on a node that it had left"],
)
def test_a_daemonset_comes_back_by_the_taints_of_that_instant(off_s: float | None, back: Replacement) -> None:
    """It tolerates spot for 30 s. Whether gpu is on as well when it leaves decides."""
    agent = leaves("agent", 30, owner="DaemonSet/agent")
    seen = inventory(node("s"), agent)
    alone = evictions_by(seen, [on("s", SPOT)], ("s",), Settings())
    second = on("s", GPU, 25.0) if off_s is None else on("s", GPU, 10.0, off_s)
    [each] = assess(seen, [on("s", SPOT), second], ("s",), alone, Settings()).leaving
    assert each.comes_back is back


def test_what_is_undone_in_time_evicts_nobody() -> None:
    found = impact_of([on("s", SPOT, 0.0, 10.0)], leaves("p", 30), node("other"))
    assert (len(found.leaving), len(found.staying)) == (0, 1)


def test_a_later_drain_is_later() -> None:
    [each] = leaving([on("s", Drain(), 60.0)], leaves("p"), node("other")).values()
    assert (each.prediction.earliest_s, each.prediction.latest_s) == (60.0, 61.0)


def test_a_later_loss_is_later() -> None:
    unreachable = [tolerate("node.kubernetes.io/unreachable", effect="NoExecute", seconds=300)]
    starts_s = [
        leaving([on("s", LoseNode(), at_s)], leaves("p", tolerations=unreachable), node("other"))[
            "p"
        ].prediction.earliest_s
        for at_s in (0.0, 100.0)
    ]
    assert None not in starts_s
    assert 95 <= (starts_s[1] or 0) - (starts_s[0] or 0) <= 105


def test_moments_are_as_many_as_the_nodes_have_states() -> None:
    nodes = inventory(node("s"), node("other")).nodes
    faults = [on("s", SPOT, 0.0, 10.0), on("other", CordonFault(), 10.0), on("s", SPOT, 20.0, 20.0)]
    found = moments(nodes, faults)
    assert [moment.since_s for moment in found.all[1:]] == [10.0]
    assert [found.at(at_s) for at_s in (-1.0, 0.0, 9.99, 10.0, 1e9)] == [0, 0, 0, 1, 1]
    states = [[(len(n.taints), n.unschedulable) for n in moment.nodes] for moment in found.all]
    assert states == [[(1, False), (0, False)], [(0, False), (1, True)]]
