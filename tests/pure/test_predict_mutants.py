"""Every rule that the predictor follows, broken in turn: the tables must notice each time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.semantics.eviction import predict
from harness.semantics.rules import RuleId
from tests import lifecycle_cases
from tests.conformance import rows as conformance
from tests.mutants import MUTANTS, Mutant

ROWS = conformance.rows()

TOLD_BY_OTHER_TESTS = {
    RuleId.DELETE_DENIED: "test_predict_races: a trait of pods",
    RuleId.CONTROLLER_OFF: "test_conformance_predictor: taint-eviction-controller-not-started",
    RuleId.FINISHED_TOO: "test_predict_races: a trait of pods",
    RuleId.ALREADY_TERMINATING: "test_predict_races: a trait of pods",
    RuleId.DAEMONSET_FIRST: "test_predict_races: a trait of pods",
    RuleId.MIRROR_COMES_BACK: "test_predict_races: a trait of pods",
    RuleId.DEFAULT_TOLERATIONS: "test_predict_admission: off for write scripts",
    RuleId.BUDGETS_IGNORED: "nothing in the model could consult a budget",
    RuleId.NOT_YET_DUE: "test_predict_races: the predictor's own word",
    RuleId.RACE_AT_DEADLINE: "test_predict_races: the predictor's own word",
    RuleId.RACE_AT_UNTIL: "test_predict_races: the predictor's own word",
    RuleId.RACE_WITH_RESTART: "test_predict_races: the predictor's own word",
    RuleId.RACE_FOR_NAME: "test_predict_races: the predictor's own word",
    RuleId.SEEN_TOGETHER: "test_predict_races: the predictor's own word",
    RuleId.UNKNOWN_PHASE: "test_predict_lifecycle: the predictor's own word",
}


def noticed_by() -> Iterator[str]:
    """The rows and cases that disagree with the predictor as it is now."""
    for row in ROWS:
        if conformance.disagreements(row, predict(row.scenario, row.settings)):
            yield row.id
    for case in lifecycle_cases.CASES:
        if lifecycle_cases.disagreements(case, predict(case.scenario)):
            yield case.id


def test_unbroken() -> None:
    assert list(noticed_by()) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.id for mutant in MUTANTS])
def test_noticed(mutant: Mutant) -> None:
    with mutant.applied():
        assert next(noticed_by(), None) is not None


def test_every_rule_is_broken_once() -> None:
    broken = {mutant.rule for mutant in MUTANTS}
    assert broken | set(TOLD_BY_OTHER_TESTS) == set(RuleId)
    assert not broken & set(TOLD_BY_OTHER_TESTS)
