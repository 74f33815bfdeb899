"""Each pod against its own interval; each verdict has a twin that must not get it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.check.evictions import eviction_rows, judge_evictions
from harness.model import events
from harness.model.plan import Prediction
from harness.model.taints import Effect, Taint, Toleration
from harness.model.verdicts import PodVerdict, Verdict
from harness.semantics.eviction.settings import BUSY, Settings
from reports.evictions import planned_otherwise, replanned
from tests.pure.records import FOREVER, NODE, SPOT, MadePod, MadeRun, S, node_seen

FIVE = Toleration(key="spot", value="x", effect=Effect.NO_EXECUTE, seconds=5)
FORTY = replace(FIVE, seconds=40)
GAP = events.WatchGap("pods", int(17.5 * S), "connection reset")

CASES = {
    "no toleration, leaves at once": (MadePod("p", leaves_at=13.1), PodVerdict.ON_TIME),
    "no toleration, leaves before the acknowledgement by a hair": (MadePod("p", leaves_at=12.995), PodVerdict.ON_TIME),
    "no toleration, leaves 3 s late": (MadePod("p", leaves_at=16.0), PodVerdict.LATE),
    "no toleration, stays": (MadePod("p"), PodVerdict.SURVIVED_WRONGLY),
    "5 s, leaves after 5": (MadePod("p", (FIVE,), leaves_at=18.05), PodVerdict.ON_TIME),
    "5 s, leaves after 4.9": (MadePod("p", (FIVE,), leaves_at=17.9), PodVerdict.EARLY),
    "5 s, leaves after 8": (MadePod("p", (FIVE,), leaves_at=21.0), PodVerdict.LATE),
    "5 s, stays": (MadePod("p", (FIVE,)), PodVerdict.SURVIVED_WRONGLY),
    "5 s, somebody else deletes it after 2": (MadePod("p", (FIVE,), leaves_at=15.0, reason=None), PodVerdict.UNKNOWN),
    "40 s, the taint is gone by then": (MadePod("p", (FORTY,)), PodVerdict.SURVIVED),
    "40 s, leaves all the same": (MadePod("p", (FORTY,), leaves_at=53.0), PodVerdict.EVICTED_WRONGLY),
    "for ever, stays": (MadePod("p", (FOREVER,)), PodVerdict.SURVIVED),
    "for ever, leaves": (MadePod("p", (FOREVER,), leaves_at=13.1), PodVerdict.EVICTED_WRONGLY),
    "for ever, drained by somebody": (
        MadePod("p", (FOREVER,), leaves_at=20.0, reason="EvictionByEvictionAPI"),
        PodVerdict.UNKNOWN,
    ),
    "for ever, removed with the workload at the end": (MadePod("p", (FOREVER,), leaves_at=64.2), PodVerdict.SURVIVED),
}


@pytest.mark.parametrize(("pod", "expected"), CASES.values(), ids=CASES.keys())
def test_pod_verdict(pod: MadePod, expected: PodVerdict) -> None:
    (row,) = eviction_rows(MadeRun([pod]).record())
    assert row.verdict is expected, row.reason


BLIND = {
    "the whole gap lies in the interval": (18.0, 18.1, PodVerdict.ON_TIME),
    "it may have left before": (17.0, 18.1, PodVerdict.UNKNOWN),
    "it may have left after": (18.0, 25.0, PodVerdict.UNKNOWN),
}


@pytest.mark.parametrize(("since", "at", "expected"), BLIND.values(), ids=BLIND.keys())
def test_a_deletion_in_a_gap_counts_only_if_no_instant_of_it_would_be_wrong(
    since: float, at: float, expected: PodVerdict
) -> None:
    pod = MadePod("p", (FIVE,), leaves_at=at, relisted=True)
    gap = events.WatchGap("pods", int(since * S), "connection reset")
    (row,) = eviction_rows(MadeRun([pod], extra=[(at, gap)]).record())
    assert row.verdict is expected, row.reason


def judged(run: MadeRun) -> Verdict:
    """The check's verdict."""
    record = run.record()
    return judge_evictions(eviction_rows(record), record).verdict


def test_no_pod_on_the_target_is_inconclusive() -> None:
    assert judged(MadeRun([MadePod("p", node="elsewhere")])) is Verdict.INCONCLUSIVE


def test_nothing_injected_is_inconclusive() -> None:
    assert judged(MadeRun([MadePod("p")], injected=False)) is Verdict.INCONCLUSIVE


