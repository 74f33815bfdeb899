"""Collecting problems: a reader notes each one and goes on, so that people see all of them at once."""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import InvalidFile, Problem
from harness.spec.nodes import Place


class Problems:
    """Collects what is wrong with one file (and those it names); the same words at the same place are kept once."""

    def __init__(self, file: str, found: Iterable[Problem] = ()) -> None:
        """`file` is the name that problems carry; `found` is what is known already."""
        self.file = file
        self._found: dict[Problem, None] = dict.fromkeys(found)

    def add(self, at: Place, message: str, mend: str = "") -> None:
        """One more problem of this file."""
        self._found.setdefault(Problem(self.file, at.line, at.column, message, mend))

    def extend(self, found: Iterable[Problem]) -> None:
        """Problems that were found elsewhere, perhaps in another file."""
        self._found.update(dict.fromkeys(found))

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
    """One value cannot be taken: what is wrong with it, and how to mend it. The reader adds where it stands."""

    def __init__(self, message: str, mend: str = "") -> None:
        """`message` and `mend` as in Problem."""
        super().__init__(message)
        self.message = message
        self.mend = mend
