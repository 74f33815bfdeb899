"""Matching and deciding, as tables: which toleration counts for which taint, and what follows from a node's taints."""

from __future__ import annotations

import pytest

from harness.model.taints import Effect, Operator, Taint, Toleration
from harness.model.tolerations import canonical_int
from harness.semantics.decision import Action, decide, wrapped_ns
from harness.semantics.matching import tolerates
from harness.semantics.rules import RuleId

NO_EXECUTE = Effect.NO_EXECUTE
EXISTS, EQUAL, GT, LT = Operator.EXISTS, Operator.EQUAL, Operator.GT, Operator.LT


def exists(key: str, seconds: int | None = None) -> Toleration:
    return Toleration(key, EXISTS, "", NO_EXECUTE, seconds)


@pytest.mark.parametrize(
    ("toleration", "taint", "matches"),
    [
        (Toleration("k", EXISTS), Taint("k", NO_EXECUTE, "v"), True),
        (Toleration("k", EXISTS), Taint("other", NO_EXECUTE, "v"), False),
        (Toleration("k", EXISTS, "", Effect.NO_SCHEDULE), Taint("k", NO_EXECUTE), False),
        (Toleration("k", EXISTS, "", NO_EXECUTE), Taint("k", NO_EXECUTE), True),
        (Toleration("", EXISTS), Taint("k", Effect.PREFER_NO_SCHEDULE), True),
        (Toleration("", EXISTS, "", NO_EXECUTE), Taint("k", Effect.NO_SCHEDULE), False),
        (Toleration("k", EQUAL, "v"), Taint("k", NO_EXECUTE, "v"), True),
        (Toleration("k", EQUAL, "v"), Taint("k", NO_EXECUTE, "w"), False),
        (Toleration("k", EQUAL, ""), Taint("k", NO_EXECUTE, ""), True),
        (Toleration("k", EQUAL, ""), Taint("k", NO_EXECUTE, "v"), False),
        (Toleration("k", GT, "800"), Taint("k", NO_EXECUTE, "950"), True),
        (Toleration("k", GT, "950"), Taint("k", NO_EXECUTE, "950"), False),
        (Toleration("k", GT, "951"), Taint("k", NO_EXECUTE, "950"), False),
        (Toleration("k", GT, "-10"), Taint("k", NO_EXECUTE, "-9"), True),
        (Toleration("k", GT, "5"), Taint("k", NO_EXECUTE, "high"), False),
        (Toleration("k", LT, "800"), Taint("k", NO_EXECUTE, "950"), False),
        (Toleration("k", LT, "951"), Taint("k", NO_EXECUTE, "950"), True),
        (Toleration("k", LT, "950"), Taint("k", NO_EXECUTE, "950"), False),
        (Toleration("k", LT, "5"), Taint("other", NO_EXECUTE, "1"), False),
    ],
    ids=str,
)
def test_tolerates(toleration: Toleration, taint: Taint, matches: bool) -> None:
    assert tolerates(toleration, taint, compares=True) is matches


@pytest.mark.parametrize("operator", [GT, LT])
def test_comparison_needs_the_gate(operator: Operator) -> None:
    value = "0" if operator is GT else "9"
    taint, toleration = Taint("k", NO_EXECUTE, "5"), Toleration("k", operator, value)
    assert tolerates(toleration, taint, compares=True)
    assert not tolerates(toleration, taint, compares=False)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("5", 5),
        ("-100", -100),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("", None),
        ("abc", None),
        ("100.5", None),
        ("-", None),
        (" 200 ", None),
        ("+100", None),
        ("0100", None),
        ("-0", None),
        ("--5", None),
        ("1e3", None),
        ("0x10", None),
        ("٥", None),
        ("5\n", None),
    ],
)
def test_canonical_int(text: str, number: int | None) -> None:
    assert canonical_int(text) == number


@pytest.mark.parametrize(
    ("seconds", "nanoseconds"),
    [
        (1, 10**9),
        (9223372036, 9223372036 * 10**9),
        (9223372037, 9223372037 * 10**9 - 2**64),
        (18446744073, 18446744073 * 10**9 - 2**64),
        (18446744074, 290448384),
        (2**63 - 1, -(10**9)),
        (2**55, 0),
    ],
)
def test_wrapped_ns(seconds: int, nanoseconds: int) -> None:
    assert wrapped_ns(seconds) == nanoseconds


ONE, TWO = Taint("one", NO_EXECUTE), Taint("two", NO_EXECUTE)


@pytest.mark.parametrize(
    ("taints", "tolerations", "action", "delay_s", "rule"),
    [
        ((ONE,), (), Action.NOW, 0.0, RuleId.NO_TOLERATION),
        ((ONE, TWO), (exists("one"),), Action.NOW, 0.0, RuleId.NO_TOLERATION),
        ((ONE,), (exists("one"),), Action.NEVER, 0.0, RuleId.UNLIMITED_TOLERATION),
        ((ONE,), (exists("one", 30),), Action.LATER, 30.0, RuleId.FINITE_TOLERATION),
        ((ONE,), (exists("one", 0),), Action.LATER, 0.0, RuleId.ZERO_SECONDS),
        ((ONE,), (exists("one", -5),), Action.LATER, 0.0, RuleId.ZERO_SECONDS),
        ((ONE, TWO), (exists("one", 1), exists("two", 2)), Action.LATER, 1.0, RuleId.SHORTEST_SELECTED),
        ((ONE, TWO), (exists("one", 1), exists("two")), Action.LATER, 1.0, RuleId.SHORTEST_SELECTED),
        ((ONE, TWO), (exists("one"), exists("two", 1)), Action.LATER, 1.0, RuleId.SHORTEST_SELECTED),
        ((ONE, TWO), (exists("one"), exists("two")), Action.NEVER, 0.0, RuleId.UNLIMITED_TOLERATION),
        ((ONE, TWO), (exists("one", 5), exists("two", -1)), Action.LATER, 0.0, RuleId.ZERO_SECONDS),
        ((ONE,), (exists("", None), exists("one", 30)), Action.NEVER, 0.0, RuleId.FIRST_MATCH),
        ((ONE,), (exists("one", 30), exists("", None)), Action.LATER, 30.0, RuleId.FIRST_MATCH),
        ((ONE,), (exists("one", 30), exists("two", 5)), Action.LATER, 30.0, RuleId.FINITE_TOLERATION),
        ((ONE,), (exists("one", 9223372037),), Action.NEVER, 0.0, RuleId.SECONDS_OVERFLOW),
        ((ONE,), (exists("one", 18446744074),), Action.LATER, 0.290448384, RuleId.SECONDS_OVERFLOW),
        ((ONE, TWO), (exists("one", 9223372037), exists("two", 3)), Action.LATER, 3.0, RuleId.SHORTEST_SELECTED),
    ],
)
def test_decide(
    taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...], action: Action, delay_s: float, rule: RuleId
) -> None:
    decision = decide(taints, tolerations, compares=False)
    assert (decision.action, decision.rule) == (action, rule)
    assert decision.delay_s == pytest.approx(delay_s)


def test_the_first_untolerated_taint_is_named() -> None:
    decision = decide((ONE, TWO), (exists("one"),), compares=False)
    assert (decision.taint, decision.toleration) == (TWO, None)


def test_the_shortest_one_is_named_with_its_taint() -> None:
    decision = decide((ONE, TWO), (exists("one", 9), exists("two", 2)), compares=False)
    assert (decision.taint, decision.toleration) == (TWO, exists("two", 2))
