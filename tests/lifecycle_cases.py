"""What the node lifecycle controller makes of heartbeats, conditions and zones: scenarios with hand-made expectations.

Write scripts have no words for these causes, so they are values here. Constants of upstream: grace period 50 s, lease
every 10 s, pass every 5 s, one node tainted per zone and 10 s, at most 0.1 s until the queue is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.scenario import (
    ConditionStatus,
    ConditionType,
    CreatePod,
    DeleteNode,
    Restart,
    Scenario,
    ScenarioNode,
    ScenarioPod,
    SetCondition,
    SetTaints,
    StartHeartbeat,
    StopHeartbeat,
    Write,
)
from harness.model.taints import Effect, Operator, Taint, Toleration
from harness.model.wellknown import NOT_READY, UNREACHABLE
from harness.semantics.eviction import Forecast

NO_EXECUTE = Effect.NO_EXECUTE
LATENCY_S = 0.5
"""What any deletion may take beyond the instant it is due."""


def default_tolerations(seconds: int = 300) -> tuple[Toleration, ...]:
    """What DefaultTolerationSeconds adds."""
    return tuple(Toleration(key, Operator.EXISTS, "", NO_EXECUTE, seconds) for key in (NOT_READY, UNREACHABLE))


@dataclass(frozen=True, slots=True)
class Case:
    """`expect`: pod to (outcome, earliest, latest); it begins at the one and ends at most 0.5 s before the other."""

    id: str
    scenario: Scenario
    expect: dict[str, tuple[str, float | None, float | None]]


def _case(
    name: str, *, zones: dict[str, int], writes: tuple[Write, ...], until_s: float, seconds: int = 300, **expect: object
) -> Case:
    """Nodes ``<zone>0``, ``<zone>1`` ... of each zone, each with a pod of its name that has the default tolerations."""
    nodes = tuple(
        ScenarioNode(f"{zone}{number}", {"topology.kubernetes.io/zone": zone})
        for zone, count in zones.items()
        for number in range(count)
    )
    pods = tuple(ScenarioPod(node.name, node.name, default_tolerations(seconds)) for node in nodes)
    wanted: dict[str, tuple[str, float | None, float | None]] = {}
    for pod, value in expect.items():
        if isinstance(value, str):
            wanted[pod] = (value, None, None)
        elif isinstance(value, tuple):
            wanted[pod] = ("evicted", *value)
    return Case(name, Scenario(nodes, pods, writes, until_s), wanted)


def _silent(*names: str, at_s: float = 0.0) -> tuple[Write, ...]:
    return tuple(StopHeartbeat(at_s, name) for name in names)


READY, FALSE, TRUE = ConditionType.READY, ConditionStatus.FALSE, ConditionStatus.TRUE

CASES = (
    # Unknown after 40 to 60 s, NoExecute in that pass or the next: 300 s later the pod goes.
    _case(
        "node-loss",
        zones={"a": 3},
        writes=_silent("a0"),
        until_s=500,
        a0=(340.0, 365.1 + LATENCY_S),
        a1="survives",
        a2="survives",
    ),
    _case(
        "node-loss-later",
        zones={"a": 3},
        writes=_silent("a0", at_s=12.3),
        until_s=500,
        a0=(352.3, 377.4 + LATENCY_S),
        a1="survives",
    ),
    _case("node-loss-not-yet", zones={"a": 3}, writes=_silent("a0"), until_s=330, a0="survives"),
    _case(
        "node-back-in-time",
        zones={"a": 3},
        writes=(*_silent("a0"), StartHeartbeat(200.0, "a0")),
        until_s=600,
        a0="survives",
    ),
    _case(
        "node-back-before-anybody-noticed",
        zones={"a": 3},
        writes=(*_silent("a0"), StartHeartbeat(20.0, "a0")),
        until_s=600,
        seconds=0,
        a0="survives",
    ),
    # Two of three: Normal. The second one waits 10 s for its token, and nobody knows which it is.
    _case(
        "two-of-three",
        zones={"a": 3},
        writes=_silent("a0", "a1"),
        until_s=500,
        a0=(340.0, 375.1 + LATENCY_S),
        a1=(340.0, 375.1 + LATENCY_S),
        a2="survives",
    ),
    _case(
        "one-of-each-zone",
        zones={"a": 3, "b": 3},
        writes=_silent("a0", "b0"),
        until_s=500,
        a0=(340.0, 365.1 + LATENCY_S),
        b0=(340.0, 365.1 + LATENCY_S),
    ),
    # Four of five in a small zone: rate 0. One may be tainted before the rate drops; which, nobody knows.
    _case(
        "small-zone-partly-disrupted",
        zones={"a": 5},
        writes=_silent("a0", "a1", "a2", "a3"),
        until_s=600,
        a0="unsure",
        a3="unsure",
        a4="survives",
    ),
    # One at a time: the third to fall makes it 3 of 4. The first two are tainted by then.
    _case(
        "zone-disrupted-after-the-first-two",
        zones={"a": 4},
        writes=(*_silent("a0"), *_silent("a1", at_s=100.0), *_silent("a2", at_s=200.0)),
        until_s=900,
        a0=(340.0, 365.1 + LATENCY_S),
        a1=(440.0, 465.1 + LATENCY_S),
        a3="survives",
    ),
    _case(
        "a-whole-zone-but-not-all",
        zones={"a": 1, "b": 3},
        writes=_silent("a0"),
        until_s=500,
        a0=(340.0, 365.1 + LATENCY_S),
        b0="survives",
    ),
    # Master disruption mode: what was put on is taken off again.
    _case(
        "every-node-lost", zones={"a": 3}, writes=_silent("a0", "a1", "a2"), until_s=600, a0="survives", a2="survives"
    ),
    _case("the-only-node-lost", zones={"a": 1}, writes=_silent("a0"), until_s=600, a0="survives"),
    _case(
        "the-last-node-saves-the-others",
        zones={"a": 2},
        writes=(*_silent("a0"), *_silent("a1", at_s=150.0)),
        until_s=900,
        a0="survives",
        a1="survives",
    ),
    # Ready=False is the kubelet's own word: NoExecute on the next pass.
    _case(
        "not-ready",
        zones={"a": 3},
        writes=(SetCondition(10.0, "a0", READY, FALSE),),
        until_s=400,
        a0=(310.0, 315.1 + LATENCY_S),
        a1="survives",
    ),
    Case(
        "not-ready-and-unreachable-are-two-taints",
        Scenario(
            (ScenarioNode("a"), ScenarioNode("b"), ScenarioNode("c")),
            (ScenarioPod("p", "a", (default_tolerations(20)[0], default_tolerations(300)[1])),),
            (SetCondition(10.0, "a", READY, FALSE),),
            100.0,
        ),
        {"p": ("evicted", 30.0, 35.1 + LATENCY_S)},
    ),
    _case(
        "not-ready-zero-seconds",
        zones={"a": 3},
        writes=(SetCondition(10.0, "a0", READY, FALSE),),
        until_s=60,
        seconds=0,
        a0=(10.0, 15.1 + LATENCY_S),
        a1="survives",
    ),
    _case(
        "ready-again-in-time",
        zones={"a": 3},
        writes=(SetCondition(10.0, "a0", READY, FALSE), SetCondition(100.0, "a0", READY, TRUE)),
        until_s=500,
        a0="survives",
    ),
    # not-ready turns into unreachable when heartbeats stop too: one countdown, from the first.
    _case(
        "swap-keeps-the-countdown",
        zones={"a": 3},
        writes=(SetCondition(10.0, "a0", READY, FALSE), StopHeartbeat(20.0, "a0")),
        until_s=500,
        a0=(310.0, 315.1 + LATENCY_S),
    ),
    *(
        _case(
            f"{kind.value}-evicts-nobody",
            zones={"a": 3},
            writes=(SetCondition(10.0, "a0", kind, TRUE),),
            until_s=400,
            seconds=0,
            a0="survives",
        )
        for kind in ConditionType
        if kind is not READY
    ),
    Case(
        "a-lost-node-of-long-ago-keeps-its-taint",
        Scenario(
            (
                ScenarioNode("a", {}, (Taint(UNREACHABLE, NO_EXECUTE),), ConditionStatus.UNKNOWN),
                ScenarioNode("b", {}, (Taint(NOT_READY, NO_EXECUTE),), ConditionStatus.FALSE),
                ScenarioNode("c", {}, (Taint(NOT_READY, NO_EXECUTE),)),
            ),
            (ScenarioPod("on-c", "c", default_tolerations(20)),),
            (
                CreatePod(10.0, ScenarioPod("on-a", "a", default_tolerations(20))),
                CreatePod(10.0, ScenarioPod("on-b", "b", default_tolerations(20))),
            ),
            100.0,
        ),
        {
            "on-a": ("evicted", 30.0, 30.0 + LATENCY_S),
            "on-b": ("evicted", 30.0, 30.0 + LATENCY_S),
            "on-c": ("survives", None, None),
        },
    ),
    # The taint is put back on a node that is still not ready, on the next pass: a new countdown.
    _case(
        "taint-of-a-lost-node-removed-by-hand",
        zones={"a": 3},
        writes=(*_silent("a0"), SetTaints(100.0, "a0", ())),
        until_s=600,
        a0=(400.0, 405.1 + LATENCY_S),
    ),
    _case(
        "handmade-not-ready-short-toleration",
        zones={"a": 3},
        writes=(SetTaints(10.0, "a0", (Taint(NOT_READY, NO_EXECUTE),)),),
        until_s=60,
        seconds=3,
        a0="unsure",
        a1="survives",
    ),
    # A restarted controller has heard of nobody yet: a full grace period from there.
    _case(
        "restart-gives-another-grace-period",
        zones={"a": 3},
        writes=(*_silent("a0"), Restart(30.0)),
        until_s=600,
        a0=(380.3, 392.1 + LATENCY_S),
    ),
    Case(
        "node-deleted-countdown-runs-on",
        Scenario(
            (ScenarioNode("a"), ScenarioNode("b")),
            (ScenarioPod("p", "a", (Toleration("spot", Operator.EXISTS, "", NO_EXECUTE, 20),)),),
            (SetTaints(10.0, "a", (Taint("spot", NO_EXECUTE),)), DeleteNode(12.0, "a")),
            100.0,
        ),
        {"p": ("evicted", 30.0, 30.0 + LATENCY_S)},
    ),
    _case("node-deleted-pod-collected", zones={"a": 3}, writes=(DeleteNode(10.0, "a0"),), until_s=120, a0="deleted"),
    _case(
        "node-deleted-not-yet-collected", zones={"a": 3}, writes=(DeleteNode(10.0, "a0"),), until_s=45, a0="survives"
    ),
)


def disagreements(case: Case, forecast: Forecast) -> list[str]:
    """Where `forecast` says anything else than the case; one line each."""
    found, out = forecast.by_name, []
    for name, (outcome, earliest_s, latest_s) in case.expect.items():
        each = found[name]
        if each.outcome != outcome:
            out.append(f"{name}: {each.outcome}, not {outcome} ({each.rule}: {each.because})")
        elif earliest_s is not None and latest_s is not None:
            begins = each.earliest_s is not None and abs(each.earliest_s - earliest_s) < 0.002
            ends = each.latest_s is not None and latest_s - 0.5 <= each.latest_s <= latest_s
            if not (begins and ends):
                out.append(f"{name}: {each.earliest_s}..{each.latest_s}, not {earliest_s}..{latest_s}")
    return out
