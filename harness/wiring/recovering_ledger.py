"""Recovering one run by its ledger: exactly what the ledger names, undone as the ledger says, with the rights that the
run had. No type is listed but nodes and pods, and no other file of the folder is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.cluster.ledger import RUN_LABEL, Ledger, LedgerRead, Record, RecordKind, is_held
from harness.cluster.node_writes import node_path
from harness.cluster.ports import Json
from harness.cluster.survey import Thing, claimed_nodes, each, look, thing_of
from harness.cluster.undo import NodeUndo, claim_of, own_claim, parse_claim
from harness.errors import ClusterError, NotFound, UsageError
from harness.faults.registry import UNDO
from harness.wiring.recovering import Book, Recovered, Site, alive_error, remove, tell_pods, tell_removed, undo_node

SETTLE_S = 10.0
"""How long after the ledger's last line an object may still come whose create was under way when the run died."""
_PART = r"[A-Za-z0-9][-A-Za-z0-9._:]*"
_OBJECT = re.compile(rf"/(?:api/v1|apis/{_PART}/{_PART})(?:/namespaces/(?P<namespace>{_PART}))?/{_PART}/{_PART}")
"""The path of one object, and of no subresource: a ledger may come from a stranger."""
_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Folder:
    """A run's ledger as it was read. `run`: the run's id, "" when no file says it. `written_ns`: wall time of the
    ledger's last line. `same_cluster`: the command line means the very cluster that the ledger says.
    """

    ledger: Path
    read: LedgerRead
    run: str
    written_ns: int
    same_cluster: bool


@dataclass(frozen=True, slots=True)
class _Node:
    """A node of the ledger. `claim`: its undo as the ledger has it (None: it has none). `now`: the node, None when
    there is none or `unseen` says why it could not be looked at. `problem`: why its record cannot be read.
    """

    record: Record
    healed: bool
    claim: NodeUndo | None = None
    now: Json | None = None
    unseen: str = ""
    problem: str = ""

    @property
    def is_same(self) -> bool:
        """Whether the node that was changed is there."""
        return self.now is not None and self.record.uid in ("", self.now["metadata"].get("uid"))

    def holds(self, run: str) -> bool:
        """Whether the node carries a claim of the run."""
        return self.now is not None and bool(run) and own_claim(self.now, run, UNDO) is not None


async def recover_ledger(site: Site, folder: Folder) -> Recovered:
    """Undo what the ledger says; each line is marked healed when that very thing was seen gone.

    UsageError when the run is still alive, or when nobody says which run it was.
    """
    nodes = await _look(site, folder.read.records)
    run = folder.run or _run_of(nodes)
    if not run:
        raise UsageError(f"{folder.ledger}: neither it nor the nodes it names say which run it was")
    _refuse_living(site, folder, nodes, run)
    objects = [(record, healed) for record, healed in folder.read.records if record.kind is RecordKind.OBJECT]
    book = Book(remaining=list(folder.read.problems))
    due = [node for node in nodes if not node.healed or node.holds(run)]
    _announce(site, run, due, [record for record, healed in objects if not healed])
    same = folder.same_cluster or any(node.holds(run) or (node.record.uid and node.is_same) for node in nodes)
    marks = _Marks(folder.ledger, book)
    try:
        await each(due, lambda node: _undo(site, book, marks, node, run=run, same=same))
        removing = _Removing(site, book, marks, run, _settle_ns(site, folder), same)
        await each(reversed(objects), removing.one, at_once=None)
    finally:
        marks.close()
    namespaces = [match["namespace"] for record, _ in objects if (match := _OBJECT.fullmatch(record.subject))]
    await tell_pods(site, book, run, [namespace for namespace in namespaces if namespace])
    await _name_others(site, book, nodes, run)
    return book.closed()


