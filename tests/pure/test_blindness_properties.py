"""Whatever was not seen, a firm verdict is the one that full sight would have given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.check.evictions import eviction_rows
from harness.check.judge import judge
from harness.check.latency import latency_of_run
from harness.check.record import RunRecord
from harness.model import events
from harness.model.taints import Effect, Taint, Toleration
from harness.model.verdicts import PodVerdict, Verdict
from harness.model.words import Change
from tests.pure.records import CLOSED, FOREVER, SPOT, MadePod, MadeRun, S, node_seen

GPU = Taint("gpu", Effect.NO_EXECUTE)
FIVE = Toleration(key="spot", value="x", effect=Effect.NO_EXECUTE, seconds=5)
SAME_ENDS = 0.002


@dataclass(frozen=True)
class Gap:
    """When a watch was blind. `lossy`: it was lost, and a list tells the rest; else the harness stood still."""

    start: float
    end: float
    lossy: bool

    def holds(self, at: float) -> bool:
        """Whether what happens then is learnt at the gap's end."""
        return self.start < at <= self.end


def seconds(low: float, high: float) -> st.SearchStrategy[float]:
    """Milliseconds as seconds, so that examples can be read."""
    return st.integers(round(low * 1000), round(high * 1000)).map(lambda ms: ms / 1000)


def gap_lists() -> st.SearchStrategy[list[Gap]]:
    """Up to three gaps that do not overlap, most of them where things happen."""
    one = st.tuples(seconds(12, 20) | seconds(8, 60), seconds(0.05, 4) | seconds(0.05, 12), st.booleans())

    def apart(drawn: list[tuple[float, float, bool]]) -> list[Gap]:
        out: list[Gap] = []
        for start, length, lossy in sorted(drawn):
            if not out or start > out[-1].end + 0.01:
                out.append(Gap(start, min(start + length, CLOSED - 0.1), lossy))
        return out

    return st.lists(one, max_size=3).map(apart)


def told_at(at: float, gaps: Sequence[Gap]) -> tuple[float, Gap | None]:
    """When something that happens at `at` is learnt."""
    gap = next((gap for gap in gaps if gap.holds(at)), None)
    return (at, None) if gap is None else (gap.end, gap)


def gap_facts(gaps: Sequence[Gap], resource: str) -> list[tuple[float, events.Fact]]:
    """The gaps as the observer writes them."""
    return [
        (gap.end + 1e-4, events.WatchGap(resource if gap.lossy else "*", round(gap.start * S), "?", round(gap.end * S)))
        for gap in gaps
    ]


@dataclass(frozen=True)
class Truth:
    """One pod and what really happened. `gpu`: when somebody put another NoExecute taint on the node, and took it off
    again.
    """

    tolerations: tuple[Toleration, ...]
    leaves: float | None
    lives_on: float
    gpu: tuple[float, float] | None

    def run(self, pods: Sequence[Gap] = (), nodes: Sequence[Gap] = (), dead_from: float | None = None) -> MadeRun:
        """The run as it was seen through these gaps of the pod and node watches."""
        # A standstill is one of the whole process.
        standstills = [gap for gap in [*pods, *nodes] if not gap.lossy]
        pods = [gap for gap in pods if gap.lossy] + standstills
        nodes = [gap for gap in nodes if gap.lossy] + standstills
        facts = gap_facts([gap for gap in pods if gap.lossy], "pods") + gap_facts(nodes, "nodes")
        facts += self._node_facts(nodes)
        closing: dict[str, events.ClosingList | None] = {}
        if dead_from is not None:
            facts.append((dead_from, events.WatchLost("pods", round(dead_from * S), "503")))
            closing["pods"] = events.ClosingList("pods", False, message="503")
        pod = MadePod("p", self.tolerations)
        if self.leaves is not None:
            gone = self.leaves + self.lives_on
            seen, gap = told_at(self.leaves, pods)
            dead = dead_from is not None and seen > dead_from
            if gap is not None and gap.lossy and gap.holds(gone):
                vanished = pod.seen("VANISHED")
                facts += [] if dead else [(seen, vanished)]
                closing.setdefault("pods", events.ClosingList("pods", True))
            elif not dead:
                pod = replace(
                    pod,
                    leaves_at=seen,
                    accepted_at=self.leaves,
                    relisted=gap is not None and gap.lossy,
                )
        return MadeRun([pod], extra=facts, closing=closing)

    def _node_facts(self, gaps: Sequence[Gap]) -> list[tuple[float, events.Fact]]:
        if self.gpu is None:
            return []
        put, taken = self.gpu
        put_seen, put_gap = told_at(put, gaps)
        taken_seen, taken_gap = told_at(taken, gaps)
        on = node_seen("MODIFIED", (SPOT, GPU), version="theirs-1", by="kubectl")
        off = node_seen("MODIFIED", (SPOT,), version="theirs-2", by="kubectl")
        if put_gap is not None and put_gap.lossy and put_gap is taken_gap:
            return [(put_seen, replace(off, change=Change.LISTED))]
        return [(put_seen, on), (taken_seen + (SAME_ENDS if taken_seen == put_seen else 0.0), off)]


