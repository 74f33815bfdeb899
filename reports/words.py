"""Numbers and foreign text as people read them; shared by every format, so that all of them say the same.

All functions take None for "not measured" and answer `NO_DATA`; none of them ever turns a missing value into 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from harness.terminal import clean, one_line

__all__ = [
    "DASH",
    "NO_DATA",
    "clean",
    "count",
    "joined",
    "milliseconds",
    "moment",
    "offset",
    "one_line",
    "percent",
    "plural",
    "quantity",
    "seconds",
    "significant",
    "tick",
    "window",
]

NO_DATA = "no data"
DASH = "–"


def significant(value: float, digits: int = 3) -> str:
    """`value` with about `digits` significant digits, no exponent, thousands separated: 0.123, 12.3, 1,234."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 9)}f}"


def count(value: float | None) -> str:
    """A number of things: 7,500."""
    return NO_DATA if value is None else f"{value:,.0f}"


def plural(number: int, singular: str, many: str = "") -> str:
    """``1 pod``, ``6 pods``."""
    return f"{number:,} {singular if number == 1 else many or singular + 's'}"


def seconds(value: float | None) -> str:
    """A length of time: 0 s, 0.12 s, 31.5 s, 2 min 05 s, 1 h 02 min."""
    if value is None:
        return NO_DATA
    if abs(value) < 100:
        return _trimmed(value, 2 if abs(value) < 10 else 1) + " s"
    whole = round(abs(value))
    sign = "-" if value < 0 else ""
    if whole < 3600:
        return f"{sign}{whole // 60} min {whole % 60:02d} s"
    return f"{sign}{whole // 3600} h {whole % 3600 // 60:02d} min"


def offset(value: float | None) -> str:
    """A moment as seconds from an origin, always signed and never in minutes, so that columns compare: +0.12 s, -4.00
    s, +123.4 s.
    """
    if value is None:
        return NO_DATA
    return f"{value:+.2f} s" if abs(value) < 100 else f"{value:+.1f} s"


def window(bounds: tuple[float, float] | None, none: str = NO_DATA) -> str:
    """An interval of offsets: 0 – 1 s, 20 – 21.5 s. `none` says what it means that there is none."""
    return none if bounds is None else f"{_trimmed(bounds[0], 2)} {DASH} {_trimmed(bounds[1], 2)} s"


def milliseconds(value: float | None) -> str:
    """A latency: 0.42 ms, 12.3 ms, 250 ms, 1.25 s."""
    if value is None:
        return NO_DATA
    return f"{significant(value)} ms" if value < 1000 else f"{significant(value / 1000)} s"


def percent(ratio: float | None) -> str:
    """A ratio as a percentage: 0 %, 0.02 %, 12.5 %, 100 %. Tiny but not zero stays visible: <0.01 %."""
    if ratio is None:
        return NO_DATA
    if 0 < ratio < 0.0001:
        return "<0.01 %"
    if 0.9999 < ratio < 1:
        return ">99.99 %"
    return _trimmed(ratio * 100, 2) + " %"


def quantity(value: float | None, unit: str) -> str:
    """A value in the unit its check names: any ``ratio`` as a percentage, ``ms`` and ``s`` as durations, bytes with a
    binary prefix.
    """
    if value is None:
        return NO_DATA
    if unit.endswith("ratio"):
        return percent(value)
    if unit == "ms":
        return milliseconds(value)
    if unit == "s":
        return seconds(value)
    if unit in ("bytes", "B"):
        return _bytes(value)
    return f"{significant(value)} {one_line(unit, 20)}".rstrip()


def tick(value: float, unit: str) -> str:
    """A round number beside an axis: 0.1 ms, 10 ms, 1 s, 0.5 %, 16 MiB. Units that a caption names are left out."""
    if unit == "ms":
        return f"{value:g} ms" if value < 1000 else f"{value / 1000:g} s"
    if unit.endswith("ratio"):
        return percent(value)
    if unit in ("bytes", "B"):
        scaled, prefix = _binary(value)
        return f"{scaled:.4g} {prefix}"
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def moment(rfc3339: str) -> str:
    """A wall time for people: ``2026-01-02 03:04:05 UTC``; anything but RFC 3339 in UTC stays as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z", rfc3339)
    return f"{found[1]} {found[2]} UTC" if found else one_line(rfc3339, 40)


def _trimmed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def _bytes(value: float) -> str:
    scaled, prefix = _binary(value)
    return f"{significant(scaled)} {prefix}"


def _binary(value: float) -> tuple[float, str]:
    for prefix in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return value, prefix
        value /= 1024
    return value, "TiB"


def joined(parts: Iterable[str], last: str = " and ") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    words: Sequence[str] = tuple(parts)
    return words[0] if len(words) == 1 else last.join((", ".join(words[:-1]), words[-1])) if words else ""
