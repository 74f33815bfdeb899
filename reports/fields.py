"""Typed reading of JSON objects written by somebody else: every problem is noted, none is raised half way.

Rules: unknown keys are nobody's business; an absent or null value is the default; a value of the wrong type is a
`Problem` whose message names the place (``evictions[3].verdict``). NaN and infinities, which are not JSON, count as
absent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeGuard, TypeVar

from harness.errors import Problem

WordT = TypeVar("WordT", bound=StrEnum)


def load_json(text: str) -> object:
    """Parse `text`; NaN and infinities become None. Raises json.JSONDecodeError."""
    return json.loads(text, parse_constant=lambda _: None)


class Fields:
    """One JSON object. `where` is its place in the file ("" for the top); `problems` is shared by everything read from
    the file.
    """

    def __init__(self, raw: object, *, file: str, problems: list[Problem], where: str = "") -> None:
        """Anything but an object counts as an empty one, and as a problem."""
        self._file = file
        self._where = where
        self._problems = problems
        self.raw: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
        if not isinstance(raw, dict):
            self.problem("", f"expected an object, got {_kind(raw)}")

    def _place(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where and name else self._where or name

    def problem(self, name: str, message: str) -> None:
        """Note that `name` (of this object) cannot be accepted."""
        place = self._place(name)
        text = f"{place}: {message}" if place else message
        self._problems.append(Problem(file=self._file, line=1, column=1, message=text))

    def text(self, name: str, *, required: bool = False) -> str:
        """A string; "" when absent."""
        value = self.raw.get(name)
        if isinstance(value, str):
            return value
        if value is not None or required:
            self.problem(name, f"expected text, got {_kind(value)}")
        return ""

    def number(self, name: str) -> float | None:
        """A finite number, or None."""
        value = self.raw.get(name)
        if _is_number(value):
            return _finite(value)
        if value is not None:
            self.problem(name, f"expected a number, got {_kind(value)}")
        return None

    def whole(self, name: str, *, required: bool = False) -> int | None:
        """A whole number (2.0 counts), or None."""
        value = self.number(name)
        if value is not None and value.is_integer():
            return int(value)
        if value is not None or (required and self.raw.get(name) is None):
            self.problem(name, f"expected a whole number, got {'nothing' if value is None else value}")
        return None

    def flag(self, name: str) -> bool | None:
        """true, false, or None when absent."""
        value = self.raw.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.problem(name, f"expected true or false, got {_kind(value)}")
        return None

    def word(self, name: str, words: type[WordT], *, required: bool = False) -> WordT | None:
        """A member of `words`, or None when absent."""
        value = self.raw.get(name)
        if value is None:
            if required:
                self.problem(name, f"expected one of {', '.join(member.value for member in words)}, got nothing")
            return None
        if value in [member.value for member in words]:
            return words(value)
        self.problem(name, f"{value!r} is none of {', '.join(member.value for member in words)}")
        return None

    def pair(self, name: str) -> tuple[float, float] | None:
        """Two numbers, the first not above the second; None when absent or when one of them is null."""
        value = self.raw.get(name)
        if value is None:
            return None
        if isinstance(value, list) and len(value) == 2:
            low, high = value
            if low is None or high is None:
                return None
            if _is_number(low) and _is_number(high) and low <= high:
                return float(low), float(high)
        self.problem(name, "expected [low, high], low not above high")
        return None

    def numbers(self, name: str) -> tuple[float | None, ...]:
        """A list of numbers and nulls; () when absent."""
        value = self.raw.get(name)
        if value is None:
            return ()
        if isinstance(value, list) and all(part is None or _is_number(part) for part in value):
            return tuple(None if part is None else _finite(part) for part in value)
        self.problem(name, "expected a list of numbers and nulls")
        return ()

    def items(self, name: str) -> Iterator[Fields]:
        """The objects of a list; nothing when absent."""
        value = self.raw.get(name)
        if value is not None and not isinstance(value, list):
            self.problem(name, f"expected a list, got {_kind(value)}")
            return
        for index, part in enumerate(value or ()):
            place = f"{self._place(name)}[{index}]"
            yield Fields(part, file=self._file, problems=self._problems, where=place)

    def table(self, name: str) -> Fields | None:
        """An object, or None when absent."""
        value = self.raw.get(name)
        if value is None:
            return None
        return Fields(value, file=self._file, problems=self._problems, where=self._place(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; anything else in it is shown as compact JSON. () when absent."""
        value = self.raw.get(name)
        if value is not None and not isinstance(value, list):
            self.problem(name, f"expected a list, got {_kind(value)}")
            return ()
        return tuple(part if isinstance(part, str) else compact(part) for part in value or ())


def compact(value: object) -> str:
    """A JSON value on one line, for showing: ``name: spot-1, ready: true`` for an object, JSON otherwise."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {part if isinstance(part, str) else json.dumps(part)}" for key, part in value.items())
    return json.dumps(value, ensure_ascii=False)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    names = {bool: "true/false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
