"""Reads a ``result.json`` into `harness.model.result.Result`: keys that it does not know are ignored, those that it
knows must hold what they are for.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from harness.errors import InvalidFile, Problem, UsageError
from harness.files import read_regular, shown
from harness.history.redact import redact_texts
from harness.history.strict import JSON_CAP, invalid, parse
from harness.model.result import FILE, VERSION, Result

_PLACE = re.compile(r"(?s)(?P<said>.*) - at `(?P<place>.*)`")


def read_result(path: Path) -> Result:
    """Read `path`. UsageError when there is no such file or it is no regular one, InvalidFile when it is not a result
    of version 1.
    """
    if not os.path.lexists(path):
        folder = shown(path.parent)
        raise UsageError(f"{folder} has no {path.name}: judge the run first, with `taintlab check {folder}`")
    return parse_result(read_regular(path, cap=JSON_CAP), file=shown(path))


def parse_result(data: bytes, *, file: str = FILE) -> Result:
    """The result in the text `data`, its texts without credentials; `file` is named in the problem. InvalidFile with
    the first thing that is wrong.
    """
    raw = parse(data, file=file)
    version = raw.get("version") if isinstance(raw, dict) else None
    if type(version) is int and version != VERSION:
        fix = "render it with the taintlab that wrote it"
        raise InvalidFile([Problem(file, 1, 1, f"version {version}: this taintlab reads version {VERSION}", fix)])
    try:
        result = msgspec.convert(redact_texts(raw), Result)
        _require_ordered(result)
    except (ValueError, RecursionError) as error:  # msgspec's own error is a ValueError
        raise invalid(file, _words(error)) from error
    return result


def _require_ordered(result: Result) -> None:
    """ValueError, in msgspec's words for a place, for an interval whose ends are swapped."""
    intervals = [(f"checks[{n}].interval", check.interval) for n, check in enumerate(result.checks)]
    for n, row in enumerate(result.evictions):
        intervals += [(f"evictions[{n}].predicted_s", row.predicted_s), (f"evictions[{n}].planned_s", row.planned_s)]
    for place, interval in intervals:
        if interval is not None and interval[0] > interval[1]:
            raise ValueError(f"Expected [low, high], low not above high - at `$.{place}`")


def _words(error: Exception) -> str:
    """msgspec's words, the place in front: ``checks[0].verdict: invalid enum value 'GOOD'``."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    found = _PLACE.fullmatch(str(error))
    said, place = (found["said"], found["place"].removeprefix("$").removeprefix(".")) if found else (str(error), "")
    said = said[:1].lower() + said[1:200]
    return f"{place[:200]}: {said}" if place else said
