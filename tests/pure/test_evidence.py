"""Missing evidence is never a PASS: a run that is good and passes, and its twins with something left out."""

from __future__ import annotations

from array import array
from dataclasses import replace

import pytest

from harness.check.evictions import eviction_rows
from harness.check.judge import judge
from harness.check.record import RunRecord
from harness.check.traffic import traffic_of
from harness.errors import ExitCode
from harness.faults.cordon import CordonFault
from harness.faults.taint import TaintFault
from harness.history.read import History
from harness.model import events
from harness.model.experiment import Expect, Manifest, RecoveryExpectation
from harness.model.plan import Prediction
from harness.model.taints import Effect, Taint, Toleration
from harness.model.verdicts import PodVerdict, Verdict
from harness.model.words import Change
from loadgen.rows import Rows
from tests.pure.records import FOREVER, NODE, SPOT, MadePod, MadeRun, S, node_seen, steady

SERVICE = Manifest("v1", "Service", "web", None, {}, "made.yaml", 1)
FIVE = Toleration(key="spot", value="x", effect=Effect.NO_EXECUTE, seconds=5)


def planned(pod: str, outcome: str) -> Prediction:
    """What the plan foresaw."""
    return Prediction(f"default/{pod}", f"uid-{pod}", NODE, outcome, None, None, "rule", "because")


def good(**changes: object) -> MadeRun:
    """Two pods, one leaves and one stays, traffic, endpoints: all well."""
    slices = [
        (1.0, events.EndpointSeen(Change.LISTED, "default", "web", "web-1", 2, 0)),
        (13.2, events.EndpointSeen(Change.MODIFIED, "default", "web", "web-1", 1, 1)),
        (15.0, events.EndpointSeen(Change.MODIFIED, "default", "web", "web-1", 2, 0)),
    ]
    windows = [(second + 0.5, events.LoadWindow(100, 100, 100, 0, 1.0, 2.0, 0, 0.1, 0.1)) for second in range(1, 63)]
    values: dict = {
        "pods": [MadePod("leaves", leaves_at=13.1, gone_at=15), MadePod("stays", (FOREVER,))],
        "requests": steady(1, 63),
        "expect": Expect(recovery=RecoveryExpectation(10.0)),
        "workload": (SERVICE,),
        "predictions": (planned("leaves", "evicted"), planned("stays", "survives")),
    }
    extra = changes.pop("extra", [])
    assert isinstance(extra, list)
    return MadeRun(**{**values, **changes}, extra=[*slices, *windows, *extra])


WHOLE = good().record()


def verdict(record: RunRecord) -> tuple[Verdict, str]:
    """What it comes to, and why."""
    judgement = judge(record)
    return judgement.verdict, judgement.reason


def test_the_good_run_passes() -> None:
    assert verdict(WHOLE)[0] is Verdict.PASS, verdict(WHOLE)[1]


# --- a folder that lost evidence ---


def without(record: RunRecord, numbers: set[int], *, renumber: bool = False) -> RunRecord:
    """The record without some of its entries."""
    kept = [entry for number, entry in enumerate(record.history.entries) if number not in numbers]
    if renumber:
        kept = [replace(entry, id=number) for number, entry in enumerate(kept)]
    return replace(record, history=History(tuple(kept)))


def numbers_of(kind: type, record: RunRecord = WHOLE) -> list[int]:
    """Where facts of a kind stand."""
    return [number for number, entry in enumerate(record.history.entries) if isinstance(entry.fact, kind)]


@pytest.mark.parametrize("number", range(len(WHOLE.history.entries)))
def test_any_one_fact_left_out_is_noticed(number: int) -> None:
    assert verdict(without(WHOLE, {number}))[0] is Verdict.INVALID


def test_all_load_windows_left_out_is_noticed() -> None:
    result, reason = verdict(without(WHOLE, set(numbers_of(events.LoadWindow))))
    assert (result, reason.split(":")[1].strip()) == (Verdict.INVALID, "record-whole")


