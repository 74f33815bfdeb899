"""Findings and expectations, whatever they are about."""

from __future__ import annotations

import pytest

from harness.model.finding import Finding, Rule, Severity, expectations_of, hold

LOUD = Rule[str]("loud", Severity.BREAKS, lambda _: ())
TWINS = (Rule[str]("left", Severity.HURTS, lambda _: (), expectation="no-side"), LOUD)
QUIET_RULE = Rule[str]("quiet", Severity.NOTE, lambda _: ())


def test_expectations_come_from_the_rules() -> None:
    right = Rule[str]("right", Severity.HURTS, lambda _: (), expectation="no-side")
    made = expectations_of((*TWINS, right, QUIET_RULE))
    assert {name: each.rules for name, each in made.items()} == {
        "no-side": ("left", "right"),
        "no-loud": ("loud",),
        "no-left": ("left",),
        "no-right": ("right",),
    }


@pytest.mark.parametrize(
    ("findings", "blind", "holds", "because"),
    [
        ((), (), True, "nothing found against it"),
        ((), ("a", "b"), None, "a; b"),
        (((Severity.HURTS, "loud"),), ("a",), False, "it is loud"),
        (((Severity.BREAKS, "loud"), (Severity.HURTS, "loud")), (), False, "it is loud (and 1 more)"),
        (((Severity.NOTE, "loud"), (Severity.BREAKS, "left")), (), True, "nothing found against it"),
    ],
    ids=["nothing", "not everything read", "found, whatever was not read", "two", "a note, and another rule's"],
)
def test_an_expectation_holds_breaks_or_is_unknown(
    findings: tuple[tuple[Severity, str], ...], blind: tuple[str, ...], holds: bool | None, because: str
) -> None:
    against = [Finding(rule, severity, "it", f"is {rule}") for severity, rule in findings]
    result = hold(expectations_of((LOUD,))["no-loud"], against, blind)
    assert (result.holds, result.because) == (holds, because)
