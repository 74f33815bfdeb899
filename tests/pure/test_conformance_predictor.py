"""The conformance table against the predictor: both bounds of every interval, every outcome, every refusal."""

from __future__ import annotations

import pytest

from harness.plan.predict import Outcome, predict
from tests.conformance.rows import Row, rows

ROWS = rows()


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_row(row: Row) -> None:
    forecast = predict(row.scenario, row.settings)
    found = forecast.by_name
    assert set(found) == set(row.pods), "the row names every pod of its script"
    for name, expected in row.pods.items():
        prediction = found[name]
        assert prediction.outcome == expected.outcome, f"{name}: {prediction}"
        if expected.earliest_s is not None and expected.latest_s is not None:
            assert prediction.earliest_s is not None, name
            assert prediction.latest_s is not None, name
            assert expected.earliest_s - 0.001 <= prediction.earliest_s, f"{name}: {prediction}"
            assert prediction.latest_s <= expected.latest_s + 0.001, f"{name}: {prediction}"
    if row.refused is not None:
        assert forecast.refused == row.refused
        assert all(refusal.certain for refusal in forecast.refusals)


def test_ids_are_unique() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)


def test_the_table_has_not_shrunk() -> None:
    assert len(ROWS) >= 90


def test_no_row_expects_what_nobody_can_know() -> None:
    expected = {each.outcome for row in ROWS for each in row.pods.values()}
    assert expected == {str(outcome) for outcome in Outcome} - {"unsure"}
