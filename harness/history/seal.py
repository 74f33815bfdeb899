"""The digests of a run's evidence, written when it is complete: what is damaged or left out later is seen at once.

They show damage and carelessness, not malice: who may write the folder can write the digests too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import InvalidFile, TaintlabError, UsageError
from harness.files import MIB, digest_regular, write_whole
from harness.history.folder import RunFolder
from harness.history.strict import invalid, read_json

FORMAT = 1
CAP = 1024 * MIB
"""Bytes of one file of evidence; the rows of the largest run that is allowed have 640 MB."""
_MAX_FILES = 1_000


class _File(msgspec.Struct):
    name: str
    sha256: str
    size: int


class _Seal(msgspec.Struct):
    format: int
    files: list[_File]


def seal(folder: RunFolder) -> None:
    """Write ``evidence.json``: SHA-256 and size of every file that the judges read. After the recorder has closed the
    history, before anything is judged. UsageError when one of them cannot be read, OSError when it cannot be written.
    """
    files = []
    for name in _evidence(folder):
        sha256, size = digest_regular(folder.path / name, cap=CAP)
        files.append({"name": name, "sha256": sha256, "size": size})
    text = json.dumps({"format": FORMAT, "files": files}, indent=1)
    write_whole(folder.evidence, text.encode() + b"\n")


def damage(folder: RunFolder) -> tuple[str, ...]:
    """What is not as it was sealed, one sentence for each file; empty when everything is. Never raises for what lies in
    the folder.
    """
    if not os.path.lexists(folder.evidence):
        return (f"{folder.evidence.name} is missing",)
    try:
        known = {one.name: one for one in _read(folder.evidence).files}
        present = list(_evidence(folder))
    except InvalidFile as error:
        return (f"{folder.evidence.name} cannot be read: {error.problems[0].message}",)
    except TaintlabError as error:
        return (str(error),)
    found = [_difference(folder, name, known.get(name)) for name in present]
    missing = [f"{_short(name)} is missing" for name in known if name not in present]
    return (*(one for one in found if one), *missing)


def _difference(folder: RunFolder, name: str, was: _File | None) -> str:
    if was is None:
        return f"{_short(name)} was not there when the run ended"
    try:
        sha256, size = digest_regular(folder.path / name, cap=CAP)
    except UsageError as error:
        return str(error)
    if size != was.size:
        return f"{_short(name)} has {size} bytes, it had {was.size}"
    return "" if sha256 == was.sha256 else f"{_short(name)} was changed: its SHA-256 is not the one of the run's end"


def _short(name: str) -> str:
    return repr(name[:80])[1:-1].encode("utf-8", "backslashreplace").decode()


def _read(path: Path) -> _Seal:
    value: Any = read_json(path, cap=MIB)
    try:
        found = msgspec.convert(value, _Seal)
    except ValueError as error:
        raise invalid(path.name, str(error)) from error
    if found.format != FORMAT:
        raise invalid(path.name, f"format {found.format}: this taintlab reads format {FORMAT}")
    return found


def _evidence(folder: RunFolder) -> Iterator[str]:
    """Names of the files there are, from the folder: what the judges read, and all that the load process left."""
    for path in (folder.spec, folder.experiment, folder.world, folder.plan, folder.history, folder.versions):
        if os.path.lexists(path):
            yield path.name
    if not os.path.lexists(folder.load):
        return
    if folder.load.is_symlink() or not folder.load.is_dir():
        raise UsageError(f"{folder.load.name} is no folder")
    names = sorted(entry.name for entry in folder.load.iterdir())
    if len(names) > _MAX_FILES:
        raise UsageError(f"{folder.load.name} holds {len(names)} files")
    yield from (f"{folder.load.name}/{name}" for name in names)
