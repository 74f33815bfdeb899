"""The undo record of one node as a value: what it holds, how it is written, and the one reader for it.

It stands in the annotation ``taintlab.dev/claim`` and, the same text, in the ledger of the run. Version 2 is a list of
``{kind, data}``: each kind of fault writes and reads its own `data`. Version 1 (taints and a cordon, in fields of their
own) is read as well. Annotations can be written by strangers (a kubelet may write those of its own node), so the reader
is total: whatever is wrong with the text is one `ClusterError` that names the node. So is a change of a kind that is
not known here: what cannot be read is never removed, and never passes for nothing.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Self

import msgspec

from harness.errors import ClusterError

CLAIM_ANNOTATION = "taintlab.dev/claim"
CLAIM_CAP = 64 * 1024
"""Bytes of a claim that are read. One of ours with a hundred taints is below."""

_VERSION = 2
_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

Spec = dict[str, Any]
"""A node's spec as plain JSON, to be changed in place: a copy of the node's own."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a claim, so that another one on the same machine can tell whether it is alive.

    `boot_id`: of /proc/sys/kernel/random/boot_id. `start_ticks`: field 22 of /proc/PID/stat, clock ticks since boot.
    `pid_namespace`: inode of /proc/self/ns/pid; a pid says nothing in another one.
    """

    host: str
    boot_id: str
    pid: int
    start_ticks: int
    pid_namespace: int

    def to_api(self) -> dict[str, Any]:
        """As JSON, in a claim and in a folder."""
        return {
            "host": self.host,
            "bootId": self.boot_id,
            "pid": self.pid,
            "startTicks": self.start_ticks,
            "pidNamespace": self.pid_namespace,
        }

    @classmethod
    def parse(cls, value: object) -> Holder:
        """What `to_api` wrote, already decoded from JSON; ValueError when it is anything else."""
        try:
            return _holder(msgspec.convert(value, type=_Holder))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


@dataclass(frozen=True, slots=True)
class Undone:
    """What was found when one change was undone, for people. `missing`: it was not there any more. `left_alone`: what
    somebody else changed since, and so was not undone. "" where there was no such thing.
    """

    missing: str = ""
    left_alone: str = ""


class NodeChange(ABC):
    """One change of a run to one node, and how it was before: what its kind of fault needs to undo it."""

    __slots__ = ()

    kind: ClassVar[str]
    """Names the reader of `to_data`."""

    @property
    @abstractmethod
    def id(self) -> str:
        """What is changed, once at a time on a node: `harness.model.faults.Fault.holds`."""

    @abstractmethod
    def to_data(self) -> dict[str, Any]:
        """As plain JSON; the same change always gives the same."""

    @classmethod
    @abstractmethod
    def from_data(cls, data: object) -> Self:
        """What `to_data` wrote, decoded from JSON; ValueError for anything else."""

    @abstractmethod
    def undo(self, spec: Spec, *, claimed: bool) -> Undone:
        """Put back in `spec` what was there before. `claimed`: the node's own record still lists the change."""

    @abstractmethod
    def is_on(self, spec: Mapping[str, Any]) -> bool:
        """Whether ours is on a node with this spec, and was not there before us."""

    @abstractmethod
    def __str__(self) -> str:
        """For people: ``taint spot=x:NoExecute``."""


UndoKinds = Mapping[str, type[NodeChange]]
"""The readers of changes, by `NodeChange.kind`; `harness.faults.registry.UNDO` has all of them."""


@dataclass(frozen=True, slots=True)
class NodeUndo:
    """What one run changed on one node, in the order of the changes, no `id` twice. `deadline` is RFC 3339: after it
    nobody should still want the changes.

    `holder` and `heartbeat` (RFC 3339, renewed while the run is alive) are None in records of releases that did not
    write them.
    """

    run: str
    deadline: str
    changes: tuple[NodeChange, ...] = ()
    holder: Holder | None = None
    heartbeat: str | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing left to undo."""
        return not self.changes

    def change(self, what: str) -> NodeChange | None:
        """The change with that id."""
        return next((change for change in self.changes if change.id == what), None)

    def with_change(self, new: NodeChange) -> NodeUndo:
        """The same with `new`, in the place of the change with its id."""
        if self.change(new.id) is None:
            return replace(self, changes=(*self.changes, new))
        return replace(self, changes=tuple(new if change.id == new.id else change for change in self.changes))

    def without(self, what: str | None) -> NodeUndo:
        """What is left when the change with the id `what` (None: everything) is undone."""
        return replace(self, changes=tuple(change for change in self.changes if what not in (None, change.id)))

    def joined(self, other: NodeUndo) -> NodeUndo:
        """All of this record, and of `other` what is not in it."""
        more = tuple(change for change in other.changes if self.change(change.id) is None)
        return replace(self, changes=self.changes + more)

    def words(self) -> str:
        """For people: ``taint spot=x:NoExecute, cordon``."""
        return ", ".join(map(str, self.changes)) or "nothing"

    def to_json(self) -> str:
        """The annotation's value. The same record always gives the same text."""
        body: dict[str, Any] = {
            "version": _VERSION,
            "run": self.run,
            "deadline": self.deadline,
            "changes": [{"kind": change.kind, "data": change.to_data()} for change in self.changes],
        }
        if self.holder is not None:
            body["holder"] = self.holder.to_api()
        if self.heartbeat is not None:
            body["heartbeat"] = self.heartbeat
        return json.dumps(body, separators=(",", ":"))


