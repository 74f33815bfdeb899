"""YAML text in, a tree with positions out: the loader of everything users write for taintlab.

``parse(read_text(path), file=str(path))`` gives the documents as `harness.spec.nodes` and every problem of the YAML
itself; what the values mean is the caller's. Anchors, aliases and merge keys (``<<``) work; their expansion is bounded,
so that no small file can grow large.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.errors import InvalidFile, Problem
from harness.spec.compose import BoundPassed, Composer
from harness.spec.nodes import START, Node, Place
from harness.spec.problems import Problems

MAX_BYTES = 1024 * 1024
"""The largest file that is read: 1 MiB, some seconds of reading."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text held: its documents (empty ones left out) and what is wrong with the YAML itself.

    `broken`: the parser had to stop (syntax, or a bound was passed); `documents` holds those that ended before.
    """

    documents: tuple[Node, ...]
    problems: tuple[Problem, ...]
    broken: bool


def read_text(path: Path, *, max_bytes: int = MAX_BYTES) -> str:
    """The file's text. InvalidFile with one problem if it is absent, a folder, unreadable, larger than `max_bytes`, or
    not UTF-8 (then at the offending byte).
    """
    problems = Problems(str(path))
    data = b""
    try:
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except FileNotFoundError:
        problems.add(START, "no such file", "check the path")
    except IsADirectoryError:
        problems.add(START, "this is a folder, not a file", "name the file in it")
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        problems.add(START, f"the file cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(data) > max_bytes:
        problems.add(
            START, f"the file is larger than {max_bytes // 1024} KiB", "is it the file you mean? else split it"
        )
    problems.raise_if_any()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        at = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        problems.add(at, f"not UTF-8 text: byte 0x{data[error.start]:02x}", "save the file as UTF-8")
        raise InvalidFile(problems.found) from error


def parse(text: str, *, file: str) -> Parsed:
    """The documents of `text`, and every problem of the YAML itself: at most one syntax error (the parser stops there),
    repeated keys, keys that are not text, tags. `file` is the name problems carry.
    """
    composer = Composer(file)
    try:
        composer.compose(text, quick=True)
    except BoundPassed:
        return Parsed(tuple(composer.documents), composer.problems.found, True)
    except yaml.YAMLError:
        return _parse_slowly(text, file)
    return Parsed(tuple(composer.documents), composer.problems.found, False)


def _parse_slowly(text: str, file: str) -> Parsed:
    """Once more with the parser whose words are known, so that a problem reads the same on every machine."""
    composer = Composer(file)
    broken = True
    try:
        composer.compose(text, quick=False)
        broken = False
    except BoundPassed:
        pass  # noted already
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        at = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        composer.problems.add(at, f"YAML allows no character #x{ord(text[error.position]):04x}", "take it out")
    except yaml.MarkedYAMLError as error:
        _syntax_error(error, composer.problems)
    return Parsed(tuple(composer.documents), composer.problems.found, broken)


_MENDS = (
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
    """PyYAML's own words with the mend that usually helps; an unclosed quote is shown where it opened."""
    words = error.problem or "not understood"
    mark = error.problem_mark or error.context_mark
    if "unexpected end of stream" in words and error.context_mark is not None:
        mark = error.context_mark
    mend = next((mend for part, mend in _MENDS if part in words), "")
    context = f" {error.context}" if error.context else ""
    at = Place(mark.line + 1, mark.column + 1) if mark else START
    problems.add(at, f"not valid YAML{context}: {words}", mend)
