"""A finished run folder, read once: the result, and what stands around it for the page. Nothing here needs a cluster.

Only ``result.json`` must exist. Every other file may be missing or damaged; `RunFolder.notes` then says so in a
sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from reports.fields import load_json
from reports.read import read_result
from reports.redact import redact_yaml
from reports.result import FILE, Result

_KEPT = frozenset(
    {
        "RunStarted",
        "NodeSeen",
        "WatchGap",
        "Sample",
        "LoadEnded",
        "SkewMeasured",
        "GuardTripped",
        "RecorderFailed",
    }
)

_DEFAULTED, _DEFAULT_S = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"), 300


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the history. `t_s`: seconds from the start of the run; `fields`: the whole line."""

    t_s: float
    wall: str
    kind: str
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """The field as text, "" when absent."""
        value = self.fields.get(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> float | None:
        """The field as a number, None when absent or no number."""
        value = self.fields.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class History:
    """The facts of the kinds the page shows, in order. `lines` counts all that were read, `damaged` those that could
    not be.
    """

    facts: tuple[Fact, ...] = ()
    lines: int = 0
    damaged: int = 0
    tolerations: Mapping[str, str] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[Fact, ...]:
        """The facts of one kind."""
        return tuple(fact for fact in self.facts if fact.kind == kind)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`spec`: the experiment's YAML as given, secrets redacted. `experiment`, `plan`: {} when missing. `history` None:
    no file.
    """

    path: Path
    result: Result
    spec: str
    experiment: Mapping[str, Any]
    plan: Mapping[str, Any]
    history: History | None
    notes: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def has_load(self) -> bool | None:
        """Whether the experiment asked for traffic; None when experiment.json does not say."""
        return self.experiment["load"] is not None if "load" in self.experiment else None

    @property
    def targets(self) -> tuple[str, ...]:
        """The nodes the run meant, else those the evictions name."""
        planned = list(self.result.targets) or self.plan.get("targets")
        if isinstance(planned, list):
            return tuple(str(name) for name in planned)
        return tuple(dict.fromkeys(row.node for row in self.result.evictions if row.node))


def read_folder(path: Path) -> RunFolder:
    """Read the run folder `path`. Raises UsageError (no folder, no result.json) and InvalidFile (a result.json we
    cannot accept).
    """
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder: name the folder of a run, such as runs/NAME/STAMP")
    result = read_result(path / FILE)
    notes: list[str] = []
    return RunFolder(
        path=path,
        result=result,
        spec=_spec(path / "spec.yaml", notes),
        experiment=_json(path / "experiment.json", notes),
        plan=_json(path / "plan.json", notes),
        history=_history(path / "history.jsonl", notes),
        notes=tuple(notes),
        files=tuple(sorted(entry.name + ("/" if entry.is_dir() else "") for entry in path.iterdir())),
    )


def _text(path: Path, notes: list[str]) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        notes.append(f"{path.name} is not in the folder.")
    except OSError as error:
        notes.append(f"{path.name} cannot be read: {error.strerror}.")
    return None


def _json(path: Path, notes: list[str]) -> dict[str, Any]:
    text = _text(path, notes)
    if text is None:
        return {}
    try:
        value = load_json(text)
    except json.JSONDecodeError as error:
        notes.append(f"{path.name} is not JSON (line {error.lineno}: {error.msg}).")
        return {}
    if isinstance(value, dict):
        return value
    notes.append(f"{path.name} does not hold an object.")
    return {}


def _spec(path: Path, notes: list[str]) -> str:
    text = _text(path, notes)
    if text is None:
        return ""
    redacted = redact_yaml(text)
    if redacted is None:
        notes.append(f"{path.name} is not YAML; it is not shown, because secrets in it could not be told apart.")
    return redacted or ""


def _history(path: Path, notes: list[str]) -> History | None:
    if not path.is_file():
        notes.append(f"{path.name} is not in the folder.")
        return None
    facts: list[Fact] = []
    tolerations: dict[str, str] = {}
    lines = damaged = 0
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            lines += 1
            fact = _fact(line)
            if fact is None:
                damaged += 1
            elif fact.kind in _KEPT:
                facts.append(fact)
            elif fact.kind == "PodSeen" and fact.text("uid") not in tolerations:
                tolerations[fact.text("uid")] = toleration_words(fact.fields.get("tolerations"))
    if damaged:
        notes.append(f"{damaged} of {lines} lines of {path.name} cannot be read.")
    return History(facts=tuple(facts), lines=lines, damaged=damaged, tolerations=tolerations)


def _fact(line: str) -> Fact | None:
    try:
        raw = load_json(line)
    except json.JSONDecodeError:
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("t_ns"), int):
        return None
    return Fact(t_s=raw["t_ns"] / 1e9, wall=str(raw.get("wall", "")), kind=str(raw.get("kind", "")), fields=raw)


def toleration_words(tolerations: object) -> str:
    """What a pod tolerates of NoExecute, without the two 300 s defaults that every pod is given.

    ``tolerates spot for 5 s, gpu for ever``; ``no toleration`` when nothing is left. `tolerations`: core/v1 objects.
    """
    words = []
    for item in tolerations if isinstance(tolerations, list) else ():
        if not isinstance(item, dict) or item.get("effect") not in (None, "", "NoExecute"):
            continue
        limit_s = item.get("tolerationSeconds")
        if item.get("key") in _DEFAULTED and limit_s == _DEFAULT_S:
            continue
        value = f"={item['value']}" if item.get("value") and item.get("operator") != "Exists" else ""
        words.append(
            f"{item.get('key') or 'every taint'}{value} {'for ever' if limit_s is None else f'for {limit_s} s'}"
        )
    return f"tolerates {', '.join(words)}" if words else "no toleration"
