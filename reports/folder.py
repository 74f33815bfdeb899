"""A finished run folder, read once: the result, and what stands around it for the page. Nothing here needs a cluster.

Only ``result.json`` must exist. Every other file may be missing or damaged; `RunFolder.notes` then says so in a
sentence.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import InvalidFile, UsageError
from harness.files import EVIDENCE_CAP, read_regular, shown
from harness.history.codec import MAX_T_NS
from harness.history.redact import redact_text
from harness.history.redact_yaml import MAX_BYTES, redact_yaml
from harness.history.strict import JSON_CAP, parse
from harness.model.result import FILE, Result
from harness.model.taints import Effect, toleration_from_api
from harness.model.tolerations import is_default
from reports.read import read_result

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

_MAX_NAMES = 200
_MAX_DAMAGED = 10_000
"""Lines that cannot be read, after which a history is given up: reading on would cost more than it shows."""


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
        return "" if value is None else redact_text(str(value))

    def number(self, name: str) -> float | None:
        """The field as a number, None when absent or no number that a run can have."""
        value = self.fields.get(name)
        known = isinstance(value, int | float) and not isinstance(value, bool) and -1e18 < value < 1e18
        return float(value) if known and value is not None else None


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
    """`spec`: the experiment's YAML, secrets hashed, without comments. `experiment`, `plan`: {} when missing.
    `history` None: no file.
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
    try:
        entries = sorted(path.iterdir())
    except (OSError, ValueError):
        raise UsageError(f"{shown(path)} is not a folder: name the folder of a run, such as runs/NAME/STAMP") from None
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
        files=_names(entries, notes),
    )


def _names(entries: Sequence[Path], notes: list[str]) -> tuple[str, ...]:
    """What lies in the folder; names that are no printable text are left out, and so is what is beyond `_MAX_NAMES`."""
    names = [entry.name + ("/" if entry.is_dir() else "") for entry in entries if entry.name.isprintable()]
    left = len(entries) - len(names[:_MAX_NAMES])
    if left:
        notes.append(f"{left} of {len(entries)} files of the folder are not listed.")
    return tuple(names[:_MAX_NAMES])


def _data(path: Path, notes: list[str], *, cap: int) -> bytes | None:
    if not os.path.lexists(path):
        notes.append(f"{path.name} is not in the folder.")
        return None
    try:
        return read_regular(path, cap=cap)
    except UsageError as error:
        notes.append(f"{path.name} cannot be read: {str(error).removeprefix(f'{shown(path)}: ')}.")
    return None


def _json(path: Path, notes: list[str]) -> dict[str, Any]:
    data = _data(path, notes, cap=JSON_CAP)
    if data is None:
        return {}
    try:
        value = parse(data, file=path.name)
    except InvalidFile as error:
        problem = error.problems[0]
        notes.append(f"{path.name} is not JSON (line {problem.line}: {problem.message.removeprefix('not JSON: ')}).")
        return {}
    if isinstance(value, dict):
        return value
    notes.append(f"{path.name} does not hold an object.")
    return {}


def _spec(path: Path, notes: list[str]) -> str:
    data = _data(path, notes, cap=MAX_BYTES)
    if data is None:
        return ""
    redacted = redact_yaml(data.decode("utf-8", "replace"))
    if redacted is None:
        notes.append(f"{path.name} is not YAML; it is not shown, because secrets in it could not be told apart.")
    return redacted or ""


def _history(path: Path, notes: list[str]) -> History | None:
    data = _data(path, notes, cap=EVIDENCE_CAP)
    if data is None:
        return None
    facts: list[Fact] = []
    tolerations: dict[str, str] = {}
    lines = damaged = 0
    for line in io.BytesIO(data):
        lines += 1
        fact = _fact(line)
        if fact is None:
            damaged += 1
            if damaged == _MAX_DAMAGED:
                notes.append(f"{path.name} is not read beyond its line {lines}.")
                break
        elif fact.kind in _KEPT:
            facts.append(fact)
        elif fact.kind == "PodSeen" and fact.text("uid") not in tolerations:
            tolerations[fact.text("uid")] = toleration_words(fact.fields.get("tolerations"))
    if damaged:
        notes.append(f"{damaged} of {lines} lines of {path.name} cannot be read.")
    return History(facts=tuple(facts), lines=lines, damaged=damaged, tolerations=tolerations)


def _fact(line: bytes) -> Fact | None:
    try:
        raw = parse(line, file="")
    except InvalidFile:
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("t_ns"), int) or abs(raw["t_ns"]) > MAX_T_NS:
        return None
    return Fact(t_s=raw["t_ns"] / 1e9, wall=str(raw.get("wall", "")), kind=str(raw.get("kind", "")), fields=raw)


def toleration_words(tolerations: object) -> str:
    """What a pod tolerates of NoExecute, without the two 300 s defaults that every pod is given.

    ``spot:NoExecute op=Exists for 5s, * op=Exists``; ``no toleration`` when nothing is left. `tolerations`: core/v1
    objects; what is none is told as ``unreadable``.
    """
    words = []
    for item in tolerations if isinstance(tolerations, list) else ():
        try:
            toleration = toleration_from_api(item)
        except (AttributeError, ValueError, TypeError):
            words.append("unreadable")
            continue
        if toleration.effect in (None, Effect.NO_EXECUTE) and not is_default(toleration):
            words.append(str(toleration))
    return ", ".join(words) or "no toleration"
