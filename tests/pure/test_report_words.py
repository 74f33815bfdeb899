"""How numbers and foreign text are written; a missing value is never a zero."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reports import words


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        pytest.param(words.count, 7500, "7,500", id="count"),
        pytest.param(words.seconds, 0.0, "0 s", id="seconds-zero"),
        pytest.param(words.seconds, 0.124, "0.12 s", id="seconds-short"),
        pytest.param(words.seconds, 31.5, "31.5 s", id="seconds"),
        pytest.param(words.seconds, 125, "2 min 05 s", id="minutes"),
        pytest.param(words.seconds, 3725, "1 h 02 min", id="hours"),
        pytest.param(words.offset, 0.124, "+0.12 s", id="offset"),
        pytest.param(words.offset, -4, "-4.00 s", id="offset-before"),
        pytest.param(words.offset, 123.44, "+123.4 s", id="offset-long"),
        pytest.param(words.milliseconds, 0.4231, "0.423 ms", id="ms-below-one"),
        pytest.param(words.milliseconds, 12.34, "12.3 ms", id="ms"),
        pytest.param(words.milliseconds, 1250, "1.25 s", id="ms-above-a-second"),
        pytest.param(words.percent, 0.0, "0 %", id="percent-zero"),
        pytest.param(words.percent, 0.000_01, "<0.01 %", id="percent-tiny-is-not-zero"),
        pytest.param(words.percent, 0.125, "12.5 %", id="percent"),
        pytest.param(words.percent, 0.999_99, ">99.99 %", id="percent-nearly-all-is-not-all"),
        pytest.param(words.percent, 1.0, "100 %", id="percent-all"),
    ],
)
def test_number(write: Callable[[float], str], value: float, text: str) -> None:
    assert write(value) == text


@pytest.mark.parametrize("write", [words.count, words.seconds, words.offset, words.milliseconds, words.percent])
def test_missing_is_no_data(write: Callable[[float | None], str]) -> None:
    assert write(None) == "no data"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "ratio", "1.23 %"),
        (0.0123, "bad ratio", "1.23 %"),
        (4.0, "s", "4 s"),
        (4.0, "ms", "4.00 ms"),
        (25_000_000, "bytes", "23.8 MiB"),
        (0.25, "cores", "0.250 cores"),
        (12_345.0, "", "12,345"),
        (1.0, "x\x1b[31m\u202e" + "y" * 100, "1.00 x\ufffd[31m\ufffd" + "y" * 12 + "…"),
    ],
)
def test_quantity(value: float, unit: str, text: str) -> None:
    assert words.quantity(value, unit) == text


def test_quantity_without_a_value() -> None:
    assert words.quantity(None, "s") == "no data"


@pytest.mark.parametrize(
    ("bounds", "text"), [((0.0, 1.0), "0 – 1 s"), ((4.95, 21.5), "4.95 – 21.5 s"), (None, "stays")]
)
def test_window(bounds: tuple[float, float] | None, text: str) -> None:
    assert words.window(bounds, none="stays") == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        pytest.param("web-1", "web-1", id="plain"),
        pytest.param("a\x1b[2J", "a\ufffd[2J", id="terminal-escape"),
        pytest.param("a\u202eb", "a\ufffdb", id="right-to-left-override"),
        pytest.param("a\x00b\ud800", "a\ufffdb\ufffd", id="not-xml"),
        pytest.param("a\n\tb  c", "a b c", id="one-line"),
        pytest.param("x" * 30, "x" * 19 + "…", id="too-long"),
    ],
)
def test_foreign_text(text: str, cleaned: str) -> None:
    assert words.one_line(text, 20) == cleaned


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-01-02T03:04:05.678901Z", "2026-01-02 03:04:05 UTC"),
        ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05 UTC"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05+02:00"),
        ("", ""),
    ],
)
def test_wall_time(given: str, shown: str) -> None:
    assert words.moment(given) == shown


@pytest.mark.parametrize(
    ("parts", "text"), [((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")]
)
def test_joined(parts: tuple[str, ...], text: str) -> None:
    assert words.joined(parts) == text