def test_one_wrong_pod_among_many_right_ones_fails() -> None:
    right = [MadePod(f"p{i}", leaves_at=13.1) for i in range(5)]
    assert judged(MadeRun(right)) is Verdict.PASS
    assert judged(MadeRun([*right, MadePod("wrong")])) is Verdict.FAIL


def test_a_pod_that_comes_to_the_target_during_the_fault_is_judged_from_its_coming() -> None:
    ping = MadePod("ping", (FIVE,), seen_at=0.5, leaves_at=18.02, gone_at=18.5)
    pong = MadePod("pong", (FIVE,), seen_at=18.2, leaves_at=23.25)
    rows = {row.pod: row for row in eviction_rows(MadeRun([ping, pong]).record())}
    assert rows["default/pong"].verdict is PodVerdict.ON_TIME, rows["default/pong"].reason
    too_soon = replace(pong, leaves_at=20.0)
    rows = {row.pod: row for row in eviction_rows(MadeRun([ping, too_soon]).record())}
    assert rows["default/pong"].verdict is PodVerdict.EARLY


GPU = Taint("gpu", Effect.NO_EXECUTE)


def planned(outcome: str, *bounds: float) -> tuple[Prediction, ...]:
    """What the plan foresaw for the pod ``p``."""
    earliest_s, latest_s = bounds or (None, None)
    return (Prediction("default/p", "uid-p", NODE, outcome, earliest_s, latest_s, "rule", "because"),)


@pytest.mark.parametrize(("leaves_at", "verdict"), [(15.1, PodVerdict.ON_TIME), (None, PodVerdict.SURVIVED_WRONGLY)])
def test_what_follows_from_the_taint_of_another_actor(leaves_at: float | None, verdict: PodVerdict) -> None:
    taken = node_seen("MODIFIED", (SPOT, GPU), version="theirs")
    pod = MadePod("p", (FOREVER,), leaves_at=leaves_at)
    (row,) = eviction_rows(MadeRun([pod], extra=[(15.0, taken)], predictions=planned("survives")).record())
    assert row.verdict is verdict, row.reason
    assert (row.planned, row.planned_s) == ("survives", None)
    assert row.predicted_s is not None
    assert row.predicted_s[0] == pytest.approx(2.0, abs=0.05)
    assert planned_otherwise(row) == "stays"


@pytest.mark.parametrize(("leaves_at", "verdict"), [(None, PodVerdict.SURVIVED), (18.1, PodVerdict.EVICTED_WRONGLY)])
def test_what_follows_when_another_actor_takes_the_taint_off(leaves_at: float | None, verdict: PodVerdict) -> None:
    bare = node_seen("MODIFIED", (), version="theirs")
    pod = MadePod("p", (FIVE,), leaves_at=leaves_at)
    made = MadeRun([pod], extra=[(15.0, bare)], predictions=planned("evicted", 5.0, 6.0))
    (row,) = eviction_rows(made.record())
    assert row.verdict is verdict, row.reason
    assert (row.planned_s, row.predicted_s) == ((5.0, 6.0), None)
    assert planned_otherwise(row) == "5 – 6 s"


@pytest.mark.parametrize(("takes", "verdict"), [(0.3, PodVerdict.ON_TIME), (0.01, PodVerdict.EARLY)])
def test_a_controller_may_act_on_a_write_before_it_is_acknowledged(takes: float, verdict: PodVerdict) -> None:
    pod = MadePod("p", (FIVE,), leaves_at=17.8)
    (row,) = eviction_rows(MadeRun([pod], taint_takes=takes).record())
    assert row.verdict is verdict, row.reason


@pytest.mark.parametrize(("node", "expected"), [(NODE, PodVerdict.EARLY), ("n2", PodVerdict.ON_TIME)])
def test_a_slow_write_to_one_node_excuses_no_pod_of_another(node: str, expected: PodVerdict) -> None:
    """The taint on n1 took 10 ms, that on n2 90 ms; a pod of either leaves 0.08 s before its five seconds are over."""
    acknowledged = {NODE: 13.0, "n2": 13.2}[node]
    pod = MadePod("p", (FIVE,), node=node, leaves_at=acknowledged + 5 - 0.08)
    second = [
        (0.1, replace(node_seen("LISTED", ()), name="n2", uid="uid-n2")),
        (13.11, events.StepInvoked("inject-n2", "inject", "n2")),
        (13.2, events.StepDone("inject-n2", {"resourceVersion": "rv-n2"})),
        (13.201, replace(node_seen("MODIFIED", (SPOT,), version="rv-n2"), name="n2", uid="uid-n2")),
    ]
    record = MadeRun([pod], extra=second).record()
    steps = (*record.plan.steps, replace(record.plan.steps[0], id="inject-n2", subject="n2"))
    (row,) = eviction_rows(replace(record, plan=replace(record.plan, targets=(NODE, "n2"), steps=steps)))
    assert row.verdict is expected, row.reason