async def _look(site: Site, records: Iterable[tuple[Record, bool]]) -> list[_Node]:
    """The ledger's nodes as they are, latest first."""

    async def one(item: tuple[Record, bool]) -> _Node:
        record, healed = item
        node = _Node(record, healed)
        if not _NODE_NAME.fullmatch(record.subject):
            return replace(node, problem=f"{record.subject!r} cannot name a node")
        try:
            claim = parse_claim(record.undo, node=record.subject, kinds=UNDO) if record.undo else None
        except ClusterError as error:
            return replace(node, problem=f"its undo in the ledger cannot be read: {error}")
        try:
            now = await look(site.patience, lambda: site.cluster.get(node_path(record.subject)))
        except NotFound:
            return replace(node, claim=claim)
        except ClusterError as error:
            return replace(node, claim=claim, unseen=str(error))
        return replace(node, claim=claim, now=now)

    found = [item for item in records if item[0].kind is RecordKind.NODE]
    return await each(reversed(found), one)


def _run_of(nodes: Iterable[_Node]) -> str:
    """The run that the claims name: those of the ledger, else those on its nodes; "" when they do not agree."""
    nodes = list(nodes)
    for claims in ([node.claim for node in nodes], [_claim_on(node) for node in nodes]):
        runs = {claim.run for claim in claims if claim is not None}
        if runs:
            return runs.pop() if len(runs) == 1 else ""
    return ""


def _claim_on(node: _Node) -> NodeUndo | None:
    try:
        return None if node.now is None else claim_of(node.now, UNDO)
    except ClusterError:
        return None


def _refuse_living(site: Site, folder: Folder, nodes: Iterable[_Node], run: str) -> None:
    if site.force:
        return
    if is_held(folder.ledger):
        raise alive_error(run, "it holds its ledger")
    for node in nodes:
        claim = own_claim(node.now, run, UNDO) if node.now is not None else None
        sign = site.sign_of_life(claim) if claim is not None else ""
        if sign:
            raise alive_error(run, f"{sign} (node {node.record.subject})")


def _announce(site: Site, run: str, nodes: list[_Node], objects: list[Record]) -> None:
    site.say(f"run {run} on {site.cluster.name}: {len(nodes)} nodes and {len(objects)} objects are not undone yet")
    for node in nodes:
        words = node.claim.words() if node.claim is not None else node.record.what
        site.say(f"will undo on node {node.record.subject}: {words}")
    for record in reversed(objects):
        site.say(f"will delete {record.subject}")


class _Marks:
    """Writes ``healed`` lines, each on the disk before the next thing is done. What cannot be written is only told:
    the cluster is what counts.
    """

    def __init__(self, path: Path, book: Book) -> None:
        """Opened for appending; a ledger that cannot be written is a note."""
        self._book = book
        self._ledger: Ledger | None = None
        try:
            self._ledger = Ledger(path)
        except (OSError, UsageError) as error:
            book.notes.append(f"the ledger cannot be brought up to date: {error}")

    def healed(self, record: Record, how: str) -> None:
        """The record's thing was seen undone."""
        if self._ledger is None:
            return
        try:
            self._ledger.healed(record.id, how=how)
        except OSError as error:
            self._book.notes.append(f"the ledger cannot be brought up to date: {error}")

    def close(self) -> None:
        """Let go of the file."""
        if self._ledger is not None:
            self._ledger.close()


def _elsewhere(site: Site) -> str:
    return (
        f"not known: it is not on {site.cluster.name}, and nothing there shows that the run was on this "
        "cluster; name the right one with --lab or --context"
    )


async def _undo(site: Site, book: Book, marks: _Marks, node: _Node, *, run: str, same: bool) -> None:
    name, claim = node.record.subject, node.claim
    if not node.problem and claim is not None and claim.run != run:
        node = replace(node, problem=f"its undo in the ledger is of another run ({claim.run})")
    if node.problem:
        book.remaining.append(f"node {name}: {node.problem}")
        return
    if not same and not node.is_same:
        why = f"not known: {node.unseen}" if node.unseen else _elsewhere(site)
        book.remaining.append(f"node {name}: {node.record.what}: {why}")
        return
    if claim is None and node.now is not None:
        claim = own_claim(node.now, run, UNDO)
    if claim is None and (node.unseen or (node.now is not None and _shows(node.now, node.record.what))):
        why = f"not known: {node.unseen}" if node.unseen else "the ledger holds no undo and the node no claim"
        book.remaining.append(f"node {name}: {node.record.what}: {why}")
        return
    claim = claim or NodeUndo(run, "")
    how = await undo_node(site, book, name, claim, run=run, uid=node.record.uid, copy_only=True)
    if how is not None:
        marks.healed(node.record, how)