class _Change(msgspec.Struct):
    kind: str
    data: Any


class _Holder(msgspec.Struct, rename="camel"):
    host: str
    boot_id: str
    pid: _Natural
    start_ticks: _Natural
    pid_namespace: _Natural


class _Record(msgspec.Struct, rename="camel"):
    run: str
    deadline: str
    changes: list[_Change]
    holder: _Holder | None = None
    heartbeat: str | None = None


class _Record1(msgspec.Struct, rename="camel"):
    """Version 1, of taintlab 0.1.0."""

    run: str
    deadline: str
    taints: list[Any]
    unschedulable_before: bool | None
    holder: _Holder | None = None
    heartbeat: str | None = None

    def now(self) -> _Record:
        """The same as version 2 has it."""
        changes = [_Change("taint", taint) for taint in self.taints]
        if self.unschedulable_before is not None:
            changes.append(_Change("cordon", {"before": self.unschedulable_before}))
        return _Record(self.run, self.deadline, changes, self.holder, self.heartbeat)


class _Version(msgspec.Struct):
    version: int


def parse_claim(raw: object, *, node: str, kinds: UndoKinds) -> NodeUndo:
    """The record that `to_json` of this version or the one before wrote as `raw`; ClusterError naming `node` for
    anything else, and nothing but that.
    """
    where = f"node {node}: the annotation {CLAIM_ANNOTATION}"
    by_hand = "look at it with `kubectl get node -o yaml`, remove the taints by hand and remove it"
    try:
        if not isinstance(raw, str):
            raise ValueError("it is no text")
        data = raw.encode()
        if len(data) > CLAIM_CAP:
            raise ValueError(f"{len(data)} bytes, more than the {CLAIM_CAP} that are read")
        version = msgspec.json.decode(data, type=_Version).version
        if version not in (1, _VERSION):
            raise ClusterError(f"{where} was written by another version of taintlab ({version}): use that one")
        old = version == 1
        record = msgspec.json.decode(data, type=_Record1).now() if old else msgspec.json.decode(data, type=_Record)
        for change in record.changes:
            if change.kind not in kinds:
                raise ClusterError(
                    f"{where} holds a change of the kind {_clean(change.kind)!r}, which this taintlab does not know: "
                    f"use the one that wrote it, or {by_hand}"
                )
        return _undo(record, kinds)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors; so is a lone surrogate
        raise ClusterError(f"{where} cannot be read ({_clean(error)}); {by_hand}") from error


def claim_of(node: Mapping[str, Any], kinds: UndoKinds) -> NodeUndo | None:
    """The record on a node object, None without one; ClusterError when the annotation cannot be read (it is then left
    alone).
    """
    raw = (node["metadata"].get("annotations") or {}).get(CLAIM_ANNOTATION)
    return None if raw is None else parse_claim(raw, node=str(node["metadata"]["name"]), kinds=kinds)


def _clean(what: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(what))[:160]


def _undo(record: _Record, kinds: UndoKinds) -> NodeUndo:
    holder = _holder(record.holder) if record.holder else None
    changes = tuple(kinds[change.kind].from_data(change.data) for change in record.changes)
    if len({change.id for change in changes}) != len(changes):
        raise ValueError("two changes of one thing")
    return NodeUndo(record.run, record.deadline, changes, holder, record.heartbeat)


def _holder(body: _Holder) -> Holder:
    return Holder(body.host, body.boot_id, body.pid, body.start_ticks, body.pid_namespace)
