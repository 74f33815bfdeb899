"""Where a value sits on a picture, and which round numbers stand beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
_TIME_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_HEADROOM, _FOOT = 3.0, 1.0
_UNITS_S = {"s": 1, "min": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Seconds from left to right. `origin_s`: the moment labelled 0, in the same seconds as `start_s` and `end_s`."""

    start_s: float
    end_s: float
    origin_s: float = 0.0

    def at(self, t_s: float) -> float:
        """Fraction of the width, 0 to 1 inside the axis; moments outside are held to the nearer edge."""
        span_s = self.end_s - self.start_s
        return min(1.0, max(0.0, (t_s - self.start_s) / span_s)) if span_s > 0 else 0.0

    def ticks(self, about: int = 8) -> tuple[tuple[float, str], ...]:
        """(moment, label) of round offsets from the origin, around `about` of them."""
        span_s = self.end_s - self.start_s
        step_s = next((step for step in _TIME_STEPS_S if span_s / step <= about), _TIME_STEPS_S[-1])
        first = math.ceil((self.start_s - self.origin_s) / step_s - 1e-9)
        last = math.floor((self.end_s - self.origin_s) / step_s + 1e-9)
        unit = next(unit for unit, size_s in reversed(_UNITS_S.items()) if span_s >= 10 * size_s or unit == "s")
        return tuple((self.origin_s + n * step_s, tick_label(n * step_s, unit)) for n in range(first, last + 1))


def tick_label(offset_s: float, unit: str = "s") -> str:
    """An offset in the axis's one `unit` (s, min or h): ``-20 s``, ``0``, ``2.5 min``."""
    if abs(offset_s) < 1e-9:
        return "0"
    return f"{offset_s / _UNITS_S[unit]:.10g} {unit}"


@dataclass(frozen=True, slots=True)
class LinearScale:
    """0 at the bottom (`height` px) to `top` just under the upper edge; `middle`: label the value half way as well."""

    top: float
    height: float
    middle: bool = True

    def at(self, value: float) -> float:
        """y in px, held inside the picture."""
        room = self.height - _HEADROOM - _FOOT
        return _HEADROOM + room * (1 - min(1.0, max(0.0, value / self.top)))

    def ticks(self) -> tuple[float, ...]:
        """0, the middle if wanted, and the top."""
        return (0.0, self.top / 2, self.top) if self.middle else (0.0, self.top)


def linear(
    values: Sequence[float | None], *, height: float, at_least: float = 1.0, binary: bool = False
) -> LinearScale:
    """From 0 to a round number above every value and not below `at_least`; `binary`: round in KiB, MiB and so on."""
    peak = max([at_least, *(value for value in values if value is not None)])
    unit = 1024.0 ** math.floor(math.log(peak, 1024)) if binary and peak >= 1 else 1.0
    return LinearScale(top=round_up(peak / unit) * unit, height=height)


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten, at or above `value` (which is above 0)."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))


@dataclass(frozen=True, slots=True)
class LogScale:
    """Powers of ten from `low` to `high` along `length` px; `flipped`: small values at the far end, as y wants it."""

    low: float
    high: float
    length: float
    flipped: bool = True

    def at(self, value: float) -> float:
        """Position in px, held inside the picture; values of 0 or less sit at the low edge."""
        held = min(self.high, max(self.low, value))
        fraction = math.log10(held / self.low) / math.log10(self.high / self.low)
        if not self.flipped:
            return self.length * fraction
        return _HEADROOM + (self.length - _HEADROOM - _FOOT) * (1 - fraction)

    def ticks(self) -> tuple[float, ...]:
        """Every power of ten."""
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        return tuple(10.0**exponent for exponent in range(first, last + 1))


def logarithmic(values: Sequence[float | None], *, length: float, flipped: bool = True) -> LogScale:
    """Whole decades around every value above 0, at least one; 1 to 10 without any."""
    present = [value for value in values if value is not None and value > 0]
    low = math.floor(math.log10(min(present, default=1.0)) + 1e-9)
    high = math.ceil(math.log10(max(present, default=10.0)) - 1e-9)
    return LogScale(low=10.0**low, high=10.0 ** max(high, low + 1), length=length, flipped=flipped)


def thinned(values: Sequence[float | None], *, per_point: int, keep: str) -> tuple[float | None, ...]:
    """One value for every `per_point`: `keep` is max, min or mean of those measured; None only where none was."""
    out: list[float | None] = []
    for at in range(0, len(values), per_point):
        present = [value for value in values[at : at + per_point] if value is not None]
        if not present:
            out.append(None)
        elif keep == "mean":
            out.append(sum(present) / len(present))
        else:
            out.append(max(present) if keep == "max" else min(present))
    return tuple(out)
