"""What is found by sorting and bisecting is what looking at every pair would find."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harness.check.replacements import with_replacements
from harness.check.stood import _latest_around
from harness.history.index import HistoryIndex
from harness.history.read import History
from harness.history.stories import PodStory, StepRecord, Window, covering, merged, tell_endpoints
from harness.model import events
from harness.model.scenario import CreatePod, ScenarioPod, SetTaints
from harness.model.verdicts import EvictionRow, PodVerdict
from harness.model.words import Action, StepResult
from harness.plan.predict_observed import _EDGE_S, _Tainted

S = 1_000_000_000
INSTANTS = st.integers(0, 40)
SPANS = st.tuples(INSTANTS, INSTANTS).map(lambda pair: Window(*pair))


@given(st.lists(SPANS, max_size=12), INSTANTS)
def test_covering_finds_the_window_that_holds_an_instant(windows: list[Window], t_ns: int) -> None:
    parts = merged(windows)
    assert covering(parts, t_ns) == next((w for w in parts if w.start_ns <= t_ns <= w.end_ns), None)
    for earlier, later in pairwise(parts):
        assert earlier.end_ns < later.start_ns


@given(st.lists(st.tuples(INSTANTS, st.none() | INSTANTS), max_size=12), st.lists(INSTANTS, max_size=12))
def test_the_latest_step_under_way(spans: list[tuple[int, int | None]], instants: list[int]) -> None:
    steps = [
        StepRecord(f"heal-{n}", Action.HEAL, "n1", start, None if length is None else start + length, StepResult.DONE)
        for n, (start, length) in enumerate(spans)
    ]

    def around(at_ns: int) -> int | None:
        found = [s.invoked_ns for s in steps if s.invoked_ns <= at_ns and (s.ended_ns is None or at_ns <= s.ended_ns)]
        return max(found, default=None)

    assert _latest_around(steps, instants) == {at_ns: around(at_ns) for at_ns in instants}


SLICES = st.tuples(INSTANTS, st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 5))


@given(st.lists(SLICES, max_size=20), INSTANTS)
def test_ready_endpoints_are_the_sum_of_the_slices(changes: list[tuple[int, str, str, int]], until_ns: int) -> None:
    seen = [
        (entry, entry.fact)
        for number, (at_ns, service, name, ready) in enumerate(sorted(changes, key=lambda change: change[0]))
        for entry in [
            events.Entry(number, at_ns, "", "t", events.EndpointSeen("MODIFIED", "default", service, name, ready, 0))
        ]
        if isinstance(entry.fact, events.EndpointSeen)
    ]
    expected: dict[tuple[str, str], list[tuple[int, int]]] = {}
    slices: dict[tuple[str, str], dict[str, int]] = {}
    for entry, fact in seen:
        if entry.t_ns <= until_ns:
            key = (fact.namespace, fact.service)
            slices.setdefault(key, {})[fact.slice] = fact.ready
            expected.setdefault(key, []).append((entry.t_ns, sum(slices[key].values())))
    assert tell_endpoints(seen, until_ns) == expected


WRITES = st.tuples(st.integers(0, 20), st.sampled_from(["n1", "n2"]), st.none() | st.integers(0, 9))


@given(st.lists(WRITES, max_size=12), st.integers(0, 20), st.none() | st.integers(0, 9), st.sampled_from([0.0, 1.5]))
def test_a_bound_pod_comes_after_the_taint_writes_before_it(
    writes: list[tuple[int, str, int | None]], at_s: int, revision: int | None, together_s: float
) -> None:
    tainted = [(SetTaints(float(when), node, ()), written) for when, node, written in writes]
    bound = CreatePod(float(at_s), ScenarioPod("default/p", "n1"))

    def before(write: SetTaints, written: int | None) -> bool:
        known = written is not None and revision is not None and write.node == "n1" and written < revision
        return known or write.at_s < at_s + together_s

    near_s = [write.at_s + together_s + _EDGE_S for write, written in tainted if before(write, written)]
    assert _Tainted(tainted, together_s).after(bound, revision) == max((float(at_s), *near_s))


def story(name: str, owner: str, seen_ds: int) -> PodStory:
    """A pod of an owner, first seen at so many tenths of a second."""
    return PodStory("default", name, name, "ReplicaSet", owner, owner, seen_ns=seen_ds * S // 10)


def row(uid: str, observed_ds: int | None) -> EvictionRow:
    """A pod that left at so many tenths of a second, or stayed."""
    observed_s = None if observed_ds is None else observed_ds / 10
    verdict = PodVerdict.SURVIVED if observed_s is None else PodVerdict.ON_TIME
    return EvictionRow(uid, uid, "n1", verdict, "", None, observed_s, None, None, None, None)


POD = st.tuples(st.sampled_from(["", "a", "b"]), st.integers(0, 60), st.none() | st.integers(0, 60))


@given(st.lists(POD, max_size=12), st.integers(0, 20), st.integers(30, 60))
def test_replacements_are_those_of_a_search_through_all(
    pods: list[tuple[str, int, int | None]], zero_ds: int, until_ds: int
) -> None:
    stories = {f"p{n}": story(f"p{n}", owner, seen_ds) for n, (owner, seen_ds, _) in enumerate(pods)}
    rows = [row(f"p{n}", left_ds) for n, (_, _, left_ds) in enumerate(pods)]
    zero_ns, until_ns = zero_ds * S // 10, until_ds * S // 10
    found = {r.uid: r.replacement for r in with_replacements(rows, stories, zero_ns, until_ns)}
    taken: set[str] = set()
    for each in sorted(rows, key=lambda r: (r.observed_s is None, r.observed_s or 0.0)):
        candidates = [
            other
            for other in sorted(stories.values(), key=lambda s: s.seen_ns)
            if other.owner_uid and other.owner_uid == stories[each.uid].owner_uid
            if other.uid != each.uid and other.uid not in taken and each.observed_s is not None
            if zero_ns - S < other.seen_ns <= until_ns
            if other.seen_ns >= zero_ns + int(each.observed_s * S) - S // 20
        ]
        first = candidates[0] if candidates else None
        taken |= {first.uid} if first else set()
        assert found[each.uid] == (first.key if first else None)


def test_the_index_asks_the_history_once() -> None:
    index = HistoryIndex(History(()))
    assert (index.steps, index.phases, index.pods, index.horizon_ns, index.end_ns) == ((), {}, {}, 0, 0)
    assert index.pods is index.pods
    assert index.gaps("pods") == index.unseen("pods") == index.blind("pods") == index.untold("n1") == ()
