"""JSON from strangers, read strictly: whatever is wrong with it is one `InvalidFile` with its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import InvalidFile, Problem
from harness.files import MIB, read_regular, shown

JSON_CAP = 64 * MIB
"""Bytes of one JSON file of a run folder; a world of 5,000 nodes has some 20 MiB."""
INTEGERS = 1 << 63
"""Whole numbers must be smaller: beyond, neither our clocks nor a float can hold them."""
_BYTE = re.compile(r" \(byte (\d+)\)$")
_LONG_NUMBER = re.compile(rb"\d{19}")
_FIX = "was the file edited, or written by another version?"


def parse(data: bytes, *, file: str, line: int = 1) -> Any:
    """The value of a JSON text; `line` is that of its first byte in `file`.

    InvalidFile for what is not JSON as RFC 8259 has it: NaN, a number too large for a double, a lone surrogate, bytes
    that are not UTF-8, nesting beyond Python's stack; and for whole numbers beyond 64 bits.
    """
    try:
        value = msgspec.json.decode(data)
        if _LONG_NUMBER.search(data):
            _require_short_numbers(value)
    except RecursionError:
        raise invalid(file, "nested too deeply", line=line) from None
    except (ValueError, OverflowError) as error:  # msgspec's own errors and UnicodeDecodeError are ValueErrors
        words = str(error)
        place = _BYTE.search(words)
        before = data[: int(place[1])] if place else b""
        at = (line + before.count(b"\n"), len(before) - before.rfind(b"\n")) if place else (line, 1)
        raise invalid(file, f"not JSON: {_BYTE.sub('', words)[:200]}", line=at[0], column=at[1]) from error
    return value


def read_json(path: Path, *, cap: int = JSON_CAP) -> Any:
    """The value in a JSON file. UsageError when it is missing or no regular file of at most `cap` bytes, InvalidFile
    when it is not JSON.
    """
    return parse(read_regular(path, cap=cap), file=shown(path))


def invalid(file: str, message: str, *, line: int = 1, column: int = 1) -> InvalidFile:
    """The error for one thing wrong with `file`."""
    return InvalidFile([Problem(file, line, column, message, _FIX)])


def _require_short_numbers(value: Any) -> None:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
        elif isinstance(one, int) and not -INTEGERS <= one < INTEGERS:
            raise ValueError("a whole number beyond 64 bits")