@pytest.mark.parametrize("pod", ["leaves", "stays"])
def test_a_pod_of_the_plan_that_nobody_saw_is_not_forgotten(pod: str) -> None:
    sightings = {
        number
        for number in numbers_of(events.PodSeen)
        if getattr(WHOLE.history.entries[number].fact, "name", "") == pod
    }
    record = without(WHOLE, sightings, renumber=True)
    row = next(row for row in eviction_rows(record) if row.pod == f"default/{pod}")
    assert row.verdict is PodVerdict.UNKNOWN
    assert verdict(record)[0] is Verdict.INCONCLUSIVE


def test_a_pod_of_the_plan_that_left_by_itself_before_the_fault_is_not_missed() -> None:
    gone = MadePod("gone", leaves_at=12.5, gone_at=12.6, reason=None)
    run = good(predictions=(planned("gone", "evicted"),))
    run = replace(run, pods=[*run.pods, gone])
    assert verdict(run.record())[0] is Verdict.PASS


def test_a_history_that_goes_on_after_its_end_or_is_torn_is_noticed() -> None:
    entries = WHOLE.history.entries
    late = replace(entries[-1], id=len(entries), fact=events.LatencyMeasured("write-to-watch", 0.1))
    assert verdict(replace(WHOLE, history=History((*entries, late))))[0] is Verdict.INVALID
    assert verdict(replace(WHOLE, history=replace(WHOLE.history, torn=True)))[0] is Verdict.INVALID


def rows_of(keep: list[int], torn: int = 0) -> Rows:
    """The rows with these numbers."""
    whole = WHOLE.rows
    assert whole is not None

    def column(code: str, values: array[int]) -> array[int]:
        return array(code, [values[i] for i in keep])

    return Rows(
        column("q", whole.intended_ns),
        column("q", whole.started_ns),
        column("q", whole.service_ns),
        column("H", whole.status),
        bytes(whole.outcome[i] for i in keep),
        column("I", whole.arrival),
        whole.timeout_ns,
        torn,
    )


