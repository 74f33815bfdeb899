"""Checks across the keys of a write script: who is meant by a name, and what must hold of the world at time 0."""

from __future__ import annotations

from harness.formats.nodes import Place
from harness.formats.problems import Problems
from harness.formats.read import Path, Reading
from harness.model.scenario import ScenarioNode, ScenarioPod
from harness.model.taints import Effect
from harness.model.tolerations import refusals

_Names = dict[str, Place]


def check(reading: Reading, problems: Problems) -> None:
    """Note everything that the declaration cannot say."""
    nodes, pods = (_taken_once(reading, problems, kind) for kind in ("nodes", "pods"))
    pods |= dict(_named(reading, ("writes",), "create", "name"))
    _known(reading, problems, ("pods",), ("node",), nodes)
    _known(reading, problems, ("writes",), ("create", "node"), nodes)
    _known(reading, problems, ("writes",), ("taints", "node"), nodes)
    for kind in ("tolerations", "delete"):
        _known(reading, problems, ("writes",), (kind, "pod"), pods)
    _in_order(reading, problems)
    _nodes_at_start(reading, problems)
    _pods_at_start(reading, problems)


def _named(reading: Reading, listed: Path, *keys: str) -> list[tuple[str, Place]]:
    """The texts at `keys` of each entry of a list that could be read, right in themselves or not, and where they
    stand.
    """
    paths = [(*listed, index, *keys) for index in range(reading.lengths.get(listed, 0))]
    found = [(reading.one(str, *path), path) for path in paths]
    return [(name, reading.place(*path)) for name, path in found if name is not None]


def _taken_once(reading: Reading, problems: Problems, kind: str) -> _Names:
    names: _Names = {}
    for name, place in _named(reading, (kind,), "name"):
        if name in names:
            words = f"name: {name} is taken, in line {names[name].line}"
            problems.add(place, words, "give each a name of its own")
        names.setdefault(name, place)
    return names


def _known(reading: Reading, problems: Problems, listed: Path, keys: tuple[str, ...], names: _Names) -> None:
    """Everything that is named at `keys` is among `names`; where the list of those could not be read, that is said."""
    if not reading.written("nodes" if keys[-1] == "node" else "pods"):
        return
    for name, place in _named(reading, listed, *keys):
        if name not in names:
            problems.add(place, f"{keys[-1]}: there is no {name}", problems.closest(name, names))


def _in_order(reading: Reading, problems: Problems) -> None:
    before_s = 0.0
    for index in range(reading.lengths.get(("writes",), 0)):
        at_s = reading.one(float, "writes", index, "at")
        if at_s is None:
            continue
        if at_s < before_s:
            place = reading.place("writes", index, "at")
            problems.add(place, f"at: {at_s:g} comes after {before_s:g}", "sort the writes by time")
        before_s = max(before_s, at_s)


def _nodes_at_start(reading: Reading, problems: Problems) -> None:
    for path, node in reading.each(ScenarioNode, "nodes"):
        seen: set[tuple[str, Effect]] = set()
        for index, taint in enumerate(node.taints):
            if taint.identity in seen:
                place = reading.place(*path, "taints", index)
                problems.add(place, f"taints: {taint} repeats key and effect", "keep one of them")
            seen.add(taint.identity)


def _pods_at_start(reading: Reading, problems: Problems) -> None:
    for path, pod in reading.each(ScenarioPod, "pods"):
        for index, toleration in enumerate(pod.tolerations):
            for refusal in refusals(toleration):
                place = reading.place(*path, "tolerations", index, refusal.field)
                problems.add(place, f"{refusal.field}: {refusal.message}", refusal.fix)
