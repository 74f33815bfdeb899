"""The comparison of the conformance table with replays, fed with made-up replays: it notices every broken controller,
on a machine that is as busy as is allowed too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from harness.plan.allowance import CAP_S, QUIET_S, RATIO, Measured, What
from harness.replay.replayer import Performed, PodEnd, Replayed
from harness.semantics.eviction import predict
from harness.semantics.rules import RuleId
from tests.conformance.judging import RULES, always_late, differences
from tests.conformance.rows import Row, rows
from tests.mutants import MUTANTS, Mutant
from tests.slowness import Found, inflated

ROWS = rows()
BY_ID = {row.id: row for row in ROWS}
QUICKLY_S = 0.02
"""How long a controller needs that does what it does at once."""

NOT_IN_SCRIPTS = {
    RuleId.CONDITION_TAINTS,
    RuleId.NODE_LOSS,
    RuleId.TAINTING_RATE,
    RuleId.ZONE_DISRUPTED,
    RuleId.ALL_ZONES_DISRUPTED,
    RuleId.SWAP_KEEPS_TIMER,
    RuleId.NODE_GONE,
}
"""Rules of lost nodes: their cases (tests.lifecycle_cases) take minutes and are not replayed."""


def as_expected(row: Row, late_s: float = 0.0) -> Replayed:
    """A replay in which every deletion comes in the middle of what the row expects, or so much later."""
    ends = {
        name: PodEnd(e.outcome, None if e.earliest_s is None else (e.earliest_s + (e.latest_s or 0.0)) / 2 + late_s)
        for name, e in row.pods.items()
    }
    performed = tuple(Performed(write.at_s, write.at_s) for write in row.scenario.writes)
    return Replayed(ends, row.refused or (), 0.0, performed)


def as_predicted(row: Row) -> Replayed:
    """What a controller does that keeps the predictor's rules, whatever these are at the moment."""
    forecast = predict(row.scenario, row.settings)
    found = forecast.by_name
    ends = {}
    for name, expected in row.pods.items():
        if name not in found or found[name].outcome == "unsure":
            ends[name] = PodEnd("unsure")
            continue
        each = found[name]
        at_s = each.latest_s if row.table == "throttle" else each.earliest_s
        at_s = None if at_s is None else at_s + QUICKLY_S * (row.table != "throttle")
        ends[name] = PodEnd(str(each.outcome), None if expected.earliest_s is None else at_s)
    performed = tuple(Performed(write.at_s, write.at_s) for write in row.scenario.writes)
    return Replayed(ends, forecast.refused, 0.0, performed)


def judged(replays: dict[str, Replayed]) -> Iterator[str]:
    """What is held against the controller that made these replays."""
    for row in ROWS:
        yield from differences(row, replays[row.id]).disagreements
    for rule in RULES:
        yield from always_late(rule, [(row, replays[row.id]) for row in ROWS]).disagreements


@pytest.mark.parametrize("cap_s", [0.0, CAP_S], ids=["quiet", "as busy as is allowed"])
def test_the_right_controller_is_not_accused(cap_s: float) -> None:
    assert list(judged({row.id: inflated(as_predicted(row), cap_s) for row in ROWS})) == []


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.rule not in NOT_IN_SCRIPTS], ids=lambda mutant: mutant.id)
def test_a_broken_controller_is_noticed_on_a_machine_as_busy_as_is_allowed(mutant: Mutant) -> None:
    with mutant.applied():
        replays = {row.id: inflated(as_predicted(row)) for row in ROWS}
    assert next(judged(replays), None) is not None


@pytest.mark.parametrize("late_s", [0.8, 1.0, 2.0])
def test_a_controller_that_is_always_late_is_noticed(late_s: float) -> None:
    replays = {row.id: inflated(as_expected(row, late_s)) for row in ROWS}
    assert [line for line in judged(replays) if line.startswith("no-toleration: more than ")]


