"""Collecting problems: a reader notes each one and goes on, so that people see all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from harness.errors import InvalidFile, Problem
from harness.formats.meant import did_you_mean
from harness.formats.nodes import START, Place
from harness.terminal import one_line

MAX_KEPT = 1000
"""Problems of one file; reading stops at the next one, for nobody reads so many and each costs time."""
_OF_ALL_FILES = 5000
_MESSAGE, _FIX = 500, 300
_MEANT_WITHIN = 20
"""Problems after which nearly right names are no longer looked for: that is the dear part of a message."""
_NAMES = 200


class TooMany(Exception):
    """MAX_KEPT problems are noted, and there is at least one more: stop reading."""


class Problems:
    """Collects what is wrong with one file (and those it names); the same words at the same place are kept once."""

    def __init__(self, file: str, found: Iterable[Problem] = ()) -> None:
        """`file` is the name that problems carry; `found` is what is known already."""
        self.file = file
        self._found: dict[Problem, None] = dict.fromkeys(found)

    def add(self, at: Place, message: str, fix: str = "") -> None:
        """One more problem of this file; TooMany when there are MAX_KEPT already."""
        if len(self._found) >= MAX_KEPT:
            raise TooMany
        problem = Problem(self.file, at.line, at.column, one_line(message, _MESSAGE), one_line(fix, _FIX))
        self._found.setdefault(problem)

    def stopped(self) -> None:
        """Note that reading stopped because of TooMany."""
        last = max((Place(p.line, p.column) for p in self._found if p.file == self.file), default=START)
        words = f"reading stopped after {len(self._found):,} problems"
        self._found.setdefault(Problem(self.file, last.line, last.column, words))

    def closest(self, word: str, names: Iterable[str]) -> str:
        """The fix for a word that is not among `names`, which may be many: what was probably meant. Nothing when many
        problems have been found, for the same slip is behind most of them.
        """
        if len(self._found) >= _MEANT_WITHIN:
            return ""
        few = tuple(islice(names, _NAMES))
        return did_you_mean(word, few) if few else ""

    def extend(self, found: Iterable[Problem]) -> None:
        """Problems that were found elsewhere, perhaps in another file."""
        self._found.update(dict.fromkeys(islice(found, max(0, _OF_ALL_FILES - len(self._found)))))

    @property
    def found(self) -> tuple[Problem, ...]:
        """All of them: this file's first, then other files' in the order they were met; by line and column within."""
        order = {self.file: 0}
        for problem in self._found:
            order.setdefault(problem.file, len(order))
        return tuple(sorted(self._found, key=lambda p: (order[p.file], p.line, p.column)))

    def raise_if_any(self) -> None:
        """InvalidFile with all of them, if there is at least one."""
        if self._found:
            raise InvalidFile(self.found)


class BadValue(ValueError):
    """One value cannot be taken: what is wrong with it, and how to fix it. The reader adds where it stands."""

    def __init__(self, message: str, fix: str = "") -> None:
        """`message` and `fix` as in Problem; as text, one after the other."""
        super().__init__(f"{message} ({fix})" if fix else message)
        self.message = message
        self.fix = fix