N = len(WHOLE.rows or ())
ROWS = {
    "95 % of them": list(range(N * 95 // 100)),
    "70 % of them": list(range(N * 70 // 100)),
    "all but 60 of the fault phase": [i for i in range(N) if not 2000 <= i < 2060],
    "all but the last": list(range(N - 1)),
    "one of them twice": [0, *range(N - 1)],
    "none": [],
}


@pytest.mark.parametrize("keep", ROWS.values(), ids=ROWS.keys())
def test_rows_that_are_missing_are_missed(keep: list[int]) -> None:
    rows = rows_of(keep)
    traffic = traffic_of(rows, start_mono_ns=WHOLE.history.started.mono_ns)
    record = replace(WHOLE, rows=rows, traffic=traffic)
    assert "load-complete" in [row.id for row in judge(record).validity if not row.ok]
    assert verdict(record)[0] is Verdict.INVALID


def test_a_file_of_rows_that_is_cut_within_a_row_is_noticed() -> None:
    assert verdict(replace(WHOLE, rows=rows_of(list(range(N)), torn=5)))[0] is Verdict.INVALID


@pytest.mark.parametrize("summary", [{}, {"due": "many"}, {"due": N, "sent": N, "cpu": None}])
def test_a_summary_that_cannot_be_read_is_invalid(summary: dict[str, object]) -> None:
    judgement = judge(replace(WHOLE, load_summary=summary))
    assert judgement.verdict is Verdict.INVALID
    assert "load-complete" in judgement.reason


# --- closing lists, losses, leftovers ---


FAILED = {
    "pods": events.ClosingList("pods", False, message="429"),
    "nodes": events.ClosingList("nodes", False, message="403"),
    "endpointslices": events.ClosingList("endpointslices", False, message="503"),
}


@pytest.mark.parametrize("resource", FAILED)
@pytest.mark.parametrize("asked", [True, False])
def test_without_a_closing_list_nothing_that_needs_it_passes(resource: str, asked: bool) -> None:
    result, reason = verdict(good(closing={resource: FAILED[resource] if asked else None}).record())
    assert result is Verdict.INCONCLUSIVE, reason


def test_a_pod_that_is_not_in_the_closing_list_did_not_stay_for_certain() -> None:
    record = good(closing={"pods": events.ClosingList("pods", True)}).record()
    row = next(row for row in eviction_rows(record) if row.pod == "default/stays")
    assert row.verdict is PodVerdict.UNKNOWN
    assert verdict(record)[0] is Verdict.INCONCLUSIVE


def test_a_pod_that_survived_wrongly_needs_the_same_proof() -> None:
    for closing, expected in (({}, Verdict.FAIL), ({"pods": FAILED["pods"]}, Verdict.INCONCLUSIVE)):
        assert verdict(good(pods=[MadePod("stays")], predictions=(), closing=closing).record())[0] is expected


@pytest.mark.parametrize("resource", ["pods", "nodes", "endpointslices"])
def test_a_watch_that_was_lost_for_good_never_passes(resource: str) -> None:
    run = good(extra=[(50.0, events.WatchLost(resource, 49 * S, "503"))])
    assert verdict(run.record())[0] is Verdict.INCONCLUSIVE
    run.extra.append((52.0, events.WatchGap(resource, 49 * S, "503", 52 * S)))
    regained = [(52.0, node_seen("LISTED", (), version="n", by="x"))] if resource == "nodes" else []
    run.extra.extend(regained)
    assert verdict(run.record())[0] in (Verdict.PASS, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("resource", ["pods", "endpointslices"])
def test_a_hiccup_of_a_watch_spoils_nothing(resource: str) -> None:
    hiccup: list[tuple[float, events.Fact]] = [
        (30.0, events.WatchLost(resource, 29 * S, "reset")),
        (31.0, events.WatchGap(resource, 29 * S, "reset", 31 * S)),
        (35.0, events.WatchGap("*", 35 * S, "this process stood still", 36 * S)),
    ]
    assert verdict(good(extra=hiccup).record()) == verdict(WHOLE)


def test_a_loss_does_not_hide_a_failure_that_was_seen() -> None:
    pods = [MadePod("late", leaves_at=20.0)]
    run = good(pods=pods, predictions=(), extra=[(50.0, events.WatchLost("pods", 49 * S, "503"))])
    assert verdict(run.record())[0] is Verdict.FAIL


def test_leftovers_of_the_history_are_leftovers() -> None:
    judgement = judge(good(extra=[(65.5, events.Leftover("pod default/x", "held by a finalizer"))]).record())
    assert (judgement.exit_code, judgement.healed) == (ExitCode.HEAL_FAILED, False)
    assert judgement.leftovers == ("pod default/x: held by a finalizer",)


# --- the slices ---


SLICES_BLIND = {
    "over the end of the recovery": (50.0, 63.2, Verdict.INCONCLUSIVE),
    "when the fault began": (12.0, 13.5, Verdict.INCONCLUSIVE),
    "to 20 s after the fault ended": (14.0, 62.9, Verdict.INCONCLUSIVE),
    "to 3 s after the fault ended": (14.0, 46.0, Verdict.PASS),
}


@pytest.mark.parametrize(("start", "end", "expected"), SLICES_BLIND.values(), ids=SLICES_BLIND.keys())
def test_endpoints_are_back_only_when_they_are_seen_to_be(start: float, end: float, expected: Verdict) -> None:
    gap = events.WatchGap("endpointslices", round(start * S), "503", round(end * S))
    judgement = judge(good(extra=[(end, gap)]).record())
    (check,) = [check for check in judgement.checks if check.id == "recovery/pods"]
    assert check.verdict is expected, check.reason
    assert judgement.verdict is expected


# --- the fault stood ---


def fell(*facts: tuple[float, events.Fact], **changes: object) -> str:
    """Why the fault did not stand, "" when it did."""
    run = MadeRun([MadePod("p", (FOREVER,))], extra=list(facts), **changes)  # type: ignore[arg-type]
    found = {row.id: row for row in judge(run.record()).validity}
    assert [row.id for row in found.values() if not row.ok] in ([], ["fault-stood"])
    return "" if found["fault-stood"].ok else found["fault-stood"].measured


OTHER = Taint("spot", Effect.NO_EXECUTE, "y")
KUBECTL = "kubectl-taint 2026-01-01T00:00:14Z"


def test_a_taint_that_stands_stood() -> None:
    assert fell() == ""
    assert fell((20.0, node_seen("MODIFIED", (SPOT, Taint("gpu", Effect.NO_EXECUTE))))) == ""
    assert fell((20.0, node_seen("MODIFIED", ())), (20.9, node_seen("MODIFIED", (SPOT,)))) == ""


def test_a_taint_that_somebody_took_off_names_who_and_when() -> None:
    assert fell((20.0, node_seen("MODIFIED", (), by=""))) == (
        "taint spot=x:NoExecute was removed from node n1 at 20.0 s of the run (for 23.0 of 30.0 s it was off)"
    )
    assert "by kubectl-taint 2026-01-01T00:00:14Z at 20.0 s" in fell(
        (20.0, node_seen("MODIFIED", (OTHER,), by=KUBECTL))
    )


def test_a_taint_with_another_value_is_another_taint() -> None:
    assert "was removed" in fell((20.0, node_seen("MODIFIED", (OTHER,), by=KUBECTL)))


def test_a_cordon_is_looked_at_as_well() -> None:
    assert fell(faults=(CordonFault(),)) == ""
    assert "the cordon was removed" in fell(
        (20.0, node_seen("MODIFIED", (), version="theirs")), faults=(CordonFault(),)
    )


def test_the_second_fault_is_looked_at_as_well() -> None:
    two = (TaintFault(SPOT), TaintFault(Taint("gpu", Effect.NO_EXECUTE)))
    assert fell(faults=two) == ""
    assert "taint gpu:NoExecute was removed" in fell((20.0, node_seen("MODIFIED", (SPOT,))), faults=two)


def test_a_node_that_is_deleted_ends_the_fault() -> None:
    assert fell((20.0, node_seen("DELETED", (SPOT,)))) == (
        "taint spot=x:NoExecute ended early: node n1 was deleted at 20.0 s of the run"
    )


def test_a_lost_claim_is_invalid() -> None:
    assert fell((20.0, events.ClaimLost(NODE, "the annotation is gone"))) == (
        "our undo record on node n1 was gone at 20.0 s of the run: the annotation is gone"
    )


GAP = (30.0, events.WatchGap("nodes", 20 * S, "503", 30 * S))
OURS = "taintlab 2026-01-01T00:00:00Z"
OURS_LATER = "taintlab 2026-01-01T00:09:00Z"
NODE_GAPS = {
    "nothing changed in it": ([], True),
    "a heartbeat": ([node_seen("LISTED", (SPOT,), by=OURS)], True),
    "the same taint by the same manager, later": (
        [node_seen("LISTED", (SPOT,), by="taintlab 2026-01-01T00:09:00Z")],
        True,
    ),
    "the same taint by another": ([node_seen("LISTED", (SPOT,), by=KUBECTL)], False),
    "nobody says who": ([node_seen("LISTED", (SPOT,), by="")], False),
}


@pytest.mark.parametrize(("seen", "stood"), NODE_GAPS.values(), ids=NODE_GAPS.keys())
def test_in_a_gap_it_stood_only_if_nobody_else_wrote(seen: list[events.Fact], stood: bool) -> None:
    why = fell(*[(30.0, fact) for fact in seen], GAP)
    assert (why == "") is stood, why


def test_an_injection_that_failed_on_one_target_is_none() -> None:
    record = MadeRun([MadePod("p", (FOREVER,))], faults=(TaintFault(SPOT), CordonFault())).record()
    refused = [
        replace(entry, fact=events.StepRefused("inject-1", "403"))
        if isinstance(entry.fact, events.StepDone) and entry.fact.step == "inject-1"
        else entry
        for entry in record.history.entries
    ]
    judgement = judge(replace(record, history=History(tuple(refused))))
    assert judgement.verdict is Verdict.INVALID
    assert "injected: inject-1 on n1: refused: 403" in judgement.reason


# --- deletions as intervals ---


def row_of(pod: MadePod, *extra: tuple[float, events.Fact]) -> tuple[PodVerdict, str]:
    """The verdict on one pod."""
    (row,) = eviction_rows(MadeRun([pod], extra=list(extra)).record())
    return row.verdict, row.reason


def still(start: float, end: float) -> tuple[float, events.Fact]:
    """A standstill of the harness."""
    return end, events.WatchGap("*", round(start * S), "this process stood still", round(end * S))


def test_what_the_taint_manager_did_cannot_have_come_before_our_taint() -> None:
    at_once = MadePod("p", leaves_at=13.15)
    assert row_of(at_once, still(12.5, 13.4))[0] is PodVerdict.ON_TIME
    assert row_of(replace(at_once, reason=None), still(12.5, 13.4))[0] is PodVerdict.UNKNOWN
    foreign = node_seen("MODIFIED", (Taint("gpu", Effect.NO_EXECUTE),), version="theirs")
    assert row_of(at_once, (12.8, foreign), still(12.5, 13.4))[0] is PodVerdict.UNKNOWN


def test_a_bound_that_is_certain_is_firm_even_when_blind() -> None:
    assert row_of(MadePod("p", (FIVE,), leaves_at=16.0), still(13.5, 16.0))[0] is PodVerdict.EARLY
    assert row_of(MadePod("p", (FIVE,), leaves_at=20.9), still(20.5, 20.9))[0] is PodVerdict.LATE
    assert row_of(MadePod("p", (FIVE,), leaves_at=18.1), still(18.0, 18.2))[0] is PodVerdict.ON_TIME
    assert row_of(MadePod("p", (FIVE,), leaves_at=18.1), still(15.0, 18.2))[0] is PodVerdict.UNKNOWN


STAMPS = {
    "at once": (18.1, PodVerdict.ON_TIME),
    "within what whole seconds and skew allow": (16.0, PodVerdict.ON_TIME),
    "four seconds late": (14.1, PodVerdict.UNKNOWN),
}


@pytest.mark.parametrize(("accepted", "expected"), STAMPS.values(), ids=STAMPS.keys())
def test_an_arrival_far_from_the_objects_own_stamps_is_late_delivery(accepted: float, expected: PodVerdict) -> None:
    found, reason = row_of(MadePod("p", (FIVE,), leaves_at=18.1, accepted_at=accepted))
    assert found is expected, reason


@pytest.mark.parametrize(("shown", "expected"), [(16.5, PodVerdict.UNKNOWN), (15.0, PodVerdict.LATE)])
def test_what_follows_from_something_learnt_late_is_judged_for_every_instant_of_it(
    shown: float, expected: PodVerdict
) -> None:
    """Another taint came at 15.0 s; the pod left at 16.6. Whoever believes that it came at 16.5 calls that on time."""
    foreign = node_seen("MODIFIED", (SPOT, Taint("gpu", Effect.NO_EXECUTE)), version="theirs", by=KUBECTL)
    pod = MadePod("p", (FOREVER,), leaves_at=16.6)
    stood_still = [still(14.5, 16.55)] if shown > 15 else []
    assert row_of(pod, (shown, foreign), *stood_still)[0] is expected
