"""For tests of whatever runs faults: a fault that does nothing, and a driver that checks another one.

The wrapper is what jepsen's `nemesis/validate` is: it holds a driver to its contract, whatever it drives.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from harness.faults.kind import F, FaultContext, FaultKind, Receipt, UndoingDriver
from harness.formats.experiment.fields_faults import AT, FOR
from harness.formats.shapes import Field, Record
from harness.model.faults import Fault, PlannedCluster
from harness.model.scenario import Write


@dataclass(frozen=True, slots=True)
class NoopFault(Fault):
    """Injected and healed like any other, and nothing happens."""

    kind: ClassVar = "noop"
    is_undone: ClassVar = True
    needs: ClassVar = frozenset()
    rights: ClassVar = ()
    departs_by: ClassVar = None
    unplanned: ClassVar = ""

    def subjects(self, targets: Sequence[str]) -> Sequence[str]:
        """One."""
        return ("",)

    @property
    def holds(self) -> str:
        """Nothing."""
        return ""

    @property
    def pods_with(self) -> None:
        """None."""
        return None

    @property
    def mark(self) -> None:
        """None."""
        return None

    def writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """None."""
        return ()

    def undo_writes(self, subject: str, cluster: PlannedCluster, at_s: float) -> Sequence[Write]:
        """None."""
        return ()

    def __str__(self) -> str:
        """``noop``."""
        return "noop"


class NoopDriver(UndoingDriver[NoopFault]):
    """Touches nothing."""

    async def inject(self, fault: NoopFault, subject: str, context: FaultContext) -> Receipt:
        """Nothing was done."""
        return {}

    async def heal(self, fault: NoopFault, subject: str, context: FaultContext) -> Receipt:
        """Nothing was undone."""
        return {}

    async def is_healed(self, fault: NoopFault, subject: str, context: FaultContext) -> bool:
        """Always."""
        return True


def _no_settings() -> tuple[()]:
    return ()


def _build(nothing: tuple[()], at_s: float, for_s: float | None = None) -> NoopFault:
    return NoopFault(at_s=at_s, for_s=for_s)


NOOP = FaultKind(
    NoopFault,
    Record(
        "NoopFault",
        "Nothing.",
        (
            Field("noop", "nothing", Record("Noop", "No settings.", (), _no_settings), "Written `{}`.", required=True),
            AT,
            FOR,
        ),
        _build,
    ),
    NoopDriver(),
)


class BrokenContract(AssertionError):
    """A driver did what a driver must not do."""


@dataclass(slots=True)
class ValidatingDriver(UndoingDriver[F]):
    """Drives through `driver` and raises BrokenContract for: a receipt that is no plain JSON object; a heal of what was
    not injected; what is not healed after a heal; and a change of anything on the cluster that stays after the heal, or
    that `may_touch` does not name. `snapshot`: every object of a fake cluster by its path, without server fields.
    """

    driver: UndoingDriver[F]
    snapshot: Callable[[], Mapping[str, object]]
    may_touch: Sequence[str]
    _before: dict[tuple[str, str], Mapping[str, object]] = field(default_factory=dict)

    async def inject(self, fault: F, subject: str, context: FaultContext) -> Receipt:
        """Inject, and look at the receipt and at what was touched."""
        before = self._before.setdefault((str(fault), subject), self.snapshot())
        receipt = _sound(await self.driver.inject(fault, subject, context), "inject")
        touched = _differences(before, self.snapshot())
        strange = [path for path in touched if path not in self.may_touch]
        if strange:
            raise BrokenContract(f"inject of {fault} touched {', '.join(strange)}")
        return receipt

    async def heal(self, fault: F, subject: str, context: FaultContext) -> Receipt:
        """Heal, and look whether everything is as before."""
        before = self._before.pop((str(fault), subject), None)
        if before is None:
            raise BrokenContract(f"heal of {fault}, which was not injected")
        receipt = _sound(await self.driver.heal(fault, subject, context), "heal")
        if not await self.driver.is_healed(fault, subject, context):
            raise BrokenContract(f"{fault} is not healed after its heal")
        left = _differences(before, self.snapshot())
        if left:
            raise BrokenContract(f"after the heal of {fault} there differ: {', '.join(left)}")
        return receipt

    async def is_healed(self, fault: F, subject: str, context: FaultContext) -> bool:
        """Ask the driver; before an injection the answer must be yes."""
        healed = await self.driver.is_healed(fault, subject, context)
        if not healed and (str(fault), subject) not in self._before:
            raise BrokenContract(f"{fault} was not injected and is not healed")
        return healed


def _sound(receipt: object, what: str) -> Receipt:
    if not isinstance(receipt, Mapping):
        raise BrokenContract(f"{what} returned {type(receipt).__name__}, not a receipt")
    try:
        json.dumps(dict(receipt), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BrokenContract(f"the receipt of {what} is no plain JSON: {error}") from error
    return receipt


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
