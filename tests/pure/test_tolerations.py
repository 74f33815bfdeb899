"""What the API server has against a toleration, field by field."""

from __future__ import annotations

import pytest

from harness.model.taints import Effect, Operator, Toleration
from harness.model.tolerations import refusals

EXISTS, EQUAL, GT = Operator.EXISTS, Operator.EQUAL, Operator.GT


@pytest.mark.parametrize(
    ("toleration", "fields"),
    [
        pytest.param(Toleration("spot", EXISTS), [], id="a key"),
        pytest.param(Toleration("", EXISTS), [], id="every key"),
        pytest.param(Toleration("spot", EQUAL, "x", Effect.NO_EXECUTE, -5), [], id="negative seconds"),
        pytest.param(Toleration("node", GT, "-24"), [], id="a number"),
        pytest.param(Toleration("", EQUAL, "x"), ["key"], id="no key"),
        pytest.param(Toleration("a b", EXISTS), ["key"], id="not a key"),
        pytest.param(Toleration("spot", EXISTS, "x"), ["value"], id="a value with Exists"),
        pytest.param(Toleration("spot", EQUAL, "-x"), ["value"], id="not a label value"),
        pytest.param(Toleration("spot", GT, "024"), ["value"], id="not a number"),
        pytest.param(Toleration("spot", GT, "9" * 5_000), ["value"], id="beyond 64 bits"),
        pytest.param(Toleration("spot", EXISTS, "", None, 5), ["tolerationSeconds"], id="seconds of every effect"),
        pytest.param(
            Toleration("", EQUAL, "-", Effect.NO_SCHEDULE, 5), ["key", "tolerationSeconds", "value"], id="all at once"
        ),
    ],
)
def test_each_refusal_names_its_field(toleration: Toleration, fields: list[str]) -> None:
    found = list(refusals(toleration))
    assert [refusal.field for refusal in found] == fields
    assert all(refusal.message and refusal.fix for refusal in found)


def test_comparisons_need_their_gate() -> None:
    assert [refusal.field for refusal in refusals(Toleration("node", GT, "5"), compares=False)] == ["operator"]
