"""Write scripts from YAML or JSON, strictly: every problem at once, with its place."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.errors import InvalidFile, UsageError
from harness.formats.document import is_folder, parse, read_text
from harness.formats.nodes import START, Node
from harness.formats.problems import Problems, TooMany
from harness.formats.read import read
from harness.formats.script.fields import SCRIPT
from harness.formats.script.semantic import check
from harness.model.scenario import Scenario


def read_script(path: Path) -> Scenario:
    """The script in that file; InvalidFile with everything wrong with it."""
    return parse_script(read_text(path), file=str(path))


def scripts_in(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files of `paths`: a folder stands for every .yaml, .yml and .json file in it, by name."""
    found: list[Path] = []
    for path in paths:
        inside = _entries(path) if is_folder(path) else [path]
        found += [each for each in inside if each is path or each.suffix in (".yaml", ".yml", ".json")]
    return tuple(found)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from error


def parse_script(text: str, *, file: str) -> Scenario:
    """The script that `text` is; `file` is the name problems carry. InvalidFile with everything wrong with it."""
    parsed = parse(text, file=file)
    problems = Problems(file, parsed.problems)
    if not parsed.broken and len(parsed.documents) != 1:
        problems.add(START, f"one script is needed, found {len(parsed.documents)} documents", "one file a script")
    scenario = None
    try:
        for node in parsed.documents[:1]:
            scenario = scenario_of(node, problems)
    except TooMany:
        problems.stopped()
    problems.raise_if_any()
    if scenario is None:  # cannot be: what is missing is a problem
        raise InvalidFile(problems.found)
    return scenario


def scenario_of(node: Node, problems: Problems) -> Scenario | None:
    """The script that stands at `node`, a part of another file perhaps; None if it cannot be one. Notes `problems`."""
    reading = read(SCRIPT, node, problems)
    check(reading, problems)
    return reading.one(Scenario)
