"""What the API server refuses, and which tolerations it adds (upstream's DefaultTolerationSeconds table)."""

from __future__ import annotations

import pytest

from harness.model.names import is_label_key, is_label_value
from harness.model.taints import Effect, Operator, Taint, Toleration
from harness.model.wellknown import NOT_READY, UNREACHABLE
from harness.semantics.eviction.admission import (
    is_valid,
    refuses_change,
    refuses_taints,
    with_defaults,
)
from harness.semantics.rules import RuleId

EXISTS, EQUAL = Operator.EXISTS, Operator.EQUAL
NO_EXECUTE, NO_SCHEDULE = Effect.NO_EXECUTE, Effect.NO_SCHEDULE


def default(key: str) -> Toleration:
    return Toleration(key, EXISTS, "", NO_EXECUTE, 300)


UNRELATED = Toleration("foo", EQUAL, "bar", NO_SCHEDULE)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        pytest.param((), (default(NOT_READY), default(UNREACHABLE)), id="none"),
        pytest.param((UNRELATED,), (UNRELATED, default(NOT_READY), default(UNREACHABLE)), id="unrelated"),
        pytest.param(
            (Toleration(NOT_READY, EXISTS, "", NO_EXECUTE, 7),),
            (Toleration(NOT_READY, EXISTS, "", NO_EXECUTE, 7), default(UNREACHABLE)),
            id="one",
        ),
        pytest.param(
            (Toleration(UNREACHABLE, EXISTS, "", NO_EXECUTE),),
            (Toleration(UNREACHABLE, EXISTS, "", NO_EXECUTE), default(NOT_READY)),
            id="the other",
        ),
        pytest.param((default(UNREACHABLE), default(NOT_READY)), (default(UNREACHABLE), default(NOT_READY)), id="both"),
        pytest.param(
            (Toleration(NOT_READY, EXISTS), Toleration(UNREACHABLE, EXISTS)),
            (Toleration(NOT_READY, EXISTS), Toleration(UNREACHABLE, EXISTS)),
            id="empty effect",
        ),
        pytest.param((Toleration("", EXISTS),), (Toleration("", EXISTS),), id="wildcard"),
        pytest.param(
            (Toleration("", EXISTS, "", NO_SCHEDULE),),
            (Toleration("", EXISTS, "", NO_SCHEDULE), default(NOT_READY), default(UNREACHABLE)),
            id="wildcard of another effect",
        ),
        pytest.param(
            (Toleration(NOT_READY, EQUAL, "never", NO_EXECUTE, 0),),
            (Toleration(NOT_READY, EQUAL, "never", NO_EXECUTE, 0), default(UNREACHABLE)),
            id="one that cannot match counts too",
        ),
    ],
)
def test_default_tolerations(given: tuple[Toleration, ...], stored: tuple[Toleration, ...]) -> None:
    assert with_defaults(given, 300) == stored


@pytest.mark.parametrize(
    ("toleration", "valid"),
    [
        (Toleration("k", EXISTS), True),
        (Toleration("k", EXISTS, "v"), False),
        (Toleration("k", EQUAL, "v"), True),
        (Toleration("k", EQUAL, "v v"), False),
        (Toleration("k", EQUAL, "v" * 64), False),
        (Toleration("k/", EXISTS), False),
        (Toleration("a.b/k", EXISTS), True),
        (Toleration("a_b/k", EXISTS), False),
        (Toleration("", EXISTS), True),
        (Toleration("", EQUAL), False),
        (Toleration("k", EXISTS, "", NO_EXECUTE, 5), True),
        (Toleration("k", EXISTS, "", NO_EXECUTE, -5), True),
        (Toleration("k", EXISTS, "", NO_SCHEDULE, 5), False),
        (Toleration("k", EXISTS, "", None, 5), False),
        (Toleration("k", Operator.GT, "5", NO_EXECUTE, 5), True),
        (Toleration("k", Operator.GT, "05"), False),
        (Toleration("k", Operator.LT, ""), False),
    ],
    ids=str,
)
def test_is_valid(toleration: Toleration, valid: bool) -> None:
    assert is_valid(toleration, compares=True) is valid


def test_comparison_is_refused_with_the_gate_off() -> None:
    assert not is_valid(Toleration("k", Operator.GT, "5"), compares=False)


A5, A9, A = (Toleration("a", EXISTS, "", NO_EXECUTE, seconds) for seconds in (5, 9, None))
B = Toleration("b", EXISTS)


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        pytest.param((A5,), (A9,), None, id="other seconds"),
        pytest.param((A5,), (A,), None, id="no seconds"),
        pytest.param((A5,), (B, A5), None, id="one more, in front"),
        pytest.param((A5, B), (B, A5), None, id="another order"),
        pytest.param((A5, A9), (A9,), None, id="one of two equal but for seconds"),
        pytest.param((A5, B), (A5,), RuleId.TOLERATIONS_ONLY_GROW, id="one less"),
        pytest.param((A5,), (), RuleId.TOLERATIONS_ONLY_GROW, id="none left"),
        pytest.param((B,), (Toleration("b", EQUAL),), RuleId.TOLERATIONS_ONLY_GROW, id="another operator"),
        pytest.param((B,), (B, Toleration("", EQUAL)), RuleId.INVALID_TOLERATION, id="an invalid one more"),
        pytest.param((), (), None, id="nothing"),
    ],
)
def test_refuses_change(old: tuple[Toleration, ...], new: tuple[Toleration, ...], refused: RuleId | None) -> None:
    assert refuses_change(old, new, compares=False) == refused


@pytest.mark.parametrize(
    ("taints", "refused"),
    [
        ((), None),
        ((Taint("k", NO_EXECUTE), Taint("k", NO_SCHEDULE)), None),
        ((Taint("k", NO_EXECUTE, "a"), Taint("k", NO_EXECUTE, "b")), RuleId.INVALID_TAINT),
        ((Taint("", NO_EXECUTE),), RuleId.INVALID_TAINT),
        ((Taint("k", NO_EXECUTE, "a b"),), RuleId.INVALID_TAINT),
    ],
)
def test_refuses_taints(taints: tuple[Taint, ...], refused: RuleId | None) -> None:
    assert refuses_taints(taints) == refused


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a", True, True),
        ("A-b_c.d", True, True),
        ("-a", False, False),
        ("a-", False, False),
        ("", False, True),
        ("a" * 63, True, True),
        ("a" * 64, False, False),
        ("example.com/a", True, False),
        ("Example.com/a", False, False),
        ("/a", False, False),
        ("a/b/c", False, False),
        (f"{'a' * 254}/b", False, False),
        ("a\n", False, False),
    ],
)
def test_label_syntax(text: str, key: bool, value: bool) -> None:
    assert (is_label_key(text), is_label_value(text)) == (key, value)
