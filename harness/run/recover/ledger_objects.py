"""The objects that a ledger names: looked at again, and deleted when they are the run's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.cluster.ledger_record import RUN_LABEL, Record
from harness.cluster.ports import Json
from harness.cluster.survey import Thing, look, thing_of
from harness.errors import ClusterError, NotFound
from harness.run.recover.context import RecoveryContext, RecoveryLog
from harness.run.recover.marks import HealedMarks, elsewhere
from harness.run.recover.removing import remove, tell_removed

_PART = r"[A-Za-z0-9][-A-Za-z0-9._:]*"
_OBJECT = re.compile(rf"/(?:api/v1|apis/{_PART}/{_PART})(?:/namespaces/(?P<namespace>{_PART}))?/{_PART}/{_PART}")
"""The path of one object, and of no subresource: a ledger may come from a stranger."""


@dataclass(frozen=True, slots=True)
class ObjectRemoval:
    """What the removal of each object needs to know. `lands_by_ns`: until when (monotonic) one may still come whose
    create was under way when the run died. `same`: this is the run's cluster.
    """

    context: RecoveryContext
    log: RecoveryLog
    marks: HealedMarks
    run: str
    lands_by_ns: int
    same: bool

    async def one(self, item: tuple[Record, bool]) -> None:
        """One object of the ledger; one that is said to be gone is looked at again."""
        record, healed = item
        path, cluster = record.subject, self.context.cluster
        if not _OBJECT.fullmatch(path):
            self.log.remaining.append(f"{path!r} is no path of an object")
            return
        try:
            there: Json | None = await look(self.context.patience, lambda: cluster.get(path))
            thing = None if there is None else thing_of(there, kind=str(there.get("kind", "object")), path=path)
        except NotFound:
            there = thing = None
        except ClusterError as error:
            self.log.remaining.append(f"not known: {path}: {error}")
            return
        ours = thing is not None and thing.run == self.run and record.uid in ("", thing.uid)
        if not ours and self._is_settled(record, healed=healed, there=there):
            return
        removal = await remove(
            self.context,
            path,
            run=self.run,
            uid=thing.uid if ours and thing is not None else record.uid,
            lands_by_ns=self.lands_by_ns,
        )
        name = Thing("object", "", path, self.run, path, record.uid)
        tell_removed(self.log, thing or name, removal)
        if removal.gone:
            self.marks.healed(record, removal.why)

    def _is_settled(self, record: Record, *, healed: bool, there: Json | None) -> bool:
        """Whether nothing more is to be done about an object that is not there, or not ours."""
        if there is not None and record.uid and there["metadata"].get("uid") == record.uid:
            why = f"its label {RUN_LABEL} is not there any more: whose it is now, is not known"
            self.log.remaining.append(f"{record.subject}: {why}")
            return True
        if not healed and not self.same:
            self.log.remaining.append(f"{record.subject}: {elsewhere(self.context)}")
            return True
        return healed


def namespace_of(record: Record) -> str:
    """The namespace of a record's object; "" when it has none, or the record names no object."""
    match = _OBJECT.fullmatch(record.subject)
    return (match["namespace"] or "") if match is not None else ""
