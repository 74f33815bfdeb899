"""The conformance table against the predictor: both bounds of every interval, every outcome, every refusal."""

from __future__ import annotations

import pytest

from harness.model.words import Outcome
from harness.semantics.eviction import predict
from tests.conformance.rows import Row, disagreements, rows

ROWS = rows()


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_row(row: Row) -> None:
    assert disagreements(row, predict(row.scenario, row.settings)) == []


def test_ids_are_unique() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)


def test_the_table_has_not_shrunk() -> None:
    assert len(ROWS) >= 90


def test_no_row_expects_what_nobody_can_know() -> None:
    expected = {each.outcome for row in ROWS for each in row.pods.values()}
    assert expected == {str(outcome) for outcome in Outcome} - {"unsure"}
