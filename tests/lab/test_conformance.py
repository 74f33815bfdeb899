"""The conformance table on the real controllers, with both bounds.

All rows that need the same flags are replayed side by side on one lab; a lab's flags are raised client limits of the
controller
manager (so that rows do not wait for each other) and no default tolerations, beside the row's own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import lab as labs
from harness.clock import SystemClock
from harness.run.replay import Replayed
from harness.spec.script import parse_script
from harness.wiring.place import Where, open_place
from harness.wiring.replaying import REPLAY_FLAGS, replay_on

EARLY_S = 0.05
TABLE = Path(__file__).resolve().parent.parent / "conformance"
FLAGS = (
    *REPLAY_FLAGS,
    "kube-controller-manager=--kube-api-qps=1000",
    "kube-controller-manager=--kube-api-burst=2000",
)


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    id: str
    flags: tuple[str, ...]
    script: str
    expect: Any


def table() -> list[Row]:
    """Every row, in the order of the files."""
    rows = []
    for file in sorted(TABLE.glob("*.yaml")):
        for row in yaml.safe_load(file.read_text()):
            flags = tuple(row.get("flags") or ())
            rows.append(Row(row["id"], flags, json.dumps(row["script"]), row["expect"]))
    return rows


ROWS = table()


@pytest.fixture(scope="module")
def plane() -> Iterator[Any]:
    """Gives the outcome of a row; labs are started when first needed and taken down at the end."""
    names: list[str] = []

    @cache
    def outcomes(flags: tuple[str, ...]) -> dict[str, Replayed | Exception]:
        name = "conformance-" + hashlib.sha256("/".join(flags).encode()).hexdigest()[:8]
        parsed = tuple(map(labs.parse_flag, (*FLAGS, *flags)))
        spec = labs.LabSpec(name=name, topology=labs.plain_topology(1), flags=parsed, with_prometheus=False)
        names.append(name)
        labs.up(spec, owner=labs.this_process(), report=print)
        rows = [row for row in ROWS if row.flags == flags]
        scenarios = [parse_script(row.script, file=row.id) for row in rows]

        async def replay() -> list[Replayed | Exception]:
            async with open_place(Where(lab=name), clock=SystemClock(), for_writing=True) as place:
                return await replay_on(place, scenarios, side_by_side=10)

        results = asyncio.run(replay())
        labs.down_named(name)
        return {row.id: result for row, result in zip(rows, results, strict=True)}

    yield lambda row: outcomes(row.flags)[row.id]
    for name in names:
        labs.down_named(name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_row(row: Row, plane: Any) -> None:
    replayed = plane(row)
    if isinstance(replayed, Exception):
        raise replayed
    assert differences(row, replayed) == []


def differences(row: Row, replayed: Replayed) -> list[str]:
    """What the real controllers did differently from what the row expects."""
    out = []
    for name, expected in row.expect.get("pods", {}).items():
        end = replayed.pods[name]
        if isinstance(expected, str):
            if end.outcome != expected:
                out.append(f"{name}: {end.outcome} at {end.at_s}, expected {expected}")
            continue
        ((outcome, (earliest, latest)),) = expected.items()
        inside = end.at_s is not None and earliest - EARLY_S <= end.at_s <= latest
        if end.outcome != outcome or not inside:
            out.append(f"{name}: {end.outcome} at {end.at_s}, expected {outcome} in [{earliest}, {latest}]")
    if list(replayed.refused) != list(row.expect.get("refused", [])):
        out.append(f"refused writes {list(replayed.refused)}, expected {row.expect.get('refused', [])}")
    return out


def test_the_comparison_can_fail() -> None:
    row = next(row for row in ROWS if row.id == "no-toleration")
    ends = {name: replayed_end(expected) for name, expected in row.expect["pods"].items()}
    right = Replayed(ends, (), 0.0)
    assert differences(row, right) == []
    name = next(name for name, end in ends.items() if end.at_s is not None)
    for at_s in (ends[name].at_s - 1, ends[name].at_s + 2):  # type: ignore[operator]  # it is a number: see above
        assert differences(row, replace(right, pods={**ends, name: replace(ends[name], at_s=at_s)}))
    assert differences(row, replace(right, refused=(0,)))


def replayed_end(expected: Any) -> Any:
    """An end in the middle of what is expected."""
    from harness.run.replay import PodEnd

    if isinstance(expected, str):
        return PodEnd(expected)
    ((outcome, (earliest, latest)),) = expected.items()
    return PodEnd(outcome, (earliest + latest) / 2)
