"""Typed reading of JSON objects written by somebody else: every problem is noted, none is raised half way.

Rules: unknown keys are nobody's business; an absent or null value is the default; a value of the wrong type is a
`Problem` whose message names the place (``evictions[3].verdict``). NaN and infinities, which are not JSON, count as
absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeGuard, TypeVar

from harness.errors import Problem
from harness.history.redact import redact_text

WordT = TypeVar("WordT", bound=StrEnum)
_LARGEST = 1e18


def load_json(text: str) -> object:
    """Parse `text`; NaN and infinities become None. Raises json.JSONDecodeError, also for what Python's parser stumbles
    over: nesting beyond its stack, numbers of thousands of digits, lone surrogates.
    """
    try:
        value: object = json.loads(text, parse_constant=lambda _: None)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", text, 0) from None
    except UnicodeEncodeError:
        raise json.JSONDecodeError("half of a surrogate pair", text, 0) from None
    except ValueError:
        raise json.JSONDecodeError("a number that is too long", text, 0) from None
    return value


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


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
        """A string without credentials; "" when absent."""
        value = self.raw.get(name)
        if isinstance(value, str):
            return redact_text(value)
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
                bounds = _finite(low), _finite(high)
                return None if bounds[0] is None or bounds[1] is None else (bounds[0], bounds[1])
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
        return tuple(redact_text(part) if isinstance(part, str) else compact(part) for part in value or ())


def compact(value: object) -> str:
    """A JSON value on one line, for showing: ``name: spot-1, ready: true`` for an object, JSON otherwise."""
    try:
        if isinstance(value, dict):
            parts = (f"{key}: {part if isinstance(part, str) else json.dumps(part)}" for key, part in value.items())
            return redact_text(", ".join(parts))
        return redact_text(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        return "nested too deeply to be shown"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: float) -> float | None:
    """None also for what is beyond `_LARGEST`: no measurement of ours, and arithmetic with it overflows."""
    return float(value) if -_LARGEST <= value <= _LARGEST else None


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    names = {bool: "true/false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
