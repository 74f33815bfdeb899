"""The undo of nodes with every kind of fault handed in, as runs and recoveries have it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from harness.cluster import undo
from harness.cluster.undo import Holder, NodeUndo, Put
from harness.faults import cordon as cordons
from harness.faults.registry import UNDO
from harness.faults.taint import TaintChange
from harness.faults.taint import put_taint as put
from harness.model.taints import Taint

CORDON = cordons.CordonChange(False).id

claim_of = partial(undo.claim_of, kinds=UNDO)
parse_claim = partial(undo.parse_claim, kinds=UNDO)


def put_taint(
    node: Mapping[str, Any],
    taint: Taint,
    *,
    run: str,
    deadline: str,
    holder: Holder | None = None,
    heartbeat: str | None = None,
) -> dict[str, Any]:
    """The patch that puts `taint` on `node`."""
    return _patch(node, lambda spec, claim: put(spec, claim, taint), run, deadline, holder, heartbeat)


def cordon(node: Mapping[str, Any], *, run: str, deadline: str) -> dict[str, Any]:
    """The patch that cordons `node`."""
    return _patch(node, cordons.cordon, run, deadline, None, None)


def _patch(
    node: Mapping[str, Any], change: Put, run: str, deadline: str, holder: Holder | None, heartbeat: str | None
) -> dict[str, Any]:
    ours = NodeUndo(run, deadline, holder=holder, heartbeat=heartbeat)
    return undo.changed(node, change, ours, UNDO)[0]


def release(node: Mapping[str, Any], claim: NodeUndo, what: str | None = None) -> undo.Release:
    """How to undo `claim`."""
    return undo.release(node, claim, UNDO, what)


def ours_on(node: Mapping[str, Any], claim: NodeUndo, what: str | None = None) -> tuple[str, ...]:
    """What of `claim` is on the node."""
    return undo.ours_on(node, claim, UNDO, what)


def renew(node: Mapping[str, Any], run: str, heartbeat: str) -> dict[str, Any] | None:
    """The patch that renews the heartbeat."""
    return undo.renew(node, run, heartbeat, UNDO)


def id_of(taint: Taint) -> str:
    """What a change of that taint is called."""
    return TaintChange(taint, None, 0).id
