"""What reading an experiment needs to know of a kind of fault. The kinds themselves are handed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.formats.problems import Problems
from harness.formats.read import Path, Reading
from harness.formats.shapes import Record
from harness.model.experiment import Manifest
from harness.model.faults import Fault
from harness.model.requirement import Requirement


@dataclass(frozen=True, slots=True)
class FaultEntry:
    """One fault of a file, for checks. `path`: of its mapping in the file."""

    reading: Reading
    path: Path
    problems: Problems

    def note(self, keys: Sequence[str | int], message: str, fix: str) -> None:
        """A problem at `keys` below the fault, or at the closest thing around it that was written."""
        self.problems.add(self.reading.place(*self.path, *keys), message, fix)


@dataclass(frozen=True, slots=True)
class PodMaker:
    """An object of the workload that is or makes a pod; `template`: that pod (metadata, spec)."""

    manifest: Manifest
    labels: Mapping[str, str]
    template: Mapping[str, Any]


class ReadableKind(Protocol):
    """A kind of fault as the reader of files sees it."""

    @property
    def value(self) -> type[Fault]:
        """The class of its values."""
        ...

    @property
    def shape(self) -> Record:
        """Its mapping in a file, which builds a `value`. The first key is `value.kind`."""
        ...

    def check(self, fault: Any, entry: FaultEntry) -> None:
        """Note what the declaration cannot say of one fault."""
        ...

    def check_pods(self, fault: Any, makers: Sequence[PodMaker], entry: FaultEntry) -> None:
        """Note what is wrong with the pods of the workload that its selector matches."""
        ...


Kinds = tuple[ReadableKind, ...]
"""The kinds that a file may use, in the order of the declaration."""


def entries(reading: Reading, problems: Problems, kinds: Kinds) -> Iterator[tuple[Fault, ReadableKind, FaultEntry]]:
    """Every fault that could be read, with its kind, in written order."""
    of = {kind.value: kind for kind in kinds}
    for path, fault in reading.each(Fault, "spec", "faults"):  # type: ignore[type-abstract]  # only isinstance
        yield fault, of[type(fault)], FaultEntry(reading, path, problems)


def matching(makers: Iterable[PodMaker], selector: Sequence[Requirement]) -> tuple[PodMaker, ...]:
    """Those whose pods all terms match."""
    return tuple(maker for maker in makers if all(term.matches(maker.labels) for term in selector))
