"""Whether a folder of programs is still what was put there: a SHA-256 of each file, written when it was filled.

The digests are taken again at the first use after a boot, and whenever a file's inode, size or times are not those of
the last look (ctime among them, which nobody can set): 195 MB of programs take 0.2 to 1 s to read, their stamps 1 ms.
It tells damage, and changes by others than the user, whose cache it is (harness.lab.cache).
"""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

from harness.files import write_whole
from harness.lab.processes import boot_id

NAME = "MANIFEST.json"

Stamps = dict[str, list[int]]


def seal(folder: Path) -> None:
    """Writes the manifest of everything below `folder` into it, in place of an older one."""
    write_whole(folder / NAME, json.dumps({"files": _digests(folder)}, indent=1).encode(), durable=False)


def difference(folder: Path) -> str:
    """How the folder differs from its manifest, in a few words; "" when it does not."""
    try:
        written = (folder / NAME).read_bytes()
        expected = json.loads(written)["files"]
        stamps = _stamps(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return "it has no manifest that can be read"
    seen = json.dumps({"boot": boot_id(), "manifest": hashlib.sha256(written).hexdigest(), "stamps": stamps})
    if _last_look(folder) == seen:
        return ""
    try:
        found = _digests(folder)
    except OSError as error:
        return f"{error.filename} cannot be read ({error.strerror})"
    if found != expected:
        return _in_words(expected, found)
    write_whole(_look_file(folder), seen.encode(), durable=False)
    return ""


def forget(folder: Path) -> None:
    """Deletes what is remembered beside a folder that is gone."""
    _look_file(folder).unlink(missing_ok=True)


def _in_words(expected: dict[str, str], found: dict[str, str]) -> str:
    for name, digest in sorted(expected.items()):
        if name not in found:
            return f"{name} is missing"
        if found[name] != digest:
            return f"{name} has changed"
    added = sorted(found.keys() - expected.keys())
    return f"{added[0]} was added"


def _look_file(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.looked")


def _last_look(folder: Path) -> str:
    try:
        return _look_file(folder).read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _entries(folder: Path) -> list[Path]:
    """Everything below but folders, and but the manifest."""
    below = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    return [path for path in below if path != folder / NAME]


def _digests(folder: Path) -> dict[str, str]:
    """Relative path -> ``sha256:...`` of a file, ``-> TARGET`` of a link."""
    return {str(path.relative_to(folder)): _digest(path) for path in _entries(folder)}


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if not path.is_file():
        return "neither file nor link"
    with path.open("rb") as file:
        executable = "x" if path.stat().st_mode & stat.S_IXUSR else "-"
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()} {executable}"


def _stamps(folder: Path) -> Stamps:
    out = {}
    for path in [folder / NAME, *_entries(folder)]:
        looked = path.lstat()
        out[str(path.relative_to(folder))] = [looked.st_ino, looked.st_size, looked.st_mtime_ns, looked.st_ctime_ns]
    return out
