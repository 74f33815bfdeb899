"""The undo record of one node as a value: what it holds, how it is written, and the one reader for it.

It stands in the annotation ``taintlab.dev/claim`` and, the same text, in the ledger of the run. Annotations can be
written by strangers (a kubelet may write those of its own node), so the reader is total: whatever is wrong with the
text is one `ClusterError` that names the node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import msgspec

from harness.errors import ClusterError
from harness.model.taints import Effect, Taint

CLAIM_ANNOTATION = "taintlab.dev/claim"
CLAIM_CAP = 64 * 1024
"""Bytes of a claim that are read. One of ours with a hundred taints is below."""

#: Names one change of a claim: a taint's (key, effect), or `CORDON`.
Change = tuple[str, Effect] | Literal["cordon"]
CORDON: Literal["cordon"] = "cordon"

_VERSION = 1
_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Key = Annotated[str, msgspec.Meta(min_length=1)]


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
class TaintUndo:
    """We put `ours` on the node; `before` (same key and effect) stood at `index` of the list, or None: there was
    none.
    """

    ours: Taint
    before: Taint | None
    index: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What one run changed on one node. `deadline` is RFC 3339: after it nobody should still want the change.

    `unschedulable_before` is None when the run did not touch spec.unschedulable. `holder` and `heartbeat` (RFC 3339,
    renewed while the run is alive) are None in claims of releases that did not write them.
    """

    run: str
    deadline: str
    taints: tuple[TaintUndo, ...] = ()
    unschedulable_before: bool | None = None
    holder: Holder | None = None
    heartbeat: str | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing left to undo."""
        return not self.taints and self.unschedulable_before is None

    def without(self, what: Change | None) -> Claim:
        """What is left when `what` (None: everything) is undone."""
        taints = tuple(undo for undo in self.taints if what is not None and undo.ours.identity != what)
        cordon = None if what in (None, CORDON) else self.unschedulable_before
        return replace(self, taints=taints, unschedulable_before=cordon)

    def joined(self, other: Claim) -> Claim:
        """All of this claim, and of `other` what is not in it."""
        known = {undo.ours.identity for undo in self.taints}
        more = tuple(undo for undo in other.taints if undo.ours.identity not in known)
        cordon = other.unschedulable_before if self.unschedulable_before is None else self.unschedulable_before
        return replace(self, taints=self.taints + more, unschedulable_before=cordon)

    def words(self) -> str:
        """For people: ``taint spot=x:NoExecute, cordon``."""
        parts = [f"taint {undo.ours}" for undo in self.taints]
        return ", ".join(parts + (["cordon"] if self.unschedulable_before is not None else [])) or "nothing"

    def to_json(self) -> str:
        """The annotation's value. The same claim always gives the same text."""
        undo = [
            {
                "ours": change.ours.to_api(),
                "before": change.before.to_api() if change.before else None,
                "index": change.index,
            }
            for change in self.taints
        ]
        body: dict[str, Any] = {
            "version": _VERSION,
            "run": self.run,
            "deadline": self.deadline,
            "taints": undo,
            "unschedulableBefore": self.unschedulable_before,
        }
        if self.holder is not None:
            body["holder"] = self.holder.to_api()
        if self.heartbeat is not None:
            body["heartbeat"] = self.heartbeat
        return json.dumps(body, separators=(",", ":"))


class _Taint(msgspec.Struct, rename="camel"):
    key: _Key
    effect: Effect
    value: str = ""
    time_added: str | None = None


class _Undo(msgspec.Struct):
    ours: _Taint
    before: _Taint | None
    index: _Natural


class _Holder(msgspec.Struct, rename="camel"):
    host: str
    boot_id: str
    pid: _Natural
    start_ticks: _Natural
    pid_namespace: _Natural


class _Claim(msgspec.Struct, rename="camel"):
    run: str
    deadline: str
    taints: list[_Undo]
    unschedulable_before: bool | None
    holder: _Holder | None = None
    heartbeat: str | None = None


class _Version(msgspec.Struct):
    version: int


def parse_claim(raw: object, *, node: str) -> Claim:
    """The claim that `to_json` wrote as `raw`; ClusterError naming `node` for anything else, and nothing but that."""
    where = f"node {node}: the annotation {CLAIM_ANNOTATION}"
    by_hand = "look at it with `kubectl get node -o yaml`, take the taints off by hand and remove it"
    try:
        if not isinstance(raw, str):
            raise ValueError("it is no text")
        data = raw.encode()
        if len(data) > CLAIM_CAP:
            raise ValueError(f"{len(data)} bytes, more than the {CLAIM_CAP} that are read")
        version = msgspec.json.decode(data, type=_Version).version
        if version != _VERSION:
            raise ClusterError(f"{where} was written by another version of taintlab ({version}): use that one")
        return _claim(msgspec.json.decode(data, type=_Claim))
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors; so is a lone surrogate
        why = "".join(c if c.isprintable() else "?" for c in str(error))[:160]
        raise ClusterError(f"{where} cannot be read ({why}); {by_hand}") from error


def claim_of(node: Mapping[str, Any]) -> Claim | None:
    """The claim on a node object, None without one; ClusterError when the annotation cannot be read (it is then left
    alone).
    """
    raw = (node["metadata"].get("annotations") or {}).get(CLAIM_ANNOTATION)
    return None if raw is None else parse_claim(raw, node=str(node["metadata"]["name"]))


def _claim(body: _Claim) -> Claim:
    holder = _holder(body.holder) if body.holder else None
    taints = tuple(map(_undo, body.taints))
    if len({undo.ours.identity for undo in taints}) != len(taints):
        raise ValueError("two changes of one taint")
    return Claim(body.run, body.deadline, taints, body.unschedulable_before, holder, body.heartbeat)


def _undo(body: _Undo) -> TaintUndo:
    undo = TaintUndo(_taint(body.ours), _taint(body.before) if body.before else None, body.index)
    if undo.before is not None and undo.before.identity != undo.ours.identity:
        raise ValueError("what stood there before is another taint")
    return undo


def _taint(body: _Taint) -> Taint:
    return Taint(body.key, body.effect, body.value, body.time_added)


def _holder(body: _Holder) -> Holder:
    return Holder(body.host, body.boot_id, body.pid, body.start_ticks, body.pid_namespace)