@pytest.mark.parametrize(("leaves_at", "verdict"), [(None, PodVerdict.SURVIVED), (18.1, PodVerdict.EVICTED_WRONGLY)])
def test_who_was_bound_when_the_taint_was_gone_stays(leaves_at: float | None, verdict: PodVerdict) -> None:
    bare = node_seen("MODIFIED", (), version="theirs")
    pod = MadePod("p", leaves_at=leaves_at, seen_at=14.0, bound_at=15.004)
    there = MadePod("there", (FOREVER,))
    made = MadeRun([pod, there], extra=[(15.0, bare)], settings=Settings(latency=BUSY))
    rows = {row.pod: row for row in eviction_rows(made.record())}
    assert rows["default/p"].verdict is verdict, rows["default/p"].reason


@pytest.mark.parametrize(
    ("tolerations", "leaves_at", "verdict"),
    [
        pytest.param((), 15.03, PodVerdict.UNKNOWN, id="the controller had not seen the taint go"),
        pytest.param((), 16.2, PodVerdict.EVICTED_WRONGLY, id="it had a second to see it"),
        pytest.param((FOREVER,), 15.03, PodVerdict.EVICTED_WRONGLY, id="the taint was none for this pod"),
    ],
)
def test_who_is_bound_as_the_taint_goes_may_meet_a_controller_that_still_has_it(
    tolerations: tuple[Toleration, ...], leaves_at: float, verdict: PodVerdict
) -> None:
    """Seen on a real control plane: bound 2 ms after the node's line, evicted within the same millisecond; it was
    called "evicted wrongly".
    """
    bare = node_seen("MODIFIED", (), version="theirs")
    pod = MadePod("p", tolerations, leaves_at=leaves_at, seen_at=14.0, bound_at=15.004)
    made = MadeRun([pod, MadePod("there", (FOREVER,))], extra=[(15.0, bare)], settings=Settings(latency=BUSY))
    rows = {row.pod: row for row in eviction_rows(made.record())}
    assert rows["default/p"].verdict is verdict, rows["default/p"].reason


@pytest.mark.parametrize(
    ("bound_version", "verdict"), [("1454", PodVerdict.SURVIVED), ("1452", PodVerdict.SURVIVED_WRONGLY)]
)
def test_two_watches_tell_nothing_of_the_order_between_their_lines(bound_version: str, verdict: PodVerdict) -> None:
    """A pod was bound because the taint was off; the pod's line came 56 ms before the node's. On a busy control plane
    that was called "survived wrongly". Revisions of etcd tell which was first.
    """
    bare = node_seen("MODIFIED", (), version="1453")
    pod = MadePod("p", seen_at=14.0, bound_at=14.944, bound_version=bound_version)
    made = MadeRun([pod, MadePod("there", (FOREVER,))], extra=[(15.0, bare)], settings=Settings(latency=BUSY))
    rows = {row.pod: row for row in eviction_rows(made.record())}
    assert rows["default/p"].verdict is verdict, rows["default/p"].reason


def test_what_came_as_planned_needs_no_word() -> None:
    (row,) = eviction_rows(MadeRun([MadePod("p", leaves_at=13.1)], predictions=planned("evicted", 0.0, 1.0)).record())
    assert planned_otherwise(row) == ""
    (newcomer,) = eviction_rows(MadeRun([MadePod("p", leaves_at=13.1)]).record())
    assert planned_otherwise(newcomer) == "not in the plan"
    assert replanned([row, newcomer]) == "1 pod came later"


def test_replacements_are_matched_by_owner_and_order() -> None:
    old = [MadePod(f"old{i}", leaves_at=13.1 + i / 100) for i in range(2)]
    new = [MadePod(f"new{i}", seen_at=13.2 + i / 100, node="n2") for i in range(2)]
    other = MadePod("other", owner="db", seen_at=13.15, node="n2")
    rows = {row.pod: row for row in eviction_rows(MadeRun([*old, *new, other]).record())}
    assert rows["default/old0"].replacement == "default/new0"
    assert rows["default/old1"].replacement == "default/new1"
    assert rows["default/old1"].replacement_ready_s == pytest.approx(0.21)
