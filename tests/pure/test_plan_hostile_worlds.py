"""Whatever is wrong in a world file: a plan or one clear sentence, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness.cli import main
from tests.benchmarks.worlds import write_kubectl_list

POLICY = ["plan", "--taint", "spot=true:NoExecute", "--nodes", "pool=spot", "--world"]
ODD: list[Any] = [None, 5, -1, "x", "", [], {}, [5], {"a": 5}, True, 1e99, "9" * 30, "-3", "5Zi", [None], [{}]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small world as kubectl prints it."""
    path = tmp_path_factory.mktemp("world") / "world.json"
    write_kubectl_list(path, nodes=6, pods=40)
    return json.loads(path.read_text())


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*before, key)
        yield from places(child, (*before, key))


def spoiled(world: Any, ways: list[tuple[Any, ...]], rng: Random) -> Any:
    """A copy in which up to three values are odd, or missing."""
    copy = deepcopy(world)
    for _ in range(rng.randint(1, 3)):
        *way, last = rng.choice(ways)
        inner = copy
        try:
            for key in way:
                inner = inner[key]
            if rng.random() < 0.25:
                del inner[last]
            else:
                inner[last] = rng.choice(ODD)
        except (KeyError, IndexError, TypeError):
            continue  # something on the way is spoiled already
    return copy


@pytest.mark.parametrize("seed", range(6))
def test_a_plan_or_a_sentence(world: Any, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, ways, refused = Random(seed), list(places(world)), 0
    path = tmp_path / "world.json"
    for _ in range(30):
        path.write_text(json.dumps(spoiled(world, ways, rng)))
        code = main([*POLICY, str(path)])
        said = capsys.readouterr()
        assert code in (0, 2)
        if code == 2:
            refused += 1
            (line,) = said.err.splitlines()
            assert line.startswith("taintlab: ")
            assert "world.json" in line or "--nodes" in line or "node" in line, line
    assert refused


def test_the_object_is_named(world: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = next(item for item in world["items"] if item["kind"] == "Node")
    path = tmp_path / "world.json"
    node["spec"]["taints"] = [{"key": "spot", "effect": "NoExecute", "value": {"a": "b"}}]
    path.write_text(json.dumps(world))
    assert main([*POLICY, str(path)]) == 2
    said = capsys.readouterr().err
    assert (
        said
        == f"taintlab: {path}: Node {node['metadata']['name']}: Expected `str | null`, got `object` - at `$[0].value`\n"
    )