LATE = {
    "within what the machine needed": (0.7, 0.5, Found()),
    "beyond it": (0.7, 0.2, "late"),
    "beyond the cap, on a quiet machine": (3.0, 0.0, "late"),
    "beyond the cap, on a machine that needed more": (3.0, 1.2, "too_busy"),
    "within the cap, on a machine that needed more": (1.2, 1.2, Found()),
}


@pytest.mark.parametrize(("late_s", "needed_s", "expected"), LATE.values(), ids=LATE.keys())
def test_late(late_s: float, needed_s: float, expected: object) -> None:
    found = differences(BY_ID["no-toleration"], inflated(as_expected(BY_ID["no-toleration"], late_s), needed_s))
    kinds = {kind for kind in ("wrong", "late", "too_busy") if getattr(found, kind)}
    assert kinds == (set() if expected == Found() else {expected})


def test_only_what_was_measured_nearby_counts() -> None:
    row = BY_ID["no-toleration"]
    long_ago = Measured(What.OWN_EVICTION, -20.0, -10.0, QUIET_S[What.OWN_EVICTION] + CAP_S / RATIO)
    late = as_expected(row, 0.7)
    assert differences(row, replace(late, measured=(long_ago,))).late
    assert differences(row, replace(late, measured=(replace(long_ago, ended_s=0.0),))) == Found()


def test_the_controllers_own_slowness_excuses_nothing() -> None:
    row = BY_ID["no-toleration"]
    theirs = Measured(What.CONTROLLER, 0.0, 1.0, 1.0)
    assert differences(row, replace(as_expected(row, 0.7), measured=(theirs,))).late


def test_early_and_other_outcomes_are_wrong_on_any_machine() -> None:
    row = BY_ID["finite-toleration-both-bounds"]
    for end in (PodEnd("evicted", 0.5), PodEnd("deleted"), PodEnd("never-created")):
        right = as_expected(row)
        found = differences(row, inflated(replace(right, pods=dict.fromkeys(right.pods, end))))
        assert found.wrong, end
    refusing = next(row for row in ROWS if row.refused)
    assert differences(refusing, inflated(replace(as_expected(refusing), refused=()))).wrong
    slow = next(row for row in ROWS if row.last_after_s is not None)
    soon = {name: replace(end, at_s=min(end.at_s or 0.0, 0.1)) for name, end in as_expected(slow).pods.items()}
    assert any("all over" in line for line in differences(slow, Replayed(soon, (), 0.0)).wrong)


def test_pods_of_one_script_keep_their_distance() -> None:
    row = BY_ID["key-effect-and-operator"]
    right = inflated(as_expected(row), 0.6)
    name, end = next((name, end) for name, end in right.pods.items() if end.at_s is not None)
    assert end.at_s is not None
    assert differences(row, right) == Found()
    assert differences(row, replace(right, pods={**right.pods, name: PodEnd("evicted", end.at_s + 0.7)})).late


def test_a_replay_with_late_writes_is_judged_as_it_went() -> None:
    row = BY_ID["finite-toleration-both-bounds"]
    right = as_predicted(row)
    late = replace(right, late_s=0.4, performed=(Performed(-0.15, 0.25), *right.performed[1:]))
    assert differences(row, late) == Found()
    stays = replace(late, pods=dict.fromkeys(late.pods, PodEnd("survives")))
    assert differences(row, stays).wrong
    row = BY_ID["last-taint-removed"]  # after 1 s of 2; here it goes when the countdown may be over
    other = replace(as_predicted(row), late_s=0.98, performed=(Performed(0.0, 0.0), Performed(1.0, 1.98)))
    assert differences(row, other).too_busy
    row = BY_ID["finite-toleration-both-bounds"]
    early = replace(late, pods=dict.fromkeys(late.pods, PodEnd("evicted", 0.1)))
    assert differences(row, early).wrong