LEAVES = st.none() | seconds(13.0, 14.0) | seconds(16.5, 18.0) | seconds(18.0, 18.3) | seconds(14.0, 22.0)
GPU_THERE = st.tuples(seconds(13.5, 18), seconds(0.1, 3) | seconds(3, 20)).map(lambda pair: (pair[0], sum(pair)))


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    """A pod that leaves for one of the two taints, at about the right time, or not at all."""
    gpu = draw(st.none() | GPU_THERE)
    leaves = draw(LEAVES)
    if gpu is not None and draw(st.booleans()):
        leaves = gpu[0] + draw(seconds(0.0, 0.4))
    return Truth(draw(st.sampled_from([(), (FIVE,), (FOREVER,)])), leaves, draw(seconds(0.2, 5)), gpu)


TRUTHS = truths()
LEFT_TOO_SOON = {PodVerdict.EARLY, PodVerdict.EVICTED_WRONGLY}
"""One and the same wrong: which of them it is depends on what happened after the pod had left."""


def agrees(blind: PodVerdict, clear: PodVerdict) -> bool:
    """Nothing was claimed that full sight denies."""
    return blind in (clear, PodVerdict.UNKNOWN) or {blind, clear} == LEFT_TOO_SOON


def by_the_same_clock(clear: RunRecord, seen: RunRecord) -> RunRecord:
    """`clear` with what the machine of `seen` is allowed: how much time a busy one gets is another test's (latency);
    here it is what was seen that differs.
    """
    latency = latency_of_run(seen.index, seen.settings.latency).latency
    return replace(clear, settings=replace(clear.settings, latency=latency))


CALM = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@CALM
@given(truth=TRUTHS, pods=gap_lists(), nodes=gap_lists())
def test_a_firm_verdict_is_the_true_one(truth: Truth, pods: list[Gap], nodes: list[Gap]) -> None:
    seen = truth.run(pods, nodes).record()
    (clear,) = eviction_rows(by_the_same_clock(truth.run().record(), seen))
    (blind,) = eviction_rows(seen)
    assert agrees(blind.verdict, clear.verdict), f"{blind.reason}; in truth: {clear.reason}"


@CALM
@given(truth=TRUTHS, dead_from=seconds(13.1, 60))
def test_a_watch_that_dies_for_good_never_passes_and_never_accuses_wrongly(truth: Truth, dead_from: float) -> None:
    (clear,) = eviction_rows(truth.run().record())
    record = truth.run(dead_from=dead_from).record()
    (blind,) = eviction_rows(record)
    assert agrees(blind.verdict, clear.verdict), f"{blind.reason}; in truth: {clear.reason}"
    assert judge(record).verdict is not Verdict.PASS
