"""Time is a port: what runs against a cluster waits by the clock that it was given, and asks no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HARNESS = Path(__file__).resolve().parents[2] / "harness"
ROOMS = ("run", "cluster", "faults")
TIMERS = {"sleep", "timeout", "timeout_at", "wait_for", "call_later", "call_at"}


def timers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Where a timer of the event loop is used, or the module `time`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if any(alias.name.split(".")[0] == "time" for alias in names):
                yield node.lineno, "import time"
            case ast.ImportFrom(module="time" | "asyncio" as module, names=names):
                found = [alias.name for alias in names if module == "time" or alias.name in TIMERS]
                yield from ((node.lineno, f"from {module} import {name}") for name in found)
            case ast.Attribute(value=ast.Name(id="asyncio" | "time"), attr=name) if name in TIMERS | {"monotonic"}:
                yield node.lineno, name
            case ast.Attribute(attr="call_later" | "call_at" as name):
                yield node.lineno, name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio"), attr="wait"), keywords=keywords):
                if any(keyword.arg == "timeout" for keyword in keywords):
                    yield node.lineno, "wait(timeout=)"


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_waits_by_itself(room: str) -> None:
    modules = sorted((HARNESS / room).rglob("*.py"))
    assert modules
    found = [
        f"{module.relative_to(HARNESS)}:{line}: {what}"
        for module in modules
        for line, what in timers(ast.parse(module.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from asyncio import sleep",
        "await asyncio.sleep(1)",
        "def f(sleep=asyncio.sleep): ...",
        "async with asyncio.timeout(3): ...",
        "asyncio.get_running_loop().call_later(1, f)",
        "await asyncio.wait(tasks, timeout=3)",
    ],
)
def test_the_search_finds_it(text: str) -> None:
    code = text if text.startswith(("import", "from", "def", "asyncio.get")) else f"async def f():\n    {text}"
    assert list(timers(ast.parse(code)))
