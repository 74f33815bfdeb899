"""YAML text in, a tree with positions out: the loader of everything users write for taintlab.

``parse(read_text(path), file=str(path))`` gives the documents as `harness.formats.nodes` and every problem of the YAML
itself; what the values mean is the caller's. Anchors, aliases and merge keys (``<<``) work; their expansion is bounded,
so that no small file can grow large.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.errors import InvalidFile, Problem, UsageError
from harness.files import read_regular
from harness.formats.compose import BoundPassed, Composer
from harness.formats.nodes import START, Node, Place
from harness.formats.problems import Problems, TooMany

MAX_BYTES = 1024 * 1024
"""The largest file that is read: 1 MiB, some seconds of reading."""
_SLOW_CHARACTERS = 64 * 1024
"""Up to here a text that is no YAML is read again by the parser whose words are known; it needs 12 s for 1 MiB."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text held: its documents (empty ones left out) and what is wrong with the YAML itself.

    `broken`: the parser had to stop (syntax, or a bound was passed); `documents` holds those that ended before.
    """

    documents: tuple[Node, ...]
    problems: tuple[Problem, ...]
    broken: bool


def read_text(path: Path, *, max_bytes: int = MAX_BYTES) -> str:
    """The file's text. InvalidFile with one problem if it is absent, no regular file (a folder, pipe, device), not
    readable, larger than `max_bytes`, or not UTF-8 (then at the offending byte). Links are followed: the path is the
    user's.
    """
    problems = Problems(str(path))
    data = b""
    try:
        data = read_regular(path, cap=max_bytes, follow_link=True)
    except UsageError as error:
        problems.add(START, *_unreadable(path, error, max_bytes))
    problems.raise_if_any()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        at = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        problems.add(at, f"not UTF-8 text: byte 0x{data[error.start]:02x}", "save the file as UTF-8")
        raise InvalidFile(problems.found) from error


def _unreadable(path: Path, error: UsageError, max_bytes: int) -> tuple[str, str]:
    """Message and fix for a file that could not be read."""
    cause = error.__cause__
    if isinstance(cause, FileNotFoundError):
        return "no such file", "check the path"
    if is_folder(path):
        return "this is a folder, not a file", "name the file in it"
    if not isinstance(cause, OSError | ValueError):  # ValueError: a NUL byte in the name
        if is_file(path):
            return f"the file is larger than {max_bytes // 1024} KiB", "is it the file you mean? else split it"
        return "this is no regular file", "name a file that can be read again"
    if isinstance(cause, OSError) and cause.errno == errno.ELOOP:
        return "the file cannot be read: its links lead in a circle", "check the link"
    return f"the file cannot be read: {getattr(cause, 'strerror', None) or cause}", ""


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False also where that cannot be told (a name too long, no permission)."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether there is a regular file; False also where that cannot be told."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def parse(text: str, *, file: str) -> Parsed:
    """The documents of `text`, and every problem of the YAML itself: at most one syntax error (the parser stops there),
    repeated keys, keys that are not text, tags. `file` is the name problems carry.
    """
    composer = Composer(file)
    try:
        composer.compose(text, quick=True)
    except BoundPassed:
        return Parsed(tuple(composer.documents), composer.problems.found, True)
    except TooMany:
        composer.problems.stopped()
        return Parsed(tuple(composer.documents), composer.problems.found, True)
    except yaml.YAMLError as error:
        if len(text) > _SLOW_CHARACTERS:
            _broken(error, text, composer.problems)
            return Parsed(tuple(composer.documents), composer.problems.found, True)
        return _parse_slowly(text, file, error)
    return Parsed(tuple(composer.documents), composer.problems.found, False)


def _parse_slowly(text: str, file: str, quick: yaml.YAMLError) -> Parsed:
    """Once more with the parser whose words are known, so that a problem reads the same on every machine. `quick` is
    what the other one said: it stands where this one trips over an escape that is no character.
    """
    composer = Composer(file)
    broken = True
    try:
        composer.compose(text, quick=False)
        broken = False
    except BoundPassed:
        pass  # noted already
    except TooMany:
        composer.problems.stopped()
    except yaml.YAMLError as error:
        _broken(error, text, composer.problems)
    except (OverflowError, ValueError):  # chr() of "\UFFFFFFFF"
        _broken(quick, text, composer.problems)
    return Parsed(tuple(composer.documents), composer.problems.found, broken)


def _broken(error: yaml.YAMLError, text: str, problems: Problems) -> None:
    """Note where and why the parser had to stop."""
    if isinstance(error, yaml.reader.ReaderError):
        match = _NO_YAML.search(text)
        before = text[: match.start() if match else min(error.position, len(text))]
        at = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        words = f"YAML allows no character #x{ord(match[0]):04x}" if match else "not valid YAML"
        problems.add(at, words, "take it out")
    elif isinstance(error, yaml.MarkedYAMLError):
        _syntax_error(error, problems)
    else:
        problems.add(START, f"not valid YAML: {error}")


_NO_YAML = yaml.reader.Reader.NON_PRINTABLE
_FIXES = (
    ("character '\\t'", "indent with spaces, not tabs"),
    ("mapping values are not allowed", 'check the indentation, or quote text that holds ": "'),
    ("could not find expected ':'", 'write "key: value"; check the lines above too'),
    ("but found '<scalar>'", "check the quotes (a ' inside single quotes is written '') and the indentation"),
    ("expected <block end>", "check the indentation: entries of one list or mapping start in the same column"),
    ("expected ',' or", "close the bracket, or put a comma between the entries"),
    ("unexpected end of stream", "close the quote"),
    ("expected the node content", "a value is missing before this"),
    ("cannot start any token", "quote the text"),
    ("escape", "inside double quotes write \\\\ for a backslash, or use single quotes"),
)


def _syntax_error(error: yaml.MarkedYAMLError, problems: Problems) -> None:
    """PyYAML's own words with the fix that usually helps; an unclosed quote is shown where it opened."""
    words = error.problem or "not understood"
    mark = error.problem_mark or error.context_mark
    if "unexpected end of stream" in words and error.context_mark is not None:
        mark = error.context_mark
    fix = next((fix for part, fix in _FIXES if part in words), "")
    context = f" {error.context}" if error.context else ""
    at = Place(mark.line + 1, mark.column + 1) if mark else START
    problems.add(at, f"not valid YAML{context}: {words}", fix)