def _shows(node: Json, what: str) -> bool:
    """Whether a node looks as a record without an undo (taintlab 0.1.0) describes its change."""
    taints = [f"{t.get('key')}{'=' + t['value'] if t.get('value') else ''}:{t.get('effect')}" for t in _taints(node)]
    return what in taints or (what == "cordon" and bool(node.get("spec", {}).get("unschedulable")))


def _taints(node: Json) -> list[Json]:
    return [taint for taint in node.get("spec", {}).get("taints") or () if isinstance(taint, dict)]


@dataclass(frozen=True, slots=True)
class _Removing:
    """What the removal of each object needs to know. `lands_by_ns`: until when (monotonic) one may still come whose
    create was under way when the run died. `same`: this is the run's cluster.
    """

    site: Site
    book: Book
    marks: _Marks
    run: str
    lands_by_ns: int
    same: bool

    async def one(self, item: tuple[Record, bool]) -> None:
        """One object of the ledger; one that is said to be gone is looked at again."""
        record, healed = item
        path, cluster = record.subject, self.site.cluster
        if not _OBJECT.fullmatch(path):
            self.book.remaining.append(f"{path!r} is no path of an object")
            return
        try:
            there: Json | None = await look(self.site.patience, lambda: cluster.get(path))
            thing = None if there is None else thing_of(there, kind=str(there.get("kind", "object")), path=path)
        except NotFound:
            there = thing = None
        except ClusterError as error:
            self.book.remaining.append(f"not known: {path}: {error}")
            return
        ours = thing is not None and thing.run == self.run and record.uid in ("", thing.uid)
        if not ours and self._is_settled(record, healed=healed, there=there):
            return
        removal = await remove(
            self.site,
            path,
            run=self.run,
            uid=thing.uid if ours and thing is not None else record.uid,
            lands_by_ns=self.lands_by_ns,
        )
        name = Thing("object", "", path, self.run, path, record.uid)
        tell_removed(self.book, thing or name, removal)
        if removal.gone:
            self.marks.healed(record, removal.why)

    def _is_settled(self, record: Record, *, healed: bool, there: Json | None) -> bool:
        """Whether nothing more is to be done about an object that is not there, or not ours."""
        if there is not None and record.uid and there["metadata"].get("uid") == record.uid:
            why = f"its label {RUN_LABEL} is not there any more: whose it is now, is not known"
            self.book.remaining.append(f"{record.subject}: {why}")
            return True
        if not healed and not self.same:
            self.book.remaining.append(f"{record.subject}: {_elsewhere(self.site)}")
            return True
        return healed


def _settle_ns(site: Site, folder: Folder) -> int:
    now = site.patience.clock.now()
    left_s = min(SETTLE_S, SETTLE_S - (now.wall_ns - folder.written_ns) / 1e9)
    return now.mono_ns + int(max(0.0, left_s) * 1e9)


async def _name_others(site: Site, book: Book, nodes: list[_Node], run: str) -> None:
    """Nodes that carry a claim of this run and that the ledger does not name: never touched, but said."""
    claimed, unknown = await claimed_nodes(site.cluster, site.patience, UNDO)
    book.notes += [f"other nodes could not be looked at: {text}" for text in unknown]
    named = {node.record.subject for node in nodes}
    for node in claimed:
        if node.claim is not None and node.claim.run == run and node.name not in named:
            book.remaining.append(
                f"node {node.name}: carries a claim of run {run} ({node.claim.words()}) but is not in this ledger: not "
                f"touched; if it is to be believed, --run {run} undoes it"
            )
